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


WEIGHTED = ["brw_half_weight", "weighted_linear", "hf4", "hf4_pnl", "hf7", "hf7_pnl"]
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


@pytest.mark.parametrize("estimator", WEIGHTED)
@given(st.integers(1, 300), st.integers(0, 2**32 - 1), st.sampled_from(["0.5", "0.9", "0.99"]))
def test_equal_weights_are_no_weights(estimator: str, n: int, seed: int, level: str) -> None:
    pnl = np.random.default_rng(seed).standard_normal((2, n))
    equal = value_at_risk(pnl, Fraction(level), np.full(n, 1.0), estimator)
    np.testing.assert_allclose(equal, value_at_risk(pnl, Fraction(level), None, estimator), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("estimator", WEIGHTED)
def test_a_scenario_of_weight_zero_is_not_there(estimator: str) -> None:
    pnl, weights = np.array([[-9.0, -5.0, -1.0, 2.0]]), np.array([0.0, 0.2, 0.4, 0.4])
    with_it = value_at_risk(pnl, P95, weights, estimator)
    assert with_it == value_at_risk(pnl[:, 1:], P95, weights[1:], estimator)
    # by hand, from the points (weight, loss) (0, 5), (0.2, 1) and (0.2, 5), (0.6, 1)
    known = {"hf4": 5 - 0.05 / 0.2 * 4, "hf7": 5 - 0.05 * 0.6 / 0.2 * 4, "hf7_pnl": 5 - 0.05 * 0.8 / 0.4 * 4}
    assert with_it == pytest.approx(known.get(estimator, 5.0), rel=1e-12)


# Julia's StatsBase 0.34, test/weights.jl: data, weights, and its quantiles at 0.25, 0.5 and 0.75, which are weighted type 7
STATSBASE = [
    ([7, 1, 2, 4, 10], [1, 1 / 3, 1 / 3, 1 / 3, 1], [4.0, 6.0, 8.0]),
    ([1, 2, 4, 7, 10, 15], [1 / 3, 1 / 3, 1 / 3, 1, 1, 1], [4.75, 7.5, 10.4166667]),
    ([0, 10, 20, 30], [30, 191, 9, 0], [2.6178010, 5.2356021, 7.8534031]),
    ([1, 2, 3, 4, 5], [10, 1, 1, 1, 9], [4.0, 4.3333333, 4.6666667]),
    ([30, 40, 50, 60, 35], [1, 3, 5, 4, 2], [37.5, 44.0, 51.25]),
    ([-2, -3, 1, 2, -10], [7, 1, 1, 1, 6], [-2.7857143, -2.4285714, -2.0714286]),
    ([5, 4, 3, 2, 1], [1, 2, 3, 4, 5], [1.625, 2.3333333, 3.25]),
    ([-2, 2, -1, 3, 6], [0.1, 0.2, 0.3, 0.2, 0.1], [-1.3333333, 0.5, 2.5]),
]


@pytest.mark.parametrize(("data", "weights", "expected"), STATSBASE)
def test_type_7_as_statsbase_has_it(data: list[float], weights: list[float], expected: list[float]) -> None:
    """Of losses as of any data; of P&L its quantile at 1 - level, with the other sign."""
    x, w = np.array([data], dtype=np.float64), np.array(weights, dtype=np.float64)
    for level, value in zip((Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)), expected, strict=True):
        assert value_at_risk(-x, level, w, "hf7")[0] == pytest.approx(value, abs=1e-7)
        assert value_at_risk(x, 1 - level, w, "hf7_pnl")[0] == pytest.approx(-value, abs=1e-7)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(["0.5", "0.9", "0.99"]))
def test_from_the_small_losses_up_against_numpy_interpolation(n: int, seed: int, level: str) -> None:
    """hf4: the losses over their cumulated weights from the least up; hf4_pnl: the same of P&L. hf7_pnl is the hf7 of the R
    package survey, taken on the losses: the losses over (0, S_1, ..., S_(n-1)) / S_(n-1), S_k the weight of the k least."""
    rng = np.random.default_rng(seed)
    pnl, weights = rng.standard_normal(n).round(1), rng.random(n) + 0.01  # rounded: ties
    a = Fraction(level)

    def cumulated(x: Floats, key: Floats) -> tuple[Floats, Floats]:
        order = np.lexsort((key, x))
        return np.cumsum(weights[order]) / weights.sum(), x[order]

    upwards, losses = cumulated(-pnl, -np.arange(n))  # of equal losses the later scenario is the smaller
    found = {e: value_at_risk(pnl[None], a, weights, e)[0] for e in ("hf4", "hf4_pnl", "weighted_linear", "hf7_pnl")}
    assert found["hf4"] == pytest.approx(np.interp(float(a), upwards, losses), rel=1e-9, abs=1e-12)
    worst_first, gains = cumulated(pnl, np.arange(n))
    assert found["hf4_pnl"] == pytest.approx(-np.interp(float(1 - a), worst_first, gains), rel=1e-9, abs=1e-12)
    assert found["weighted_linear"] == found["hf4_pnl"]
    survey = np.append(0.0, upwards[:-1]) / upwards[-2] if n > 1 else upwards
    assert found["hf7_pnl"] == pytest.approx(np.interp(float(a), survey, losses), rel=1e-9, abs=1e-12)
