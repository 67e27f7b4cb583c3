"""The versions of a trade, with what changed in its position and in the terms of its contract."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.errors import NotFound, unknown
from lake.landing.positions_changes import trade_changes
from lake.tables import Lake


@dataclass(frozen=True)
class TradeVersion:
    """One change of a trade on one date.

    positions_date : of the book. version : of the table positions; to whoever sees a part of the book the number of the change.
    loaded_at : instant of the commit, UTC. action : new, amend or remove. file : what was loaded. mapping : digest of the mapping it was
    read by, if any. changed : by column, attribute or term, what it was and is; null where there is none.
    """

    positions_date: dt.date
    version: int
    loaded_at: dt.datetime
    action: str
    file: str | None
    mapping: str | None
    changed: Mapping[str, tuple[Any, Any]]


def trade_history(lake: Lake, trade: str, date: dt.date | None = None) -> list[TradeVersion]:
    """The versions of a trade on a date, or on all, by date; raises `NotFound` with the nearest trades."""
    changes = trade_changes(lake, [trade], None if date is None else [date])
    if not changes:
        held = pc.unique(lake.read("positions", ["trade"])["trade"]).to_pylist()
        if trade in held:
            raise NotFound(f"The trade {trade!r} was never in the book of {date}.")
        raise unknown("trade", trade, held, error=NotFound)
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
    return found


def _told(row: Mapping[str, Any] | None, terms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if row is None:
        return {}
    attributes = {f"attribute.{k}": v for k, v in (row["attributes"] or {}).items()}
    plain = {k: v for k, v in row.items() if k not in ("contract_id", "attributes", "trade")}
    return {**plain, **attributes, **terms.get(row["contract_id"], {})}
