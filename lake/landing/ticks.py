"""Ticks of a file: prices and quotes of risk factors with their instants, corrections, cancels and halts. Enter at `read_ticks`."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lake.arrays import Bools, Floats, Ints
from lake.dates import FIRST, LAST
from lake.errors import BadInput, Issue, nearest, unknown
from lake.landing.decoded import read_parquet
from lake.landing.mapping import FileMapping, Kind, Mapped, canonical
from lake.landing.numbers import doubles
from lake.landing.rows import refuse_columns, refuse_whole
from lake.landing.sheet import Sheet, read_sheet, sheet_of
from lake.schemas import INSTANT, TICKS

EVENTS = ("new", "correction", "cancel", "halt", "resume", "no_bid", "no_ask")
NUMBERS = ("price", "bid", "ask", "size")
TICK_KINDS: dict[str, Kind] = dict.fromkeys(NUMBERS, "number")
_REQUIRED = ("risk_factor_id", "time", "sequence")
_COLUMNS = (*_REQUIRED, "event", "corrects", *NUMBERS)
_WHOLE = "^[0-9]{1,18}$"
_ZONED = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"


@dataclass
class TickRows:
    """Ticks as arrays of (n,), in the order of the file.

    factors : names, and `factor` the place in them of each tick. line : row of the file, or number of the message. time :
    microseconds since 1970 in UTC. event : place in EVENTS. corrects : -1 where none. price, bid, ask, size : NaN where absent.
    told : what else there is to say of the file, counts by name. notes : the same in sentences. place : what `line` counts.
    """

    factors: list[str]
    factor: Ints
    line: Ints
    sequence: Ints
    time: Ints
    event: Ints
    corrects: Ints
    price: Floats
    bid: Floats
    ask: Floats
    size: Floats
    told: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    place: str = "row"

    def take(self, rows: Ints | Bools) -> TickRows:
        """Some of the ticks."""
        if rows.dtype == np.bool_ and rows.all():
            return self
        arrays: dict[str, Any] = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return TickRows(self.factors, told=self.told, notes=self.notes, place=self.place, **arrays)

    def __len__(self) -> int:
        return len(self.factor)

    def with_more(self, others: TickRows) -> TickRows:
        """These ticks, and those of the others after them."""
        names = list(dict.fromkeys([*self.factors, *others.factors]))
        place = {name: i for i, name in enumerate(names)}
        theirs = np.array([place[name] for name in others.factors], dtype=np.int64)
        arrays: dict[str, Any] = {a: np.concatenate([getattr(self, a), getattr(others, a)]) for a in _ARRAYS}
        arrays["factor"][len(self) :] = theirs[others.factor]
        return TickRows(names, **arrays)

    def table(self, date: dt.date, source: str, file: str) -> pa.Table:
        """Rows of the table `ticks`, by factor and number."""
        n, rank = len(self), np.empty(len(self.factors), np.int64)
        rank[np.argsort(np.array(self.factors, dtype=object), kind="stable")] = np.arange(len(rank))
        rows = self.take(np.lexsort((self.sequence, rank[self.factor])))
        names = pa.array(rows.factors, pa.string()).take(pa.array(rows.factor))
        columns = {
            "date": pa.repeat(pa.scalar(date), n),
            "risk_factor_id": names,
            "sequence": rows.sequence,
            "time": pa.array(rows.time).cast(INSTANT),
            "event": pa.array(EVENTS).take(pa.array(rows.event)),
            "corrects": pa.array(rows.corrects, mask=rows.corrects < 0),
            **{name: pa.array(getattr(rows, name), from_pandas=True) for name in NUMBERS},
            "source": pa.repeat(source, n),
            "file": pa.repeat(file, n),
        }
        return pa.table(columns, schema=TICKS.schema)


STORED = ("risk_factor_id", "sequence", "time", "event", "corrects", *NUMBERS)


def stored_ticks(table: pa.Table) -> TickRows:
    """Rows of the table `ticks`, of which the columns `STORED` are read, as arrays."""
    factor = table["risk_factor_id"].combine_chunks().dictionary_encode()
    n = table.num_rows

    def numbers(name: str, absent: float) -> npt.NDArray[Any]:
        return np.asarray(table[name].fill_null(absent).to_numpy())

    prices: dict[str, Any] = {name: numbers(name, np.nan) for name in NUMBERS}
    return TickRows(
        factor.dictionary.to_pylist(),
        factor.indices.to_numpy().astype(np.int64),
        np.zeros(n, dtype=np.int64),
        numbers("sequence", -1),
        table["time"].cast(pa.int64()).to_numpy(),
        pc.index_in(table["event"], pa.array(EVENTS)).to_numpy().astype(np.int64),
        numbers("corrects", -1),
        **prices,
    )


_ARRAYS = ("factor", "line", "sequence", "time", "event", "corrects", *NUMBERS)


def read_ticks(path: Path, mapping: FileMapping | None) -> tuple[TickRows, list[Issue]]:
    """The ticks of a CSV, Excel or Parquet file, and what is wrong with its cells.

    mapping : how a file with columns of its own is read, its symbols made risk factors among it. Raises `BadInput` for a file that is
    unusable as a whole.
    """
    done = canonical(_sheet(path, mapping), mapping, TICK_KINDS)
    _check_columns(path, done)
    faults = [
        Issue(f"row {done.lines[i]}, column {column}", reason, cell)
        for rows, column, cells, reason in done.faults
        for i, cell in zip(rows.tolist(), cells.to_pylist(), strict=True)
    ]
    return _rows(done, faults), faults


def _sheet(path: Path, mapping: FileMapping | None) -> Sheet:
    if PurePosixPath(path.name.lower()).suffix != ".parquet":
        sheet = read_sheet(path, None if mapping is None else mapping.dialect, numbers=NUMBERS)
    else:
        table = read_parquet(path)
        for i, column in enumerate(table.schema):
            if pa.types.is_timestamp(column.type) and column.type.tz:  # midnight keeps its zone so
                table = table.set_column(i, column.name, _texts(table.column(i).combine_chunks()))
        sheet = sheet_of(path.name, table, NUMBERS)
    if not len(sheet.lines) and not sheet.uneven:
        raise BadInput(f"{path.name} has a header and no rows.")
    refuse_whole(path.name, [Issue(f"row {n}", reason, text[:80]) for n, text, reason in sheet.uneven])
    return sheet


def _texts(times: pa.Array) -> pa.Array:
    """Instants in words, in UTC; Arrow's own take microseconds each, and a day has few seconds."""
    seconds = pc.floor_temporal(times.cast(pa.timestamp(times.type.unit, "UTC")), unit="second")
    words = seconds.cast(pa.timestamp("s", "UTC")).dictionary_encode()
    of_second = pc.utf8_rtrim(words.dictionary.cast(pa.string()), "Z").take(words.indices)
    unit = {"s": 0, "ms": 3, "us": 6, "ns": 9}[times.type.unit]
    if not unit:
        return pc.binary_join_element_wise(of_second, "Z", "")
    parts = pc.subtract(times.cast(pa.int64()), seconds.cast(pa.int64())).cast(pa.string())
    return pc.binary_join_element_wise(of_second, ".", pc.utf8_lpad(parts, unit, "0"), "Z", "")


