"""What killed processes leave is found, and removed when it is old; what any version of a table holds is never touched."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import varlake
from small_lake import FRIDAY, MONDAY, no_spark, request

from lake.cleaning import removable, remove_files
from lake.committer import Committer
from lake.leftovers import CACHE_FOLDER, DAMAGED, JOB_FOLDER, TEMPORARY, UNCOMMITTED, Leftover, leftovers
from lake.schemas import TABLES
from lake.tables import Lake
from service.config import Settings
from service.doctor import examine
from valuation.sets.cleaning import clean, plan_cleaning, read_plan
from valuation.sets.requests import run_valuation

# values Monday and is killed where the call is made
KILLED = """
import os, signal, sys
import lake.committer
from lake.tables import Lake
from small_lake import no_spark, request
from valuation.sets.requests import run_valuation
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
with lake.committer.Committer(Lake.open(sys.argv[1]), "test") as committer:
    commit = committer.commit
    def at_vectors(name, *more, **named):
        return (die if name == "pnl_vectors" else commit)(name, *more, **named)
    if sys.argv[2] == "commit":
        committer.commit = at_vectors
    else:
        setattr(os, sys.argv[2], die)
    run_valuation(committer, request(), spark=no_spark)
"""


def killed(lake: Lake, call: str) -> None:
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(tests)}
    ran = subprocess.run([sys.executable, "-c", KILLED, lake.path, call], env=environment, timeout=120, check=False)
    assert ran.returncode == -signal.SIGKILL


def made_old(lake: Lake, hours: float) -> None:
    moment = time.time() - hours * 3600
    for path in lake.path.rglob("*"):
        os.utime(path, (moment, moment))


def kinds(found: list[Leftover]) -> set[tuple[str, str]]:
    return {(f.what, f.path.split("/")[0]) for f in found}


def test_a_whole_lake_has_none_with_all_its_versions(work_lake: Lake) -> None:
    with Committer(work_lake, "test") as committer:
        for day in (FRIDAY, MONDAY):
            run_valuation(committer, request(day), spark=no_spark)  # type: ignore[arg-type]
        positions = work_lake.read("positions")
        committer.put("positions", positions.slice(1), replace=True)  # the file of before is in an older version alone
    assert leftovers(work_lake) == []
    assert work_lake.read("positions", version=1).num_rows == positions.num_rows


@pytest.mark.slow
def test_what_kills_leave_is_listed_and_removed_once_it_is_old_and_nothing_else(
    work_lake: Lake, tmp_path: Path
) -> None:
    with Committer(work_lake, "test") as committer:  # so that all tables have a log
        run_valuation(committer, request(FRIDAY), spark=no_spark)  # type: ignore[arg-type]
    killed(work_lake, "link")
    killed(work_lake, "commit")
    found = leftovers(work_lake)
    assert (UNCOMMITTED, "pnl_vectors") in kinds(found)
    assert any(f.what == TEMPORARY for f in found)
    assert all(f.size == (work_lake.path / f.path).stat().st_size > 0 for f in found)
    assert leftovers(work_lake, older_than=3600) == []

    made_old(work_lake, 30)
    assert [f.path for f in leftovers(work_lake, older_than=3600)] == [f.path for f in found]
    (told,) = [f for f in examine(Settings(lake=work_lake.path)) if f.name == "leftovers"]
    assert told.status == "warn"
    assert f"{len(found)} files and folders" in told.found
    everything = {p for p in work_lake.path.rglob("*") if p.is_file()}
    plan, later = tmp_path / "plan.json", dt.datetime.now(dt.UTC) + dt.timedelta(hours=25)
    listed = varlake("lake", "clean", "--plan", plan, lake=work_lake.path)
    assert listed.returncode == 0
    assert f"{len(found)} files and folders" in " ".join((listed.stdout + listed.stderr).split())
    assert varlake("lake", "clean", "--remove", plan, lake=work_lake.path).returncode == 2  # too young
    assert {p for p in work_lake.path.rglob("*") if p.is_file()} == everything
    assert plan_cleaning(work_lake, untouched_hours=48).files == ()
    with Committer(work_lake, "test") as committer:
        clean(committer, read_plan(plan), now=later)
    assert everything - {p for p in work_lake.path.rglob("*") if p.is_file()} == {
        work_lake.path / f.path for f in found
    }
    for name in TABLES:
        work_lake.read(name)
    with Committer(work_lake, "test") as committer:
        assert run_valuation(committer, request(), spark=no_spark).this_run.valued == 3


def test_folders_of_runs_and_of_the_cache_and_damaged_tables(work_lake: Lake) -> None:
    state = work_lake.state
    for path in ("runs/1/work.arrow", "cache/.entry-1234abcd/pnl", "cache/entry/pnl", "jobs.sqlite.damaged-1"):
        (state / path).parent.mkdir(parents=True, exist_ok=True)
        (state / path).write_bytes(b"12345678")
    (work_lake.path / "positions" / "_delta_log" / "00000000000000000002.json#1").write_bytes(b"{")
    found = leftovers(work_lake)
    assert [(f.path, f.what, f.size) for f in found] == [
        ("_varlake/cache/.entry-1234abcd", CACHE_FOLDER, 8),
        ("_varlake/jobs.sqlite.damaged-1", DAMAGED, 8),
        ("_varlake/runs/1", JOB_FOLDER, 8),
        ("positions/_delta_log/00000000000000000002.json#1", TEMPORARY, 1),
    ]
    remove_files(work_lake, removable(work_lake, 0, None, {}), dt.datetime.now(dt.UTC))
    assert leftovers(work_lake) == []
    assert (state / "cache" / "entry" / "pnl").exists()


@pytest.mark.parametrize("damage", ["first", "last", "all"])
def test_data_files_of_a_table_whose_log_is_not_whole_are_left_alone(work_lake: Lake, damage: str) -> None:
    log = work_lake.path / "positions" / "_delta_log"
    (work_lake.path / "positions" / "stray.parquet").write_bytes(b"x")
    assert [f.what for f in leftovers(work_lake)] == [UNCOMMITTED]
    entries = sorted(log.glob("*.json"))
    (log / f"{len(entries) - 1:020}.checkpoint.parquet").write_bytes(b"x")  # tells of the last version
    for entry in {"first": entries[:1], "last": entries[-1:], "all": entries}[damage]:
        entry.unlink()
    assert leftovers(work_lake) == []


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_data_files_of_a_damaged_log_entry_are_no_leftovers(work_lake: Lake, damage: str) -> None:
    entry = sorted((work_lake.path / "positions" / "_delta_log").glob("*.json"))[-1]
    sound = entry.read_bytes()
    entry.write_bytes(sound.replace(b".parquet", b".parquex") if damage == "flipped" else sound[:-200])
    assert leftovers(work_lake) == []


def test_while_somebody_writes_nothing_is_removed(work_lake: Lake, tmp_path: Path) -> None:
    stray = work_lake.path / "positions" / "stray.parquet"
    stray.write_bytes(b"x")
    made_old(work_lake, 30)
    plan = tmp_path / "plan.json"
    assert varlake("lake", "clean", "--plan", plan, lake=work_lake.path).returncode == 0
    with Committer(work_lake, "the engine"):
        refused = varlake("lake", "clean", "--remove", plan, lake=work_lake.path)
    assert refused.returncode == 2
    assert "is being written by the engine" in " ".join(refused.stderr.split())
    assert stray.exists()


@pytest.mark.parametrize("option", ["--hours", "--grace"])
@pytest.mark.parametrize("hours", ["0", "-1"])
def test_an_age_that_a_running_process_could_have_is_refused(work_lake: Lake, option: str, hours: str) -> None:
    assert varlake("lake", "clean", option, hours, lake=work_lake.path).returncode != 0
