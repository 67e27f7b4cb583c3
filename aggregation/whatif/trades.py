"""Hypothetical trades as users give them: rows of JSON or of a file. They are read as positions are ingested."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.changes import ADDED
from lake.errors import BadInput, Issue
from lake.landing.positions import check_positions
from lake.landing.positions_file import PositionsFile, positions_rows
from lake.words import clause, first_of
from valuation.books.positions import contract_row
from valuation.catalogue import all_term_fields

REQUIRED = ("quantity", "instrument_type")
_NAMED = "what-if"
_NESTED = {"terms": "", "attributes": "attribute."}  # objects whose members are columns of their own
_SHOWN = 20


def trades_of_rows(rows: Any, day: dt.date, name: str = "add") -> tuple[pa.Table, pa.Table]:
    """Rows of trades to (rows of `changes.ADDED`, rows of `contracts`).

    A row has `quantity`, `instrument_type` and the terms, in `terms` or beside them; `trade`, dimensions and attributes as
    wanted. A dimension not given is empty, a trade not named is what-if-1, what-if-2, ... Raises `BadInput` with every fault.
    """
    rows = [rows] if isinstance(rows, Mapping) else rows
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not all(isinstance(r, Mapping) for r in rows):
        raise BadInput(f"{name} is not a list of trades; expected objects with quantity, instrument_type and terms.")
    if not rows:
        raise BadInput(f"{name} holds no trade.")
    flat = [_flat(row, f"{name}/{i}") for i, row in enumerate(rows)]
    names = list(dict.fromkeys(k for row in flat for k in row))
    table = pa.table({n: pa.array([row.get(n) for row in flat], pa.string()) for n in names})
    try:
        file = positions_rows(name, table, tuple(all_term_fields()), REQUIRED)
    except BadInput as error:  # of a column: it is said at the first trade that has it
        first = {c: f"{name}/{i}/{c}" for i, row in reversed(list(enumerate(flat))) for c in row}
        raise BadInput(
            error.message, issues=[replace(i, pointer=first.get(i.pointer, i.pointer)) for i in error.issues]
        ) from None
    return _checked(file, day, name)


def _flat(row: Mapping[str, Any], pointer: str) -> dict[str, str | None]:
    """A row as the cells of a file."""
    cells: dict[str, str | None] = {}
    for key, value in row.items():
        inner = {key: value}
        if key in _NESTED and isinstance(value, Mapping):
            inner = {_NESTED[key] + k: v for k, v in value.items()}
        for column, cell in inner.items():
            if column in cells:
                message = f"{column} stands both in terms and beside them; give it once."
                raise BadInput(message, issues=(Issue(f"{pointer}/{column}", message),))
            cells[column] = None if cell is None else cell if isinstance(cell, str) else json.dumps(cell)
    return cells


def _checked(file: PositionsFile, day: dt.date, name: str) -> tuple[pa.Table, pa.Table]:
    n = len(file.rows)
    trades = file.columns["trade"]
    numbered = pa.array([f"{_NAMED}-{i}" for i in range(1, n + 1)])
    columns = {**file.columns, "trade": pc.coalesce(trades, numbered)}
    # the date of a file is where its rows come from; as a change they are put on the date asked about
    columns["positions_date"] = pa.repeat(pa.scalar(day.isoformat()), n)
    checked = check_positions(replace(file, columns=columns, cells=columns), contract_row, REQUIRED)
    if checked.rejections.num_rows:
        faults = checked.rejections.to_pylist()
        listed = first_of(
            (f"row {f['row'] - 1}, {f['column'] or 'line'}: {clause(f['reason'])}" for f in faults), _SHOWN, "; "
        )
        issues = [Issue(f"{name}/{f['row'] - 2}/{f['column']}", f["reason"], f["value"]) for f in faults]
        raise BadInput(f"The trades in {name} are not usable: {listed}.", issues=issues)
    return checked.positions.select(ADDED.names).cast(ADDED), checked.contracts
