"""Commands and notebooks as clients of the engine: while an engine holds the lake, what they would write is a job of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lake.committer import Committer
from lake.errors import (
    BadInput,
    Busy,
    Conflict,
    Damaged,
    DiskFailed,
    DiskFull,
    Issue,
    NotAllowed,
    NotFound,
    NotReady,
    NotSignedIn,
    NotValued,
    VarlakeError,
)
from lake.progress import Progress
from lake.tables import Lake
from service.access.principal import LOCAL
from service.ending import Signalled
from service.jobs import ALIVE_SECONDS, ENGINE, QUESTION, EngineStatus, Job, JobTable, proposed
from service.rendering import display

if TYPE_CHECKING:
    from aggregation.session import Session
    from service.config import Settings

# ruff: noqa: PLC0415 - a command whose work the engine does needs none of what does it

POLL_SECONDS = 0.2
STARTING_SECONDS = 3.0  # an engine that has the lock gives its first sign of life within this time
_ERRORS = {
    kind.title: kind
    for kind in (BadInput, NotSignedIn, NotAllowed, NotFound, Conflict, NotReady, Busy, DiskFull, DiskFailed, Damaged)
}
CANCEL_SECONDS = 1.0  # so long a command that is stopped waits to see its job cancelled


def done(settings: Settings, lake: Lake, name: str, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Does a piece of work, as kinds of job are, here or by the engine that holds the lake; what it gives is the same, as JSON.

    name : of the command, for progress and for whoever is refused meanwhile.
    """
    if settings.four_eyes:
        from service import proposals

        if (proposal := proposals.proposal_of(settings, lake, kind, request, LOCAL)) is not None:
            raise proposed(JobTable.of(lake).submit(kind, request, LOCAL, proposal)[0].job_id)
    with writer(lake, name) as committer:
        if committer is None:
            return followed(lake, name, kind, request)
        return _worked(settings, committer, name, kind, request)


def approved(settings: Settings, lake: Lake, job: Job) -> dict[str, Any]:
    """Does a job that was approved, here or by the engine that holds the lake, as the job of who proposed it."""
    table = JobTable.of(lake)
    with writer(lake, "proposals approve") as committer:
        if committer is None:
            return _result(lake, "proposals approve", table, job, mine=False)
        if table.claim(job.job_id) is None:
            raise Conflict(f"Job {job.job_id} is {table.get(job.job_id).state} by now.")
        try:
            result = _worked(settings, committer, "proposals approve", job.kind, job.request, job)
        except Exception as error:
            from service.errors import new_error_id, problem_of

            table.fail(job.job_id, problem_of(error, job.address, new_error_id()))
            raise
        except BaseException:
            table.release(job.job_id)
            raise
        table.finish(job.job_id, result)
        return result


def _worked(
    settings: Settings, committer: Committer, name: str, kind: str, request: Mapping[str, Any], job: Job | None = None
) -> dict[str, Any]:
    """Does the work in this process; job : whose it is, where it is one."""
    from aggregation.session import Session
    from service.operations import spark_of, vector_cache
    from service.work import run

    lake = committer.lake
    with display.progress_bar(name) as progress:
        session = Session(lake, vector_cache(settings, lake), committer, spark_of(settings), progress)
        if job is None:
            return run(session, kind, request)
        asks = job.actor
        whose = replace(session, entitlement=asks.entitlement, actor=asks.name, approved_by=job.approved_by)
        return run(whose, kind, request, job=job.job_id)


def valued(session: Session, name: str, query: Any, opened: Callable[[Lake], Session]) -> tuple[Any, Any, Session]:
    """Values what a question lacks, then asks it: the answer, the query it answers, and the session that it was asked in.

    Where an engine does so, its answer is asked for again here, of the versions of its receipt, as an object that can be shown.
    """
    from aggregation import questions

    planned = questions.plan(session, name, query)
    display.say("Nothing is missing." if planned.ready else f"About {planned.cost} seconds of one core to value first.")
    with writer(session.lake, name) as committer:
        if committer is None:
            asked = query.model_dump(mode="json", by_alias=True, exclude_unset=True)
            receipt = followed(session.lake, name, QUESTION, {"question": name, "query": asked})["receipt"]
            query, session = (
                questions.read(name, receipt["question"]),
                opened(session.lake.at(receipt["table_versions"])),
            )
        with display.progress_bar(name) as progress:
            session = session.telling(progress)
            if committer is not None:
                session = session.writing(committer)
                asked = query.model_dump(mode="json", by_alias=True, exclude_unset=True)
                with committer.acting(QUESTION, {"question": name, "query": asked}, session.actor):
                    query = questions.value(session, name, query)
            return questions.ask(session, name, query), query, session


