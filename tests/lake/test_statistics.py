"""Statistics let readers skip files; a reader never loses a row by them, whatever numbers stand there.

What is expected is the reader's own answer on the same rows in memory, where it has no statistics to go by.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder
from test_tables import rows_of

from lake import committer as lake_committer
from lake.committer import Committer
from lake.compaction import compact
from lake.errors import NotReady
from lake.runtime.delta_jars import find_delta_jars
from lake.schemas import TABLES
from lake.tables import Lake

# a file each; those with no finite number, with one among others, at the ends of what a double holds, and beyond 17 digits
FILES: list[list[float | None]] = [
    [1.0, math.nan, 2.0],
    [math.nan, math.nan],
    [math.inf, -math.inf, 3.0],
    [-0.0, 0.0],
    [0.1 + 0.2, 123456789012345678.0, 1e300, -1e300],
    [5e-324, -5e-324, 2.0**53 + 2],
    [None, None],
    [None, math.nan, -7.0],
]
BOUNDS = [0.0, 1.5, 2.0, -7.0, math.inf, -math.inf, 123456789012345678.0, 0.30000000000000004, 1e300, 5e-324]
COMPARED = ("=", "<>", "<", "<=", ">", ">=")


@pytest.fixture(scope="module", params=["as written", "with a checkpoint", "compacted"])
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake.create(tmp_path_factory.mktemp("statistics") / "lake")
    with Committer(lake, "test") as committer:
        for i, values in enumerate(FILES):
            rows = rows_of("actual_pnl", range(10 * i, 10 * i + len(values)))
            at = rows.schema.get_field_index("pnl")
            committer.put("actual_pnl", rows.set_column(at, rows.schema.field(at), pa.array(values, pa.float64())))
        if request.param != "as written":
            committer.checkpoint("actual_pnl")
        if request.param == "compacted":
            compact(committer, "actual_pnl", largest=10_000)
    return lake


@pytest.fixture(scope="module")
def rows(lake: Lake) -> pa.Table:
    """The rows in memory."""
    return lake.read("actual_pnl").select(["file", "pnl"]).combine_chunks()


def literal(value: float) -> str:
    return f"'{value}'::double" if math.isinf(value) else repr(value) + "::double"


def conditions() -> list[str]:
    found = [f"pnl {c} {literal(b)}" for c in COMPARED for b in BOUNDS]
    return [*found, "pnl is null", "pnl is not null", "isnan(pnl)", "not isnan(pnl)"]


def test_all_rows_were_stored(rows: pa.Table) -> None:
    assert len(rows) == sum(map(len, FILES))
    assert pc.sum(pc.is_nan(rows["pnl"])).as_py() == 4


def test_duckdb(lake: Lake, rows: pa.Table) -> None:
    files = [str(f) for f in lake.data_files("actual_pnl")]
    with duckdb.connect() as con:
        con.execute("create table memory as select * from rows")
        con.read_parquet(files).create_view("stored")
        con.register("delta", DeltaTable(str(lake.path / "actual_pnl")).to_pyarrow_dataset())
        for condition in conditions():
            told = [
                con.sql(f"select file from {source} where {condition} order by file").fetchall()
                for source in ("memory", "stored")
            ]
            assert told[0] == told[1], condition


def polars_conditions() -> list[tuple[str, pl.Expr]]:
    pnl = pl.col("pnl")
    compared: list[Callable[[float], pl.Expr]] = [pnl.eq, pnl.ne, pnl.lt, pnl.le, pnl.gt, pnl.ge]
    found = [(f"{f.__name__} {b}", f(b)) for f in compared for b in BOUNDS]
    return [
        *found,
        ("null", pnl.is_null()),
        ("NaN", pnl.is_nan()),
        ("not NaN", pnl.is_not_nan()),
        ("= NaN", pnl == math.nan),
    ]


def test_polars(lake: Lake, rows: pa.Table) -> None:
    memory, path = pl.from_arrow(rows), str(lake.path / "actual_pnl")
    assert isinstance(memory, pl.DataFrame)
    for name, condition in polars_conditions():
        wanted = memory.filter(condition)["file"].sort().to_list()
        assert pl.scan_delta(path).filter(condition).collect()["file"].sort().to_list() == wanted, name
        found = pl.scan_parquet([str(f) for f in lake.data_files("actual_pnl")]).filter(condition).collect()
        assert found["file"].sort().to_list() == wanted, name


def arrow_conditions() -> list[tuple[str, Any]]:
    pnl = pc.field("pnl")
    found = [
        (f"{c} {b}", {"=": pnl == b, "<>": pnl != b, "<": pnl < b, "<=": pnl <= b, ">": pnl > b, ">=": pnl >= b}[c])
        for c in COMPARED
        for b in BOUNDS
    ]
    return [*found, ("null", pnl.is_null()), ("NaN", pc.is_nan(pnl)), ("finite", pc.is_finite(pnl))]


def test_arrow_deltalake_and_our_own(lake: Lake, rows: pa.Table) -> None:
    table = DeltaTable(str(lake.path / "actual_pnl"))
    for name, condition in arrow_conditions():
        wanted = sorted(rows.filter(condition)["file"].to_pylist())
        assert sorted(table.to_pyarrow_dataset().to_table(filter=condition)["file"].to_pylist()) == wanted, name
        assert sorted(lake.read("actual_pnl", ["file"], condition)["file"].to_pylist()) == wanted, name


def test_pandas(lake: Lake, rows: pa.Table) -> None:
    files = [str(f) for f in lake.data_files("actual_pnl")]
    for condition in [("pnl", {"=": "==", "<>": "!="}.get(c, c), b) for c in COMPARED for b in BOUNDS]:
        found = pd.read_parquet(files, filters=[condition])["file"]
        wanted = pq.read_table(pa.BufferReader(_without_statistics(rows)), filters=[condition])["file"].to_pylist()
        assert sorted(found) == sorted(wanted), condition


def _without_statistics(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, write_statistics=False)
    return sink.getvalue()


def test_datafusion_of_deltalake(lake: Lake, rows: pa.Table) -> None:
    query = QueryBuilder().register("stored", DeltaTable(str(lake.path / "actual_pnl")))
    with duckdb.connect() as con:
        con.execute("create table memory as select * from rows")
        for condition in conditions():
            if "inf" in condition or "isnan" in condition:
                continue  # written otherwise there
            told = pa.table(query.execute(f"select file from stored where {condition}"))["file"].to_pylist()
            wanted = [r[0] for r in con.sql(f"select file from memory where {condition}").fetchall()]
            assert sorted(told) == sorted(wanted), condition


SPARK_PROGRAM = """
import json, sys
from lake.runtime.spark import spark_session

