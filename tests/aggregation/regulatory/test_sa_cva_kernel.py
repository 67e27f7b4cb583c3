"""SA-CVA: the paragraphs by hand, its traps, and contributions that add up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.kernels.sa_cva import Bucket, charge

ONE = np.ones((1, 1))
numbers = st.floats(-1e6, 1e6)


def _bucket(cva, hedges=None, rho=0.0):
    n = len(cva)
    correlation = np.where(np.eye(n) > 0, 1.0, rho)
    return Bucket(np.array(cva, float), np.zeros(n) if hedges is None else np.array(hedges, float), correlation)


def test_a_bucket_by_hand():
    """3 and 4 with a correlation of one half: sqrt(9 + 16 + 12)."""
    found = charge([_bucket([3.0, 4.0], rho=0.5)], ONE, 0.01, 1.0)
    assert found.capital == pytest.approx(math.sqrt(37.0))


def test_hedges_are_not_recognised_in_full():
    """MAR50.53(3): of a perfect hedge, a hundredth of its square stays: a tenth of it."""
    assert charge([_bucket([8.0], [8.0])], ONE, 0.01, 1.0).capital == pytest.approx(0.8)


def test_sums_of_buckets_are_bounded_always():
    """MAR50.53(4) bounds S_b by K_b in every case; FRTB does so only where the sum is negative (MAR21.4)."""
    one, other = _bucket([10.0, 10.0], rho=0.0), _bucket([5.0])
    found = charge([one, other], np.array([[1.0, 0.5], [0.5, 1.0]]), 0.01, 1.0)
    bounded = math.sqrt(200.0)  # the sum of 20 is more than K_b
    assert found.sums[0] == pytest.approx(bounded)
    assert found.capital == pytest.approx(math.sqrt(200.0 + 25.0 + 2 * 0.5 * bounded * 5.0))


def test_the_multiplier_scales():
    one = charge([_bucket([3.0])], ONE, 0.01, 1.0).capital
    assert charge([_bucket([3.0])], ONE, 0.01, 1.25).capital == pytest.approx(1.25 * one)


@given(
    st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=4),
    st.lists(numbers, min_size=8, max_size=8),
    st.sampled_from((0.0, 0.5, 0.9)),
    st.sampled_from((0.0, 0.3, 0.6)),
)
def test_contributions_add_up_and_capital_scales(cva, hedges, rho, gamma):
    buckets = [_bucket(c, hedges[2 * i : 2 * i + 2], rho) for i, c in enumerate(cva)]
    across = np.full((len(cva), len(cva)), gamma)
    found = charge(buckets, across, 0.01, 1.0)
    parts = [x for of in (*found.cva, *found.hedges) for x in of]
    assert math.fsum(parts) == pytest.approx(found.capital, rel=1e-6, abs=1e-6)
    doubled = [Bucket(2 * b.cva, 2 * b.hedges, b.correlation) for b in buckets]
    assert charge(doubled, across, 0.01, 1.0).capital == pytest.approx(2 * found.capital, rel=1e-12)


def test_nothing_costs_nothing():
    assert charge([], np.empty((0, 0)), 0.01, 1.0).capital == 0.0
    assert charge([_bucket([0.0])], ONE, 0.01, 1.0).capital == 0.0
