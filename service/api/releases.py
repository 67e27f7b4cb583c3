"""Results as released: the table that dashboards read, and releases into it; the versions of a market value."""

from __future__ import annotations

import datetime as dt

from flask import Response
from pydantic import ConfigDict, Field

from aggregation.change.released import released_of
from aggregation.release import ReleaseRequest
from aggregation.replay import receipt_in
from lake.dates import Day
from scenarios.market.value_versions import value_versions
from service.api import models
from service.api.context import check_signed, context
from service.api.document import blueprint
from service.api.requests import Body, TableParameters
from service.api.responses import page_answer, table_answer, tabular
from service.api.valuations import accepted
from service.encoding import to_rows
from service.jobs import RELEASE

api = blueprint("releases", __name__, __doc__)


class ReleaseBody(Body, ReleaseRequest):
    """A kept answer that is released; figures that were released as another number need a reason."""

    model_config = ConfigDict(title="ReleaseRequest")


class ReleasedParameters(TableParameters):
    date: Day = Field(description="date of the figures")
    every: bool = Field(False, description="earlier releases too; default the newest of each figure")


class ValueParameters(TableParameters):
    risk_factor_id: str = Field(description="risk factor, such as EQ:AAPL")
    date: Day = Field(description="date of the value")


class ReleasedRow(models.Answer):
    """A release of a figure."""

    date: dt.date
    question: str
    node: str = Field(description="path of the node, such as desk=Rates/book=B1; empty for all that is held")
    filters: str
    figure: str
    currency: str
    scenario_set: str
    release: int
    measure: str
    level: str | None
    value: float | None
    valuation_set_id: str
    positions: int
    covered: int
    status: str
    receipt_digest: str
    restates: str | None
    reason: str | None
    released_by: str
    approved_by: str | None
    released_at: dt.datetime
    code_version: str


class ValueVersionRow(models.Answer):
    """A version of a market value."""

    version: int
    stored_at: dt.datetime
    change: str = Field(description="new, changed or removed")
    value_used: float | None
    value_received: float | None
    status: str
    rule: str
    source: str
    file: str | None
    run_id: str | None


ReleasedResults = models.page_model("ReleasedResults", ReleasedRow)


class ValueVersions(models.Answer):
    """The versions of a market value, on one page."""

    rows: list[ValueVersionRow] = Field(description="the versions, oldest first")
    next_cursor: None = Field(None, description="null: there is no other page")
    notes: list[str] = Field(description="on versions that are no longer in the lake")


@api.get("/released-results", responses={200: ReleasedResults})
@tabular
def released_results(query: ReleasedParameters) -> Response:
    """The figures released of a date, by node and figure."""
    return page_answer(released_of(context().lake, query.date, every=query.every), "released-results")


@api.post("/released-results", responses={202: models.JobAnswer})
def release(body: ReleaseBody) -> Response:
    """Queue a release; the answer is the job, whose result says how many figures are new, restated and unchanged."""
    receipt_in(body.answer, "answer")
    check_signed("released_by", body.released_by)
    return accepted(context().submit(RELEASE, body.model_dump(mode="json")))


@api.get("/market-data/history", responses={200: ValueVersions})
@tabular
def market_data_history(query: ValueParameters) -> Response:
    """The versions of a market value, oldest first: what it was, when it was stored, by which file and run."""
    rows, notes = value_versions(context().lake, query.risk_factor_id, query.date)
    beside = {"next_cursor": None, "notes": notes}
    return table_answer(
        rows, lambda: {"rows": to_rows(rows), **beside}, name="market-data-history", metadata=lambda: beside
    )
