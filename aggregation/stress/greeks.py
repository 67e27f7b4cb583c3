"""Sensitivities of any node, from a stored valuation of every contract under small bumps of every risk factor.

    first order:  (V(up) - V(down)) / 2h x unit        second order:  (V(up) - 2 V + V(down)) / h^2 x unit^2

with the bump h of `scenarios.derived.bumps`, in the reporting currency, gains positive. They are P&L, so they add up over every dimension.
Theta is the P&L of one business day in a constant market, which is priced when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import AfterValidator, Field

from aggregation.answer import Answer
from aggregation.kernels.fixed_sums import difference
from aggregation.on_demand import plan_request, sealed_by, value_request
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.price import size_of
from aggregation.question import Plan, Question
from aggregation.receipts import name_inputs
from aggregation.reduce.coverage import coverage_columns, lacking_notes, total_coverage
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.risk.query import PNL_BYTES
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.stress.roll_forward import RollRequest, RollResult, price_of_roll, roll_forward
from aggregation.types import Coverage, RiskQuery, Translated
from lake.arrays import Floats, Ints
from lake.dates import Day
from lake.errors import BadInput, unknown
from scenarios.derived.bumps import bump_sizes
from scenarios.requests import ScenarioRequest
from scenarios.store import load_scenario_set
from scenarios.surfaces import surface_of
from scenarios.types import RiskClass, RiskFactor, ScenarioSet
from valuation.sets.requests import ValuationRequest

THETA = "theta"
GREEKS: Mapping[str, tuple[str, float, str]] = {  # what it is, its unit in the level of the factor, the unit in words
    "delta": ("gain for a price or exchange rate 1% up", 0.01, "+1%"),
    "pv01": ("gain for a rate a basis point up", 1e-4, "+1bp"),
    "cs01": ("gain for a credit spread or hazard rate a basis point up", 1e-4, "+1bp"),
    "recovery01": ("gain for a recovery 1% of face up", 0.01, "+1%"),
    "vega": ("gain for a volatility one point up, a normal one a basis point", 0.01, "+1 point"),
    THETA: ("gain of one business day in a market that stands still", 1.0, "1 day"),
}
_OF_CLASS = {RiskClass.RATES: "pv01", RiskClass.CREDIT: "cs01", RiskClass.VOLATILITY: "vega"}
BOOK = ("as_of", "by", "where", "currency", "positions_date", "as_known")
MOST_ROWS = 500_000


def _known(name: str) -> str:
    if name not in GREEKS:
        raise ValueError(unknown("sensitivity", name, GREEKS).message)
    return name


class GreeksQuery(Translated):
    """Whose sensitivities, to what."""

    as_of: Day = Field(description="valuation and market date; also the positions date unless that is given")
    greeks: tuple[Annotated[str, AfterValidator(_known)], ...] = Field(
        (), max_length=len(GREEKS), description=f"sensitivities asked for: {', '.join(GREEKS)}; default all but theta"
    )
    per: Literal["factor", "curve", "class"] = Field(
        "curve", description="a row for each risk factor, for each curve, surface or underlying, or for each risk class"
    )
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")


@dataclass(frozen=True)
class Greeks(Answer):
    """rows : a row a group and what it is sensitive to, groups sorted: the `by` columns, `greek`, `risk_class`, `of` (a risk factor, a
    curve, surface or underlying, or nothing more than the class), `move` (the unit), `value` (gain for that move, all factors of the row
    moving together), `gamma` (how much the value changes with one more such move; null where a row has several factors, whose
    cross terms are not known) and `factors`, how many it has. What is exactly zero has no row. total : the same for all groups together.
    """

    query: GreeksQuery
    rows: pa.Table
    total: pa.Table
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def greek_of(factor: RiskFactor) -> tuple[str, float]:
    """Which sensitivity a factor has, and its unit in levels of the factor that move absolutely, or as a fraction of the level."""
    if factor.type == "recovery_rate":
        return "recovery01", GREEKS["recovery01"][1]
    if factor.type == "normal_vol":
        return "vega", 1e-4
    if factor.type == "rate_future":
        return "pv01", -100.0 * 1e-4  # a price of 100 less the rate
    if factor.type == "price_index":
        return "delta", GREEKS["delta"][1]
    greek = _OF_CLASS.get(factor.risk_class, "delta")
    return greek, GREEKS[greek][1]


def _request(query: GreeksQuery) -> ValuationRequest:
    return ValuationRequest(
        as_of=query.as_of,
        positions_dates=(query.positions_date or query.as_of,),
        scenarios=ScenarioRequest(method="bumps", parameters={}, name=None, only_by_name=True),
    )


def _asked(query: GreeksQuery) -> tuple[str, ...]:
    return query.greeks or tuple(g for g in GREEKS if g != THETA)


def plan_bumped(session: Session, query: GreeksQuery) -> Plan:
    """What is left to value of the bumps of a day."""
    return plan_request(session, "bumps of every risk factor", _request(query))


def value_bumped(session: Session, query: GreeksQuery) -> GreeksQuery:
    """Values every contract under the bumps and stores it."""
    value_request(session, _request(query))
    return query


def bumps_inputs(session: Session, query: GreeksQuery) -> tuple[Inputs, RiskQuery]:
    """The stored valuation under bumps and the book, and the query that reads them; raises `NotValued` where it lacks."""
    sealed = sealed_by(plan_bumped(session, query))[0].valuation_set_id
    asked = RiskQuery(**{n: getattr(query, n) for n in BOOK}, valuation_set=sealed)
    return open_inputs(session.cache, asked), asked


def run_greeks(session: Session, query: GreeksQuery) -> Greeks:
    """The sensitivities; raises `NotValued` where the lake lacks the valuation, `BadInput` for more than half a million rows."""
    inputs, asked = bumps_inputs(session, query)
    selection = open_selection(inputs, asked, translation=query.translation)
    bumped = load_scenario_set(session.lake, inputs.valuation_set.scenario_set_id)
    wanted = [g for g in _asked(query) if g != THETA]
    targets = _targets(bumped, wanted, query.per)
    n_groups = selection.groups.n
    parts: list[pa.Table] = []
    found = 0
    portion = max(1, PNL_BYTES // (8 * inputs.n_scenarios))
    for first in range(0 if query.by else n_groups, n_groups + 1, portion):
        _, pnl = scenario_pnl(selection, first, min(portion, n_groups + 1 - first))
        parts.append(_rows(np.arange(first, first + len(pnl)), np.array(pnl), targets))
        found += parts[-1].num_rows
        if found > MOST_ROWS:
            raise BadInput(
                f"More than {MOST_ROWS:,} sensitivities. Narrow the filters, group less, or ask for those to curves or classes."
            )
    table = pa.concat_tables(parts)
    columns = coverage_columns(selection)
    coverage = total_coverage(columns)
    notes = _notes(coverage, selection, bumped)
    rolled = _theta(session, query) if THETA in _asked(query) else None
    total = _of_groups(None, table.filter(np.asarray(table["group"]) == n_groups), rolled)
    keyed = table.filter(np.asarray(table["group"]) < n_groups)
    return Greeks(
        query,
        _of_groups(selection.groups.keys, keyed, rolled) if query.by else total,
        total,
        coverage,
        {**name_inputs(inputs), "currency": query.currency},
        (*notes, *(() if rolled is None else rolled.notes)),
    )


@dataclass(frozen=True)
class _Targets:
    """Rows to make, in order: of each its names, and the factors (places in the bumped set) summed in it."""

    names: list[tuple[str, str, str | None, str]]  # greek, risk class, of, move
    factors: list[Ints]
    per_bump: Floats  # (n_factors,) unit of the sensitivity over the bump


def _targets(bumped: ScenarioSet, wanted: Sequence[str], per: str) -> _Targets:
    sizes = bump_sizes(bumped.index, bumped.base, bumped.definition)
    rows: dict[tuple[str, str, str | None, str], list[int]] = {}
    per_bump = np.zeros(len(sizes))
    for place, factor in enumerate(bumped.index.factors):
        greek, unit = greek_of(factor)
        if greek in wanted:
            relative = greek == "delta"
            per_bump[place] = unit * (abs(bumped.base[place]) if relative else 1.0) / sizes[place]
            move = "+1bp" if factor.type == "normal_vol" else GREEKS[greek][2]
            rows.setdefault((greek, factor.risk_class.value, _of(factor, per), move), []).append(place)
    order = sorted(rows, key=lambda r: (wanted.index(r[0]), r[1], r[2] or ""))
    return _Targets(order, [np.array(rows[r]) for r in order], per_bump)


def _of(factor: RiskFactor, per: str) -> str | None:
    if per == "class":
        return None
    return factor.risk_factor_id if per == "factor" else factor.curve or surface_of(factor) or factor.risk_factor_id


_SCHEMA = pa.schema(
    [
        ("group", pa.int64()),
        ("greek", pa.string()),
        ("risk_class", pa.string()),
        ("of", pa.string()),
        ("move", pa.string()),
        ("value", pa.float64()),
        ("gamma", pa.float64()),
        ("factors", pa.int64()),
    ]
)


def _rows(groups: Ints, pnl: Floats, targets: _Targets) -> pa.Table:
    """Those of the groups with P&L (n_groups, 2 n_factors) that are not zero."""
    up, down = pnl[:, 0::2], pnl[:, 1::2]
    first, second = 0.5 * (up - down) * targets.per_bump, difference(up, -down) * targets.per_bump**2
    values: Floats = np.zeros((len(groups), len(targets.names)))
    for target, places in enumerate(targets.factors):
        for place in places.tolist():  # in a fixed order
            values[:, target] += first[:, place]
    alone = np.array([len(f) == 1 for f in targets.factors], dtype=np.bool_)
    gamma = np.full(values.shape, np.nan)
    gamma[:, alone] = second[:, [int(f[0]) for f in targets.factors if len(f) == 1]] if alone.any() else 0.0
    moved = (values != 0.0) | (np.nan_to_num(gamma) != 0.0)
    row, column = np.nonzero(moved)
    names = [targets.names[c] for c in column.tolist()]
    return pa.table(
        {
            "group": groups[row],
            **{name: [n[k] for n in names] for k, name in enumerate(("greek", "risk_class", "of", "move"))},
            "value": values[row, column],
            "gamma": pa.array(gamma[row, column], from_pandas=True),
            "factors": np.array([len(f) for f in targets.factors], dtype=np.int64)[column],
        },
        schema=_SCHEMA,
    )


def _theta(session: Session, query: GreeksQuery) -> RollResult:
    return roll_forward(session.lake, _rolled(query), cache=session.cache)


def _rolled(query: GreeksQuery) -> RollRequest:
    return RollRequest(**{n: getattr(query, n) for n in BOOK}, horizons=("1D",), market="constant")


def _of_groups(keys: pa.Table | None, rows: pa.Table, rolled: RollResult | None) -> pa.Table:
    """The rows with the names of their groups, theta after the others of its group."""
    greeks = rows.drop_columns(["group"])
    named = greeks if keys is None else beside(keys.take(rows["group"]), greeks)
    if rolled is None:
        return named
    thetas = pa.Table.from_pylist(list(rolled.totals)) if keys is None else rolled.rows
    thetas = thetas.filter(pa.array([v is not None for v in thetas["pnl"].to_pylist()]))
    n = thetas.num_rows
    text = {"greek": THETA, "risk_class": None, "of": None, "move": GREEKS[THETA][2]}
    more = pa.table(
        {
            **{name: pa.array([v] * n, pa.string()) for name, v in text.items()},
            "value": thetas["pnl"],
            "gamma": pa.nulls(n, pa.float64()),
            "factors": pa.array([0] * n, pa.int64()),
        }
    )
    if keys is None:
        return pa.concat_tables([named, more])
    by = keys.column_names
    both = pa.concat_tables([named, beside(thetas.select(by), more).cast(named.schema)])
    order = {tuple(k.values()): i for i, k in enumerate(keys.to_pylist())}
    places = [order[tuple(r[b] for b in by)] for r in both.select(by).to_pylist()]
    return both.take(pa.array(np.argsort(places, kind="stable")))


def beside(left: pa.Table, right: pa.Table) -> pa.Table:
    """The columns of both."""
    return pa.table([*left.columns, *right.columns], names=[*left.column_names, *right.column_names])


def _notes(coverage: Coverage, selection: Selection, bumped: ScenarioSet) -> list[str]:
    sizes = bumped.definition
    how = (
        f"Central differences of full valuations: prices {sizes['price']:.2%} of their level, rates {sizes['rate'] * 1e4:g}bp, "
        f"volatilities {sizes['volatility'] * 100:g} points up and down."
    )
    return [*lacking_notes(coverage, selection, "no sensitivities"), how]


def price_of_greeks(session: Session, query: GreeksQuery) -> float:
    """Of P&L under a bump of each risk factor up and down, and of a row of each; with theta of a day's roll."""
    size = size_of(session, query, scenarios=2 * session.lake.count("risk_factors"))
    rolled = price_of_roll(session, _rolled(query)) if THETA in _asked(query) else 0.0
    return size.planning + size.seconds(passes=2, a_group=SECONDS_A_RANK * size.scenarios) + rolled


GREEKS_QUESTION = Question(
    GreeksQuery,
    run_greeks,
    {"as_of": "2020-03-16", "by": ["desk"], "per": "class"},
    plan_bumped,
    value_bumped,
    price=price_of_greeks,
)
