"""Whatever byte of a lake is another: an answer is the right one, or the error names the file; never another number."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import varlake
from small_lake import MONDAY, no_spark, request

from aggregation.opened import opened_lake
from aggregation.opened.opened_lake import VectorCache
from aggregation.opened.remembered import answers
from aggregation.replay import replay
from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake import tables
from lake.committer import Committer
from lake.errors import Damaged
from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings
from valuation.sets.requests import run_valuation

QUERY = RiskQuery(as_of=MONDAY, by=("desk",), measures=("var", "es"))


@pytest.fixture
def lake(monday_lake: Path, tmp_path: Path) -> Lake:
    return Lake.open(shutil.copytree(monday_lake, tmp_path / "lake"))


def as_new() -> None:
    """What this process has open is forgotten, as in a new one."""
    tables._opened.clear()
    opened_lake._kept.clear()
    answers.clear()


def flips(path: Path, most: int = 25) -> Iterator[int]:
    sound = path.read_bytes()
    for place in range(0, len(sound), max(1, len(sound) // most)):
        spoilt = bytearray(sound)
        spoilt[place] ^= 1 << place % 8
        path.write_bytes(spoilt)
        as_new()
        yield place
    path.write_bytes(sound)
    as_new()


def digest_of(lake: Lake, cache: Path) -> str:
    return str(run_query(lake, QUERY, cache=VectorCache(lake, cache)).receipt["result_digest"])


def outcome(lake: Lake, cache: Path) -> str:
    """The digest of the answer, or what was said of the damage."""
    try:
        return digest_of(lake, cache)
    except Damaged as error:
        return error.message


@pytest.mark.parametrize(
    "table",
    [
        *(pytest.param(t, marks=pytest.mark.slow) for t in ("positions", "pnl_vectors")),  # files of many pages
        *("valuation_members", "valuation_sets", "scenario_sets"),
    ],
)
def test_flips_in_what_an_answer_reads(lake: Lake, tmp_path: Path, table: str) -> None:
    right = digest_of(lake, tmp_path / "whole")
    refused = 0
    for file in lake.data_files(table):
        for place in flips(file):
            found = outcome(lake, tmp_path / f"{file.stem}-{place}")
            assert found == right or file.name in found, f"{file} at {place}: {found}"
            refused += found != right
    assert refused >= 25


@pytest.mark.slow
def test_flips_in_the_cache_are_made_good(lake: Lake, tmp_path: Path) -> None:
    right = digest_of(lake, tmp_path / "cache")
    for file in [f for f in (tmp_path / "cache").rglob("*") if f.is_file() and f.stat().st_size]:
        for place in flips(file, 12):
            assert digest_of(lake, tmp_path / "cache") == right, (file, place)


@pytest.mark.parametrize("table", ["positions", "valuation_sets"])
def test_flips_in_the_log(lake: Lake, tmp_path: Path, table: str) -> None:
    right = digest_of(lake, tmp_path / "cache")
    for file in sorted((lake.path / table / "_delta_log").glob("*.json")):
        for _ in flips(file, 12):
            with pytest.raises(Damaged, match=file.name):
                digest_of(lake, tmp_path / "cache")
    assert digest_of(lake, tmp_path / "cache") == right


def test_market_data_is_held_to_its_digest_where_scenarios_are_made(lake: Lake) -> None:
    (file, *_) = lake.data_files("market_data")
    for _ in flips(file, 8):
        with (
            Committer(lake, "test") as committer,
            pytest.raises(Damaged, match=file.name),
        ):
            run_valuation(committer, request(MONDAY, runner="in-process"), spark=no_spark)  # type: ignore[arg-type]


def test_a_replay_of_damaged_input_fails_by_its_own_verdict(lake: Lake, tmp_path: Path) -> None:
    kept = json.loads(json.dumps(run_query(lake, QUERY).to_dict(), default=str))
    for table in ("positions", "pnl_vectors", "valuation_members"):
        file, *_ = lake.data_files(table, {"positions_date": [MONDAY]} if table == "positions" else None)
        for _ in flips(file, 8):
            done = replay(lake, kept)
            assert (done.verdict, done.recomputed_digest) == ("damaged", None)
            assert file.stem in str(done.why)
    assert replay(lake, kept).verdict == "same bits"


def test_what_the_doors_say(lake: Lake) -> None:
    log = lake.path / "positions" / "_delta_log" / f"{1:020}.json"
    sound = log.read_bytes()
    log.write_bytes(sound[:40])
    told = varlake("var", "--as-of", MONDAY, lake=lake.path)
    assert (told.returncode, told.stdout) == (3, "")
    assert log.name in told.stderr.replace("\n", "")
    assert "Traceback" not in told.stderr
    asked = create_app(Settings(lake=lake.path)).test_client().get(f"/api/v1/var?as_of={MONDAY}")
    assert (asked.status_code, asked.content_type) == (500, "application/problem+json")
    assert asked.json is not None
    assert (asked.json["type"], log.name in asked.json["detail"]) == ("urn:varlake:problem:damaged", True)
