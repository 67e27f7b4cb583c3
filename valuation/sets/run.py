"""Runs a plan: the same batch function in this process (small) or on Spark (large), with the same bits.

Tasks write Parquet files named by content and return their names; this process commits them, wave by wave, and seals.
A cancelled or killed run keeps the waves it committed: the next plan finds them present.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from lake.committer import Committer
from lake.progress import Progress, go_on, silent
from lake.runtime.machine import usable_cores
from lake.storage import DataFile
from lake.tables import Lake, code_version
from valuation.sets import store
from valuation.sets.batches import BatchHeader, BatchResult, cut_batches, run_batch
from valuation.sets.on_spark import run_on_spark
from valuation.sets.plan import ValuationPlan
from valuation.sets.standards import first_standard
from valuation.types import ValuationFailure, ValuationSet, failures_in_words

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Runner = Literal["auto", "in-process", "spark"]

WAVE = 32  # batches between two commits
SPARK_FROM_CORE_SECONDS = 20.0  # below this, starting Spark costs more than it saves


@dataclass(frozen=True)
class RunCounts:
    """What one run did for a set: contracts valued, known before and failed, and its wall time."""

    valued: int
    reused: int
    failed: int
    elapsed_seconds: float


@dataclass(frozen=True)
class ValuationRun:
    """A set that is sealed now, what this run did for it, the figures of its plan, as `ValuationPlan.to_dict` has them, and why
    contracts failed."""

    valuation_set: ValuationSet
    this_run: RunCounts
    plan: Mapping[str, Any]
    why_failed: str  # in words, by reason

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.valuation_set.to_dict(),
            "why_failed": self.why_failed,
            "this_run": asdict(self.this_run),
            "plan": dict(self.plan),
        }


@dataclass
class _Tally:
    """What the batches of a run add up to."""

    files: list[DataFile] = field(default_factory=list)
    failures: list[ValuationFailure] = field(default_factory=list)
    cost_us: dict[str, list[float]] = field(default_factory=dict)  # instrument type -> [contract states, microseconds]

    def add(self, result: BatchResult) -> None:
        if result.file is not None:
            self.files.append(result.file)
        self.failures.extend(result.failures)
        for kind, (states, us) in result.cost_us.items():
            total = self.cost_us.setdefault(kind, [0.0, 0.0])
            total[0] += states
            total[1] += us


def choose_runner(plan: ValuationPlan, runner: Runner) -> Literal["in-process", "spark"]:
    """By expected cost when `auto`: Spark pays from about 20 core-seconds of pricing on."""
    if runner != "auto":
        return runner
    return "spark" if plan.expected_core_seconds >= SPARK_FROM_CORE_SECONDS else "in-process"


def _in_process(
    lake: Lake,
    header: BatchHeader,
    work: pa.Table,
    batches: list[tuple[int, int]],
    tick: Callable[[int], None],
    cancelled: threading.Event,
) -> Iterator[BatchResult]:
    # kernels release the interpreter lock, so threads use the cores; results come in batch order
    def one(batch: tuple[int, int]) -> BatchResult:
        go_on(cancelled)
        result = run_batch(str(lake.path), header, work.slice(*batch))
        tick(1)
        return result

    with ThreadPoolExecutor(usable_cores()) as pool:
        yield from pool.map(one, batches)


def run_plan(
    committer: Committer,
    plan: ValuationPlan,
    *,
    runner: Runner = "auto",
    spark: Callable[[], SparkSession] | None = None,
    progress: Progress = silent,
    cancelled: threading.Event | None = None,
) -> ValuationRun:
    """Prices what is missing, commits, seals.

    `spark` gives the session when the Spark runner is used. A set that is already sealed is returned as it is, with
    nothing valued in this run and everything else reused.
    """
    if plan.sealed is not None:
        there = plan.sealed
        counts = RunCounts(0, there.valued + there.reused, there.failed, 0.0)
        rows = committer.lake.read(
            "valuation_failures", among={"valuation_set_id": [there.valuation_set_id]}
        ).to_pylist()
        why = failures_in_words((f["reason"], f["message"], 1) for f in rows)
        return ValuationRun(there, counts, plan.to_dict(), why)
    started = time.perf_counter()
    cancelled = cancelled or threading.Event()
    used = choose_runner(plan, runner)
    session = spark() if used == "spark" and spark is not None and plan.work.num_rows else None
    if used == "spark" and spark is None:
        raise ValueError("The Spark runner needs a function that gives the session")
    parallelism = usable_cores() if session is None else session.sparkContext.defaultParallelism
    batches = cut_batches(plan, parallelism)
    header = BatchHeader(plan.valuation_date, plan.scenario_set.scenario_set_id, plan.risk_classes)
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
            results = run_on_spark(session, committer.lake, header, plan.work, part, tick, cancelled, wave_id)
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


def _seal(committer: Committer, plan: ValuationPlan, tally: _Tally, runner: str, elapsed: float) -> ValuationRun:
    failed = {f.contract_id for f in tally.failures}
    kept = pc.invert(pc.is_in(plan.work["contract_id"], value_set=pa.array(sorted(failed), pa.string())))
    valued = plan.work.filter(kept).select(plan.members.column_names)
    written = sum(f.rows for f in tally.files)
    if written != valued.num_rows:
        raise AssertionError(f"{valued.num_rows} contracts were valued but {written} vectors were written")
    members = pa.concat_tables([plan.members, valued])
    failures = [*plan.failures, *tally.failures]
    pricing = sum(us for _, us in tally.cost_us.values()) / 1e6
    made = ValuationSet(
        valuation_set_id=plan.valuation_set_id,
        valuation_date=plan.valuation_date,
        market_date=plan.scenario_set.market_date,
        scenario_set_id=plan.scenario_set.scenario_set_id,
        scenario_set_name=plan.scenario_set.name,
        sample=plan.scenario_set.sample,
        risk_classes=plan.risk_classes,
        pricer_version=plan.pricer_version,
        scenario_count=plan.scenario_set.n_scenarios,
        submitted=plan.wanted,
        valued=valued.num_rows,
        reused=plan.members.num_rows,
        failed=len(failures),
        unmoved=int(pc.sum(members["unmoved"]).as_py() or 0),
        cost_us={t: us / states for t, (states, us) in sorted(tally.cost_us.items()) if states},
        pricing_seconds=pricing,
        elapsed_seconds=elapsed,
        runner=runner,
        run_id=committer.run_id,
        table_versions={k: str(v) for k, v in sorted(plan.snapshot.versions.items())},
        code_version=code_version(),
        sealed_at=dt.datetime.now(dt.UTC),
    )
    store.seal(committer, made, members, failures)
    first_standard(committer, made)
    why = failures_in_words((f.reason, f.message, 1) for f in sorted(failures, key=lambda f: f.contract_id))
    return ValuationRun(made, RunCounts(made.valued, made.reused, made.failed, elapsed), plan.to_dict(), why)
