"""The reduce on Spark: the bits of the reduce in this process, on any files, partitions and retries, without the vectors here."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reduce_lake import DAY, Valued, make_lake, position

from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.remembered import answers
from aggregation.opened.vectors import Places
from aggregation.reduce import product_on_spark
from aggregation.reduce.netting import Net, net
from aggregation.reduce.product_on_spark import group_pnl_on_spark
from aggregation.reduce.selection import Selection, open_selection, scenario_pnl
from aggregation.risk.query import run_query
from aggregation.risk.table import run_table
from aggregation.types import Filter, RiskQuery, TableQuery
from lake.committer import Committer
from lake.errors import BadInput, Damaged
from lake.schemas import PNL_VECTORS
from lake.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

N = 300  # scenarios: four whole tiles and a part of one
CONTRACTS = 400
FILES = 5
CURRENCIES = ("USD", "EUR", "GBP")
UNMOVED = frozenset(f"c{i:03}" for i in range(0, CONTRACTS, 9))


def no_spark() -> Any:
    raise AssertionError("Spark was started")


@functools.cache
def valued() -> Valued:
    rng = np.random.default_rng(11)
    fx = {p: (1.1, 1.1 * np.exp(0.01 * rng.standard_normal(N))) for p in ("EURUSD", "GBPUSD")}
    # sums of such numbers show every change of order in their last bits
    vectors = {
        f"c{i:03}": (
            CURRENCIES[int(rng.integers(3))],
            float(rng.normal()),
            rng.standard_normal(N) * 10.0 ** rng.integers(-6, 7),
        )
        for i in range(CONTRACTS)
    }
    return Valued(vectors, failed={"f000": "no price"}, unmoved=UNMOVED, fx=fx, files=FILES)


@functools.cache
def positions() -> list[dict[str, Any]]:
    """3,000 that are covered, one that failed and one that is not in the set."""
    rng = np.random.default_rng(12)
    held = [(f"c{rng.integers(CONTRACTS):03}", float(rng.normal())) for _ in range(3000)]
    return [
        *(position(f"t{i:04}", c, q, desk=f"d{i % 7}", book=f"b{i % 61}") for i, (c, q) in enumerate(held)),
        position("failed", "f000", 1.0),
        position("missing", "m000", 1.0),
    ]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make_lake(tmp_path_factory.mktemp("spark"), valued(), positions())


def question(**more: Any) -> RiskQuery:
    return RiskQuery(**{"as_of": DAY, "by": ("desk",), "measures": ("var", "es", "mean"), **more})


@pytest.fixture
def on_spark(lake: Lake, spark: SparkSession) -> VectorCache:
    answers.clear()
    return VectorCache(lake, reduce="spark", spark=lambda: spark)


def selected(cache: VectorCache, query: RiskQuery) -> Selection:
    return open_selection(open_inputs(cache, query), query)


QUESTIONS = {
    "the total": question(by=()),
    "desks and books": question(by=("desk", "book")),
    "trades": question(by=("trade",)),
    "in euro": question(currency="EUR"),
    "few contracts": question(where=(Filter(dimension="contract", values=("c001", "c002", "c377")),)),
    "what is unmoved": question(where=(Filter(dimension="contract", values=tuple(sorted(UNMOVED))),), currency="GBP"),
    "with an interval": question(interval="0.95"),
}


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(q, id=n, marks=[] if n in ("the total", "in euro") else [pytest.mark.slow])
        for n, q in QUESTIONS.items()
    ],
)
def test_the_answer_has_the_same_bits(lake: Lake, on_spark: VectorCache, query: RiskQuery) -> None:
    here = run_query(lake, query, cache=VectorCache(lake))
    there = run_query(lake, query, cache=on_spark)
    assert (here.receipt["reduce"], there.receipt["reduce"]) == ("in-process", "spark")
    assert there.receipt["result_digest"] == here.receipt["result_digest"]
    assert there.receipt["receipt_digest"] == here.receipt["receipt_digest"]
    assert there.rows == here.rows
    assert there.total == here.total
    assert there.coverage == here.coverage
    assert there.notes == here.notes


@pytest.mark.slow
def test_tables_with_subtotals_others_and_bounds_have_the_same_bits(lake: Lake, on_spark: VectorCache) -> None:
    query = TableQuery(as_of=DAY, by=("desk", "book"), subtotals=True, sort=("-var_0.99",), limit=3, bounds=True)
    here, there = run_table(lake, query, cache=VectorCache(lake)), run_table(lake, query, cache=on_spark)
    assert there.receipt["result_digest"] == here.receipt["result_digest"]
    assert there.rows == here.rows


def test_the_pnl_is_that_of_a_loop(lake: Lake, on_spark: VectorCache) -> None:
    """Position by position, from the vectors and rates as they were written."""
    there = selected(on_spark, question())
    pnl = scenario_pnl(there, 0, there.groups.n)[1]
    assert there.groups.keys["desk"].to_pylist() == [*(f"d{d}" for d in range(7)), "desk-1"]
    expected, scale = np.zeros((7, N)), np.zeros((7, N))
    for p in positions():
        if p["contract_id"] not in valued().vectors:
            continue
        currency, base, vector = valued().vectors[p["contract_id"]]
        fx0, fx = (1.0, np.ones(N)) if currency == "USD" else valued().fx[f"{currency}USD"]
        unit = np.zeros(N) if p["contract_id"] in UNMOVED else vector
        moved = p["quantity"] * ((base + unit) * fx - base * fx0)
        expected[int(p["desk"][1:])] += moved
        scale[int(p["desk"][1:])] += np.abs(moved)
    assert (np.abs(pnl[:7] - expected) <= 1e-12 * scale).all()
    assert not pnl[7].any()  # nothing of it is covered


def netted_for(there: Selection, first: int, n: int) -> tuple[Places, Net]:
    vectors = there.inputs.vectors
    assert vectors.places is not None
    return vectors.places, net(there.inputs.book, there.groups, there.inputs.alignment, vectors, first, n)


@pytest.mark.parametrize(
    ("tile", "partitions"), [(7, 5), *(pytest.param(t, p, marks=pytest.mark.slow) for t, p in ((64, 1), (512, 4)))]
)
def test_no_bit_depends_on_tiles_or_partitions(lake: Lake, on_spark: VectorCache, tile: int, partitions: int) -> None:
    query = question(by=("desk", "book"))
    here, there = selected(VectorCache(lake), query), selected(on_spark, query)
    n = there.groups.n + 1
    places, netted = netted_for(there, 0, n)
    pnl = group_pnl_on_spark(places, netted, there.rates, "set", tile=tile, partitions=partitions)
    assert np.array_equal(pnl, scenario_pnl(here, 0, n)[1])


@pytest.mark.slow
def test_some_of_the_groups_have_the_bits_they_have_among_all(lake: Lake, on_spark: VectorCache) -> None:
    query = question(by=("book",))
    whole = scenario_pnl(selected(VectorCache(lake), query), 0, 63)[1]
    assert np.array_equal(scenario_pnl(selected(on_spark, query), 17, 40)[1], whole[17:57])


@pytest.mark.parametrize("tile", [1, 8, 64, 299, N, 301])
def test_the_stages_by_themselves(lake: Lake, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Spark, in its place a sort: batches that begin and end anywhere, files read and figures sent in pieces."""
    monkeypatch.setattr(product_on_spark, "_READ_BYTES", 10 * 8 * N)
    monkeypatch.setattr(product_on_spark, "_SENT_BYTES", 8 * 64 * 5)
    query = question(by=("book",))
    there = selected(VectorCache(lake, reduce="spark", spark=no_spark), query)
    places, netted = netted_for(there, 0, 63)
    sent = SimpleNamespace(value=product_on_spark._work(places, netted, there.rates, tile))
    numbers = pa.record_batch({"id": pa.array(range(len(places.files)))})
    pieces = pa.Table.from_batches(product_on_spark._cutting(sent)(iter([numbers])))
    in_order = pieces.sort_by([("tile", "ascending"), ("contract", "ascending")]).combine_chunks()
    out = np.full((63, N), np.nan)
    for t, first, added, pnl in product_on_spark._rows(
        pa.Table.from_batches(product_on_spark._adding(sent)(iter(in_order.to_batches(max_chunksize=37))))
    ):
        here = sent.value.scenarios(t)
        rows = pnl.reshape(-1, here.stop - here.start)
        assert added == len(sent.value.net.contract)
        assert np.isnan(out[first : first + len(rows), here]).all()
        out[first : first + len(rows), here] = rows
    assert np.array_equal(out, scenario_pnl(selected(VectorCache(lake), query), 0, 63)[1])
    with pytest.raises(AssertionError, match="out of their order"):
        list(product_on_spark._adding(sent)(iter(in_order.take(list(range(len(in_order)))[::-1]).to_batches())))


