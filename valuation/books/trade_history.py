"""The versions of a trade, with what changed in its position and in the terms of its contract."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.errors import NotFound, counted, unknown
from lake.landing.positions_changes import Action, LostVersions, trade_changes
from lake.tables import Lake


@dataclass(frozen=True)
class TradeVersion:
    """One change of a trade on one date.

    positions_date : of the book. version : of the table positions; to whoever sees a part of the book the number of the change.
    loaded_at : instant of the commit, UTC. action : new, amend, remove or earliest, see `TradeChange`. file : what was loaded.
    mapping : digest of the mapping it was read by, if any. changed : by column, attribute or term, what it was and is; null where
    there is none.
    """

    positions_date: dt.date
    version: int
    loaded_at: dt.datetime
    action: Action
    file: str | None
    mapping: str | None
    changed: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class TradeHistory:
    """The versions of a trade, by date; notes on those that are no longer in the lake."""

    trade: str
    versions: list[TradeVersion]
    notes: tuple[str, ...] = ()


def trade_history(lake: Lake, trade: str, date: dt.date | None = None) -> TradeHistory:
    """The versions of a trade on a date, or on all; raises `NotFound` with the nearest trades."""
    told = trade_changes(lake, [trade], None if date is None else [date])
    changes, notes = told.changes, _lost(lake, told.lost)
    if not changes:
        held = pc.unique(lake.read("positions", ["trade"])["trade"]).to_pylist()
        if trade in held:
            where = "in no version of the book of {} that is still in the lake" if notes else "never in the book of {}"
            raise NotFound(" ".join((f"The trade {trade!r} was {where.format(date)}.", *notes)))
        missing = unknown("trade", trade, held, error=NotFound)
        raise NotFound(" ".join((missing.message, *notes))) if notes else missing
    ids = {row["contract_id"] for c in changes for row in (c.before, c.after) if row}
    contracts = lake.read("contracts", ["contract_id", "terms"], ds.field("contract_id").isin(sorted(ids))).to_pylist()
    terms = {c["contract_id"]: json.loads(c["terms"]) for c in contracts}
    found: list[TradeVersion] = []
    for c in changes:
        before, after = (_told(row, terms) for row in (c.before, c.after))
        changed = {
            k: (before.get(k), after.get(k)) for k in dict.fromkeys((*before, *after)) if before.get(k) != after.get(k)
        }
        # the versions of the table tell how often others have loaded
        version = len([f for f in found if f.positions_date == c.positions_date]) if lake.reader else c.version
        found.append(TradeVersion(c.positions_date, version, c.loaded_at, c.action, c.file, c.mapping, changed))
    return TradeHistory(trade, found, notes)


def _lost(lake: Lake, lost: Sequence[LostVersions]) -> tuple[str, ...]:
    """A note on the versions that a cleaning removed."""
    if not lost:
        return ()
    if lake.reader:  # how often others have loaded, and when, is not told
        return ("Earlier versions of books were removed by varlake lake clean: what changed in them is not known.",)
    first, last, n = lost[0].positions_date, lost[-1].positions_date, sum(found.versions for found in lost)
    books = f"the book of {last}" if len(lost) == 1 else f"{len(lost):,} books from {first} to {last}"
    until = max(found.until for found in lost)
    note = (
        f"Removed by varlake lake clean: {counted(n, 'version')} of {books}, up to {until:%Y-%m-%d %H:%M} UTC. What changed in "
        "them is not known; a trade of the first version after them is shown as earliest."
    )
    return (note,)


def _told(row: Mapping[str, Any] | None, terms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if row is None:
        return {}
    attributes = {f"attribute.{k}": v for k, v in (row["attributes"] or {}).items()}
    plain = {k: v for k, v in row.items() if k not in ("contract_id", "attributes", "trade")}
    return {**plain, **attributes, **terms.get(row["contract_id"], {})}
