"""P&L by day and node into the lake, as the books have it: CSV or Parquet, whole or not at all.

Nothing here is financial. A row names the members of some dimensions; rows of one day and kind name the same dimensions, so
that no P&L stands in two of them and sums over them mean something.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.committer import Committer
from lake.errors import BadInput, Issue, unknown
from lake.landing.mapping import REJECT, FileMapping, Kind, Mapped, canonical
from lake.landing.numbers import doubles, rounded, rounding_notes
from lake.landing.rows import NO_NAME, is_no_name, refuse, refuse_columns
from lake.landing.sheet import read_sheet
from lake.landing.suggest import DIMENSION_HEADERS, SHOWN_ROWS, Known, Suggestion, leave_out, shown, suggest_columns
from lake.schemas import ACTUAL_PNL, DIMENSION_COLUMNS

KINDS = ("actual", "hypothetical")
_REQUIRED = ("date", "pnl", "currency")
_COLUMNS = (*_REQUIRED, "kind", *DIMENSION_COLUMNS)
PNL_KINDS: Mapping[str, Kind] = {"date": "date", "pnl": "number"}
_KEY = ACTUAL_PNL.key

Row = dict[str, Any]


@dataclass(frozen=True)
class PnLReport:
    """What became of a file: rows `read` = `new` + `unchanged`; `replaced` are rows of the lake that went.

    `notes` say what is in the lake otherwise than in the file; `mapping` is the digest of the mapping it was read by.
    """

    path: str
    read: int
    new: int
    unchanged: int
    replaced: int
    first: dt.date
    last: dt.date
    kinds: tuple[str, ...]
    version: int
    notes: tuple[str, ...] = ()
    mapping: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def ingest_pnl(
    committer: Committer, path: str | Path, *, replace_dates: bool = False, mapping: FileMapping | None = None
) -> PnLReport:
    """Loads a file with the columns date, pnl, currency, and any of kind and the dimensions (docs/backtesting.md).

    A row that is in the lake already with the same P&L is left; one with another P&L is refused, unless with `replace_dates`
    the days and kinds of the file become exactly the file. `mapping` says how a file with columns of its own is read. Raises
    `BadInput` with every fault by row.
    """
    path = Path(path)
    rows, notes = _read(path, mapping)
    stored: list[Row] = committer.lake.read("actual_pnl").to_pylist()
    touched = {(r["pnl_date"], r["kind"]) for r in rows}
    if replace_dates:
        kept = [r for r in stored if (r["pnl_date"], r["kind"]) not in touched]
        old, fresh = [r for r in stored if (r["pnl_date"], r["kind"]) in touched], rows
        unchanged = len({_content(r) for r in rows} & {_content(r) for r in old})
    else:
        kept, old = stored, []
        fresh = _not_yet_there(path, rows, stored)
        unchanged = len(rows) - len(fresh)
    _check_granularity(path, [*kept, *fresh], touched)
    everything = sorted([*kept, *fresh], key=lambda r: tuple((r[k] is not None, str(r[k])) for k in _KEY))
    table = pa.Table.from_pylist(everything, schema=ACTUAL_PNL.schema)
    by = None if mapping is None else mapping.digest()
    note = {"pnl_file": path.name, **({} if by is None else {"mapping": by})}
    version = committer.lake.version("actual_pnl")
    if fresh or old:
        version = committer.put("actual_pnl", table, replace=True, note=note)
    days = [r["pnl_date"] for r in rows]
    return PnLReport(
        str(path),
        len(rows),
        len(rows) - unchanged,
        unchanged,
        len(old) - unchanged if old else 0,
        min(days),
        max(days),
        tuple(sorted({r["kind"] for r in rows})),
        version,
        notes,
        by,
    )


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[k] for k in _KEY)


def _content(row: Row) -> tuple[Any, ...]:
    return (*_key(row), row["pnl"], row["currency"])


def _read(path: Path, mapping: FileMapping | None) -> tuple[list[Row], tuple[str, ...]]:
    if not path.is_file():
        raise BadInput(f"There is no P&L file {path}.")
    sheet = read_sheet(path, None if mapping is None else mapping.dialect, numbers=("pnl",))
    done = canonical(sheet, mapping, PNL_KINDS)
    _check_columns(path, sheet.header if mapping is None else [*done.columns], done.issues)
    text = {n: column for n, column in done.columns.items() if n in _COLUMNS}
    pnl = doubles(text["pnl"])
    cells = {n: column.to_pylist() for n, column in text.items()} | {"number": pnl.to_pylist()}
    numbers = done.lines.tolist()
    issues = [Issue(f"row {number}", reason, line[:80]) for number, line, reason in sheet.uneven]
    told = _told(done)
    rows: list[Row] = []
    seen: dict[tuple[Any, ...], int] = {}
    for i, (number, values) in enumerate(zip(numbers, zip(*cells.values(), strict=True), strict=True)):
        given = dict(zip(cells, values, strict=True))
        faults = told.get(i) or [*_faults(given, number, done, i)]
        issues += faults
        if faults:
            continue
        row = _row(given, path.name)
        if _key(row) in seen:
            first = seen[_key(row)]
            issues.append(Issue(f"row {number}", f"The same day, kind and members stand in row {first} already."))
        seen.setdefault(_key(row), number)
        rows.append(row)
    if issues:
        issues.sort(key=lambda i: int(i.pointer.removeprefix("row ").partition(",")[0]))
        refuse(path.name, issues)
    if not rows:
        raise BadInput(f"{path.name} has a header and no rows.")
    inexact = [(f"row {numbers[i]}", cells["pnl"][i], cells["number"][i]) for i in rounded(text["pnl"], pnl).tolist()]
    return rows, rounding_notes("P&L figures", inexact)


def _told(done: Mapped) -> dict[int, list[Issue]]:
    """By row, what the mapping could not read."""
    told: dict[int, list[Issue]] = {}
    for rows, column, cells, reason in done.faults:
        for i, cell in zip(rows.tolist(), cells.to_pylist(), strict=True):
            told.setdefault(i, []).append(Issue(f"row {done.lines[i]}, column {column}", reason, cell))
    return told


def _check_columns(path: Path, names: Sequence[str], faults: Sequence[Issue]) -> None:
    names = [n for n in names if not n.startswith(REJECT)]
    issues = [
        *faults,
        *(i for n in names if n not in _COLUMNS for i in unknown("column", n, _COLUMNS, pointer=n).issues),
    ]
    issues += [Issue(n, f"Column {n!r} is missing; every P&L file has it.") for n in _REQUIRED if n not in names]
    issues += [Issue(n, f"Column {n!r} stands twice in the header.") for n, k in Counter(names).items() if k > 1]
    refuse_columns(path.name, issues)


def _faults(given: Row, number: int, done: Mapped, at: int) -> Iterator[Issue]:
    """What is wrong with a row, told of the file's own columns and cells."""

    def fault(name: str, message: str, *allowed: str) -> Issue:
        own = done.own.get(name, name)
        cell = done.cells[own][at].as_py() if own in done.cells else given.get(name)
        return Issue(f"row {number}, column {own}", message, ascii(cell) if message == NO_NAME else cell, allowed)

    for name in _REQUIRED:
        if given[name] is None:
            yield fault(name, f"{name} is empty; every row has one")
    for name in DIMENSION_COLUMNS:
        if is_no_name(given.get(name)):
            yield fault(name, NO_NAME)
    if given["date"] is not None and _date(given["date"]) is None:
        yield fault("date", "expected a date YYYY-MM-DD")
    if given["pnl"] is not None and given["number"] is None:
        yield fault("pnl", "expected a finite number of at most 1e16, gains positive")
    if given["currency"] is not None and not re.fullmatch("[A-Z]{3}", given["currency"]):
        yield fault("currency", "expected an ISO 4217 currency, such as USD")
    if given.get("kind") not in (None, *KINDS):
        yield fault("kind", f"expected {' or '.join(KINDS)}", *KINDS)


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if len(text) == len("2020-03-16") else None
    except ValueError:
        return None


