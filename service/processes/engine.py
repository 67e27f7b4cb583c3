"""The engine: holds the lake's only committer, takes jobs from the job table, runs them to their end.

It alone owns Spark, and starts it at the first job that needs it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from aggregation.session import Session
from lake.committer import Committer
from lake.errors import Conflict, VarlakeError
from lake.progress import Cancelled
from lake.runtime.spark import spark_session
from lake.tables import Lake
from service.config import Settings
from service.ending import GRACE_SECONDS, at_signals, end_descendants
from service.errors import new_error_id, problem, problem_of
from service.jobs import ENGINE, HEARTBEAT_SECONDS, MAX_ATTEMPTS, Job, JobTable
from service.operations import vector_cache
from service.process import run_process
from service.work import run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

POLL_SECONDS = 0.25
_ANEW = "_VARLAKE_BEGUN_ANEW"  # in the environment of an engine that has begun anew in its own place
RETRY_SECONDS = 1.0  # between two tries to write a job table that cannot be written
T = TypeVar("T")

_log = structlog.get_logger("varlake.engine")


def main(settings: Settings) -> None:
    """Runs the engine in this process until SIGTERM or SIGINT."""
    stop = threading.Event()
    with at_signals(lambda _: stop.set()):
        while not stop.is_set():
            try:
                run_engine(settings, stop, _leave)  # until the engine is to stop
            except Conflict:
                if _ANEW not in os.environ:
                    raise
                stop.wait(RETRY_SECONDS)  # a command took the lake while this process began anew


def _leave(stopping: bool) -> None:
    """Ends this process with all that it has started; an engine that is not to stop begins anew in its place."""
    end_descendants()
    sys.stderr.flush()
    if stopping:
        os._exit(0)
    os.environ[_ANEW] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def run_engine(settings: Settings, stop: threading.Event, leave: Callable[[bool], None] | None = None) -> None:
    """Takes jobs one after the other until `stop` is set; the job at hand then stops at its next batch and is queued again.

    `leave` ends the process, where work does not end by itself in time, with whether the engine is to stop; without it the
    engine waits for the work. The lake is then as after a kill: whole, with all that was committed.

    Raises `Conflict` while another engine, or any other writer, holds the lake.
    """
    lake = Lake.create(settings.lake)
    with Committer(lake, ENGINE) as committer:
        engine = _Engine(settings, committer, JobTable.of(lake), stop, leave)
        _log.info("engine started", lake=str(lake.path), run=committer.run_id)
        with engine.watched():
            try:
                engine.recover()
                while not stop.is_set():
                    if not engine.run_next():
                        stop.wait(POLL_SECONDS)
            finally:
                engine.stop_spark()
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

    def __init__(
        self,
        settings: Settings,
        committer: Committer,
        table: JobTable,
        stop: threading.Event,
        leave: Callable[[bool], None] | None,
    ) -> None:
        self._settings = settings
        self._committer = committer
        self._table = table
        self._stop = stop
        self._leave = leave
        self._spark: SparkSession | None = None
        self._running: _Running | None = None

    def _write(self, to_table: Callable[[], T]) -> T | None:
        """Writes to the job table, as soon as it can be written: a full disk must end no engine. None where it stops before."""
        while True:
            try:
                return to_table()
            except VarlakeError as error:
                _log.error("the job table cannot be written", error=error.message)
                if self._stop.wait(RETRY_SECONDS):
                    return None

    def recover(self) -> None:
        """Takes up what an engine that died has left."""
        for left in self._write(lambda: self._table.recover(_abandoned)) or ():
            _log.warning(
                "job was left by an engine that died", job=left.job_id, state=left.state, attempts=left.attempts
            )

    def run_next(self) -> bool:
        """Runs the next job to its end, whatever that is; False where none waits. Only Spark's loss ends the engine too."""
        job = self._write(self._table.claim)
        if job is None:
            return False
        started = time.perf_counter()
        log = _log.bind(job=job.job_id, attempt=job.attempts)
        log.info("job started", request=job.request)
        running = self._running = _Running(job)
        try:
            result = self._result(running)
        except Cancelled:
            end = functools.partial(self._table.release, job.job_id)  # queued again where the engine stops
        except Exception as error:
            self._check_spark(error)
            end = functools.partial(self._table.fail, job.job_id, problem_of(error, job.address, new_error_id()))
        else:
            end = functools.partial(self._table.finish, job.job_id, result)
        self._settle(running)
        state = self._write(end)
        log.info("job ended", state=state, seconds=round(time.perf_counter() - started, 3))
        return True

    def _result(self, running: _Running) -> dict[str, Any]:
        return run(self._session(running), running.job.kind, running.job.request, job=running.job.job_id)

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
            running.job.actor.entitlement,
            running.job.actor.name,
            running.job.approved_by,
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
            with contextlib.suppress(VarlakeError):
                self._table.progress(running.job.job_id, *running.progress)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Beside the jobs: gives signs of life, writes progress, sees cancel requests and the wish to stop."""
        over = threading.Event()
        with contextlib.suppress(VarlakeError):  # such as a full disk: the watcher tries again
            self._table.heartbeat(self._committer.run_id)  # before a job is taken: one that runs has an engine
        watcher = threading.Thread(target=self._watch, args=(over,), name="engine-watcher", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            with contextlib.suppress(VarlakeError):
                self._table.engine_stopped(self._committer.run_id)

    def _watch(self, over: threading.Event) -> None:
        beat, asked, said = time.monotonic(), None, ""
        while not over.is_set():
            running = self._running
            try:
                if time.monotonic() - beat >= HEARTBEAT_SECONDS:
                    self._table.heartbeat(self._committer.run_id)
                    beat = time.monotonic()
                if running is not None:
                    self._follow(running)
            except VarlakeError as error:  # such as a full disk: the next round tries again
                if error.message != said:
                    _log.warning("the job table is not reached", error=error.message)
                said = error.message
            ending = self._stop.is_set() or (running is not None and running.cancelled.is_set())
            asked = (asked or time.monotonic()) if ending else None
            if self._leave is not None and asked is not None and time.monotonic() - asked >= GRACE_SECONDS:
                self._abandon(running, self._leave)
            over.wait(POLL_SECONDS)

    def _follow(self, running: _Running) -> None:
        if self._stop.is_set() or self._table.get(running.job.job_id).cancel_requested:
            running.cancelled.set()
        if running.progress is not None and running.progress != running.written:
            running.written = running.progress
            self._table.progress(running.job.job_id, *running.written)

    def _abandon(self, running: _Running | None, leave: Callable[[bool], None]) -> None:
        """What runs has not ended by itself, and native code cannot be interrupted: it is left with its process."""
        job = None if running is None else running.job.job_id
        _log.warning("the work does not end by itself and is left", job=job)
        with contextlib.suppress(VarlakeError):
            if job is not None:
                self._table.release(job)
            if self._stop.is_set():
                self._table.engine_stopped(self._committer.run_id)
        leave(self._stop.is_set())

    def stop_spark(self) -> None:
        if self._spark is not None:
            self._spark.stop()


if __name__ == "__main__":
    sys.exit(run_process(main))
