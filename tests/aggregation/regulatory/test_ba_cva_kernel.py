"""BA-CVA against a published fixture, the paragraphs by hand, and what must hold of it. Each trap that others fell into is a test."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.kernels import ba_cva
from aggregation.kernels.ba_cva import Formula, SingleNameHedges, Sums

RULES = Formula(0.5, 1.4, 0.25, 0.05)
NO_HEDGES = SingleNameHedges(np.empty(0, np.int32), np.empty(0), np.empty(0))
amounts = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=6)


def test_the_fixture_of_frtb_capital():
    """EAD of a million, M of 2.5 years, 0.5%: SCVA 8,393.078 and 0.65 K 5,455.501, as the package of that name prints."""
    factor = ba_cva.discount_factors(np.array([2.5]), 0.05)
    assert round(factor[0], 8) == 0.94002478
    scva = ba_cva.standalone(np.array([0.005]), 1e6 * 2.5 * factor, 1.4)
    assert round(scva[0], 3) == 8393.078
    assert round(0.65 * ba_cva.reduced(scva, RULES).capital, 3) == 5455.501


def test_alpha_divides():
    scva = ba_cva.standalone(np.array([0.01]), np.array([1e6]), 1.4)[0]
    assert scva == pytest.approx(1e4 / 1.4)
    assert scva < 1e4


def test_maturity_is_not_capped_at_five_years():
    """MAR50.15: the weight of a netting set grows with its life beyond five years."""
    years = np.array([5.0, 20.0])
    weighted = years * ba_cva.discount_factors(years, 0.05)
    assert weighted[1] / weighted[0] == pytest.approx((1 - math.exp(-1)) / (1 - math.exp(-0.25)))
    assert ba_cva.discount_factors(np.zeros(1), 0.05)[0] == 1.0


def test_the_idiosyncratic_term_stands_beside_the_systematic_one():
    charge = ba_cva.reduced(np.array([3.0, 4.0]), RULES)
    assert charge.capital == pytest.approx(math.sqrt((0.5 * 7) ** 2 + 0.75 * 25))
    assert charge.idiosyncratic == pytest.approx(0.75 * 25)


def test_hedges_by_hand():
    """Two counterparties, a hedge of a related name at 80% and an index hedge."""
    hedges = SingleNameHedges(np.array([0], np.int32), np.array([2.0]), np.array([0.8]))
    charge = ba_cva.hedged(np.array([10.0, 5.0]), hedges, np.array([1.5]), RULES)
    net = np.array([10.0 - 1.6, 5.0])
    squares = (0.5 * net.sum() - 1.5) ** 2, 0.75 * (net**2).sum(), 0.36 * 4.0  # misalignment squared, MAR50.25
    assert charge.capital == pytest.approx(math.sqrt(sum(squares)))
    assert charge.misalignment == pytest.approx(1.44)
    whole = ba_cva.full(np.array([10.0, 5.0]), hedges, np.array([1.5]), RULES)
    assert whole.capital == pytest.approx(
        0.25 * ba_cva.reduced(np.array([10.0, 5.0]), RULES).capital + 0.75 * charge.capital
    )


def test_a_perfect_hedge_leaves_a_quarter():
    """MAR50.20: what is hedged in full is still charged with beta of the charge without hedges."""
    hedges = SingleNameHedges(np.array([0], np.int32), np.array([7.0]), np.array([1.0]))
    assert ba_cva.full(np.array([7.0]), hedges, np.empty(0), RULES).capital == pytest.approx(0.25 * 7.0)


@given(amounts, st.floats(0.0, 1e6), st.floats(0.0, 1.0), st.floats(0.0, 1e6))
def test_contributions_add_up(scva, amount, correlation, index):
    hedges = SingleNameHedges(np.array([0], np.int32), np.array([amount]), np.array([correlation]))
    charge = ba_cva.full(np.array(scva), hedges, np.array([index]), RULES)
    parts = [*charge.counterparties, *charge.hedges, *charge.index]
    assert math.fsum(parts) == pytest.approx(charge.capital, rel=1e-9, abs=1e-9)


@given(amounts, st.floats(0.01, 100.0))
def test_scales_and_does_not_depend_on_the_order(scva, factor):
    x = np.array(scva)
    one = ba_cva.reduced(x, RULES).capital
    assert ba_cva.reduced(factor * x, RULES).capital == pytest.approx(factor * one, rel=1e-12)
    assert ba_cva.reduced(x[::-1].copy(), RULES).capital == one
    assert one <= x.sum() * (1 + 1e-12)  # diversification only takes away


@given(amounts, st.floats(0.0, 1e6))
def test_one_counterparty_changes_by_an_update(scva, after):
    x = np.array(scva)
    changed = x.copy()
    changed[0] = after
    found = Sums.of(x).replaced(x[0], after).capital(RULES)
    assert found == pytest.approx(ba_cva.reduced(changed, RULES).capital, rel=1e-6, abs=1e-3)


def test_no_exposure_costs_nothing():
    assert ba_cva.full(np.zeros(3), NO_HEDGES, np.empty(0), RULES).capital == 0.0
