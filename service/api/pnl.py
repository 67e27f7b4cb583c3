"""Scenario P&L itself: of every scenario, of chosen ones, the worst of each group, or counted into a histogram."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from pydantic import BaseModel, BeforeValidator, Field
from pydantic.fields import FieldInfo

from aggregation.risk.scenario_pnl import PnlQuery, run_pnl
from lake.dates import Day
from service.api.answers import table_answer, tabular
from service.api.context import context
from service.api.document import blueprint
from service.api.models import Answer, CoverageAnswer
from service.api.requests import Body, FilterText, TableParameters, whole
from service.api.risk import DimensionName

api = blueprint("pnl", __name__, __doc__)


def _as_in_query(name: str, **limits: Any) -> Any:
    """The default, limits and description a field has in `PnlQuery`, and further limits."""
    return FieldInfo.merge_field_infos(PnlQuery.model_fields[name], Field(**limits))


class Names(BaseModel):
    """What is limited more than in the package."""

    by: tuple[DimensionName, ...] = _as_in_query("by", max_length=16)
    scenarios: tuple[str, ...] = _as_in_query("scenarios", max_length=1000)
    worst: Annotated[int, Field(ge=1), BeforeValidator(whole)] | None = _as_in_query("worst")
    histogram: Annotated[int, Field(ge=1, le=1000), BeforeValidator(whole)] | None = _as_in_query("histogram")


class PnlParameters(TableParameters, Names):
    as_of: Day = _as_in_query("as_of")
    where: tuple[FilterText, ...] = Field(
        (), description="filter, such as desk=Rates,FX or book!=B1; repeatable, all must hold"
    )
    currency: str = _as_in_query("currency")
    positions_date: Day | None = _as_in_query("positions_date")
    market_date: Day | None = _as_in_query("market_date")
    scenario_set: str | None = _as_in_query("scenario_set")
    valuation_set: str | None = _as_in_query("valuation_set")
    branch: str | None = _as_in_query("branch")


class PnlBody(Names, Body, PnlQuery):
    """Whose P&L, of which day, in which scenarios."""


class PnlAnswer(Answer):
    query: PnlQuery
    rows: list[dict[str, Any]] = Field(
        description="a row a group and scenario (or bin): the group, its status, scenario, probability, rank and pnl"
    )
    total: list[dict[str, Any]] = Field(description="the same rows for all positions together")
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


@api.get("/pnl", responses={200: PnlAnswer})
@tabular
def pnl(query: PnlParameters) -> Response:
    """P&L of each group in each scenario, a row each: all, chosen ones, the worst, or counted into a histogram.

    CSV and Arrow hold the rows; without `by` they are the total. Nothing is valued.
    """
    return _answer(query)


@api.post("/pnl", responses={200: PnlAnswer})
@tabular
def query_pnl(body: PnlBody) -> Response:
    """The same question as a JSON body, for long filters."""
    return _answer(body)


def _answer(asked: BaseModel) -> Response:
    here = context()
    query = PnlQuery(**{name: getattr(asked, name) for name in PnlQuery.model_fields})
    result = run_pnl(here.lake, query, cache=here.cache)
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=f"pnl-{query.as_of}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity=dict(result.receipt),
    )
