"""Live days: snapshots, listed with the questions that ask them, and taken; alarms, and the bands that they follow from."""

from __future__ import annotations

import datetime as dt

from flask import Response
from pydantic import ConfigDict, Field

from aggregation.live.alarms import BandRequest, stored_alarms
from aggregation.live.opening import LiveDay
from aggregation.live.snapshot import check_snapshot, list_snapshots, snapshot_table
from lake.dates import Day
from lake.schemas import ALARM_BANDS, ALARMS
from service.api import models
from service.api.context import context
from service.api.document import blueprint
from service.api.requests import Body, TableParameters
from service.api.responses import page_answer, tabular
from service.api.valuations import accepted
from service.jobs import ALARM_BAND, LIVE_ALARMS, LIVE_SNAPSHOT

api = blueprint("live", __name__, __doc__)


class LiveDayBody(Body, LiveDay):
    """A live day, as the question `intraday` names it."""

    model_config = ConfigDict(title="LiveDay")


class BandBody(Body, BandRequest):
    """The band of all risk factors of live days, from an instant on."""

    model_config = ConfigDict(title="BandRequest")


class LiveDayParameters(TableParameters):
    date: Day = Field(description="the live day")


class SnapshotRow(models.Answer):
    """A snapshot; ask `var` with its day as `as_of`, its `scenario_set` and its `as_known`."""

    number: int
    taken_at: dt.datetime
    orders: int | None
    orders_until: dt.datetime | None
    prices_until: dt.datetime | None
    scenario_set: str
    valuation_set_id: str | None
    author: str
    as_known: str


LiveSnapshots = models.page_model("LiveSnapshots", SnapshotRow)


@api.get("/live/snapshots", responses={200: LiveSnapshots})
@tabular
def live_snapshots(query: LiveDayParameters) -> Response:
    """The snapshots of a live day, oldest first."""
    return page_answer(snapshot_table(list_snapshots(context().lake, query.date)), f"live-snapshots-{query.date}")


@api.post("/live/snapshots", responses={202: models.JobAnswer})
def take_live_snapshot(body: LiveDayBody) -> Response:
    """Queue a snapshot of a live day; the answer is the job, whose result is the snapshot."""
    check_snapshot(context().lake)
    return accepted(context().submit(LIVE_SNAPSHOT, body.model_dump(mode="json")))


Alarms = models.page_model("Alarms", models.row_model("AlarmRow", ALARMS))
Bands = models.page_model("AlarmBands", models.row_model("AlarmBandRow", ALARM_BANDS))


@api.get("/live/alarms", responses={200: Alarms})
@tabular
def alarms(query: LiveDayParameters) -> Response:
    """The stored alarms of a live day, by instant: levels that left their band, with the reason."""
    return page_answer(stored_alarms(context().lake, query.date), f"alarms-{query.date}")


@api.post("/live/alarms", responses={202: models.JobAnswer})
def record_live_alarms(body: LiveDayBody) -> Response:
    """Queue the storing of the alarms of a live day that are not stored yet; one recalculation answers them."""
    check_snapshot(context().lake)
    return accepted(context().submit(LIVE_ALARMS, body.model_dump(mode="json")))


@api.get("/live/bands", responses={200: Bands})
@tabular
def alarm_bands(query: TableParameters) -> Response:
    """The bands that were set, by whom and why, oldest first."""
    return page_answer(context().lake.read("alarm_bands").sort_by("version"), "alarm-bands")


@api.post("/live/bands", responses={202: models.JobAnswer})
def set_alarm_band(body: BandBody) -> Response:
    """Queue a band that levels of live days are held to; the answer is the job."""
    return accepted(context().submit(ALARM_BAND, body.model_dump(mode="json")))
