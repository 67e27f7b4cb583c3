"""A ladder: P&L, slope and VaR of any node over a grid of moves of one or two factors or classes, such as spot by volatility.

All of it is read from one valuation set: the rungs, and on every rung the scenarios of a set put onto the levels there
(`scenarios.derived.ladder`). VaR on a rung is the loss from the rung, not from today.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from aggregation.answer import Answer
from aggregation.measures import asked_measures
from aggregation.on_demand import plan_request, plan_scope, sealed_by, value_request, value_scope
from aggregation.opened.inputs import open_inputs
from aggregation.price import size_of
from aggregation.question import Plan, Question, together
from aggregation.receipts import name_inputs
from aggregation.reduce.coverage import coverage_columns, lacking_notes, total_coverage
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.risk.query import translation_notes
from aggregation.risk.sampling_error import SECONDS_A_RANK
from aggregation.session import Session
from aggregation.types import LABEL, Coverage, OneFigure, RiskQuery, Translated
from lake.arrays import Floats
from lake.dates import Day
from lake.errors import BadInput
from scenarios.requests import ScenarioRequest
from scenarios.store import load_scenario_set
from scenarios.stress import language
from scenarios.stress.apply import ladder_of
from scenarios.stress.language import amount_text
from scenarios.stress.model import Axis, Grid
from valuation.sets.requests import ValuationRequest

AXES = ("first", "second")


class LadderQuery(OneFigure, Translated):
    """Whose P&L, slopes and risk, over which moves."""

    as_of: Day = Field(description="valuation and market date; also the positions date unless that is given")
    axes: tuple[Annotated[str, Field(min_length=1, max_length=200), LABEL], ...] = Field(
        min_length=1,
        max_length=2,
        description="one or two ladders in the stress language, such as equity -20%..+20% step 10%",
    )
    risk: bool = Field(False, description="also the measure on every rung, which values a whole set on each")
    scenario_set: str | None = Field(
        None, description="scenario set whose moves give the measure; default the one that answers for as_of"
    )
    positions_date: Day | None = Field(None, description="date of the book, when not as_of")

    def standing(self) -> RiskQuery:
        """The question for the measure as it stands, whose scenarios are put onto the rungs."""
        asked = self.model_dump(include={"as_of", "by", "where", "currency", "scenario_set", "positions_date"})
        return RiskQuery(**asked, measures=(self.measure,), levels=(self.level,))


@dataclass(frozen=True)
class LadderResult(Answer):
    """rows : a row a group and rung, groups sorted, the first axis turning slowest: the `by` columns, `rung`, the amounts `first`
    and `second` of the axes, `pnl` (gains positive), `first_slope` and `second_slope` (P&L for one more unit of the axis: a
    central difference between neighbouring rungs, one-sided at the ends; null on an axis of one rung), and with risk the
    measure, losses positive. Null where nothing of the group is covered. total : the same rows for all groups together.
    units : the unit of each axis.
    """

    query: LadderQuery
    rows: pa.Table
    total: pa.Table
    axes: tuple[str, ...]
    units: tuple[str, ...]
    coverage: Coverage
    receipt: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def _axes(query: LadderQuery) -> list[Axis]:
    """The axes as the stress language reads them; raises `BadInput` that points at the character."""
    scenarios = language.parse(f"grid({', '.join(query.axes)})").scenarios
    steps = [step for s in scenarios for step in s.steps]
    if len(steps) != 1 or not isinstance(steps[0], Grid) or len(steps[0].axes) != len(query.axes):
        raise BadInput("A ladder is one or two axes, such as equity -20%..+20% step 10%; give each by itself.")
    return list(steps[0].axes)


def _request(session: Session, query: LadderQuery) -> ValuationRequest:
    _axes(query)
    moves = None
    if query.risk:
        moves = open_inputs(session.cache, query.standing()).valuation_set.scenario_set_id
    parameters = {"axes": list(query.axes), "moves": moves}
    return ValuationRequest(
        as_of=query.as_of,
        positions_dates=(query.positions_date or query.as_of,),
        scenarios=ScenarioRequest(method="ladder", parameters=parameters, name=None, only_by_name=True),
    )


def _plan(session: Session, query: LadderQuery) -> Plan:
    standing = plan_scope(session, query.standing()) if query.risk else Plan()
    if not standing.ready:
        return standing
    return together([standing, plan_request(session, " by ".join(query.axes), _request(session, query))])


def _value(session: Session, query: LadderQuery) -> LadderQuery:
    if query.risk:
        value_scope(session, query.standing())
    value_request(session, _request(session, query))
    return query


def run_ladder(session: Session, query: LadderQuery) -> LadderResult:
    """P&L, slopes and the measure on every rung; raises `NotValued` where the lake lacks the valuation."""
    axes = _axes(query)
    request = _request(session, query)
    sealed = sealed_by(plan_request(session, " by ".join(query.axes), request))[0].valuation_set_id
    standing = query.standing()
    asked = standing.model_copy(update={"valuation_set": sealed, "scenario_set": None})
    inputs = open_inputs(session.cache, asked)
    selection = open_selection(inputs, asked, translation=query.translation)
    n_groups, shape = selection.groups.n, tuple(a.size for a in axes)
    n = int(np.prod(shape))
    pnl = np.array(scenario_pnl(selection, 0, n_groups + 1)[1])
    columns = coverage_columns(selection)
    pnl[np.asarray(columns["covered"]) == 0] = np.nan
    at = pnl[:, :n]
    figures: dict[str, Floats] = {"pnl": at}
    amounts = [np.array(ladder_of(a)) for a in axes]
    for k, name in enumerate(AXES[: len(axes)]):
        figures[f"{name}_slope"] = _slope(at.reshape(n_groups + 1, *shape), amounts[k], k + 1).reshape(n_groups + 1, n)
    if query.risk:
        moves = load_scenario_set(session.lake, str(request.scenarios.parameters["moves"]))
        (measured,) = asked_measures(standing)
        on = pnl[:, n:].reshape((n_groups + 1) * n, moves.n_scenarios) - at.reshape(-1, 1)
        known = ~np.isnan(on).any(axis=1)
        risk = np.full(len(on), np.nan)
        risk[known] = measured.values(np.ascontiguousarray(on[known]), moves.weights)
        figures[measured.name] = risk.reshape(n_groups + 1, n)
    nodes = [g.ravel() for g in np.meshgrid(*amounts, indexing="ij")]
    labels = [
        ", ".join(amount_text(float(v), a.unit) for v, a in zip(node, axes, strict=True))
        for node in zip(*nodes, strict=True)
    ]
    coverage = total_coverage(columns)
    total = _rows(None, 1, labels, nodes, {k: v[-1:] for k, v in figures.items()})
    return LadderResult(
        query=query,
        rows=_rows(selection.groups.keys, n_groups, labels, nodes, {k: v[:-1] for k, v in figures.items()})
        if query.by
        else total,
        total=total,
        axes=query.axes,
        units=tuple(str(a.unit) for a in axes),
        coverage=coverage,
        receipt={**name_inputs(inputs), "currency": query.currency},
        notes=(
            *_notes(coverage, selection),
            *translation_notes(inputs, asked, query.translation, n),
        ),
    )


def _slope(values: Floats, amounts: Floats, axis: int) -> Floats:
    """P&L for one more unit of the axis: between the neighbours, at either end between it and its one neighbour."""
    if len(amounts) < 2:
        return np.full(values.shape, np.nan)
    v = np.moveaxis(values, axis, -1)
    slope = np.empty_like(v)
    slope[..., 1:-1] = (v[..., 2:] - v[..., :-2]) / (amounts[2:] - amounts[:-2])
    slope[..., 0] = (v[..., 1] - v[..., 0]) / (amounts[1] - amounts[0])
    slope[..., -1] = (v[..., -1] - v[..., -2]) / (amounts[-1] - amounts[-2])
    return np.moveaxis(slope, -1, axis)


def _rows(
    keys: pa.Table | None, n_groups: int, labels: list[str], nodes: list[Floats], figures: Mapping[str, Floats]
) -> pa.Table:
    n = len(labels)
    of_group = {}
    if keys is not None:
        taken = keys.take(pa.array(np.repeat(np.arange(n_groups), n)))
        of_group = dict(zip(taken.column_names, taken.columns, strict=True))
    return pa.table(
        {
            **of_group,
            "rung": labels * n_groups,
            **{name: np.tile(node, n_groups) for name, node in zip(AXES, nodes, strict=False)},
            **{name: pa.array(values.ravel(), from_pandas=True) for name, values in figures.items()},
        }
    )


def _notes(coverage: Coverage, selection: Selection) -> list[str]:
    synthetic = ["The market data is synthetic."] if selection.inputs.scenarios.synthetic else []
    return [*lacking_notes(coverage, selection, "no value on the ladder"), *synthetic]


def _price(session: Session, query: LadderQuery) -> float:
    """Of every rung, and on each of the scenarios that the measure takes."""
    rungs, moves = math.prod(a.size for a in _axes(query)), 0
    if query.risk:
        moves = size_of(session, query.standing()).scenarios
    size = size_of(session, query, scenarios=rungs * (1 + moves))
    return size.planning + size.seconds(passes=2, a_group=SECONDS_A_RANK * size.scenarios)


LADDER = Question(
    LadderQuery,
    run_ladder,
    {"as_of": "2020-03-16", "axes": ["equity -20%..+20% step 10%", "vol -5pt..+10pt step 5pt"], "by": ["desk"]},
    _plan,
    _value,
    price=_price,
)
