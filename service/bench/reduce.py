"""Benchmarks of the reduce: against one read of the same bytes, other engines and Spark, first questions, growth, bounded memory.

What is compared runs in turn in one process on the same data, and its results are checked to be equal before it is timed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.entitlement import Entitlement
from aggregation.kernels.register_sums import LINE, add_runs
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.remembered import answers
from aggregation.questions import ask, read
from aggregation.reduce.netting import net
from aggregation.reduce.product import group_pnl
from aggregation.reduce.selection import open_selection, scenario_pnl
from aggregation.risk.query import run_query
from aggregation.session import Session, reading
from aggregation.types import RiskQuery
from lake.arrays import Floats
from lake.committer import Committer
from lake.tables import Lake
from lake.workers import each
from scenarios.store import save_scenario_set
from service.bench import peers
from service.bench.harness import (
    VALUATION_DATE,
    Row,
    mixed_contracts,
    noisy_market,
    parallel_read,
    random_positions,
    row,
)
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GROUPS: tuple[tuple[str, ...], ...] = (("desk",), ("book",), ("counterparty",), ("desk", "counterparty"))
NETTED = VALUATION_DATE + dt.timedelta(days=1)  # positions date of a book with one position a contract
_AGREE = 1e-9  # other engines add in another order


def together(
    works: Sequence[Callable[[], object]], runs: int = 9, before: Callable[[], object] = lambda: None
) -> list[float]:
    """Median wall seconds of each, run in turn, after a round that is not counted: what disturbs one disturbs all.

    `before` is called before each, and does not count.
    """
    times: list[list[float]] = [[] for _ in works]
    for i in range(runs + 1):
        for work, its in zip(works, times, strict=True):
            before()
            started = time.perf_counter()
            work()
            if i:
                its.append(time.perf_counter() - started)
    return [statistics.median(its) for its in times]


def make_lake(folder: Path, n_contracts: int, n_scenarios: int, n_positions: int) -> Lake:
    """A lake with the contracts valued, the book on the valuation date, and the book of one position a contract."""
    lake = Lake.create(folder / "lake")
    contracts, made = mixed_contracts(n_contracts), noisy_market(n_scenarios)
    single = random_positions(contracts, contracts.num_rows)
    changed = {
        "positions_date": pa.array([NETTED] * contracts.num_rows, pa.date32()),
        "contract_id": contracts["contract_id"],
        "quantity": np.ones(contracts.num_rows),
    }
    for name, values in changed.items():
        single = single.set_column(
            single.schema.get_field_index(name),
            single.schema.field(name),
            pa.array(values) if name == "quantity" else values,
        )
    with Committer(lake, "varlake bench") as committer:
        stored = save_scenario_set(committer, made)
        committer.put("contracts", contracts)
        committer.put("positions", random_positions(contracts, n_positions))
        committer.put("positions", single)
        run_plan(committer, make_plan(lake.snapshot(), contracts, stored, VALUATION_DATE), runner="in-process")
    return lake


def bench_reduce(
    n_contracts: int, n_scenarios: int, n_positions: int, spark: Callable[[], SparkSession] | None = None
) -> list[Row]:
    """All rows, in a lake made for them; that of Spark where `spark` gives a session, last."""
    with tempfile.TemporaryDirectory(prefix="varlake-bench-") as folder:
        lake = make_lake(Path(folder), n_contracts, n_scenarios, n_positions)
        size = f"{n_contracts:,} x {n_scenarios}, {n_positions:,} positions"
        return [
            *questions(lake, size),
            entitled_question(lake, size),
            *growth(lake),
            larger_than_memory(lake, size),
            *first_question(lake, Path(folder), size),
            *beside_peers(lake, Path(folder), size),
            *([] if spark is None else [on_spark(lake, size, spark)]),
        ]


def _query(by: tuple[str, ...], **more: Any) -> RiskQuery:
    return RiskQuery(as_of=VALUATION_DATE, by=by, measures=("var", "es"), **more)


def questions(lake: Lake, size: str) -> list[Row]:
    """A question not asked before with the vectors open, and one about groups just asked for, against one read."""
    cache, rows = VectorCache(lake), []
    for by in GROUPS:
        query = _query(by)

        def new(query: RiskQuery = query) -> None:
            answers.clear()
            run_query(lake, query, cache=cache)

        def again(query: RiskQuery = query) -> None:
            run_query(lake, query, cache=cache)

        assert run_query(lake, query, cache=cache).coverage.status == "complete"
        once = parallel_read(open_inputs(cache, query).vectors.rows)
        new_s, again_s, read_s = together([new, again, once])
        of = f"VaR and ES by {' x '.join(by)}: {size}"
        rows.append(row(f"new question, {of}", new_s, "s", "one parallel read of the vectors", read_s, "<= 1.5"))
        rows.append(row(f"same groups again, {of}", again_s, "s", "one parallel read of the vectors", read_s, "<= 1.5"))
    return rows


def entitled_question(lake: Lake, size: str) -> Row:
    """A question of whoever is granted every desk, value by value, beside that of whoever sees everything: the same figures."""
    desks = pc.unique(lake.read("positions", ["desk"])["desk"]).to_pylist()
    own = Session(lake, VectorCache(lake), entitlement=Entitlement(granted={"desk": desks}))
    query, sessions = read("var", {"as_of": str(VALUATION_DATE), "by": ["desk"]}), (own, reading(lake))
    rows = [ask(session, "var", query).rows for session in sessions]
    assert rows[0].equals(rows[1])
    entitled_s, all_s = together([functools.partial(ask, s, "var", query) for s in sessions], before=answers.clear)
    work = f"new question of an entitled session: {size}"
    return row(work, entitled_s, "s", "the same where everything is seen", all_s, "<= 1.05")


def growth(lake: Lake) -> list[Row]:
    """Seconds by contract at full size and at parts of it, and what a second core gains."""
    cache = VectorCache(lake)
    query = _query(("desk",))
    inputs = open_inputs(cache, query)
    groups, order = open_selection(inputs, query).groups, inputs.alignment.order
    rates = open_selection(inputs, query).rates

    def reduce(share: float, threads: int | None = None) -> Callable[[], object]:
        part = dataclasses.replace(inputs.alignment, order=order[: int(len(order) * share)])

        def work() -> Floats:
            netted = net(inputs.book, groups, part, inputs.vectors, 0, groups.n + 1, threads)
            return group_pnl(inputs.vectors.rows, netted, rates, threads)

        return work

    quarter, half, whole, one, two = together([reduce(0.25), reduce(0.5), reduce(1.0), reduce(1.0, 1), reduce(1.0, 2)])
    alone_one, alone_two = together([lambda: _in_registers(1), lambda: _in_registers(2)])
    of = "netting and product by desk"
    return [
        row(f"{of}: seconds a contract, all", whole, "s", "a quarter of the contracts, times 4", quarter * 4, "<= 1.2"),
        row(
            f"{of}: seconds a contract, half",
            half * 2,
            "s",
            "a quarter of the contracts, times 4",
            quarter * 4,
            "<= 1.2",
        ),
        row(
            f"{of}: one core over two (the same sums in registers alone gain {alone_one / alone_two:.2f} here)",
            one,
            "s",
            "two cores",
            two,
            ">= 1.8",
        ),
    ]


def _in_registers(threads: int) -> None:
    """The kernel on a few rows that never leave the first-level cache: what two cores of this machine can do at best."""
    lines, tile, n = (0,) * 8, 8 * LINE, 100_000
    some = np.ones((32, tile)).reshape(-1)
    entries = np.tile(np.arange(32, dtype=np.uint32), n // 32)
    blocks, slot, coming = np.array([0, 1]), np.zeros(1, dtype=np.uint32), np.zeros(1, dtype=np.int64)
    start, quantity, held = np.array([0, len(entries)]), np.ones(len(entries)), np.zeros(len(entries), dtype=np.uint32)

    def work(_: int) -> None:
        add_runs(lines, some, tile, 0, blocks, slot, start, entries, quantity, held, coming, np.zeros(tile))

    each(work, range(16), threads)


def larger_than_memory(lake: Lake, size: str) -> Row:
    """The same question with half of the vectors allowed in memory: the bits are checked, the seconds compared."""
    whole, query = VectorCache(lake), _query(("desk",))
    half = VectorCache(lake, memory_bytes=open_inputs(whole, query).vectors.rows.nbytes / 2)

    def ask(cache: VectorCache) -> Any:
        answers.clear()
        return run_query(lake, query, cache=cache).receipt

    receipts = [ask(half), ask(whole)]
    assert [r["reduce"] for r in receipts] == ["streamed", "in-process"]
    assert receipts[0]["result_digest"] == receipts[1]["result_digest"], "streaming changed a bit"
    streamed, in_process = together([lambda: ask(half), lambda: ask(whole)], runs=5)
    work = f"twice the allowed memory, VaR and ES by desk: {size}"
    return row(work, streamed, "s", "all in memory, the same bits", in_process, "<= 3")


def on_spark(lake: Lake, size: str, spark: Callable[[], SparkSession]) -> Row:
    """The same question with the vectors left in the lake's files: the bits are checked, what it costs is said without a bar."""
    here, query = VectorCache(lake), _query(("desk",))
    there = VectorCache(lake, reduce="spark", spark=spark)

    def ask(cache: VectorCache) -> Any:
        answers.clear()
        return run_query(lake, query, cache=cache).receipt

    receipts = [ask(there), ask(here)]
    assert [r["reduce"] for r in receipts] == ["spark", "in-process"]
    assert receipts[0]["result_digest"] == receipts[1]["result_digest"], "Spark changed a bit"
    seconds = together([lambda: ask(there), lambda: ask(here)], runs=3)
    work = f"reduce on Spark, {spark().sparkContext.master}, VaR and ES by desk: {size}"
    cost = row(work, seconds[0], "s", "the vectors mapped in this process, the same bits", seconds[1], "<= 1")
    return cost | {"bar": "none, a cost", "met": None}


