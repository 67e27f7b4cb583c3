"""Commodity futures, swaps, options and spread options against published values, quadrature and identities."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from typing import Any

import numpy as np
import pytest
from make_market import make_market, value
from scipy import integrate, special

from lake.errors import VarlakeError
from scenarios.types import MissingRiskFactor, ScenarioSet
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.kernels.commodity_options import spread_options
from valuation.market.rolled_market import Carry, RolledBase, carry_of, roll, still
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, InstrumentTerms, NotValuable

TODAY = dt.date(2020, 3, 16)  # a Monday
BELOW_ZERO = {
    "CM:WTI": [30.0, 1e-9, -36.98],
    "VOL:WTI": 0.5,
    "NPV:WTI": 12.0,
    "YC:USD:1Y": 0.02,
}


def terms_of(instrument_type: str, **terms: Any) -> InstrumentTerms:
    curve = {} if instrument_type == "commodity_future" else {"discount_curve": "USD"}
    return parse_terms(instrument_type, {"currency": "USD", "underlying": "CM:WTI", **curve, **terms})


def option(**changes: Any) -> InstrumentTerms:
    terms = {"volatility": "VOL:WTI", "strike": 31, "expiry": "2021-03-16", "option_type": "call"}
    return terms_of("commodity_option", **{**terms, **changes})


def swap(**changes: Any) -> InstrumentTerms:
    terms = {"pay_fixed": True, "fixed_price": 30, "start": "2020-04-01", "maturity": "2020-07-01", "frequency": 12}
    return terms_of("commodity_swap", **{**terms, **changes})


def days_to(years: float) -> tuple[dt.date, float]:
    """The expiry nearest to `years` away, and what rates and variances are scaled by, so that their products with time are the book's."""
    days = round(years * 365)
    return TODAY + dt.timedelta(days=days), years / (days / 365)


def test_a_future_is_its_price_less_the_reference_undiscounted() -> None:
    market = make_market(TODAY, {"CM:WTI": [30.0, -36.98]})
    of_its_month = terms_of("commodity_future", reference_price=-2.5, maturity="2020-09-18")
    np.testing.assert_allclose(value(of_its_month, market), [32.5, -34.48], rtol=1e-15)
    carried = terms_of("commodity_future", reference_price=31, maturity="2021-03-16", carry=0.05)
    assert value(carried, market)[0] == pytest.approx(30 * math.exp(0.05) - 31, rel=1e-14)
    assert INSTRUMENTS["commodity_future"].risk_factors(carried, market.index, TODAY) == ("CM:WTI",)


@pytest.mark.parametrize(
    ("forward", "strike", "rate", "years", "volatility", "kind", "printed", "digits"),
    [
        (19, 19, 0.10, 0.75, 0.28, "call", 1.7011, 4),  # Haug 1998
        (19, 19, 0.10, 0.75, 0.28, "put", 1.7011, 4),
        (20, 20, 0.09, 4 / 12, 0.25, "put", 1.12, 2),  # Hull
    ],
)
def test_published_values_of_black(forward, strike, rate, years, volatility, kind, printed, digits) -> None:
    expiry, scale = days_to(years)
    levels = {"CM:WTI": forward, "VOL:WTI": volatility * math.sqrt(scale), "YC:USD:10Y": rate * scale}
    got = value(option(strike=strike, expiry=expiry, option_type=kind), make_market(TODAY, levels))[0]
    assert round(float(got), digits) == printed


@pytest.mark.parametrize(("volatility", "printed"), [(20, 7.978846), (200, 79.788456)])
def test_bachelier_at_the_money_is_stdev_over_root_two_pi(volatility: float, printed: float) -> None:
    market = make_market(TODAY, {"CM:WTI": 100, "NPV:WTI": volatility, "YC:USD:1Y": 0.0})
    for kind in ("call", "put"):
        terms = option(volatility="NPV:WTI", model="normal", strike=100, option_type=kind)
        assert round(float(value(terms, market)[0]), 6) == printed


def test_bachelier_takes_a_negative_forward() -> None:
    """F = -0.5, K = 0, stdev 0.6 a root year, 5 years: a hundred times the caplet of a rate of -0.5%."""
    expiry, scale = days_to(5)
    market = make_market(TODAY, {"CM:WTI": -0.5, "NPV:WTI": 0.6 * math.sqrt(scale), "YC:USD:10Y": 0.0})
    for kind, printed in (("call", 0.321982), ("put", 0.821982)):
        terms = option(volatility="NPV:WTI", model="normal", strike=0, expiry=expiry, option_type=kind)
        assert round(float(value(terms, market)[0]), 6) == printed


