"""What implementations of SA-CCR got wrong, each held down."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math

import numpy as np
import pytest
from saccr_cases import (
    BASEL,
    EXAMPLE_1,
    Trade,
    collateralised,
    commodity,
    credit,
    equity,
    exposures,
    margined,
    pair,
    rate,
    row,
    units,
)

from aggregation.kernels.sa_ccr import INTEREST_RATE, TRANCHE, deltas, durations, margin_periods, margined_factors
from aggregation.regulatory.sa_ccr.portfolio import Entity
from aggregation.regulatory.sa_ccr.rows import shifts, trades_of, years_between


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def test_the_floor_of_a_maturity_is_ten_business_days_of_250() -> None:
    """Not two weeks of 52."""
    factor = units([Trade(pair("EUR/USD", 1e6, 0.001))]).factor[0]
    assert factor == pytest.approx(math.sqrt(10 / 250), rel=1e-15)
    assert factor != pytest.approx(math.sqrt(2 / 52), rel=1e-3)
    assert units([Trade(pair("EUR/USD", 1e6, 7.0))]).factor[0] == 1.0


def test_signs_of_the_four_options() -> None:
    d = (math.log(0.06 / 0.05) + 0.5 * 0.25) / 0.5
    bought_call, bought_put = (1.0, 0.06, 0.05, 1.0), (-1.0, 0.06, 0.05, 1.0)
    made = units(
        [
            Trade(rate("USD", 1.0, 11.0, side, start=1.0, option=option))
            for option in (bought_call, bought_put)
            for side in (1.0, -1.0)
        ]
    )
    expected = [normal(d), -normal(d), -normal(-d), normal(-d)]
    assert made.delta.tolist() == pytest.approx(expected, abs=1e-15)


def test_a_tranche_has_the_delta_of_its_points() -> None:
    first_loss = row(INTEREST_RATE, "x", "", 1.0, 5.0)._replace(delta_kind=TRANCHE, price=0.0, strike=0.03)
    sold = first_loss._replace(direction=-1.0, price=0.07, strike=0.1)
    found = deltas(trades_of([first_loss, sold], {}), 15.0, 14.0)
    assert found.tolist() == pytest.approx([15.0 / 1.42, -15.0 / (1.98 * 2.4)], rel=1e-14)


def test_the_bucket_follows_the_end_and_not_the_maturity() -> None:
    """A future of three months on a rate of a year: M is a day, E decides."""
    long, short = rate("USD", 1e6, 5.5, maturity=0.01), rate("USD", 1e6, 0.9)
    assert {Entity.of(r).place for r in (long, short)} == {0, 2}


@pytest.mark.parametrize(("end", "place"), [(0.999, 0), (1.0, 1), (5.0, 1), (5.001, 2)])
def test_exactly_one_and_five_years_are_in_the_middle(end: float, place: int) -> None:
    assert rate("USD", 1.0, end).place == place


@pytest.mark.parametrize("first", [dt.date(2020, 3, 16), dt.date(2020, 2, 29), dt.date(2019, 2, 28)])
def test_an_anniversary_is_a_whole_number_of_years(first: dt.date) -> None:
    """Act/365 would put a swap of five years beyond five."""
    last = dt.date(first.year + 5, first.month, min(first.day, 28))
    assert years_between(first, last) == 5.0
    assert years_between(first, last + dt.timedelta(days=1)) > 5.0
    assert years_between(last, first) == 0.0


def test_a_running_trade_starts_now_and_its_duration_has_a_floor() -> None:
    start, end = np.array([0.0, 2.0, 0.0]), np.array([10.0, 12.0, 0.001])
    found = durations(start, end, 0.05, 10 / 250)
    assert found[0] == pytest.approx((1 - math.exp(-0.5)) / 0.05, rel=1e-14)
    assert found[1] == pytest.approx((math.exp(-0.1) - math.exp(-0.6)) / 0.05, rel=1e-14)
    assert found[2] == 10 / 250


def test_two_crude_oils_are_one_type() -> None:
    together = exposures([Trade(commodity("energy", "crude oil", 1e6, 2.0, s)) for s in (1.0, -1.0)])
    apart = exposures([Trade(commodity("energy", n, 1e6, 2.0, s)) for n, s in (("WTI", 1.0), ("Brent", -1.0))])
    assert together.figures.add_on.sum() == 0.0
    assert apart.figures.add_on.sum() > 0.0


def test_the_multiplier_has_the_value_less_collateral_and_not_the_replacement_cost() -> None:
    """RC is zero for both, and more collateral lowers the multiplier."""
    little, much = (exposures(EXAMPLE_1, collateralised(c)).figures for c in (100e3, 500e3))
    assert little.rc[0] == much.rc[0] == 0.0
    assert much.multiplier[0] < little.multiplier[0] < 1.0
    over = (60e3 - 500e3) / (2 * 0.95 * much.add_on.sum())
    assert much.multiplier[0] == pytest.approx(0.05 + 0.95 * math.exp(over), rel=1e-14)
    assert exposures(EXAMPLE_1, collateralised(1e12)).figures.multiplier[0] == 0.05


def test_currency_pairs_add_and_the_absolute_value_is_of_the_pair() -> None:
    trades = [
        Trade(pair("EUR/USD", 3e6, 1.0)),
        Trade(pair("EUR/USD", 1e6, 1.0, -1.0)),
        Trade(pair("GBP/USD", 1e6, 1.0, -1.0)),
    ]
    assert exposures(trades).figures.add_on.sum() == pytest.approx(0.04 * (2e6 + 1e6), rel=1e-12)


def test_maturities_offset_by_the_formula_or_not_at_all() -> None:
    trades = [Trade(rate("USD", 1e6, e, s)) for e, s in ((0.5, 1.0), (3.0, -1.0), (10.0, 1.0))]
    d = units(trades).notional * units(trades).factor
    squared = (d**2).sum() + 1.4 * d[0] * d[1] + 1.4 * d[1] * d[2] + 0.6 * d[0] * d[2]
    assert exposures(trades).figures.add_on.sum() == pytest.approx(0.005 * math.sqrt(squared), rel=1e-9)
    alone = [dataclasses.replace(t, row=t.row._replace(form=1)) for t in trades]
    assert exposures(alone).figures.add_on.sum() == pytest.approx(0.005 * np.abs(d).sum(), rel=1e-9)


def test_the_systematic_part_needs_both_terms() -> None:
    trades = [Trade(credit(n, 1e6, 5.0, s, 0.0054)) for n, s in (("A", 1.0), ("B", -1.0))]
    one = 0.0054 * units(trades).notional[0]
    assert exposures(trades).figures.add_on.sum() == pytest.approx(math.sqrt(2 * 0.75) * one, rel=1e-9)
    assert exposures(trades[:1]).figures.add_on.sum() == pytest.approx(one, rel=1e-9)


def test_equity_and_credit_are_one_hedging_set_each_and_classes_add() -> None:
    both = [Trade(equity("A", 1e6, 1.0)), Trade(credit("A", 1e6, 5.0, 1.0, 0.0054))]
    assert exposures(both).figures.add_on.sum() == pytest.approx(
        sum(exposures([t]).figures.add_on.sum() for t in both), rel=1e-12
    )


def test_basis_is_half_and_volatility_five_times() -> None:
    assert (BASEL.treatments.basis, BASEL.treatments.volatility) == (0.5, 5.0)
    plain, basis = rate("USD", 1e6, 4.0), rate("a against b basis", 1e6, 4.0, factor=0.0025)
    apart = exposures([Trade(plain), Trade(basis)]).figures.add_on.sum()
    assert apart == pytest.approx(1.5 * exposures([Trade(plain)]).figures.add_on.sum(), rel=1e-12)


def test_one_lambda_a_currency_where_a_rate_is_not_positive() -> None:
    low, high, other = (
        rate("EUR", 1.0, 6.0, start=1.0, option=(1.0, p, k, 1.0))._replace(shift_of=of)
        for p, k, of in ((-0.004, 0.01, "EUR"), (0.02, 0.01, "EUR"), (0.02, 0.01, "USD"))
    )
    found = shifts([low, high, other], 0.001)
    assert found == pytest.approx({"EUR": 0.005, "USD": 0.0})
    made = deltas(trades_of([low, high, other], found), 15.0, 14.0)
    assert made[1] == pytest.approx(normal((math.log(0.025 / 0.015) + 0.125) / 0.5), abs=1e-14)
    assert made[2] == pytest.approx(normal((math.log(2.0) + 0.125) / 0.5), abs=1e-14)


def test_margin_periods_have_their_floors() -> None:
    def period(
        agreed: float = 1.0, every: float = 1.0, trades: int = 10, illiquid: bool = False, disputed: bool = False
    ) -> float:
        of = BASEL.margin_period
        found = margin_periods(
            np.array([agreed]),
            np.array([every]),
            np.array([trades]),
            np.array([illiquid]),
            np.array([disputed]),
            of.base_business_days,
            of.large_business_days,
            of.large_more_than,
            of.dispute_multiple,
        )
        return float(found[0])

    assert period() == 10.0
    assert period(every=5.0) == 14.0
    assert period(trades=5000) == 10.0
    assert period(trades=5001) == 20.0
    assert period(illiquid=True) == 20.0
    assert period(disputed=True) == 20.0
    assert period(trades=5001, disputed=True) == 40.0
    assert period(agreed=30.0) == 30.0


def test_the_margined_factor_has_one_and_a_half() -> None:
    assert margined_factors(np.array([10.0]), 1.5, 250.0)[0] == pytest.approx(1.5 * math.sqrt(10 / 250), rel=1e-15)


def test_the_replacement_cost_of_a_margined_set_has_the_threshold_less_the_independent_amount() -> None:
    """V - C is -20, and TH + MTA - NICA is 5 of which nothing is called."""
    found = exposures(EXAMPLE_1, margined(80e3, 5e3, 10.0)).figures
    assert found.rc[0] == 5e3
    assert exposures(EXAMPLE_1, margined(20e3, 5e3, 10.0)).figures.rc[0] == 40e3
    assert exposures(EXAMPLE_1, margined(80e3, -5e3, 10.0)).figures.rc[0] == 0.0


def test_a_margined_set_is_at_most_what_it_is_without_margin() -> None:
    """Of a large threshold, and of trades so short that 1.5 sqrt(10/250) is more than they have."""
    large = exposures(EXAMPLE_1, margined(0.0, 1e9, 10.0))
    assert large.capped.tolist() == [True]
    assert large.ead[0] == exposures(EXAMPLE_1).ead[0]
    short = [Trade(pair("EUR/USD", 1e6, 0.01))]
    assert exposures(short, margined(0.0, 0.0, 10.0)).ead[0] == exposures(short).ead[0]


def test_nothing_is_rounded_before_the_end() -> None:
    """A thousand swaps of a thousandth are one swap."""
    one = exposures([Trade(rate("USD", 1e6, 9.5))]).ead[0]
    many = exposures([Trade(rate("USD", 1e3, 9.5)) for _ in range(1000)]).ead[0]
    assert many == pytest.approx(one, abs=2e-3)
