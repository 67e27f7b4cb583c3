"""Why a VaR or ES changed between two points, by dimension and cause. Nothing is valued here."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from aggregation.change import attribution_path as lattice
from aggregation.change import cause_drill
from aggregation.change.attribution_path import LatticeResult
from aggregation.change.explain import ExplainResult, explained
from aggregation.change.sides import compared
from aggregation.kernels.change_effects import CAUSES
from aggregation.measures import MEASURES
from aggregation.types import Level, RiskQuery
from service.api import models
from service.api.answers import json_answer, table_answer, tabular
from service.api.context import context
from service.api.document import blueprint
from service.api.models import Answer
from service.api.requests import Body, WholeNumber
from service.api.risk import CompareParameters, RiskQuestion

api = blueprint("explain", __name__, __doc__)

# a weighted sum of scenarios, and the tail of what is held
_SPLIT = [m.name for m in MEASURES.values() if m.tail_weights is not None and m.scales]
SplitMeasure = Annotated[str, WithJsonSchema({"type": "string", "enum": _SPLIT})]
Method = Literal["identity", "sequential", "shapley"]
Through = Literal["sequential", "shapley"]
_METHOD: Any = Field(
    "identity",
    description="identity: from stored vectors alone; sequential, shapley: through the points between, which must be valued",
)


class OneMeasure(BaseModel):
    """Where a question that is explained is narrower than one about risk."""

    measures: tuple[SplitMeasure, ...] = Field(
        ("var",), min_length=1, max_length=1, description="the one measure to explain"
    )
    levels: tuple[Level, ...] = Field(("0.99",), min_length=1, max_length=1, description="its one confidence level")


class ExplainParameters(OneMeasure, CompareParameters):
    method: Method = _METHOD


class ExplainQuestion(OneMeasure, RiskQuestion):
    """One point: a date, a book, the sets it is read in, and what is measured."""


class TwoPoints(Body):
    """Two questions; they must agree in all but dates, sets and branches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_: ExplainQuestion = Field(alias="from", description="the first point")
    to: ExplainQuestion = Field(description="the second point")

    @property
    def points(self) -> tuple[RiskQuery, RiskQuery]:
        return self.from_.question(), self.to.question()


class ExplainBody(TwoPoints):
    method: Method = _METHOD


class ExplainPlanBody(TwoPoints):
    method: Through = Field("shapley", description="which explanation the points are for")


class DrillBody(TwoPoints):
    members: dict[str, str | None] = Field(
        default_factory=dict, max_length=16, description="member of each dimension of `by`; all of those not named"
    )
    cause: Literal[CAUSES] | None = Field(None, description="cause; default all")  # type: ignore[valid-type]
    limit: WholeNumber = Field(cause_drill.DRILL_ROWS, ge=1, le=100_000, description="rows; the others are added up")


class Interval(Answer):
    low: float | None = Field(description="lower end of the sampling interval; null where none was asked for")
    high: float | None
    within_error: bool | None = Field(description="whether the interval holds zero")


class CauseRow(Interval):
    cause: str
    value: float = Field(description="what the measure changed by for this cause, losses positive")
    meaning: str


class CornerRow(Answer):
    changed: list[str] = Field(description="which coordinates are those of the second point")
    positions_date: dt.date | None
    valuation_date: dt.date
    scenario_set: str
    valuation_set: str | None = Field(description="null where it is not valued")
    measure: float | None = Field(None, description="the measure there")


class ExplainAnswer(Answer):
    """`after - before` is the sum of all cells, a row's member by a cause, up to `residual`."""

    from_: RiskQuery = Field(alias="from")
    to: RiskQuery
    method: Method
    measure: str = Field(description="measure and level")
    before: float
    after: float
    change: float
    residual: float = Field(description="what the cells leave unexplained: rounding, below 1e-9 of the largest figure")
    change_interval: Interval
    causes: list[CauseRow]
    rows: list[dict[str, Any]] = Field(
        description="a row a member: its part of the measure before and after, its change, and a column a cause"
    )
    common_scenarios: int | None = Field(None, description="scenarios that both points have")
    coverage: list[models.CoverageAnswer] | None = Field(None, description="of both points")
    revaluation: list[str] | None = Field(None, description="what changed about the valuation of a unit")
    corners: list[CornerRow] | None = Field(None, description="the points between")
    receipt: dict[str, Any]
    notes: list[str]


class DrillAnswer(Answer):
    cell: dict[str, str | None]
    rows: list[dict[str, Any]] = Field(description="the largest parts, a row a trade and scenario and cause")
    value: float = Field(description="the cells together")
    parts: int = Field(description="how many parts there are")
    others: float = Field(description="what the parts that are not shown add up to")


class MissingValuation(Answer):
    request: dict[str, Any] = Field(description="body of POST /valuations that values it")
    plan: models.Plan


class ExplainPlanAnswer(Answer):
    method: Through
    coordinates: list[str] = Field(description="what differs between the two points")
    corners: list[CornerRow]
    missing: list[MissingValuation]
    expected_core_seconds: float


@api.get("/explain", responses={200: ExplainAnswer})
@tabular
def explain_days(query: ExplainParameters) -> Response:
    """Why VaR or ES changed between two days, by member and cause, adding up exactly.

    CSV and Arrow hold the rows. Arrow carries the rest as JSON in the metadata of its schema.
    """
    return _answer(query.question(query.from_), query.question(query.to), query.method)


@api.post("/explain", responses={200: ExplainAnswer})
@tabular
def explain_points(body: ExplainBody) -> Response:
    """Why VaR or ES differs between two points: dates, books, valuation sets, scenario sets or branches."""
    return _answer(*body.points, body.method)


@api.post("/explain/drill", responses={200: DrillAnswer})
@tabular
def drill_explanation(body: DrillBody) -> Response:
    """A cell of an explanation as trades and scenarios, with weights and P&L on both sides, that add up to it."""
    comparison = compared(context().lake, *body.points, cache=context().cache)
    cell = {**body.members, **({} if body.cause is None else {"cause": str(body.cause)})}
    found = cause_drill.drill(comparison, explained(comparison), cell, body.limit)
    about = found.to_dict()
    return table_answer(
        found.rows,
        lambda: about,
        name="explain-drill",
        metadata={k: v for k, v in about.items() if k != "rows"},
    )


@api.post("/explain/plan", responses={200: ExplainPlanAnswer})
def plan_explanation(body: ExplainPlanBody) -> Response:
    """The points between two that an explanation goes through, which are not valued, and what they cost; runs nothing."""
    here = context()
    return json_answer(lattice.lattice_plan(here.lake, *body.points, body.method, here.cache).to_dict())


def _answer(one: RiskQuery, two: RiskQuery, method: Method) -> Response:
    here = context()
    result: ExplainResult | LatticeResult
    if method == "identity":
        result = explained(compared(here.lake, one, two, cache=here.cache))
    else:
        result = lattice.explain_through(here.lake, one, two, method, cache=here.cache)
    about = {"method": method, **result.to_dict()}
    return table_answer(
        result.rows,
        lambda: about,
        name=f"explain-{one.as_of}-{two.as_of}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity=about["receipt"],
    )