@contextmanager
def writer(lake: Lake, name: str) -> Iterator[Committer | None]:
    """The lake's committer for a command, or None where an engine holds it and answers. Raises `Conflict` for any other writer."""
    with ExitStack() as stack:
        committer: Committer | None = None
        try:
            committer = stack.enter_context(Committer(lake, f"varlake {name}"))
        except Conflict as held:
            _check_engine(lake, held)
        yield committer


def _check_engine(lake: Lake, held: Conflict) -> None:
    """Raises `held` unless an engine holds the lake, and says so where that one gives no sign of life."""
    table, until = JobTable.of(lake), time.monotonic() + STARTING_SECONDS
    while (lake.written_by() or "").startswith(ENGINE):
        engine = table.engine()
        if engine is not None and engine.alive:
            return
        if time.monotonic() > until:
            raise Conflict(f"{held.message} {_silent(engine)} End it, and give the command again.") from None
        time.sleep(POLL_SECONDS)
    raise held


def _silent(engine: EngineStatus | None) -> str:
    if engine is None:
        return "That engine has given no sign of life."
    return f"The last sign of life of the engine was at {engine.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC."


def followed(lake: Lake, name: str, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Has the engine do the work as a job, shows how far it is, and returns its result.

    Raises what the work raises. Ctrl-C and SIGTERM ask for the job to be cancelled, unless somebody else asked for the same before.
    """
    table = JobTable.of(lake)
    job, mine = table.submit(kind, request)
    return _result(lake, name, table, job, mine)


def _result(lake: Lake, name: str, table: JobTable, job: Job, mine: bool) -> dict[str, Any]:
    """What a job gives, once the engine has done it."""
    if job.state == "proposed":
        raise proposed(job.job_id)
    try:
        before = sum(len(table.newest(state, before=job.number)) for state in ("queued", "running"))
        others = f", after {before} other{'s' * (before > 1)}" if before else ""
        display.say(
            f"The engine does this as job {job.job_id}{'' if mine else ', which was asked for already'}{others}."
        )
        with display.progress_bar(name) as progress:
            job = _ended(table, job, progress)
    except (Signalled, KeyboardInterrupt):
        _cancel(table, job, mine)
        raise
    if job.result is not None:
        return job.result
    raise _failure(job)


def _ended(table: JobTable, job: Job, progress: Progress = lambda *_: None, seconds: float | None = None) -> Job:
    """The job once it has ended, or after so many seconds; raises `Conflict` when no engine is left to end it."""
    started = seen = time.monotonic()
    while (job := table.get(job.job_id)).state in ("queued", "running"):
        now, engine = time.monotonic(), table.engine()
        if engine is not None and engine.alive:
            seen = now
        if seconds is not None and now - started > seconds:
            break
        if now - seen > ALIVE_SECONDS:
            raise Conflict(
                f"The engine has stopped; job {job.job_id} is kept and is done when an engine starts again. "
                f"`varlake jobs show {job.job_id}` tells what becomes of it, `varlake jobs cancel {job.job_id}` takes it back."
            )
        progress(job.stage or "waiting", job.done, job.total)
        time.sleep(POLL_SECONDS)
    return job


def _cancel(table: JobTable, job: Job, mine: bool) -> None:
    if not mine:
        display.say(f"Job {job.job_id} was asked for by somebody else and goes on.")
        return
    try:
        table.request_cancel(job.job_id)
        job = _ended(table, job, seconds=CANCEL_SECONDS)
    except Conflict:  # it ended meanwhile, or the engine did
        job = table.get(job.job_id)
    asked = "will be cancelled at its next step" if job.state in ("queued", "running") else job.state
    display.say(f"Job {job.job_id}: {asked}. What was stored until then stays.")


def _failure(job: Job) -> VarlakeError | SystemExit:
    """What the command raises for a job without a result."""
    problem = job.problem
    if problem is None:
        return Conflict(f"Job {job.job_id} was cancelled. What was stored until then stays.")
    if problem["status"] == 500:
        display.say(problem["detail"])
        return SystemExit(70)
    return error_of(problem)


def error_of(problem: Mapping[str, Any]) -> VarlakeError:
    """The error that a problem detail tells of, of the class that it was where that is one of `lake.errors`."""
    issues = [Issue(e["pointer"], e["message"], e["value"], tuple(e["allowed"])) for e in problem["errors"]]
    if problem["title"] == NotValued.title:
        return NotValued(problem["detail"], "")
    error = _ERRORS.get(problem["title"], VarlakeError)(problem["detail"], issues=issues)
    error.status, error.title = problem["status"], problem["title"]
    return error
