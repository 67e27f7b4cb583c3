"""Mappings: how the columns and cells of a file of somebody's own become those that varlake knows.

A mapping is a pure step from the cells of a sheet to canonical text, so that whatever reads rows behind it stays as it is. Faults
name the file's own columns, cells and lines.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from lake.arrays import Ints
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, Issue, unknown, validated
from lake.landing.sheet import Dialect, Sheet
from lake.schemas import DIMENSION_COLUMNS

Kind = Literal["number", "date", "text"]
TYPE = "instrument_type"
REJECT = "reject."  # the two columns a rejects file has more than its source; ignored, so that it loads once corrected
UNITS = {
    "percent": Decimal("0.01"),
    "bp": Decimal("0.0001"),
    "pence": Decimal("0.01"),
    "thousands": Decimal(1000),
    "millions": Decimal(1_000_000),
}
_EXACT = Context(prec=500)
_SAME_MARK = {" ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}  # as spreadsheets write what a keyboard has
_ISO = "%Y-%m-%d"
EXCEL_DAYS = "excel"  # as a date format: days since 1899-12-30


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _date_format(value: str) -> str:
    day = dt.datetime(2020, 3, 16)
    if value != EXCEL_DAYS and (not value.isprintable() or dt.datetime.strptime(day.strftime(value), value) != day):
        raise ValueError("it does not say year, month and day, as %d.%m.%Y or %d-%b-%y do")
    return value


DateFormat = Annotated[str, AfterValidator(_date_format)]


def _unit(value: Any) -> str:
    text = str(value)
    try:
        if text in UNITS or (Decimal(text).is_finite() and Decimal(text) != 0):
            return text
    except InvalidOperation:
        pass
    raise ValueError(unknown("unit", text, UNITS).message)


class Side(_Model):
    """The buy/sell column that gives an amount its sign: bought is positive, sold negative."""

    from_: str = Field(alias="from", description="column of the file that says which side")
    buy: tuple[str, ...] = Field(min_length=1, description="texts that mean bought or long")
    sell: tuple[str, ...] = Field(min_length=1, description="texts that mean sold or short")

    @model_validator(mode="after")
    def _apart(self) -> Side:
        if both := sorted({*self.buy} & {*self.sell}):
            raise ValueError(f"{both[0]!r} cannot mean both bought and sold")
        return self


class MappedColumn(_Model):
    """Where the cells of one column of varlake come from, and what is done to them."""

    from_: str | None = Field(None, alias="from", description="column of the file")
    constant: str | None = Field(None, min_length=1, description="text of every row, where the file has no such column")
    values: dict[str, str] = Field(
        {}, description='texts of the file and what each becomes; the text "" is an empty cell; others stay as they are'
    )
    date_format: DateFormat | None = Field(
        None,
        description=f"format of its dates, such as %d-%b-%y, or {EXCEL_DAYS} for days since 1899-12-30; default that of the file",
    )
    unit: str | None = Field(None, description=f"unit of its numbers: {', '.join(UNITS)}, or a factor such as 0.001")
    unit_for: dict[str, str] = Field(
        {}, description="units of rows of some instrument types, by type: a face amount of bonds is 0.01 of their units"
    )
    prefix: str = Field("", description="text put before each cell, such as EQ: before a ticker")
    side: Side | None = Field(None, description="the buy/sell column that gives these amounts their sign")
    only_for: tuple[str, ...] = Field(
        (),
        description="instrument types whose rows have this column; on other rows it is empty, whatever the file has there",
    )

    @field_validator("unit", mode="before")
    @classmethod
    def _known_unit(cls, value: Any) -> Any:
        return None if value is None else _unit(value)

    @field_validator("unit_for", mode="before")
    @classmethod
    def _known_units(cls, value: Any) -> Any:
        return {k: _unit(v) for k, v in value.items()} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _one_origin(self) -> MappedColumn:
        if (self.from_ is None) == (self.constant is None):
            raise ValueError('give either from = "column of the file" or constant = "text"')
        if self.constant is not None and self.model_fields_set - {"constant", "only_for"}:
            raise ValueError("a constant stands as it is, without anything done to it")
        return self


class FileMapping(_Model):
    """How a file of positions, P&L or hierarchies is read: its dialect, and which of its columns become which of varlake's."""

    dialect: Dialect = Field(Dialect(), description="how the file is written")
    date_format: DateFormat = Field(
        _ISO, description="format of the dates; days written as 2020-03-16 are always understood"
    )
    columns: dict[str, MappedColumn] = Field(
        {}, description="by column of varlake, the column of the file as a text, or an object that says more"
    )
    ignored: tuple[str, ...] = Field((), description="columns of the file that are left out")

    @field_validator("columns", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: {"from": column} if isinstance(column, str) else column for name, column in value.items()}

    def digest(self) -> str:
        """Its name by content."""
        return digest(canonical_json(self.model_dump(mode="json", by_alias=True, exclude_defaults=True)))


