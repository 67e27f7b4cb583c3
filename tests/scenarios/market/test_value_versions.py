"""The versions of a market value are told from the files that brought them, on the command line as in the code."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from command_line import answer, varlake

from lake.committer import Committer
from lake.errors import NotFound
from lake.tables import Lake
from scenarios.market.landing_catalogue import ingest_market, load_catalogue
from scenarios.market.value_versions import value_versions

CATALOGUE = """
name = "desk"
synthetic = true
[source.stocks]
file = "stocks.csv"
layout = "wide"
calendar = "weekdays"
[source.stocks.factor]
id = "EQ:{column}"
type = "equity_price"
name = "{name}"
currency = "USD"
[source.stocks.columns]
A = { name = "A" }
"""
DAY = dt.date(2020, 3, 16)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A level of 100, corrected to 101 and then withdrawn."""
    lake = Lake.create(tmp_path / "lake")
    (tmp_path / "desk.toml").write_text(CATALOGUE)
    for level in ("100", "101", ""):
        (tmp_path / "stocks.csv").write_text(f"date,A\n2020-03-13,90\n2020-03-16,{level}\n")
        with Committer(lake, "test") as committer:
            ingest_market(committer, tmp_path, load_catalogue(str(tmp_path / "desk.toml")))
    return lake


def test_every_version_is_told_with_its_file(lake: Lake) -> None:
    rows, notes = value_versions(lake, "EQ:A", DAY)
    told = [(r["change"], r["value_used"], r["status"], r["file"]) for r in rows.to_pylist()]
    assert told == [
        ("new", 100.0, "observed", "stocks.csv"),
        ("changed", 101.0, "observed", "stocks.csv"),
        ("changed", None, "missing", "stocks.csv"),
    ]
    assert notes == ()
    assert len(set(rows["run_id"].to_pylist())) == 3
    shown = answer("market", "history", "EQ:A", DAY, lake=lake.path)
    assert [v["value_used"] for v in shown["versions"]] == [100.0, 101.0, None]
    assert value_versions(lake, "EQ:A", dt.date(2020, 3, 13))[0].num_rows == 1


def test_what_never_was_is_refused_with_the_nearest(lake: Lake) -> None:
    with pytest.raises(NotFound, match="EQ:A"):
        value_versions(lake, "EQ:B", DAY)
    with pytest.raises(NotFound, match="never had a value on 2020-03-17"):
        value_versions(lake, "EQ:A", dt.date(2020, 3, 17))
    refused = varlake("market", "history", "EQ:A", "16.3.2020", lake=lake.path)
    assert refused.returncode == 2
    assert "expected YYYY-MM-DD" in refused.stderr
