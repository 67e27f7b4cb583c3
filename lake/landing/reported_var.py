"""VaR of other systems by day, node and level into the lake: CSV or Parquet, whole or not at all. Nothing here is financial."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.committer import Committer
from lake.errors import BadInput, Issue, unknown
from lake.landing.numbers import doubles
from lake.landing.pnl_vectors import CURRENCY, Faults, days
from lake.landing.positions_file import flags
from lake.landing.rows import CONTROL, NO_NAME, refuse_columns
from lake.landing.sheet import read_sheet
from lake.schemas import DIMENSION_COLUMNS, REPORTED_VAR

_REQUIRED = ("date", "level", "var", "currency")
_COLUMNS = (*_REQUIRED, "es", "pnl", *DIMENSION_COLUMNS)
_NODE = ("var_date", *DIMENSION_COLUMNS)


@dataclass(frozen=True)
class VarReport:
    """What became of a file: rows `read` = `new` + `changed` + `unchanged`; `removed` are rows of the lake that went."""

    path: str
    source: str
    read: int
    new: int
    changed: int
    unchanged: int
    removed: int
    first: dt.date
    last: dt.date
    levels: tuple[str, ...]
    version: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def ingest_var(committer: Committer, path: str | Path, *, source: str, replace_dates: bool = False) -> VarReport:
    """Loads a file with the columns date, level, var, currency, and any of es, pnl and the dimensions (docs/backtesting.md).

    The file's row of a day, node and level wins over the lake's of that source; with `replace_dates` the days of the file become
    exactly the file. Raises `BadInput` with every fault by row.
    """
    path = Path(path)
    rows = _read(path, source)
    stored = committer.lake.read("reported_var").to_pylist()
    before = {_key(r): r for r in stored}
    fresh = {_key(r): r for r in rows}
    days_there = {r["var_date"] for r in rows}
    gone = [
        k
        for k, r in before.items()
        if replace_dates and r["source"] == source and r["var_date"] in days_there and k not in fresh
    ]
    unchanged = sum(k in before and _content(before[k]) == _content(r) for k, r in fresh.items())
    new = sum(k not in before for k in fresh)
    version = committer.lake.version("reported_var")
    if gone or unchanged < len(fresh):
        same = {k: before[k] for k in fresh if k in before and _content(before[k]) == _content(fresh[k])}
        kept = {k: r for k, r in before.items() if k not in set(gone)} | fresh | same
        everything = sorted(kept.values(), key=lambda r: tuple((v is not None, str(v)) for v in _key(r)))
        table = pa.Table.from_pylist(everything, schema=REPORTED_VAR.schema)
        version = committer.put("reported_var", table, replace=True, note={"var_file": path.name})
    return VarReport(
        str(path),
        source,
        len(rows),
        new,
        len(rows) - new - unchanged,
        unchanged,
        len(gone),
        min(days_there),
        max(days_there),
        tuple(sorted({r["level"] for r in rows})),
        version,
    )


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[k] for k in REPORTED_VAR.key)


def _content(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[c] for c in ("var", "es", "pnl", "currency"))


def _read(path: Path, source: str) -> list[dict[str, Any]]:
    sheet = read_sheet(path, numbers=("var", "es", "pnl"))
    names = sheet.header
    issues = [i for n in names if n not in _COLUMNS for i in unknown("column", n, _COLUMNS, pointer=n).issues]
    issues += [Issue(n, f"Column {n!r} is missing; every file of VaR has it.") for n in _REQUIRED if n not in names]
    issues += [Issue(n, f"Column {n!r} stands twice in the header.") for n, k in Counter(names).items() if k > 1]
    refuse_columns(path.name, issues)
    faults = Faults(path.name)
    faults.ragged(sheet.uneven)
    rows, text = sheet.lines, {n: sheet.column(i) for i, n in enumerate(names)}
    text |= {n: pa.nulls(len(rows), pa.string()) for n in _COLUMNS if n not in text}
    if not len(rows):
        raise BadInput(f"{path.name} has a header and no rows.")
    date = days(text["date"], rows, faults)
    money = flags(pc.fill_null(pc.match_substring_regex(text["currency"], CURRENCY), False))
    faults.add(rows, ~money, "currency", "expected an ISO 4217 currency, such as USD", text["currency"])
    for d in DIMENSION_COLUMNS:
        strange = flags(pc.fill_null(pc.match_substring_regex(text[d], CONTROL), False))
        faults.add(rows, strange, d, NO_NAME)
    numbers = {}
    for column in ("var", "es", "pnl"):
        numbers[column] = doubles(text[column])
        required = text[column].is_valid() if column != "var" else pa.repeat(pa.scalar(True), len(rows))
        wrong = flags(pc.and_(required, numbers[column].is_null()))
        faults.add(
            rows, wrong, column, "expected a finite number of at most 1e16, losses of VaR and ES positive", text[column]
        )
    parsed = doubles(text["level"]).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        inside = (parsed > 0) & (parsed < 1)
    faults.add(rows, ~inside, "level", "expected a confidence level, a fraction such as 0.99", text["level"])
    faults.told()
    # as levels are named in answers: 0.99, not 0.990
    levels = [f"{Decimal(t).normalize():f}" for t in text["level"].to_pylist()]
    found: list[dict[str, Any]] = pa.table(
        {
            "var_date": date,
            "source": pa.repeat(pa.scalar(source), len(rows)),
            "level": pa.array(levels),
            **{d: text[d] for d in DIMENSION_COLUMNS},
            **numbers,
            "currency": text["currency"],
            "file": pa.repeat(pa.scalar(path.name), len(rows)),
        }
    ).to_pylist()
    _check_once(found, rows.tolist(), faults)
    return found


def _check_once(found: list[dict[str, Any]], rows: list[int], faults: Faults) -> None:
    """Raises `BadInput` for a day, node and level that stands twice, and a node whose P&L or currency differs between its levels."""
    seen: dict[tuple[Any, ...], int] = {}
    of_node: dict[tuple[Any, ...], tuple[int, Any]] = {}
    for number, row in zip(rows, found, strict=True):
        first = seen.setdefault(_key(row), number)
        if first != number:
            faults.issues.append(Issue(f"row {number}", f"the same day, node and level stand in row {first} already"))
        node, said = tuple(row[k] for k in _NODE), (row["pnl"], row["currency"])
        one = of_node.setdefault(node, (number, said))
        if one[1] != said:
            message = f"P&L and currency are of a day and node, and are others in row {one[0]}"
            faults.issues.append(Issue(f"row {number}", message))
    faults.told()
