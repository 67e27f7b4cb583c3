"""Runs a plan: the same batch function in this process (small) or on Spark (large), with the same bits.

Tasks write Parquet files named by content and return their names; this process commits them, wave by wave, and seals.
A cancelled or killed run keeps the waves it committed: the next plan finds them present.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

from lake.committer import Committer
from lake.progress import Cancelled, Progress
from lake.runtime.machine import usable_cores
from lake.storage import DataFile
from lake.tables import Lake, code_version
from scenarios.store import load_scenario_set
from scenarios.types import GeneratedLevels, ScenarioSet
from valuation.batch import factors_read, value_batch, value_blocks
from valuation.market.scenario_market import ScenarioMarket
from valuation.sets import store
from valuation.sets.plan import ValuationPlan
from valuation.types import PnLBlock, ValuationFailure

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Runner = Literal["auto", "in-process", "spark"]

BLOCK_BYTES = 32 << 20  # of vectors in a batch: what one task holds, and about the size of a data file
GENERATED_BATCH_BYTES = 128 << 20  # where every batch makes the levels anew: fewer, larger batches
LEVELS_BYTES = 64 << 20  # of generated levels held at once
WAVE = 32  # batches between two commits
SPARK_FROM_CORE_SECONDS = 20.0  # below this, starting Spark costs more than it saves


@dataclass
class _Tally:
    """What the batches of a run add up to."""

    files: list[DataFile] = field(default_factory=list)
    failures: list[ValuationFailure] = field(default_factory=list)
    cost_us: dict[str, list[float]] = field(default_factory=dict)  # instrument type -> [contract states, microseconds]

    def add(self, result: dict[str, Any]) -> None:
        if result["file"] is not None:
            f = result["file"]
            self.files.append(DataFile(**{**f, "partition": tuple((k, v) for k, v in f["partition"])}))
        self.failures.extend(ValuationFailure(**f) for f in result["failures"])
        for kind, (states, us) in result["cost_us"].items():
            total = self.cost_us.setdefault(kind, [0.0, 0.0])
            total[0] += states
            total[1] += us


def cut_batches(plan: ValuationPlan, parallelism: int) -> list[tuple[int, int]]:
    """(first row, length) of each batch of `plan.work`: bounded in bytes, and enough of them to keep every core busy."""
    width = max(plan.scenario_set.n_scenarios, 1) * 8
    several = len(cut_scenarios(plan.scenario_set)) > 1
    allowed, tasks_a_core = (GENERATED_BATCH_BYTES, 1) if several else (BLOCK_BYTES, 4)
    largest = max(1, min(allowed // width, -(-plan.work.num_rows // max(1, tasks_a_core * parallelism))))
    moved = int(pc.sum(pc.invert(plan.work["unmoved"])).as_py() or 0)
    bounds = [*range(0, moved, largest), *range(moved, plan.work.num_rows, largest), plan.work.num_rows]
    return [(a, b - a) for a, b in itertools.pairwise(bounds) if b > a]


def cut_scenarios(scenario_set: ScenarioSet) -> list[tuple[int, int]]:
    """(first, stop) of each block of scenarios valued together: one for stored levels and for generated ones that are few."""
    n, levels = scenario_set.n_scenarios, scenario_set.levels
    width = n
    if isinstance(levels, GeneratedLevels):
        width = max(1, LEVELS_BYTES // (levels.shape[0] * 8 * levels.atom)) * levels.atom
    return [(first, min(first + width, n)) for first in range(0, n, width)]


@functools.lru_cache(maxsize=4)
def _market(
    lake_path: str, scenario_set_id: str, valuation_date: dt.date, risk_classes: tuple[str, ...], first: int, stop: int
) -> ScenarioMarket:
    """A worker keeps its markets: levels are made and curves are built once a process, not once a batch."""
    scenario_set = load_scenario_set(Lake(lake_path), scenario_set_id)
    return ScenarioMarket.of(scenario_set, valuation_date, risk_classes, first, stop)


def value_contracts(
    lake_path: str,
    scenario_set_id: str,
    valuation_date: dt.date,
    risk_classes: tuple[str, ...],
    contracts: Sequence[tuple[str, str, str]],
    *,
    base_only: bool = False,
) -> PnLBlock:
    """Values contracts, as `value_batch` takes them, under a stored scenario set, in this process; stores nothing."""
    scenario_set = load_scenario_set(Lake(lake_path), scenario_set_id)
    scenarios = [(0, 0)] if base_only else cut_scenarios(scenario_set)
    if len(scenarios) == 1:
        return value_batch(contracts, _market(lake_path, scenario_set_id, valuation_date, risk_classes, *scenarios[0]))
    reads = factors_read(contracts, scenario_set.index)
    markets = (ScenarioMarket.of(scenario_set, valuation_date, risk_classes, a, b, reads) for a, b in scenarios)
    return value_blocks(contracts, markets, scenario_set.n_scenarios)


def run_batch(lake_path: str, header: dict[str, Any], rows: pa.Table) -> dict[str, Any]:
    """Values one batch and writes its vectors; returns a JSON-plain description. Runs anywhere that sees the lake."""
    valuation_date = dt.date.fromisoformat(header["valuation_date"])
    contracts = list(
        zip(
            rows["contract_id"].to_pylist(), rows["instrument_type"].to_pylist(), rows["terms"].to_pylist(), strict=True
        )
    )
    block = value_contracts(
        lake_path,
        header["scenario_set_id"],
        valuation_date,
        tuple(header["risk_classes"]),
        contracts,
        base_only=bool(rows["unmoved"][0].as_py()),
    )
    fingerprints = dict(
        zip(
            rows["contract_id"].to_pylist(),
            zip(rows["inputs_digest"].to_pylist(), rows["base_digest"].to_pylist(), strict=True),
            strict=True,
        )
    )
    file = store.write_block(Path(lake_path), valuation_date, block, fingerprints)
    kind_of = {c: k for c, k, _ in contracts}
    cost: dict[str, list[float]] = {}
    states = 1 + block.pnl.shape[1]
    for contract_id, us in zip(block.contract_ids, block.cost_us.tolist(), strict=True):
        total = cost.setdefault(kind_of[contract_id], [0.0, 0.0])
        total[0] += states
        total[1] += us
    return {
        "file": None if file is None else asdict(file),
        "failures": [asdict(f) for f in block.failures],
        "cost_us": cost,
    }


def choose_runner(plan: ValuationPlan, runner: Runner) -> Literal["in-process", "spark"]:
    """By expected cost when `auto`: Spark pays from about 20 core-seconds of pricing on."""
    if runner != "auto":
        return runner
    return "spark" if plan.expected_core_seconds >= SPARK_FROM_CORE_SECONDS else "in-process"


def _in_process(
    lake: Lake,
    header: dict[str, Any],
    work: pa.Table,
    batches: list[tuple[int, int]],
    tick: Callable[[int], None],
    cancelled: threading.Event,
) -> Iterator[dict[str, Any]]:
    # kernels release the interpreter lock, so threads use the cores; results come in batch order
    def one(batch: tuple[int, int]) -> dict[str, Any]:
        if cancelled.is_set():
            raise Cancelled("The valuation was cancelled.")
        result = run_batch(str(lake.path), header, work.slice(*batch))
        tick(1)
        return result

    with ThreadPoolExecutor(usable_cores()) as pool:
        yield from pool.map(one, batches)


def _task(
    lake_path: str, header: dict[str, Any], work_file: str, batches: list[tuple[int, int]]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a Spark task does: reads its slices of the work list, values them, returns file names and failures."""

    def run(numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        work = ipc.open_file(pa.memory_map(work_file)).read_all()
        for numbered in numbers:
            for i in numbered.column(0).to_pylist():
                result = run_batch(lake_path, header, work.slice(*batches[i]))
                yield pa.RecordBatch.from_pydict({"batch": pa.array([i], pa.int64()), "result": [json.dumps(result)]})

    return run


def _on_spark(
    spark: SparkSession,
    lake: Lake,
    header: dict[str, Any],
    work: pa.Table,
    batches: list[tuple[int, int]],
    tick: Callable[[int], None],
    cancelled: threading.Event,
    run_id: str,
) -> Iterator[dict[str, Any]]:
    folder = lake.state / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    work_file = folder / "work.arrow"
    with ipc.new_file(str(work_file), work.schema) as sink:
        sink.write_table(work)
    try:
        task = _task(str(lake.path), header, str(work_file), batches)
        rows = _collect(
            spark,
            spark.range(0, len(batches), 1, len(batches)).mapInArrow(task, "batch long, result string"),
            run_id,
            tick,
            cancelled,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield from (json.loads(r["result"]) for r in sorted(rows, key=lambda r: int(r["batch"])))


def _collect(
    spark: SparkSession, frame: Any, group: str, tick: Callable[[int], None], cancelled: threading.Event
) -> list[Any]:
    """Collects the frame in a thread of its own, so that this one can report progress and cancel the job group."""
    context = spark.sparkContext
    outcome: list[Any] = []

    def collect() -> None:
        context.setJobGroup(group, "varlake valuation", interruptOnCancel=True)
        outcome.extend(frame.collect())

    done = 0
    tracker = context.statusTracker()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(collect)
        while not running.done():
            time.sleep(0.05)
            if cancelled.is_set():
                context.cancelJobGroup(group)
                break
            completed = sum(
                info.numCompletedTasks
                for job in tracker.getJobIdsForGroup(group)
                for stage in (tracker.getJobInfo(job) or _NO_JOB).stageIds
                if (info := tracker.getStageInfo(stage)) is not None
            )
            tick(completed - done)
            done = completed
        error = running.exception()
    if cancelled.is_set():
        raise Cancelled("The valuation was cancelled.")
    if error is not None:
        raise error
    return outcome


class _NoJob:
    stageIds: tuple[int, ...] = ()  # noqa: N815 - Spark's spelling


_NO_JOB = _NoJob()


def run_plan(
    committer: Committer,
    plan: ValuationPlan,
    *,
    runner: Runner = "auto",
    spark: Callable[[], SparkSession] | None = None,
    progress: Progress = lambda stage, done, total: None,
    cancelled: threading.Event | None = None,
) -> dict[str, Any]:
    """Prices what is missing, commits, seals; returns the seal (see lake table valuation_sets) plus `runner_used`.

    `spark` gives the session when the Spark runner is used. A set that is already sealed is returned as it is, with
    nothing valued: `valued` 0 and everything else `reused` stands in the returned `this_run`.
    """
    if plan.sealed is not None:
        seal_row = plan.sealed
        present = seal_row["valued"] + seal_row["reused"]
        return {
            **seal_row,
            "this_run": {"valued": 0, "reused": present, "failed": seal_row["failed"], "elapsed_seconds": 0.0},
        }
    started = time.perf_counter()
    cancelled = cancelled or threading.Event()
    used = choose_runner(plan, runner)
    session = spark() if used == "spark" and spark is not None and plan.work.num_rows else None
    if used == "spark" and spark is None:
        raise ValueError("The Spark runner needs a function that gives the session")
    parallelism = usable_cores() if session is None else session.sparkContext.defaultParallelism
    batches = cut_batches(plan, parallelism)
    header = {
        "valuation_date": plan.valuation_date.isoformat(),
        "scenario_set_id": plan.scenario_set.scenario_set_id,
        "risk_classes": list(plan.risk_classes),
    }
    tally = _Tally()
    state = {"done": 0}
    lock = threading.Lock()

    def tick(n: int) -> None:
        with lock:
            state["done"] += n
            progress("value", state["done"], len(batches))

    progress("value", 0, len(batches))
    for wave, first in enumerate(range(0, len(batches), WAVE)):
        part = batches[first : first + WAVE]
        wave_id = f"{committer.run_id}-{plan.valuation_set_id[:8]}-{wave}"
        if session is None:
            results = _in_process(committer.lake, header, plan.work, part, tick, cancelled)
        else:
            results = _on_spark(session, committer.lake, header, plan.work, part, tick, cancelled, wave_id)
        files_before = len(tally.files)
        try:
            for result in results:
                tally.add(result)
        finally:
            if tally.files[files_before:]:
                committer.commit(
                    "pnl_vectors", tally.files[files_before:], note={"valuation_set": plan.valuation_set_id}
                )
        state["done"] = first + len(part)
        progress("value", state["done"], len(batches))
    return _seal(
        committer, plan, tally, used if session is None else session.sparkContext.master, time.perf_counter() - started
    )


def _seal(committer: Committer, plan: ValuationPlan, tally: _Tally, runner: str, elapsed: float) -> dict[str, Any]:
    failed = {f.contract_id for f in tally.failures}
    kept = pc.invert(pc.is_in(plan.work["contract_id"], value_set=pa.array(sorted(failed), pa.string())))
    valued = plan.work.filter(kept).select(plan.members.column_names)
    written = sum(f.rows for f in tally.files)
    if written != valued.num_rows:
        raise AssertionError(f"{valued.num_rows} contracts were valued but {written} vectors were written")
    members = pa.concat_tables([plan.members, valued])
    failures = [*plan.failures, *tally.failures]
    pricing = sum(us for _, us in tally.cost_us.values()) / 1e6
    row = {
        "valuation_set_id": plan.valuation_set_id,
        "valuation_date": plan.valuation_date,
        "market_date": plan.scenario_set.market_date,
        "scenario_set_id": plan.scenario_set.scenario_set_id,
        "scenario_set_name": plan.scenario_set.name,
        "sample": plan.scenario_set.sample,
        "risk_classes": list(plan.risk_classes),
        "pricer_version": plan.pricer_version,
        "scenario_count": plan.scenario_set.n_scenarios,
        "submitted": plan.wanted,
        "valued": valued.num_rows,
        "reused": plan.members.num_rows,
        "failed": len(failures),
        "unmoved": int(pc.sum(members["unmoved"]).as_py() or 0),
        "cost_us": {t: us / states for t, (states, us) in sorted(tally.cost_us.items()) if states},
        "pricing_seconds": pricing,
        "elapsed_seconds": elapsed,
        "runner": runner,
        "run_id": committer.run_id,
        "table_versions": {k: str(v) for k, v in sorted(plan.snapshot.versions.items())},
        "code_version": code_version(),
        "sealed_at": dt.datetime.now(dt.UTC),
    }
    sealed = store.seal(
        committer,
        {**row, "cost_us": list(row["cost_us"].items()), "table_versions": list(row["table_versions"].items())},
        members,
        failures,
    )
    this_run = {k: row[k] for k in ("valued", "reused", "failed", "elapsed_seconds")}
    return {**sealed, **row, "this_run": this_run}
