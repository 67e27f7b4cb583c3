"""Hypothetical trades as users give them: a positions file, or rows of JSON. They are read as positions are ingested."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.changes import ADDED
from lake.canonical import from_json
from lake.errors import BadInput, Issue
from lake.landing.positions import check_positions
from lake.landing.positions_file import PositionsFile, positions_rows, read_positions_file
from valuation.books.positions import contract_row
from valuation.catalogue import all_term_fields

REQUIRED = ("quantity", "instrument_type")
_NAMED = "what-if"
_NESTED = {"terms": "", "attributes": "attribute."}  # objects whose members are columns of their own
_SHOWN = 20


def trades_of_file(path: Path, day: dt.date, first: int = 1) -> tuple[pa.Table, pa.Table]:
    """As `trades_of_rows`, from a file: CSV or Parquet as docs/positions.md says, or JSON, an object or a list of them."""
    if path.name.lower().endswith(".json"):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"The file of trades {path} cannot be read: {error}.") from None
        return trades_of_rows(_json(text, path.name), day, path.name, first)
    return _checked(read_positions_file(path, tuple(all_term_fields()), REQUIRED), day, path.name, first)


def read_trades(given: Sequence[str], day: dt.date) -> tuple[pa.Table, pa.Table] | None:
    """Trades from texts that are each a file or JSON, all together; None for no text. As `trades_of_rows`."""
    parts: list[tuple[pa.Table, pa.Table]] = []
    for i, text in enumerate(given):
        first = 1 + sum(added.num_rows for added, _ in parts)
        if text.lstrip()[:1] in ("{", "["):
            parts.append(trades_of_rows(_json(text, f"The text {i + 1} of trades"), day, "add", first))
        else:
            parts.append(trades_of_file(Path(text), day, first))
    if not parts:
        return None
    added, contracts = (pa.concat_tables(tables) for tables in zip(*parts, strict=True))
    twice = sorted(r["values"] for r in pc.value_counts(added["trade"]).to_pylist() if r["counts"] > 1)
    if twice:
        raise BadInput(f"The trade {twice[0]} is added twice; give each trade an id of its own.")
    firsts = {c: i for i, c in reversed(list(enumerate(contracts["contract_id"].to_pylist())))}
    return added, contracts.take(pa.array(sorted(firsts.values())))


def _json(text: str, what: str) -> Any:
    try:
        return from_json(text)
    except ValueError as error:
        raise BadInput(f"{what} is not JSON: {error}.") from None


def trades_of_rows(rows: Any, day: dt.date, name: str = "add", first: int = 1) -> tuple[pa.Table, pa.Table]:
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
    return _checked(positions_rows(name, table, tuple(all_term_fields()), REQUIRED), day, name, first)


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


def _checked(file: PositionsFile, day: dt.date, name: str, first: int) -> tuple[pa.Table, pa.Table]:
    n = len(file.rows)
    trades = file.columns["trade"]
    numbered = pa.array([f"{_NAMED}-{i}" for i in range(first, first + n)])
    columns = {**file.columns, "trade": pc.coalesce(trades, numbered)}
    # the date of a file is where its rows come from; as a change they are put on the date asked about
    columns["positions_date"] = pa.repeat(pa.scalar(day.isoformat()), n)
    checked = check_positions(replace(file, columns=columns, cells=columns), contract_row, REQUIRED)
    if checked.rejections.num_rows:
        faults = checked.rejections.to_pylist()
        listed = "; ".join(f"row {f['row'] - 1}, {f['column'] or 'line'}: {f['reason']}" for f in faults[:_SHOWN])
        issues = [Issue(f"{name}/{f['row'] - 2}/{f['column']}", f["reason"], f["value"]) for f in faults]
        raise BadInput(f"The trades in {name} are not usable: {listed}.", issues=issues)
    return checked.positions.select(ADDED.names).cast(ADDED), checked.contracts
