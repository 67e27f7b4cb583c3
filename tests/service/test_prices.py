"""What a question takes beside its price: by the processor's time, so that a busy machine changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import refused, varlake

from aggregation.questions import QUESTIONS
from lake.tables import Lake
from service.bench.prices import LEAST, MOST, bench_prices
from service.demo import run_demo


@pytest.mark.slow
@pytest.mark.spark
def test_no_question_takes_three_times_its_price_or_a_third_on_the_lake_of_the_demo(tmp_path: Path) -> None:
    lake = run_demo(None, 20_000, tmp_path / "demo")
    rows = bench_prices(lake.path, where=tmp_path)
    assert [row["work"].partition(",")[0] for row in rows] == [*QUESTIONS]
    assert [row for row in rows if not LEAST <= row["ratio"] <= MOST] == []


def test_the_bench_measures_what_is_named_in_a_copy_and_leaves_the_lake_as_it_is(answering_lake: Path) -> None:
    before = Lake.open(answering_lake).snapshot().versions
    done = varlake("bench", "prices", "--lake", answering_lake, "--question", "backtest-counts")
    assert done.returncode == 0, done.stderr
    assert "backtest-counts, its example" in done.stdout
    assert Lake.open(answering_lake).snapshot().versions == before
    assert "Nearest valid" in refused("bench", "prices", "--lake", answering_lake, "--question", "vra")
