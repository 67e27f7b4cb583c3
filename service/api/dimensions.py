"""Cross tables, drill-through, and what a book can be grouped by. Nothing is valued here."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import pyarrow as pa
from flask import Response, request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.fields import FieldInfo

from aggregation.dimensions import dimensions_of
from aggregation.measures import MEASURES
from aggregation.risk.drill import DrillQuery, DrillResult, Order, Per, run_drill
from aggregation.risk.pivot import PivotQuery, run_pivot
from aggregation.types import Filter, Level, Tail, Threshold
from lake.dates import Day
from lake.errors import BadInput, Issue
from lake.schemas import HIERARCHIES, TABLES
from lake.tables import NEVER_WRITTEN, Lake
from service.api.answers import page_answer, table_answer, tabular
from service.api.context import context
from service.api.document import blueprint
from service.api.models import Answer, CoverageAnswer, page_model, row_model
from service.api.paging import MOST_ROWS
from service.api.requests import Body, FilterText, TableParameters, whole
from service.api.risk import DimensionName, EstimatorName, Limit, MeasureName
from service.operations import vector_cache

api = blueprint("dimensions", __name__, __doc__)

_SUMS = [m.name for m in MEASURES.values() if m.tail_weights is not None and not m.needs_threshold]
SumMeasure = Annotated[str, WithJsonSchema({"type": "string", "enum": _SUMS})]
Days = Annotated[int, Field(ge=1, le=250), BeforeValidator(whole)]
PageLimit = Annotated[int, Field(ge=1, le=MOST_ROWS), BeforeValidator(whole)]
_CURSOR = "^[A-Za-z0-9_-]{8,}$"


def _pivot(name: str, **limits: Any) -> Any:
    """The default, limits and description a field has in `PivotQuery`, and further limits."""
    return FieldInfo.merge_field_infos(PivotQuery.model_fields[name], Field(**limits))


def _drill(name: str, **limits: Any) -> Any:
    """The same for a field of `DrillQuery`."""
    return FieldInfo.merge_field_infos(DrillQuery.model_fields[name], Field(**limits))


class Node(BaseModel):
    """A node of a day's book, and how its risk is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: Day = _pivot("as_of")
    levels: tuple[Level, ...] = _pivot("levels", max_length=32)
    estimator: EstimatorName = _pivot("estimator")
    tail: Tail = _pivot("tail")
    scale_to_days: Days | None = _pivot("scale_to_days")
    currency: str = _pivot("currency")
    positions_date: Day | None = _pivot("positions_date")
    market_date: Day | None = _pivot("market_date")
    scenario_set: str | None = _pivot("scenario_set")
    valuation_set: str | None = _pivot("valuation_set")
    branch: str | None = _pivot("branch")


class Pivot(Node):
    """A cross table to be made."""

    measures: tuple[MeasureName, ...] = _pivot("measures", max_length=32)
    thresholds: tuple[Threshold, ...] = _pivot("thresholds", max_length=32)
    interval: Level | None = _pivot("interval")
    rows: tuple[DimensionName, ...] = _pivot("rows", max_length=16)
    columns: tuple[DimensionName, ...] = _pivot("columns", max_length=16)
    sort: tuple[str, ...] = _pivot("sort", max_length=16)
    limit: Limit | None = _pivot("limit")

    def question(self, where: tuple[Filter, ...]) -> PivotQuery:
        given = {name: getattr(self, name) for name in PivotQuery.model_fields if hasattr(self, name)}
        return PivotQuery(**{**given, "where": where})


class PivotParameters(TableParameters, Pivot):
    where: tuple[FilterText, ...] = Field(
        (), description="filter, such as desk=Rates,FX or book~EQ*; repeatable, all must hold"
    )


class PivotBody(Body, Pivot):
    """A cross table to be made."""

    where: tuple[Filter, ...] = _pivot("where")


class PivotAnswer(Answer):
    query: PivotQuery
    rows: list[dict[str, Any]] = Field(
        description="the table as it is read: a column for each member across and measure"
    )
    cells: list[dict[str, Any]] = Field(description="a row a cell or total, with its coverage and all its measures")
    total: dict[str, Any]
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]


@api.get("/pivot", responses={200: PivotAnswer})
@tabular
def pivot(query: PivotParameters) -> Response:
    """A cross table with the totals of rows, columns and all, each from its own net positions."""
    return _pivoted(query.question(query.where))


@api.post("/pivot", responses={200: PivotAnswer})
@tabular
def pivot_body(body: PivotBody) -> Response:
    """The same as a JSON body, for long filters."""
    return _pivoted(body.question(body.where))


def _pivoted(question: PivotQuery) -> Response:
    here = context()
    result = run_pivot(here.lake, question, cache=here.cache)
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=f"pivot-{question.as_of}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        identity={k: v for k, v in result.receipt.items() if k != "timings_ms"},
    )