def _check_columns(path: Path, done: Mapped) -> None:
    names = [*done.columns]
    issues = [*done.issues]
    issues += [i for n in names if n not in _COLUMNS for i in unknown("column", n, _COLUMNS, pointer=n).issues]
    issues += [Issue(n, f"Column {n!r} is missing; every file of ticks has it.") for n in _REQUIRED if n not in names]
    if not {"price", "bid"} & {*names}:
        issues.append(Issue("price", "No column has a level: expected price, or bid and ask."))
    issues += [Issue(n, f"Column {n!r} stands twice in the header.") for n, k in Counter(names).items() if k > 1]
    refuse_columns(path.name, issues)


def _rows(done: Mapped, faults: list[Issue]) -> TickRows:
    """The cells as numbers; those that are none are faults."""
    n = len(done.lines)
    absent = pa.nulls(n, pa.string())
    cells = {c: done.columns.get(c, absent) for c in _COLUMNS}

    def fault(bad: pa.Array, name: str, message: str) -> None:
        own = done.own.get(name, name)
        told = done.cells.get(own, cells[name])
        for i in np.flatnonzero(pc.fill_null(bad, False).to_numpy(zero_copy_only=False)).tolist():
            faults.append(Issue(f"row {done.lines[i]}, column {own}", message, told[i].as_py()))

    def whole(name: str, message: str) -> Ints:
        text = cells[name]
        right = pc.match_substring_regex(text, _WHOLE)
        fault(pc.invert(right), name, message)
        found = pc.cast(pc.if_else(right, text, None), pa.int64()).fill_null(-1)
        return np.asarray(found.to_numpy(zero_copy_only=False))

    for name in _REQUIRED:
        fault(cells[name].is_null(), name, f"{name} is empty; every tick has one")
    factor = cells["risk_factor_id"].fill_null("").dictionary_encode()
    time = instants(cells["time"])
    fault(
        pc.and_(cells["time"].is_valid(), time.is_null()),
        "time",
        "expected an instant with its zone, such as 2020-03-16T15:59:58.250-04:00",
    )
    event = pc.index_in(cells["event"].fill_null(EVENTS[0]), pa.array(EVENTS))
    fault(event.is_null(), "event", f"expected {', '.join(EVENTS)}")
    sequence = whole("sequence", "expected a whole number of at most 18 digits")
    corrects = whole("corrects", "expected the sequence number of the tick that it is of")
    is_repair = pc.is_in(event, pa.array([1, 2], pa.int32()))
    fault(
        pc.xor(pc.fill_null(is_repair, False), cells["corrects"].is_valid()),
        "corrects",
        "a correction or cancel gives the number of the tick that it is of, and no other tick does",
    )
    numbers = {}
    for name in NUMBERS:
        found = doubles(cells[name])
        fault(pc.and_(cells[name].is_valid(), found.is_null()), name, "expected a finite number of at most 1e16")
        numbers[name] = found.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    fault(pc.less(pa.array(numbers["size"], from_pandas=True), 0.0), "size", "expected a size that is not negative")
    return TickRows(
        factor.dictionary.to_pylist(),
        factor.indices.to_numpy().astype(np.int64),
        done.lines.astype(np.int64),
        sequence,
        time.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64),
        event.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64),
        corrects,
        **numbers,
    )


