"""Quantiles of weighted scenarios: the published example of Boudoukh, Richardson and Whitelaw, in both conventions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.kernels.tail import value_at_risk
from lake.arrays import Floats
from scenarios.kernels.weighting import age_weights

P95 = Fraction(95, 100)
# returns in percent by periods ago (1 is the latest); every other of the 100 returns is better
PAPER = {3: -3.30, 2: -2.90, 65: -2.70, 45: -2.50, 5: -2.40, 30: -2.30}
EXAM = {4: -3.4, 2: -3.2, 45: -2.8, 54: -2.6, 3: -2.4, 31: -2.0}


def returns(known: dict[int, float], later: int = 0) -> Floats:
    """One row of 100 returns, oldest first, `later` periods after the known ones were so old."""
    pnl = np.linspace(0.5, 1.5, 100)
    for ago, value in known.items():
        pnl[100 - ago - later] = value
    return pnl[None, :]


WEIGHTS = age_weights(np.arange(99, -1, -1), 0.98)


@pytest.mark.parametrize(
    ("known", "later", "estimator", "weighted", "printed"),
    [
        (PAPER, 0, "brw_half_weight", False, 2.3500),
        (PAPER, 0, "brw_half_weight", True, 2.6338),
        (PAPER, 25, "brw_half_weight", False, 2.3500),
        (PAPER, 25, "brw_half_weight", True, 2.3419),
        (PAPER, 0, "weighted_linear", True, 2.7338),
        (PAPER, 25, "weighted_linear", True, 2.3919),
        (EXAM, 0, "brw_half_weight", False, 2.2000),
        (EXAM, 0, "brw_half_weight", True, 2.7797),
        (EXAM, 0, "weighted_linear", True, 2.9594),
    ],
)
def test_published(known: dict[int, float], later: int, estimator: str, weighted: bool, printed: float) -> None:
    value = value_at_risk(returns(known, later), P95, WEIGHTS if weighted else None, estimator)[0]
    assert round(value, 4) == printed


@pytest.mark.parametrize(
    ("ago", "weight"),
    [(3, 0.0221), (2, 0.0226), (65, 0.0063), (45, 0.0095), (5, 0.0213), (30, 0.0128), (28, 0.0134), (90, 0.0038)],
)
def test_published_weights(ago: int, weight: float) -> None:
    assert round(WEIGHTS[100 - ago], 4) == weight


def points(losses: Floats, weights: Floats, half: bool) -> tuple[list[float], list[float]]:
    """Cumulated weight and loss of each point that the quantile lies between, worst first, written out plainly."""
    order = sorted(range(len(losses)), key=lambda i: (-losses[i], i))
    at, value, before = [], [], 0.0
    for rank, i in enumerate(order):
        if half and rank:
            at.append(before)
            value.append((losses[order[rank - 1]] + losses[i]) / 2)
        at.append(before + weights[i] * (0.5 if half else 1.0))
        value.append(losses[i])
        before += weights[i]
    return at, value


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(["0.5", "0.9", "0.99"]), st.booleans())
def test_against_numpy_interpolation(n: int, seed: int, level: str, half: bool) -> None:
    rng = np.random.default_rng(seed)
    pnl, weights = rng.standard_normal((3, n)).round(1), rng.random(n) + 0.01  # rounded: ties
    weights /= weights.sum()
    found = value_at_risk(pnl, Fraction(level), weights, "brw_half_weight" if half else "weighted_linear")
    expected = [np.interp(float(1 - Fraction(level)), *points(-row, weights, half)) for row in pnl]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("estimator", ["brw_half_weight", "weighted_linear"])
@given(st.integers(1, 300), st.integers(0, 2**32 - 1), st.sampled_from(["0.5", "0.9", "0.99"]))
def test_equal_weights_are_no_weights(estimator: str, n: int, seed: int, level: str) -> None:
    pnl = np.random.default_rng(seed).standard_normal((2, n))
    equal = value_at_risk(pnl, Fraction(level), np.full(n, 1.0), estimator)
    np.testing.assert_allclose(equal, value_at_risk(pnl, Fraction(level), None, estimator), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("estimator", ["brw_half_weight", "weighted_linear"])
def test_a_scenario_of_weight_zero_is_not_there(estimator: str) -> None:
    pnl, weights = np.array([[-9.0, -5.0, -1.0, 2.0]]), np.array([0.0, 0.2, 0.4, 0.4])
    with_it = value_at_risk(pnl, P95, weights, estimator)
    assert with_it == value_at_risk(pnl[:, 1:], P95, weights[1:], estimator) == 5
