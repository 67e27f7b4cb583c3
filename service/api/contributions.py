"""What makes up a VaR or ES: contributions by any dimension, by risk class, and parametric VaR by risk factor."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from flask import Response
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic.fields import FieldInfo

from aggregation.contributions.contributions import ContributionQuery, Figure, Form, run_contributions
from aggregation.contributions.parametric import ParametricQuery, run_parametric
from aggregation.contributions.risk_classes import missing_classes, run_risk_classes
from aggregation.contributions.sensitivities import Gamma
from aggregation.measures import MEASURES
from aggregation.types import Level, RiskQuery
from lake.dates import Day
from service.api.answers import json_answer, table_answer, tabular
from service.api.context import context
from service.api.document import blueprint
from service.api.models import Answer, CoverageAnswer, JobAnswer
from service.api.requests import Body, FilterText, TableParameters, whole
from service.api.risk import DimensionName, RiskQuestion, VarParameters
from service.api.valuations import job_fields
from service.jobs import VALUATION

MOST_VALUATIONS = 5_000_000  # while a client waits: a few seconds

api = blueprint("contributions", __name__, __doc__)

_SPLIT = [m.name for m in MEASURES.values() if m.tail_weights is not None and m.of_money and not m.additive]
SplitMeasure = Annotated[str, WithJsonSchema({"type": "string", "enum": _SPLIT})]


def _field(name: str, **limits: Any) -> Any:
    """The default, limits and description a field has in `ContributionQuery`, and further limits."""
    return FieldInfo.merge_field_infos(ContributionQuery.model_fields[name], Field(**limits))


def _parametric(name: str, **limits: Any) -> Any:
    """The same for a field of `ParametricQuery`."""
    return FieldInfo.merge_field_infos(ParametricQuery.model_fields[name], Field(**limits))


class Asked(BaseModel):
    """What a question about contributions has besides one about risk, and where it is narrower."""

    measures: tuple[SplitMeasure, ...] = _field("measures", max_length=1, description="the one measure to split")
    levels: tuple[Level, ...] = _field("levels", max_length=1, description="its one confidence level")
    form: Form = _field("form")
    figures: tuple[Figure, ...] = _field("figures", max_length=len(get_args(Figure)))
    top: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(whole)] | None = _field("top")


class ContributionParameters(Asked, VarParameters):
    def asked(self) -> ContributionQuery:
        return ContributionQuery(
            **{name: getattr(self, name) for name in ContributionQuery.model_fields if hasattr(self, name)}
        )


class ContributionBody(Asked, Body, RiskQuestion):
    """What contributes to one measure at one level."""

    def asked(self) -> ContributionQuery:
        return ContributionQuery(
            **{name: getattr(self, name) for name in ContributionQuery.model_fields if hasattr(self, name)}
        )


class ContributionAnswer(Answer):
    query: ContributionQuery
    rows: list[dict[str, Any]] = Field(description="a row a group: the group, its coverage, its contributions")
    total: dict[str, Any] = Field(description="all groups together; the components of the rows add up to its component")
    coverage: CoverageAnswer
    grid: float = Field(description="every component is a multiple of this power of two, so that any sum is exact")
    residual: float = Field(
        description="rounding between the components and the measure, carried by the greatest position"
    )
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


@api.get("/contributions", responses={200: ContributionAnswer})
@tabular
def contributions(query: ContributionParameters) -> Response:
    """What makes up a VaR or ES, by any combination of dimensions: parts that add up to it, standalone, marginal, incremental.

    CSV and Arrow hold the rows. Arrow carries the rest as JSON in the metadata of its schema.
    """
    return _answer(query.asked())


@api.post("/contributions", responses={200: ContributionAnswer})
@tabular
def query_contributions(body: ContributionBody) -> Response:
    """The same question as a JSON body, for long filters."""
    return _answer(body.asked())


def _answer(question: ContributionQuery) -> Response:
    here = context()
    result = run_contributions(here.lake, question, cache=here.cache)
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=f"contributions-{question.as_of}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity=result.receipt,
    )


class ParametricParameters(TableParameters):
    """A question about parametric VaR or ES."""

    as_of: Day = _parametric("as_of")
    by: tuple[DimensionName, ...] = _parametric("by", max_length=16)
    where: tuple[FilterText, ...] = _parametric("where")
    measure: Literal["var", "es"] = _parametric("measure")
    level: Level = _parametric("level")
    gamma: Gamma = _parametric("gamma")
    mean: Literal["removed", "zero"] = _parametric("mean")
    currency: str = _parametric("currency")
    positions_date: Day | None = _parametric("positions_date")
    scenario_set: str | None = _parametric("scenario_set")
    valuation_set: str | None = _parametric("valuation_set")


class ParametricBody(Body, ParametricQuery):
    """Whose risk, by sensitivities: one measure at one level."""

    by: tuple[DimensionName, ...] = _parametric("by", max_length=16)


class ParametricAnswer(Answer):
    query: ParametricQuery
    rows: list[dict[str, Any]] = Field(description="a row a group: its coverage and its delta-normal figures")
    total: dict[str, Any] = Field(
        description="the whole: delta-normal, delta-gamma moments, Cornish-Fisher, historical"
    )
    factors: list[dict[str, Any]] = Field(description="a row a risk factor: move, sd, delta, gamma and component")
    coverage: CoverageAnswer
    failures: list[dict[str, Any]] = Field(description="the contracts that have no value, and why")
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


@api.get("/parametric", responses={200: ParametricAnswer})
@tabular
def parametric(query: ParametricParameters) -> Response:
    """VaR or ES from sensitivities and the covariance of the scenarios' moves, by group and by risk factor.

    Values the book in bumped markets while you wait, as far as that is quick, and stores nothing. CSV and Arrow hold the
    rows of the groups.
    """
    return _parametric_answer(ParametricQuery(**query.model_dump(exclude={"format"})))


@api.post("/parametric", responses={200: ParametricAnswer})
@tabular
def query_parametric(body: ParametricBody) -> Response:
    """The same question as a JSON body, for long filters."""
    return _parametric_answer(ParametricQuery(**body.model_dump()))


def _parametric_answer(question: ParametricQuery) -> Response:
    here = context()
    result = run_parametric(here.lake, question, cache=here.cache, most=MOST_VALUATIONS)
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=f"parametric-{question.as_of}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity=result.receipt,
    )


class RiskClassBody(Body, RiskQuestion):
    """Whose risk, by risk class."""


class RiskClassAnswer(Answer):
    query: RiskQuery
    rows: list[dict[str, Any]] = Field(description="a row a group and risk class, and a row a group for all together")
    totals: dict[str, dict[str, Any]] = Field(description="all groups, by risk class, and all classes together")
    diversification: dict[str, float | None] = Field(description="sum of the classes minus all together, by figure")
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    receipts: dict[str, dict[str, Any]] = Field(description="the receipt of each class's own answer")
    notes: list[str]


class ClassJobs(Answer):
    """The jobs that value what is missing; ask again when they are done."""

    jobs: dict[str, JobAnswer] = Field(description="by risk class")


@api.post("/risk-classes", responses={200: RiskClassAnswer, 202: ClassJobs})
@tabular
def risk_classes(body: RiskClassBody) -> Response:
    """VaR and ES by risk class, each shocked alone: at once where all are valued, else the jobs that value what is missing.

    Standalone figures, which do not add up. CSV and Arrow hold the rows.
    """
    here, question = context(), body.question()
    lacking = missing_classes(here.cache, question)
    if lacking:
        jobs = {c: here.jobs.submit(VALUATION, r.model_dump(mode="json"))[0] for c, r in lacking.items()}
        return json_answer({"jobs": {c: job_fields(job) for c, job in jobs.items()}}, 202)
    result = run_risk_classes(here.lake, question, cache=here.cache)
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=f"risk-classes-{question.as_of}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity=result.receipt,
    )
