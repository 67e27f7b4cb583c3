"""The job table between web and engine: SQLite in the lake's state folder, one row a job, every change durable.

The web submits and cancels, the engine claims, reports and ends. A job is a valuation, a question with
what it lacks, the making of a scenario set, a branch saved or deleted, or a standard set. All are idempotent: a job whose engine died is
queued again and reuses what was committed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lake.canonical import canonical_json, digest
from lake.committer import new_run_id
from lake.errors import Conflict, NotFound
from lake.storage import make_folder
from lake.tables import Lake
from service.encoding import to_json

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
# kinds of job, and what their requests are
VALUATION = "valuation"  # ValuationRequest
SCENARIO_SET = "scenario_set"  # ScenarioSetRequest
BRANCH = "branch"  # aggregation.whatif.save_branch.BranchRequest
BRANCH_DELETION = "branch_deletion"  # {"name": ...}
STANDARD = "standard"  # valuation.sets.standards.StandardRequest
QUESTION = "question"  # {"question": its name, "query": ...}
MAX_ATTEMPTS = 3  # runs of one job that may end with the death of the engine
HEARTBEAT_SECONDS = 1.0
ALIVE_SECONDS = 15.0  # an engine silent for longer counts as gone
_FORMAT = 1

# A request already queued or running is not queued twice, unless the earlier job is being cancelled.
_SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    stage TEXT,
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    problem TEXT,
    submitted_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT
);
CREATE UNIQUE INDEX jobs_active ON jobs (request_digest) WHERE state IN ('queued', 'running') AND NOT cancel_requested;
CREATE INDEX jobs_state ON jobs (state, number);
CREATE TABLE engine (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    process INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    started_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Job:
    """A job as the table holds it; instants are UTC. `number` orders jobs by submission."""

    number: int
    job_id: str
    kind: str
    request: dict[str, Any]
    state: State
    stage: str | None
    done: int
    total: int
    attempts: int
    cancel_requested: bool
    result: dict[str, Any] | None
    problem: dict[str, Any] | None
    submitted_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None

    @property
    def address(self) -> str:
        """Path of the job in the API."""
        return f"/api/v1/jobs/{self.job_id}"


@dataclass(frozen=True)
class EngineStatus:
    """The engine that last gave a sign of life, when by its own clock, and for how long it has been silent."""

    process: int
    run_id: str
    started_at: dt.datetime
    heartbeat_at: dt.datetime
    silent_seconds: float

    @property
    def alive(self) -> bool:
        return self.silent_seconds < ALIVE_SECONDS


# by job table: the newest sign of life, and since when this process has seen no other (seconds of its monotonic clock)
_signs: dict[Path, tuple[str, float]] = {}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _instant(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


def _job(row: sqlite3.Row) -> Job:
    fields = {name: row[name] for name in row.keys() if name != "request_digest"}  # noqa: SIM118 - a Row iterates over values
    for name in ("request", "result", "problem"):
        fields[name] = None if row[name] is None else json.loads(row[name])
    for name in ("submitted_at", "started_at", "finished_at"):
        fields[name] = _instant(row[name])
    return Job(**{**fields, "cancel_requested": bool(row["cancel_requested"])})


class JobTable:
    """The job table of a lake. Safe for threads and processes: every call is one short transaction of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path.parent)
        self._write_ahead()
        with self._transaction() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {_FORMAT}")
            elif version != _FORMAT:
                raise Conflict(f"The job table {path} has format {version}; this version of varlake reads {_FORMAT}.")

    @classmethod
    def of(cls, lake: Lake) -> JobTable:
        return cls(lake.state / "jobs.sqlite")

    def _write_ahead(self) -> None:
        """Sets the journal mode, which the file remembers. SQLite does not wait for others here, so we do."""
        with self._reading() as db:
            for patience in range(200):
                try:
                    db.execute("PRAGMA journal_mode = WAL")
                    return
                except sqlite3.OperationalError:
                    if patience == 199:
                        raise
                    time.sleep(0.05)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            yield db
        finally:
            db.close()

    def submit(self, kind: str, request: Mapping[str, Any]) -> tuple[Job, bool]:
        """Queues a job, or finds the queued or running job of the same request; True when it is new."""
        text = canonical_json(request)
        key = digest(kind, text)
        with self._transaction() as db:
            active = db.execute(
                "SELECT * FROM jobs WHERE request_digest = ? AND state IN ('queued', 'running') AND NOT cancel_requested",
                (key,),
            ).fetchone()
            if active is not None:
                return _job(active), False
            made = db.execute(
                "INSERT INTO jobs (job_id, kind, request, request_digest, submitted_at) VALUES (?, ?, ?, ?, ?) RETURNING *",
                (new_run_id(), kind, text, key, _now().isoformat()),
            ).fetchone()
            return _job(made), True

    def get(self, job_id: str) -> Job:
        """Raises `NotFound` for an id that was never given."""
        with self._reading() as db:
            row = db.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        if row is None:
            raise NotFound(f"There is no job {job_id!r}. List the jobs to find its id.")
        return _job(row)

    def newest(self, state: State | None = None, limit: int = 100, before: int | None = None) -> list[Job]:
        """Jobs, newest first; those numbered below `before`."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT * FROM jobs WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR number < ?2) "
                "ORDER BY number DESC LIMIT ?3",
                (state, before, limit),
            ).fetchall()
        return [_job(row) for row in rows]

    def request_cancel(self, job_id: str) -> Job:
        """A queued job is cancelled at once; a running one as soon as the engine sees it. Raises `Conflict` once ended.

        Cancelling again changes nothing.
        """
        self.get(job_id)
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET cancel_requested = 1, "
                "finished_at = CASE state WHEN 'queued' THEN ?2 ELSE finished_at END, "
                "state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END "
                "WHERE job_id = ?1 AND state IN ('queued', 'running')",
                (job_id, _now().isoformat()),
            )
        job = self.get(job_id)
        if job.state in ("done", "failed"):
            raise Conflict(f"Job {job_id} is {job.state}; only a queued or running job can be cancelled.")
        return job

    def claim(self) -> Job | None:
        """Takes the oldest queued job, which is running from then on; None when there is none."""
        with self._reading() as db:  # looking costs no write; most looks find nothing
            if db.execute("SELECT 1 FROM jobs WHERE state = 'queued' LIMIT 1").fetchone() is None:
                return None
        with self._transaction() as db:
            row = db.execute(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?, stage = NULL, done = 0, total = 0 "
                "WHERE number = (SELECT min(number) FROM jobs WHERE state = 'queued') RETURNING *",
                (_now().isoformat(),),
            ).fetchone()
        return None if row is None else _job(row)

    def progress(self, job_id: str, stage: str, done: int, total: int) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET stage = ?, done = ?, total = ? WHERE job_id = ? AND state = 'running'",
                (stage, done, total, job_id),
            )

    def finish(self, job_id: str, result: Mapping[str, Any]) -> None:
        self._end(job_id, "done", result=to_json(result))

    def fail(self, job_id: str, problem: Mapping[str, Any]) -> None:
        """The job failed; `problem` is a problem detail (RFC 9457)."""
        self._end(job_id, "failed", problem=to_json(problem))

    def _end(self, job_id: str, state: State, result: str | None = None, problem: str | None = None) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state = ?, result = ?, problem = ?, finished_at = ? WHERE job_id = ? AND state = 'running'",
                (state, result, problem, _now().isoformat(), job_id),
            )

    def release(self, job_id: str) -> None:
        """The engine lets go of a running job: cancelled where that was asked for, else queued again.

        An engine that stops in good order is no failed attempt.
        """
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET attempts = attempts - 1, "
                "state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END, "
                "finished_at = CASE WHEN cancel_requested THEN ?2 END WHERE job_id = ?1 AND state = 'running'",
                (job_id, _now().isoformat()),
            )

    def recover(self, problem: Callable[[Job], Mapping[str, Any]]) -> list[Job]:
        """For an engine that starts: no job can be running. Those that were are queued again, up to `MAX_ATTEMPTS`.

        After that the job failed, with `problem(job)`; one that was to be cancelled is cancelled. Returns these jobs.
        """
        with self._transaction() as db:
            left = [_job(r) for r in db.execute("SELECT * FROM jobs WHERE state = 'running' ORDER BY number")]
            for job in left:
                state = "cancelled" if job.cancel_requested else "queued" if job.attempts < MAX_ATTEMPTS else "failed"
                db.execute(
                    "UPDATE jobs SET state = ?, problem = ?, finished_at = ? WHERE job_id = ?",
                    (
                        state,
                        to_json(problem(job)) if state == "failed" else None,
                        None if state == "queued" else _now().isoformat(),
                        job.job_id,
                    ),
                )
        return [self.get(job.job_id) for job in left]

    def heartbeat(self, run_id: str) -> None:
        """A sign of life of the engine of this process."""
        now = _now().isoformat()
        with self._transaction() as db:
            db.execute(
                "INSERT INTO engine (only, process, run_id, started_at, heartbeat_at) VALUES (1, ?1, ?2, ?3, ?3) "
                "ON CONFLICT (only) DO UPDATE SET heartbeat_at = ?3, process = ?1, run_id = ?2, "
                "started_at = CASE run_id WHEN ?2 THEN started_at ELSE ?3 END",
                (os.getpid(), run_id, now),
            )

    def engine_stopped(self, run_id: str) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM engine WHERE run_id = ?", (run_id,))

    def engine(self) -> EngineStatus | None:
        """The engine, alive or with its heartbeat lost; None when none ran or the last one stopped in good order.

        It is alive while its sign changes; clocks, which may differ, are compared only at this process's first look.
        """
        with self._reading() as db:
            row = db.execute("SELECT process, run_id, started_at, heartbeat_at FROM engine").fetchone()
        if row is None:
            return None
        started, beat = dt.datetime.fromisoformat(row["started_at"]), dt.datetime.fromisoformat(row["heartbeat_at"])
        now = time.monotonic()
        sign, since = _signs.get(self.path, ("", now - abs((_now() - beat).total_seconds())))
        if sign != row["heartbeat_at"]:
            since = now if sign else since
            _signs[self.path] = row["heartbeat_at"], since
        return EngineStatus(row["process"], row["run_id"], started, beat, now - since)
