"""Sampling intervals of causes: what they are made of adds up, the same resample on both sides, and coverage of the truth."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from explain_lake import MONDAY, TUESDAY, Point, two_points
from test_cause_drill import opened
from test_explain import BASE, random_point

from aggregation.change import intervals
from aggregation.change.explain import CAUSES
from aggregation.change.intervals import _cause_pnl, cause_intervals, resampled_causes
from aggregation.change.sides import compared
from aggregation.risk import sampling_error
from lake.errors import BadInput


@pytest.mark.parametrize("shift", [0, 3, 40])
@pytest.mark.parametrize("measure", ["var", "es"])
def test_every_resample_adds_up(tmp_path: Path, monkeypatch: Any, shift: int, measure: str) -> None:
    rng = np.random.default_rng(4)
    points = random_point(rng, MONDAY, 0), random_point(rng, TUESDAY, shift)
    comparison, _ = opened(tmp_path, *points, monkeypatch, measures=(measure,))
    drawn = resampled_causes(comparison)
    assert drawn.shape == (sampling_error.RESAMPLES, len(CAUSES) + 1)
    np.testing.assert_allclose(drawn[:, :-1].sum(axis=1), drawn[:, -1], atol=1e-9)


def test_the_sample_itself_gives_the_causes_of_the_table(tmp_path: Path, monkeypatch: Any) -> None:
    """A draw in which every scenario comes once is the explanation itself, by another way of computing it."""
    rng = np.random.default_rng(9)
    comparison, result = opened(
        tmp_path, random_point(rng, MONDAY, 0), random_point(rng, TUESDAY, 2), monkeypatch, measures=("es",)
    )

    once = [SimpleNamespace(counts=np.ones((1, 20), dtype=np.int32))] * 2
    monkeypatch.setattr(intervals, "paired_resamples", lambda one, two: once)
    (drawn,) = resampled_causes(comparison)
    np.testing.assert_allclose(drawn[:-1], list(result.causes.values()), atol=1e-9)
    assert drawn[-1] == pytest.approx(result.change, abs=1e-9)


def test_parts_of_the_pnl_add_up_to_its_change_in_every_scenario(tmp_path: Path, monkeypatch: Any) -> None:
    rng = np.random.default_rng(2)
    comparison, _ = opened(tmp_path, random_point(rng, MONDAY, 0), random_point(rng, TUESDAY, 3), monkeypatch)
    one, two = comparison.sides
    change = two.pnl[comparison.common.after] - one.pnl[comparison.common.before]
    np.testing.assert_allclose(_cause_pnl(comparison, None).sum(axis=0), change, atol=1e-9)
    assert _cause_pnl(comparison, 1).tobytes() == _cause_pnl(comparison, 3).tobytes()


def test_what_did_not_happen_has_no_interval_and_what_did_is_told_from_noise(tmp_path: Path, monkeypatch: Any) -> None:
    rng = np.random.default_rng(1)
    labels = [f"s{i}" for i in range(400)]
    pnl = rng.normal(size=400).tolist()
    one = Point([("t1", "a", 2.0, "Rates")], {"a": ("USD", 1.0, pnl)}, labels)
    two = one.but(day=TUESDAY, positions=[("t1", "a", 3.0, "Rates")])
    _, found = opened(tmp_path, one, two, monkeypatch, levels=("0.95",), interval="0.95")
    assert found.intervals is not None
    assert found.intervals["new"] == (0.0, 0.0)
    low, high = found.intervals["amended"]
    # the difference of two VaRs of one distribution, 3 q - 2 q: the interval is that of the quantile itself
    assert low < found.causes["amended"] < high
    losses = -np.sort(pnl)
    assert losses[31] <= low <= losses[24]
    assert losses[15] <= high <= losses[8]
    said = found.to_dict()["causes"]
    assert {c["cause"]: c["within_error"] for c in said}["amended"] is False


def test_another_window_of_the_same_law_is_within_sampling_error(tmp_path: Path, monkeypatch: Any) -> None:
    rng = np.random.default_rng(8)
    vectors = [{"a": ("USD", 1.0, rng.normal(size=300).tolist())} for _ in range(2)]
    points = [
        Point([("t1", "a", 1.0, "Rates")], v, [f"{k}-{i}" for i in range(300)], day)
        for k, (v, day) in enumerate(zip(vectors, (MONDAY, TUESDAY), strict=True))
    ]
    _, found = opened(tmp_path, *points, monkeypatch, levels=("0.95",), interval="0.95")
    assert found.to_dict()["change_interval"]["within_error"]


def test_the_same_question_has_the_same_interval(tmp_path: Path, monkeypatch: Any) -> None:
    lake, a, b = two_points(tmp_path, BASE, BASE.but(day=TUESDAY, positions=[("t1", "a", 3.0, "Rates")]), monkeypatch)
    comparison = compared(lake, a, b)
    first, second = (cause_intervals(comparison, Fraction(9, 10), threads=n) for n in (1, 2))
    assert first == second


def test_chosen_scenarios_are_no_sample(tmp_path: Path, monkeypatch: Any) -> None:
    lake, a, b = two_points(tmp_path, BASE, BASE.but(day=TUESDAY), monkeypatch)
    comparison = compared(lake, a, b)
    for side in comparison.sides:
        monkeypatch.setitem(vars(side.inputs.valuation_set), "sample", False)
    with pytest.raises(BadInput, match="no sample"):
        cause_intervals(comparison, Fraction(9, 10))
