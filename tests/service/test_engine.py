"""The engine: jobs from the table to sealed valuation sets, cancel, stop, a second engine, death and revival."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from command_line import answer, refused
from small_lake import BOOK, FRIDAY, MONDAY, SCENARIOS, no_spark, request
from support import wait_for

from aggregation import on_demand
from aggregation.session import Session
from lake.committer import Committer
from lake.errors import Conflict, NotFound
from lake.progress import Cancelled
from lake.tables import Lake
from service import ending
from service.api.app import create_app
from service.config import Settings
from service.jobs import QUESTION, VALUATION, Job, JobTable, damaged_tables
from service.processes import engine
from valuation.sets import run
from valuation.sets.requests import ValuationRequest, run_valuation
from valuation.sets.store import find_sealed

CONTRACTS = len(BOOK)  # each line of the book is a contract of its own, one of them matured


def ended(table: JobTable, job: Job, seconds: float = 60) -> Job:
    wait_for(lambda: table.get(job.job_id).state in ("done", "failed", "cancelled"), seconds)
    return table.get(job.job_id)


@contextmanager
def running_engine(lake: Lake, stop: threading.Event) -> Iterator[JobTable]:
    """An engine in a thread of this process; whatever ends it early fails the test."""
    outcome: list[BaseException] = []

    def body() -> None:
        try:
            engine.run_engine(Settings(lake=lake.path), stop)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    table = JobTable.of(lake)
    try:
        wait_for(lambda: table.engine() or outcome)
        yield table
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()
        if outcome:
            raise outcome[0]


def submit(table: JobTable, wanted: ValuationRequest) -> Job:
    return table.submit(VALUATION, wanted.model_dump(mode="json"))[0]


def test_a_job_is_run_sealed_and_reported(
    work_lake: Lake, stop: threading.Event, logs: list[structlog.typing.EventDict]
) -> None:
    with running_engine(work_lake, stop) as table:
        job = ended(table, submit(table, request()))
        assert job.state == "done", job.problem
        assert job.result is not None
        counts = {k: job.result[k] for k in ("submitted", "valued", "reused", "failed", "scenario_count")}
        assert counts == {
            "submitted": CONTRACTS,
            "valued": CONTRACTS - 1,
            "reused": 0,
            "failed": 1,
            "scenario_count": SCENARIOS,
        }
        assert (job.stage, job.done == job.total > 0) == ("value", True)
        seal = find_sealed(work_lake, job.result["valuation_set_id"])
        assert seal is not None
        assert seal.run_id == job.result["run_id"]

        again = ended(table, submit(table, request()))
        assert again.job_id != job.job_id
        assert again.result is not None
        assert again.result["this_run"]["valued"] == 0
    assert table.engine() is None
    assert [line["event"] for line in logs if line["log_level"] == "error"] == []
    assert [line["state"] for line in logs if line["event"] == "job ended"] == ["done", "done"]


def test_a_job_that_cannot_be_run_fails_with_a_problem_and_the_engine_goes_on(
    work_lake: Lake, stop: threading.Event
) -> None:
    with running_engine(work_lake, stop) as table:
        bad = ended(table, submit(table, request(dt.date(2020, 3, 1))))
        assert bad.state == "failed"
        assert bad.problem is not None
        assert (bad.problem["status"], bad.problem["instance"]) == (404, bad.address)
        assert "Nearest dates with positions: 2020-03-13, 2020-03-16" in bad.problem["detail"]
        assert ended(table, submit(table, request())).state == "done"


def test_a_job_of_an_unknown_kind_fails_in_words_and_the_engine_goes_on(work_lake: Lake, stop: threading.Event) -> None:
    """Such as a job that a later version of the web queued."""
    with running_engine(work_lake, stop) as table:
        unknown = ended(table, table.submit("valuashion", {"as_of": str(MONDAY)})[0])
        assert (unknown.state, unknown.result) == ("failed", None)
        assert unknown.problem is not None
        assert (unknown.problem["status"], unknown.problem["type"]) == (422, "urn:varlake:problem:bad-input")
        assert "Unknown kind of job 'valuashion'. Nearest valid: valuation" in unknown.problem["detail"]
        assert work_lake.read("valuation_sets").num_rows == 0
        assert ended(table, submit(table, request())).state == "done"


@pytest.mark.parametrize(
    ("name", "asked", "arguments"),
    [
        ("var", {"as_of": str(MONDAY), "by": ["desk"]}, ("--as-of", MONDAY, "--by", "desk")),
        (
            "stress",
            {"as_of": str(MONDAY), "scenario": "equity -20%"},
            ("--as-of", MONDAY, "--scenario", "equity -20%"),
        ),
    ],
)
def test_a_question_is_valued_and_answered_with_the_bits_of_the_command_line(
    work_lake: Lake, stop: threading.Event, name: str, asked: dict[str, Any], arguments: tuple[object, ...]
) -> None:
    with Committer(work_lake, "test") as committer:  # the recipe last valued, of another day
        run_valuation(committer, request(FRIDAY), spark=no_spark)  # type: ignore[arg-type]
    assert "Add --plan to see what that takes, --value to have it valued first." in refused(
        name, *arguments, lake=work_lake.path
    )
    with running_engine(work_lake, stop) as table:
        job = ended(table, table.submit(QUESTION, {"question": name, "query": asked})[0])
        assert job.state == "done", job.problem
        assert job.result is not None
        # the web and the command line answer at once now, and nothing is valued again
        got = create_app(Settings(lake=work_lake.path)).test_client().post(f"/api/v1/{name}", json=asked).get_json()
        told = answer(name, *arguments, lake=work_lake.path)
    for other in (got, told):
        assert other["rows"] == job.result["rows"]
        assert other["total"] == job.result["total"]
        digests = ("result_digest", "valuation_set_id", "scenario_set_id")
        assert [other["receipt"][d] for d in digests] == [job.result["receipt"][d] for d in digests]
    assert got["receipt"]["receipt_digest"] == told["receipt"]["receipt_digest"]


def test_a_question_that_is_none_fails_the_job(work_lake: Lake, stop: threading.Event) -> None:
    with running_engine(work_lake, stop) as table:
        lost = ended(table, table.submit(QUESTION, {"question": "vra", "query": {}})[0])
        bad = ended(table, table.submit(QUESTION, {"question": "var", "query": {"as_of": str(MONDAY), "bye": []}})[0])
    assert lost.problem is not None
    assert bad.problem is not None
    assert "Unknown question 'vra'. Nearest valid: var" in lost.problem["detail"]
    assert "bye: is not a known name" in bad.problem["detail"]


def test_an_unexpected_error_fails_the_job_with_an_id_that_stands_in_the_log(
    work_lake: Lake, stop: threading.Event, logs: list[structlog.typing.EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(on_demand, "value_request", broken)
    with running_engine(work_lake, stop) as table:
        job = ended(table, submit(table, request()))
    assert job.problem is not None
    assert job.problem["status"] == 500
    assert "secret" not in str(job.problem)
    (line,) = [line for line in logs if line["event"] == "unexpected"]
    assert line["error_id"] == job.problem["error_id"]
    assert str(line["exc_info"]) == "a secret of the inside"


def test_the_engine_ends_with_its_spark_so_that_the_next_one_takes_the_job(
    work_lake: Lake, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LostSpark:
        def range(self, _: int) -> None:
            raise ConnectionRefusedError

        def stop(self) -> None:
            pass

    def fails_on_spark(session: Session, _: object) -> None:
        session.spark()
        raise ConnectionRefusedError("the answer from the Java side is empty")

    monkeypatch.setattr(engine, "spark_session", lambda *_, **__: LostSpark())
    monkeypatch.setattr(on_demand, "value_request", fails_on_spark)
    table = JobTable.of(work_lake)
    job = submit(table, request())
    with pytest.raises(ConnectionRefusedError, match="the answer from"):
        engine.run_engine(Settings(lake=work_lake.path), stop)
    assert (table.get(job.job_id).state, table.get(job.job_id).attempts) == ("running", 1)
    assert [j.state for j in table.recover(engine._abandoned)] == ["queued"]


class SlowRun:
    """Stands for a valuation that takes long: reports progress and obeys `cancelled`, as the runner does."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def __call__(self, session: Session, _: object) -> dict[str, Any]:
        session.progress("value", 1, 10)
        self.begun.set()
        assert session.cancelled is not None
        if not session.cancelled.wait(60):
            raise AssertionError("nobody cancelled")
        raise Cancelled("The valuation was cancelled.")


