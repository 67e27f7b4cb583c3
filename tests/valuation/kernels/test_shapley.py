"""Shapley's shares against the average over all orders, and his axioms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valuation.kernels.shapley import MOST_CAUSES, shapley


def over_all_orders(values: np.ndarray, causes: int) -> np.ndarray:
    """What each cause adds when its turn comes, averaged over every order: the definition, step by step."""
    shares = np.zeros((len(values), causes))
    orders = list(itertools.permutations(range(causes)))
    for order in orders:
        happened = 0
        for cause in order:
            shares[:, cause] += values[:, happened | 1 << cause] - values[:, happened]
            happened |= 1 << cause
    return shares / len(orders)


@given(st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_it_is_the_average_over_all_orders(causes: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(3, 1 << causes))
    shares = shapley(values)
    assert shares == pytest.approx(over_all_orders(values, causes), abs=1e-13)
    assert shares.sum(axis=1) == pytest.approx(values[:, -1] - values[:, 0], abs=1e-13)


def test_the_glove_game() -> None:
    """One left glove and two right ones; a pair is worth 1: 2/3 for the left, 1/6 for each right (a textbook example)."""
    pairs = [float(bool(s & 1) and bool(s & 6)) for s in range(8)]
    assert shapley(np.array([pairs]))[0] == pytest.approx([2 / 3, 1 / 6, 1 / 6], abs=1e-15)


def test_what_adds_nothing_has_nothing_and_what_is_alike_is_treated_alike() -> None:
    rng = np.random.default_rng(5)
    rest = rng.normal(size=4)
    # cause 2 does nothing; causes 0 and 1 are alike
    values = np.array([[rest[bin(s & 3).count("1")] for s in range(8)]])
    one, two, three = shapley(values)[0]
    assert three == 0.0
    assert one == pytest.approx(two, abs=1e-15)


@pytest.mark.parametrize("columns", [0, 3, 2 << MOST_CAUSES])
def test_anything_but_all_subsets_is_refused(columns: int) -> None:
    with pytest.raises(ValueError, match="column for every subset"):
        shapley(np.zeros((1, columns)))
