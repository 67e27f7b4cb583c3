"""The synthetic day of ticks and orders: same bytes, and the same state of the lake however the day is cut into files."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import pytest
from small_lake import build_lake

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.tables import Lake
from scenarios.market.intraday import ingest_ticks
from valuation.books.orders import ingest_orders
from valuation.samples.live_day import write_live_day

DAY = dt.date(2020, 3, 18)  # of which the small lake has no market data


def brought(folder: Path, cuts: tuple[dt.time, ...]) -> tuple[Lake, dict[str, list[Path]]]:
    lake = build_lake(folder / "lake")
    written = write_live_day(lake.snapshot(), folder / "day", date=DAY, ticks=400, orders=300, cuts=cuts)
    with Committer(lake, "test") as committer:
        for path in written["ticks"]:
            ingest_ticks(committer, path, source="synthetic", bucket_seconds=300)
        for path in written["orders"]:
            ingest_orders(committer, path)
    return lake, written


def test_a_day_is_the_same_however_it_is_cut(tmp_path: Path) -> None:
    whole, one = brought(tmp_path / "one", ())
    lake, cut = brought(tmp_path / "cut", (dt.time(14, 30), dt.time(11, 5)))
    assert [p.stem for p in one["orders"]] == ["close"]
    assert [p.stem for p in cut["ticks"]] == [p.stem for p in cut["orders"]] == ["1105", "1430", "close"]
    for table, key in (("orders", ["order_id", "sequence"]), ("intraday_levels", ["risk_factor_id", "bucket_end"])):
        rows = [
            at.read(table, [c for c in at.read(table).column_names if c != "file"]).sort_by(
                [(k, "ascending") for k in key]
            )
            for at in (whole, lake)
        ]
        assert rows[0].equals(rows[1]), table
    orders = lake.read("orders").to_pylist()
    events = Counter(r["event"] for r in orders)
    assert events["new"] == 300
    assert events["correction"] > 0
    assert events["cancel"] > 0
    assert any(r["order_id"].endswith("-2") for r in orders)  # filled in pieces
    rows = sum(len(p.read_text().splitlines()) - 1 for p in cut["orders"])
    assert rows > len(orders)  # some arrive twice
    times = [line.split(",")[3] for p in cut["orders"] for line in p.read_text().splitlines()[1:] if ",new," in line]
    assert times != sorted(times)  # some are late
    again = write_live_day(lake.snapshot(), tmp_path / "again", date=DAY, ticks=400, orders=300)
    assert [p.read_bytes() for p in again["ticks"]] == [p.read_bytes() for p in one["ticks"]]
    assert [p.read_bytes() for p in again["orders"]] == [p.read_bytes() for p in one["orders"]]


def test_what_gives_no_day_is_told(tmp_path: Path) -> None:
    lake = build_lake(tmp_path / "lake")
    with pytest.raises(BadInput, match="no session on 2020-03-15"):
        write_live_day(lake.snapshot(), tmp_path, date=dt.date(2020, 3, 15))
    with pytest.raises(BadInput, match="0 orders were asked for"):
        write_live_day(lake.snapshot(), tmp_path, date=DAY, orders=0)
    with pytest.raises(NotFound, match="holds shares"):
        write_live_day(lake.snapshot(), tmp_path, date=dt.date(2019, 12, 3))
