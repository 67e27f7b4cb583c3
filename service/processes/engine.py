"""The engine: holds the lake's only committer, takes jobs from the job table, runs them to their end.

It alone owns Spark, and starts it at the first job that needs it.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from aggregation.session import Session
from lake.committer import Committer
from lake.errors import VarlakeError, unknown
from lake.progress import Cancelled
from lake.runtime.spark import spark_session
from lake.tables import Lake
from service.config import Settings
from service.errors import new_error_id, problem, problem_of
from service.jobs import ENGINE, HEARTBEAT_SECONDS, MAX_ATTEMPTS, Job, JobTable
from service.operations import vector_cache
from service.process import run_process
from service.work import KINDS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

POLL_SECONDS = 0.25

_log = structlog.get_logger("varlake.engine")


def main(settings: Settings) -> None:
    """Runs the engine in this process until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_engine(settings, stop)


def run_engine(settings: Settings, stop: threading.Event) -> None:
    """Takes jobs one after the other until `stop` is set; the job at hand then stops at its next batch and is queued again.

    Raises `Conflict` while another engine, or any other writer, holds the lake.
    """
    lake = Lake.create(settings.lake)
    with Committer(lake, ENGINE) as committer:
        table = JobTable.of(lake)
        for left in table.recover(_abandoned):
            _log.warning(
                "job was left by an engine that died", job=left.job_id, state=left.state, attempts=left.attempts
            )
        engine = _Engine(settings, committer, table, stop)
        _log.info("engine started", lake=str(lake.path), run=committer.run_id)
        try:
            with engine.watched():
                while not stop.is_set():
                    job = table.claim()
                    if job is None:
                        stop.wait(POLL_SECONDS)
                    else:
                        engine.run(job)
        finally:
            engine.close()
            _log.info("engine stopped", run=committer.run_id)


def _abandoned(job: Job) -> dict[str, Any]:
    detail = (
        f"The engine stopped while it ran this job, {MAX_ATTEMPTS} times; its log says why. "
        "Submit the job again once that is mended."
    )
    return problem(500, "The engine stopped", detail, instance=job.address, error_id=new_error_id())


@dataclass
class _Running:
    """The job at hand. The runner reports and looks at `cancelled`; the watcher writes and sets it."""

    job: Job
    cancelled: threading.Event = field(default_factory=threading.Event)
    progress: tuple[str, int, int] | None = None
    written: tuple[str, int, int] | None = None

    def report(self, stage: str, done: int, total: int) -> None:
        self.progress = (
            stage,
            done,
            total,
        )  # written by the watcher: a valuation must not wait for a disk at every batch


class _Engine:
    """One engine's life."""

    def __init__(self, settings: Settings, committer: Committer, table: JobTable, stop: threading.Event) -> None:
        self._settings = settings
        self._committer = committer
        self._table = table
        self._stop = stop
        self._spark: SparkSession | None = None
        self._running: _Running | None = None

    def run(self, job: Job) -> None:
        """Runs the job to its end, whatever that is; a job ends the engine only when Spark is lost with it."""
        started = time.perf_counter()
        log = _log.bind(job=job.job_id, attempt=job.attempts)
        log.info("job started", request=job.request)
        running = self._running = _Running(job)
        try:
            result = self._result(running)
        except Cancelled:
            self._settle(running)
            self._table.release(job.job_id)  # cancelled if that was asked for, else the engine stops
        except Exception as error:
            self._check_spark(error)
            self._settle(running)
            self._table.fail(job.job_id, problem_of(error, job.address, new_error_id()))
        else:
            self._settle(running)
            self._table.finish(job.job_id, result)
        state = self._table.get(job.job_id).state
        log.info("job ended", state=state, seconds=round(time.perf_counter() - started, 3))

    def _result(self, running: _Running) -> dict[str, Any]:
        if running.job.kind not in KINDS:
            raise unknown("kind of job", running.job.kind, KINDS)
        return KINDS[running.job.kind](self._session(running), running.job.request)

    def _session(self, running: _Running) -> Session:
        """What the job is done with: the engine's committer and Spark, and a way to say how far it is."""
        lake = self._committer.lake
        return Session(
            lake,
            vector_cache(self._settings, lake),
            self._committer,
            self._started_spark,
            running.report,
            running.cancelled,
        )

    def _started_spark(self) -> SparkSession:
        if self._spark is None:
            self._spark = spark_session(self._settings.spark_master, driver_memory=self._settings.spark_memory)
        return self._spark

    def _check_spark(self, error: Exception) -> None:
        """Ends the engine when its Java is gone, since no later job could run; the next engine takes the job again."""
        if self._spark is None or isinstance(error, VarlakeError):
            return
        try:
            self._spark.range(1).count()
        except Exception:
            _log.critical("Spark is lost; the engine ends", exc_info=True)
            raise error from None

    def _settle(self, running: _Running) -> None:
        """The job is over: the watcher leaves it alone, its last progress is written."""
        self._running = None
        if running.progress is not None:
            self._table.progress(running.job.job_id, *running.progress)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Beside the jobs: gives signs of life, writes progress, sees cancel requests and the wish to stop."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,), name="engine-watcher", daemon=True)
        self._table.heartbeat(self._committer.run_id)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _watch(self, over: threading.Event) -> None:
        beat = time.monotonic()
        while not over.wait(POLL_SECONDS):
            try:
                if time.monotonic() - beat >= HEARTBEAT_SECONDS:
                    self._table.heartbeat(self._committer.run_id)
                    beat = time.monotonic()
                running = self._running
                if running is None:
                    continue
                if self._stop.is_set() or self._table.get(running.job.job_id).cancel_requested:
                    running.cancelled.set()
                if running.progress is not None and running.progress != running.written:
                    running.written = running.progress
                    self._table.progress(running.job.job_id, *running.written)
            except sqlite3.OperationalError as error:  # busy, or the disk is full: the next round tries again
                _log.warning("job table not reachable", error=str(error))

    def close(self) -> None:
        self._table.engine_stopped(self._committer.run_id)
        if self._spark is not None:
            self._spark.stop()


if __name__ == "__main__":
    sys.exit(run_process(main))
