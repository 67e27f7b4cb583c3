"""First and second derivatives of groups of positions, from stored valuations under the bumps of `scenarios.derived.bumps`.

    first    (V(+h) - V(-h)) / 2h            second    (V(+h) - 2 V + V(-h)) / h^2
    cross    (V(+h, +k) + V(-h, -k) - V(+h) - V(-h) - V(+k) - V(-k) + 2 V) / 2hk

They are differences of P&L in the reporting currency, gains positive, per unit of each factor's own level, and add up as P&L does.
Cross derivatives are of the pairs of factors that a contract of the book, or the exchange rate of its currency, reads together.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.kernels.fixed_sums import difference, product, row_dots
from aggregation.on_demand import plan_request, sealed_by, value_request
from aggregation.opened.inputs import open_inputs
from aggregation.price import size_of
from aggregation.question import Plan, together
from aggregation.receipts import name_inputs
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.risk.query import PNL_BYTES
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.types import REFERENCE, Point, Positions, RiskQuery, Translation
from lake.arrays import Floats, Ints
from lake.dates import Day
from lake.errors import counted
from scenarios.derived.bumps import bump_sizes
from scenarios.requests import ScenarioRequest
from scenarios.store import load_scenario_set
from scenarios.types import BUMPS, FactorIndex, RiskFactor, ScenarioSet, ShiftType
from valuation.batch import contracts_read
from valuation.books.contracts import contracts_by_id
from valuation.catalogue import instrument, terms_from_json
from valuation.sets.plan import ValuationPlan
from valuation.sets.requests import ValuationRequest
from valuation.types import Contract

Gamma = Literal["none", "diagonal", "full"]
MOST_PAIRS = 2_000  # valued for cross derivatives, those that most contracts read: 4,000 scenarios
_BOOK = ("as_of", "positions_date", "market_date", "branch", "as_known", "by", "where", "currency")


class BumpedQuery(Positions):
    """Whose sensitivities, on which day."""

    as_of: Day = Field(description="valuation and market date; also the positions date unless that is given")
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")
    branch: str | None = Field(None, pattern=REFERENCE, description=Point.model_fields["branch"].description)


def plan_bumped(session: Session, query: Positions, gamma: Gamma = "diagonal") -> Plan:
    """What is left to value of the bumps of a day, with those of pairs for `full` gammas.

    query : with as_of and, where it has them, positions_date, market_date and branch.
    """
    return _plan(session.as_known(query.as_known), query, gamma)[0]


def _plan(session: Session, query: Positions, gamma: Gamma) -> tuple[Plan, str | None]:
    """The plan, and in words the pairs that are left out, None where there are none."""
    single = plan_request(session, "bumps of every risk factor", _request(query))
    if gamma != "full":
        return single, None
    pairs, left_out = _pairs(session, query, single)
    if not pairs:
        return single, None
    return together([single, plan_request(session, "bumps of pairs of risk factors", _request(query, pairs))]), left_out


def value_bumped(session: Session, query: Positions, gamma: Gamma = "diagonal") -> None:
    """Values every contract under the bumps and stores it."""
    for _, request, plan in plan_bumped(session, query, gamma).valuations:
        if plan.sealed is None:
            value_request(session.as_known(query.as_known), request)


def price_of_bumped(session: Session, query: Any, gamma: Gamma = "diagonal") -> float:
    """Seconds of a core, at most, to read P&L of every group under a bump of each risk factor up and down, and of the pairs of `full`
    gammas."""
    states = 2 * session.lake.count("risk_factors") + (2 * MOST_PAIRS if gamma == "full" else 0)
    size = size_of(session, query, scenarios=states)
    return size.planning + size.seconds(passes=2, a_group=SECONDS_A_RANK * states)


def _request(query: Positions, pairs: Sequence[tuple[str, str]] = ()) -> ValuationRequest:
    given = {name: getattr(query, name, None) for name in _BOOK}
    parameters = {"pairs": [list(p) for p in pairs]} if pairs else {}
    return ValuationRequest(
        as_of=given["as_of"],
        positions_dates=() if given["branch"] else (given["positions_date"] or given["as_of"],),
        branches=(given["branch"],) if given["branch"] else (),
        market_date=given["market_date"],
        # contracts read the pairs
        scenarios=ScenarioRequest(method=BUMPS, parameters=parameters, only_by_name=True, of_book=bool(pairs)),
    )


def _pairs(session: Session, query: Positions, single: Plan) -> tuple[list[tuple[str, str]], str | None]:
    """Those whose cross derivatives are valued, sorted; and in words those that are left out, None where there are none."""
    ((_, _, plan),) = single.valuations
    key = ("pairs read", plan.valuation_set_id, query.currency)
    found: list[tuple[str, str]] = session.cache.keep(key, lambda: _read_together(session, plan, query.currency))
    if len(found) <= MOST_PAIRS:
        return sorted(found), None
    first, second = found[MOST_PAIRS]
    return sorted(found[:MOST_PAIRS]), (
        f"Cross gammas are of the {MOST_PAIRS:,} pairs of risk factors that most contracts read, of {len(found):,}; the first that is "
        f"left out is {first} with {second}."
    )


def _read_together(session: Session, plan: ValuationPlan, currency: str) -> list[tuple[str, str]]:
    ids = pa.concat_arrays(
        [c for t in (plan.work, plan.members) for c in t["contract_id"].chunks] or [pa.array([], pa.string())]
    )
    index = plan.scenario_set.index
    return pairs_read(contracts_read(contracts_by_id(session.lake, ids), index, plan.valuation_date), index, currency)


def pairs_read(
    reads: Sequence[tuple[str, Collection[str]]], index: FactorIndex, currency: str
) -> list[tuple[str, str]]:
    """The pairs of risk factors that contracts read together, in the order of the index; those of most contracts first.

    reads : of each contract its currency, whose exchange rate into `currency` it is converted with, and the factors it reads.
    """
    lost = index.without_rate({c for c, _ in reads}, currency)
    alike = Counter(
        frozenset((*read, *(leg for leg, _ in index.fx_path(own, currency)))) for own, read in reads if own not in lost
    )
    counts: Counter[tuple[str, str]] = Counter()
    for read, n in alike.items():
        for pair in itertools.combinations(sorted(read, key=index.row.__getitem__), 2):
            counts[pair] += n
    return sorted(counts, key=lambda pair: (-counts[pair], pair))


@dataclass(frozen=True)
class Derivatives:
    """Of some groups, per unit of level: base : (n_groups,) value; first, second : (n_groups, n_factors); cross : (n_groups, n_pairs)."""

    base: Floats
    first: Floats
    second: Floats
    cross: Floats


@dataclass(frozen=True)
class Bumped:
    """Stored valuations under bumps, and the groups of a query in them.

    scenarios : up and down by turns of each factor; size : (n_factors,) of each bump in its level. of_pairs : the groups under the
    bumps of pairs, None where there are none; pairs : (n_pairs, 2) rows of their factors. left_out : pairs without a cross
    derivative, in words. curved : the same two selections without the contracts that have no second derivatives, None for all;
    simulated : how many those are.
    """

    selection: Selection
    scenarios: ScenarioSet
    size: Floats
    of_pairs: Selection | None
    pairs: Ints
    left_out: str | None
    curved: tuple[Selection, Selection | None] | None = None
    simulated: int = 0

    @property
    def notes(self) -> list[str]:
        """What is left out of them, in words."""
        noise = "of first order alone: a second difference of a simulated value is noise"
        told = (
            [f"{counted(self.simulated, 'contract is', 'contracts are')} simulated and {noise}."]
            if self.simulated
            else []
        )
        return [*told, *([self.left_out] if self.left_out else [])]

    @property
    def receipt(self) -> dict[str, Any]:
        """What they rest on."""
        named = name_inputs(self.selection.inputs)
        return named if self.of_pairs is None else {**named, "pairs": name_inputs(self.of_pairs.inputs)}

    @property
    def sizes_in_words(self) -> str:
        """How far factors were moved."""
        by = self.scenarios.definition
        return (
            f"Central differences of full valuations, up and down: prices and exchange rates {by['price']:.2%} of their level, rates, "
            f"spreads, recoveries and normal volatilities {by['rate'] * 1e4:g}bp, lognormal volatilities {by['volatility'] * 100:g} points."
        )

    def portions(self, first: int, stop: int) -> Iterator[tuple[int, Derivatives]]:
        """Those of the groups `first` to `stop - 1`, as many at a time as memory is meant for; group `groups.n` is the total."""
        width = 2 * (len(self.size) + len(self.pairs))
        step = max(1, PNL_BYTES // (8 * width))
        for start in range(first, stop, step):
            yield start, self.of(start, min(step, stop - start))

    def of(self, first: int, n: int) -> Derivatives:
        """Those of the groups `first` to `first + n - 1`."""
        base, pnl = scenario_pnl(self.selection, first, n)
        up, down = pnl[:, 0::2], pnl[:, 1::2]
        slopes = (up - down) / (2.0 * self.size)
        curved, of_pairs = self.curved or (self.selection, self.of_pairs)
        if self.curved is not None:
            pnl = scenario_pnl(curved, first, n)[1]
            up, down = pnl[:, 0::2], pnl[:, 1::2]
        both = difference(up, -down)  # V(+h) - 2 V + V(-h), without the rounding of its parts
        cross = np.zeros((n, len(self.pairs)))
        if of_pairs is not None:
            together = scenario_pnl(of_pairs, first, n)[1]
            i, j = self.pairs.T
            alone = up[:, i] + up[:, j], down[:, i] + down[:, j]
            moved = difference(together[:, 0::2], alone[0]) + difference(together[:, 1::2], alone[1])
            cross = moved / (2.0 * self.size[i] * self.size[j])
        return Derivatives(base, slopes, both / self.size**2, cross)


def simulated(session: Session, selection: Selection) -> dict[int, Contract]:
    """The contracts of the selection that are valued by simulation, by their place in its book."""
    book = selection.inputs.book
    kinds = book.columns["instrument_type"]
    some = [i for i, kind in enumerate(kinds.members.to_pylist()) if hasattr(instrument(kind), "errors")]
    held = np.logical_or.reduceat(selection.keep, book.starts[:-1])
    places = np.flatnonzero(held & np.isin(kinds.codes[book.starts[:-1]], some))
    if not len(places):
        return {}
    ids = book.contract_ids.take(pa.array(places))
    place = dict(zip(ids.to_pylist(), places.tolist(), strict=True))
    return {
        place[c.contract_id]: c
        for c in Contract.of(contracts_by_id(session.lake, ids))
        if getattr(terms_from_json(c.instrument_type, c.terms), "simulated", False)
    }


def _without(selection: Selection, contracts: Collection[int]) -> Selection:
    """The selection without the positions in the contracts at those places of its book."""
    starts = selection.inputs.book.starts
    gone = np.repeat(np.isin(np.arange(len(starts) - 1), list(contracts)), np.diff(starts))
    group = np.where(gone, -1, selection.groups.group).astype(selection.groups.group.dtype)
    return replace(selection, keep=selection.keep & ~gone, groups=replace(selection.groups, group=group))


def open_bumped(
    session: Session,
    query: Positions,
    gamma: Gamma = "diagonal",
    translation: Translation = "scenario",
    *,
    simulated_curve: bool = True,
) -> Bumped:
    """The groups of the query under the stored bumps; raises `NotValued` where they are not all valued.

    simulated_curve : contracts that are simulated have second derivatives too, whose error `simulation_errors` tells.
    """
    plan, left_out = _plan(session.as_known(query.as_known), query, gamma)
    seals = sealed_by(plan)
    sets = [load_scenario_set(session.lake, s.scenario_set_id) for s in seals]
    fields = {n: v for n in _BOOK if (v := getattr(query, n, None)) is not None}
    selections = [
        open_selection(
            open_inputs(session.cache, asked := RiskQuery(**fields, valuation_set=s.valuation_set_id)),
            asked,
            translation=translation,
        )
        for s in seals
    ]
    scenarios, of_pairs = sets[0], sets[1:]
    row = scenarios.index.row
    pairs = [(row[a], row[b]) for made in of_pairs for a, b in made.definition["pairs"]]
    flat = {} if simulated_curve else simulated(session, selections[0])
    curved = [_without(s, flat) for s in selections] if flat else []
    return Bumped(
        selections[0],
        scenarios,
        bump_sizes(scenarios.index, scenarios.base, scenarios.definition),
        selections[1] if of_pairs else None,
        np.array(pairs, dtype=np.int64).reshape(-1, 2),
        left_out,
        (curved[0], curved[1] if of_pairs else None) if curved else None,
        len(flat),
    )


def moves_absolutely(factor: RiskFactor) -> bool:
    """Whether its move is a difference of levels; else it is a relative one."""
    return factor.shift_type is ShiftType.ABSOLUTE


def covariance(moves: Floats, weights: Floats | None, *, zero_mean: bool) -> Floats:
    """Covariance (n_factors, n_factors) of the moves (n_factors, n_scenarios), divisor n, by the scenarios' probabilities."""
    n = moves.shape[1]
    p = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    centred = moves if zero_mean else moves - row_dots(moves, p[None])[:, None]
    return product(centred * p, np.ascontiguousarray(centred.T))


def scenario_moves(scenario_set: ScenarioSet, factors: Sequence[RiskFactor], rows: Sequence[int]) -> Floats:
    """Moves of the factors in the scenarios, (n_factors, n_scenarios), absolute or relative as each factor moves."""
    out = np.empty((len(rows), scenario_set.n_scenarios))
    for i, (f, r) in enumerate(zip(factors, rows, strict=True)):
        level, base = np.asarray(scenario_set.levels[r]), scenario_set.base[r]
        out[i] = level - base if moves_absolutely(f) else level / base - 1.0
    return out
