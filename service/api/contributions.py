"""What makes up a VaR or ES: contributions by any dimension. Nothing is valued here."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from flask import Response
from pydantic import BaseModel, Field, WithJsonSchema
from pydantic.fields import FieldInfo

from aggregation.contributions import ContributionQuery, Figure, Form, run_contributions
from aggregation.measures import MEASURES
from aggregation.types import Level
from service.api.answers import table_answer, tabular
from service.api.context import context
from service.api.document import blueprint
from service.api.models import Answer, CoverageAnswer
from service.api.requests import Body
from service.api.risk import RiskQuestion, VarParameters

api = blueprint("contributions", __name__, __doc__)

_SPLIT = [m.name for m in MEASURES.values() if m.tail_weights is not None and m.of_money and not m.additive]
SplitMeasure = Annotated[str, WithJsonSchema({"type": "string", "enum": _SPLIT})]


def _field(name: str, **limits: Any) -> Any:
    """The default, limits and description a field has in `ContributionQuery`, and further limits."""
    return FieldInfo.merge_field_infos(ContributionQuery.model_fields[name], Field(**limits))


class Asked(BaseModel):
    """What a question about contributions has besides one about risk, and where it is narrower."""

    measures: tuple[SplitMeasure, ...] = _field("measures", max_length=1, description="the one measure to split")
    levels: tuple[Level, ...] = _field("levels", max_length=1, description="its one confidence level")
    form: Form = _field("form")
    figures: tuple[Figure, ...] = _field("figures", max_length=len(get_args(Figure)))
    top: int | None = _field("top")


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
