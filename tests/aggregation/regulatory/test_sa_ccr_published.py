"""SA-CCR against the worked examples that the Committee prints (CRE99), to the printed digit, and against figures of other systems."""

from __future__ import annotations

import numpy as np
import pytest
from saccr_cases import BASEL, EXAMPLE_1, EXAMPLE_2, EXAMPLE_3, K, exposures, margined, units

from aggregation.kernels.sa_ccr import INTEREST_RATE, MATURITIES, Sets, Terms, margin_periods
from aggregation.kernels.sa_ccr import exposures as formula


def printed(found: float, thousands: float) -> bool:
    """Whether an amount rounds to what is printed in thousands."""
    return abs(found - thousands * K) <= 0.5 * K


def test_example_1_interest_rates() -> None:
    made, found = units(EXAMPLE_1), exposures(EXAMPLE_1).figures
    assert np.round(made.adjusted / K).tolist() == [78694, 36254, 37428]
    assert made.delta.round(2).tolist() == [1.0, -1.0, -0.27]
    assert printed(found.add_on[0, INTEREST_RATE], 347)
    assert found.multiplier[0] == 1.0
    assert printed(found.rc[0], 60)
    assert printed(found.ead[0], 569)
    assert found.ead[0] / K == pytest.approx(569.470, abs=5e-4)


def test_example_2_credit() -> None:
    found = exposures(EXAMPLE_2).figures
    assert np.round(units(EXAMPLE_2).adjusted / K, 2).tolist() == [27858.40, 51836.36, 44239.84]
    assert found.multiplier[0] == pytest.approx(0.965, abs=5e-4)
    assert found.rc[0] == 0.0
    assert found.add_on[0].sum() / K == pytest.approx(282.129, abs=5e-4)
    assert printed(found.ead[0], 381)


def test_example_3_commodities() -> None:
    found = exposures(EXAMPLE_3).figures
    assert found.add_on[0].sum() / K == pytest.approx(3841.154, abs=5e-4)
    assert printed(found.rc[0], 20)
    assert printed(found.ead[0], 5406)


def test_example_4_two_classes_in_one_netting_set() -> None:
    found = exposures((*EXAMPLE_1, *EXAMPLE_2)).figures
    assert printed(found.rc[0], 40)
    assert printed(found.add_on[0].sum(), 629)
    assert printed(found.ead[0], 936)


def test_example_5_with_weekly_margin() -> None:
    # VM 50, NICA 150, threshold 0, minimum transfer amount 5; calls every five business days
    none = np.zeros(1, np.bool_)
    of = BASEL.margin_period
    days = margin_periods(
        np.array([10.0]),
        np.array([5.0]),
        np.array([6]),
        none,
        none,
        of.base_business_days,
        of.large_business_days,
        of.large_more_than,
        of.dispute_multiple,
    )
    assert days.tolist() == [14.0]
    found = exposures((*EXAMPLE_1, *EXAMPLE_3), margined(200 * K, (0 + 5 - 150) * K, float(days[0])))
    assert found.by_margin.tolist() == [True]
    assert found.figures.rc[0] == 0.0
    assert printed(found.figures.add_on[0].sum(), 1401)
    assert found.figures.multiplier[0] == pytest.approx(0.958, abs=5e-4)
    assert printed(found.figures.ead[0], 1879)


def test_two_swaps_of_another_system() -> None:
    """Open Source Risk Engine's example prints the add-ons of two currencies, V and the EAD that follow; its floor of a maturity is
    another, which these swaps of twenty years do not meet."""
    sets = Sets(
        np.array([0, 2]),
        np.full(2, INTEREST_RATE, np.int32),
        np.full(2, MATURITIES, np.int32),
        np.array([0, 1, 2]),
        np.full(2, 0.005),
        np.zeros(2),
        np.full(2, 2, np.int32),
    )
    none = np.zeros(1)
    add_on = np.array([605_326.83, 545_436.95])
    found = formula(sets, add_on, Terms(np.array([56_723.75]), none, np.zeros(1, np.bool_), none), 1.4, 0.05)
    assert found.add_on.sum() == pytest.approx(1_150_763.79, abs=0.011)  # two printed to a hundredth each
    assert found.ead[0] == pytest.approx(1_690_482.55, abs=0.02)
