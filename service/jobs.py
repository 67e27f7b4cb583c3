"""The job table between web and engine: SQLite in the lake's state folder, one row a job, every change durable.

It is read on a disk that is full or may not be written, too. A damaged table is set aside, and a new one made.

The web and commands submit and cancel, the engine claims, reports and ends. A job is a valuation, a question with what it
lacks, files brought in, the making of a scenario set, a branch saved or deleted, a standard set, a market value
released, overridden or proxied, or stored market data held to the gates. All are idempotent: a job
whose engine died is queued again and reuses what was committed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lake.canonical import canonical_json, digest
from lake.committer import new_run_id
from lake.errors import Busy, Conflict, NotFound, NotReady, VarlakeError
from lake.tables import Lake
from lake.words import clause
from service.access.principal import LOCAL, Principal
from service.database import Database, is_sound
from service.encoding import to_json

State = Literal["queued", "running", "done", "failed", "cancelled", "proposed", "rejected", "withdrawn", "expired"]
Decision = Literal["approved", "rejected", "withdrawn"]
STATES: tuple[State, ...] = get_args(State)
# kinds of job, and what their requests are
VALUATION = "valuation"  # ValuationRequest
SCENARIO_SET = "scenario_set"  # ScenarioSetRequest
BRANCH = "branch"  # aggregation.whatif.save_branch.BranchRequest
BRANCH_DELETION = "branch_deletion"  # {"name": ...}
MARKET_ACT = "market_act"  # scenarios.market.issues.MarketAct
MARKET_CHECK = "market_check"  # scenarios.market.issues.CheckRequest
STANDARD = "standard"  # valuation.sets.standards.StandardRequest
RELEASE = "release"  # aggregation.release.ReleaseRequest
QUESTION = "question"  # {"question": its name, "query": ...}
NETTING = "netting"  # valuation.books.orders.NettingRequest
COVARIANCE = "covariance"  # scenarios.market.intraday_covariance.IntradayCovarianceRequest
LIVE_SNAPSHOT = "live_snapshot"  # aggregation.live.opening.LiveDay
LIVE_ALARMS = "live_alarms"  # aggregation.live.opening.LiveDay
ALARM_BAND = "alarm_band"  # aggregation.live.alarms.BandRequest
ORDER_FEED = "order_feed"  # {"feed": its name, "file": a FeedBatch, "versions": those it follows from}
INGEST = "ingest"  # service.work.IngestRequest
ENGINE = "the engine"  # as it names itself where it holds the lake
MAX_ATTEMPTS = 3  # runs of one job that may end with the death of the engine
HEARTBEAT_SECONDS = 1.0
ALIVE_SECONDS = 15.0  # an engine silent for longer counts as gone
MOST_WAITING = 1_000  # jobs that may wait
MOST_KEPT, DAYS_KEPT = 10_000, 90  # of jobs that are over, the newest
_OF_FORMAT_1 = "ALTER TABLE jobs ADD COLUMN actor TEXT"  # jobs of before are nobody's in particular
_OVER = "('done', 'failed', 'cancelled', 'rejected', 'withdrawn', 'expired')"

# A request already proposed, queued or running is not queued twice, unless the earlier job is being cancelled.
_JOBS = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    actor TEXT,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'proposed', 'rejected', 'withdrawn', 'expired')),
    stage TEXT,
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    problem TEXT,
    submitted_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    proposal TEXT,
    expires_at TEXT
);
CREATE UNIQUE INDEX jobs_active ON jobs (request_digest) WHERE state IN ('proposed', 'queued', 'running') AND NOT cancel_requested;
CREATE INDEX jobs_state ON jobs (state, number)
"""
_ENGINE = """
CREATE TABLE engine (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    process INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    started_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL
)
"""


