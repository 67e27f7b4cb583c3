"""Landing files of dated values: one file into one long table, or into the list of everything wrong with it.

Nothing here is financial and nothing is repaired. A cell is a number, a declared missing mark, or an error; a file
with an error gives no rows at all.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lake.arrays import Bools, Dates, Floats, Ints
from lake.dates import FIRST, LAST
from lake.errors import BadInput, Issue, counted, unknown
from lake.landing.numbers import doubles, rounded, rounding_notes
from lake.landing.rows import cell_place
from lake.landing.sheet import Dialect, Sheet, read_sheet

MAX_LISTED = 100
_ZONES = {"%z": r"(?:Z|[+-]\d\d(?::?\d\d){0,2})", "%Z": r"[\w+/:-]+"}


@dataclass(frozen=True)
class Layout:
    """What a file of the layout looks like.

    named_by : what names a series of it, each by the names it may have in `by` or `header`; nothing where columns are series.
    missing : marks every file of the layout may use.
    """

    meaning: str
    named_by: tuple[tuple[str, ...], ...] = ()
    missing: tuple[str, ...] = ()
    one_value: bool = False


LAYOUTS: dict[str, Layout] = {
    "series": Layout("a date column and one value column, whatever they are called", one_value=True),
    "wide": Layout("a date column and one column for each series"),
    "long": Layout("a row for each date and series: date, id, value", (("id",),)),
    "curve": Layout(
        "a row for each date and curve, a column for each tenor; or the tenor in a column, too", (("tenor",),)
    ),
    "surface": Layout(
        "a row for each date and expiry, a column for each strike, delta or moneyness; or those in a column, too",
        (("expiry",), ("strike", "delta", "moneyness")),
    ),
    "ohlc": Layout(
        "a row for each date: open, high, low, close, of which one is taken and the close is held to its range"
    ),
    "ecb_zip": Layout("wide, as the European Central Bank publishes", missing=("N/A",)),
}
OHLC = ("open", "high", "low", "close")
_HEADER = {"curve": "tenor"}  # what the names of the value columns are where nothing is said
EXCEL = "excel"  # dates as Excel counts them, from 1900


class Redenomination(BaseModel):
    """A day on which a unit was replaced, such as 1,000,000 old lira by one new on 2005-01-01."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: dt.date = Field(description="first day in the new unit")
    factor: float = Field(
        gt=0, allow_inf_nan=False, description="what earlier values are multiplied by, beside the scale"
    )
    column: str | None = Field(None, description="column of the new unit; every one when absent")
    before: str | None = Field(None, description="column that has the earlier values, where the old unit has its own")

    @model_validator(mode="after")
    def _of_a_column(self) -> Redenomination:
        if self.before is not None and self.column is None:
            raise ValueError("before names the column of the old unit; name the one of the new unit as column")
        return self


class FileOptions(Dialect):
    """How to read a landing file. An empty cell is always missing; every other mark has to be declared."""

    layout: str = Field(description="shape of the file, a key of LAYOUTS")
    date_column: str | None = Field(None, description="name of the date column; the first column when absent")
    date_format: str | tuple[str, ...] = Field(
        "%Y-%m-%d",
        description="format of the dates, or several, of which the first counts that fits; excel for its serial numbers; a "
        "two-digit year is of 1969-2068, so 90 is 1990; a zone (%z, %Z) does not move the day",
    )
    add_hours: float = Field(0, ge=-24, le=24, description="hours to add to a time before its day is taken")
    by: dict[str, str] = Field(
        default_factory=dict,
        description="columns whose cells name the series, each by what it is: id, curve, tenor, expiry, strike, ...",
    )
    header: str | None = Field(None, description="what the names of the value columns are: tenor, strike, ...")
    value_column: str | None = Field(None, description="column of the values, where by names the series whole")
    take: str | None = Field(None, description="of OHLC: the column that is loaded; the close when absent")
    ohlc: dict[Literal["open", "high", "low", "close"], str] = Field(
        default_factory=dict, description="of OHLC: columns that are called otherwise than open, high, low, close"
    )
    outside: Literal["refuse", "drop"] = Field(
        "refuse", description="of OHLC: what to do with a row whose close is not between low and high"
    )
    missing: tuple[str, ...] = Field((), description="texts that mean: no value")
    weekends: Literal["keep", "drop"] = Field("keep", description="what to do with rows dated Saturday or Sunday")
    drop_after: dt.date | None = Field(None, description="last date to accept; later rows are dropped and counted")
    redenominations: tuple[Redenomination, ...] = Field((), description="days on which a unit was replaced")

    @field_validator("layout")
    @classmethod
    def _known_layout(cls, value: str) -> str:
        if value not in LAYOUTS:
            raise ValueError(unknown("layout", value, LAYOUTS).message)
        return value

    @model_validator(mode="after")
    def _series_are_named(self) -> FileOptions:
        if wrong := [
            name for name in (*self.by, self.header or "x") if not re.fullmatch("[a-z_]+", name) or name == "column"
        ]:
            raise ValueError(
                f"{wrong[0]!r} is no name of what a column is; expected one such as curve, tenor or expiry"
            )
        if self.layout == "surface":
            open_ = [g for g in LAYOUTS["surface"].named_by if not set(g) & {*self.by, self.header}]
            if open_:
                raise ValueError(
                    f"a surface needs {' or '.join(open_[0])}: name its column in by, or say with header that the columns are"
                )
        return self

    @property
    def parts(self) -> set[str]:
        """What names a series beside its column: names of `by`, and what the header is."""
        header = self.header or (_HEADER.get(self.layout) if not self.tall else None)
        by = self.by or ({"id": ""} if self.layout == "long" else {})
        return {*by, *([header] if header else [])}

    @property
    def percent_sign(self) -> str | None:
        """What a percent sign in a cell does to its number, as `Dialect.numbers` takes it; None where the file's unit is another."""
        return "e-2"

    @property
    def tall(self) -> bool:
        """Whether the cells of a row name its series whole, so that it has one value."""
        groups = LAYOUTS[self.layout].named_by
        return self.layout == "long" or (bool(groups) and all(set(group) & set(self.by) for group in groups))


