"""The synthetic day of ticks: its last levels are the lake's, and file and log bring in the same levels."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from support import factor, put_market, random_walks

from lake.committer import Committer
from lake.errors import BadInput
from lake.schemas import MARKET_CALENDARS
from lake.tables import Lake
from scenarios.market.intraday import ingest_ticks
from scenarios.market.sample_ticks import write_sample_ticks

DATE = dt.date(2020, 3, 16)
FACTORS = [
    factor("EQ:AAA", "equity_price"),
    factor("FX:EURUSD", "fx_rate"),
    factor("YC:USD:1Y", "zero_rate", curve="USD", pillar="1Y"),
]


def lake_of(folder: Path, walks: dict[str, dict[dt.date, float | None]]) -> Lake:
    lake = Lake.create(folder)
    put_market(lake, FACTORS, walks)
    with Committer(lake, "test") as committer:
        row = {"calendar": "XNYS", "sources": ["test"], "days": None}
        committer.put("market_calendars", pa.Table.from_pylist([row], schema=MARKET_CALENDARS.schema))
    return lake


def test_file_and_log_give_the_same_levels_and_end_at_those_of_the_lake(tmp_path: Path) -> None:
    walks = random_walks(FACTORS, dt.date(2020, 3, 2), DATE)
    levels = {}
    for fix in (False, True):
        lake = lake_of(tmp_path / f"lake-{fix}", walks)
        paths = {
            write_sample_ticks(lake.snapshot(), tmp_path / str(i), date=DATE, ticks=900, fix=fix).read_bytes()
            for i in range(2)
        }
        assert len(paths) == 1
        with Committer(lake, "test") as committer:
            path = tmp_path / "0" / f"synthetic-ticks-{DATE}.{'fix' if fix else 'csv'}"
            report = ingest_ticks(committer, path, source="synthetic", bucket_seconds=300)
        assert (report.read, report.factors) == (900, 2)
        assert report.became == {"used": 897, "corrected": 1, "cancelled": 1, "applied": 1}
        rows = lake.read("intraday_levels", ["risk_factor_id", "bucket_end", "level", "ticks"])
        levels[fix] = rows.to_pylist()
    assert levels[False] == levels[True]
    ticks = lake.read("ticks").sort_by("sequence").to_pylist()
    for name in ("EQ:AAA", "FX:EURUSD"):
        last = [t for t in ticks if t["risk_factor_id"] == name and t["event"] == "new"][-1]
        assert (last["price"] if last["price"] is not None else (last["bid"] + last["ask"]) / 2) == walks[name][DATE]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"ticks": 5}, "2 risk factors have 6 to"),
        ({"date": dt.date(2020, 3, 15)}, "No share, index or exchange rate has a session"),
        ({"factors": ("YC:USD:1Y",)}, "No share, index or exchange rate"),
    ],
)
def test_what_gives_no_day_is_told(tmp_path: Path, more: dict[str, object], said: str) -> None:
    lake = lake_of(tmp_path / "lake", random_walks(FACTORS, dt.date(2020, 3, 2), DATE))
    with pytest.raises(BadInput, match=said):
        write_sample_ticks(lake.snapshot(), tmp_path, **{"date": DATE, **more})  # type: ignore[arg-type]
