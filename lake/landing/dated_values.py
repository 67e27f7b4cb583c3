"""Landing files of dated values: one file into one long table, or into the list of everything wrong with it.

Nothing here is financial and nothing is repaired. A cell is a number, a declared missing mark, or an error; a file
with an error gives no rows at all.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from lake.arrays import Bools, Dates, Floats, Ints
from lake.dates import FIRST, LAST
from lake.errors import BadInput, Issue, counted, unknown
from lake.landing.numbers import doubles, rounded, rounding_notes
from lake.landing.rows import cell_place
from lake.landing.sheet import Dialect, read_sheet

MAX_LISTED = 100
_ZONES = {"%z": r"(?:Z|[+-]\d\d(?::?\d\d){0,2})", "%Z": r"[\w+/:-]+"}


@dataclass(frozen=True)
class Layout:
    """`missing` are marks every file of the layout may use."""

    meaning: str
    missing: tuple[str, ...] = ()
    one_value: bool = False


LAYOUTS: dict[str, Layout] = {
    "series": Layout("a date column and one value column, whatever they are called", one_value=True),
    "wide": Layout("a date column and one column for each series"),
    "ecb_zip": Layout("wide, as the European Central Bank publishes", ("N/A",)),
}


class FileOptions(Dialect):
    """How to read a landing file. An empty cell is always missing; every other mark has to be declared."""

    layout: str = Field(description="shape of the file, a key of LAYOUTS")
    date_column: str | None = Field(None, description="name of the date column; the first column when absent")
    date_format: str = Field(
        "%Y-%m-%d",
        description="format of the dates; a two-digit year is of 1969-2068, so 90 is 1990; a zone (%z, %Z) does not move the day",
    )
    missing: tuple[str, ...] = Field((), description="texts that mean: no value")
    weekends: Literal["keep", "drop"] = Field("keep", description="what to do with rows dated Saturday or Sunday")
    drop_after: dt.date | None = Field(None, description="last date to accept; later rows are dropped and counted")

    @field_validator("layout")
    @classmethod
    def _known_layout(cls, value: str) -> str:
        if value not in LAYOUTS:
            raise ValueError(unknown("layout", value, LAYOUTS).message)
        return value


@dataclass(frozen=True)
class Landing:
    """A file read whole.

    `rows` holds date (date32), column (string, as a dictionary), value (float64, null when missing) and line (int64,
    1-based, of the file); by column in the order of `columns`, then by date. `dropped` counts lines left out, by reason.
    `notes` say which numbers a double does not hold.
    """

    rows: pa.Table
    columns: tuple[str, ...]
    dropped: dict[str, int]
    notes: tuple[str, ...] = ()


class _CellFaults:
    """Everything wrong with a file: all of it counted, the first MAX_LISTED described."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.issues: list[Issue] = []
        self.texts: dict[str, None] = {}

    def add(self, line: int, column: str | None, found: str, expected: str) -> None:
        self.count += 1
        if len(self.issues) < MAX_LISTED:
            place = cell_place(self.path, line, column)
            self.issues.append(Issue(place, f"found {found!r}, expected {expected}.", found))

    def add_cells(self, bad: Bools, lines: Ints, column: str, cells: pa.Array, expected: str) -> None:
        rows = np.flatnonzero(bad)
        described = rows[: MAX_LISTED - len(self.issues)]
        for i in described:
            self.add(lines[i], column, cells[i].as_py(), expected)
        self.count += len(rows) - len(described)

    def error(self) -> BadInput:
        many = counted(self.count, "fault")
        listed = f" (the first {len(self.issues)} are listed)" if self.count > len(self.issues) else ""
        marks = ", ".join(f'"{text}"' for text in [*self.texts][:3] if len(text) <= 8 and not re.search(r"\d", text))
        way = f" Where a text means no value, declare it in the catalogue: missing = [{marks}]." if marks else ""
        return BadInput(f"{self.path.name} has {many}{listed}; nothing of it is loaded.{way}", issues=self.issues)