@pytest.mark.parametrize(
    ("stage", "end"), [("_cutting", "death"), pytest.param("_adding", "error", marks=pytest.mark.slow)]
)
def test_a_task_that_fails_half_way_and_runs_again_changes_no_bit(
    lake: Lake, on_spark: VectorCache, stage: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = getattr(product_on_spark, stage)

    def failing(sent: Any) -> Callable[[Iterator[Any]], Iterator[Any]]:
        run = make(sent)

        def fails_once(batches: Iterator[Any]) -> Iterator[Any]:
            from pyspark import TaskContext

            task = TaskContext.get()
            for batch in run(batches):
                yield batch
                if task.attemptNumber() == 0:
                    if end == "death":
                        os._exit(1)
                    raise RuntimeError("the first attempt fails")

        return fails_once

    expected = run_query(lake, question(), cache=VectorCache(lake)).receipt["result_digest"]
    monkeypatch.setattr(product_on_spark, stage, failing)
    assert run_query(lake, question(), cache=on_spark).receipt["result_digest"] == expected


def test_no_vector_is_read_by_this_process(
    lake: Lake, on_spark: VectorCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str]] = []

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            read.append(kwargs["columns"])
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched(pq.ParquetFile.iter_batches))
    monkeypatch.setattr(pq, "read_table", watched(pq.read_table))

    def ask(folder: str, **more: Any) -> tuple[int, set[str]]:
        answers.clear()
        read.clear()
        result = run_query(lake, question(), cache=VectorCache(lake, tmp_path / folder, **more))
        assert result.coverage.covered == 3000
        files = (tmp_path / folder).rglob("*")
        return sum(f.stat().st_size for f in files), {column for columns in read for column in columns}

    without, columns = ask("spark", reduce="spark", spark=on_spark._spark)
    assert columns == {"contract_id", "inputs_digest", "currency", "base_value"}
    with_matrix, columns = ask("here")
    assert "pnl" in columns
    matrix = CONTRACTS * 304 * 8
    assert with_matrix - without > 0.97 * matrix  # beside the matrix itself the cache is the same but for the places


