"""Two points opened for an explanation: both sides measured, their scenarios, trades and members matched."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.book.filters import select
from aggregation.change.pairing import Common, Members, Pairing, common_scenarios, merge_groups, pair, pairing_key
from aggregation.kernels import change_effects as effects
from aggregation.measures import AskedMeasure, asked_measures
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.reduce.coverage import coverage_columns, total_coverage
from aggregation.reduce.grouping import group_by
from aggregation.reduce.selection import Selection, open_selection, rates, scenario_pnl
from aggregation.risk.query import risk_price, stated_horizon
from aggregation.session import Session
from aggregation.types import Coverage, RiskQuery, TwoPoints
from lake.arrays import Bools, Codes, Floats
from lake.errors import BadInput
from lake.tables import Lake
from scenarios.types import MissingRiskFactor

# what two questions must agree in for their difference to have a meaning; dates, sets and branches may differ
ALIKE = (
    *("by", "where", "measures", "levels", "currency", "estimator"),
    *("tail", "thresholds", "scale_to_days", "interval"),
)


@dataclass(frozen=True)
class Side:
    """One point of an explanation. pnl : (n_scenarios,) of all that is held, in the reporting currency, gains positive.

    value : the measure, zero where nothing is held. weights : (n_scenarios,) of each scenario in it. common_weights :
    (n_common,) of the common scenarios in the measure taken over them alone.
    """

    inputs: Inputs
    selection: Selection
    pnl: Floats
    value: float
    weights: Floats
    common_weights: Floats

    @functools.cached_property
    def coverage(self) -> Coverage:
        return total_coverage(coverage_columns(self.selection))

    @property
    def holds(self) -> bool:
        return bool(self.selection.counts[-1, 0])


@dataclass(frozen=True)
class Comparison:
    """Two points with everything the cells, the drill and the intervals are made of."""

    question: tuple[RiskQuery, RiskQuery]
    asked: AskedMeasure
    sides: tuple[Side, Side]
    common: Common
    pairing: Pairing
    members: Members
    kernel: tuple[Any, Any, Any]  # both `effects.UnitVectors` and the `effects.Shared`

    @property
    def held(self) -> tuple[effects.Held, effects.Held]:
        """The positions of both points, in groups numbered together."""
        p, m = self.pairing, self.members
        made = []
        for side, number, contract, partner in zip(
            self.sides, (m.before, m.after), (p.of_before, p.of_after), (p.partner_before, p.partner_after), strict=True
        ):
            group = side.selection.groups.group
            numbers = np.append(number, -1).astype(np.int32)  # the last for what is filtered out
            made.append(effects.Held(numbers[group], contract, partner, side.inputs.book.quantity))
        return made[0], made[1]

    @property
    def valued(self) -> tuple[Bools, Bools]:
        """Which contracts of the pairing have a value at either point."""
        before, after, _ = self.kernel
        return before.row >= 0, after.row >= 0


def compared(
    lake: Lake,
    query_from: RiskQuery,
    query_to: RiskQuery,
    *,
    cache: VectorCache | None = None,
    threads: int | None = None,
) -> Comparison:
    """Opens and measures both points; raises as `explain` does."""
    question = (query_from, query_to)
    check_alike(*question)
    asked = _asked(query_from)
    cache = cache or VectorCache(lake)
    inputs = (open_inputs(cache, query_from), open_inputs(cache, query_to))
    check_like_inputs(*inputs)
    if query_from.scale_to_days is not None:
        asked = asked.over(stated_horizon(inputs[0]))
    common = common_scenarios(*inputs)
    selections = select_both(inputs, question)
    sides = tuple(
        _side(i, s, places, asked, threads)
        for i, s, places in zip(inputs, selections, (common.before, common.after), strict=True)
    )
    pairing = cache.keep(pairing_key(*inputs), lambda: pair(*inputs))
    groups = [s.groups for s in selections]
    members = merge_groups(groups[0].keys, groups[1].keys, groups[0].n, groups[1].n)
    kernel = _kernel(sides, pairing, common, query_from.currency)
    return Comparison(question, asked, (sides[0], sides[1]), common, pairing, members, kernel)


def check_alike(one: RiskQuery, two: RiskQuery) -> None:
    """Raises `BadInput` where two questions differ in more than dates and sets."""
    for name in ALIKE:
        a, b = getattr(one, name), getattr(two, name)
        if a != b:
            raise BadInput(
                f"Only like is compared with like: {name} is {in_words(a)} on one side and {in_words(b)} on the other."
            )


def check_like_inputs(one: Inputs, two: Inputs) -> None:
    """Raises `BadInput` where two valuations differ in horizon or in the risk classes they shock."""
    sets = one.valuation_set, two.valuation_set
    for name, a, b in (
        ("horizon_days", one.scenarios.horizon_days, two.scenarios.horizon_days),
        ("risk_classes", *(s.shocked_classes for s in sets)),
    ):
        if a != b:
            raise BadInput(
                f"Only like is compared with like: {name} of the valuation sets is {in_words(a)} on "
                f"{sets[0].valuation_date} and {in_words(b)} on {sets[1].valuation_date}; name a scenario set or valuation "
                "set that both days have."
            )


def in_words(value: Any) -> str:
    """A value of a question in words."""
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "nothing"
    return str(value)


def _asked(query: RiskQuery) -> AskedMeasure:
    asked = asked_measures(query)
    if len(asked) != 1:
        raise BadInput(
            f"One measure at one level is explained at a time; {in_words(query.measures)} at {in_words(query.levels)} were given."
        )
    return asked[0]


def select_both(inputs: Sequence[Inputs], question: Sequence[RiskQuery]) -> list[Selection]:
    """The selections of both points; where a filter keeps nothing on one of them, that one holds nothing.

    Raises `BadInput` where the filter keeps nothing on either.
    """
    held = holding(inputs, question)
    return [
        open_selection(i, q) if some else nothing_held(i, q) for some, i, q in zip(held, inputs, question, strict=True)
    ]


def holding(inputs: Sequence[Inputs], question: Sequence[RiskQuery]) -> list[bool]:
    """Whether anything passes the filter at each point; raises `BadInput` where nothing does at either."""
    held: list[bool] = []
    for i, query in zip(inputs, question, strict=True):
        try:
            select(i.book, query.where)
            held.append(True)
        except BadInput as error:
            held.append(False)
            refused = error
    if not any(held):
        raise refused
    return held


def nothing_held(inputs: Inputs, query: RiskQuery) -> Selection:
    """The selection of a filter that no position passes."""
    keep = np.zeros(inputs.book.n_positions, dtype=np.bool_)
    groups = group_by(inputs.book, query.by, keep)
    return Selection(inputs, keep, groups, np.zeros((1, 3), dtype=np.int64), rates(inputs, (), query.currency))


def _side(inputs: Inputs, selection: Selection, common: Codes, asked: AskedMeasure, threads: int | None) -> Side:
    n = inputs.n_scenarios
    if not selection.counts[-1, 0]:
        return Side(inputs, selection, np.zeros(n), 0.0, np.zeros(n), np.zeros(len(common)))
    pnl = scenario_pnl(selection, selection.groups.n, 1, threads)[1]
    shared = np.zeros(len(common))
    given = None if inputs.weights is None else inputs.weights[common]
    if len(common) and (given is None or given.any()):
        shared = asked.tail_weights(pnl[:, common], given)[0]
    value, weights = asked.values(pnl, inputs.weights), asked.tail_weights(pnl, inputs.weights)
    return Side(inputs, selection, pnl[0], float(value[0]), weights[0], shared)


def _kernel(sides: Sequence[Side], pairing: Pairing, common: Common, currency: str) -> tuple[Any, Any, Any]:
    rows = (pairing.row_before, pairing.row_after)
    made: list[effects.UnitVectors] = []
    for side, row, places in zip(sides, rows, (common.before, common.after), strict=True):
        vectors = side.inputs.vectors
        fx, fx_base = _every_rate(side, row, currency)
        priced = np.where(row >= 0, np.isfinite(fx_base)[vectors.currency[np.maximum(row, 0)]], False)
        shared = np.zeros(side.inputs.n_scenarios)
        shared[places] = side.common_weights
        # the window's own effect: towards the common scenarios at the first point, away from them at the second
        moved = shared - side.weights if not made else side.weights - shared
        tail, window = np.flatnonzero(side.weights), np.flatnonzero(moved)
        made.append(
            effects.UnitVectors(
                np.where(priced, row, -1).astype(np.int32),
                vectors.rows,
                vectors.base,
                vectors.currency,
                fx,
                fx_base,
                tail.astype(np.int32),
                side.weights[tail],
                window.astype(np.int32),
                moved[window],
            )
        )
    w0, w1 = (s.common_weights for s in sides)
    here = np.flatnonzero((w0 != 0.0) | (w1 != 0.0))
    shared_tail = effects.Shared(common.before[here], common.after[here], w0[here], w1[here])
    return made[0], made[1], shared_tail


def _every_rate(side: Side, row: Any, currency: str) -> tuple[Floats, Floats]:
    """Rates of every currency in which a contract of either book has a value here; NaN where the market has none.

    What is held here has a rate. A contract that only the other point holds and that cannot be converted here counts as not
    valued here.
    """
    inputs = side.inputs
    vectors = inputs.vectors
    codes = np.unique(vectors.currency[row[row >= 0]])
    fx = np.full((len(vectors.currencies), inputs.n_scenarios), np.nan)
    fx_base = np.full(len(vectors.currencies), np.nan)
    held = [vectors.currencies[c] for c in codes]
    try:
        found = rates(inputs, held, currency)
        fx[codes], fx_base[codes] = found.scenarios[codes], found.base[codes]
    except MissingRiskFactor:
        for code, name in zip(codes, held, strict=True):
            try:
                one = rates(inputs, [name], currency)
            except MissingRiskFactor:
                continue
            fx[code], fx_base[code] = one.scenarios[code], one.base[code]
    return fx, fx_base


def place(inputs: Inputs) -> str:
    """A point in a few words."""
    day, book = inputs.valuation_set.valuation_date, inputs.book.positions_date
    return f"{day}" if day == book else f"{day} with the book of {book}"


def price_of_points(session: Session, query: TwoPoints) -> float:
    """The price of a question at two points: of both answers, and as much again to put them side by side."""
    return 2 * sum(risk_price(session, point) for point in query.points())
