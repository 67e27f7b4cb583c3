"""A synthetic day of ticks on the risk factors of a lake, as a file or a log of FIX 4.4; always labelled synthetic.

Levels go from those of the day before to those of the day by a Brownian bridge, and the last tick of each factor is at the lake's level.
Where the lake has no market data of the day, as of one that is not over, the closes are drawn: one move of all, and one of each.
Shares and indices have trades, exchange rates quotes. One trade is corrected and one cancelled. Same seed and lake, same bytes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from lake.arrays import Floats, Ints
from lake.errors import BadInput, counted
from lake.schemas import INSTANT
from lake.storage import write_durable
from lake.tables import Snapshot
from scenarios.market.calendars import DATA
from scenarios.market.history import load_calendars, load_factors, load_history
from scenarios.market.session_hours import session_hours
from scenarios.types import FactorIndex

TRADED, QUOTED = ("equity_price", "index_level"), ("fx_rate",)
MOST_TICKS = 20_000_000
_VOLATILITY = 0.01  # of a day, about the line from level to level
_MOVE, _OWN_MOVE, _QUOTED = (
    0.02,
    0.01,
    0.25,
)  # deviation of closes that are drawn: of all, of each, and the share of it of quotes
_HALF_SPREAD = 0.00005  # of a quote
_BACK = dt.timedelta(days=7)  # for a level of before
_SENDER, _TARGET = "SYNTHETIC", "VARLAKE"


def write_sample_ticks(
    snapshot: Snapshot,
    directory: Path,
    *,
    date: dt.date,
    ticks: int = 20_000,
    seed: int = 1,
    factors: Sequence[str] = (),
    fix: bool = False,
) -> Path:
    """Writes `synthetic-ticks-DATE.csv`, or `.fix`, and returns its path.

    factors : those that have ticks; where none are given all shares, indices and exchange rates with a level before the date, and on it
    where the lake has market data of it.
    Raises `BadInput` where there are none, and for too few or too many ticks.
    """
    rng = np.random.default_rng(seed)
    index, before, today, hours = _market(snapshot, date, factors, rng)
    names, least = [f.risk_factor_id for f in index.factors], 2 * len(index.factors) + 2
    if not least <= ticks <= MOST_TICKS:
        of = counted(len(names), "risk factor has", "risk factors have")
        raise BadInput(f"{ticks:,} ticks were asked for; {of} {least:,} to {MOST_TICKS:,}.")
    quoted = np.array([f.type in QUOTED for f in index.factors])
    factor, time, level, last = _paths(rng, before, today, hours, ticks - (0 if quoted.all() else 2))
    mid = quoted[factor]
    spread = np.where(last, 0.0, _HALF_SPREAD)
    rows = {
        "risk_factor_id": pa.array(names).take(pa.array(factor)),
        "time": time,
        "price": np.where(mid, np.nan, level),
        "bid": np.where(mid, level * (1 - spread), np.nan),
        "ask": np.where(mid, level * (1 + spread), np.nan),
        "size": np.where(mid, np.nan, 100.0 * rng.integers(1, 10, len(factor))),
    }
    path = directory / f"synthetic-ticks-{date}.{'fix' if fix else 'csv'}"
    write_durable(path, as_fix(rows) if fix else _as_csv(rows), replace=True)
    return path


def _market(
    snapshot: Snapshot, date: dt.date, factors: Sequence[str], rng: np.random.Generator
) -> tuple[FactorIndex, Floats, Floats, list[tuple[int, int]]]:
    """Factors, their levels before and on the date, and their sessions."""
    every = load_factors(snapshot)
    wanted = {every.require(f) for f in factors} or {f.risk_factor_id for f in every.factors}
    index = FactorIndex.of(f for f in every.factors if f.risk_factor_id in wanted and f.type in TRADED + QUOTED)
    none = BadInput(
        f"No share, index or exchange rate has a session and a level on {date} and a level before; name others."
    )
    if not index.factors:
        raise none
    history = load_history(snapshot, DATA, date - _BACK, date, index)
    on = history.dates == np.datetime64(date)
    today = history.levels[on].reshape(-1)
    before = np.full(len(index.factors), np.nan)
    for row in history.levels[~on]:
        before = np.where(np.isnan(row), before, row)
    if not on.any():
        part = np.where([f.type in QUOTED for f in index.factors], _QUOTED, 1.0)
        today = before * np.exp(part * (_MOVE * rng.standard_normal() + _OWN_MOVE * rng.standard_normal(len(before))))
    kept = np.isfinite(before) & np.isfinite(today)
    calendars, hours = load_calendars(snapshot), []
    for i, f in enumerate(index.factors):
        found = session_hours(calendars.of_source.get(f.source), date, date)
        at = np.flatnonzero(found.days == np.datetime64(date))
        kept[i] &= len(at) == 1
        hours.append((int(found.opens[at[0]]), int(found.closes[at[0]])) if len(at) else (0, 0))
    if not kept.any():
        raise none
    chosen = FactorIndex(tuple(f for f, k in zip(index.factors, kept, strict=True) if k))
    return chosen, before[kept], today[kept], [h for h, k in zip(hours, kept, strict=True) if k]


def _paths(
    rng: np.random.Generator, before: Floats, today: Floats, hours: Sequence[tuple[int, int]], ticks: int
) -> tuple[Ints, Ints, Floats, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Factor, instant, level and whether it is the factor's last, of each tick by time."""
    n = len(before)
    parts = []
    for i, size in enumerate(ticks // n + (np.arange(n) < ticks % n)):
        opens, closes = hours[i]
        share = np.append(np.sort(rng.random(size - 1)), 1.0)
        steps = np.sqrt(np.diff(share, prepend=0.0)) * rng.standard_normal(size)
        walk = np.cumsum(steps)
        bridge = walk - share * walk[-1]
        level = before[i] * np.exp(np.log(today[i] / before[i]) * share + _VOLATILITY * bridge)
        level[-1] = today[i]
        last = np.arange(size) == size - 1
        parts.append((np.full(size, i), opens + ((closes - opens - 1) * share).astype(np.int64), level, last))
    factor, time, level, last = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((factor, time))
    return factor[order], time[order], level[order], last[order]


def _as_csv(rows: Mapping[str, Any]) -> bytes:
    """The ticks, numbered by time, and after them a correction of the first trade and a cancel of the second."""
    n = len(rows["time"])
    table = pa.table(
        {
            "risk_factor_id": rows["risk_factor_id"],
            "time": pc.strftime(pa.array(rows["time"]).cast(INSTANT), "%Y-%m-%dT%H:%M:%SZ"),
            "sequence": np.arange(1, n + 1),
            "event": pa.nulls(n, pa.string()),
            "corrects": pa.nulls(n, pa.int64()),
            **{c: pa.array(rows[c], from_pandas=True) for c in ("price", "bid", "ask", "size")},
        }
    )
    trades = np.flatnonzero(~np.isnan(rows["price"]))[:2]
    if len(trades):
        repairs = {
            "sequence": [n + 1, n + 2],
            "event": ["correction", "cancel"],
            "corrects": (trades + 1).tolist(),
            "price": [rows["price"][trades[0]], None],
            "size": [rows["size"][trades[0]], None],
        }
        given = table.take(trades).to_pydict()
        table = pa.concat_tables([table, pa.table({**given, **repairs}, schema=table.schema)])
    sink = pa.BufferOutputStream()
    pcsv.write_csv(table, sink, pcsv.WriteOptions(quoting_style="none"))
    return bytes(sink.getvalue())


def as_fix(rows: Mapping[str, Any]) -> bytes:
    """A log: a logon, a refresh a tick, and after them a correction of the first trade and a cancel of the second."""
    names = rows["risk_factor_id"].to_pylist()
    stamps = pc.strftime(pa.array(rows["time"]).cast(INSTANT), "%Y%m%d-%H:%M:%S").to_pylist()
    columns = (rows[c].tolist() for c in ("price", "bid", "ask", "size"))
    parts = [_message("A", 1, stamps[0], "98=0|108=30|141=Y|")]
    trades: list[tuple[int, str, float]] = []
    for number, (name, stamp, price, bid, ask, size) in enumerate(zip(names, stamps, *columns, strict=True), 2):
        if price == price:
            entries = f"268=1|279=0|269=2|278=T{number}|55={name}|270={_digits(price)}|271={size:.0f}|"
            trades += [(number, name, price)] if len(trades) < 2 else []
        else:
            sides = (f"279=1|269={side}|55={name}|270={_digits(level)}|" for side, level in ((0, bid), (1, ask)))
            entries = f"268=2|{''.join(sides)}"
        parts.append(_message("X", number, stamp, entries))
    for action, (trade, name, price) in enumerate(trades, 1):
        entries = f"268=1|279={action}|269=2|278=T{trade}|55={name}|270={_digits(price)}|"
        parts.append(_message("X", len(names) + 1 + action, stamps[-1], entries))
    return b"".join(parts)


def _digits(level: float) -> str:
    """The shortest digits that read back to the same bits, without an exponent."""
    return np.format_float_positional(level, trim="-")


def _message(kind: str, number: int, sent: str, fields: str) -> bytes:
    """A message of FIX 4.4 with its length and checksum; | stands for the end of a field."""
    body = f"35={kind}|49={_SENDER}|56={_TARGET}|34={number}|52={sent}|{fields}"
    start = f"8=FIX.4.4|9={len(body)}|{body}".replace("|", "\x01").encode()
    return start + b"10=%03d\x01" % (sum(start) % 256)
