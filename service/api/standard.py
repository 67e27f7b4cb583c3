"""The standard of the lake, and of desks: the scenarios and the currency of a question that names none."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
from flask import Response
from pydantic import ConfigDict, Field

from lake.schemas import STANDARDS
from service.api import models
from service.api.context import context
from service.api.document import blueprint
from service.api.requests import Body, TableParameters
from service.api.responses import page_answer, tabular
from service.api.valuations import accepted
from service.jobs import STANDARD
from valuation.sets.standards import StandardRequest, check_standard, newest

api = blueprint("standards", __name__, __doc__)


class StandardBody(Body, StandardRequest):
    """A new standard of the lake or of a desk; what is not given stays as it is."""

    model_config = ConfigDict(title="StandardRequest")


class StandardRow(models.Answer):
    """The newest version of a standard."""

    desk: str | None = Field(description="desk it holds for; null for the whole lake")
    version: int
    scenario_set: str | None = Field(description="name of the scenario set; null for that of the lake")
    currency: str | None = Field(description="reporting currency; null for that of the lake")
    reason: str | None
    author: str | None = Field(description="who set it; null where that was not recorded")
    approved_by: str | None = Field(description="who approved that; null where nobody had to")
    code_version: str
    created_at: dt.datetime


Standards = models.page_model("Standards", StandardRow)


@api.get("/standards", responses={200: Standards})
@tabular
def standards(query: TableParameters) -> Response:
    """The standard of the lake and of every desk that has one."""
    return page_answer(pa.Table.from_pylist(newest(context().lake), schema=STANDARDS.schema), "standards")


@api.post("/standards", responses={202: models.JobAnswer})
def set_standard(body: StandardBody) -> Response:
    """Queue the setting of a standard; the answer is the job. Earlier versions are kept."""
    check_standard(context().lake, body)
    return accepted(context().submit(STANDARD, body.model_dump(mode="json")))
