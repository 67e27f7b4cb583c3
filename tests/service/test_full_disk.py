"""A disk that is full, or may not be written: reads go on, writes are refused in words, the processes live, room mends all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from command_line import in_a_process
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from server import ask, children, engine_of, serving
from small_lake import BOOK, FRIDAY, MONDAY, no_spark, request
from support import wait_for
from users import with_users

from lake.committer import Committer
from lake.errors import DiskFailed, DiskFull, NotReady, of_disk
from lake.schemas import TABLES
from lake.storage import not_writable
from lake.tables import Lake
from service.access.accounts import TokenRequest
from service.jobs import JobTable
from valuation.sets.requests import run_valuation

CONTRACTS = len(BOOK)
NEW = request(scenarios={"parameters": {"scenarios": 29}})  # not valued in the lake yet

# in a name space of its own, where a user without rights may mount
ALONE = ("unshare", "--user", "--map-root-user", "--mount")
DISK = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import test_full_disk
test_full_disk.{{}}(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def on_a_small_disk(check: str, lake: Path, folder: Path) -> None:
    """Runs a function of this module with a copy of the lake on a disk of 16 MB, and that disk's folder."""
    disk = folder / "disk"
    disk.mkdir()
    mounted = 'mount -t tmpfs -o size=16m tmpfs "$1"; cp -r "$2" "$1/lake"; rm -rf "$1/lake/_varlake/cache"; shift 2; exec "$@"'
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    program = [sys.executable, "-c", DISK.format(check), disk / "lake", disk]
    shell = ["sh", "-ec", mounted, "sh", disk, lake]
    ran = subprocess.run([*ALONE, *shell, *program], capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """The disk without a byte left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as f:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while f.write(bytes(size)):
                    pass
    yield
    filler.unlink()


def full(lake: Path, disk: Path) -> None:
    asked = NEW.model_dump(mode="json")
    with serving(lake, web_only=False) as (process, url):
        engine = wait_for(lambda: engine_of(url))
        alive = children(process.pid)
        with filled(disk):
            assert ask(f"{url}api/v1/var?as_of={MONDAY}&by=desk")[0] == 200
            assert ask(f"{url}api/v1/jobs") == (200, {"rows": [], "next_cursor": None})
            for route, body in (("valuations", asked), ("var/value", {"as_of": str(FRIDAY)})):
                status, problem = ask(f"{url}api/v1/{route}", body)
                assert status == 507, problem
                assert problem["type"] == "urn:varlake:problem:disk-full"
                assert "disk is full" in problem["detail"]
            status, health = ask(f"{url}api/v1/health")
            assert (status, health["status"], health["engine"]["alive"]) == (200, "no writing", True)
            assert "disk is full" in health["notes"][0]
            said = in_a_process("var", "--as-of", MONDAY, lake=lake)
            assert said.returncode == 0, said.stderr
            doctor = in_a_process("doctor", "--json", lake=lake)
            (found,) = [f for f in json.loads(doctor.stdout) if f["check"] == "disk"]
            assert found["status"] == "fail"
        status, job = ask(f"{url}api/v1/valuations", asked)
        assert status == 202
        wait_for(lambda: ask(f"{url}api/v1/jobs/{job['job_id']}")[1]["state"] == "done")
        assert (engine_of(url), children(process.pid)) == (engine, alive)
        assert ask(f"{url}api/v1/health")[1]["notes"] == []


def full_while_a_job_waits(lake: Path, disk: Path) -> None:
    """The job is taken where there was room for it, and the disk is full when the engine begins."""
    with serving(lake, web_only=True) as (_, url):
        job = ask(f"{url}api/v1/valuations", NEW.model_dump(mode="json"))[1]
    with filled(disk), serving(lake, web_only=False) as (process, url):
        wait_for(lambda: ask(f"{url}api/v1/health")[1]["engine"]["alive"])
        alive = children(process.pid)
        assert ask(f"{url}api/v1/jobs/{job['job_id']}")[1]["state"] in ("queued", "running")
        (disk / "filler").unlink()
        wait_for(lambda: ask(f"{url}api/v1/jobs/{job['job_id']}")[1]["state"] in ("done", "failed"))
        assert children(process.pid) == alive
        (disk / "filler").touch()


def commands(lake: Path, disk: Path) -> None:
    with filled(disk):
        before = {p: p.stat().st_size for p in lake.rglob("*.json")}
        said = in_a_process("value", "--as-of", FRIDAY, "-p", "scenarios=29", lake=lake)
        assert (said.returncode, said.stdout) == (2, ""), said.stderr
        assert "disk is full" in said.stderr
        assert {p: p.stat().st_size for p in lake.rglob("*.json")} == before
    said = in_a_process("value", "--as-of", FRIDAY, "-p", "scenarios=29", lake=lake)
    assert said.returncode == 0, said.stderr


def little_room(lake: Path, disk: Path) -> None:
    """Full at another file each time: a table's data, its log, its seal. Nothing is torn, and room completes it."""
    opened, refused = Lake.open(lake), 0
    shutil.copytree(lake, disk / "before")
    for kilobytes in range(4, 164, 4):
        shutil.rmtree(lake)
        shutil.copytree(disk / "before", lake)
        with filled(disk):
            os.truncate(disk / "filler", (disk / "filler").stat().st_size - kilobytes * 1024)
            try:
                valued(opened)
            except Exception as error:
                if not isinstance(of_disk(error), DiskFull):
                    raise
                refused += 1
            for name in TABLES:
                opened.read(name)
        assert valued(opened)["valued"] + valued(opened)["reused"] == CONTRACTS - 1
    assert refused >= 10


def valued(lake: Lake) -> dict[str, Any]:
    with Committer(lake, "test") as committer:
        return run_valuation(committer, NEW, spark=no_spark).to_dict()  # type: ignore[arg-type]


def read_only(lake: Path, disk: Path) -> None:
    table = JobTable(lake / "_varlake" / "jobs.sqlite")
    waiting = table.submit("valuation", {"as_of": str(FRIDAY)})[0].job_id
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with serving(lake, web_only=True) as (_, url):
        status, health = ask(f"{url}api/v1/health")
        assert (status, health["status"], health["engine"]["alive"]) == (200, "no engine", False)
        assert "No permission" in health["notes"][0]
        assert [j["job_id"] for j in ask(f"{url}api/v1/jobs")[1]["rows"]] == [waiting]
        assert ask(f"{url}api/v1/var?as_of={MONDAY}&by=desk")[0] == 200
        status, problem = ask(f"{url}api/v1/valuations", request().model_dump(mode="json"))
        assert (status, problem["type"]) == (503, "urn:varlake:problem:not-ready")
        assert ask(f"{url}api/v1/jobs/{waiting}", method="DELETE")[0] == 503
    said = in_a_process("value", "--as-of", FRIDAY, "-p", "scenarios=29", lake=lake)
    assert said.returncode == 2
    assert "No permission" in said.stderr


def users(lake: Path, disk: Path) -> None:
    store, tokens = with_users(lake)
    with filled(disk):
        assert store.caller_of_token(tokens["tom"]).principal.name == "tom"
        with pytest.raises(DiskFull, match="tokens that exist are taken"):
            store.make_token("tom", TokenRequest(label="no room"))
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert store.caller_of_token(tokens["rita"]).principal.name == "rita"
    with pytest.raises(NotReady, match="may not be written by this process"):
        store.remove("tom")


LONG = [
    pytest.param(check, marks=pytest.mark.slow)
    for check in ("read_only", "full", "commands", "full_while_a_job_waits", "little_room")
]


@pytest.mark.parametrize("check", ["users", *LONG])
def test_a_disk_that_takes_nothing(check: str, valued_lake: Path, tmp_path: Path) -> None:
    on_a_small_disk(check, valued_lake, tmp_path)


def test_what_cannot_be_written_is_told_wherever_it_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no small disk can be mounted: the storage layer finds none left."""

    def none_left(fd: int) -> None:
        raise OSError(28, os.strerror(28))

    assert not_writable(tmp_path) is None
    monkeypatch.setattr(os, "fsync", none_left)
    said = not_writable(tmp_path)
    assert said is not None
    assert (said.status, "disk is full" in said.message) == (507, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, os.strerror(5), "a file"),
        OSError("Kernel error -> Generic LocalFileSystem error"),
        DeltaError("Generic LocalFileSystem error: Unable to walk dir: Input/output error (os error 5)"),
    ],
    ids=["the system", "the log of a table", "a commit"],
)
def test_a_disk_that_fails_is_told_in_words_by_each_library(error: Exception) -> None:
    said = of_disk(error)
    assert isinstance(said, DiskFailed)
    assert (said.status, said.exit_code) == (500, 3)
    assert "look at the disk" in said.message


@pytest.mark.parametrize(
    ("there", "call", "error"),
    [
        (False, "create", TableNotFoundError("Generic delta kernel error: No files in log segment")),
        (False, "create", TableNotFoundError("Could not create local directory: a folder")),
        (False, "create", DeltaError('Kernel error: Invalid table location: Path does not exist: "a folder/"')),
        (True, "create_write_transaction", CommitFailedError("Failed to commit transaction: 0")),
    ],
    ids=["no entry", "no folder", "no path", "a commit"],
)
def test_a_commit_that_says_not_why_it_failed_is_the_disk_and_completes_then(
    there: bool, call: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As deltalake tells of a `statx` of its log that fails for good."""
    lake = Lake.create(tmp_path / "lake")
    rows = pa.table({"name": ["USD"], "effective_from": [MONDAY]})
    rows = pa.table(
        {
            f.name: rows[f.name] if f.name in rows.schema.names else pa.nulls(1, f.type)
            for f in TABLES["classifications"].schema
        }
    )

    def fails(*_: object, **__: object) -> None:
        raise error

    with Committer(lake, "test") as committer:
        if there:
            committer.put("classifications", rows.slice(0, 0))
        with monkeypatch.context() as failing:
            failing.setattr(DeltaTable, call, fails)
            with pytest.raises(DiskFailed, match="classifications/_delta_log"):
                committer.put("classifications", rows)
        committer.put("classifications", rows)
    assert lake.read("classifications").num_rows == 1
