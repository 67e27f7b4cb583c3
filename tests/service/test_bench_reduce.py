"""The benchmarks of the reduce run, check their peers' results against ours, and say which peer is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from command_line import varlake

from lake.errors import NotReady
from service.bench import http, peers, reduce, vectors
from service.bench.harness import Row, row
from service.bench.reduce import unmeasured


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return reduce.bench_reduce(300, 70, 2000)


def test_every_row_names_its_peer_and_says_whether_the_bar_is_met(rows: list[Row]) -> None:
    works = [r["work"] for r in rows]
    for by in ("desk", "book", "counterparty", "desk x counterparty"):
        assert f"new question, VaR and ES by {by}: 300 x 70, 2,000 positions" in works
        assert f"same groups again, VaR and ES by {by}: 300 x 70, 2,000 positions" in works
    assert {r["bar"] for r in rows} == {"<= 1.5", "<= 1.2", "<= 1.05", ">= 1.8", "<= 3", "<= 1", "<= 0.4", "<= 0.1"}
    for r in rows:
        assert r["figure"] > 0
        if "not installed" in r["peer"]:
            assert r["peer_figure"] is None
            assert r["met"] is None
        else:
            sign, limit = r["bar"].split()
            assert r["met"] is (r["ratio"] >= float(limit) if sign == ">=" else r["ratio"] <= float(limit))
    assert {"DuckDB", "Polars"} <= {r["peer"].split(",")[0] for r in rows}


def test_an_engine_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(peers._MODULES, "ClickHouse", ("no_such_module", "make bench"))
    assert peers.missing("ClickHouse") == "ClickHouse, not installed: `make bench` brings it in"
    lake = reduce.make_lake(tmp_path, 60, 64, 200)
    found = [*reduce.first_question(lake, tmp_path, "small"), *reduce.beside_peers(lake, tmp_path, "small")]
    without = [r for r in found if r["peer"].startswith("ClickHouse")]
    assert len(without) == 3
    assert all(r["met"] is None and r["ratio"] is None and r["figure"] > 0 for r in without)


@pytest.mark.parametrize("sums", [peers.netted_in_duckdb, peers.netted_in_polars])
def test_peers_add_up_the_rows_of_each_group(sums: Any) -> None:
    matrix = np.arange(12.0).reshape(4, 3)
    assert sums(pa.array(["b", "a", "b", "a"]), matrix)().tolist() == [[12.0, 14.0, 16.0], [6.0, 8.0, 10.0]]


@pytest.mark.parametrize("sums", [peers.positions_in_duckdb, peers.positions_in_polars])
def test_peers_net_positions_and_multiply(sums: Any) -> None:
    positions = pa.table(
        {"g": ["b", "a", "b", "b"], "id": pa.array([0, 1, 0, 1], pa.int32()), "quantity": [1.0, 2.0, 3.0, -1.0]}
    )
    assert sums(positions, np.array([[1.0, 10.0], [2.0, 20.0]]))().tolist() == [[4.0, 40.0], [2.0, 20.0]]


def test_engines_that_do_not_agree_stop_the_benchmark() -> None:
    with pytest.raises(AssertionError, match="do not agree"):
        reduce._check(np.ones((2, 2)), np.full((2, 2), 1.001))


@pytest.mark.slow
def test_the_server_answers_eight_clients() -> None:
    found = http.bench_http(60, 64, 300, 5)
    refused, *answered = found
    assert (refused["peer"], refused["met"]) == (
        "a book on which it is refused",
        None,
    )  # of 300 positions it is answered
    assert [r["work"].rsplit(", ", 1)[1] for r in answered] == ["p50", "p95", "p50", "p95", "p95", "p95"]
    assert "8 clients" in answered[3]["work"]
    assert all(r["unit"] == "ms" and r["figure"] > 0 for r in answered)


@pytest.mark.slow
def test_a_refused_question_stops_the_benchmark(tmp_path: Path) -> None:
    lake = reduce.make_lake(tmp_path, 60, 64, 200)
    with (
        http.server(lake.path) as url,
        pytest.raises(NotReady, match="did not answer the benchmark's question: 4"),
    ):
        http.ask(url, "/api/v1/var?as_of=2020-03-16&by=nonsense", 2, 2)


def test_the_vector_benchmark_has_its_columns_and_queries() -> None:
    members = vectors._members(30_000)
    assert [len([c for c in members if c.startswith(kind)]) for kind in ("int", "dttime", "str")] == [34, 33, 33]

    def groups(columns: tuple[str, ...]) -> int:
        return len(np.unique(np.column_stack([members[c] for c in columns]), axis=0))

    assert groups(("str0",)) == 150
    assert groups(vectors._SIX) == 2000
    assert 9_000 < groups(vectors._TWELVE) <= 10_000
    assert vectors._FILTER in vectors._texts("str1", members["str1"]).to_pylist()


def test_the_vector_benchmark_gives_the_plain_sums(tmp_path: Path) -> None:
    n, scenarios = 500, 64
    members = vectors._members(n)
    matrix = vectors._vectors_of(0, n, scenarios).astype(np.float64)
    (quantile, _), *_, (pnl, _) = vectors._ours(tmp_path, members, n, scenarios)
    losses = [
        -np.sort(matrix[members["str0"] == m].sum(axis=0))[3]  # rank ceil(64 * 0.05) = 4
        for m in np.unique(members["str0"])
    ]
    assert quantile == pytest.approx(losses, rel=1e-12)
    kept = members["str1"] == 7
    sums = [matrix[kept & (members["str0"] == m)].sum(axis=0) for m in np.unique(members["str0"][kept])]
    assert pnl == pytest.approx(np.array(sums), rel=1e-12)


def test_the_vector_benchmark_names_a_missing_clickhouse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers._MODULES, "ClickHouse", ("no_such_module", "make bench"))
    found = vectors.bench_vectors(300, 64)
    assert len(found) == 4
    assert all(r["met"] is None and "not installed" in r["peer"] and r["figure"] > 0 for r in found)


def test_rows_are_printed_for_the_page(tmp_path: Path) -> None:
    rows = [
        row("some work", 0.5, "s", "a peer", 2.0, "<= 0.4"),
        unmeasured("other work", 0.1, "a peer, not installed", "<= 1"),
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    assert varlake("bench", "table", str(tmp_path / "rows.json")).stdout.splitlines() == [
        "| work | figure | unit | peer | peer_figure | ratio | bar | met |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| some work | 0.5 | s | a peer | 2 | 0.25 | <= 0.4 | yes |",
        "| other work | 0.1 | s | a peer, not installed | - | - | <= 1 | - |",
    ]
    (tmp_path / "broken.json").write_text("[")
    refused = varlake("bench", "table", str(tmp_path / "broken.json"))
    assert refused.returncode == 2
    assert "is not a file of benchmark rows" in refused.stderr
