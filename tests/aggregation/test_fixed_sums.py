"""Sums in a fixed order, against exact fractions rounded step by step, and against themselves in other shapes."""

from fractions import Fraction

import numpy as np
from numpy.testing import assert_array_equal

from aggregation.kernels.fixed_sums import add_to_slots, difference, dot, product, row_dots

RNG = np.random.default_rng(11)
A, B = RNG.normal(size=(9, 131)) * 10.0 ** RNG.integers(-6, 9, (9, 131)), RNG.normal(size=(131, 13))


def rounded(x: np.ndarray, y: np.ndarray) -> float:
    """Products and sums exact in fractions, each rounded to a double by itself, one after the other."""
    total = 0.0
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        total = float(Fraction(total) + Fraction(float(Fraction(a) * Fraction(b))))
    return total


def test_the_order_is_that_of_the_elements() -> None:
    # in this order the small one is lost; pairwise or from the end it is not
    assert dot(np.array([1.0, 1e16, -1e16]), np.ones(3)) == 0.0
    assert dot(np.array([1e16, -1e16, 1.0]), np.ones(3)) == 1.0
    assert dot(np.zeros(0), np.zeros(0)) == 0.0


def test_every_step_is_rounded_by_itself() -> None:
    expected = [[rounded(a, b) for b in B.T] for a in A]
    assert_array_equal(product(A, B), expected)
    assert_array_equal([[dot(a, b) for b in B.T] for a in A], expected)
    assert_array_equal(row_dots(A, np.ascontiguousarray(B[:, :1].T)), [row[0] for row in expected])
    assert_array_equal(row_dots(A, A), [rounded(a, a) for a in A])


def test_a_row_and_a_column_alone_have_the_same_bits() -> None:
    whole = product(A, B)
    for i in range(len(A)):
        assert_array_equal(product(A[i : i + 1], B)[0], whole[i])
    for j in range(B.shape[1]):
        assert_array_equal(product(A, B[:, j : j + 1])[:, 0], whole[:, j])


def test_rows_are_added_to_the_slots_of_their_places() -> None:
    starts, slot, quantity = np.array([0, 2, 2, 5]), np.array([1, 0, 0, 1, 2], np.int32), RNG.normal(size=5)
    dense = np.zeros((3, 3))  # slots x places
    dense[slot, np.repeat(np.arange(3), np.diff(starts))] = quantity
    rows, sums = RNG.normal(size=(3, 7)), np.zeros((3, 7))
    add_to_slots(np.arange(3, dtype=np.int32), rows, starts, slot, quantity, sums)
    assert_array_equal(sums, [[rounded(dense[g], rows[:, s]) for s in range(7)] for g in range(3)])
    parts = np.zeros((3, 7))  # in two batches: nothing is summed up before it is added
    for some in (np.array([0, 1], np.int32), np.array([2], np.int32)):
        add_to_slots(some, rows[some], starts, slot, quantity, parts)
    assert_array_equal(parts, sums)


def test_a_difference_that_is_rounding_is_none() -> None:
    assert 0.1 + 0.2 - 0.3 != 0.0
    assert difference(0.1 + 0.2, 0.3) == 0.0
    assert difference(1.0 + 1e-9, 1.0) == (1.0 + 1e-9) - 1.0
    one, two = np.array([5e-8, 3.0, np.nan, -1e6]), np.array([0.0, 1.0, 1.0, 1e6])
    assert_array_equal(difference(one, two), [5e-8, 2.0, np.nan, -2e6])
    assert_array_equal(difference(one, two, 1e6), [0.0, 2.0, np.nan, -2e6])
