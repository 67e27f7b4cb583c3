"""A live day from the command line and over HTTP: files followed, snapshots taken and listed, bands set."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from command_line import answer, refused, varlake
from small_lake import MONDAY, SCENARIOS

from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings

DAY = "2020-03-17"
HEAD = "order_id,sequence,event,executed_at,side,symbol,quantity,currency,portfolio,client,account,desk,book,legal_entity,counterparty"


def order(number: int, quantity: int) -> str:
    when = f"{DAY}T10:00:00-04:00"
    return f"O{number},1,new,{when},buy,EQ:AAA,{quantity},USD,Growth,House,H-1,Equities,EQ-1,Bank,Broker"


def test_files_are_followed_and_a_snapshot_is_an_ordinary_answer(work_lake: Lake, tmp_path: Path) -> None:
    lake = work_lake.path
    value = ("value", "--as-of", MONDAY, "-p", f"scenarios={SCENARIOS}", "--runner", "in-process")
    assert varlake(*value, lake=lake).returncode == 0
    orders = tmp_path / "orders"
    orders.mkdir()
    (orders / "1.csv").write_text(f"{HEAD}\n{order(1, 100)}\n")
    follow = ("live", "follow", "--as-of", DAY, "--by", "desk", "--orders", orders)
    one = answer(*follow, "--once", lake=lake)
    assert (one["watermark"]["counted"], one["causes"][0]["trades"] > 0) == (1, True)
    assert "No snapshot of 2020-03-17" in varlake("live", "snapshots", DAY, lake=lake).stderr
    (orders / "2.csv").write_text(f"{HEAD}\n{order(2, 50)}\n")

    # a process of its own, which is killed once it has answered: what it brought in is there
    command = [str(Path(sys.executable).with_name("varlake")), *map(str, follow), "--json", "--every", "1h"]
    environment = {**os.environ, "VARLAKE_LAKE": str(lake)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        two = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    assert two["watermark"]["counted"] == 2
    again = answer("intraday", "--as-of", DAY, "--by", "desk", lake=lake)
    assert again["rows"] == two["rows"]

    taken = answer("live", "snapshot", "--as-of", DAY, lake=lake)
    listed = answer("live", "snapshots", DAY, lake=lake)
    assert [s["command"] for s in listed["snapshots"]] == [taken["command"]]
    stored = answer(*taken["command"].split()[1:], "--by", "desk", "--measures", "var,es", lake=lake)
    figures = ("desk", "base_value", "var_0.99", "es_0.99")
    assert [{k: r[k] for k in figures} for r in stored["rows"]] == [{k: r[k] for k in figures} for r in two["rows"]]
    web = create_app(Settings(lake=lake)).test_client()
    page = web.get(f"/api/v1/live/snapshots?date={DAY}").get_json()
    assert [r["as_known"] for r in page["rows"]] == [taken["as_known"]]


def test_bands_are_set_and_faults_are_told_at_both_doors(work_lake: Lake) -> None:
    band = answer("live", "band", "--deviations", "3", "--reason", "calm", lake=work_lake.path)
    assert (band["version"], band["author"], band["window"]) == (1, "local", 60)
    web = create_app(Settings(lake=work_lake.path)).test_client()
    assert [r["reason"] for r in web.get("/api/v1/live/bands").get_json()["rows"]] == ["calm"]
    assert web.get(f"/api/v1/live/alarms?date={DAY}").get_json()["rows"] == []
    queued = web.post("/api/v1/live/snapshots", json={"as_of": DAY})
    assert (queued.status_code, queued.get_json()["kind"]) == (202, "live_snapshot")
    assert web.post("/api/v1/live/bands", json={"deviations": 3}).status_code == 422
    assert "--reason" in refused("live", "band", "--deviations", "3", lake=work_lake.path)
    every = ("live", "follow", "--as-of", DAY, "--every", "3x", "--once")
    assert "expected a number with s, m or h" in refused(*every, lake=work_lake.path)
    missing = ("live", "follow", "--as-of", DAY, "--orders", "nowhere", "--once")
    assert "There is no file or folder nowhere" in refused(*missing, lake=work_lake.path)
