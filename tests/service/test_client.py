"""The command line while an engine holds the lake: every command that writes has its work done by the engine, and prints the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from command_line import Done, refused, varlake
from server import serving
from small_lake import FRIDAY, MONDAY, SCENARIOS, book_csv, request
from test_engine import SlowRun, ended, running_engine, wait_for

from aggregation import on_demand
from lake.committer import Committer
from lake.errors import Conflict
from lake.tables import Lake
from service import client, demo
from service.jobs import ENGINE, VALUATION, JobTable

# what differs between two runs of the same work
TIMES = (
    r'"(cost_us|timings_ms|start_seconds)": \{[^}]*\}|"core_seconds_range": \[[^]]*\]'
    r'|"(sealed_at|created_at|run_id|[a-z_]*seconds)": [^,\n]+'
    r"|(core|elapsed) seconds .*|About .* seconds of one core"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as users bring them, one with a fault in a row."""
    folder = tmp_path_factory.mktemp("files")
    lines = book_csv().splitlines()
    (folder / "book.csv").write_text("\n".join([*lines[:2], lines[2].replace("EQ:BBB", ""), *lines[3:]]) + "\n")
    (folder / "pnl.csv").write_text(f"date,pnl,currency,desk\n{MONDAY},-12.5,USD,Options\n")
    (folder / "division.csv").write_text(
        "hierarchy,level,member,parent_level,parent,effective_from,effective_to\n"
        f"org,desk,Options,division,Markets,{FRIDAY},\norg,desk,Equities,division,Markets,{FRIDAY},\n"
    )
    (folder / "fall.txt").write_text("equity -20%")
    (folder / "own.toml").write_text(
        'name = "own"\n[source.shares]\nfile = "shares.csv"\nlayout = "wide"\n'
        '[source.shares.factor]\nid = "EQ:{column}"\ntype = "equity_price"\ncurrency = "USD"\n'
    )
    (folder / "shares.csv").write_text("Date,CCC\n2020-03-13,10\n2020-03-16,9\n")
    return folder


# in an order in which each finds what it needs; what it ends with
COMMANDS: list[tuple[int, str]] = [
    (0, "ingest market {files} --catalogue {files}/own.toml"),
    (3, "ingest positions {files}/book.csv --rejects {out}/rejects.csv"),
    (0, "ingest pnl {files}/pnl.csv"),
    (0, "ingest hierarchy {files}/division.csv"),
    (0, f"scenarios build --as-of {MONDAY} -p scenarios={SCENARIOS} --name short"),
    (0, f"scenarios import {{files}}/fall.txt --name fall --as-of {MONDAY}"),
    (0, f"value --as-of {MONDAY} -p scenarios={SCENARIOS} --runner in-process"),
    (0, f"var --as-of {MONDAY} --by desk --scenario-set short --value"),
    (0, f"stress --as-of {MONDAY} --by desk --scenario 'equity -7%' --value"),
    (0, f"reverse-stress --as-of {MONDAY} --loss 5000 --where desk=Equities --law window=60 --value"),
    (0, f"branch save lighter --as-of {MONDAY} --scale desk=Options*0.5"),
    (0, "branch delete lighter"),
    (2, "branch delete lighter"),
    (0, "standard set --currency EUR --reason policy"),
    (2, "ingest positions {files}/fall.txt"),
    (2, f"value --as-of 2020-03-01 -p scenarios={SCENARIOS}"),
    (2, "standard set --scenario-set nowhere"),
    (2, "branch delete nowhere"),
]


def run(line: str, lake: Path, files: Path, out: Path) -> Done:
    words = [w.strip("'") for w in re.findall(r"'[^']*'|\S+", line.format(files=files, out=out))]
    return varlake(*words, lake=lake)


def steady(text: str) -> str:
    """Without what differs between two runs, and without what the client says of its job."""
    text = re.sub(r"The engine does this as job \S+\n", "", text)
    return re.sub(TIMES, "", text)


@pytest.mark.slow
def test_every_command_that_writes_prints_the_same_with_an_engine_and_without(
    bare_lake: Path, tmp_path: Path, files: Path
) -> None:
    """A lake served by real processes, and its twin that the commands write to themselves."""
    served, alone = (shutil.copytree(bare_lake, tmp_path / name / "lake") for name in ("served", "alone"))
    with serving(served, web_only=False):
        wait_for(lambda: (engine := JobTable.of(Lake.open(served)).engine()) and engine.alive)
        outs = [tmp_path / place / "out" for place in ("served", "alone")]
        for out in outs:
            out.mkdir()
        for code, command in COMMANDS:
            line = command if "reason" in command or "delete" in command else f"{command} --json"
            one, two = (run(line, lake, files, out) for lake, out in zip((served, alone), outs, strict=True))
            assert one.returncode == two.returncode == code, (line, one, two)
            assert "The engine does this as job" in one.stderr, line
            for mine, theirs in ((one.stdout, two.stdout), (one.stderr, two.stderr)):
                assert steady(mine).replace(str(outs[0]), str(outs[1])) == steady(theirs), line
        assert (tmp_path / "served" / "out" / "rejects.csv").read_bytes() == (
            tmp_path / "alone" / "out" / "rejects.csv"
        ).read_bytes()
        listed = json.loads(varlake("jobs", "--limit", 100, "--json", lake=served).stdout)
        assert {job["state"] for job in listed} == {"done", "failed"}
    for name in ("positions", "market_data", "actual_pnl", "hierarchies"):
        assert Lake.open(served).read(name).equals(Lake.open(alone).read(name)), name


