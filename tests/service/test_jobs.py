"""The job table: states, idempotency, recovery, and that what it says is on the disk."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lake.errors import Busy, Conflict, NotFound, NotReady
from service import jobs
from service.jobs import VALUATION, JobTable

REQUEST = {"as_of": "2020-03-16"}


@pytest.fixture
def table(tmp_path: Path) -> JobTable:
    return JobTable(tmp_path / "state" / "jobs.sqlite")


def failed(job: jobs.Job) -> dict[str, object]:
    return {"title": "The engine stopped", "instance": job.address}


def test_a_job_goes_from_queued_through_running_to_done(table: JobTable) -> None:
    job, new = table.submit(VALUATION, REQUEST)
    assert new
    assert (job.state, job.attempts, job.started_at, job.request) == ("queued", 0, None, REQUEST)
    running = table.claim()
    assert running is not None
    assert (running.job_id, running.state, running.attempts) == (job.job_id, "running", 1)
    table.progress(job.job_id, "value", 3, 8)
    seen = table.get(job.job_id)
    assert (seen.stage, seen.done, seen.total) == ("value", 3, 8)
    table.finish(job.job_id, {"valued": 7})
    done = table.get(job.job_id)
    assert (done.state, done.result, done.problem) == ("done", {"valued": 7}, None)
    assert done.submitted_at <= done.started_at <= done.finished_at  # type: ignore[operator]


def test_the_oldest_job_is_claimed_first_and_only_once(table: JobTable) -> None:
    ids = [table.submit(VALUATION, {"as_of": f"2020-03-{day:02}"})[0].job_id for day in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        claimed = [j.job_id for j in pool.map(lambda _: table.claim(), range(12)) if j is not None]
    assert sorted(claimed) == sorted(ids)
    assert table.claim() is None


def test_claims_follow_submission(table: JobTable) -> None:
    ids = [table.submit(VALUATION, {"as_of": f"2020-03-{day:02}"})[0].job_id for day in (3, 1, 2)]
    assert [table.claim().job_id for _ in ids] == ids  # type: ignore[union-attr]


def test_the_same_request_is_the_same_job_while_it_is_queued_or_running(table: JobTable) -> None:
    first, _ = table.submit(VALUATION, REQUEST)
    assert table.submit(VALUATION, dict(REQUEST)) == (first, False)
    table.claim()
    again, new = table.submit(VALUATION, REQUEST)
    assert (again.job_id, again.state, new) == (first.job_id, "running", False)
    table.finish(first.job_id, {})
    later, new = table.submit(VALUATION, REQUEST)
    assert new
    assert later.job_id != first.job_id


def test_many_submit_at_once_and_get_one_job(table: JobTable) -> None:
    with ThreadPoolExecutor(8) as pool:
        submitted = list(pool.map(lambda _: table.submit(VALUATION, REQUEST), range(16)))
    assert len({job.job_id for job, _ in submitted}) == 1
    assert sum(new for _, new in submitted) == 1


def test_a_request_whose_job_is_being_cancelled_is_queued_anew(table: JobTable) -> None:
    first, _ = table.submit(VALUATION, REQUEST)
    table.claim()
    assert table.request_cancel(first.job_id).state == "running"
    second, new = table.submit(VALUATION, REQUEST)
    assert new
    assert second.job_id != first.job_id
    table.release(first.job_id)
    assert table.get(first.job_id).state == "cancelled"
    assert table.claim().job_id == second.job_id  # type: ignore[union-attr]


def test_a_queued_job_is_cancelled_at_once_and_cancelling_again_changes_nothing(table: JobTable) -> None:
    job, _ = table.submit(VALUATION, REQUEST)
    cancelled = table.request_cancel(job.job_id)
    assert cancelled.state == "cancelled"
    assert cancelled.finished_at is not None
    assert table.request_cancel(job.job_id) == cancelled
    assert table.claim() is None


def test_an_ended_job_cannot_be_cancelled(table: JobTable) -> None:
    job, _ = table.submit(VALUATION, REQUEST)
    table.claim()
    table.fail(job.job_id, {"title": "no"})
    with pytest.raises(Conflict, match="is failed"):
        table.request_cancel(job.job_id)
    assert not table.get(job.job_id).cancel_requested


def test_unknown_ids_are_not_found(table: JobTable) -> None:
    with pytest.raises(NotFound, match="no job 'x'"):
        table.get("x")
    with pytest.raises(NotFound):
        table.request_cancel("x")


def test_an_engine_that_stops_in_order_puts_its_job_back_without_counting_the_attempt(table: JobTable) -> None:
    job, _ = table.submit(VALUATION, REQUEST)
    table.claim()
    table.release(job.job_id)
    back = table.get(job.job_id)
    assert (back.state, back.attempts) == ("queued", 0)


def test_a_job_left_running_is_queued_again_up_to_three_attempts_then_failed(table: JobTable) -> None:
    job, _ = table.submit(VALUATION, REQUEST)
    for attempt in range(1, jobs.MAX_ATTEMPTS):
        assert table.claim().attempts == attempt  # type: ignore[union-attr]
        assert [j.state for j in table.recover(failed)] == ["queued"]
    assert table.claim().attempts == jobs.MAX_ATTEMPTS  # type: ignore[union-attr]
    table.recover(failed)
    ended = table.get(job.job_id)
    assert ended.state == "failed"
    assert ended.problem == {"title": "The engine stopped", "instance": job.address}
    assert ended.finished_at is not None
    assert table.claim() is None


def test_a_job_left_running_that_was_to_be_cancelled_is_cancelled(table: JobTable) -> None:
    job, _ = table.submit(VALUATION, REQUEST)
    table.claim()
    table.request_cancel(job.job_id)
    table.recover(failed)
    assert table.get(job.job_id).state == "cancelled"


def test_only_a_running_job_can_end(table: JobTable) -> None:
    job, _ = table.submit(VALUATION, REQUEST)
    table.finish(job.job_id, {})
    assert table.get(job.job_id).state == "queued"


def test_jobs_are_listed_newest_first_in_pages_and_by_state(table: JobTable) -> None:
    ids = [table.submit(VALUATION, {"as_of": f"2020-03-{day:02}"})[0].job_id for day in range(1, 6)]
    table.claim()
    first = table.newest(limit=2)
    second = table.newest(limit=10, before=first[-1].number)
    assert [j.job_id for j in [*first, *second]] == ids[::-1]
    assert [j.job_id for j in table.newest("running")] == ids[:1]
    assert len(table.newest("queued")) == 4


@pytest.mark.parametrize("hours", [-48, 48])
def test_an_engine_is_alive_while_its_sign_changes_whatever_its_clock_says(
    table: JobTable, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    clock, seconds = jobs._now, [1000.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: seconds[0])

    def alive(*, beats: bool) -> bool:
        if beats:
            with monkeypatch.context() as patch:
                patch.setattr(jobs, "_now", lambda: clock() + dt.timedelta(hours=hours))
                table.heartbeat("run-1")
        found = table.engine()
        assert found is not None
        return found.alive

    assert not alive(beats=True), "at the first look a clock that is far off tells nothing"
    seconds[0] += 1
    assert alive(beats=True)
    seconds[0] += jobs.ALIVE_SECONDS - 1
    assert alive(beats=False)
    seconds[0] += 2
    assert not alive(beats=False), "it is dead, and its clock ran ahead" if hours > 0 else "it is dead"
    assert alive(beats=True)


def test_the_engine_counts_as_alive_while_it_gives_signs_of_life(
    table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert table.engine() is None
    table.heartbeat("run-1")
    started = table.engine()
    assert started is not None
    assert started.alive
    table.heartbeat("run-1")
    beat = table.engine()
    assert beat is not None
    assert (beat.started_at, beat.heartbeat_at >= started.heartbeat_at) == (started.started_at, True)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "ALIVE_SECONDS", 0.0)
        assert not beat.alive
    table.heartbeat("run-2")
    assert table.engine().started_at > started.started_at  # type: ignore[union-attr]
    table.engine_stopped("run-1")
    assert table.engine() is not None
    table.engine_stopped("run-2")
    assert table.engine() is None


def _submit_and_die(path: Path) -> None:
    import os

    JobTable(path).submit(VALUATION, REQUEST)
    os._exit(9)


def test_what_was_acknowledged_survives_the_death_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    process = multiprocessing.get_context("spawn").Process(target=_submit_and_die, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert [j.request for j in JobTable(path).newest()] == [REQUEST]


def test_many_make_the_table_at_once(tmp_path: Path) -> None:
    for attempt in range(20):
        path = tmp_path / str(attempt) / "jobs.sqlite"
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _, path=path: JobTable(path).submit(VALUATION, REQUEST)[0].job_id, range(8)))  # type: ignore[misc]
        assert len(set(made)) == 1


def test_the_table_is_durable_and_does_not_block_readers(table: JobTable) -> None:
    db = sqlite3.connect(table.path)
    try:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        db.execute("BEGIN IMMEDIATE")
        seen: list[object] = []
        reader = threading.Thread(target=lambda: seen.append(table.newest()))
        reader.start()
        reader.join(5)
        assert seen == [[]]
    finally:
        db.close()


def test_a_table_with_a_write_ahead_log_is_read_and_goes_on_without(table: JobTable) -> None:
    job, _ = table.submit(VALUATION, REQUEST)
    db = sqlite3.connect(table.path)
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    again = JobTable(table.path)
    assert again.get(job.job_id) == job
    again.claim()
    with sqlite3.connect(table.path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    db.close()


def test_no_more_jobs_wait_than_may(tmp_path: Path) -> None:
    table = JobTable(tmp_path / "jobs.sqlite", most_waiting=2)
    first, _ = table.submit(VALUATION, {"as_of": "2020-03-02"})
    table.submit(VALUATION, {"as_of": "2020-03-03"})
    with pytest.raises(Busy, match="2 jobs wait already"):
        table.submit(VALUATION, {"as_of": "2020-03-04"})
    assert table.submit(VALUATION, {"as_of": "2020-03-02"}) == (first, False)  # the same job is no further one
    table.claim()  # a running one waits no longer
    assert table.submit(VALUATION, {"as_of": "2020-03-04"})[1]
    assert len(table.newest()) == 3


def test_jobs_that_are_over_are_kept_by_age_and_count(table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for day in range(1, 7):
        ids.append(table.submit(VALUATION, {"as_of": f"2020-03-{day:02}"})[0].job_id)
        if day > 1:  # the first waits on
            with table.transaction() as db:
                db.execute("UPDATE jobs SET state = 'running' WHERE job_id = ?", (ids[-1],))
            table.finish(ids[-1], {})
    monkeypatch.setattr(jobs, "MOST_KEPT", 3)
    newest = table.submit(VALUATION, {"as_of": "2020-04-01"})[0].job_id
    assert [j.job_id for j in table.newest()] == [newest, *ids[:2:-1], ids[0]]
    monkeypatch.setattr(jobs, "DAYS_KEPT", 0)
    later = table.submit(VALUATION, {"as_of": "2020-04-02"})[0].job_id
    assert [j.job_id for j in table.newest()] == [later, newest, ids[0]]


def test_a_table_that_is_none_is_set_aside_and_a_new_one_made(table: JobTable) -> None:
    job, _ = table.submit(VALUATION, REQUEST)
    table.path.write_bytes(b"not a database" * 1000)
    new = JobTable(table.path)
    assert new.newest() == []
    (aside,) = new.set_aside()
    assert (table.path.parent / aside).read_bytes().startswith(b"not a database")
    with pytest.raises(NotFound, match=aside):
        new.get(job.job_id)
    assert new.submit(VALUATION, REQUEST)[1]
    assert JobTable(table.path).set_aside() == [aside]


def test_a_damaged_page_sets_the_table_aside_once_among_many_that_find_it(table: JobTable) -> None:
    for day in range(1, 29):
        table.submit(VALUATION, {"as_of": f"2020-02-{day:02}", "padding": "x" * 2000})
    content = bytearray(table.path.read_bytes())
    for page in range(4096, len(content), 4096):  # all but the first, with the schema
        content[page : page + 100] = b"\xff" * 100
    table.path.write_bytes(content)

    def listed(_: int) -> str:
        try:
            return str(table.newest())
        except NotReady as error:
            return error.message

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(listed, range(8)))
    assert all(s == "[]" or "was set aside as jobs.sqlite.damaged-" in s for s in said), said
    assert any("set aside" in s for s in said)
    assert len(table.set_aside()) == 1
    assert table.submit(VALUATION, REQUEST)[1]


def test_a_table_of_a_later_format_is_refused(table: JobTable) -> None:
    db = sqlite3.connect(table.path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(Conflict, match="format 99"):
        JobTable(table.path)
