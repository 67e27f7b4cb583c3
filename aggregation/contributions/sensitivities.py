"""Deltas and gammas of groups of positions, from differences of full revaluations. Nothing is stored.

A factor that moves absolutely is bumped by a basis point, another by a tenth of a percent of its level, each up and
down, and every contract is valued anew by its own pricer. Deltas are central differences per unit of the move: currency
per 1 (100%) of relative move, or per 1 (10,000 basis points) of absolute move.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from aggregation.kernels.fixed_sums import add_to_slots, product, row_dots
from aggregation.price import size_of
from aggregation.reduce.netting import net_quantities
from aggregation.reduce.selection import SECONDS_A_SUM, Selection
from aggregation.session import Session
from aggregation.types import RiskQuery
from lake.arrays import Bools, Floats, Ints
from lake.errors import BadInput, VarlakeError
from scenarios.kernels.currency import converted_pnl
from scenarios.types import RiskFactor, ScenarioSet, ShiftType
from valuation.batch import load_kernels, reported, value_batch
from valuation.books.contracts import contracts_by_id
from valuation.catalogue import instrument, terms_from_json
from valuation.costs import Costs, Work
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, ValuationFailure

Gamma = Literal["none", "diagonal", "full"]
MOST_CROSSED = 60  # factors with all their cross gammas: 3,540 further states
_RELATIVE, _ABSOLUTE = 1e-3, 1e-4
_CELLS = 4_000_000  # contracts x states valued at once: 32 MB


@dataclass(frozen=True)
class Bumps:
    """What is valued: the contracts held, the factors that reach them and move in the scenarios, and the states.

    contracts : those of the book at the places `held`. rows : of the factors in the scenario set; size :
    (n_factors,) of each bump in units of the move; levels : (n_all_factors, n_states), up and down by turns, then for each pair
    both up and both down.
    """

    factors: tuple[RiskFactor, ...]
    rows: tuple[int, ...]
    size: Floats
    pairs: tuple[tuple[int, int], ...]
    held: Any
    contracts: tuple[Contract, ...]
    levels: Floats

    @property
    def valuations(self) -> int:
        """Values to compute, bases counted."""
        return len(self.contracts) * (int(self.levels.shape[1]) + 1)

    @property
    def work(self) -> Work:
        kinds = Counter(c.instrument_type for c in self.contracts)
        return Work("parametric", kinds, int(self.levels.shape[1]) + 1)


@dataclass(frozen=True)
class Sensitivities:
    """delta : (n_groups, n_factors) gain per unit of the move; gamma : (n_factors, n_factors) of all groups together, None
    where not asked for; pairs : the two factors of each second derivative, those of different ones both ways; gammas :
    (n_groups, n_pairs); base : (n_groups,) value; covered : (n_contracts of the book,) those valued; all in the reporting currency.
    cost_us : microseconds of a core."""

    delta: Floats
    gamma: Floats | None
    pairs: tuple[Ints, Ints]
    gammas: Floats
    base: Floats
    covered: Bools
    failures: tuple[ValuationFailure, ...]
    cost_us: float


def moves_absolutely(factor: RiskFactor) -> bool:
    """Whether its move is a difference of levels; else it is a relative one."""
    return factor.shift_type is ShiftType.ABSOLUTE


def plan_bumps(selection: Selection, scenario_set: ScenarioSet, currency: str, gamma: Gamma) -> Bumps:
    """The states to value; raises `BadInput` for all cross gammas of too many factors."""
    inputs, index = selection.inputs, scenario_set.index
    book = inputs.book
    held = np.flatnonzero(np.add.reduceat(selection.keep.astype(np.int64), book.starts[:-1]))
    # contracts are immutable: the newest version of their table holds those of any book
    table = contracts_by_id(inputs.snapshot.lake, book.contract_ids.take(pa.array(held)))
    contracts = tuple(Contract.of(table))
    currencies = set(table["currency"].to_pylist())
    reported_in = currencies - index.without_rate(currencies, currency).keys()
    read = {leg for c in reported_in for leg, _ in index.fx_path(c, currency)}
    for _, kind, terms in contracts:
        with contextlib.suppress(VarlakeError):  # what it lacks is told when it is valued
            read.update(
                instrument(kind).risk_factors(terms_from_json(kind, terms), index, inputs.valuation_set.valuation_date)
            )
    shocked = inputs.valuation_set.shocked_classes
    factors = tuple(
        f
        for i, f in enumerate(index.factors)
        if f.risk_factor_id in read and scenario_set.shocked[i] and f.risk_class.value in shocked
    )
    if gamma == "full" and len(factors) > MOST_CROSSED:
        raise BadInput(
            f"The selection reads {len(factors)} risk factors; all cross gammas are computed for {MOST_CROSSED} at most. Ask for "
            "diagonal gammas, or filter."
        )
    rows = tuple(index.row[f.risk_factor_id] for f in factors)
    size = np.array([_ABSOLUTE if moves_absolutely(f) else _RELATIVE for f in factors])
    step = np.array(
        [s if moves_absolutely(f) else s * scenario_set.base[r] for f, r, s in zip(factors, rows, size, strict=True)]
    )
    pairs = tuple((i, j) for i in range(len(rows)) for j in range(i)) if gamma == "full" else ()
    moved = [((i, sign),) for i in range(len(rows)) for sign in (1, -1)]
    moved += [((i, sign), (j, sign)) for i, j in pairs for sign in (1, -1)]  # type: ignore[misc]
    levels = np.repeat(scenario_set.base[:, None], len(moved), axis=1)
    for state, bumps in enumerate(moved):
        for i, sign in bumps:
            levels[rows[i], state] += sign * step[i]
    return Bumps(factors, rows, size, pairs, held, contracts, levels)


def price_of_bumps(session: Session, query: RiskQuery, gamma: Gamma) -> float:
    """Of the contracts held, under bumps of every risk factor there is, and no more valuations than are made while somebody waits."""
    size = size_of(session, query)
    kinds = size_of(session, query, by=()).kinds
    factors = session.lake.count("risk_factors")
    states = 1 + 2 * factors + (MOST_CROSSED * (MOST_CROSSED - 1) if gamma == "full" else 0)
    seconds = Costs(session.lake).of(Work("parametric", kinds, states)).seconds
    most, valuations = session.most_valuations, sum(kinds.values()) * states
    if most is not None and valuations > most:
        seconds *= most / valuations
    return seconds + size.seconds(a_group=SECONDS_A_SUM * states * len(kinds))


def run_bumps(
    selection: Selection, scenario_set: ScenarioSet, currency: str, bumps: Bumps, gamma: Gamma
) -> Sensitivities:
    """Values every state and takes the differences. A contract that fails in any state is a failure, and in no figure."""
    market = ScenarioMarket(
        selection.inputs.valuation_set.valuation_date, scenario_set.index, scenario_set.base, bumps.levels
    )
    book, groups = selection.inputs.book, selection.groups
    net = net_quantities(book, groups.group, groups.n)
    gains, base = np.zeros((groups.n, bumps.levels.shape[1])), np.zeros(groups.n)
    covered = np.zeros(len(book.contract_ids), dtype=np.bool_)
    failures: list[ValuationFailure] = []
    load_kernels(bumps.contracts, market.base_only())
    cost_us = 0.0
    step = max(1, _CELLS // market.n_states)
    for first in range(0, len(bumps.contracts), step):
        some = bumps.contracts[first : first + step]
        block = reported(value_batch(some, market), some, scenario_set.index, currency)
        failures += block.failures
        cost_us += float(block.cost_us.sum())
        place = {c.contract_id: bumps.held[first + i] for i, c in enumerate(some)}
        at = np.array([place[c] for c in block.contract_ids], dtype=np.int32)
        covered[at] = True
        fx = np.array([market.fx(c, currency) for c in block.currencies]).reshape(len(at), market.n_states)
        moved = converted_pnl(block.base[:, None], block.pnl, fx[:, 1:], fx[:, :1])
        for rows, sums in ((moved, gains), ((block.base * fx[:, 0])[:, None], base[:, None])):
            add_to_slots(at, rows, *net, sums)
    n = len(bumps.factors)
    up, down = gains[:, 0 : 2 * n : 2], gains[:, 1 : 2 * n : 2]
    i, j, gammas = _second(gains, bumps, gamma)
    total = None
    if gamma != "none":
        total = np.zeros((n, n))
        total[i, j] = _second(gains.sum(axis=0)[None], bumps, gamma)[2][0]
    delta = (up - down) / (2 * bumps.size)
    return Sensitivities(delta, total, (i, j), gammas, base, covered, tuple(failures), cost_us)


def _second(gains: Floats, bumps: Bumps, gamma: Gamma) -> tuple[Ints, Ints, Floats]:
    """Second differences of P&L (n_groups, n_states): two factors of each, and (n_groups, n_pairs). The base itself is zero."""
    n, size = len(bumps.factors), bumps.size
    each = np.arange(n if gamma != "none" else 0)
    both = gains[:, 0 : 2 * n : 2] + gains[:, 1 : 2 * n : 2]
    i, j = np.array(bumps.pairs, dtype=np.int64).reshape(-1, 2).T
    together = gains[:, 2 * n :: 2] + gains[:, 2 * n + 1 :: 2]
    cross = (together - both[:, i] - both[:, j]) / (2 * size[i] * size[j])
    values = np.hstack([(both / size**2)[:, each], cross, cross])
    return np.concatenate([each, i, j]), np.concatenate([each, j, i]), values


def covariance(moves: Floats, weights: Floats | None, *, zero_mean: bool) -> Floats:
    """Covariance (n_factors, n_factors) of the moves (n_factors, n_scenarios), divisor n, by the scenarios' probabilities."""
    n = moves.shape[1]
    p = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    centred = moves if zero_mean else moves - row_dots(moves, p[None])[:, None]
    return product(centred * p, np.ascontiguousarray(centred.T))


def scenario_moves(scenario_set: ScenarioSet, factors: Sequence[RiskFactor], rows: Sequence[int]) -> Floats:
    """Moves of the factors in the scenarios, (n_factors, n_scenarios), in the units of the deltas."""
    out = np.empty((len(rows), scenario_set.n_scenarios))
    for i, (f, r) in enumerate(zip(factors, rows, strict=True)):
        level, base = np.asarray(scenario_set.levels[r]), scenario_set.base[r]
        out[i] = level - base if moves_absolutely(f) else level / base - 1.0
    return out