_COLUMNS = (
    "job_id, actor, kind, request, state, stage, done, total, attempts, cancel_requested, result, problem, submitted_at, started_at, "
    "finished_at"
)
_OWN = f"row_number() OVER (ORDER BY number) AS number, {_COLUMNS}, proposal, expires_at"
# a state that a column may have cannot be added to: the jobs move to a new table
_OF_FORMAT_2 = f"""
ALTER TABLE jobs RENAME TO jobs_before;
DROP INDEX jobs_active;
DROP INDEX jobs_state;
{_JOBS};
INSERT INTO jobs (number, request_digest, {_COLUMNS}) SELECT number, request_digest, {_COLUMNS} FROM jobs_before;
DROP TABLE jobs_before
"""


@dataclass(frozen=True)
class Proposal:
    """What a job that another has to approve says beside its request, and what became of it.

    proposer : who it is that may not approve it. against : what it was to change, as it was then. expires_at : until when it can be
    approved. decided_by, decided_at, reason : who approved, rejected or withdrew it, when, and why.
    """

    proposer: str
    against: Mapping[str, Any]
    expires_at: dt.datetime
    decided_by: str | None = None
    decided_at: dt.datetime | None = None
    reason: str | None = None

    @classmethod
    def read(cls, text: str) -> Proposal:
        told = json.loads(text)
        instants = {name: _instant(told[name]) for name in ("expires_at", "decided_at")}
        return cls(**{**told, **instants})

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Job:
    """A job as the table holds it; instants are UTC. `number` orders jobs by submission. proposal : of one that has to be approved."""

    number: int
    job_id: str
    actor: Principal
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
    proposal: Proposal | None = None

    @property
    def approved_by(self) -> str | None:
        """Who approved it; None where nobody had to."""
        decided = self.proposal is not None and self.state not in ("proposed", "rejected", "withdrawn", "expired")
        return self.proposal.decided_by if decided and self.proposal is not None else None

    @property
    def address(self) -> str:
        """Path of the job in the API."""
        return f"/api/v1/jobs/{self.job_id}"

    def to_dict(self) -> dict[str, Any]:
        """As the API and `varlake jobs --json` show it."""
        shown = {name: value for name, value in vars(self).items() if name not in ("number", "stage", "done", "total")}
        return {
            **shown,
            "actor": self.actor.name,
            "progress": {"stage": self.stage, "done": self.done, "total": self.total},
            "proposal": None if self.proposal is None else self.proposal.to_dict(),
        }


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


def _actor(text: str | None) -> Principal:
    return LOCAL if text is None else Principal.model_validate_json(text)


def _job(row: sqlite3.Row) -> Job:
    left_out = ("request_digest", "expires_at")
    fields = {name: row[name] for name in row.keys() if name not in left_out}  # noqa: SIM118 - a Row iterates over values
    if row["state"] == "proposed" and row["expires_at"] <= _now().isoformat():
        fields["state"] = "expired"
    fields["proposal"] = None if row["proposal"] is None else Proposal.read(row["proposal"])
    fields["actor"] = _actor(row["actor"])
    for name in ("request", "result", "problem"):
        fields[name] = None if row[name] is None else json.loads(row[name])
    for name in ("submitted_at", "started_at", "finished_at"):
        fields[name] = _instant(row[name])
    return Job(**{**fields, "cancel_requested": bool(row["cancel_requested"])})


def sees_all_jobs(asks: Principal) -> bool:
    """Whether the jobs of others are shown, with their requests and results: to those who see everything and run the service."""
    return "admin" in asks.roles and asks.entitlement is None


def _shown(actor: Principal, asks: Principal) -> bool:
    """Whether a job of the actor is shown: one's own, of what one may still see."""
    if sees_all_jobs(asks):
        return True
    saw, sees = actor.entitlement, asks.entitlement
    return actor.name == asks.name and (sees is None or (saw is not None and sees.includes(saw)))


def _active(db: sqlite3.Connection, key: str) -> Job | None:
    """The job of a request that waits or runs."""
    row = db.execute(
        "SELECT * FROM jobs WHERE request_digest = ? AND state IN ('proposed', 'queued', 'running') AND NOT cancel_requested",
        (key,),
    ).fetchone()
    return None if row is None or (job := _job(row)).state == "expired" else job


