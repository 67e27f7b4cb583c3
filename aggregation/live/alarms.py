"""Band alarms: a level of a live day beyond its moving mean plus or minus k standard deviations, and what it has recalculated.

An alarm follows from the levels of the day and the bands that were set, and from nothing else: after a restart there are the same. Alarms
that come together are answered by one recalculation, and each says of how many.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from aggregation.live.follow import bands_of, follow
from aggregation.live.opening import LiveDay
from aggregation.live.snapshot import check_snapshot
from aggregation.session import Session
from lake.canonical import digest
from lake.landing.orders import instant
from lake.schemas import ALARM_BANDS, ALARMS
from lake.tables import Lake


def _instant(value: Any) -> dt.datetime:
    return instant(value.isoformat() if isinstance(value, dt.datetime) else str(value))


class BandRequest(BaseModel):
    """The band of all risk factors of live days, from an instant on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deviations: float = Field(4.0, gt=0, le=100, description="half the width of the band, in standard deviations")
    window: int = Field(60, ge=5, le=10_000, description="levels of the moving mean and standard deviation")
    min_interval_seconds: int = Field(
        60, ge=0, le=86_400, description="so long after an alarm of a factor there is no other"
    )
    complete: bool = Field(False, description="whether an alarm has every sum made anew")
    holds_from: Annotated[dt.datetime, BeforeValidator(_instant)] | None = Field(
        None, description="for levels after this instant, with its zone; default now"
    )
    reason: str = Field(min_length=1, max_length=1000, description="why the band is set so")


def set_band(session: Session, asked: BandRequest) -> dict[str, Any]:
    """Stores a band; the act is in the audit trail as any work is."""
    now = dt.datetime.now(dt.UTC)
    row = {
        **asked.model_dump(),
        "holds_from": asked.holds_from or now,
        "version": 1 + max((b.version for b in bands_of(session.lake)), default=0),
        "author": session.actor,
        "set_at": now,
    }
    session.writer().put("alarm_bands", pa.Table.from_pylist([row], schema=ALARM_BANDS.schema))
    return row


def stored_alarms(lake: Lake, day: dt.date) -> pa.Table:
    """The alarms of a day, by instant and factor."""
    return lake.read("alarms", among={"day": [day]}).sort_by([("at", "ascending"), ("risk_factor_id", "ascending")])


def record_alarms(session: Session, asked: LiveDay) -> dict[str, Any]:
    """Stores the alarms of a day that are not stored yet; one recalculation answers all of them.

    Incremental, it makes anew what the moved factors touch, which the live book has done when it took the levels in; complete, it makes
    every vector and every sum anew.
    """
    check_snapshot(session.lake)
    day = follow(session.cache, asked)
    with day.lock:
        day.catch_up(session.cache.lake)
        there = {(r["risk_factor_id"], r["at"]) for r in stored_alarms(session.lake, day.live.day).to_pylist()}
        fresh = [a for a in day.alarms(session.lake) if (a.risk_factor_id, a.at) not in there]
        if not fresh:
            return {"day": str(day.live.day), "alarms": 0, "recalculation": None, "complete": False, "contracts": 0}
        row = day.live.market.index.row
        factors = {row[a.risk_factor_id] for a in fresh if a.risk_factor_id in row}
        complete = any(a.band.complete for a in fresh)
        contracts = day.live.recalculate() if complete else len(day.live.vectors.reading(sorted(factors)))
        recalculation = digest(str(day.live.day), *(f"{a.risk_factor_id} {a.at.isoformat()}" for a in fresh))[:16]
        now = dt.datetime.now(dt.UTC)
        rows = [
            {
                **{n: getattr(a, n) for n in ("risk_factor_id", "at", "level", "mean", "deviation", "reason")},
                "day": day.live.day,
                "band": a.band.version,
                "recalculation": recalculation,
                "stands_for": len(fresh),
                "contracts": contracts,
                "recorded_at": now,
            }
            for a in fresh
        ]
        session.writer().put("alarms", pa.Table.from_pylist(rows, schema=ALARMS.schema))
    return {
        "day": str(asked.as_of),
        "alarms": len(fresh),
        "recalculation": recalculation,
        "complete": complete,
        "contracts": contracts,
    }