@dataclass(frozen=True)
class Landing:
    """A file read whole.

    `rows` holds date (date32), column (string, as a dictionary), value (float64, null when missing), line (int64, 1-based, of
    the file) and factor (float64, of its redenomination, 1 where there is none); by column in the order of `columns`, then by
    date. `names` says for each column what names it, by `by` and `header`. `dropped` counts lines left out, by reason. `notes`
    say which numbers a double does not hold.
    """

    rows: pa.Table
    columns: tuple[str, ...]
    names: tuple[Mapping[str, str], ...]
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
            self.add(lines[i], column, cells[i].as_py() or "", expected)
        self.count += len(rows) - len(described)

    def error(self) -> BadInput:
        many = counted(self.count, "fault")
        listed = f" (the first {len(self.issues)} are listed)" if self.count > len(self.issues) else ""
        marks = ", ".join(f'"{text}"' for text in [*self.texts][:3] if len(text) <= 8 and not re.search(r"\d", text))
        way = f" Where a text means no value, declare it in the catalogue: missing = [{marks}]." if marks else ""
        return BadInput(f"{self.path.name} has {many}{listed}; nothing of it is loaded.{way}", issues=self.issues)


def read_source(path: Path, options: FileOptions, columns: Sequence[str] | None = None) -> Landing:
    """Reads the wanted columns (all named ones when None) of one file.

    A column is a series of dated values: of a file whose cells name the series, it is called by them, with spaces between.
    Raises `NotFound`, or `BadInput` with an issue for each bad line, date or cell (the first MAX_LISTED of them).
    """
    faults = _CellFaults(path)
    sheet = read_sheet(path, options)
    for line, row, reason in sheet.uneven:
        faults.add(line, None, row[:80], f"as many cells as the header: {reason}")
    if not len(sheet.lines) and not faults.count:
        raise BadInput(f"{path.name} has no row to load below its header.")
    file = _File(path, options, sheet, faults)
    date_at = 0 if options.date_column is None else file.find(options.date_column)
    keys = {role: file.find(name) for role, name in file.by(date_at).items()}
    dates = file.dates(date_at)
    undated = np.isnat(dates)
    late = dates > np.datetime64(options.drop_after or LAST)
    weekend = ~(np.is_busday(dates) | undated | late) & (options.weekends == "drop")
    keep = ~(undated | late | weekend)
    dropped = {"after drop_after": int(late.sum()), "weekend": int(weekend.sum())}
    named, names = file.named_rows(keys, keep)
    read = None if columns is None else [*columns, *(c.before for c in options.redenominations if c.before)]
    if options.tall and read is not None:
        if strange := [c for c in read if c not in names]:
            raise unknown(f"series of {path.name}", strange[0], names)
        kept = np.isin(named, [list(names).index(c) for c in read])
        dropped["not in columns"] = int((keep & ~kept).sum())
        keep &= kept
    values_at = file.values_at(date_at, keys, read)
    if options.layout == "ohlc":
        outside = file.outside(keep, [*values_at.values()])
        dropped["close outside low and high"] = int(outside.sum())
        keep &= ~outside
    file.check_padding(date_at, keep, listed=columns is not None)

    series = file.series(names, [*values_at])
    codes = (np.arange(len(values_at))[:, None] * len(names) + named[keep]).ravel()
    values = np.concatenate([file.numbers(name, at, keep) for name, at in values_at.items()])
    rows = np.tile(np.flatnonzero(keep), len(values_at))
    flat = _Values(codes, np.tile(dates[keep], len(values_at)), values, np.ones(len(values)), rows)
    for change in options.redenominations:
        file.redenominate(change, flat, series)
    wanted = [name for name in series if name not in {c.before for c in options.redenominations}]
    if columns is not None:
        wanted = list(columns)
        if strange := [c for c in wanted if c not in series]:
            raise unknown(f"series of {path.name}", strange[0], series)
    landing = file.collated(flat, list(series), wanted)
    if faults.count:
        raise faults.error()
    if not landing.num_rows:
        raise BadInput(f"{path.name} has no row to load below its header.")
    parts = tuple(series[name] for name in wanted)
    return Landing(landing, tuple(wanted), parts, dropped, rounding_notes("values", file.inexact))