class Proposed(Conflict):
    """What was asked for is proposed, and not done: another has to approve it."""

    exit_code = 4
    title = "Proposed"


def proposed(job_id: str) -> Proposed:
    return Proposed(
        f"This is proposed as {job_id}, and not done yet: another has to approve it, with `varlake proposals approve {job_id}`."
    )


def not_proposed(job: Job) -> Conflict:
    return Conflict(
        f"Job {job.job_id} is {job.state}; only one that is proposed can be approved, rejected or withdrawn."
    )


def _not_ended(job: Job) -> Job:
    """A job that is to be cancelled, or was; raises `Conflict` for one that ended otherwise."""
    if job.state == "proposed":
        raise Conflict(f"Job {job.job_id} is proposed and waits for approval; withdraw it instead.")
    if job.state in ("done", "failed"):
        raise Conflict(f"Job {job.job_id} is {job.state}; only a queued or running job can be cancelled.")
    return job


def tables_set_aside(state: Path) -> list[str]:
    """Names of the damaged tables in a lake's state folder."""
    return sorted(p.name for p in state.glob("jobs.sqlite.damaged-*"))


def damaged_tables(names: list[str]) -> str:
    return f"The job table was damaged and set aside as {', '.join(names)}: the jobs in it are to be submitted again."