def load_mapping(path: Path | None, pairs: Iterable[str] = ()) -> FileMapping | None:
    """The mapping of a TOML file with further `FILE COLUMN=column` pairs; None where there is neither.

    Raises `BadInput` for what is no TOML or no mapping, with every fault.
    """
    pairs = tuple(pairs)
    if path is None and not pairs:
        return None
    given: dict[str, Any] = {}
    if path is not None:
        try:
            given = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise BadInput(f"The mapping {path} cannot be read: {reason}.") from None
    mapping = validated(FileMapping, given, f"mapping {path.name}" if path else "mapping")
    more = {}
    for pair in pairs:
        theirs, equals, ours = pair.rpartition("=")
        if not (equals and theirs.strip() and ours.strip()):
            raise BadInput(
                f'{pair!r} is no pair; expected the column of the file, =, and the column of varlake: "Trade ID=trade".'
            )
        more[ours.strip()] = MappedColumn(from_=theirs.strip())
    return mapping.model_copy(update={"columns": {**mapping.columns, **more}})


# --- the step ---------------------------------------------------------------------------------------------------------


@dataclass
class Mapped:
    """A sheet as canonical text.

    cells : trimmed cells of every column of the file, by its own name. lines : line of each row in the file. columns : cells by our
    names, null where empty; columns that the mapping does not name keep their own. own : for each column that comes from the file,
    the file's name of it. faults : (rows, column of the file, its cells, reason) of cells that the mapping cannot read.
    issues : what is wrong with the columns as such.
    """

    cells: dict[str, pa.Array]
    lines: Ints
    columns: dict[str, pa.Array] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)
    faults: list[tuple[Ints, str, pa.Array, str]] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def put(self, name: str, column: MappedColumn, kind: Kind, mapping: FileMapping) -> None:
        """Makes one canonical column; cells that cannot be read are faults, and stay as they are."""
        if column.constant is not None:
            self.columns[name] = self._only(column, pa.repeat(pa.scalar(column.constant), len(self.lines)))
            return
        source = str(column.from_)
        text = self._only(column, self.cells[source])
        masks = {t: pc.equal(self.columns[TYPE], t) for t in column.unit_for}
        others = text
        for mask in masks.values():
            others = pc.if_else(pc.fill_null(mask, False), None, others)
        parts = [self._converted(others, column, kind, mapping)]
        for kind_of_row, mask in masks.items():
            own = column.model_copy(update={"unit": column.unit_for[kind_of_row]})
            parts.append(self._converted(pc.if_else(mask, text, None), own, kind, mapping))
        text = pc.coalesce(*parts) if masks else parts[0]
        if "" in column.values:
            text = self._only(column, pc.fill_null(text, column.values[""]))
        if column.side is not None:
            text = self._signed(text, source, column.side)
        self.own[name] = source
        self.columns[name] = pc.binary_join_element_wise(column.prefix, text, "") if column.prefix else text

    def _converted(self, text: pa.Array, column: MappedColumn, kind: Kind, mapping: FileMapping) -> pa.Array:
        change, expected = _reader(column, kind, mapping)
        if change is None:
            return text
        encoded = text.dictionary_encode()  # a book has many rows and few distinct cells
        read = pa.array([change(t) for t in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)
        self._fault(pc.and_(read.is_null(), text.is_valid()), str(column.from_), expected)
        return pc.coalesce(read, text)

    def _only(self, column: MappedColumn, text: pa.Array) -> pa.Array:
        """The cells on the rows that the column is for."""
        if not column.only_for:
            return text
        return pc.if_else(pc.is_in(self.columns[TYPE], pa.array(column.only_for)), text, None)

    def _signed(self, amount: pa.Array, source: str, side: Side) -> pa.Array:
        sides = self.cells[side.from_]
        sold = pc.is_in(sides, pa.array(side.sell))
        signed = pc.fill_null(pc.starts_with(amount, "-"), False)
        words = f"expected {', '.join(side.buy)} for bought or {', '.join(side.sell)} for sold"
        self._fault(pc.invert(pc.or_(sold, pc.is_in(sides, pa.array(side.buy)))), side.from_, words)
        self._fault(signed, source, f"an amount beside the side in {side.from_!r} has no sign of its own")
        return pc.if_else(pc.and_(sold, pc.invert(signed)), pc.binary_join_element_wise("-", amount, ""), amount)

    def _fault(self, wrong: pa.Array, source: str, reason: str) -> None:
        rows = np.flatnonzero(wrong.to_numpy(zero_copy_only=False))
        if len(rows):
            self.faults.append((rows, source, self.cells[source].take(pa.array(rows)), reason))


def mapped(sheet: Sheet, mapping: FileMapping, kinds: Mapping[str, Kind]) -> Mapped:
    """The sheet's cells as the mapping says; `kinds` tells which canonical columns are numbers and dates, others are text.

    A column without a name is called by its place (`column 7`), the second of a name `NAME (2)`.
    """
    before = [sheet.header[:i].count(name) for i, name in enumerate(sheet.header)]
    names = [
        f"column {i + 1}" if not name else f"{name} ({k + 1})" if k else name
        for i, (name, k) in enumerate(zip(sheet.header, before, strict=True))
    ]
    cells = {name: sheet.column(i) for i, name in enumerate(names)}
    padding = {n for n, h in zip(names, sheet.header, strict=True) if not h and cells[n].null_count == len(sheet.lines)}
    done = Mapped({n: c for n, c in cells.items() if n not in padding and not n.startswith(REJECT)}, sheet.lines)
    done.issues += [
        Issue(n, f"Two columns of the file are called {n!r} here; rename one.") for n in {*names} if names.count(n) > 1
    ]
    wanted: dict[str, MappedColumn] = {}
    used, known = {*mapping.ignored}, {*kinds, *DIMENSION_COLUMNS, TYPE}
    for name, column in mapping.columns.items():
        sources = {*([column.from_] if column.from_ else []), *([column.side.from_] if column.side else [])}
        used |= {name} if sheet.canonical else sources
        if sheet.canonical:
            done.cells.update({s: pa.nulls(len(done.lines), pa.string()) for s in sources & known - {*done.cells}})
        if absent := sorted(sources - {*done.cells}):
            done.columns[name] = pa.nulls(len(done.lines), pa.string())
        else:
            wanted[name] = column
        for source in absent:
            done.issues += unknown("column of the file", source, done.cells, pointer=source).issues
    for name in sorted({*mapping.ignored} - {*done.cells}):
        done.issues += unknown("column of the file", name, done.cells, pointer=name).issues
    for name in (n for n in done.cells if n not in used):
        if name in mapping.columns:
            text = f"Column {name!r} of the file is not used, since the mapping makes {name} otherwise: ignore it, or map it."
            done.issues.append(Issue(name, text))
        else:
            wanted[name] = MappedColumn(from_=name)
    # what differs by type comes after it
    for name, column in sorted(wanted.items(), key=lambda item: item[0] != TYPE):
        if (column.only_for or column.unit_for) and TYPE not in done.columns:
            done.issues.append(Issue(name, f"{name} differs by {TYPE}, a column that there is not."))
        else:
            done.put(name, column, kinds.get(name, "text"), mapping)
    return done


def canonical(sheet: Sheet, mapping: FileMapping | None, kinds: Mapping[str, Kind]) -> Mapped:
    """As `mapped`; without a mapping the sheet's own columns."""
    if mapping is not None:
        return mapped(sheet, mapping, kinds)
    columns = {n: sheet.column(i) for i, n in enumerate(sheet.header) if not n.startswith(REJECT)}
    return Mapped(columns, sheet.lines, columns)


def _reader(column: MappedColumn, kind: Kind, mapping: FileMapping) -> tuple[Callable[[str], str | None] | None, str]:
    """What makes canonical text of a cell, None for a cell that is none; and what is expected instead of that."""
    change: Callable[[str], str | None] | None = None
    expected = ""
    if kind == "number" or column.unit or column.side:
        dialect = mapping.dialect
        factor = Decimal(1) if column.unit is None else UNITS.get(column.unit) or Decimal(column.unit)
        change = functools.partial(
            plain_number,
            decimal=dialect.decimal,
            thousands=dialect.thousands,
            factor=factor,
            percent=column.unit == "percent",
        )
        marks = f"decimal mark {dialect.decimal!r} and " + (
            f"thousands mark {dialect.thousands!r}" if dialect.thousands else "no thousands mark"
        )
        expected = f"expected a number with {marks}, as the mapping says"
    elif kind == "date" or column.date_format:
        form = column.date_format or mapping.date_format
        change = functools.partial(iso_date, date_format=form)
        expected = f"expected a date of the format {form}, or as 2020-03-16"
    if column.values:
        values, inner = column.values, change or (lambda text: text)
        return (lambda text: values[text] if text in values else inner(text)), expected
    return change, expected


@functools.cache
def _number(decimal: str, thousands: str) -> re.Pattern[str]:
    whole = r"\d+"
    if thousands:
        whole = rf"\d{{1,3}}(?:{_SAME_MARK.get(thousands, re.escape(thousands))}\d{{3}})+|\d+"
    return re.compile(
        rf"(?P<open>\()?(?P<sign>[+-])?(?:(?P<whole>{whole})(?:{re.escape(decimal)}(?P<part>\d*))?|{re.escape(decimal)}(?P<only>\d+))"
        r"(?P<power>[eE][+-]?\d{1,3})?\s?(?P<percent>%)?(?P<close>\))?(?P<after>-)?",
        re.ASCII,
    )


def plain_number(
    text: str, *, decimal: str = ".", thousands: str = "", factor: Decimal = Decimal(1), percent: bool = False
) -> str | None:
    """A number as people write it, times `factor`, as canonical text; None where it is none.

    Negative is a minus before or after, or parentheses. A percent sign divides by a hundred; it is not applied twice where the
    unit is `percent`. The factor is applied in decimals, so that 1.5% is 0.015.
    """
    found = _number(decimal, thousands).fullmatch(text.replace("\u2212", "-"))
    if found is None or (found["open"] is None) != (found["close"] is None):
        return None
    signs = [s for s in (found["open"], found["sign"], found["after"]) if s]
    if len(signs) > 1 or (found["percent"] and not percent and factor != 1):
        return None
    whole = re.sub(r"\D", "", found["whole"] or "0")
    part = found["part"] or found["only"] or ""
    number = ("-" if signs and signs[0] != "+" else "") + whole + (f".{part}" if part else "") + (found["power"] or "")
    scale = UNITS["percent"] if found["percent"] else factor
    return number if scale == 1 else f"{_EXACT.multiply(Decimal(number), scale):f}"


def iso_date(text: str, date_format: str) -> str | None:
    """A day of the format as 2020-03-16; one that is written so already is understood too; None where it is none."""
    try:
        if date_format == EXCEL_DAYS and re.fullmatch(r"\d{1,6}(\.0)?", text):
            return str(dt.date(1899, 12, 30) + dt.timedelta(days=int(float(text))))
        found = dt.datetime.strptime(text, _ISO if date_format == EXCEL_DAYS else date_format)
        return str(found.date())
    except (ValueError, OverflowError):
        return text if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
