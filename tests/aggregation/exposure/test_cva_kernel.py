"""The arithmetic of CVA against published values and closed forms, and what must hold of it whatever the numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from aggregation.kernels import cva

PATHS = 400


def test_hulls_gold_forward():
    """Hull, *Options, Futures and Other Derivatives*, chapter on credit value adjustment: a two-year forward on a million ounces of gold,
    strike 1,500, forward 1,600, volatility 20%, rate 5%, default 2% and 3% in the middle of either year, recovery 30%."""
    forward, strike, vol, rate, life = 1600.0, 1500.0, 0.20, 0.05, 2.0
    exposure = []
    for t in (0.5, 1.5):
        d1 = (math.log(forward / strike) + 0.5 * vol**2 * t) / (vol * math.sqrt(t))
        d2 = d1 - vol * math.sqrt(t)
        exposure.append(math.exp(-rate * life) * (forward * norm.cdf(d1) - strike * norm.cdf(d2)))
    assert [round(v, 2) for v in exposure] == [132.38, 186.65]
    probabilities = np.array([[0.02], [0.03]])
    parts = 0.7 * probabilities[:, 0] * exposure
    assert [round(p, 3) for p in parts] == [1.853, 3.920]
    total = 0.7 * cva.weighted_sum(probabilities, np.array(exposure))[0]
    assert round(total, 2) == 5.77
    assert round((forward - strike) * math.exp(-rate * life) - total, 2) == 84.71


def test_probabilities_of_a_constant_hazard_rate():
    """Hull: spreads of 200, 300 and 400 basis points with recoveries of 80, 70 and 60% as losses give 10% a year, and these defaults."""
    for spread, loss in ((0.02, 0.2), (0.03, 0.3), (0.04, 0.4)):
        logs = -spread / loss * np.arange(4.0)[:, None]
        np.testing.assert_allclose(cva.default_probabilities(logs)[:, 0], [0.095163, 0.086107, 0.077913], atol=5e-7)


def test_exposure_of_a_bond():
    """A claim whose discounted value stays 1 costs its loss times the probability of default by its end."""
    times = np.linspace(0.0, 5.0, 61)
    logs = -0.03 * times[:, None]
    weights = cva.date_weights(cva.default_probabilities(logs))
    assert 0.6 * cva.weighted_sum(weights, np.ones(61))[0] == pytest.approx(0.6 * (1 - math.exp(-0.15)), rel=1e-14)


def test_amortising_exposure_in_closed_form():
    """An exposure that falls linearly to nothing: integral of h exp(-h t) (1 - t / T)."""
    h, life = 0.04, 10.0
    times = np.linspace(0.0, life, 2001)
    weights = cva.date_weights(cva.default_probabilities(-h * times[:, None]))
    exact = 1.0 - (1.0 - math.exp(-h * life)) / (h * life)
    assert cva.weighted_sum(weights, 1.0 - times / life)[0] == pytest.approx(exact, rel=1e-6)


falls = st.lists(st.floats(0.0, 0.5), min_size=3, max_size=3)


@given(falls, falls)
def test_either_defaults_first(one, other):
    a, b = (-np.concatenate([[0.0], np.cumsum(f)])[:, None] for f in (one, other))
    both = cva.first_default(a, b) + cva.first_default(b, a)
    np.testing.assert_allclose(both, cva.default_probabilities(a + b), atol=1e-15)
    assert (cva.first_default(a, b) <= cva.default_probabilities(a) + 1e-15).all()


def test_first_to_default_in_closed_form():
    a, b = 0.02, 0.05
    times = np.array([0.0, 1.0, 3.0])[:, None]
    found = cva.first_default(-a * times, -b * times).sum()
    assert found == pytest.approx(a / (a + b) * (1 - math.exp(-3 * (a + b))), rel=1e-14)


def test_survival_that_rises_is_refused():
    with pytest.raises(ValueError, match="falls with time"):
        cva.default_probabilities(np.array([[0.0], [-0.2], [-0.1]]))


@given(st.floats(-0.95, 0.95), st.integers(0, 5))
def test_wrong_way_keeps_the_probability(correlation, seed):
    levels = np.random.default_rng(seed).lognormal(size=PATHS)
    weights = cva.wrong_way_weights(cva.copula_scores(levels), correlation, 0.02, 0.05)
    assert weights.mean() == pytest.approx(1.0, rel=1e-12)
    slope = np.corrcoef(weights, np.argsort(np.argsort(levels)))[0, 1] if abs(correlation) > 1e-6 else 0.0
    assert slope * correlation >= 0.0


def test_wrong_way_of_a_normal_exposure():
    """E[V+ | default] against numerical integration over the factor, with an exposure that is the factor itself."""
    n, rho, before, after = 200_000, 0.6, 0.0, 0.10
    scores = cva.copula_scores(np.arange(n) * 1.0)
    found = (cva.wrong_way_weights(scores, rho, before, after) * np.maximum(scores, 0.0)).mean()
    z = np.linspace(-9.0, 9.0, 40_001)
    density = norm.pdf(z) * norm.cdf((norm.ppf(after) + rho * z) / math.sqrt(1 - rho**2))
    exact = (density * np.maximum(z, 0.0)).sum() / density.sum()
    assert found == pytest.approx(exact, rel=1e-4)
    assert exact > 1.5 * norm.pdf(0.0)


def test_a_factor_that_does_not_move_tells_nothing():
    scores = cva.copula_scores(np.full(8, 3.0))
    assert (scores == 0.0).all()
    np.testing.assert_allclose(cva.wrong_way_weights(scores, 0.9, 0.0, 0.1), 1.0)


@given(st.permutations(range(6)))
def test_scores_go_with_their_paths(order):
    levels = np.array([1.0, 1.0, 2.0, 3.0, 3.0, 3.5])
    assert (cva.copula_scores(levels[list(order)]) == cva.copula_scores(levels)[list(order)]).all()


def _drawn(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


NO_WAY = np.zeros(1, np.int32)


def _profiles(value, positive, negative, factor):
    """Expected discounted exposures of one netting set, with the sum over paths of each figure."""
    up, down, by_path = np.empty(1), np.empty(1), np.zeros((1, 4, PATHS))
    cva.set_profiles(
        positive[None],
        negative[None],
        factor,
        np.ones((1, PATHS)),
        NO_WAY,
        NO_WAY - 1,
        np.ones((1, 4)),
        up,
        down,
        by_path,
    )
    return up[0], down[0], by_path[0]


@given(st.integers(0, 50), st.sampled_from((0.0, 0.3, -0.4)))
def test_contributions_add_up_to_the_exposure(seed, held):
    """Collateral of `held` takes away what the contracts together have more than the exposure."""
    values, factor = _drawn(seed, 7, PATHS), np.abs(_drawn(seed + 1, PATHS))
    netted = values.sum(axis=0)
    positive, negative = np.maximum(netted - held, 0.0), np.maximum(held - netted, 0.0)
    up, down, by_path = _profiles(netted, positive, negative, factor)
    share = cva.slopes_on_paths(positive[None], negative[None], factor, np.ones((1, PATHS)), NO_WAY)
    out = np.empty((7, 2))
    many = np.zeros(7, np.int32)
    rows = np.arange(7, dtype=np.int32)
    cva.entry_profiles(many, rows, np.ones(7), many, values, np.ones((1, PATHS)), *share, out)
    alone_up = -held * factor[positive > 0.0].sum() / PATHS
    alone_down = held * factor[negative > 0.0].sum() / PATHS
    assert out[:, 0].sum() + alone_up == pytest.approx(up, rel=1e-9, abs=1e-12)
    assert out[:, 1].sum() + alone_down == pytest.approx(down, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(by_path.mean(axis=1), [up, up, down, down], rtol=1e-12)
    if not held:
        assert alone_up == alone_down == 0.0


@given(st.integers(0, 50))
def test_netting_never_raises_and_the_negative_mirrors(seed):
    one, other, factor = _drawn(seed, PATHS), _drawn(seed + 1, PATHS), np.abs(_drawn(seed + 2, PATHS))

    def expected(value):
        return _profiles(value, np.maximum(value, 0.0), np.maximum(-value, 0.0), factor)[:2]

    assert expected(one + other)[0] <= expected(one)[0] + expected(other)[0] + 1e-12
    assert expected(one)[1] == expected(-one)[0]
    assert expected(2.0 * one)[0] == pytest.approx(2.0 * expected(one)[0], rel=1e-14)


@given(st.integers(0, 50), st.booleans())
def test_incremental_is_the_difference_of_two_whole_sums(seed, negative):
    kept, added, factor = _drawn(seed, 5, PATHS), _drawn(seed + 1, 5, PATHS), np.abs(_drawn(seed + 2, 5, PATHS))
    before, after = cva.incremental(kept, added, factor, negative)
    sign = -1.0 if negative else 1.0
    assert before == pytest.approx((factor * np.maximum(sign * kept, 0)).sum() / PATHS, rel=1e-12)
    assert after == pytest.approx((factor * np.maximum(sign * (kept + added), 0)).sum() / PATHS, rel=1e-12)
    same, zero = cva.incremental(kept, np.zeros_like(added), factor, negative)
    assert same == zero


def test_standard_error():
    x = _drawn(3, 1000)
    assert cva.standard_error(x) == pytest.approx(x.std(ddof=1) / math.sqrt(1000), rel=1e-12)
    mirrored = np.repeat(x, 2) * np.tile([1.0, -1.0], 1000)
    assert cva.standard_error(mirrored, paired=True) == 0.0
    assert math.isnan(cva.standard_error(np.ones(1)))
