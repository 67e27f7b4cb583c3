"""Age weights and volatility scaling against published figures, pandas, and plain loops."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.kernels.tail import exact_level, expected_shortfall, value_at_risk
from scenarios.kernels.weighting import age_weights, ewma_variance, volatility_scales, warm_up_days


def test_hull_age_weights_with_his_ranked_losses() -> None:
    # RMFI, four-index portfolio: scenario, loss in USD, weight at 0.995
    ranked = [
        (494, 477841, 0.00528),
        (339, 345435, 0.00243),
        (349, 282204, 0.00255),
        (329, 277041, 0.00231),
        (487, 253385, 0.00510),
        (227, 217974, 0.00139),
        (131, 205256, 0.00086),
        (238, 201389, 0.00146),
    ]
    weights = age_weights(500 - np.arange(1, 501), 0.995)
    pnl = np.linspace(1.0, 2.0, 500)
    for scenario, loss, weight in ranked:
        assert round(weights[scenario - 1], 5) == weight
        pnl[scenario - 1] = -loss
    level = exact_level("0.99")
    assert value_at_risk(pnl[None], level, weights, "order_statistic")[0] == 282204
    assert round(expected_shortfall(pnl[None], level, weights, "order_statistic")[0]) == 400914


@given(st.sets(st.integers(0, 600), min_size=1), st.floats(0.5, 0.9999))
def test_weights_sum_to_one_and_keep_their_ratios_when_days_were_dropped(ages: set[int], decay: float) -> None:
    a = np.array(sorted(ages))
    weights = age_weights(a, decay)
    assert math.fsum(weights) == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(weights / weights[0], decay ** (a - a[0]).astype(float), rtol=1e-12)


@pytest.mark.parametrize(
    ("decay", "tolerance", "days"), [(0.94, 0.001, 112), (0.94, 0.01, 74), (0.97, 0.001, 227), (0.97, 0.01, 151)]
)
def test_riskmetrics_warm_up(decay: float, tolerance: float, days: int) -> None:
    # the printed numbers are rounded down from ln(tolerance) / ln(decay); ours is the first whole day after it
    assert warm_up_days(decay, tolerance) in (days, days + 1)
    assert decay ** warm_up_days(decay, tolerance) <= tolerance < decay ** (warm_up_days(decay, tolerance) - 1)


def test_ewma_against_pandas() -> None:
    moves = np.random.default_rng(2).standard_normal((400, 3))
    found = ewma_variance(moves, 0.94, 75)
    # pandas begins its recursion with the first value: give it the seed there
    seeded = np.vstack([np.mean(moves[:75] ** 2, axis=0), moves**2])
    np.testing.assert_allclose(found, pd.DataFrame(seeded).ewm(alpha=0.06, adjust=False).mean().to_numpy(), rtol=1e-12)


def test_the_forecast_is_made_before_the_move() -> None:
    moves = np.full((100, 1), 0.01)
    moves[60] = 0.50
    changed = ewma_variance(moves, 0.94, 20)
    calm = ewma_variance(np.full((100, 1), 0.01), 0.94, 20)
    np.testing.assert_array_equal(changed[:61], calm[:61])  # the great move does not scale itself
    assert changed[61] > 10 * calm[61]


def test_a_missing_move_leaves_the_forecast_as_it_is() -> None:
    moves = np.random.default_rng(3).standard_normal((50, 1))
    holes = np.insert(moves, 20, np.nan, axis=0)
    found = ewma_variance(holes, 0.97, 10)
    assert found[20] == found[21]
    np.testing.assert_array_equal(np.delete(found, 21, axis=0), ewma_variance(moves, 0.97, 10))
    assert np.isnan(ewma_variance(np.full((5, 1), np.nan), 0.97, 10)).all()


def test_scales_bring_every_move_to_todays_volatility() -> None:
    variance = np.array([[4.0, 0.0], [1.0, 0.0], [16.0, 0.0], [9.0, 0.0]])
    np.testing.assert_allclose(volatility_scales(variance[:-1], variance[-1]), [[1.5, 1.0], [3.0, 1.0], [0.75, 1.0]])