VALUE = ("value", "--as-of", MONDAY, "--parameter", f"scenarios={SCENARIOS}", "--runner", "in-process")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowRun:
    """Valuations that take until they are cancelled."""
    run = SlowRun()
    monkeypatch.setattr(on_demand, "value_request", run)
    return run


def started(lake: Lake) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("varlake")), *map(str, VALUE)],
        env={**os.environ, "VARLAKE_LAKE": str(lake.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_has_its_job_cancelled(
    work_lake: Lake, stop: threading.Event, slow: SlowRun, number: signal.Signals
) -> None:
    with running_engine(work_lake, stop) as table:
        command = started(work_lake)
        assert slow.begun.wait(60)
        command.send_signal(number)
        out, err = command.communicate(timeout=60)
        (job,) = table.newest()
        assert (command.returncode, out) == (128 + number, "")
        assert re.search(f"Job {job.job_id}: .*cancelled.*. What was stored until then stays.", err)  # by now, or soon
        assert ended(table, job).state == "cancelled"


def test_a_command_that_is_stopped_leaves_a_job_that_somebody_else_asked_for(
    work_lake: Lake, stop: threading.Event, slow: SlowRun
) -> None:
    with running_engine(work_lake, stop) as table:
        asked = request(scenarios={"parameters": {"scenarios": str(SCENARIOS)}})  # as the option gives it
        first, _ = table.submit(VALUATION, request(FRIDAY).model_dump(mode="json"))
        assert slow.begun.wait(60)
        job, _ = table.submit(VALUATION, asked.model_dump(mode="json"))
        command = started(work_lake)
        assert command.stderr is not None
        assert f"job {job.job_id}, which was asked for already, after 1 other." in command.stderr.readline()
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=60)
        assert (command.returncode, table.get(job.job_id).cancel_requested) == (130, False)
        assert "was asked for by somebody else and goes on" in err
        for asked_for in (job, first):
            table.request_cancel(asked_for.job_id)


def test_progress_is_shown_and_a_job_cancelled_elsewhere_ends_the_command(
    work_lake: Lake, stop: threading.Event, slow: SlowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, int, int]] = []

    def progress(*now: object) -> None:
        shown.append(now)  # type: ignore[arg-type]
        if now == ("value", 1, 10) and shown.count(now) == 1:  # it is shown again until the job has ended
            assert refused("jobs", "cancel", "nothing", lake=work_lake.path).startswith("Error: There is no job")
            (job,) = JobTable.of(work_lake).newest()
            row = varlake("jobs", "--state", "running", lake=work_lake.path).stdout.splitlines()[-1]
            assert row.startswith(job.job_id)
            assert "value 1 of 10" in row
            assert varlake("jobs", "cancel", job.job_id, lake=work_lake.path).returncode == 0

    monkeypatch.setattr(client.display, "progress_bar", lambda _: nullcontext(progress))
    with running_engine(work_lake, stop):
        said = refused(*VALUE, lake=work_lake.path)
    assert "was cancelled. What was stored until then stays." in said
    assert ("value", 1, 10) in shown