def _row(given: Row, file: str) -> Row:
    return {
        "pnl_date": _date(str(given["date"])),
        "kind": given.get("kind") or KINDS[0],
        **{d: given.get(d) for d in DIMENSION_COLUMNS},
        "pnl": given["number"],
        "currency": given["currency"],
        "file": file,
    }


def _not_yet_there(path: Path, rows: Sequence[Row], stored: Sequence[Row]) -> list[Row]:
    """The rows the lake lacks; raises `BadInput` where it has another P&L for one."""
    there = {_key(r): r for r in stored}
    differ = [r for r in rows if _key(r) in there and _content(there[_key(r)]) != _content(r)]
    if differ:
        one = differ[0]
        before = there[_key(one)]
        raise BadInput(
            f"{path.name} was not loaded: the lake has another P&L for {len(differ):,} of its rows, first {_shown(one)}: "
            f"{before['pnl']:,} {before['currency']} from {before['file']}, and {one['pnl']:,} {one['currency']} now. "
            "Where dates are replaced, the days of the file become exactly the file."
        )
    return [r for r in rows if _key(r) not in there]


def _check_granularity(path: Path, rows: Sequence[Row], touched: set[tuple[Any, Any]]) -> None:
    named: dict[tuple[Any, Any], tuple[str, ...]] = {}
    for row in rows:
        day = (row["pnl_date"], row["kind"])
        if day not in touched:
            continue
        dimensions = tuple(d for d in DIMENSION_COLUMNS if row[d] is not None)
        if named.setdefault(day, dimensions) != dimensions:
            one, two = (", ".join(d) or "no dimension" for d in (named[day], dimensions))
            raise BadInput(
                f"{path.name} was not loaded: {row['kind']} P&L of {row['pnl_date']} is given by {one} and by {two}, and would be "
                "counted twice. Give all rows of a day by the same dimensions."
            )


