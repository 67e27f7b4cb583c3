"""Effective-dated tables in: rows of a file, each with the days on which it holds, checked as a whole and put beside what the lake has.

One piece for all of them: what a table is made of is said as its fields, and what only it asks as two checks. Of every item in the
file (a counterparty, an agreement, a name) the rows become exactly those of the file; other items stay, and so does the table's history.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from lake.committer import Committer
from lake.dates import day
from lake.errors import BadInput, Issue, counted, nearest, unknown
from lake.landing.mapping import REJECT, FileMapping, Kind, Mapped, canonical
from lake.landing.numbers import doubles
from lake.landing.reference_values import CURRENCIES
from lake.landing.rows import NO_NAME, is_no_name, refuse_columns, refuse_whole
from lake.landing.sheet import read_sheet
from lake.schemas import TABLES
from lake.tables import Lake
from lake.words import first_of

Row = dict[str, Any]
_LISTS = ";"  # between the members of a list in one cell
_FLAGS = {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}
_SAID: Mapping[str, str] = {
    "date": "expected a date YYYY-MM-DD, such as 2020-03-16",
    "number": "expected a finite number of at most 1e16",
    "whole": "expected a whole number",
    "flag": "expected true or false",
    "currency": "expected an ISO 4217 currency in use, such as USD",
}


@dataclass(frozen=True)
class LandedField:
    """A column of the file: what its cells are, whether each row needs one, and what stands for an empty one.

    allowed : the names that may stand there. least, most : bounds of a number, both included.
    """

    kind: Literal["text", "date", "number", "whole", "flag", "currency", "list"] = "text"
    required: bool = False
    allowed: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    default: Any = None


DATES = {"effective_from": LandedField("date", required=True), "effective_to": LandedField("date")}
_MAPPED: Mapping[str, Kind] = {"date": "date", "number": "number", "whole": "number"}


@dataclass(frozen=True)
class ReferenceReport:
    """What became of a file: its rows `read` = new + unchanged; `removed` are rows of the lake that went, of the items in the file.

    items : counterparties, agreements or names that the file holds. first, last : first and last day that a row begins to hold.
    """

    path: str
    table: str
    read: int
    items: int
    new: int
    unchanged: int
    removed: int
    first: dt.date
    last: dt.date
    version: int
    notes: tuple[str, ...] = ()
    mapping: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class LandedRows:
    """The rows of a file that could be read, each with its `line`, and everything wrong with the file."""

    path: Path
    rows: list[Row]
    issues: list[tuple[int, Issue]]
    own: Mapping[str, str]  # the file's names of our columns

    def fault(self, line: int, column: str, message: str, value: Any = None, allowed: Iterable[str] = ()) -> None:
        place = f"row {line}, column {self.own.get(column, column)}"
        self.issues.append((line, Issue(place, message, None if value is None else str(value), tuple(allowed))))

    def raise_any(self) -> None:
        """Raises `BadInput` with every fault found so far, in the order of the rows, if any."""
        refuse_whole(self.path.name, [i for _, i in sorted(self.issues, key=lambda pair: pair[0])])


def read_landed(path: Path, what: str, fields: Mapping[str, LandedField], mapping: FileMapping | None) -> LandedRows:
    """The file's rows with their cells read; raises `BadInput` for a file that cannot be read or has other columns."""
    sheet = read_sheet(path, None if mapping is None else mapping.dialect)
    kinds = {n: _MAPPED[f.kind] for n, f in fields.items() if f.kind in _MAPPED}
    done = canonical(sheet, mapping, kinds)
    names = [n for n in (sheet.header if mapping is None else [*done.columns]) if not n.startswith(REJECT)]
    issues = [*done.issues]
    issues += [i for n in names if n not in fields for i in unknown("column", n, fields, pointer=n).issues]
    needed = [n for n, f in fields.items() if f.required]
    issues += [Issue(n, f"Column {n!r} is missing; a file of {what} has it.") for n in needed if n not in names]
    issues += [
        Issue(n, f"Column {n!r} stands twice in the header.") for n in dict.fromkeys(names) if names.count(n) > 1
    ]
    refuse_columns(path.name, issues)
    landed = LandedRows(
        path, [], [(n, Issue(f"row {n}", reason, line[:80])) for n, line, reason in sheet.uneven], done.own
    )
    told = _told(done, landed)
    cells = {n: done.columns[n].to_pylist() for n in names}
    for i, line in enumerate(done.lines.tolist()):
        row: Row = {"line": line}
        for name, of in fields.items():
            given = cells[name][i] if name in cells else None
            row[name] = None if (i, done.own.get(name, name)) in told else _cell(landed, line, name, of, given)
        landed.rows.append(row)
    if not landed.rows and not landed.issues:
        raise BadInput(f"{path.name} has a header and no rows.")
    return landed