@pytest.mark.parametrize(("model", "volatility"), [("lognormal", "VOL:WTI"), ("normal", "NPV:WTI")])
def test_a_call_less_a_put_is_a_forward_whatever_the_price_does(model: str, volatility: str) -> None:
    market = make_market(TODAY, BELOW_ZERO)
    call, put = (
        value(option(model=model, volatility=volatility, option_type=kind, carry=0.04), market)
        for kind in ("call", "put")
    )
    forward = terms_of("commodity_forward", strike=31, maturity="2021-03-16", carry=0.04)
    np.testing.assert_allclose(call - put, value(forward, market), atol=1e-12)


def test_below_zero_a_lognormal_option_has_the_limit_of_black() -> None:
    """A call is worth nothing there, a put the discounted difference; from above the values run into them."""
    market = make_market(TODAY, BELOW_ZERO)
    call, put = (value(option(option_type=kind), market) for kind in ("call", "put"))
    discount = math.exp(-0.02)
    assert call[2] == 0
    assert call[1] == pytest.approx(0, abs=1e-12)
    assert put[2] == pytest.approx((31 + 36.98) * discount, rel=1e-14)
    assert put[1] == pytest.approx(31 * discount, rel=1e-9)


def test_a_base_below_zero_has_no_lognormal_value_and_spoils_no_other() -> None:
    market = make_market(TODAY, {**BELOW_ZERO, "CM:WTI": [-36.98, 30.0, 31.0]})
    contracts = [
        Contract(t.contract_id(), t.instrument_type, t.to_json())
        for t in (option(), option(model="normal", volatility="NPV:WTI"))
    ]
    block = value_batch(contracts, market)
    (failure,) = block.failures
    assert (failure.contract_id, failure.reason) == (contracts[0].contract_id, "forward_not_positive")
    assert "base forward price of CM:WTI is -36.98" in failure.message
    assert block.contract_ids == (contracts[1].contract_id,)


def test_a_volatility_of_the_other_model_is_refused() -> None:
    market = make_market(TODAY, BELOW_ZERO)
    for changes in ({"volatility": "NPV:WTI"}, {"model": "normal"}):
        with pytest.raises(MissingRiskFactor, match=r"is of type (normal_price|implied)_vol"):
            INSTRUMENTS["commodity_option"].risk_factors(option(**changes), market.index, TODAY)


