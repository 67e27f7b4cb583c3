"""Snapshots of live days: listed, with the questions that ask them, and taken."""

from __future__ import annotations

import datetime as dt

from flask import Response
from pydantic import ConfigDict, Field

from aggregation.live.opening import LiveDay
from aggregation.live.snapshot import check_snapshot, list_snapshots, snapshot_table
from lake.dates import Day
from service.api import models
from service.api.context import context
from service.api.document import blueprint
from service.api.requests import Body, TableParameters
from service.api.responses import page_answer, tabular
from service.api.valuations import accepted
from service.jobs import LIVE_SNAPSHOT

api = blueprint("live", __name__, __doc__)


class LiveDayBody(Body, LiveDay):
    """A live day, as the question `intraday` names it."""

    model_config = ConfigDict(title="LiveDay")


class SnapshotsParameters(TableParameters):
    day: Day = Field(description="the live day")


class SnapshotRow(models.Answer):
    """A snapshot; ask `var` with its day as `as_of`, its `scenario_set` and its `as_known`."""

    number: int
    taken_at: dt.datetime
    orders: int
    orders_until: dt.datetime | None
    prices_until: dt.datetime | None
    scenario_set: str
    valuation_set_id: str
    author: str
    as_known: str


LiveSnapshots = models.page_model("LiveSnapshots", SnapshotRow)


@api.get("/live/snapshots", responses={200: LiveSnapshots})
@tabular
def live_snapshots(query: SnapshotsParameters) -> Response:
    """The snapshots of a live day, oldest first."""
    return page_answer(snapshot_table(list_snapshots(context().lake, query.day)), f"live-snapshots-{query.day}")


@api.post("/live/snapshots", responses={202: models.JobAnswer})
def take_live_snapshot(body: LiveDayBody) -> Response:
    """Queue a snapshot of a live day; the answer is the job, whose result is the snapshot."""
    check_snapshot(context().lake)
    return accepted(context().submit(LIVE_SNAPSHOT, body.model_dump(mode="json")))