def test_files_without_a_vector_that_is_held_are_not_read(on_spark: VectorCache, lake: Lake) -> None:
    few = question(where=(Filter(dimension="contract", values=("c001",)),))
    there = selected(on_spark, few)
    places, netted = netted_for(there, 0, 1)
    assert len(places.files) == FILES
    work = product_on_spark._work(places, netted, there.rates, 64)
    assert len(work.files) == 1
    assert (work.wanted[0] >= 0).sum() == 1


def test_what_is_unmoved_starts_no_spark(lake: Lake) -> None:
    query = question(where=(Filter(dimension="contract", values=tuple(sorted(UNMOVED))),), currency="GBP")
    answers.clear()
    result = run_query(lake, query, cache=VectorCache(lake, reduce="spark", spark=no_spark))
    assert result.total["var_0.99"] != 0


def test_a_question_about_single_vectors_says_how_to_ask_it(lake: Lake, on_spark: VectorCache) -> None:
    from aggregation.risk.drill import DrillQuery, run_drill

    with pytest.raises(BadInput, match="with the reduce in-process or streamed"):
        run_drill(lake, DrillQuery(as_of=DAY), cache=on_spark)


def spoilt(folder: Path, what: Any, spark: SparkSession) -> tuple[Lake, VectorCache]:
    rng = np.random.default_rng(3)
    vectors = {f"c{i}": ("USD", 1.0, rng.standard_normal(70)) for i in range(6)}
    vectors["c3"] = ("USD", 1.0, what)
    rows = [position(f"t{i}", f"c{i}", 1.0) for i in range(6)]
    lake = make_lake(folder, Valued(vectors, files=2), rows)
    answers.clear()
    return lake, VectorCache(lake, reduce="spark", spark=lambda: spark)


