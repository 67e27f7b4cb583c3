"""The replay of a trading day, whole: real service, real commands, a small book."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from aggregation.live.snapshot import list_snapshots
from lake.errors import BadInput
from service import live_demo


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_day_is_replayed_and_compared(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lake = live_demo.run_live_demo(tmp_path / "demo", positions=200, ticks=3000, orders=60, minutes=0.2, port=port)
    shown = capfd.readouterr()
    said = shown.out + shown.err
    assert f"http://127.0.0.1:{port}/" in said
    assert "From 11:05 to 14:30: varlake compare" in said
    assert "EQUITIES" in said
    one, two = list_snapshots(lake, live_demo.DAY)
    assert one.orders < two.orders
    orders = lake.read("orders").to_pylist()
    # all that was written has arrived, each once
    assert sum(r["event"] == "new" for r in orders) == 60
    assert lake.read("ticks").num_rows == 3000
    assert lake.written_by() is None  # nothing is left running on the lake


def test_minutes_out_of_range_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="0 minutes was asked for"):
        live_demo.run_live_demo(tmp_path / "demo", positions=1, ticks=1, orders=1, minutes=0)
    assert not (tmp_path / "demo").exists()
