"""The backtest on the real market of March 2020, against what the levels themselves say."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from command_line import answer, varlake

from lake.tables import Lake

FIRST, LAST = dt.date(2020, 3, 5), dt.date(2020, 3, 13)


@pytest.fixture(scope="module")
def real_lake(market_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    lake, book = folder / "lake", folder / "book"
    for arguments in (
        ("ingest", "market", market_data_dir, "--catalogue", "marketdata"),
        ("sample", "book", book, "--positions", 60, "--dates", f"{FIRST}:{LAST}"),
    ):
        assert varlake(*arguments, lake=lake).returncode == 0
    assert varlake("ingest", "positions", *sorted(book.iterdir()), lake=lake).returncode == 0
    return lake


@pytest.mark.slow
@pytest.mark.marketdata
def test_shares_lose_what_their_prices_say_in_the_days_before_the_16th_of_march(
    real_lake: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "march.png"
    arguments = ("--from", FIRST, "--to", LAST, "--where", "instrument_type=cash_equity", "--where", "currency=USD")
    done = answer("backtest", *arguments, "--value", "-p", "scenarios=250", "--plot", picture, lake=real_lake)
    lake = Lake.open(real_lake)
    held = (ds.field("instrument_type") == "cash_equity") & (ds.field("currency") == "USD")
    positions = lake.read("positions", where=held).to_pylist()
    terms = {r["contract_id"]: r["terms"] for r in lake.read("contracts").to_pylist()}
    within = (ds.field("as_of_date") >= FIRST) & (ds.field("as_of_date") <= LAST)
    levels = {
        (r["as_of_date"], r["risk_factor_id"]): r["value_used"]
        for r in lake.read("market_data", where=within).to_pylist()
    }
    days = done["nodes"][0]["days"]
    assert [d["day"] for d in days] == [
        "2020-03-06",
        "2020-03-09",
        "2020-03-10",
        "2020-03-11",
        "2020-03-12",
        "2020-03-13",
    ]
    for row in days:
        before, after = dt.date.fromisoformat(row["var_day"]), dt.date.fromisoformat(row["day"])
        expected = 0.0
        for p in positions:
            if p["positions_date"] == before:
                (share,) = (f for d, f in levels if d == after and f'"{f}"' in terms[p["contract_id"]])
                expected += p["quantity"] * (levels[after, share] - levels[before, share])
        assert row["hypothetical_pnl"] == pytest.approx(expected, rel=1e-9, abs=1e-3)
        assert row["covered"] == row["positions"]
    assert done["nodes"][0]["levels"][0]["by_pnl"][0]["missing"] == 0
    assert picture.stat().st_size > 10_000
