"""Batches on Spark: tasks write files and return their names. Spark is asked for here, and started by the caller."""

from __future__ import annotations

import functools
import gc
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc as ipc

from lake.errors import Damaged
from lake.progress import go_on
from lake.tables import Lake
from valuation.sets.batches import BatchHeader, BatchResult
from valuation.sets.isolated import Guard, run_guarded

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_TICK = 0.25  # seconds between two looks at how far a job is
_ENDED = "Python worker exited unexpectedly"  # Spark's words, once every attempt of a task has ended its worker


@functools.cache
def spare_what_is_loaded() -> None:
    """Takes what the process holds out of garbage collection, at the first call.

    Spark's worker collects after every task, which takes a tenth of a second of a core once our modules and kernels are loaded.
    """
    gc.freeze()


class WorkerEnded(Exception):
    """A contract ends each worker of Spark that values it."""


def _task(
    lake_path: str, header: BatchHeader, work_file: str, batches: list[tuple[int, int]], guard: Guard
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a Spark task does: reads its slices of the work list, values them, returns file names and failures."""

    def run(numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        work = ipc.open_file(pa.memory_map(work_file)).read_all()
        for numbered in numbers:
            for i in numbered.column(0).to_pylist():
                result = run_guarded(lake_path, header, work.slice(*batches[i]), guard)
                yield pa.RecordBatch.from_pydict({"batch": pa.array([i], pa.int64()), "result": [result.to_json()]})

    return run


def run_on_spark(
    spark: SparkSession,
    lake: Lake,
    header: BatchHeader,
    work: pa.Table,
    batches: list[tuple[int, int]],
    tick: Callable[[int], None],
    cancelled: threading.Event,
    run_id: str,
    guard: Guard,
) -> Iterator[BatchResult]:
    """Values the batches of a work list, a task each; results in the order of the batches. `tick` counts tasks that end.

    Raises `WorkerEnded` before any result.
    """
    folder = lake.state / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    work_file = folder / "work.arrow"
    with ipc.new_file(str(work_file), work.schema) as sink:
        sink.write_table(work)
    try:
        task = _task(str(lake.path), header, str(work_file), batches, guard)
        rows = _collect(
            spark,
            spark.range(0, len(batches), 1, len(batches)).mapInArrow(task, "batch long, result string"),
            run_id,
            tick,
            cancelled,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield from (BatchResult.from_json(r["result"]) for r in sorted(rows, key=lambda r: int(r["batch"])))


def texts_on_spark(
    spark: SparkSession,
    function: Callable[[int], str],
    n: int,
    tick: Callable[[int], None],
    cancelled: threading.Event,
    run_id: str,
) -> list[str]:
    """What a function of a number gives for 0, ..., n - 1, a task each, in their order; it is sent to the workers as it is."""

    def run(numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for numbered in numbers:
            for i in numbered.column(0).to_pylist():
                yield pa.RecordBatch.from_pydict({"batch": pa.array([i], pa.int64()), "result": [function(i)]})
                spare_what_is_loaded()

    frame = spark.range(0, n, 1, n).mapInArrow(run, "batch long, result string")
    rows = _collect(spark, frame, run_id, tick, cancelled)
    return [str(r["result"]) for r in sorted(rows, key=lambda r: int(r["batch"]))]


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
            wait([running], _TICK)  # every question to the tracker takes time of a core from the tasks
            if cancelled.is_set():
                context.cancelJobGroup(group)  # again and again: a job that Spark does not have yet cannot be cancelled
                continue
            completed = sum(
                info.numCompletedTasks
                for job in tracker.getJobIdsForGroup(group)
                for stage in (tracker.getJobInfo(job) or _NO_JOB).stageIds
                if (info := tracker.getStageInfo(stage)) is not None
            )
            tick(completed - done)
            done = completed
        error = running.exception()
    go_on(cancelled)
    if error is not None and _ENDED in str(error):
        raise WorkerEnded from error
    if error is not None:
        raise Damaged.in_task(error)
    return outcome


class _NoJob:
    stageIds: tuple[int, ...] = ()  # noqa: N815 - Spark's spelling


_NO_JOB = _NoJob()