spark = spark_session("local[1]", delta=True)
rows, asked = spark.read.format("delta").load(sys.argv[1]), json.loads(sys.argv[2])
computed = rows.selectExpr("file", *[f"({c}) as c{i}" for i, c in enumerate(asked)]).collect()  # no filter, so nothing is skipped
filtered = rows.where(asked[0]).selectExpr("0 as i", "file")
for i, condition in enumerate(asked[1:], 1):
    filtered = filtered.union(rows.where(condition).selectExpr(f"{i} as i", "file"))
found = [(r.i, r.file) for r in filtered.collect()]
told = {
    c: [sorted(r.file for r in computed if r[f"c{i}"]), sorted(f for j, f in found if i == j)] for i, c in enumerate(asked)
}
spark.stop()
with open(sys.argv[3], "w") as f:
    json.dump(told, f)
"""


@pytest.mark.spark
@pytest.mark.slow
def test_spark(lake: Lake, tmp_path: Path) -> None:
    if not list((lake.path / "actual_pnl" / "_delta_log").glob("*.checkpoint.parquet")) or len(
        lake.data_files("actual_pnl")
    ) < len(FILES):
        pytest.skip("Spark, which is slow to start, is asked of the lake with a checkpoint alone")
    try:
        find_delta_jars()
    except NotReady as error:
        pytest.skip(error.message)
    asked = [f"pnl {c} {b}" for c in ("=", "<", ">=") for b in ("0.0D", "2.0D", "double('inf')", "double('nan')")]
    asked += ["pnl = 1.2345678901234568E17D", "pnl <> -7.0D", "pnl is null", "isnan(pnl)"]
    program = [sys.executable, "-c", SPARK_PROGRAM, lake.path / "actual_pnl", json.dumps(asked), tmp_path / "told"]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=200, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stderr
    for condition, (wanted, found) in json.loads((tmp_path / "told").read_text()).items():
        assert found == wanted, condition


def test_a_lake_of_before_says_at_its_next_commit_which_columns_have_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that deltalake takes a column of numbers, which has no bounds, for one without rows."""
    lake = Lake.create(tmp_path / "lake")
    with Committer(lake, "test") as committer, monkeypatch.context() as patch:
        patch.setattr(lake_committer, "_bounds", lambda _: {})
        committer.put("actual_pnl", rows_of("actual_pnl", [1, 2]))
    above = pc.field("pnl") > 0
    assert lake.read("actual_pnl", where=above).num_rows == 0, "deltalake mended it: simplify `_stats`"
    with Committer(lake, "test") as committer:
        version = committer.put("actual_pnl", rows_of("actual_pnl", [3]))
        assert committer.put("actual_pnl", rows_of("actual_pnl", [4])) == version + 1
    assert lake.read("actual_pnl", where=above).num_rows == 4
    assert DeltaTable(str(lake.path / "actual_pnl")).to_pyarrow_dataset().to_table(filter=above).num_rows == 4


def test_statistics_stand_where_they_are_safe_and_nowhere_else(tmp_path: Path) -> None:
    """In the log, in a checkpoint and in the footers; of whatever table is added too."""
    lake = Lake.create(tmp_path / "lake")
    for name, table in TABLES.items():
        with Committer(lake, "test") as committer:
            committer.put(name, rows_of(name, range(1, 4)))
            committer.checkpoint(name)
        safe = set(table.bounded)
        assert safe
        assert all(
            pa.types.is_string(t) or pa.types.is_date(t) or pa.types.is_integer(t)
            for t in (table.schema.field(c).type for c in safe)
        )
        entry = sorted((lake.path / name / "_delta_log").glob("*.json"))[-1].read_text().splitlines()
        (stats, *_) = [json.loads(json.loads(line)["add"]["stats"]) for line in entry if '"add"' in line]
        assert stats["numRecords"] > 0
        assert set(stats["minValues"]) | set(stats["maxValues"]) | set(stats["nullCount"]) <= safe
        (checkpoint,) = (lake.path / name / "_delta_log").glob("*.checkpoint.parquet")
        for add in pq.read_table(checkpoint)["add"].drop_null().to_pylist():
            told = json.loads(add["stats"])
            assert set(told["minValues"]) | set(told["maxValues"]) | set(told["nullCount"]) <= safe
        for file in lake.data_files(name):
            with pq.ParquetFile(file) as read:
                group = read.metadata.row_group(0)
                columns = [group.column(i) for i in range(group.num_columns)]
                assert {c.path_in_schema for c in columns if c.is_stats_set} == safe