def _shown(row: Row) -> str:
    return ", ".join(str(row[k]) for k in _KEY if row[k] is not None)


# --- a suggestion of how a file is mapped -----------------------------------------------------------------------------

_KNOWN = {
    "date": Known(
        "date", ("businessdate", "cobdate", "cob", "asofdate", "asof", "valuedate", "day", "datum", "stichtag"), required=True
    ),
    "pnl": Known(
        "number", ("pl", "dailypnl", "dailypl", "totalpnl", "actualpnl", "profitandloss", "profitloss", "ergebnis", "guv"), required=True
    ),
    "currency": Known("text", ("ccy", "cur", "curr", "reportingcurrency", "wahrung"), required=True),
    "kind": Known("text", ("type", "pnltype", "art"), {"actual": ("act",), "hypothetical": ("hypo", "hyp")}),
    **{d: Known("text", DIMENSION_HEADERS[d]) for d in DIMENSION_COLUMNS},
}  # fmt: skip


def suggest_pnl(path: str | Path) -> Suggestion:
    """The mapping that the file seems to need, with its doubts, and its first rows as they would load by it.

    Raises `BadInput` for a file that cannot be read at all.
    """
    sheet, guess = suggest_columns(Path(path), _KNOWN, "date")
    leave_out(guess, sheet)
    done = canonical(sheet, guess.mapping, PNL_KINDS)
    guess.rows = shown(
        {n: c for n, c in done.columns.items() if c.null_count < len(c)}, range(min(SHOWN_ROWS, len(done.lines)))
    )
    try:
        _read(Path(path), guess.mapping)
    except BadInput as error:
        guess.faults = [{"column": i.pointer, "reason": i.message, "rows": 1, "value": i.value} for i in error.issues]
    return guess
