"""`varlake feed orders` as a command: alone, beside an engine that holds the lake, and stopped by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from command_line import varlake
from order_events import HEADER, order, order_lake
from test_engine import running_engine, wait_for

from lake.tables import Lake
from service.jobs import JobTable


def put(folder: Path, name: str, *rows: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join([HEADER, *rows]) + "\n")


def fed(lake: Lake, folder: Path, *options: str) -> dict[str, Any]:
    done = varlake(
        *("feed", "orders", "--folder", folder, "--settle-seconds", "0", "--once", "--json", *options), lake=lake.path
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_feed_commits_here_and_by_the_engine_alike(tmp_path: Path) -> None:
    lake, folder = order_lake(tmp_path / "lake"), tmp_path / "in"
    put(folder, "a.csv", order("A", "buy", "1"), order("B", "buy", "1", sequence="2", event="correction"))
    told = fed(lake, folder)
    assert (told["feed"], told["rows"], told["gaps"]) == (
        "in",
        2,
        ["1 order with a missing sequence number: B (1)"],
    )
    put(folder, "b.csv", order("C", "buy", "1"), order("A", "buy", "1"))
    put(folder, "c.csv", order("D", "buy", "-1"))
    with running_engine(lake, threading.Event()):
        told = fed(lake, folder, "--rows", "1")
        assert (told["rows"], told["duplicates"], told["refused"]) == (1, 1, 1)
        jobs = JobTable.of(lake).newest()
        assert {(j.kind, j.state) for j in jobs} == {("order_feed", "done")}
        assert fed(lake, folder)["rows"] == 0
    assert not list((lake.state / "feeds").rglob("*.arrow"))
    assert {r["order_id"] for r in lake.read("orders").to_pylist()} == {"A", "B", "C"}
    status = json.loads(varlake("feed", "status", "--json", lake=lake.path).stdout)
    assert [(p["part"], p["position"]) for p in status["parts"]] == [
        (f"{n}.csv", (folder / f"{n}.csv").stat().st_size) for n in "abc"
    ]
    assert [(m["part"], m["status"]) for m in status["messages"]] == [("c.csv", "refused")]
    refused = varlake("feed", "status", "inn", lake=lake.path)
    assert refused.returncode == 2
    assert "in" in refused.stderr


def test_a_signal_ends_a_feed_within_two_seconds_and_nothing_is_lost(tmp_path: Path) -> None:
    lake, folder = order_lake(tmp_path / "lake"), tmp_path / "in"
    put(folder, "a.csv", order("A", "buy", "1"))
    command = [str(Path(sys.executable).with_name("varlake")), "feed", "orders", "--folder", str(folder), "--json"]
    command += ["--settle-seconds", "0", "--every-seconds", "0.1", "--lake", str(lake.path)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    ) as feed:
        wait_for(lambda: lake.version("order_feeds") >= 0)
        time.sleep(0.2)
        feed.send_signal(signal.SIGINT)
        said, wrong = feed.communicate(timeout=20)
    assert (feed.returncode, wrong) == (0, "")
    assert (json.loads(said)["rows"], lake.count("orders")) == (1, 1)


def test_what_is_asked_wrongly_is_said(tmp_path: Path) -> None:
    lake = order_lake(tmp_path / "lake")
    for options, told in (
        ((), "Give one of --folder, --kafka and --fix"),
        (("--kafka", "h:1"), "--kafka needs --topic"),
        (("--fix", "a.log"), "--fix needs --drop-copy"),
        (("--folder", tmp_path / "none"), "There is no folder"),
    ):
        refused = varlake("feed", "orders", *options, lake=lake.path)
        assert refused.returncode == 2
        assert told in refused.stderr
