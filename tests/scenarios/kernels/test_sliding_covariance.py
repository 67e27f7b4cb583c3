"""The sliding covariance against NumPy's from scratch, over many slides, and at its limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import BadInput
from scenarios.kernels.sliding_covariance import SlidingCovariance


def error(sliding: SlidingCovariance, window: np.ndarray) -> float:
    """The largest difference to NumPy's covariance, over the product of two deviations."""
    right = np.cov(window, rowvar=False)
    deviation = np.sqrt(np.diagonal(right))
    return float((np.abs(sliding.covariance() - right) / np.outer(deviation, deviation)).max())


@pytest.mark.parametrize("anew_after", [7, 10**9])
def test_many_slides_stay_the_covariance_from_scratch(anew_after: int) -> None:
    rng = np.random.default_rng(5)
    # means far from zero, fat tails, series of very different size, one that hardly moves
    moves = (rng.standard_t(3, (20_000, 12)) + 10 * rng.standard_normal(12)) * 10.0 ** rng.integers(-4, 4, 12)
    moves[:, 3] = moves[:, 4] * 0.5 + moves[:, 5]
    sliding = SlidingCovariance(moves[:60], anew_after)
    worst = 0.0
    for t in range(60, 20_000):
        sliding.slide(moves[t])
        if t % 1_999 == 0:
            worst = max(worst, error(sliding, moves[t - 59 : t + 1]))
    assert worst < 1e-11
    np.testing.assert_allclose(sliding.correlation(), np.corrcoef(moves[-60:], rowvar=False), atol=1e-9)


def test_returns_of_a_day_of_seconds_err_by_less_than_is_said() -> None:
    returns = 1e-4 * np.random.default_rng(1).standard_normal((23_400, 5))
    sliding = SlidingCovariance(returns[:300], 10**9)
    for row in returns[300:]:
        sliding.slide(row)
    assert error(sliding, returns[-300:]) < 1e-12


@given(st.integers(1, 4), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_a_whole_numbers_window_is_exact(n: int, slides: int, seed: int) -> None:
    """Powers of two keep every sum exact, so that the slide must be equal and not near."""
    moves = np.random.default_rng(seed).integers(-8, 8, (4 + slides, n)).astype(float)
    sliding = SlidingCovariance(moves[:4])
    for row in moves[4:]:
        sliding.slide(row)
    last = moves[slides : slides + 4] - moves[slides : slides + 4].mean(axis=0)
    np.testing.assert_array_equal(sliding.covariance(), np.array([[(a * b).sum() for b in last.T] for a in last.T]) / 3)


def test_a_series_that_stands_still_has_no_correlation() -> None:
    sliding = SlidingCovariance(np.array([[1.0, 0.1], [2.0, 0.1], [4.0, 0.1]]))
    np.testing.assert_array_equal(sliding.correlation(), np.eye(2))


@pytest.mark.parametrize(
    ("window", "said"),
    [(np.ones((1, 2)), "at least 2"), (np.full((3, 2), np.nan), "finite"), (np.ones((2, 0)), "1 to 5,000")],
)
def test_what_is_no_window_is_refused(window: np.ndarray, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        SlidingCovariance(window)
    with pytest.raises(BadInput, match="2 finite numbers"):
        SlidingCovariance(np.ones((2, 2))).slide(np.array([1.0, np.inf]))
