"""Benchmarks of bringing files in: each file is read by the product in a process of its own, whose peak memory is told too."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from lake.committer import Committer
from lake.runtime.machine import usable_cores
from lake.tables import Lake
from lake.verify import verify_files
from service.bench.harness import VALUATION_DATE, Row, mixed_contracts, random_positions, row, seconds
from service.bench.peers import missing
from service.ingests import INGESTS

_GIB = 1 << 30
_CATALOGUE = """name = "bench"
synthetic = true

[source.long]
file = "long.csv"
layout = "long"

[source.long.factor]
id = "EQ:{column}"
type = "equity_price"
currency = "USD"
"""


def bench_ingest(n_positions: int, n_values: int, n_vectors: int, n_scenarios: int) -> list[Row]:
    """Positions and market values from CSV, P&L vectors from Parquet, then the lake they made verified, and one commit."""
    with tempfile.TemporaryDirectory(prefix="varlake-bench-") as made:
        folder = Path(made)
        lake = Lake.create(folder / "lake")
        return [
            *_positions(lake, folder, n_positions),
            *_market(lake, folder, n_values),
            *_vectors(lake, folder, n_vectors, n_scenarios),
            _verify(lake),
            _commit(folder),
        ]


def _brought_in(lake: Lake, what: str, path: Path, **options: Any) -> tuple[float, float]:
    """Seconds and peak GiB of a process that brings the file in; imports are not counted in the seconds."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_bring_in, (lake.path, what, path, options))


def _bring_in(lake: Path, what: str, path: Path, options: Mapping[str, Any]) -> tuple[float, float]:
    kind = INGESTS[what]
    kind.report_class()
    with Committer(Lake.open(lake), "varlake bench") as committer:
        started = time.perf_counter()
        report = kind.read_in(committer, str(path), kind.options(**options))
        taken = time.perf_counter() - started
    assert not report.get("rejected"), f"{what}: {report['rejected']} rows of the file were not loaded"
    return taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _GIB


def _rows(work: str, measured: tuple[float, float], most_seconds: float, beside: float | None) -> list[Row]:
    """Time and memory against their limits, and the time beside a peer that reads the same file."""
    taken, peak = measured
    rows = [
        row(work, taken, "s", "the stated limit", most_seconds, "<= 1"),
        row(f"{work}, peak memory", peak, "GiB", "the stated limit", 3.0, "<= 1"),
    ]
    if beside is None:
        return rows
    cost = row(work, taken, "s", "DuckDB reading the same file into a table", beside, "<= 1")
    return [*rows, cost | {"bar": "none, a cost", "met": None}]


def _in_duckdb(path: Path) -> float | None:
    """Seconds in which DuckDB reads the file into a table in memory; None where it is not installed."""
    if missing("DuckDB"):
        return None
    connection = importlib.import_module("duckdb").connect()
    return seconds(lambda: connection.execute(f"CREATE OR REPLACE TABLE t AS SELECT * FROM read_csv('{path}')"), runs=1)


def _positions(lake: Lake, folder: Path, n: int) -> list[Row]:
    contracts = mixed_contracts(20_000)
    book, path = random_positions(contracts, n), folder / "positions.csv"
    terms = [json.loads(text) for text in contracts["terms"].to_pylist()]
    at = pc.index_in(book["contract_id"].combine_chunks(), contracts["contract_id"].combine_chunks())
    columns = {
        name: pa.array([_cell(t.get(name)) for t in terms], pa.string()).take(at)
        for name in sorted({name for t in terms for name in t} - {"currency"})
    }
    kept = [c for c in book.column_names if c not in ("contract_id", "attributes")]
    pcsv.write_csv(pa.table({**{c: book[c] for c in kept}, **columns}), path)
    measured = _brought_in(lake, "positions", path, accept_unknown_factors=True)
    return _rows(f"{n:,} positions from CSV, checked and committed", measured, 40.0 * n / 2_000_000, _in_duckdb(path))


