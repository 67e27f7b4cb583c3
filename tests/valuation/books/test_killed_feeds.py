"""Feeds that are killed -9 while they read: what the lake then holds is the fold of the unique events, of each event one row."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import killed_feed
import pytest
import simplefix
from order_events import HEADER, order, order_lake

from lake.audit_check import verify_trail
from lake.tables import Lake
from valuation.books.running_positions import RunningPositions


def arriving(folder: Path, batches: int, seed: int) -> tuple[set[tuple[str, int]], Fraction]:
    """Writes files of orders and pieces of a drop copy, with duplicates and in disorder; returns the events and their net units."""
    draws = random.Random(seed)
    folder.mkdir()
    rows: dict[tuple[str, int], tuple[str, Fraction]] = {}
    sent: dict[int, tuple[str, bytes, Fraction]] = {}
    for n in range(12 * batches):
        units, side = Fraction(draws.randrange(1, 100), 10), draws.choice(("buy", "sell"))
        signed = units if side == "buy" else -units
        name = f"A{draws.randrange(6 * batches)}"
        sequence = 1 + sum(o == name for o, _ in rows)
        event = "new" if sequence == 1 else draws.choice(("correction", "cancel"))
        text = order(name, side, str(float(units)), sequence=str(sequence), event=event)
        rows[name, sequence] = (text, Fraction(0) if event == "cancel" else signed)
        fill = f"E{n}" if n < 3 or draws.random() < 0.7 else f"E{draws.randrange(n)}"
        kind = "F" if fill == f"E{n}" or (0, fill) not in [(0, f) for f, _, _ in sent.values()] else draws.choice("GH")
        execution = fill if kind == "F" else f"X{n}"
        made = simplefix.FixMessage()
        for tag, value in {
            8: "FIX.4.4",
            35: "8",
            49: "B",
            56: "C",
            34: n + 1,
            17: execution,
            150: kind,
            37: fill,
            1: "H",
            54: "1" if side == "buy" else "2",
            55: "AAA",
            31: "1",
            32: float(units),
            60: "20200316-14:30:00",
            **({19: fill} if kind != "F" else {}),
        }.items():
            made.append_pair(tag, value)
        sent[n + 1] = (fill, bytes(made.encode()), Fraction(0) if kind == "H" else signed)
    of_files, of_log = (draws.sample(list(d), len(d)) for d in (rows, sent))
    for b in range(batches):
        keys = [*of_files[b::batches], *draws.sample(of_files, 3)]
        text = "\n".join([HEADER, *dict.fromkeys(rows[k][0] for k in keys)])
        (folder / f"{b:03}.csv").write_text(f"{text}\n")
        numbers = [*of_log[b::batches], *draws.sample(of_log, 3)]
        (folder / f"{b:03}.fix").write_bytes(b"".join(sent[n][1] for n in numbers))
    last = {name: units for (name, _), (_, units) in sorted(rows.items())}
    fills = {fill: units for _, (fill, _, units) in sorted(sent.items())}
    events = {*rows, *((f"B:{fill}", 0) for fill, _, _ in sent.values())}
    return events, sum((*last.values(), *fills.values()), Fraction(0))


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.breaking)])
def test_a_killed_feed_ends_in_the_fold_of_the_events(kills: int, tmp_path: Path) -> None:
    lake = order_lake(tmp_path / "lake")
    events, units = arriving(tmp_path / "arriving", batches=kills // 2, seed=kills)
    done = subprocess.run(
        [sys.executable, killed_feed.__file__, str(lake.path), str(tmp_path), str(kills), "1"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["killed"] >= kills
    rows = Lake.open(lake.path).read("orders").to_pylist(maps_as_pydicts="strict")
    assert max(Counter((r["order_id"], r["sequence"]) for r in rows).values()) == 1
    assert {(r["order_id"], 0 if r["session"] else r["sequence"]) for r in rows} == events
    assert len(rows) == 2 * 12 * (kills // 2)
    running = RunningPositions()
    for row in random.Random(kills).sample(rows, len(rows)):
        running.apply(row)
    assert sum(running.lines.values()) == units
    told = lake.read("order_feeds").to_pylist()
    assert {r["part"]: r["missing"] for r in told}["B>C#1"] == []
    assert not [m for m in lake.read("order_feed_messages").to_pylist() if m["status"] in ("waiting", "refused")]
    assert verify_trail(lake).holds
