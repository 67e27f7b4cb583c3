"""The question why a measure changed between two points, from stored vectors or along an attribution path."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aggregation.change.attribution_path import (
    COORDINATES,
    AttributionPathResult,
    explain_through,
    plan_attribution_path,
    plan_between,
    value_intermediate,
)
from aggregation.change.cause_drill import DRILL_ROWS, CauseDrillResult, drill, parse_cell
from aggregation.change.explain import ExplainResult, explained
from aggregation.change.sides import compared, price_of_points
from aggregation.on_demand import plan_points, value_points
from aggregation.question import Plan, Question
from aggregation.session import Session
from aggregation.types import Level, MeasureName, TwoPoints, Whole, or_text


class _OneMeasure(TwoPoints):
    measures: tuple[MeasureName, ...] = Field(
        ("var",), min_length=1, max_length=1, description="the one measure to explain"
    )
    levels: tuple[Level, ...] = Field(("0.99",), min_length=1, max_length=1, description="its one confidence level")


class ExplainQuery(_OneMeasure):
    """Two points, and how the change between them is shared out to causes."""

    method: Literal["causes", "sequential", "shapley"] = Field(
        "causes",
        description="causes: from stored vectors alone; sequential, shapley: along an attribution path of intermediate valuations",
    )


def _answer(session: Session, query: ExplainQuery) -> ExplainResult | AttributionPathResult:
    points = query.points()
    if query.method == "causes":
        return explained(compared(session.lake, *points, cache=session.cache))
    return explain_through(session.lake, *points, query.method, cache=session.cache)


def _plan(session: Session, query: ExplainQuery) -> Plan:
    ends = plan_points(session, query)
    if query.method == "causes" or not ends.ready:
        return ends
    return plan_between(plan_attribution_path(session.lake, *query.points(), query.method, session.cache))


def _value(session: Session, query: ExplainQuery) -> ExplainQuery:
    query = value_points(session, query)
    if query.method != "causes":
        path = plan_attribution_path(session.lake, *query.points(), query.method, session.cache)
        value_intermediate(session, path)
    return query


def _price(session: Session, query: ExplainQuery) -> float:
    """Along a path, of every corner that its coordinates have."""
    corners = {"causes": 1, "sequential": len(COORDINATES), "shapley": 1 << len(COORDINATES)}[query.method]
    return corners * price_of_points(session, query)


EXPLAIN = Question(
    ExplainQuery, _answer, {"from": "2020-02-14", "to": "2020-03-16", "by": ["desk"]}, _plan, _value, price=_price
)


class ExplainDrillQuery(_OneMeasure):
    """A cell of an explanation: a member by a cause."""

    cell: or_text(dict[str, str | None], lambda text: parse_cell([text]), "^.+=.*$") = Field(  # type: ignore[valid-type]
        default_factory=dict,
        description="the cell, such as desk=Rates,cause=amended; all members and causes of what is not named",
    )
    limit: Whole = Field(DRILL_ROWS, ge=1, le=100_000, description="rows shown; the others are added up")


def _drill(session: Session, query: ExplainDrillQuery) -> CauseDrillResult:
    comparison = compared(session.lake, *query.points(), cache=session.cache)
    return drill(comparison, explained(comparison), query.cell, query.limit)


EXPLAIN_DRILL = Question(
    ExplainDrillQuery,
    _drill,
    {"from": "2020-02-14", "to": "2020-03-16", "by": ["desk"], "cell": "cause=revaluation", "limit": 10},
    plan_points,
    value_points,
    price=price_of_points,
)
