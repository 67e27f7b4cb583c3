"""A synthetic day of trades in shares of the newest book, and its cutting, with the ticks of the day, into files as they would arrive.

Orders are filled in one to three pieces, each an order of its own, as a drop copy tells them. Of the pieces some are corrected, some
cancelled and some arrive long after they were executed, even after what corrects them; some arrive twice. Same seed and lake, same bytes.
"""

from __future__ import annotations

import bisect
import csv
import datetime as dt
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.compute as pc

from lake.errors import BadInput, NotFound
from lake.landing.orders import DIMENSIONS
from lake.storage import write_durable
from lake.tables import Snapshot
from scenarios.market.sample_ticks import write_sample_ticks
from scenarios.market.session_hours import session_hours
from valuation.books.contracts import contracts_by_id, positions_dates
from valuation.samples.days import CALENDAR

ZONE = ZoneInfo("America/New_York")
MOST_ORDERS = 1_000_000
LAST = "close"  # the file of what comes after the last cut
_CORRECTED, _CANCELLED, _LATE, _TWICE = 0.05, 0.04, 0.03, 0.02  # of the pieces
_COLUMNS = ("order_id", "sequence", "event", "executed_at", "side", "symbol", "quantity", "currency")
_HEADER = (*_COLUMNS, *(d for d in DIMENSIONS if d != "instrument"))
Row = dict[str, object]


def write_live_day(
    snapshot: Snapshot,
    directory: Path,
    *,
    date: dt.date,
    ticks: int = 20_000,
    orders: int = 300,
    seed: int = 1,
    cuts: Sequence[dt.time] = (),
) -> dict[str, list[Path]]:
    """Writes the files `ticks/HHMM.csv` and `orders/HHMM.csv` of what has arrived by each cut, in the time of New York, and `close.csv` of
    the rest; their paths by `ticks` and `orders`, in order of arrival.

    orders : pieces that are executed; rows are more. A file without rows is not written. Raises `BadInput` for a number out of range and a
    date without session, `NotFound` where no book on or before the date has shares.
    """
    if not 1 <= orders <= MOST_ORDERS:
        raise BadInput(f"{orders:,} orders were asked for; expected 1 to {MOST_ORDERS:,}.")
    hours = session_hours(CALENDAR, date, date)
    here = np.flatnonzero(hours.days == np.datetime64(date)).tolist()
    if not here:
        raise BadInput(f"{CALENDAR} has no session on {date}; name a business day.")
    opens, closes = (dt.datetime.fromtimestamp(x[here[0]] / 1e6, dt.UTC) for x in (hours.opens, hours.closes))
    rng = np.random.default_rng((seed, 2))
    arriving = _orders(rng, _held(snapshot, date), opens, closes, orders)
    at = [dt.datetime.combine(date, cut, ZONE) for cut in sorted(cuts)]
    whole = write_sample_ticks(snapshot, directory / ".whole", date=date, ticks=ticks, seed=seed)
    try:
        with whole.open(newline="", encoding="utf-8") as file:
            header, *told = csv.reader(file)
        written = {
            "ticks": _cut(directory / "ticks", header, ((dt.datetime.fromisoformat(r[1]), r) for r in told), at),
            "orders": _cut(
                directory / "orders", _HEADER, ((t, [str(r.get(c, "")) for c in _HEADER]) for t, r in arriving), at
            ),
        }
    finally:
        whole.unlink()
        whole.parent.rmdir()
    return written


def _held(snapshot: Snapshot, date: dt.date) -> list[Row]:
    """The positions in shares of the newest book on or before the date: their members, symbol, currency and quantity."""
    dates = [d for d in positions_dates(snapshot) if d <= date]
    held = snapshot.read("positions", among={"positions_date": [max(dates)]} if dates else {"positions_date": []})
    held = held.filter(pc.equal(held["instrument_type"], "cash_equity")).sort_by("trade")
    if not held.num_rows:
        raise NotFound(
            f"No book on or before {date} holds shares, and a sample day trades those of the book; bring one in first."
        )
    contracts = contracts_by_id(snapshot, pc.unique(held["contract_id"])).to_pylist()
    symbol = {c["contract_id"]: json.loads(c["terms"])["underlying"] for c in contracts}
    rows = held.to_pylist(maps_as_pydicts="strict")
    return [{**{c: r.get(c) for c in _HEADER}, "symbol": symbol[r["contract_id"]]} for r in rows]


def _orders(
    rng: np.random.Generator, held: Sequence[Row], opens: dt.datetime, closes: dt.datetime, n: int
) -> list[tuple[dt.datetime, Row]]:
    """Rows with the instant at which each arrives, by instant; nothing arrives after the close but what is late."""
    seconds = (closes - opens).total_seconds()
    rows: list[tuple[dt.datetime, Row]] = []
    order = piece = 0
    left = 0
    base: Row = {}
    for at in np.sort(rng.random(n)).tolist():
        if not left:
            order, piece, left = order + 1, 0, int(rng.integers(1, 4))
            one = held[int(rng.integers(len(held)))]
            base = {**one, "event": "new", "sequence": 1, "side": ("buy", "sell")[int(rng.integers(2))]}
        piece, left = piece + 1, left - 1
        executed = opens + dt.timedelta(seconds=round(at * (seconds - 1)))
        units = max(1, round(0.1 * abs(float(str(base["quantity"] or 0))) * float(rng.lognormal(0.0, 0.8))))
        row = {**base, "order_id": f"S{order:06}-{piece}", "executed_at": executed.astimezone(ZONE).isoformat()}
        row["quantity"] = units
        fate, wait = float(rng.random()), dt.timedelta(seconds=int(rng.integers(1200, 5400)))
        soon = executed + dt.timedelta(seconds=int(rng.integers(1, 900)))
        late = float(rng.random()) < _LATE
        arrives = executed + wait if late else executed
        rows.append((arrives, row))
        if float(rng.random()) < _TWICE:
            rows.append((arrives + dt.timedelta(seconds=30), row))
        if fate < _CORRECTED:
            rows.append((soon, {**row, "sequence": 2, "event": "correction", "quantity": max(1, units // 2)}))
        elif fate < _CORRECTED + _CANCELLED:
            rows.append((soon, {"order_id": row["order_id"], "sequence": 2, "event": "cancel"}))
    return sorted(rows, key=lambda told: told[0])


def _cut(
    folder: Path, header: Sequence[str], rows: Iterable[tuple[dt.datetime, Sequence[str]]], cuts: Sequence[dt.datetime]
) -> list[Path]:
    """Writes the rows up to each cut, and those after the last, as files; gives those that have rows."""
    parts: list[list[Sequence[str]]] = [[] for _ in range(len(cuts) + 1)]
    for at, row in rows:
        parts[bisect.bisect_left(cuts, at)].append(row)
    written = []
    for name, part in zip([*(f"{c:%H%M}" for c in cuts), LAST], parts, strict=True):
        if part:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([header, *part])
            written.append(folder / f"{name}.csv")
            write_durable(written[-1], text.getvalue().encode(), replace=True)
    return written
