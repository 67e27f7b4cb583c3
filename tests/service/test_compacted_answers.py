"""Questions of a compacted lake: the bits of before, and receipts of before replay with every input as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from command_line import answer, refused, varlake
from small_lake import FRIDAY, MONDAY, TRIED, base, no_spark, request

from aggregation.opened.opened_lake import fresh_cache
from aggregation.questions import QUESTIONS, ask, read
from aggregation.replay import replay
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import NotValued, VarlakeError
from lake.tables import Lake
from valuation.sets.requests import run_valuation


@pytest.fixture(scope="module")
def made(bare_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Market data came in three times, and each day was valued under two sets: many files of one partition."""
    lake = Lake.open(shutil.copytree(bare_lake, tmp_path_factory.mktemp("pieces") / "lake"))
    with Committer(lake, "test") as committer:
        market = lake.read("market_data").sort_by("as_of_date")
        committer.put("market_data", market.slice(0, 300), replace=True)
        committer.put("market_data", market.slice(300, 60))
        committer.put("market_data", market.slice(360))
        for day in (FRIDAY, MONDAY):
            for scenarios in (30, 25):
                asked = request(day, scenarios={"parameters": {"scenarios": scenarios}, "name": f"of-{scenarios}"})
                run_valuation(committer, asked, spark=no_spark)  # type: ignore[arg-type]
    return lake.path


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Lake:
    return Lake.open(shutil.copytree(made, tmp_path / "lake"))


def plain(told: dict[str, Any]) -> object:
    """All that an answer says but its receipts and the time it took."""

    def kept(found: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in found.items() if k not in ("receipt", "receipts", "timings_ms")}

    return json.loads(json.dumps(told, default=str), object_hook=kept)


def answers(lake: Lake, names: Collection[str]) -> dict[str, Any]:
    """Each question that this lake answers without a further valuation, from its own files."""
    found = {}
    with fresh_cache(lake) as cache:
        for name in names:
            try:
                found[name] = ask(reading(lake, cache), name, read(name, base(name)))
            except (NotValued, VarlakeError):
                continue
    return found


@pytest.mark.parametrize(
    "names", [("series", *TRIED), pytest.param(tuple(QUESTIONS), marks=pytest.mark.slow)], ids=["tried", "all"]
)
def test_every_answer_has_the_same_bits_and_every_receipt_replays(lake: Lake, names: Collection[str]) -> None:
    before = answers(lake, names)
    assert {"var", "compare", "contributions", "series", "backtest"} <= set(before)
    done = answer("lake", "compact", lake=lake.path)
    into = {t["table"]: (t["files"], t["into"]) for t in done["tables"]}
    assert into["market_data"] == (3, 1)
    assert into["pnl_vectors"][1] == 2  # a day one
    assert into["valuation_sets"] == (4, 1)
    after = answers(lake, names)
    assert {n: plain(a.to_dict()) for n, a in after.items()} == {n: plain(a.to_dict()) for n, a in before.items()}
    for name in before.keys() - {"reverse-stress"}:  # whose digest also holds the version of the market data
        assert after[name].receipt["answer_digest"] == before[name].receipt["answer_digest"], name
    for name, kept in before.items():
        again = replay(lake, json.loads(json.dumps(kept.to_dict(), default=str)))
        assert again.verdict == "same bits", (name, again.why)
        assert {i.input: i.state for i in again.inputs if i.state != "same"} == {}, name


def test_the_dry_run_says_what_the_run_does_and_changes_nothing(lake: Lake) -> None:
    def files() -> set[Path]:
        return {p for p in lake.path.rglob("*") if p.is_file()}

    before = files()
    planned = answer("lake", "compact", "--dry-run", lake=lake.path)
    assert files() == before
    done = answer("lake", "compact", lake=lake.path)
    for one, other in zip(planned["tables"], done["tables"], strict=True):
        assert {**one, "size": 0} == {**other, "size": 0}
    assert before < files()
    assert answer("lake", "compact", lake=lake.path)["tables"] == []
    assert "No two files fit" in varlake("lake", "compact", lake=lake.path).stderr


def test_a_lake_that_is_written_is_not_compacted(lake: Lake) -> None:
    with Committer(lake, "the engine"):
        assert "is being written by the engine" in " ".join(refused("lake", "compact", lake=lake.path).split())