def _cell(value: Any) -> str | None:
    """A term as a positions file has it."""
    if value is None or value == {}:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _market(lake: Lake, folder: Path, n: int) -> list[Row]:
    days = np.arange(np.datetime64("2000-01-03"), np.datetime64("2019-12-31"))
    days = days[np.is_busday(days)]
    factors = -(-n // len(days))
    date, name = np.repeat(days, factors)[:n], np.tile([f"S{i:05}" for i in range(factors)], len(days))[:n]
    levels = np.round(100 * np.exp(np.random.default_rng(5).normal(0, 0.2, n)), 4)
    (folder / "market").mkdir()
    path = folder / "market" / "long.csv"
    pcsv.write_csv(pa.table({"date": date, "id": name, "value": levels}), path)
    catalogue = folder / "bench.toml"
    catalogue.write_text(_CATALOGUE)
    measured = _brought_in(lake, "market", path.parent, catalogue=str(catalogue))
    return _rows(f"{n:,} market values from long CSV", measured, 30.0 * n / 10_000_000, _in_duckdb(path))


def _vectors(lake: Lake, folder: Path, n: int, n_scenarios: int) -> list[Row]:
    path, rng = folder / "vectors.parquet", np.random.default_rng(6)
    written, part = 0, 10_000
    writer: pq.ParquetWriter | None = None
    while written < n:
        size = min(part, n - written)
        flat = pa.array(rng.standard_normal(size * n_scenarios))
        table = pa.table(
            {
                "date": pa.array([VALUATION_DATE + dt.timedelta(days=1)] * size),
                "trade": [f"X{i:07}" for i in range(written, written + size)],
                "desk": [f"Desk {i % 20}" for i in range(written, written + size)],
                "currency": ["USD"] * size,
                "pnl": pa.FixedSizeListArray.from_arrays(flat, n_scenarios).cast(pa.list_(pa.float64())),
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        written += size
    assert writer is not None
    writer.close()
    taken, peak = _brought_in(lake, "pnl-vectors", path, source="bench")
    megabytes = n * n_scenarios * 8 / 1e6
    work = f"{n:,} P&L vectors x {n_scenarios:,} from Parquet"
    bare = seconds(lambda: pq.read_table(path), runs=1)
    cost = row(
        work, megabytes / taken, "MB/s", "pyarrow reading the same file, nothing stored", megabytes / bare, ">= 1"
    )
    return [
        row(work, megabytes / taken, "MB/s", "the stated limit", 200.0, ">= 1"),
        cost | {"bar": "none, a cost", "met": None},
        row(f"{work}, peak memory", peak, "GiB", "the stated limit", 3.0, "<= 1"),
    ]


def _verify(lake: Lake) -> Row:
    started = time.perf_counter()
    verified = verify_files(lake)
    taken = time.perf_counter() - started
    assert not verified.faults, verified.faults
    a_core = verified.size / 1e9 / taken / usable_cores()
    return row(
        f"every digest of a lake of {verified.size / 1e9:.2f} GB",
        a_core,
        "GB/s a core",
        "the stated limit",
        1.0,
        ">= 1",
    )


def _commit(folder: Path) -> Row:
    """One commit of a book of 20,000 positions, with what makes it durable and without."""
    lake = Lake.create(folder / "commits")
    book = random_positions(mixed_contracts(1000), 20_000)
    times: dict[tuple[int, bool], float] = {}
    with Committer(lake, "varlake bench") as committer:
        for durable in (True, False) * 8:
            day = pa.array([VALUATION_DATE + dt.timedelta(days=len(times))] * len(book), pa.date32())
            dated = book.set_column(0, "positions_date", day)
            with nullcontext() if durable else mock.patch("os.fsync"):
                started = time.perf_counter()
                committer.put("positions", dated)
                times[len(times), durable] = time.perf_counter() - started
    synced, bare = (statistics.median([t for (_, d), t in times.items() if d is kind][1:]) for kind in (True, False))
    cost = row("one commit of 20,000 positions", synced * 1e3, "ms", "the same without fsync", bare * 1e3, "<= 1")
    return cost | {"bar": "none, a cost", "met": None}