@pytest.mark.parametrize(
    "what",
    [
        np.append(np.zeros(69), -np.inf),
        *(
            pytest.param(v, marks=pytest.mark.slow)
            for v in (np.full(70, np.nan), np.zeros(69), np.zeros(71), np.zeros(0))
        ),
    ],
)
def test_a_vector_that_is_not_sound_is_refused_as_it_is_here(tmp_path: Path, what: Any, spark: SparkSession) -> None:
    lake, cache = spoilt(tmp_path, what, spark)
    with pytest.raises(Damaged, match="is damaged: 1 of its vectors are not finite, or of other lengths than 70"):
        run_query(lake, question(), cache=cache)
    alone = question(where=(Filter(dimension="contract", values=("c3",)),))  # of which nothing at all arrives
    with pytest.raises(Damaged, match="is damaged: 1 of its vectors"):
        run_query(lake, alone, cache=cache)
    with pytest.raises(Damaged, match="is damaged"):
        run_query(lake, question(), cache=VectorCache(lake))


def test_a_data_file_with_other_bytes_is_named(tmp_path: Path, spark: SparkSession) -> None:
    lake, cache = spoilt(tmp_path, np.zeros(70), spark)
    inputs = open_inputs(cache, question())
    assert inputs.vectors.places is not None
    file = Path(inputs.vectors.places.files[0])
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(Damaged, match=rf"^The lake is damaged: the data file {re.escape(str(file))} has other bytes"):
        run_query(lake, question(), cache=cache)


@pytest.mark.slow
def test_a_data_file_that_went_away_is_named(tmp_path: Path, spark: SparkSession) -> None:
    lake, cache = spoilt(tmp_path, np.zeros(70), spark)
    inputs = open_inputs(cache, question())
    assert inputs.vectors.places is not None
    gone = Path(inputs.vectors.places.files[0])
    gone.unlink()
    with pytest.raises(Damaged, match=re.escape(f"1 of its data files are not there, first {gone}")):
        run_query(lake, question(), cache=cache)


def test_a_vector_written_twice_counts_once(tmp_path: Path, spark: SparkSession) -> None:
    """A task that ran twice may have left its file twice: within a file and across files the first one counts."""
    rng = np.random.default_rng(5)
    valued = Valued({f"c{i}": ("USD", 1.0, rng.standard_normal(70)) for i in range(6)}, files=2)
    lake = make_lake(tmp_path, valued, [position(f"t{i}", f"c{i}", 2.0, desk=f"d{i % 2}") for i in range(6)])
    some = pq.read_table(lake.data_files("pnl_vectors")[0], partitioning=None)
    again = pa.concat_tables([some, some]).append_column("valuation_date", pa.array([DAY] * 2 * len(some), pa.date32()))
    with Committer(lake, "test") as committer:
        committer.put("pnl_vectors", again.select(PNL_VECTORS.schema.names))
    answers.clear()
    here = run_query(lake, question(), cache=VectorCache(lake))
    there = run_query(lake, question(), cache=VectorCache(lake, reduce="spark", spark=lambda: spark))
    assert there.receipt["result_digest"] == here.receipt["result_digest"]
    total = 2.0 * sum(pnl for _, _, pnl in valued.vectors.values())
    assert there.total["var_0.99"] == pytest.approx(-total.min(), rel=1e-12)


CLUSTER_PROGRAM = """
import sys
from pathlib import Path
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from aggregation.opened.opened_lake import VectorCache
from lake.runtime.spark import spark_session
from lake.tables import Lake

lake = Lake.open(sys.argv[1])
session = spark_session("local-cluster[2,1,1024]", driver_memory="512m", settings={"spark.executor.memory": "512m"})
cache = VectorCache(lake, Path(sys.argv[2]), reduce="spark", spark=lambda: session)
receipt = run_query(lake, RiskQuery.model_validate_json(sys.argv[3]), cache=cache).receipt
print(session.sparkContext.master, receipt["reduce"], receipt["result_digest"])
session.stop()
"""


@pytest.mark.slow
def test_executors_in_processes_of_their_own_give_the_same_bits(lake: Lake, tmp_path: Path) -> None:
    query = question(by=("desk", "book"), currency="EUR")
    expected = run_query(lake, query, cache=VectorCache(lake)).receipt["result_digest"]
    ran = subprocess.run(
        [sys.executable, "-c", CLUSTER_PROGRAM, lake.path, tmp_path / "cache", query.model_dump_json()],
        capture_output=True,
        text=True,
        timeout=250,
        cwd=tmp_path,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].split() == ["local-cluster[2,1,1024]", "spark", expected]