class Drill(Node):
    """A node to look into."""

    measures: tuple[SumMeasure, ...] = _drill("measures", max_length=1, description="the measure whose tail is shown")
    levels: tuple[Level, ...] = _drill("levels", max_length=1)
    scenarios: tuple[str, ...] = _drill("scenarios")
    per: Per = _drill("per")
    order: Order = _drill("order")
    limit: PageLimit = Field(100, description="rows a page")
    cursor: str | None = Field(None, pattern=_CURSOR, description="next_cursor of the page before")

    def question(self, where: tuple[Filter, ...], first: int) -> DrillQuery:
        given = {name: getattr(self, name) for name in DrillQuery.model_fields if hasattr(self, name)}
        return DrillQuery(**{**given, "where": where, "first": first})


class DrillThroughParameters(TableParameters, Drill):
    where: tuple[FilterText, ...] = Field(
        (), description="filter, such as desk=Rates,FX or book~EQ*; repeatable, all must hold"
    )


class DrillThroughBody(Body, Drill):
    """A node to look into."""

    where: tuple[Filter, ...] = _drill("where")


class ScenarioOfNode(Answer):
    scenario: str
    weight: float = Field(description="its share in the measure; 0.2 where one of five scenarios counts in full")
    pnl: float | None = Field(description="P&L of the node in it, gains positive")


class DrillThroughAnswer(Answer):
    query: DrillQuery
    measure: str
    value: float | None = Field(
        description="the measure of the node; null where scenarios were named or nothing is covered"
    )
    rows: list[dict[str, Any]] = Field(
        description="a row a trade or contract: value, P&L by scenario, contribution, terms"
    )
    scenarios: list[ScenarioOfNode]
    count: int = Field(description="rows there are in all")
    coverage: CoverageAnswer
    receipt: dict[str, Any] = Field(description="every input of the numbers, by name and digest")
    notes: list[str]
    next_cursor: str | None = Field(description="the parameter cursor of the next page; null on the last")


@api.get("/drill", responses={200: DrillThroughAnswer})
@tabular
def drill(query: DrillThroughParameters) -> Response:
    """From a node to its trades or contracts, in the scenarios that make its number; in pages.

    All pages read the versions of the tables that the first one read.
    """
    return _drilled(query, query.where)


@api.post("/drill", responses={200: DrillThroughAnswer})
@tabular
def drill_body(body: DrillThroughBody) -> Response:
    """The same as a JSON body, for long filters; the cursor is a field of it."""
    return _drilled(body, body.where)


def _drilled(asked: Drill, where: tuple[Filter, ...]) -> Response:
    here = context()
    versions, first = _start(here.lake, asked.cursor)
    lake = here.lake.at(versions)
    result = run_drill(lake, asked.question(where, first), cache=vector_cache(here.settings, lake))
    about = {**result.to_dict(), "next_cursor": _next_cursor(result)}
    following = None
    if about["next_cursor"] is not None and request.method == "GET":
        arguments = [(k, v) for k, v in request.args.items(multi=True) if k != "cursor"]
        following = f"{request.path}?{urlencode([*arguments, ('cursor', about['next_cursor'])])}"
    return table_answer(
        result.rows,
        lambda: about,
        name=f"drill-{asked.as_of}",
        metadata={k: v for k, v in about.items() if k != "rows"},
        next_page=following,
    )


def _next_cursor(result: DrillResult) -> str | None:
    following = result.query.first + len(result.rows)
    if following >= result.count:
        return None
    text = json.dumps([result.receipt["table_versions"], following])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _start(lake: Lake, cursor: str | None) -> tuple[Mapping[str, int], int]:
    """Versions to read and the row to begin with; raises `BadInput` for a cursor that no page gave."""
    if cursor is None:
        return {}, 0
    try:
        versions, first = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        known = all(n in TABLES and NEVER_WRITTEN <= int(v) <= lake.version(n) for n, v in versions.items())
        if known and isinstance(first, int) and first > 0:
            return versions, first
    except (binascii.Error, ValueError, TypeError, AttributeError):
        pass
    message = (
        "This is not a cursor of a drill. Leave it out for the first page, then give the next_cursor of each page."
    )
    raise BadInput(message, issues=(Issue("/cursor", message, cursor[:80]),))


class DateParameters(TableParameters):
    as_of: Day = Field(description="positions date")


class BookDimensionRow(Answer):
    dimension: str
    members: int = Field(description="members it has on that date, the empty one counted")
    meaning: str


BookDimensions = page_model("BookDimensions", BookDimensionRow)
Hierarchies = page_model("Hierarchies", row_model("HierarchyRow", HIERARCHIES))


@api.get("/dimensions/of-date", responses={200: BookDimensions})
@tabular
def dimensions_of_date(query: DateParameters) -> Response:
    """What the book of a date can be grouped and filtered by: dimensions, attributes, levels of hierarchies."""
    here = context()
    book = here.cache.book(here.lake.snapshot("positions", "hierarchies"), query.as_of)
    return page_answer(pa.Table.from_pylist(dimensions_of(book.columns)), f"dimensions-{query.as_of}")


@api.get("/hierarchies", responses={200: Hierarchies})
@tabular
def hierarchies(query: TableParameters) -> Response:
    """The parents of every level of every hierarchy, with the dates on which they hold."""
    keys = [(k, "ascending") for k in HIERARCHIES.key]
    return page_answer(context().lake.read("hierarchies").sort_by(keys), "hierarchies")
