"""The same sums in other engines, each in the best formulation we know: ClickHouse, DuckDB and Polars, in this process.

ClickHouse has vectors as arrays and adds them with sumForEach; DuckDB and Polars have no such sum, and get a column a scenario.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lake.arrays import Floats

_MODULES = {
    "ClickHouse": ("chdb", "make bench"),
    "DuckDB": ("duckdb", "make setup"),
    "Polars": ("polars", "make setup"),
}


def missing(peer: str) -> str | None:
    """What to do about an engine that is not installed; None when it is."""
    module, target = _MODULES[peer]
    return None if importlib.util.find_spec(module) else f"{peer}, not installed: `{target}` brings it in"


@contextmanager
def clickhouse(folder: Path) -> Iterator[Callable[[str], pa.Table | None]]:
    """A function that runs a statement in an embedded ClickHouse; tables of the engine Memory are in this process."""
    session = importlib.import_module("chdb.session").Session(str(folder))

    def run(sql: str) -> pa.Table | None:
        answer = session.query(sql, "Arrow").bytes()
        return pa.ipc.open_file(pa.BufferReader(answer)).read_all() if answer else None

    try:
        run("CREATE DATABASE bench")
        yield run
    finally:
        session.close()


def netted_in_duckdb(group: pa.Array, rows: Floats) -> Callable[[], Floats]:
    """Sums of the rows of each group, groups sorted: a query over a table in memory with a column a scenario."""
    connection = _duckdb(wide=_wide("g", group, rows))
    sums = ", ".join(f"sum(s{i})" for i in range(rows.shape[1]))
    return lambda: _matrix(connection.sql(f"SELECT g, {sums} FROM wide GROUP BY g ORDER BY g").to_arrow_table())


def positions_in_duckdb(positions: pa.Table, rows: Floats) -> Callable[[], Floats]:
    """Sums of quantity times row of each group, from positions with columns g, id (of the row) and quantity."""
    connection = _duckdb(wide=_wide("id", pa.array(np.arange(len(rows), dtype=np.int32)), rows), positions=positions)
    sums = ", ".join(f"sum(q * s{i})" for i in range(rows.shape[1]))
    query = f"""SELECT g, {sums} FROM (SELECT g, id, sum(quantity) AS q FROM positions GROUP BY g, id)
        JOIN wide USING (id) GROUP BY g ORDER BY g"""
    return lambda: _matrix(connection.sql(query).to_arrow_table())


def _duckdb(**tables: pa.Table) -> Any:
    """A connection with the tables copied into its memory."""
    connection = importlib.import_module("duckdb").connect()
    for name, table in tables.items():
        connection.register("given", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        connection.unregister("given")
    return connection


def netted_in_polars(group: pa.Array, rows: Floats) -> Callable[[], Floats]:
    """Sums of the rows of each group, groups sorted: a group-by of a frame with a column a scenario."""
    frame = importlib.import_module("polars").from_arrow(_wide("g", group, rows))
    return lambda: _matrix(frame.group_by("g").sum().sort("g").to_arrow())


def positions_in_polars(positions: pa.Table, rows: Floats) -> Callable[[], Floats]:
    """Sums of quantity times row of each group, from positions as above; streamed, to join in bounded memory."""
    polars = importlib.import_module("polars")
    wide = polars.from_arrow(_wide("id", pa.array(np.arange(len(rows), dtype=np.int32)), rows)).lazy()
    held = polars.from_arrow(positions).lazy().group_by("g", "id").agg(polars.col("quantity").sum())
    sums = [(polars.col(f"s{i}") * polars.col("quantity")).sum() for i in range(rows.shape[1])]
    query = held.join(wide, on="id").group_by("g").agg(sums).sort("g")
    return lambda: _matrix(query.collect(engine="streaming").to_arrow())


def _wide(key: str, keys: pa.Array, rows: Floats) -> pa.Table:
    return pa.table({key: keys, **{f"s{i}": np.ascontiguousarray(c) for i, c in enumerate(rows.T)}})


def _matrix(table: pa.Table) -> Floats:
    return np.column_stack([c.to_numpy() for c in table.columns[1:]])