def first_question(lake: Lake, folder: Path, size: str) -> list[Row]:
    """From the Parquet files to the answer, with nothing of the date in the cache."""

    def ours() -> Floats:
        answers.clear()
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            return _pnl(open_inputs(VectorCache(lake, Path(empty)), _query(("desk",))), _query(("desk",)))[:-1]

    work = f"first question of a date, P&L by desk from Parquet files: {size}"
    if absent := peers.missing("ClickHouse"):
        return [unmeasured(work, together([ours], runs=3, before=os.sync)[0], absent, "<= 1")]
    day = f"positions_date={VALUATION_DATE}"
    sql = f"""
        SELECT desk, sumForEach(p * q) FROM (
            SELECT contract_id, CAST(pnl AS Array(Float64)) AS p FROM file('{lake.path}/pnl_vectors/*/*.parquet')
        ) v JOIN (
            SELECT contract_id, desk, sum(quantity) AS q FROM file('{lake.path}/positions/{day}/*.parquet')
            GROUP BY contract_id, desk
        ) n USING contract_id GROUP BY desk ORDER BY desk"""
    with peers.clickhouse(folder / "first") as run:
        _check(ours(), _arrays(run(sql)))
        # a date is opened for the first time once: what the run before wrote must not be waited for here
        seconds = together([ours, lambda: run(sql)], runs=3, before=os.sync)
    return [row(work, seconds[0], "s", "ClickHouse from the same Parquet files", seconds[1], "<= 1")]