def test_a_running_job_shows_progress_and_is_cancelled(
    work_lake: Lake, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowRun()
    real = on_demand.value_request
    monkeypatch.setattr(on_demand, "value_request", slow)
    with running_engine(work_lake, stop) as table:
        job = submit(table, request())
        assert slow.begun.wait(60)
        wait_for(lambda: table.get(job.job_id).done == 1)
        assert table.get(job.job_id).state == "running"
        waiting = submit(table, request(positions_dates=["2020-03-13"]))
        assert table.request_cancel(waiting.job_id).state == "cancelled"
        table.request_cancel(job.job_id)
        assert ended(table, job).state == "cancelled"
        monkeypatch.setattr(on_demand, "value_request", real)
        assert ended(table, submit(table, request())).state == "done"


def test_a_damaged_job_table_ends_no_engine(
    work_lake: Lake, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, real = threading.Event(), threading.Event(), on_demand.value_request

    def held(session: Session, wanted: ValuationRequest) -> Any:
        begun.set()
        assert go_on.wait(60)
        return real(session, wanted)

    monkeypatch.setattr(on_demand, "value_request", held)
    with running_engine(work_lake, stop) as table:
        lost = submit(table, request())
        assert begun.wait(60)
        table.path.write_bytes(b"damaged" * 5000)
        wait_for(table.set_aside)
        go_on.set()
        again = ended(table, submit(table, request()))
        assert again.state == "done", again.problem
        assert again.result is not None
        assert again.result["this_run"]["valued"] == 0  # what the lost job had done is reused
        with pytest.raises(NotFound, match="set aside"):
            table.get(lost.job_id)
        client = create_app(Settings(lake=work_lake.path)).test_client()
        (note,) = client.get("/api/v1/health").get_json()["notes"]
        assert note == damaged_tables(table.set_aside())


def test_what_a_cancelled_job_has_valued_stays_and_is_reused(
    work_lake: Lake, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real runner: the batches at hand are finished and committed, the next is not begun."""
    real, begun, go_on = run.run_guarded, threading.Semaphore(0), threading.Event()

    def held(*arguments: Any) -> Any:
        begun.release()
        assert go_on.wait(60)
        return real(*arguments)

    monkeypatch.setattr(run, "usable_cores", lambda: 2)  # two threads, so two of the three batches are at hand
    monkeypatch.setattr(run, "run_guarded", held)
    with running_engine(work_lake, stop) as table:
        job = submit(table, request())
        assert begun.acquire(timeout=60)
        assert begun.acquire(timeout=60)
        table.request_cancel(job.job_id)
        time.sleep(4 * engine.POLL_SECONDS)  # the engine has seen it by now
        go_on.set()
        assert ended(table, job).state == "cancelled"
        assert work_lake.read("valuation_sets").num_rows == 0
        again = ended(table, submit(table, request()))
        assert again.result is not None
        assert (again.result["reused"], again.result["valued"], again.result["failed"]) == (2, CONTRACTS - 3, 1)


def test_an_engine_that_is_stopped_puts_its_job_back_for_the_next(
    work_lake: Lake, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowRun()
    with monkeypatch.context() as patched:
        patched.setattr(on_demand, "value_request", slow)
        with running_engine(work_lake, stop) as table:
            job = submit(table, request())
            assert slow.begun.wait(60)
    assert table.get(job.job_id).state == "queued"
    with running_engine(work_lake, threading.Event()):
        done = ended(table, job)
    assert (done.state, done.attempts) == ("done", 1)


def test_a_second_engine_is_refused_with_the_name_of_the_first(work_lake: Lake, stop: threading.Event) -> None:
    with running_engine(work_lake, stop) as table:
        with pytest.raises(Conflict, match=f"written by the engine \\(process {os.getpid()}"):
            engine.run_engine(Settings(lake=work_lake.path), threading.Event())
        assert ended(table, submit(table, request())).state == "done"


def start_engine(lake: Lake) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "service.processes.engine"],
        env={**os.environ, "VARLAKE_LAKE": str(lake.path)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_job_that_runs_has_an_engine(work_lake: Lake, stop: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first sign of life is there before a job is taken, however late its watcher comes to give the others."""
    table, real, seen = JobTable.of(work_lake), on_demand.value_request, []

    def value(session: Session, wanted: ValuationRequest) -> Any:
        seen.append(table.engine())
        return real(session, wanted)

    monkeypatch.setattr(on_demand, "value_request", value)
    monkeypatch.setattr(engine._Engine, "_watch", lambda *_: None)
    job = submit(table, request())
    with running_engine(work_lake, stop):
        assert ended(table, job).state == "done"
    assert seen[0] is not None


def test_a_killed_engine_loses_no_job(work_lake: Lake) -> None:
    """kill -9 in the middle of a job: the next engine queues it again and finishes it."""
    table = JobTable.of(work_lake)
    job = submit(table, request())
    killed = start_engine(work_lake)
    wait_for(lambda: table.get(job.job_id).state == "running")
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert table.get(job.job_id).state == "running"  # nobody was left to say otherwise
    assert table.engine() is not None

    second = start_engine(work_lake)
    try:
        done = ended(table, job)
    finally:
        second.send_signal(signal.SIGTERM)
        _, err = second.communicate(timeout=60)
    assert (done.state, done.attempts) == ("done", 2), err
    assert second.returncode == 0, err
    assert "job was left by an engine that died" in err
    assert table.engine() is None


def test_the_engine_process_tells_in_one_line_why_it_does_not_start(work_lake: Lake) -> None:
    with Committer(work_lake, "someone else"):
        refused = start_engine(work_lake)
        _, err = refused.communicate(timeout=60)
    assert refused.returncode == 2
    (line,) = err.strip().splitlines()
    assert "is being written by someone else" in line


# the engine as a process, whose valuations of Friday are lost in native code that nothing interrupts
STUCK = f"""
import datetime, hashlib, sys
from service.process import run_process
from aggregation import on_demand
from service.processes import engine
real = on_demand.value_request
def value(session, request):
    if str(request.as_of) == "{FRIDAY}":
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
    return real(session, request)
on_demand.value_request = value
sys.exit(run_process(engine.main))
"""


@contextmanager
def engine_process(lake: Lake, *command: str) -> Iterator[tuple[subprocess.Popen[str], JobTable]]:
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "VARLAKE_LAKE": str(lake.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, JobTable.of(lake)
    finally:
        process.kill()
        process.communicate()


def test_a_job_that_does_not_heed_is_left_and_the_engine_goes_on(work_lake: Lake) -> None:
    with engine_process(work_lake, "-c", STUCK) as (process, table):
        job = submit(table, request(FRIDAY))
        wait_for(lambda: table.get(job.job_id).state == "running")
        table.request_cancel(job.job_id)
        left = ended(table, job, 30)
        assert (left.state, left.attempts) == ("cancelled", 0)
        assert ended(table, submit(table, request())).state == "done"
        status = table.engine()
        assert status is not None
        assert status.process == process.pid


@pytest.mark.slow
def test_an_engine_whose_job_does_not_heed_ends_at_a_signal_and_the_job_waits_for_the_next(work_lake: Lake) -> None:
    with engine_process(work_lake, "-c", STUCK) as (process, table):
        job = submit(table, request(FRIDAY))
        wait_for(lambda: table.get(job.job_id).state == "running")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        back = table.get(job.job_id)
        assert (back.state, back.attempts, table.engine()) == ("queued", 0, None)
        assert work_lake.written_by() is None


@pytest.mark.spark
@pytest.mark.slow
def test_a_job_is_cancelled_while_spark_starts(work_lake: Lake) -> None:
    with engine_process(work_lake, "-m", "service.processes.engine") as (process, table):
        job = submit(table, request(runner="spark"))
        java = wait_for(lambda: list(ending._descendants(process.pid)))
        table.request_cancel(job.job_id)
        left = ended(table, job, 30)
        assert (left.state, left.attempts) == ("cancelled", 0)
        wait_for(lambda: not any(map(ending._lives, java)))
        assert ended(table, submit(table, request())).state == "done"


@pytest.mark.spark
def test_a_job_on_real_spark(
    work_lake: Lake, stop: threading.Event, spark: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pyspark.sql.SparkSession.stop", lambda self: None
    )  # the session is shared by the whole test run
    with running_engine(work_lake, stop) as table:
        job = ended(table, submit(table, request(MONDAY, runner="spark")), 120)
        assert job.state == "done", job.problem
        assert job.result is not None
        assert job.result["runner"].startswith("local")
        assert (job.result["valued"], job.result["failed"]) == (CONTRACTS - 1, 1)