def test_a_swap_is_its_average_of_forwards_where_money_has_no_time() -> None:
    market = make_market(TODAY, {"CM:WTI": [30.0, -5.0], "YC:USD:1Y": 0.0})
    month = swap(start="2020-04-01", maturity="2020-05-01", carry=0.3)
    days = [d for d in (dt.date(2020, 4, 1) + dt.timedelta(days=k) for k in range(30)) if d.weekday() < 5]
    assert len(days) == 22
    forwards = [value(terms_of("commodity_forward", strike=30, maturity=d, carry=0.3), market) for d in days]
    np.testing.assert_allclose(value(month, market), np.mean(forwards, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(value(swap(pay_fixed=False), market), -value(swap(), market))


def test_a_running_swap_by_hand() -> None:
    """A week of which two days are known, paid the Monday after: (20 + 25 + 3 x 30) / 5 - 30 = -3, in 5 days."""
    wednesday = dt.date(2020, 3, 18)
    market = make_market(wednesday, {"CM:WTI": 30.0, "YC:USD:1Y": 0.1})
    terms = {"start": "2020-03-16", "maturity": "2020-03-22", "frequency": 1}  # a Sunday
    week = swap(**terms, fixings={"2020-03-16": 20, "2020-03-17": 25})
    assert value(week, market)[0] == pytest.approx(-3 * math.exp(-0.1 * 5 / 365), rel=1e-13)
    with_today = swap(**terms, fixings={"2020-03-16": 20, "2020-03-17": 25, "2020-03-18": 40})
    assert value(with_today, market)[0] == pytest.approx(-1 * math.exp(-0.1 * 5 / 365), rel=1e-13)
    with pytest.raises(
        NotValuable, match="1 of the 2 days averaged before 2020-03-18 have no price in fixings: 2020-03-17"
    ) as e:
        value(swap(**terms, fixings={"2020-03-16": 20}), market)
    assert e.value.reason == "missing_fixing"
    with pytest.raises(NotValuable, match="matured on 2020-03-23"):
        week.check(dt.date(2020, 3, 23))


def test_days_inside_a_roll_count_with_the_price_as_rolled() -> None:
    """With a carry of c the price of each day of the roll is S exp(ct), and the swap pays their average."""
    market = make_market(TODAY, {"CM:WTI": 30.0, "YC:USD:1Y": 0.0})
    base = market.states[:, 0]
    nothing = np.zeros(len(base), np.bool_)
    calm = still(ScenarioSet("", "s", "historical", TODAY, {}, market.index, ("a",), base, base[:, None], nothing))
    terms = swap(start="2020-03-16", maturity="2020-03-20", frequency=1, carry=0.8)
    growing = Carry(costs={"CM:WTI": 0.8})
    (flow,) = INSTRUMENTS["commodity_swap"].cash_flows(
        terms, RolledBase(calm, "forwards", growing), dt.date(2020, 5, 1)
    )
    average = np.mean([30 * math.exp(0.8 * k / 365) for k in range(4)])
    assert flow.day == dt.date(2020, 3, 20)
    assert flow.amount == pytest.approx(average - 30, rel=1e-12)
    thursday = dt.date(2020, 3, 19)
    rolled = ScenarioMarket.of(roll(calm, thursday, "forwards", growing), thursday)
    assert INSTRUMENTS["commodity_swap"].value([terms], rolled)[0, 0] == pytest.approx(average - 30, rel=1e-12)
    (flow,) = INSTRUMENTS["commodity_swap"].cash_flows(
        terms, RolledBase(calm, "constant", growing), dt.date(2020, 5, 1)
    )
    assert flow.amount == 0


def test_a_payment_lag_moves_payments_and_nothing_else() -> None:
    """Three averages of 40 against 30, paid five weekdays after the ends of April, May and June."""
    market = make_market(TODAY, {"CM:WTI": 40.0, "YC:USD:1Y": 0.1})
    days = [dt.date(2020, 5, 8), dt.date(2020, 6, 8), dt.date(2020, 7, 8)]
    by_hand = sum(10 * math.exp(-0.1 * (day - TODAY).days / 365) for day in days)
    assert value(swap(payment_lag=5), market)[0] == pytest.approx(by_hand, rel=1e-12)
    assert swap(payment_lag=None).contract_id() == swap().contract_id()


def spread(f1: float, f2: float, strike: float, s1: float, s2: float, correlation: float, time: float) -> float:
    """An undiscounted call by the kernel."""
    row, one = (lambda x: np.array([x]), lambda x: np.array([[x]]))
    return float(
        spread_options(
            row(1.0), row(strike), row(time), row(correlation), one(f1), one(f2), one(s1), one(s2), one(1.0)
        )[0, 0]
    )


def exact_spread(f1: float, f2: float, strike: float, s1: float, s2: float, correlation: float, time: float) -> float:
    """The same by quadrature: given the second price the first is lognormal, and Black's formula holds."""
    root = math.sqrt(time)

    def given(z: float) -> float:
        cash = f2 * math.exp(s2 * root * z - 0.5 * s2 * s2 * time) + strike
        asset = f1 * math.exp(s1 * root * correlation * z - 0.5 * (s1 * correlation) ** 2 * time)
        if cash <= 0:
            paid = asset - cash
        else:
            v = s1 * math.sqrt(1 - correlation**2) * root
            d = math.log(asset / cash) / v + 0.5 * v
            paid = asset * special.ndtr(d) - cash * special.ndtr(d - v)
        return float(paid * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))

    return float(integrate.quad(given, -9, 9, limit=300, epsabs=1e-10)[0])


@pytest.mark.parametrize(("strike", "bound"), [(0, 1e-9), (-3, 0.3), (10, 0.3), (-10, 0.3), (25, 0.6), (-25, 0.6)])
def test_margrabe_is_exact_and_kirk_as_near_as_its_page_says(strike: float, bound: float) -> None:
    for f2, s1, s2, correlation in itertools.product((70.0, 130.0), (0.2, 0.5), (0.2, 0.5), (0.0, 0.9)):
        case = (100.0, f2, float(strike), s1, s2, correlation, 1.0)
        assert spread(*case) == pytest.approx(exact_spread(*case), abs=bound)


@pytest.mark.parametrize(
    ("volatility", "years", "by_correlation"),
    [
        (0.20, 0.1, {-0.5: 4.7530, 0.0: 3.7970, 0.5: 2.5537}),
        (0.20, 0.5, {-0.5: 10.7517, 0.0: 8.7020, 0.5: 6.0257}),
        (0.25, 0.1, {-0.5: 5.4275, 0.0: 4.3712, 0.5: 3.0086}),
    ],
)
def test_haugs_table_of_kirk(volatility: float, years: float, by_correlation: dict[float, float]) -> None:
    """Haug: F1 122, F2 120, strike 3, rate 10%, the second volatility 20%."""
    expiry, scale = days_to(years)
    levels = {
        "CM:WTI": 122, "CM:BRENT": 120, "VOL:WTI": volatility * math.sqrt(scale), "VOL:BRENT": 0.2 * math.sqrt(scale),
        "YC:USD:10Y": 0.1 * scale,
    }  # fmt: skip
    for correlation, printed in by_correlation.items():
        terms = spread_terms(correlation=correlation, strike=3, expiry=expiry)
        assert round(float(value(terms, make_market(TODAY, levels))[0]), 4) == printed


def spread_terms(**changes: Any) -> InstrumentTerms:
    terms = {
        "volatility": "VOL:WTI", "second_underlying": "CM:BRENT", "second_volatility": "VOL:BRENT", "correlation": 0.6,
        "strike": 0, "expiry": "2021-03-16", "option_type": "call",
    }  # fmt: skip
    return terms_of("commodity_spread_option", **{**terms, **changes})


@pytest.mark.parametrize("strike", [-4, 0, 2.5])
def test_a_spread_call_less_a_put_is_two_forwards_whatever_the_prices_do(strike: float) -> None:
    levels = {
        "CM:WTI": [30.0, -5.0, 30.0, -5.0, 0.0], "CM:BRENT": [32.0, 32.0, -6.0, -1.0, 0.0], "VOL:WTI": 0.5, "VOL:BRENT": 0.4,
        "YC:USD:1Y": 0.02,
    }  # fmt: skip
    market = make_market(TODAY, levels)
    call, put = (value(spread_terms(strike=strike, option_type=kind), market) for kind in ("call", "put"))
    first, second = market.level("CM:WTI"), market.level("CM:BRENT")
    np.testing.assert_allclose(call - put, (first - second - strike) * math.exp(-0.02), atol=1e-12)
    assert (np.minimum(call, put) >= 0).all()


@pytest.mark.parametrize("strike", [-4.0, 0.0, 2.5])
def test_a_spread_option_runs_into_its_limits(strike: float) -> None:
    """Across a price of zero, and across the price at which a side is zero, the value has no jump."""
    near = 1e-9
    for f1, f2 in ((0.0, 20.0), (20.0, 0.0), (strike, 20.0), (20.0, -strike)):
        around = [spread(f1 + k * near, f2 + k * near, strike, 0.5, 0.4, 0.6, 1.0) for k in (-1, 0, 1)]
        assert np.ptp(around) < 1e-6


def test_the_second_price_rolls_with_its_own_carry() -> None:
    carry, _ = carry_of([spread_terms(carry=0.01, second_carry=0.03)])
    assert carry.costs == {"CM:WTI": 0.01, "CM:BRENT": 0.03}


@pytest.mark.parametrize(
    ("make", "changes", "words"),
    [
        (option, {"strike": 0}, "strike 0 must be positive under model lognormal"),
        (option, {"model": "black"}, "'lognormal' or 'normal'"),
        (swap, {"frequency": 6}, "1, 2, 4 or 12"),
        (swap, {"maturity": "2020-04-01"}, "start 2020-04-01 must lie before maturity 2020-04-01"),
        (swap, {"fixings": "71.3"}, '{"2026-03-02": 71.3}'),
        (spread_terms, {"correlation": 1.2}, "less than or equal to 1"),
        (spread_terms, {"second_underlying": "CM:WTI"}, "both CM:WTI"),
    ],
)
def test_faulty_terms_teach(make: Any, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(VarlakeError) as error:
        make(**changes)
    assert words in error.value.message


def test_a_period_without_a_business_day_is_refused() -> None:
    with pytest.raises(NotValuable, match="no business day to average over") as error:
        swap(start="2020-03-21", maturity="2020-03-22").check(TODAY)  # a Saturday alone
    assert error.value.reason == "invalid_schedule"