def read_source(path: Path, options: FileOptions, columns: Sequence[str] | None = None) -> Landing:
    """Reads the wanted columns (all named ones when None) of one file.

    Raises `NotFound`, or `BadInput` with an issue for each bad line, date or cell (the first MAX_LISTED of them).
    """
    faults = _CellFaults(path)
    sheet = read_sheet(path, options)
    header, text, lines = sheet.header, sheet.cells, sheet.lines
    for line, row, reason in sheet.uneven:
        faults.add(line, None, row[:80], f"as many cells as the header: {reason}")
    if not len(lines) and not faults.count:
        raise BadInput(f"{path.name} has no row to load below its header.")
    date_at = 0 if options.date_column is None else _find(path, header, options.date_column)
    wanted = _wanted(path, options, header, date_at, columns)

    date_text = pc.fill_null(sheet.column(date_at), "")
    dates = _dates(date_text, options.date_format)
    undated = np.isnat(dates)
    expected = f"a date of format {options.date_format} from {FIRST.year} to {LAST.year}"
    faults.add_cells(undated, lines, header[date_at], date_text, expected)

    late = dates > np.datetime64(options.drop_after or LAST)
    weekend = ~(np.is_busday(dates) | undated | late) & (options.weekends == "drop")
    keep = ~(undated | late | weekend)
    text, lines, dates = text.filter(keep), lines[keep], dates[keep]

    marks = sorted({*LAYOUTS[options.layout].missing, *(m.strip() for m in options.missing)})
    expected = "a number" + (f" or a declared missing mark ({', '.join(marks)})" if marks else "")
    values = np.empty((len(wanted), len(dates)))
    inexact: list[tuple[str, str, float]] = []
    for out, (name, at) in zip(values, wanted.items(), strict=True):
        cells = text.column(at).combine_chunks()
        absent = pc.is_in(cells, pa.array([*marks, None], pa.string()))
        numbers = doubles(options.plain(pc.if_else(absent, None, cells)))
        out[:] = numbers.to_numpy(zero_copy_only=False)
        neither = pc.invert(pc.or_(numbers.is_valid(), absent)).to_numpy(zero_copy_only=False)
        faults.add_cells(neither, lines, name, cells, expected)
        faults.texts |= dict.fromkeys(pc.unique(cells.filter(neither)).to_pylist())
        inexact += [
            (f"line {lines[i]}, column {name}", cells[i].as_py(), float(out[i])) for i in rounded(cells, numbers)
        ]

    for at, name in enumerate(header):
        if not name and at != date_at:
            cells = text.column(at).combine_chunks()
            filled = cells.is_valid().to_numpy(zero_copy_only=False)
            faults.add_cells(filled, lines, f"{at + 1} (no header)", cells, "an empty cell")

    order = np.argsort(dates, kind="stable")
    dates, lines, values = dates[order], lines[order], values[:, order]
    _compare_repeats(dates, lines, tuple(wanted), values, faults)
    if faults.count:
        raise faults.error()
    if not len(dates):
        raise BadInput(f"{path.name} has no row to load below its header.")
    first = np.append(True, dates[1:] != dates[:-1])
    dropped = {"after drop_after": int(late.sum()), "weekend": int(weekend.sum())}
    rows = _long(dates[first], lines[first], tuple(wanted), values[:, first])
    return Landing(rows, tuple(wanted), dropped, rounding_notes("values", inexact))


def _find(path: Path, header: list[str], name: str) -> int:
    places = [i for i, h in enumerate(header) if h == name]
    if len(places) > 1:
        raise BadInput(f"{path.name} has {len(places)} columns called {name!r}; it must be clear which one is meant.")
    if not places:
        raise unknown(f"column of {path.name}", name, [h for h in header if h])
    return places[0]


def _wanted(
    path: Path, options: FileOptions, header: list[str], date_at: int, columns: Sequence[str] | None
) -> dict[str, int]:
    """Value columns by name, each with its place. A column without a name is padding."""
    names = columns if columns is not None else [h for i, h in enumerate(header) if h and i != date_at]
    if not names:
        raise BadInput(f"{path.name} has no value column beside {header[date_at]!r}.")
    if LAYOUTS[options.layout].one_value and len(names) > 1:
        raise BadInput(
            f"{path.name} has {len(names)} value columns ({', '.join(names[:6])}) and the layout {options.layout} has one. "
            "Use the layout wide and name the columns wanted."
        )
    return {name: _find(path, header, name) for name in names}


def _dates(text: pa.Array, date_format: str) -> Dates:
    """Days where they were written; NaT where the text is no date or lies outside the plausible range."""
    try:
        if "%" not in date_format:  # pandas has names for guessing
            raise ValueError("it has no code that begins with %")
        local, local_format = _without_zone(text, date_format)
        days: Dates = (
            pd.to_datetime(local.to_pandas(), format=local_format, errors="coerce").to_numpy().astype("datetime64[D]")
        )
    except ValueError as error:
        raise BadInput(f"{date_format!r} is not a date format such as %Y-%m-%d or %m/%d/%y: {error}.") from None
    days[(days < np.datetime64(FIRST)) | (days > np.datetime64(LAST))] = np.datetime64("NaT")
    return days


def _without_zone(text: pa.Array, date_format: str) -> tuple[pa.Array, str]:
    """Texts and format without their zone, null where a text lacks it: an instant may lie on another day than was meant."""
    parts = re.split("(%.)", date_format)
    if not _ZONES.keys() & set(parts):
        return text, date_format
    literal = {"%%": "%"}
    pattern = "".join(
        f"){_ZONES[p]}(" if p in _ZONES else ".+?" if re.fullmatch("%[^%]", p) else re.escape(literal.get(p, p))
        for p in parts
    )
    pattern = f"^({pattern})$"
    kept = "".join(rf"\{i + 1}" for i in range(re.compile(pattern).groups))
    local = pc.replace_substring_regex(text, pattern, kept)
    has_zone = pc.match_substring_regex(text, pattern)
    return pc.if_else(has_zone, local, None), "".join(p for p in parts if p not in _ZONES)


def _compare_repeats(dates: Dates, lines: Ints, names: tuple[str, ...], values: Floats, faults: _CellFaults) -> None:
    """Rows of one date must agree; a value beside a missing mark is a difference too."""
    before, after = values[:, :-1], values[:, 1:]
    differs = (dates[1:] == dates[:-1]) & ~((before == after) | (np.isnan(before) & np.isnan(after)))
    for c, i in np.argwhere(differs):
        faults.add(
            lines[i + 1], names[c], str(after[c, i]), f"one value for {dates[i]}; line {lines[i]} has {before[c, i]}"
        )


def _long(dates: Dates, lines: Ints, names: tuple[str, ...], values: Floats) -> pa.Table:
    codes = np.repeat(np.arange(len(names), dtype=np.int32), len(dates))
    return pa.table(
        {
            "date": pa.array(np.tile(dates, len(names)), pa.date32()),
            "column": pa.DictionaryArray.from_arrays(codes, list(names)),
            "value": pa.array(values.ravel(), from_pandas=True),
            "line": np.tile(lines, len(names)),
        }
    )
