"""Arithmetic of the internal models of market risk, held to figures worked out by hand and to scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aggregation.kernels.frtb_ima import (
    amber_surcharge,
    bucket_of,
    cascade_roots,
    compare_pnl,
    imcc,
    liquidity_adjusted,
    liquidity_adjusted_slopes,
    own_funds,
    price_test,
    stress_ratio,
    stressed,
    stressed_capital,
    stressed_slopes,
    total_capital,
)
from lake.arrays import Floats

ROOTS = cascade_roots((10, 20, 40, 60, 120), 10)
NONE: Floats = np.empty(0)


def test_roots_are_those_of_the_steps_between_horizons() -> None:
    assert pytest.approx([1.0, 1.0, np.sqrt(2), np.sqrt(2), np.sqrt(6)], rel=1e-15) == ROOTS


def test_the_worked_cascade() -> None:
    assert liquidity_adjusted(np.array([100.0, 80, 60, 30, 10]), ROOTS) == pytest.approx(161.245, abs=5e-4)


def test_a_book_of_the_longest_horizon_alone_scales_by_root_twelve() -> None:
    assert liquidity_adjusted(np.full(5, 7.0), ROOTS) == pytest.approx(7.0 * np.sqrt(12), rel=1e-14)


def test_sets_of_exactly_one_horizon_would_give_another_figure() -> None:
    """Trap: P,j holds factors of LH_j *and longer*; the cascade of disjoint sets understates."""
    nested, disjoint = np.array([10.0, 10, 10, 10, 10]), np.array([0.0, 0, 0, 0, 10])
    assert liquidity_adjusted(nested, ROOTS) > liquidity_adjusted(disjoint, ROOTS) * 1.4


def test_an_es_that_is_a_gain_adds_no_loss() -> None:
    assert liquidity_adjusted(np.array([10.0, -50, 0, 0, 0]), ROOTS) == 10.0


@given(st.lists(st.floats(0, 1e6), min_size=5, max_size=5), st.floats(0.01, 100))
def test_the_cascade_is_homogeneous_and_its_slopes_add_up(es: list[float], scale: float) -> None:
    values = np.array(es)
    total = liquidity_adjusted(values, ROOTS)
    assert liquidity_adjusted(values * scale, ROOTS) == pytest.approx(total * scale, rel=1e-12)
    slopes = liquidity_adjusted_slopes(values, ROOTS)
    assert sum(slopes * values) == pytest.approx(float(total), rel=1e-9, abs=1e-9)


def test_the_stress_ratio_has_a_floor_of_one() -> None:
    assert stressed(np.array(100.0), np.array(72.0), np.array(60.0), 1.0) == pytest.approx(120.0, rel=1e-14)
    assert stressed(np.array(100.0), np.array(50.0), np.array(60.0), 1.0) == 100.0
    assert stressed(np.array(100.0), np.array(0.0), np.array(0.0), 1.0) == 100.0
    assert np.isnan(stress_ratio(np.array(5.0), np.array(0.0), 1.0))


@pytest.mark.parametrize("point", [(100.0, 72.0, 60.0), (100.0, 50.0, 60.0), (3.0, 9.0, 2.0)])
def test_slopes_of_the_stressed_figure_are_its_differences(point: tuple[float, float, float]) -> None:
    h = 1e-5
    for i, slope in enumerate(stressed_slopes(*point, 1.0)):
        up, down = (tuple(x + (s * h if j == i else 0.0) for j, x in enumerate(point)) for s in (1, -1))
        one, two = (float(stressed(*map(np.array, p), 1.0)) for p in (up, down))
        assert slope == pytest.approx((one - two) / (2 * h), abs=1e-6)


def test_the_worked_imcc() -> None:
    rs, rc, fc = np.array([[40.0, 25, 30], [30, 20, 26], [20, 10, 9], [15, 12, 12], [10, 6, 7.5]]).T
    by_class = stressed(rs, fc, rc, 1.0)
    assert by_class == pytest.approx([48.0, 39, 20, 15, 12.5], rel=1e-14)
    unconstrained = stressed(np.array(100.0), np.array(72.0), np.array(60.0), 1.0)
    assert imcc(unconstrained, by_class, 0.5) == pytest.approx(127.25, rel=1e-14)


def test_ses_of_systematic_factors_alone() -> None:
    ses = stressed_capital(NONE, NONE, np.array([10.0, 5, 5]), 0.6, "three_roots")
    assert ses == pytest.approx(15.4919, abs=5e-5)


def test_ses_of_three_roots_and_of_one() -> None:
    parts = (np.array([3.0, 4]), np.array([5.0]), np.array([10.0, 5, 5]))
    assert stressed_capital(*parts, 0.6, "three_roots") == pytest.approx(25.4919, abs=5e-5)
    assert stressed_capital(*parts, 0.6, "one_root") == pytest.approx(17.0294, abs=5e-5)


def test_the_half_of_imcc_and_the_six_tenths_of_ses_are_not_exchanged() -> None:
    """Trap: with 0.6 in IMCC and 0.5 in SES both figures differ from the worked ones."""
    assert imcc(np.array(120.0), np.array([48.0, 39, 20, 15, 12.5]), 0.6) != pytest.approx(127.25, abs=0.01)
    swapped = stressed_capital(NONE, NONE, np.array([10.0, 5, 5]), 0.5, "three_roots")
    assert swapped != pytest.approx(15.4919, abs=0.1)


def _tested(days: list[int]) -> tuple[bool, bool]:
    found = price_test(np.array(days, dtype=np.int64), 1, 365, least=24, period=90, least_in_period=4, enough=100)
    return found.frequent, found.numerous


def test_the_price_test_at_its_edges() -> None:
    spread = [1 + round(i * 364 / 23) for i in range(24)]
    assert len(set(spread)) == 24
    assert _tested(spread) == (True, False)
    assert _tested(spread[:-1]) == (False, False)  # 23 of 24
    assert _tested([1] * 50 + spread[1:-1]) == (False, False)  # one observation a day at the most
    assert _tested([*range(1, 100)]) == (False, False)  # 99, all in the first 99 days
    assert _tested([*range(1, 101)]) == (False, True)  # 100
    assert _tested([*range(100)]) == (False, False)  # the first of them lies before the year


@pytest.mark.parametrize(("hole", "passes"), [(90, False), (89, True)])
def test_ninety_days_with_three_prices_fail(hole: int, passes: bool) -> None:
    """40 prices around a stretch of `hole` days that has three."""
    begin = 120
    days = [*range(begin - 20, begin), begin + 20, begin + 40, begin + 60, *range(begin + hole, begin + hole + 20)]
    days += [*range(1, begin - 20, 10), *range(begin + hole + 20, 366, 10)]
    assert _tested(days) == (passes, False)


@given(st.sets(st.integers(1, 365), max_size=120))
def test_the_price_test_is_that_of_every_period_looked_at(days: set[int]) -> None:
    fewest = min(len([d for d in days if b <= d < b + 90]) for b in range(1, 365 - 90 + 2))
    assert _tested([*days]) == (len(days) >= 24 and fewest >= 4, len(days) >= 100)


def test_lower_edges_belong_to_a_bucket_and_upper_edges_to_the_next() -> None:
    edges = (0.0, 0.75, 1.5, 4.0)
    assert [bucket_of(x, edges) for x in (0.0, 0.7499, 0.75, 1.5, 3.999, 4.0, 100.0)] == [0, 0, 1, 2, 2, 3, 3]
    with pytest.raises(ValueError, match="below the first edge"):
        bucket_of(-0.1, edges)


def test_pnl_comparison_with_scipy_and_published_p_values() -> None:
    rng = np.random.default_rng(5)
    hypothetical = rng.normal(size=250)
    theoretical = np.round(hypothetical + 0.4 * rng.normal(size=250), 1)  # with ties
    found = compare_pnl(theoretical, hypothetical)
    assert found.spearman == pytest.approx(stats.spearmanr(theoretical, hypothetical).statistic, abs=1e-13)
    assert found.distance == pytest.approx(stats.ks_2samp(theoretical, hypothetical).statistic, abs=1e-15)
    assert found.distance is not None
    assert found.distance * 250 == pytest.approx(round(found.distance * 250), abs=1e-9)  # steps of 0.004
    assert compare_pnl(np.ones(9), np.arange(9.0)).spearman is None


def test_p_values_at_the_edges_of_the_zones() -> None:
    """The rule prints 0.264 for a distance of 0.09 and 0.055 for 0.12, of 250 days. A law shifted by k steps is k / 250 away."""
    one = np.arange(250.0)
    found = {k: compare_pnl(one, one + k) for k in (22, 23, 30)}
    assert all(f.distance == pytest.approx(k / 250, abs=1e-15) for k, f in found.items())
    assert found[30].p_value == pytest.approx(0.055, abs=5e-4)
    above, below = found[22].p_value, found[23].p_value  # 0.09 lies between two steps
    assert above is not None
    assert below is not None
    assert below < 0.2634 < above
    assert (below + above) / 2 == pytest.approx(0.264, abs=1e-3)


def test_own_funds_multiply_the_average_alone() -> None:
    assert own_funds(100.0, 20.0, 80.0, 10.0, 1.5) == 130.0
    assert own_funds(200.0, 20.0, 80.0, 10.0, 1.5) == 220.0  # the multiplier does not touch the latest day, nor SES


def test_the_worked_surcharge_is_on_the_difference() -> None:
    k, surcharge = amber_surcharge(40.0, 100.0, 100.0, 70.0, 0.5)
    assert (k, surcharge) == (pytest.approx(0.2), pytest.approx(6.0))  # k times the internal model would be 14
    assert amber_surcharge(40.0, 100.0, 60.0, 70.0, 0.5)[1] == 0.0
    assert amber_surcharge(0.0, 0.0, 0.0, 0.0, 0.5) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("given_", "total"),
    [
        ((70.0, 6.0, 20.0, 130.0, 100.0), 96.0),
        ((70.0, 6.0, 80.0, 130.0, 100.0), 130.0),  # capped by the standardised approach of all desks
        (
            (120.0, 0.0, 20.0, 130.0, 100.0),
            130.0 + 20.0,
        ),  # an internal model above the standardised approach adds its excess
    ],
)
def test_total_capital(given_: tuple[float, float, float, float, float], total: float) -> None:
    assert total_capital(*given_) == pytest.approx(total, rel=1e-14)


def test_bits_do_not_depend_on_what_stands_beside() -> None:
    es = np.random.default_rng(1).random((7, 5))
    whole = liquidity_adjusted(es, ROOTS)
    for i, j in itertools.pairwise(range(8)):
        assert (liquidity_adjusted(es[i:j], ROOTS) == whole[i:j]).all()