def test_an_unexpected_error_of_the_engine_has_its_id_and_exit_code_here(
    work_lake: Lake, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(on_demand, "value_request", broken)
    with running_engine(work_lake, stop) as table:
        done = varlake(*VALUE, lake=work_lake.path)
        problem = table.newest()[0].problem
    assert problem is not None
    assert (done.returncode, done.stdout) == (70, "")
    assert problem["error_id"] in done.stderr
    assert "secret" not in done.stderr


def test_when_the_engine_stops_the_command_ends_and_its_job_is_kept(
    work_lake: Lake, stop: threading.Event, slow: SlowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ALIVE_SECONDS", 0.5)
    threading.Thread(target=lambda: slow.begun.wait(60) and stop.set()).start()
    with running_engine(work_lake, stop) as table:
        said = refused(*VALUE, lake=work_lake.path)
    (job,) = table.newest()
    assert job.state == "queued"
    assert f"The engine has stopped; job {job.job_id} is kept" in " ".join(said.split())
    assert varlake("jobs", "cancel", job.job_id, lake=work_lake.path).stderr == f"Job {job.job_id} is cancelled.\n"


def test_a_lake_whose_engine_died_is_written_by_the_command_itself(work_lake: Lake) -> None:
    JobTable.of(work_lake).heartbeat("killed")
    done = varlake("standard", "set", "--currency", "EUR", lake=work_lake.path)
    assert done.returncode == 0
    assert JobTable.of(work_lake).newest() == []


def test_an_engine_without_a_sign_of_life_is_named(work_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "STARTING_SECONDS", 0.0)
    with Committer(work_lake, ENGINE):
        said = refused("standard", "set", "--currency", "EUR", lake=work_lake.path)
    assert "That engine has given no sign of life. End it, and give the command again." in " ".join(said.split())


def test_any_other_writer_is_named_and_no_job_is_queued(work_lake: Lake) -> None:
    with Committer(work_lake, "varlake ingest market"):
        said = refused("standard", "set", "--currency", "EUR", lake=work_lake.path)
    assert "is being written by varlake ingest market" in " ".join(said.split())
    assert JobTable.of(work_lake).newest() == []


@pytest.mark.parametrize(
    "command",
    [
        ("market", "{files}", "--catalogue", "{files}/own.toml"),
        ("positions", "{files}/book.csv", "--replace-dates", "--force"),
        ("pnl", "{files}/pnl.csv"),
        ("hierarchy", "{files}/division.csv"),
    ],
)
def test_a_dry_run_says_what_the_ingest_then_does_and_stores_nothing(
    work_lake: Lake, files: Path, command: tuple[str, ...]
) -> None:
    def run_it(*more: str) -> tuple[int, str]:
        done = varlake("ingest", *(w.format(files=files) for w in command), *more, "--json", lake=work_lake.path)
        assert ("Dry run: nothing was stored." in done.stderr) == bool(more)
        # the versions are those before, and no file of rejected rows is written
        said = re.sub(r'"((\w+_)?version|contracts|positions)": -?\d+', "", done.stdout)
        return done.returncode, re.sub(r'"rejects": .*', "", said)

    before = work_lake.snapshot().versions
    with Committer(work_lake, ENGINE):  # whoever writes meanwhile
        tried = run_it("--dry-run")
    assert work_lake.snapshot().versions == before
    assert tried == run_it()
    assert work_lake.snapshot().versions != before


def test_a_dry_run_makes_no_lake(files: Path, tmp_path: Path) -> None:
    done = varlake("ingest", "pnl", files / "pnl.csv", "--dry-run", lake=tmp_path / "lake")
    assert done.returncode == 0
    assert not (tmp_path / "lake").exists()


def test_a_file_that_is_refused_names_those_that_were_loaded_before_it(work_lake: Lake, files: Path) -> None:
    said = refused("ingest", "pnl", files / "pnl.csv", files / "fall.txt", lake=work_lake.path)
    assert f"Loaded before it: {files / 'pnl.csv'}." in said.replace("\n", "")
    assert work_lake.read("actual_pnl").num_rows == 1


def test_a_demo_whose_lake_is_served_is_not_deleted(tmp_path: Path) -> None:
    folder = demo.fresh_folder(tmp_path / "demo", anew=False)
    with Committer(Lake.create(folder / "lake"), ENGINE), pytest.raises(Conflict, match="is in use by the engine"):
        demo.fresh_folder(folder, anew=True)
    assert (folder / "lake").is_dir()


def test_jobs_are_listed_newest_first_and_shown(work_lake: Lake) -> None:
    lake, table = work_lake.path, JobTable.of(work_lake)
    assert varlake("jobs", lake=lake).stderr == "There are no jobs.\n"
    first = table.submit(VALUATION, request(FRIDAY).model_dump(mode="json"))[0].job_id
    second = table.submit(VALUATION, request().model_dump(mode="json"))[0].job_id
    listed = varlake("jobs", lake=lake).stdout.splitlines()[1:]
    assert [line.split()[:4] for line in listed] == [
        [second, "valuation", str(MONDAY), "queued"],
        [first, "valuation", str(FRIDAY), "queued"],
    ]
    assert "ago" in listed[0]
    assert len(json.loads(varlake("jobs", "--limit", 1, "--json", lake=lake).stdout)) == 1
    shown = varlake("jobs", "show", first, lake=lake).stdout
    assert f"Job {first}" in shown
    assert str(FRIDAY) in shown
    cancelled = json.loads(varlake("jobs", "cancel", first, "--json", lake=lake).stdout)
    assert (cancelled["job_id"], cancelled["state"]) == (first, "cancelled")
    assert "Unknown state 'waitng'" in refused("jobs", "--state", "waitng", lake=lake)
    table.claim()
    table.finish(second, {})
    assert "is done; only a queued or running job can be cancelled" in refused("jobs", "cancel", second, lake=lake)


def test_ctrl_c_ends_a_command_with_130(tmp_path: Path) -> None:
    """Also without an engine, where Click would have ended it with 1."""
    code = (
        "import os, signal\nfrom service.cli import main\n"
        "main._Varlake.list_commands = lambda *_: os.kill(os.getpid(), signal.SIGINT)\nmain.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "nothing"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (130, "Stopped.\n")
