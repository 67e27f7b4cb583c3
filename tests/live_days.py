"""A live day on the small lake: what it opens with, and rows of levels and orders made by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from lake.schemas import DIMENSION_COLUMNS, ORDERS
from lake.tables import Lake

DAY = dt.date(2020, 3, 18)  # the day after the last of the small lake's market


def instant(seconds: int) -> dt.datetime:
    return dt.datetime(2020, 3, 18, 14, 0, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)


def level(factor: str, value: float, seconds: int = 1, *, source: str = "feed", carried: int = 0) -> dict[str, Any]:
    """A row of `intraday_levels`."""
    return {
        "risk_factor_id": factor,
        "bucket_end": instant(seconds),
        "level": value,
        "ticks": 0 if carried else 1,
        "carried_seconds": carried,
        "source": source,
    }


def contracts(lake: Lake) -> dict[str, Mapping[str, Any]]:
    """The rows of the contracts of the small lake, by instrument type and currency."""
    return {f"{r['instrument_type']} {r['currency']}": r for r in lake.read("contracts").to_pylist()}


def order(
    order_id: str,
    sequence: int,
    contract: Mapping[str, Any],
    quantity: str | None,
    *,
    side: str = "buy",
    event: str = "new",
    desk: str = "Equities",
    seconds: int = 0,
    day: dt.date = DAY,
) -> dict[str, Any]:
    """A row of `orders`; a cancel is given no quantity."""
    row: dict[str, Any] = {
        **dict.fromkeys(ORDERS.schema.names),
        "order_id": order_id,
        "sequence": sequence,
        "event": event,
    }
    if event == "cancel":
        return row
    members = {d: f"{d}-0" for d in DIMENSION_COLUMNS if d != "trade"}
    about = {n: contract[n] for n in ("contract_id", "instrument_type", "currency")}
    when = {"executed_at": instant(seconds), "trade_date": day}
    return {
        **row,
        **members,
        **about,
        **when,
        "side": side,
        "quantity": quantity,
        "desk": desk,
        "attributes": {"rating": "AA"},
    }
