"""The kernel of contributions: parts that add up to the last bit, whatever the order and the grouping."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.kernels.euler import exact_split, group_sums, position_parts, regression_weights, unit_contributions

MONEY = st.floats(-1e12, 1e12, allow_nan=False, allow_subnormal=False).map(lambda x: x if abs(x) > 1e-6 else 0.0)


@settings(deadline=None, max_examples=200)
@given(st.lists(MONEY, min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_parts_add_up_exactly_in_any_order_and_any_grouping(values: list[float], random: object) -> None:
    parts = np.array(values)
    split = exact_split(parts, math.fsum(values))
    exact = sum((Fraction(p) for p in split.parts.tolist()), Fraction(0))
    assert exact == Fraction(split.total)
    shuffled = split.parts.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sum(shuffled) == split.total
    group = np.array([random.randrange(5) for _ in values], dtype=np.int32)  # type: ignore[attr-defined]
    assert sum(group_sums(split.parts, group, 5).tolist()) == split.total
    assert abs(split.total - math.fsum(values)) <= split.grid / 2
    np.testing.assert_allclose(split.parts, parts, rtol=0, atol=len(values) * split.grid)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0.01, 1e9), min_size=1, max_size=60))
def test_without_offsets_the_total_is_the_measure_to_the_bit(values: list[float]) -> None:
    measure = math.fsum(values)
    # a sum that rounds up to the next power of two has one bit less than the grid
    assert exact_split(np.array(values), measure).total == measure


@settings(deadline=None, max_examples=100)
@given(st.lists(MONEY, min_size=1, max_size=60), st.integers(-30, 30))
def test_a_sign_and_a_power_of_two_go_through(values: list[float], power: int) -> None:
    parts = np.array(values)
    one = exact_split(parts, math.fsum(values))
    scale = -math.ldexp(1.0, power)
    other = exact_split(scale * parts, scale * math.fsum(values))
    np.testing.assert_array_equal(other.parts, scale * one.parts)
    assert other.total == scale * one.total


def test_what_is_lacking_goes_to_the_greatest_part_the_first_of_equals() -> None:
    split = exact_split(np.array([1.0, -3.0, 3.0]), 1.0 + 2.0**-40)
    assert (split.parts - [1.0, -3.0, 3.0]).tolist() == [0.0, 2.0**-40, 0.0]
    assert split.residual == 2.0**-40


def test_parts_that_do_not_add_up_are_an_error() -> None:
    with pytest.raises(ArithmeticError, match=r"add up to 3\.0 and the measure is 3\.1"):
        exact_split(np.array([1.0, 2.0]), 3.1)
    with pytest.raises(ArithmeticError, match="Nothing contributes"):
        exact_split(np.zeros(3), 1.0)
    assert exact_split(np.zeros(3), 0.0).total == 0.0


def test_units_and_parts_against_loops() -> None:
    rng = np.random.default_rng(3)
    rows, base, currency = rng.normal(0, 10, (6, 72)), rng.normal(0, 100, 6), np.array([0, 1, 0, 1, 1, 0], np.int32)
    row = np.array([5, -1, 0, 3], np.int32)
    fx_base, fx = np.array([1.0, 1.1]), np.vstack([np.ones(70), rng.uniform(1.0, 1.2, 70)])
    weights = np.where(rng.uniform(size=(2, 70)) < 0.1, rng.uniform(size=(2, 70)), 0.0)
    units = unit_contributions(rows, row, base, currency, fx_base, fx, weights)
    for m in range(2):
        for c, r in enumerate(row):
            value = 0.0
            for s in range(70 if r >= 0 else 0):
                k = currency[r]
                value -= weights[m, s] * ((base[r] + rows[r, s]) * fx[k, s] - base[r] * fx_base[k])
            assert units[m, c] == pytest.approx(value, rel=1e-12, abs=1e-12)
    starts, quantity = np.array([0, 2, 3, 3, 5]), np.array([2.0, -1.0, 7.0, 3.0, 4.0])
    group = np.array([0, 1, 0, -1, 1], np.int32)
    parts = position_parts(starts, quantity, group, units[0])
    assert parts.tolist() == [2 * units[0, 0], -units[0, 0], 0.0, 0.0, 4 * units[0, 3]]


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_weights_are_the_slope_of_least_squares(weighted: bool) -> None:
    rng = np.random.default_rng(4)
    whole, group = rng.normal(1, 5, 200), rng.normal(-1, 3, 200)
    p = rng.uniform(0.5, 1.5, 200) if weighted else None
    slope = np.polyfit(whole, group, 1, w=None if p is None else np.sqrt(p))[0]
    assert -regression_weights(whole, p, 100.0) @ group == pytest.approx(100.0 * slope, rel=1e-10)
    assert -regression_weights(whole, p, 100.0) @ whole == pytest.approx(100.0, rel=1e-10)
    assert not regression_weights(np.full(5, 2.0), None, 3.0).any()
