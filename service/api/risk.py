"""Risk of any day by any combination of dimensions, and the same on two days. Nothing is valued here."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.fields import FieldInfo

from aggregation.change.compare import compare
from aggregation.kernels.tail import ESTIMATORS
from aggregation.measures import MEASURES
from aggregation.risk.table import TableQuery, run_table
from aggregation.types import Level, RiskQuery, RiskResult, Tail, Threshold
from lake.dates import Day
from service.api import models
from service.api.answers import table_answer, tabular
from service.api.context import context
from service.api.document import blueprint
from service.api.requests import Body, FilterText, TableParameters, whole

api = blueprint("risk", __name__, __doc__)


def _as_in_query(name: str, **limits: Any) -> Any:
    """The default, limits and description a field has in `RiskQuery`, and further limits."""
    return FieldInfo.merge_field_infos(RiskQuery.model_fields[name], Field(**limits))


def _as_in_table(name: str, **limits: Any) -> Any:
    """The same for a field of `TableQuery`."""
    return FieldInfo.merge_field_infos(TableQuery.model_fields[name], Field(**limits))


DimensionName = Annotated[
    str,
    # one of DIMENSIONS, a level of a hierarchy, or an attribute
    WithJsonSchema({"type": "string", "pattern": r"^([a-z][a-z0-9_]{0,63}|attribute\..+)$"}),
]
MeasureName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(MEASURES)})]
EstimatorName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(ESTIMATORS)})]


class Names(BaseModel):
    """The names of a question, with what they may be, and how many of each."""

    by: tuple[DimensionName, ...] = _as_in_query("by", max_length=16)
    measures: tuple[MeasureName, ...] = _as_in_query("measures", max_length=32)
    levels: tuple[Level, ...] = _as_in_query("levels", max_length=32)
    estimator: EstimatorName = _as_in_query("estimator")
    tail: Tail = _as_in_query("tail")
    thresholds: tuple[Threshold, ...] = _as_in_query("thresholds", max_length=32)
    scale_to_days: Annotated[int, Field(ge=1, le=250), BeforeValidator(whole)] | None = _as_in_query("scale_to_days")
    interval: Level | None = _as_in_query("interval")


class QuestionParameters(TableParameters, Names):
    """What a question about one day and one about two have in common."""

    where: tuple[FilterText, ...] = Field(
        (), description="filter, such as desk=Rates,FX or book!=B1; repeatable, all must hold"
    )
    currency: str = _as_in_query("currency")
    scenario_set: str | None = _as_in_query("scenario_set")

    def question(self, as_of: Day) -> RiskQuery:
        given = {name: getattr(self, name) for name in RiskQuery.model_fields if hasattr(self, name)}
        return RiskQuery(**{**given, "as_of": as_of})


class VarParameters(QuestionParameters):
    as_of: Day = _as_in_query("as_of")
    positions_date: Day | None = _as_in_query("positions_date")
    market_date: Day | None = _as_in_query("market_date")
    valuation_set: str | None = _as_in_query("valuation_set")
    branch: str | None = _as_in_query("branch")


class RiskQuestion(Names, RiskQuery):
    """One question: whose risk, on which day, measured how."""

    def question(self) -> RiskQuery:
        return RiskQuery(**{name: getattr(self, name) for name in RiskQuery.model_fields})


Limit = Annotated[int, Field(ge=1), BeforeValidator(whole)]


class Layout(BaseModel):
    """How the rows of an answer are laid out."""

    subtotals: bool = _as_in_table("subtotals")
    sort: tuple[str, ...] = _as_in_table("sort", max_length=16)
    limit: Limit | None = _as_in_table("limit")
    bounds: bool = _as_in_table("bounds")


class VarTableParameters(VarParameters, Layout):
    def table(self) -> TableQuery:
        return _table(self.question(self.as_of), self)


class VarBody(Body, RiskQuestion, Layout):
    """One question: whose risk, on which day, measured how, and how its rows are laid out."""

    def table(self) -> TableQuery:
        return _table(self.question(), self)


def _table(question: RiskQuery, layout: Layout) -> TableQuery:
    given = {name: getattr(question, name) for name in RiskQuery.model_fields}
    return TableQuery(**given, **{name: getattr(layout, name) for name in Layout.model_fields})


class VarAnswer(models.RiskAnswer):
    query: RiskQuery | TableQuery


@api.get("/var", responses={200: VarAnswer})
@tabular
def var(query: VarTableParameters) -> Response:
    """Value-at-Risk and other measures of a day, by any combination of dimensions.

    CSV and Arrow hold the rows; without `by` the one row is the total. Arrow carries query, total, coverage, receipt and
    notes as JSON in the metadata of its schema.
    """
    return _answer(query.table())


@api.post("/var", responses={200: VarAnswer})
@tabular
def query_var(body: VarBody) -> Response:
    """The same question as a JSON body, for long filters."""
    return _answer(body.table())


class CompareParameters(QuestionParameters):
    from_: Day = Field(alias="from", description="the earlier date, valuation, market and positions")
    to: Day = Field(description="the later date, valuation, market and positions")


class CompareBody(Body):
    """Two questions; they must agree in all but dates and sets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_: RiskQuestion = Field(alias="from", description="what is subtracted")
    to: RiskQuestion = Field(description="what it is subtracted from")


@api.get("/compare", responses={200: models.ComparisonAnswer})
@tabular
def compare_days(query: CompareParameters) -> Response:
    """The same question on two days, and the difference by group."""
    return _compared(query.question(query.from_), query.question(query.to))


@api.post("/compare", responses={200: models.ComparisonAnswer})
@tabular
def compare_questions(body: CompareBody) -> Response:
    """Two questions that differ in dates or sets, and the difference by group."""
    return _compared(body.from_.question(), body.to.question())


def _compared(one: RiskQuery, two: RiskQuery) -> Response:
    here = context()
    result = compare(here.lake, one, two, cache=here.cache)
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=f"compare-{one.as_of}-{two.as_of}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity=[_identity(result.before), _identity(result.after)],
    )


def _answer(question: TableQuery) -> Response:
    here = context()
    result = run_table(here.lake, question, cache=here.cache)
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=f"var-{question.as_of}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity=_identity(result),
    )


def _identity(result: RiskResult) -> Any:
    """All that decides the numbers; the time they took does not."""
    return {k: v for k, v in result.receipt.items() if k != "timings_ms"}