@dataclass
class _Values:
    """Dated values one after another, (n,): the series each is of (-1 for none), its factor and its row in the sheet."""

    codes: Ints
    dates: Dates
    values: Floats
    factors: Floats
    rows: Ints

    def take(self, order: Ints) -> _Values:
        return _Values(self.codes[order], self.dates[order], self.values[order], self.factors[order], self.rows[order])


class _File:
    """The sheet of a landing file, read by what its columns are; rows are counted from 0 in `sheet.cells`."""

    def __init__(self, path: Path, options: FileOptions, sheet: Sheet, faults: _CellFaults) -> None:
        self.path, self.options, self.sheet, self.faults = path, options, sheet, faults
        self.marks = sorted({*LAYOUTS[options.layout].missing, *(m.strip() for m in options.missing)})
        self.inexact: list[tuple[str, str, float]] = []

    def find(self, name: str) -> int:
        places = [i for i, h in enumerate(self.sheet.header) if h == name]
        if len(places) > 1:
            raise BadInput(
                f"{self.path.name} has {len(places)} columns called {name!r}; it must be clear which one is meant."
            )
        if not places:
            raise unknown(f"column of {self.path.name}", name, [h for h in self.sheet.header if h])
        return places[0]

    def by(self, date_at: int) -> dict[str, str]:
        """The columns that name the series; of a long file without a word on it, the first that is no date."""
        if self.options.by or self.options.layout != "long":
            return self.options.by
        others = [h for i, h in enumerate(self.sheet.header) if h and i != date_at and h != self.options.value_column]
        if not others:
            raise BadInput(f"{self.path.name} has no column beside the date that names the series.")
        return {"id": others[0]}

    def dates(self, at: int) -> Dates:
        formats = self.options.date_format
        formats = (formats,) if isinstance(formats, str) else formats
        distinct = self.sheet.column(at).dictionary_encode()
        texts = distinct.dictionary
        days = np.full(len(texts), np.datetime64("NaT"), dtype="datetime64[D]")
        for one in formats:
            days = np.where(np.isnat(days), parsed_dates(texts, one, self.options.add_hours), days)
        dates: Dates = np.append(days, np.datetime64("NaT"))[pc.fill_null(distinct.indices, len(texts)).to_numpy()]
        expected = f"a date of format {' or '.join(formats)} from {FIRST.year} to {LAST.year}"
        self._refuse(np.isnat(dates), at, self.sheet.column(at), expected)
        return dates

    def named_rows(self, keys: Mapping[str, int], keep: Bools) -> tuple[Ints, dict[str, dict[str, str]]]:
        """For each row which name it has, and the names with what each part of them is; rows not kept have any."""
        if not keys:
            return np.zeros(len(keep), dtype=np.int64), {"": {}}
        codes, parts = np.zeros(len(keep), dtype=np.int64), []
        for at in keys.values():
            cells = self.sheet.column(at)
            self._refuse(keep & cells.is_null().to_numpy(zero_copy_only=False), at, cells, "a name")
            encoded = pc.fill_null(cells, "").dictionary_encode()
            parts.append(encoded.dictionary.to_pylist())
            codes = codes * len(parts[-1]) + encoded.indices.to_numpy()
        encoded = pa.array(codes[keep]).dictionary_encode()
        codes[keep], codes[~keep] = encoded.indices.to_numpy(), 0
        used = encoded.dictionary.to_numpy()
        names: dict[str, dict[str, str]] = {}
        for code in used.tolist():
            cells = []
            for part in reversed(parts):
                code, i = divmod(code, len(part))
                cells.insert(0, part[i])
            names[" ".join(cells)] = dict(zip(keys, cells, strict=True))
        if len(names) < len(used):
            raise BadInput(
                f"{self.path.name}: the columns {', '.join(keys)} name two series alike; their cells hold spaces."
            )
        return codes, names

    def values_at(self, date_at: int, keys: Mapping[str, int], columns: Sequence[str] | None) -> dict[str, int]:
        """Value columns by name, each with its place. A column without a name is padding."""
        options, header = self.options, self.sheet.header
        others = [h for i, h in enumerate(header) if h and i != date_at and i not in keys.values()]
        if options.layout == "ohlc":
            others = [options.take or header[self.ohlc()["close"]]]
        elif options.tall:
            others = self._one_value(others)
        elif columns is not None and not keys:
            others = list(columns)
        if not others:
            raise BadInput(f"{self.path.name} has no value column beside {header[date_at]!r}.")
        if LAYOUTS[options.layout].one_value and len(others) > 1:
            raise BadInput(
                f"{self.path.name} has {len(others)} value columns ({', '.join(others[:6])}) and the layout {options.layout} has "
                "one. Use the layout wide and name the columns wanted."
            )
        return {name: self.find(name) for name in others}

    def _one_value(self, others: list[str]) -> list[str]:
        if self.options.value_column is not None:
            return [self.options.value_column]
        called = [name for name in others if name.lower() == "value"] if len(others) > 1 else others
        if len(called) != 1:
            raise BadInput(
                f"{self.path.name} has {len(others)} columns that may hold the values ({', '.join(others[:6])}); name one as "
                "value_column."
            )
        return called

    def ohlc(self) -> dict[str, int]:
        """The columns of open, high, low and close that the file has, by what they are."""
        given = {str(k): v for k, v in self.options.ohlc.items()}
        found = {k: [i for i, h in enumerate(self.sheet.header) if h.lower() == k] for k in OHLC if k not in given}
        columns = {k: self.find(name) for k, name in given.items()} | {
            k: at[0] for k, at in found.items() if len(at) == 1
        }
        if "close" not in columns:
            raise BadInput(
                f'{self.path.name} has no column called close; say which it is: ohlc = {{ close = "Price" }}.'
            )
        return columns

    def outside(self, keep: Bools, taken: Collection[int]) -> Bools:
        """Rows whose close lies above the high or below the low; faults where they are refused."""
        at = self.ohlc()
        header = self.sheet.header
        # what is taken is read again, and its faults are told then
        found = {
            k: self.numbers(header[at[k]], at[k], keep, tell=at[k] not in taken)
            for k in ("low", "close", "high")
            if k in at
        }
        outside = np.zeros(len(keep), dtype=bool)
        close = found["close"]
        with np.errstate(invalid="ignore"):
            for k, beyond in (("low", np.less), ("high", np.greater)):
                if k in found:
                    outside[keep] |= beyond(close, found[k])
        if self.options.outside == "refuse":
            cells = self.sheet.column(at["close"])
            bounds = " and ".join(header[at[k]] for k in ("low", "high") if k in at)
            self._refuse(
                outside, at["close"], cells, f'a close between {bounds}; outside = "drop" leaves such rows out'
            )
        return outside

    def numbers(self, name: str, at: int, keep: Bools, *, tell: bool = True) -> Floats:
        """The values of a column in the kept rows, NaN where missing."""
        cells, rows = self.sheet.column(at), None
        if not keep.all():
            rows = np.flatnonzero(keep)
            cells = cells.filter(pa.array(keep))
        absent = pc.is_in(cells, pa.array([*self.marks, None], pa.string()))
        plain, numbers = self.options.numbers(pc.if_else(absent, None, cells), self.options.percent_sign)
        values: Floats = numbers.to_numpy(zero_copy_only=False)
        if not tell:
            return values
        neither = pc.invert(pc.or_(numbers.is_valid(), absent)).to_numpy(zero_copy_only=False)
        lines = self.sheet.lines if rows is None else self.sheet.lines[rows]
        expected = "a number" + (f" or a declared missing mark ({', '.join(self.marks)})" if self.marks else "")
        self.faults.add_cells(neither, lines, name, cells, expected)
        self.faults.texts |= dict.fromkeys(pc.unique(cells.filter(neither)).to_pylist())
        self.inexact += [
            (f"line {lines[i]}, column {name}", cells[i].as_py(), float(values[i])) for i in rounded(plain, numbers)
        ]
        return values

    def series(self, names: Mapping[str, Mapping[str, str]], columns: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """The series with what names each: those of the first column by `names`, then those of the second, and so on."""
        options = self.options
        if options.tall:
            return dict(names)
        role = options.header or _HEADER.get(options.layout)
        return {
            f"{name} {column}".strip(): {**parts, **({role: column} if role else {})}
            for column in columns
            for name, parts in names.items()
        }

    def redenominate(self, change: Redenomination, flat: _Values, series: Mapping[str, object]) -> None:
        """Gives earlier values their factor, and those of the old unit to the series of the new one."""
        for name in (change.column, change.before):
            if name is not None and name not in series:
                raise unknown(f"series of {self.path.name}", name, series)
        names = list(series)
        early = flat.dates < np.datetime64(change.date)
        new = early if change.column is None else early & (flat.codes == names.index(change.column))
        if change.before is not None:
            old = flat.codes == names.index(change.before)
            for both, name, when in ((new, change.column, "before"), (old & ~early, change.before, "from")):
                expected = f"no value {when} {change.date}, when the unit was replaced"
                for i in np.flatnonzero(both & ~np.isnan(flat.values)):
                    self.faults.add(self.sheet.lines[flat.rows[i]], name, str(flat.values[i]), expected)
            flat.codes[new | old] = -1
            new = old & early
            flat.codes[new] = names.index(str(change.column))
        flat.factors[new] *= change.factor

    def collated(self, flat: _Values, series: Sequence[str], wanted: Sequence[str]) -> pa.Table:
        """The rows of the landing; rows of one date and series must agree, a value beside a missing mark being a difference, too."""
        if wanted != series:
            place = {name: i for i, name in enumerate(wanted)}
            flat.codes = np.array([*(place.get(name, -1) for name in series), -1], dtype=np.int64)[flat.codes]
        key = (flat.codes << 32) + flat.dates.astype(np.int64)
        if (flat.codes < 0).any() or not (key[1:] > key[:-1]).all():
            order = np.argsort(key, kind="stable")
            order = order[flat.codes[order] >= 0]
            key, flat = key[order], flat.take(order)
        lines, values = self.sheet.lines[flat.rows], flat.values
        again = key[1:] == key[:-1]
        before, after = values[:-1], values[1:]
        differs = again & ~((before == after) | (np.isnan(before) & np.isnan(after)))
        for i in np.flatnonzero(differs):
            expected = f"one value for {flat.dates[i]}; line {lines[i]} has {before[i]}"
            self.faults.add(lines[i + 1], wanted[flat.codes[i]], str(after[i]), expected)
        table = pa.table(
            {
                "date": pa.array(flat.dates, pa.date32()),
                "column": pa.DictionaryArray.from_arrays(flat.codes.astype(np.int32), list(wanted)),
                "value": pa.array(values, from_pandas=True),
                "line": lines,
                "factor": flat.factors,
            }
        )
        return table.filter(pa.array(np.append(True, ~again))) if again.any() else table

    def check_padding(self, date_at: int, keep: Bools, *, listed: bool) -> None:
        """Columns without a name hold nothing; where those wanted are listed, one may be full, as an index is."""
        for at, name in enumerate(self.sheet.header):
            if not name and at != date_at:
                cells = self.sheet.column(at)
                filled = keep & cells.is_valid().to_numpy(zero_copy_only=False)
                if listed and (filled == keep).all():
                    continue
                self.faults.add_cells(filled, self.sheet.lines, f"{at + 1} (no header)", cells, "an empty cell")

    def _refuse(self, bad: Bools, at: int, cells: pa.Array, expected: str) -> None:
        self.faults.add_cells(bad, self.sheet.lines, self.sheet.header[at], cells, expected)


def parsed_dates(text: pa.Array, date_format: str, add_hours: float) -> Dates:
    """Days where they were written; NaT where the text is no date or lies outside the plausible range."""
    if date_format == EXCEL:
        serial = doubles(text).to_numpy(zero_copy_only=False) + add_hours / 24
        # before 1900-03-01 Excel counts a day that never was
        usable = (serial >= 61) & (serial < 1e6)
        days: Dates = np.datetime64("1899-12-30") + np.floor(np.where(usable, serial, 0)).astype(np.int64)
        days[~usable] = np.datetime64("NaT")
    else:
        try:
            if "%" not in date_format:  # pandas has names for guessing
                raise ValueError("it has no code that begins with %")
            local, local_format = _without_zone(text, date_format)
            times = pd.to_datetime(local.to_pandas(), format=local_format, errors="coerce")
            days = (times + pd.Timedelta(hours=add_hours)).to_numpy().astype("datetime64[D]")
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