def beside_peers(lake: Lake, folder: Path, size: str) -> list[Row]:
    """The sums by desk from the positions, and from vectors that are netted already: one row a contract, one desk a row."""
    cache, rows = VectorCache(lake), []
    positions, netted = _query(("desk",)), _query(("desk",), positions_date=NETTED)

    def ask(query: RiskQuery) -> Callable[[], Floats]:
        def work() -> Floats:
            answers.clear()
            return _pnl(open_inputs(cache, query), query)[:-1]

        return work

    from_positions, from_netted = f"P&L by desk from positions: {size}", f"P&L by desk, one position a contract: {size}"
    if absent := peers.missing("ClickHouse"):
        for work, query in ((from_positions, positions), (from_netted, netted)):
            rows.append(unmeasured(work, together([ask(query)])[0], absent, "<= 0.4"))
    else:
        with peers.clickhouse(folder / "warm") as run:
            for sql in _in_memory(lake):
                run(sql)
            joined = """
                SELECT desk, sumForEach(pnl * q) FROM bench.vectors v JOIN (
                    SELECT id, desk, sum(quantity) AS q FROM bench.positions GROUP BY id, desk
                ) n ON v.id = n.id GROUP BY desk ORDER BY desk"""
            plain = "SELECT desk, sumForEach(pnl) FROM bench.netted GROUP BY desk ORDER BY desk"
            for work, query, sql, runs in ((from_positions, positions, joined, 1), (from_netted, netted, plain, 7)):
                _check(ask(query)(), _arrays(run(sql)))
                ours, theirs = together([ask(query), lambda sql=sql: run(sql)], runs)  # type: ignore[misc]
                rows.append(row(work, ours, "s", "ClickHouse, Memory engine, sumForEach", theirs, "<= 0.4"))
    held, single = open_inputs(cache, positions), open_inputs(cache, netted)
    desks = single.book.columns["desk"]
    for peer, of_positions, of_netted in (
        ("DuckDB", peers.positions_in_duckdb, peers.netted_in_duckdb),
        ("Polars", peers.positions_in_polars, peers.netted_in_polars),
    ):
        if absent := peers.missing(peer):
            for work, query in ((from_positions, positions), (from_netted, netted)):
                rows.append(unmeasured(work, together([ask(query)])[0], absent, "<= 0.1"))
            continue
        for work, query, runs, peer_of in (
            (from_positions, positions, 1, lambda of=of_positions: of(_long(held), held.vectors.pnl)),
            (
                from_netted,
                netted,
                7,
                lambda of=of_netted: of(
                    desks.members.take(pa.array(desks.codes)), single.vectors.pnl[single.alignment.row]
                ),
            ),
        ):
            theirs_work: Callable[[], Floats] = peer_of()  # type: ignore[no-untyped-call]
            _check(ask(query)(), theirs_work())
            ours, theirs = together([ask(query), theirs_work], runs)
            rows.append(row(work, ours, "s", f"{peer}, a column a scenario", theirs, "<= 0.1"))
    return rows