def instants(text: pa.Array) -> pa.Array:
    """The instants of texts with a zone, down to the microsecond; null for any other text."""
    zoned = pc.if_else(pc.match_substring_regex(text, _ZONED), text, None)
    try:  # ten times as fast, and stops at the first that it does not know
        found = zoned.cast(INSTANT)
    except pa.ArrowInvalid:
        found = _any_instants(zoned)
    year = pc.year(found)
    return pc.if_else(pc.and_(pc.greater(year, FIRST.year), pc.less(year, LAST.year)), found, None)


def _any_instants(zoned: pa.Array) -> pa.Array:
    found = pd.to_datetime(pd.Series(zoned.to_pandas(), dtype=object), format="ISO8601", utc=True, errors="coerce")
    return pa.array(found.dt.as_unit("us"), INSTANT)


def told_once(
    path: Path, rows: TickRows, known: Collection[str], only: Collection[str] | None, faults: list[Issue]
) -> TickRows:
    """The ticks of the factors wanted, each number of a factor once.

    known : the risk factors there are. only : those wanted, of all symbols that the file may have; None for all of the file. Raises
    `BadInput` with the `faults` and those found here: a factor that there is not, a number with two contents.
    """
    for place, name in enumerate(rows.factors):
        if only is not None or not name or name in known:
            continue
        if len(at := np.flatnonzero(rows.factor == place)):
            more = f", and in {len(at) - 1:,} {rows.place}s more" if len(at) > 1 else ""
            message = f"the lake has no such risk factor{more}; bring its market data in, or map the symbol to one"
            pointer = f"{rows.place} {rows.line[at[0]]}, column risk_factor_id"
            faults.append(Issue(pointer, message, name, nearest(name, known)))
    wanted = np.array([only is None or name in only for name in rows.factors], dtype=bool)
    held = wanted[rows.factor] if len(rows) else np.zeros(0, dtype=bool)
    told = {**rows.told, "not_held": int((~held).sum())}
    rows = rows.take(held)
    first, again, differs = repeats(rows)
    for i in differs.tolist():
        number = f"number {rows.sequence[i]} of {rows.factors[rows.factor[i]]}"
        said = f"{number} stands in {rows.place} {rows.line[first[i]]} with other content; a correction has a number of its own"
        faults.append(Issue(f"{rows.place} {rows.line[i]}, column sequence", said, str(rows.sequence[i])))
    faults.sort(key=lambda issue: int(issue.pointer.split()[1].rstrip(",")))
    refuse_whole(path.name, faults)
    told["duplicates"] = int(again.sum())
    return dataclasses.replace(rows.take(~again), told=told)


def repeats(rows: TickRows) -> tuple[Ints, Bools, Ints]:
    """For each tick the first of its factor and number, whether it is another of that number, and those of these with other content."""
    n = len(rows)
    if ascends(rows.factor, rows.sequence):
        return np.arange(n), np.zeros(n, dtype=bool), np.zeros(0, dtype=np.int64)
    order = np.lexsort((rows.sequence, rows.factor))  # which is stable
    factor, sequence = rows.factor[order], rows.sequence[order]
    begins = np.ones(n, dtype=bool)
    begins[1:] = (factor[1:] != factor[:-1]) | (sequence[1:] != sequence[:-1])
    first = np.empty(n, dtype=np.int64)
    first[order] = order[np.maximum.accumulate(np.where(begins, np.arange(n), 0))]
    again = first != np.arange(n)
    rest = np.flatnonzero(again)
    unlike = np.zeros(len(rest), dtype=bool)
    for name in ("time", "event", "corrects", *NUMBERS):
        here, there = getattr(rows, name)[rest], getattr(rows, name)[first[rest]]
        unlike |= ~((here == there) | ((here != here) & (there != there)))
    return first, again, rest[unlike]


def ascends(factor: Ints, sequence: Ints) -> bool:
    """Whether each tick has a higher number than all ticks of its factor before it, so that none has the number of another."""
    small = factor.astype(np.int16) if factor.size and factor.max() < 1 << 15 else factor  # sorted by digits
    order = np.argsort(small, kind="stable")
    factor, sequence = factor[order], sequence[order]
    return bool(((np.diff(factor) != 0) | (np.diff(sequence) > 0)).all())