class JobTable(Database):
    """The job table of a lake. Safe for threads and processes: every call is one short transaction of its own."""

    called = "job table"
    schema = f"{_JOBS};{_ENGINE}"
    upgrades = (_OF_FORMAT_1, _OF_FORMAT_2)
    when_full = "no job is taken until there is room; questions are answered."

    def __init__(self, path: Path, most_waiting: int = MOST_WAITING) -> None:
        self._most_waiting = most_waiting
        super().__init__(path)

    @classmethod
    def of(cls, lake: Lake, most_waiting: int = MOST_WAITING) -> JobTable:
        return cls(lake.state / "jobs.sqlite", most_waiting)

    def set_aside(self) -> list[str]:
        """Names of the damaged tables that were set aside."""
        return tables_set_aside(self.path.parent)

    def damaged(self, error: sqlite3.Error) -> VarlakeError:
        """Sets a damaged table aside and makes a new one; of several processes that find it so the first does it."""
        aside = self.path.with_name(f"{self.path.name}.damaged-{new_run_id()}")
        try:
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not self.is_empty() and not is_sound(self.path):
                    self.path.rename(aside)
                    for beside in ("-journal", "-wal", "-shm"):  # SQLite would take them for the new table's
                        self.path.with_name(self.path.name + beside).unlink(missing_ok=True)
            self.make()
        except (OSError, VarlakeError) as failed:
            return NotReady(
                f"The job table {self.path} is damaged and cannot be replaced: {clause(str(failed))}. Mend that first."
            )
        return NotReady(
            f"The job table was damaged. It was set aside as {', '.join(self.set_aside())} beside {self.path}, and a new one was "
            "made: ask again, and submit the jobs that were waiting again. What was valued is in the lake and is reused."
        )

    def submit(
        self, kind: str, request: Mapping[str, Any], actor: Principal = LOCAL, proposal: Proposal | None = None
    ) -> tuple[Job, bool]:
        """Queues a job, or finds the one of the same request of the same actor that waits or runs; True when it is new.

        With a proposal it waits until another approves it.
        """
        text, whose = canonical_json(request), actor.model_dump_json()
        key = digest(kind, text, whose)
        with self.reading() as db:
            if (active := _active(db, key)) is not None:
                return active, False
        job_id = new_run_id()
        act = "queue" if proposal is None else "propose"
        with self.acting(act, request, actor.name, kind=kind, job=job_id) as db:
            if (active := _active(db, key)) is not None:  # it came meanwhile
                return active, False
            waiting = db.execute("SELECT count(*) FROM jobs WHERE state IN ('queued', 'proposed')").fetchone()[0]
            if waiting >= self._most_waiting:
                raise Busy(
                    f"{waiting:,} jobs wait already, the most that may (VARLAKE_JOBS_WAITING). Ask again when some are done, or "
                    "cancel some."
                )
            db.execute(
                "UPDATE jobs SET state = 'expired', finished_at = expires_at WHERE state = 'proposed' AND expires_at <= ?",
                (_now().isoformat(),),
            )
            db.execute(
                f"DELETE FROM jobs WHERE state IN {_OVER} "
                "AND (finished_at < ? OR number <= (SELECT max(number) FROM jobs) - ?)",
                ((_now() - dt.timedelta(DAYS_KEPT)).isoformat(), MOST_KEPT),
            )
            state, told, until = "queued", None, None
            if proposal is not None:
                state, told, until = "proposed", to_json(proposal.to_dict()), proposal.expires_at.isoformat()
            made = db.execute(
                "INSERT INTO jobs (job_id, actor, kind, request, request_digest, submitted_at, state, proposal, expires_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
                (job_id, whose, kind, text, key, _now().isoformat(), state, told, until),
            ).fetchone()
            return _job(made), True

    def get(self, job_id: str, asks: Principal = LOCAL) -> Job:
        """The job with this id; raises `NotFound` for an id that was never given, or for a job that is not of whoever asks."""
        with self.reading() as db:
            row = db.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        if row is None or not _shown(_job(row).actor, asks):
            lost = f" Damaged tables were set aside: {', '.join(aside)}." if (aside := self.set_aside()) else ""
            raise NotFound(f"There is no job {job_id!r}.{lost} List the jobs to find its id.")
        return _job(row)

    def newest(
        self, state: State | None = None, limit: int = 100, before: int | None = None, asks: Principal = LOCAL
    ) -> list[Job]:
        """Jobs that are shown to whoever asks, newest first; those numbered below `before`."""
        # numbers of those that are shown tell nothing of how many there are of others
        of = "jobs" if sees_all_jobs(asks) else f"(SELECT {_OWN} FROM jobs WHERE shown(actor))"
        with self.reading() as db:
            db.create_function("shown", 1, lambda actor: _shown(_actor(actor), asks))
            rows = db.execute(
                f"SELECT * FROM {of} WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR number < ?2) "
                "ORDER BY number DESC LIMIT ?3",
                (state, before, limit),
            ).fetchall()
        return [_job(row) for row in rows]

    def request_cancel(self, job_id: str, asks: Principal = LOCAL) -> Job:
        """A queued job is cancelled at once; a running one as soon as the engine sees it. Raises `Conflict` once ended.

        Cancelling again changes nothing.
        """
        job = self.get(job_id, asks)
        if job.state not in ("queued", "running") or job.cancel_requested:
            return _not_ended(job)
        with self.acting("cancel", {}, asks.name, kind=job.kind, job=job_id) as db:
            db.execute(
                "UPDATE jobs SET cancel_requested = 1, "
                "finished_at = CASE state WHEN 'queued' THEN ?2 ELSE finished_at END, "
                "state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END "
                "WHERE job_id = ?1 AND state IN ('queued', 'running')",
                (job_id, _now().isoformat()),
            )
        return _not_ended(self.get(job_id))

    def decide(self, job: Job, decision: Decision, by: str, actor: Principal, reason: str | None = None) -> Job:
        """A proposal approved, which queues it, rejected or withdrawn. Raises `Conflict` for one that is decided or has expired."""
        assert job.proposal is not None
        decided = dataclasses.replace(job.proposal, decided_by=by, decided_at=_now(), reason=reason)
        act = {"approved": "approve", "rejected": "reject", "withdrawn": "withdraw"}[decision]
        asked = {"reason": reason, "request_digest": digest(canonical_json(job.request))}
        now, over = _now().isoformat(), decision != "approved"
        with self.acting(act, asked, actor.name, kind=job.kind, job=job.job_id) as db:
            changed = db.execute(
                "UPDATE jobs SET state = ?, proposal = ?, finished_at = ? "
                "WHERE job_id = ? AND state = 'proposed' AND expires_at > ? RETURNING *",
                (decision if over else "queued", to_json(decided.to_dict()), now if over else None, job.job_id, now),
            ).fetchone()
            if changed is None:
                raise not_proposed(self.get(job.job_id))
        return _job(changed)

    def claim(self, job_id: str | None = None) -> Job | None:
        """Takes the oldest queued job, or the one named, which is running from then on; None when it is not there."""
        with self.reading() as db:  # looking costs no write; most looks find nothing
            if db.execute("SELECT 1 FROM jobs WHERE state = 'queued' LIMIT 1").fetchone() is None:
                return None
        with self.transaction() as db:
            row = db.execute(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?1, stage = NULL, done = 0, total = 0 "
                "WHERE number = (SELECT min(number) FROM jobs WHERE state = 'queued' AND ?2 IN (job_id, '')) RETURNING *",
                (_now().isoformat(), job_id or ""),
            ).fetchone()
        return None if row is None else _job(row)

    def progress(self, job_id: str, stage: str, done: int, total: int) -> None:
        with self.transaction() as db:
            db.execute(
                "UPDATE jobs SET stage = ?, done = ?, total = ? WHERE job_id = ? AND state = 'running'",
                (stage, done, total, job_id),
            )

    def finish(self, job_id: str, result: Mapping[str, Any]) -> State:
        return self._end(job_id, "done", result=to_json(result))

    def fail(self, job_id: str, problem: Mapping[str, Any]) -> State:
        """The job failed; `problem` is a problem detail (RFC 9457)."""
        return self._end(job_id, "failed", problem=to_json(problem))

    def _end(self, job_id: str, state: State, result: str | None = None, problem: str | None = None) -> State:
        with self.transaction() as db:
            db.execute(
                "UPDATE jobs SET state = ?, result = ?, problem = ?, finished_at = ? WHERE job_id = ? AND state = 'running'",
                (state, result, problem, _now().isoformat(), job_id),
            )
        return state

    def release(self, job_id: str) -> State:
        """The engine lets go of a running job: cancelled where that was asked for, else queued again.

        An engine that stops in good order is no failed attempt.
        """
        with self.transaction() as db:
            left = db.execute(
                "UPDATE jobs SET attempts = attempts - 1, "
                "state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END, "
                "finished_at = CASE WHEN cancel_requested THEN ?2 END WHERE job_id = ?1 AND state = 'running' "
                "RETURNING state",
                (job_id, _now().isoformat()),
            ).fetchone()
        return "cancelled" if left is None else left["state"]

    def recover(self, problem: Callable[[Job], Mapping[str, Any]]) -> list[Job]:
        """For an engine that starts: no job can be running. Those that were are queued again, up to `MAX_ATTEMPTS`.

        After that the job failed, with `problem(job)`; one that was to be cancelled is cancelled. Returns these jobs.
        """
        with self.transaction() as db:
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
        with self.transaction() as db:
            db.execute(
                "INSERT INTO engine (only, process, run_id, started_at, heartbeat_at) VALUES (1, ?1, ?2, ?3, ?3) "
                "ON CONFLICT (only) DO UPDATE SET heartbeat_at = ?3, process = ?1, run_id = ?2, "
                "started_at = CASE run_id WHEN ?2 THEN started_at ELSE ?3 END",
                (os.getpid(), run_id, now),
            )

    def engine_stopped(self, run_id: str) -> None:
        with self.transaction() as db:
            db.execute("DELETE FROM engine WHERE run_id = ?", (run_id,))

    def engine(self) -> EngineStatus | None:
        """The engine, alive or with its heartbeat lost; None when none ran or the last one stopped in good order.

        It is alive while its sign changes; clocks, which may differ, are compared only at this process's first look.
        """
        with self.reading() as db:
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