def _long(inputs: Inputs) -> pa.Table:
    """The book as other engines get it: group, row of the vectors, quantity."""
    desk, contract = inputs.book.columns["desk"], np.repeat(inputs.alignment.row, np.diff(inputs.book.starts))
    return pa.table({"g": desk.members.take(pa.array(desk.codes)), "id": contract, "quantity": inputs.book.quantity})


def _in_memory(lake: Lake) -> list[str]:
    vectors, positions = f"{lake.path}/pnl_vectors/*/*.parquet", f"{lake.path}/positions/positions_date="
    return [
        f"""CREATE TABLE bench.ids ENGINE = Memory AS SELECT contract_id, toUInt32(rowNumberInAllBlocks()) AS id
            FROM (SELECT contract_id FROM file('{vectors}') ORDER BY contract_id)""",
        f"""CREATE TABLE bench.vectors ENGINE = Memory AS SELECT id, CAST(pnl AS Array(Float64)) AS pnl
            FROM file('{vectors}') f JOIN bench.ids i USING contract_id""",
        f"""CREATE TABLE bench.positions ENGINE = Memory AS SELECT id, toLowCardinality(desk) AS desk, quantity
            FROM file('{positions}{VALUATION_DATE}/*.parquet') f JOIN bench.ids i USING contract_id""",
        f"""CREATE TABLE bench.netted ENGINE = Memory AS SELECT toLowCardinality(desk) AS desk, pnl
            FROM bench.vectors v JOIN (SELECT id, desk FROM file('{positions}{NETTED}/*.parquet') f
            JOIN bench.ids i USING contract_id) n ON v.id = n.id""",
    ]


def _pnl(inputs: Inputs, query: RiskQuery) -> Floats:
    selection = open_selection(inputs, query)
    return scenario_pnl(selection, 0, selection.groups.n + 1)[1]


def _arrays(table: pa.Table | None) -> Floats:
    assert table is not None
    column = table.column(1).combine_chunks()
    return np.asarray(pc.list_flatten(column).to_numpy(zero_copy_only=False)).reshape(len(column), -1)


def _check(ours: Floats, theirs: Floats) -> None:
    difference = np.abs(ours - theirs).max() / np.abs(ours).max()
    assert difference < _AGREE, f"the engines do not agree: {difference:.3g} of the greatest figure"


def unmeasured(work: str, figure: float, peer: str, bar: str) -> Row:
    """A row whose peer is not here: it says so, and is neither met nor missed."""
    return row(work, figure, "s", peer, float("nan"), bar) | {"peer_figure": None, "ratio": None, "met": None}