def _told(done: Mapped, landed: LandedRows) -> set[tuple[int, str]]:
    """The cells that the mapping could not read, which are told once."""
    told = set()
    for places, column, cells, reason in done.faults:
        for i, cell in zip(places.tolist(), cells.to_pylist(), strict=True):
            landed.fault(int(done.lines[i]), column, reason, cell)
            told.add((i, column))
    return told


def _cell(landed: LandedRows, line: int, name: str, field: LandedField, given: str | None) -> Any:
    """What a cell says; a fault and None where it says nothing that may stand there."""
    if given is None:
        if field.required:
            landed.fault(line, name, f"{name} is empty; every row has one")
        return field.default
    if is_no_name(given):
        landed.fault(line, name, NO_NAME, ascii(given))
        return None
    parts = [p.strip() for p in given.split(_LISTS) if p.strip()] if field.kind == "list" else [given]
    for part in parts:
        if field.allowed and part not in field.allowed:
            error = unknown(name, part, field.allowed)
            landed.fault(line, name, error.message.rstrip("."), part, nearest(part, field.allowed))
            return None
    if field.kind == "text":
        return given
    if field.kind == "list":
        return sorted(set(parts)) or None
    read = _READ[field.kind](given)
    if read is None:
        landed.fault(line, name, _SAID[field.kind], given)
    elif field.least is not None and read < field.least:
        landed.fault(line, name, f"expected {field.least:g} or more", given)
        read = None
    elif field.most is not None and read > field.most:
        landed.fault(line, name, f"expected {field.most:g} or less", given)
        read = None
    return read


def _date(text: str) -> dt.date | None:
    try:
        return day(text)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    found: float | None = doubles(pa.array([text]))[0].as_py()
    return found


def _whole(text: str) -> int | None:
    number = _number(text)
    return int(number) if number is not None and number == int(number) and abs(number) < 1e9 else None


def _flag(text: str) -> bool | None:
    return _FLAGS.get(text.lower())


def _currency(text: str) -> str | None:
    return text if text in CURRENCIES else None


_READ: Mapping[str, Callable[[str], Any]] = {
    "date": _date,
    "number": _number,
    "whole": _whole,
    "flag": _flag,
    "currency": _currency,
}


@dataclass(frozen=True)
class EffectiveFile:
    """A kind of file of an effective-dated table: the table, what its rows are called, and its columns.

    item : the column by which rows are the history of one thing. settled : columns that it keeps for good, and why another value is
    refused. check : adds the faults of a row. together : adds the faults that rows have together, of the lake and of the file; those of the
    file have a `line`. noted : what is to be said of rows that are no faults, of the file and the lake.
    """

    table: str
    what: str
    fields: Mapping[str, LandedField]
    item: str
    settled: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[LandedRows, Row], None] = lambda landed, row: None
    together: Callable[[LandedRows, list[Row]], None] = lambda landed, rows: None
    noted: Callable[[list[Row], Lake], tuple[str, ...]] = lambda rows, lake: ()


