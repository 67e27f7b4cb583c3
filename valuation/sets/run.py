"""Runs a plan: the same batch function in this process (small) or on Spark (large), with the same bits.

Tasks write Parquet files named by content and return their names; this process commits them, wave by wave, and seals.
A cancelled or killed run keeps the waves it committed: the next plan finds them present.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from lake.committer import Committer
from lake.progress import Cancelled, Progress, go_on, silent
from lake.runtime.machine import usable_cores
from lake.storage import DataFile
from lake.tables import Lake, code_version
from valuation.costs import KERNELS, SPARK, Work, record
from valuation.sets import store
from valuation.sets.batches import BatchHeader, BatchResult, cut_batches
from valuation.sets.isolated import Guard, always_isolated, run_guarded
from valuation.sets.on_spark import WorkerEnded, run_on_spark
from valuation.sets.plan import Runner, ValuationPlan
from valuation.sets.standards import first_standard
from valuation.types import OF_BRANCH, ValuationFailure, ValuationSet, failures_in_words

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)
WAVE = 32  # batches between two commits
_STARTED = 1.0  # seconds that a session takes to start at the least; one that runs is given at once


@dataclass(frozen=True)
class RunCounts:
    """What one run did for a set: contracts valued, known before and failed, its wall time, and how much of a core loading
    kernels took, in all processes, and starting Spark (wall time)."""

    valued: int
    reused: int
    failed: int
    elapsed_seconds: float
    kernels_seconds: float = 0.0
    spark_seconds: float = 0.0


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
    spent: dict[tuple[str, int], tuple[Counter[str], float]] = field(default_factory=dict)  # by name and states

    def add(self, results: Iterable[BatchResult]) -> None:
        for result in results:
            if result.file is not None:
                self.files.append(result.file)
            self.failures.extend(result.failures)
            for work, us in result.cost_us:
                contracts, so_far = self.spent.get((work.name, work.states), (Counter(), 0.0))
                self.spent[work.name, work.states] = (contracts + Counter(work.contracts), so_far + us)

    def loading(self) -> float:
        """Microseconds that processes took to load kernels."""
        return sum(us for (name, _), (_, us) in self.spent.items() if name == KERNELS)

    def cost_us(self) -> dict[str, float]:
        """Microseconds a contract and state, by instrument type."""
        totals: dict[str, tuple[int, float]] = {}
        for (name, states), (contracts, us) in self.spent.items():
            if name != KERNELS:
                n, so_far = totals.get(name, (0, 0.0))
                totals[name] = (n + states * contracts.total(), so_far + us)
        return {name: us / n for name, (n, us) in sorted(totals.items())}

    def measured(self, processes: int, on_spark: bool) -> list[tuple[Work, float]]:
        """What each work took; kernels once a process."""
        kernels = set().union(*(n for (name, _), (n, _) in self.spent.items() if name == KERNELS))
        found = [
            (Work.of_type(name, n.total(), states, on_spark), us)
            for (name, states), (n, us) in self.spent.items()
            if name != KERNELS
        ]
        if kernels:
            found.append((Work(KERNELS, dict.fromkeys(kernels, 1)), self.loading() / processes))
        return found


def _in_process(
    lake: Lake,
    header: BatchHeader,
    work: pa.Table,
    batches: list[tuple[int, int]],
    tick: Callable[[int], None],
    cancelled: threading.Event,
    guard: Guard,
) -> Iterator[BatchResult]:
    # kernels release the interpreter lock, so threads use the cores; results come in batch order
    def one(batch: tuple[int, int]) -> BatchResult:
        go_on(cancelled)
        result = run_guarded(str(lake.path), header, work.slice(*batch), guard)
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
    branch_id: str | None = None,
    progress: Progress = silent,
    cancelled: threading.Event | None = None,
) -> ValuationRun:
    """Prices what is missing, commits, seals.

    `spark` gives the session when the Spark runner is used; `branch_id` is of the branch that the set is made for. A set
    that is already sealed is returned as it is, with nothing valued in this run and everything else reused; that it was asked
    for is kept, since what somebody sees of a set hangs on what he held when it was asked for.
    """
    if plan.sealed is not None:
        there = plan.sealed
        counts = RunCounts(0, there.valued + there.reused, there.failed, 0.0)
        rows = committer.lake.read(
            "valuation_failures", among={"valuation_set_id": [there.valuation_set_id]}
        ).to_pylist()
        why = failures_in_words((f["reason"], f["message"], 1) for f in rows)
        first_standard(committer, there)  # a run that was killed once it had sealed has not said so
        if branch_id is None:  # what is valued for a branch is seen by those who see the branch
            store.keep_request(committer, there, plan.snapshot, plan.marks)
        return ValuationRun(there, counts, plan.to_dict(), why)
    started = time.perf_counter()
    cancelled = cancelled or threading.Event()
    used = plan.runner if runner == "auto" else runner
    session = spark() if used == "spark" and spark is not None and plan.work.num_rows else None
    spark_seconds = time.perf_counter() - started
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
    mark = committer.lake.state / "runs" / f"{plan.valuation_set_id}.pricing"
    if ended := mark.exists():
        _log.warning(
            "An earlier run of this set was ended; each contract is valued by itself, in a process with limits."
        )
    guard = _guard(plan, isolated=ended or always_isolated())
    with contextlib.suppress(OSError):  # a run that cannot leave one is as good
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()  # stays where a contract ends this process, or a worker of Spark
    for wave, first in enumerate(range(0, len(batches), WAVE)):
        part = batches[first : first + WAVE]
        wave_id = f"{committer.run_id}-{plan.valuation_set_id[:8]}-{wave}"
        files_before = len(tally.files)
        try:
            if session is None:
                tally.add(_in_process(committer.lake, header, plan.work, part, tick, cancelled, guard))
            else:
                on_spark = (session, committer.lake, header, plan.work, part, tick, cancelled, wave_id)
                try:
                    tally.add(run_on_spark(*on_spark, guard))
                except WorkerEnded:
                    _log.warning(
                        "A contract ended the worker of Spark that valued it. Now each is valued in a process with limits."
                    )
                    guard, state["done"] = replace(guard, isolated=True), first
                    tally.add(run_on_spark(*on_spark, guard))
        except (Cancelled, KeyboardInterrupt):
            mark.unlink(missing_ok=True)
            raise
        finally:
            if tally.files[files_before:]:
                committer.commit(
                    "pnl_vectors", tally.files[files_before:], note={"valuation_set": plan.valuation_set_id}
                )
        state["done"] = first + len(part)
        progress("value", state["done"], len(batches))
    mark.unlink(missing_ok=True)
    measured = tally.measured(1 if session is None else min(parallelism, len(batches)), session is not None)
    if spark_seconds > _STARTED:
        measured.append((Work(SPARK, {}), spark_seconds * 1e6))
    record(committer.lake, measured)
    runner_name = used if session is None else session.sparkContext.master
    return _seal(committer, plan, tally, runner_name, branch_id, time.perf_counter() - started, spark_seconds)


def _guard(plan: ValuationPlan, isolated: bool) -> Guard:
    expected = {kind: cost.high / n for kind, (n, cost) in plan.expected.items() if n}
    return Guard(isolated, expected, plan.kernels.high)


def _seal(
    committer: Committer,
    plan: ValuationPlan,
    tally: _Tally,
    runner: str,
    branch_id: str | None,
    elapsed: float,
    spark_seconds: float,
) -> ValuationRun:
    failed = {f.contract_id for f in tally.failures}
    kept = pc.invert(pc.is_in(plan.work["contract_id"], value_set=pa.array(sorted(failed), pa.string())))
    valued = plan.work.filter(kept).select(plan.members.column_names)
    written = sum(f.rows for f in tally.files)
    if written != valued.num_rows:
        raise AssertionError(f"{valued.num_rows} contracts were valued but {written} vectors were written")
    members = pa.concat_tables([plan.members, valued])
    failures = [*plan.failures, *tally.failures]
    loading = tally.loading()
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
        cost_us=tally.cost_us(),
        pricing_seconds=(sum(us for _, us in tally.spent.values()) - loading) / 1e6,
        elapsed_seconds=elapsed,
        runner=runner,
        run_id=committer.run_id,
        table_versions={
            **{k: str(v) for k, v in sorted(plan.snapshot.versions.items())},
            **plan.marks,
            **({OF_BRANCH: branch_id} if branch_id else {}),
        },
        code_version=code_version(),
        sealed_at=dt.datetime.now(dt.UTC),
    )
    store.seal(committer, made, members, failures)
    if committer.lake.reader:
        seen = store.find_sealed(committer.lake, plan.id_for(committer.lake.reader))
        assert seen is not None, "whoever has a set valued sees it"
        made = replace(made, **{n: getattr(seen, n) for n in ("valuation_set_id", "table_versions")})
    first_standard(committer, made)
    why = failures_in_words((f.reason, f.message, 1) for f in sorted(failures, key=lambda f: f.contract_id))
    counts = RunCounts(made.valued, made.reused, made.failed, elapsed, loading / 1e6, spark_seconds)
    return ValuationRun(made, counts, plan.to_dict(), why)
