"""pla and desk-eligibility: zones at their edges, limits, the approach that follows, series that are given, P&L that comes by file."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_lake import FRIDAY, MONDAY

from aggregation import questions
from aggregation.kernels.backtest_statistics import Attribution
from aggregation.regimes.ima_parameters import ima_parameters
from aggregation.regimes.regimes import regime_of
from aggregation.regulatory.ima_desks import INTERNAL, STANDARDISED, SURCHARGED, UNDECIDED, DeskTests, eligibility
from aggregation.session import reading
from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.actual_pnl import ingest_pnl
from lake.tables import Lake

RULES = ima_parameters(regime_of("basel@2023", dt.date(2024, 1, 2), None))
BACKTEST = {"from": str(FRIDAY), "to": str(MONDAY), "calendar": "books"}


@pytest.mark.parametrize(
    ("spearman", "distance", "zone"),
    [
        (0.801, 0.089, "green"),
        (0.80, 0.089, "amber"),
        (0.801, 0.09, "amber"),
        (0.70, 0.089, "amber"),
        (0.699, 0.0, "red"),
        (0.9, 0.12, "amber"),
        (0.9, 0.1201, "red"),
    ],
)
def test_zones_at_their_edges(spearman: float, distance: float, zone: str) -> None:
    assert RULES.attribution.zone(spearman, distance) == zone


def test_multipliers_are_the_printed_ones() -> None:
    printed = {0: 1.5, 4: 1.5, 5: 1.7, 6: 1.76, 7: 1.83, 8: 1.88, 9: 1.92, 10: 2.0, 11: 2.0, 60: 2.0}
    assert {n: RULES.backtesting.multiplier(n) for n in printed} == printed


def desk(at_99: int, at_975: int, spearman: float | None, distance: float | None, days: int = 250) -> dict[str, Any]:
    levels = tuple(SimpleNamespace(level=level, exceptions=n) for level, n in (("0.99", at_99), ("0.975", at_975)))
    compared = None if spearman is None else Attribution(days, spearman, distance, 0.5, None)
    node: Any = SimpleNamespace(days=tuple(range(days)), levels=levels, attribution=compared)
    return eligibility(node, RULES)


@pytest.mark.parametrize(
    ("given", "approach", "said"),
    [
        ((12, 30, 0.9, 0.05), INTERNAL, None),
        ((13, 30, 0.9, 0.05), STANDARDISED, "13 exceptions at 0.99"),
        ((12, 31, 0.9, 0.05), STANDARDISED, "31 exceptions at 0.975"),
        ((0, 0, 0.75, 0.05), SURCHARGED, None),
        ((0, 0, 0.9, 0.13), STANDARDISED, "attribution is red"),
        ((0, 0, None, None), UNDECIDED, "no hypothetical"),
        ((0, 0, 0.9, 0.05, 249), UNDECIDED, "249 of 250 days"),
        ((13, 0, 0.9, 0.05, 60), STANDARDISED, "13 exceptions"),
    ],
)
def test_the_approach_follows_from_both_tests(given: Any, approach: str, said: str | None) -> None:
    row = desk(*given)
    assert row["approach"] == approach
    assert row["reason"] is None if said is None else said in row["reason"]


def ask(lake: Lake, name: str, **asked: Any) -> DeskTests:
    found: DeskTests = questions.ask(reading(lake), name, questions.read(name, asked))
    return found


def test_series_that_are_given_are_compared(valued_lake: Path) -> None:
    rng = np.random.default_rng(2)
    one = rng.normal(size=250)
    two = one + 0.2 * rng.normal(size=250)
    answer = ask(Lake.open(valued_lake), "pla", theoretical=one.tolist(), hypothetical=two.tolist())
    (row,) = answer.rows.to_pylist()
    assert (row["zone"], row["compared"], row["reason"], row["total"]) == ("green", 250, None, True)
    answer = ask(Lake.open(valued_lake), "pla", theoretical=one.tolist(), hypothetical=(-two).tolist())
    assert answer.rows.to_pylist()[0]["zone"] == "red"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "from and to"),
        ({"theoretical": [1.0, 2.0], "hypothetical": [1.0]}, "same length"),
        ({"from": str(MONDAY)}, "from and to"),
        ({"from": str(MONDAY), "to": str(FRIDAY)}, "last day after the first"),
    ],
)
def test_bad_input_is_told(valued_lake: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as error:
        ask(Lake.open(valued_lake), "pla", **asked)
    assert said in str(error.value)


def test_desks_of_the_lake_with_pnl_by_file(valued_lake: Path, tmp_path: Path) -> None:
    lake = Lake.open(shutil.copytree(valued_lake, tmp_path / "lake"))
    before = ask(lake, "desk-eligibility", **BACKTEST)
    assert {r["desk"] for r in before.rows.to_pylist()} == {None, "Equities", "Options"}
    assert all(r["approach"] == UNDECIDED and "1 of 250 days" in r["reason"] for r in before.rows.to_pylist())
    file = tmp_path / "pnl.csv"
    file.write_text(
        f"date,kind,desk,pnl,currency\n{MONDAY},hypothetical,Equities,10,USD\n{MONDAY},hypothetical,Options,-5,USD\n"
    )
    with Committer(lake, "test") as committer:
        ingest_pnl(committer, file)
    rows = {r["desk"]: r for r in ask(lake, "pla", **BACKTEST).rows.to_pylist()}
    assert rows["Equities"]["against"] == "hypothetical"
    assert rows["Equities"]["compared"] == 1
    assert "does not vary" in rows["Equities"]["reason"]
    assert ask(lake, "desk-eligibility", **BACKTEST).regime == "basel@2023"