def ingest_effective(
    committer: Committer,
    path: str | Path,
    kind: EffectiveFile,
    *,
    mapping: FileMapping | None = None,
) -> ReferenceReport:
    """Makes the history of every item of the file exactly the file's rows; items that it does not name stay.

    Raises `BadInput` with every fault by row: cells that are empty or no such thing, a row that ends before it begins, two rows of an
    item that hold on one day, and what the kind checks itself.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"There is no file of {kind.what} {path}.")
    landed = read_landed(path, kind.what, kind.fields, mapping)
    for row in landed.rows:
        if row["effective_from"] and row["effective_to"] and row["effective_to"] < row["effective_from"]:
            message = f"is before effective_from, {row['effective_from']}"
            landed.fault(row["line"], "effective_to", message, row["effective_to"])
        kind.check(landed, row)
    landed.raise_any()
    _check_overlaps(landed, kind)
    schema, key = TABLES[kind.table].schema, TABLES[kind.table].key
    stored: list[Row] = committer.lake.whole().read(kind.table).to_pylist()
    named = {r[kind.item] for r in landed.rows}
    others = [r for r in stored if r[kind.item] not in named]
    _check_settled(landed, kind, stored)
    kind.together(landed, [*others, *landed.rows])
    landed.raise_any()
    rows = [{c: r[c] for c in schema.names} for r in landed.rows]
    before = [r for r in stored if r[kind.item] in named]
    of_key = {tuple(r[k] for k in key): r for r in before}
    unchanged = sum(of_key.get(tuple(r[k] for k in key)) == r for r in rows)
    version = committer.lake.version(kind.table)
    by = None if mapping is None else mapping.digest()
    if unchanged < len(rows) or unchanged < len(before):
        everything = sorted([*others, *rows], key=lambda r: tuple(r[k] for k in key))
        note = {f"{kind.table}_file": path.name, **({} if by is None else {"mapping": by})}
        version = committer.put(kind.table, pa.Table.from_pylist(everything, schema=schema), replace=True, note=note)
    begins = [r["effective_from"] for r in rows]
    return ReferenceReport(
        str(path),
        kind.table,
        len(rows),
        len(named),
        len(rows) - unchanged,
        unchanged,
        len(before) - unchanged,
        min(begins),
        max(begins),
        version,
        kind.noted(rows, committer.lake),
        by,
    )


def _check_settled(landed: LandedRows, kind: EffectiveFile, stored: Iterable[Row]) -> None:
    """An item has in its settled columns what its first row has, in the lake or else in the file."""
    first: dict[str, Row] = {}
    for row in sorted(stored, key=lambda r: r["effective_from"]):
        first.setdefault(row[kind.item], row)
    for (name,), rows in by_item(landed.rows, (kind.item,)).items():
        settled = first.get(name, rows[0])
        where = "in the lake" if name in first else f"row {settled['line']}"
        for row in rows:
            for column, why in kind.settled.items():
                if row[column] != settled[column]:
                    message = f"{kind.item} {name} is with {settled[column]} from {settled['effective_from']} ({where}); {why}"
                    landed.fault(row["line"], column, message, row[column])


def unknown_counterparties(rows: Iterable[Row], lake: Lake) -> tuple[str, ...]:
    """Counterparties of the rows that the counterparty table, where there is one, does not hold."""
    known = set(lake.whole().read("counterparties", ["counterparty"])["counterparty"].to_pylist())
    absent = sorted({r["counterparty"] for r in rows if r["counterparty"] is not None} - known) if known else []
    if not absent:
        return ()
    near = nearest(absent[0], known)
    hint = f"; nearest to {absent[0]}: {', '.join(near)}" if near else ""
    are = "is" if len(absent) == 1 else "are"
    return (f"{of_the_file(absent, 'counterparty')} {are} not in the counterparty table{hint}.",)


def of_the_file(names: Sequence[str], what: str) -> str:
    """How many of what a file names, and the first of the names."""
    return f"{counted(len(names), what)} of the file ({first_of(names)})"


def _check_overlaps(landed: LandedRows, kind: EffectiveFile) -> None:
    """One row of an item holds on a day."""
    for name, rows in by_item(landed.rows, (kind.item,)).items():
        for one, two in itertools.pairwise(rows):
            if overlap(one, two):
                until = one["effective_to"] or "now on"
                landed.fault(
                    two["line"],
                    "effective_from",
                    f"{name[0]} has a row from {one['effective_from']} to {until} already (row {one['line']}); end the one before the "
                    "other begins",
                    two["effective_from"],
                )


def by_item(rows: Iterable[Row], columns: Collection[str]) -> dict[tuple[Any, ...], list[Row]]:
    """The rows of each item, by the day they begin to hold."""
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[c] for c in columns)].append(row)
    for several in found.values():
        several.sort(key=lambda r: r["effective_from"])
    return found


def overlap(one: Row, two: Row) -> bool:
    """Whether both rows hold on some day."""
    first, second = (one, two) if one["effective_from"] <= two["effective_from"] else (two, one)
    return first["effective_to"] is None or bool(second["effective_from"] <= first["effective_to"])
