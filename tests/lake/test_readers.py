"""Other readers see the lake's rows: DuckDB, Polars, pandas and Spark, each by its own code."""

from __future__ import annotations

import datetime as dt
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from test_tables import rows_of

from lake.committer import Committer
from lake.errors import NotReady
from lake.runtime.delta_jars import find_delta_jars
from lake.schemas import TABLES
from lake.tables import Lake

MONDAY, TUESDAY = dt.date(2020, 3, 16), dt.date(2020, 3, 17)

# valuation date, contract, currency, base value, P&L; one vector is empty, numbers are awkward on purpose: Spark, on a
# dictionary, finds -0.0 under none of >= 0, = 0, < 0
VECTORS: list[tuple[dt.date, str, str, float, list[float]]] = [
    (MONDAY, "bond", "USD", 0.1 + 0.2, [1e-300, -1e300, math.pi]),
    (MONDAY, "swap", "JPY", -0.0, []),
    (TUESDAY, "bond", "USD", 1 / 3, [5e-324, -(2.0**0.5), -0.0]),
]


def vectors(rows: list[tuple[dt.date, str, str, float, list[float]]]) -> pa.Table:
    columns: dict[str, Any] = {
        "valuation_date": [r[0] for r in rows],
        "contract_id": [r[1] for r in rows],
        "inputs_digest": ["i"] * len(rows),
        "base_digest": ["b"] * len(rows),
        "currency": [r[2] for r in rows],
        "base_value": [r[3] for r in rows],
        "pnl": [r[4] for r in rows],
    }
    return pa.table(columns, schema=TABLES["pnl_vectors"].schema)


# a figure of each of two days, with awkward numbers, and one that the node had no number for
RELEASED = rows_of("released_results", range(3)).set_column(
    TABLES["released_results"].schema.get_field_index("value"), "value", pa.array([0.1 + 0.2, 5e-324, None])
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two dates of vectors, one of them replaced, so that files that are no longer active lie beside the active ones."""
    lake = Lake.create(tmp_path_factory.mktemp("folder") / "lake")
    with Committer(lake, "test") as writer:
        writer.put("pnl_vectors", vectors([(MONDAY, "stale", "EUR", 7.0, [7.0, 7.0, 7.0]), *VECTORS[2:]]))
        writer.put("pnl_vectors", vectors(VECTORS[:2]), replace=True)
        writer.put("released_results", RELEASED)
    assert len(list(lake.path.rglob("pnl_vectors/*/*.parquet"))) == len(lake.data_files("pnl_vectors")) + 1
    return lake


def bits(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows with their doubles written out to the bit, so that -0.0 differs from 0.0; in the order of their key."""
    told = []
    for row in rows:
        day = row["valuation_date"]
        day = day.date() if isinstance(day, dt.datetime) else day
        day = day.isoformat() if isinstance(day, dt.date) else str(day)[:10]
        pnl = [float(x).hex() for x in row["pnl"]]
        told.append((day, row["contract_id"], row["currency"], float(row["base_value"]).hex(), pnl))
    return sorted(told)


EXPECTED = bits(
    [
        dict(zip(("valuation_date", "contract_id", "currency", "base_value", "pnl"), r, strict=True))
        for r in (VECTORS[0], (*VECTORS[1][:3], 0.0, []), (*VECTORS[2][:4], [5e-324, -(2.0**0.5), 0.0]))
    ]
)


def test_our_own_reader(lake: Lake) -> None:
    assert bits(lake.read("pnl_vectors").to_pylist()) == EXPECTED


def test_duckdb_from_the_files_the_log_names(lake: Lake) -> None:
    files = [str(p) for p in lake.data_files("pnl_vectors")]
    with duckdb.connect() as con:
        found = con.read_parquet(files, hive_partitioning=True).to_arrow_table()
    assert bits(found.to_pylist()) == EXPECTED


def test_duckdb_through_arrow(lake: Lake) -> None:
    with duckdb.connect() as con:
        con.register("vectors", DeltaTable(str(lake.path / "pnl_vectors")).to_pyarrow_dataset())
        query = "select contract_id, list_min(pnl) from vectors where len(pnl) > 0 order by contract_id, 2"
        assert con.sql(query).fetchall() == [("bond", -1e300), ("bond", -(2.0**0.5))]


def test_polars(lake: Lake) -> None:
    assert bits(pl.read_delta(str(lake.path / "pnl_vectors")).to_dicts()) == EXPECTED


def test_pandas(lake: Lake) -> None:
    frames = []
    for path in lake.data_files("pnl_vectors"):
        frames.append(pd.read_parquet(path).assign(valuation_date=path.parent.name.partition("=")[2]))
    assert bits(pd.concat(frames).to_dict("records")) == EXPECTED
    assert bits(DeltaTable(str(lake.path / "pnl_vectors")).to_pandas().to_dict("records")) == EXPECTED


SPARK_PROGRAM = """
import json, sys
from lake.runtime.spark import spark_session

spark = spark_session("local[1]", delta=True)
rows = spark.read.format("delta").load(sys.argv[1]).collect()
stale = spark.read.format("delta").option("versionAsOf", 1).load(sys.argv[1]).select("contract_id").collect()
released = spark.read.format("delta").load(sys.argv[3]).collect()
told = {
    "rows": [r.asDict() for r in rows],
    "stale": sorted(r.contract_id for r in stale),
    "released": [{**r.asDict(), "released_at": r.released_at.timestamp()} for r in released],
}
spark.stop()
with open(sys.argv[2], "w") as f:
    json.dump(told, f, default=str)
"""


@pytest.mark.slow
@pytest.mark.spark
def test_spark_reads_the_delta_table(lake: Lake, tmp_path: Path) -> None:
    try:
        find_delta_jars()
    except NotReady as error:
        pytest.skip(error.message)
    told = tmp_path / "told.json"
    table = lake.path / "pnl_vectors"
    ran = subprocess.run(
        [sys.executable, "-c", SPARK_PROGRAM, table, told, lake.path / "released_results"],
        capture_output=True, text=True, timeout=200, cwd=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(told.read_text())
    assert bits(answer["rows"]) == EXPECTED
    assert answer["stale"] == ["bond", "stale"], "an earlier version is read as it was"
    expected = {
        r["node"]: r | {"date": str(r["date"]), "released_at": r["released_at"].timestamp()}
        for r in RELEASED.to_pylist()
    }
    assert {r["node"]: r for r in answer["released"]} == expected
    assert {r["value"] and r["value"].hex() for r in answer["released"]} == {(0.1 + 0.2).hex(), (5e-324).hex(), None}
