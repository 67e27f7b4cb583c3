"""Caps, floors and swaptions against published figures, QuantLib, and the identities that bind them to swaps."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from make_market import make_market, value

from lake.errors import BadInput
from valuation.batch import value_batch
from valuation.catalogue import parse_terms
from valuation.instruments.rates import cap_floor
from valuation.kernels.bachelier import bachelier
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, InstrumentTerms, NotValuable

TODAY = dt.date(2020, 3, 16)


def flat(rate: float, **more: Any) -> ScenarioMarket:
    return make_market(TODAY, {"YC:USD:30Y": rate, "VOL:RATES": 0.2, "NV:RATES": 0.006, **more})


def swap_terms(**changes: Any) -> dict[str, Any]:
    terms = {
        "currency": "USD", "pay_fixed": True, "fixed_rate": 0.02, "start": "2021-03-16", "maturity": "2026-03-16",
        "fixed_frequency": 2, "float_frequency": 4, "fixed_day_count": "Thirty360", "float_day_count": "Actual360",
        "discount_curve": "USD",
    }  # fmt: skip
    return {**terms, **changes}


def swaption(**changes: Any) -> InstrumentTerms:
    given = {"expiry": "2021-03-16", "model": "black", "volatility": "VOL:RATES", **changes}
    return parse_terms("swaption", swap_terms(**given))


def cap(**changes: Any) -> InstrumentTerms:
    terms = {
        "currency": "USD", "option_type": "cap", "strike": 0.02, "start": "2020-06-16", "maturity": "2025-06-16",
        "float_frequency": 4, "float_day_count": "Actual360", "discount_curve": "USD", "model": "black",
        "volatility": "VOL:RATES",
    }  # fmt: skip
    return parse_terms("cap_floor", {**terms, **changes})


NORMAL = {"model": "normal", "volatility": "NV:RATES"}


# Published figures ---------------------------------------------------------------------------------------------------


def test_hulls_caplet() -> None:
    """USD 10,000, three months that begin in a year, 7% flat with quarterly compounding, strike 8%, volatility 20%: 5.162."""
    start = dt.date(2021, 3, 15)  # 364 days; a year in the text
    end = dt.date(2021, 6, 15)
    days = [(d - TODAY).days for d in (start, end)]
    logs = [4 * math.log(1 + 0.07 / 4) * years for years in (1.0, 1.25)]
    pillars = {f"YC:USD:{n}D": log / n * 365 for n, log in zip(days, logs, strict=True)}
    market = make_market(TODAY, {**pillars, "VOL:RATES": 0.2 / math.sqrt(days[0] / 365)})
    terms = cap(strike=0.08, start=start, maturity=end, float_day_count="Thirty360")
    assert 10_000 * value(terms, market)[0] == pytest.approx(5.162, abs=5e-4)


def test_hulls_swaption() -> None:
    """Five years into three, 6% flat continuous, strike 6.2%, volatility 20%, USD 100: 2.07 (annuity 2.0036 a half, forward 6.0909%)."""
    start = TODAY.replace(year=2025)
    halves = [dt.date(2025 + (3 + 6 * k) // 12, (3 + 6 * k - 1) % 12 + 1, 16) for k in range(7)]
    assert halves[0] == start
    pillars = {f"YC:USD:{(d - TODAY).days}D": 0.06 * (5 + k / 2) * 365 / (d - TODAY).days for k, d in enumerate(halves)}
    market = make_market(TODAY, {**pillars, "VOL:RATES": 0.2 * math.sqrt(5 * 365 / (start - TODAY).days)})
    terms = swaption(
        fixed_rate=0.062, start=start, expiry=start, maturity=halves[-1], calendar="none", float_frequency=2
    )
    assert 100 * value(terms, market)[0] == pytest.approx(2.07, abs=5e-3)
    # the annuity and the forward rate that the text prints, from two swaptions that are sure to be exercised
    sure = [
        100 * value(terms.model_copy(update={"fixed_rate": k}), _without_volatility(market))[0] for k in (0.01, 0.02)
    ]
    annuity = (sure[0] - sure[1]) / 0.01
    assert annuity / 100 == pytest.approx(2.0036, abs=5e-5)
    assert 0.01 + sure[0] / annuity == pytest.approx(0.060909, abs=5e-7)


def _without_volatility(market: ScenarioMarket) -> ScenarioMarket:
    states = market.states.copy()
    states[market.index.row["VOL:RATES"]] = 0.0
    return ScenarioMarket(market.valuation_date, market.index, states[:, 0], states[:, 1:])


@pytest.mark.parametrize(
    ("sign", "forward", "strike", "stdev", "expected", "tolerance"),
    [
        (1.0, 100.0, 100.0, 20.0, 7.978846, 5e-7),
        (-1.0, 100.0, 100.0, 200.0, 79.788456, 5e-7),
        (1.0, -0.005, 0.0, 0.006 * math.sqrt(5), 0.00321982, 5e-9),
        (-1.0, -0.005, 0.0, 0.006 * math.sqrt(5), 0.00821982, 5e-9),
        (1.0, 0.03, 0.02, 0.0, 0.01, 1e-17),
        (-1.0, 0.03, 0.02, 0.0, 0.0, 0.0),
    ],
)
def test_bacheliers_formula(
    sign: float, forward: float, strike: float, stdev: float, expected: float, tolerance: float
) -> None:
    assert bachelier(sign, forward, strike, stdev) == pytest.approx(expected, abs=tolerance)


# Identities ----------------------------------------------------------------------------------------------------------

RATES = {"YC:USD:1Y": [0.01, 0.03, -0.02], "YC:USD:10Y": [0.02, 0.015, -0.01]}
MODELS = [{"shift": 0.06}, NORMAL]


@pytest.mark.parametrize("model", MODELS)
def test_cap_less_floor_is_the_swap_that_pays_the_strike(model: dict[str, Any]) -> None:
    market = flat(0.02, **RATES)
    dates = {"start": "2020-06-16", "maturity": "2025-06-16"}
    swap = parse_terms("interest_rate_swap", swap_terms(**dates, fixed_frequency=4, fixed_day_count="Actual360"))
    parity = value(cap(**model), market) - value(cap(option_type="floor", **model), market)
    np.testing.assert_allclose(parity, value(swap, market), rtol=0, atol=1e-15)


@pytest.mark.parametrize("model", MODELS)
def test_payer_less_receiver_is_the_forward_swap(model: dict[str, Any]) -> None:
    market = flat(0.02, **RATES)
    swap = parse_terms("interest_rate_swap", swap_terms())
    parity = value(swaption(**model), market) - value(swaption(pay_fixed=False, **model), market)
    np.testing.assert_allclose(parity, value(swap, market), rtol=0, atol=1e-15)


def test_a_cap_of_one_period_is_a_swaption_into_it() -> None:
    dates = {"start": "2021-03-16", "maturity": "2021-09-16", "float_frequency": 2}
    market = flat(0.02, **RATES)
    one = cap(**dates, shift=0.06)
    other = swaption(**dates, fixed_frequency=2, fixed_day_count="Actual360", shift=0.06)
    np.testing.assert_allclose(value(one, market), value(other, market), rtol=1e-13)


def test_a_curve_named_twice_is_one_curve() -> None:
    """On one curve the floating leg is a unit at the start less one at the end; on two, period by period."""
    market = flat(0.02, **RATES, **{f"YC:USD_B:{i[7:]}": v for i, v in RATES.items()}, **{"YC:USD_B:30Y": 0.02})
    one, two = swaption(shift=0.06), swaption(shift=0.06, projection_curve="USD_B")
    np.testing.assert_allclose(value(one, market), value(two, market), rtol=1e-13)


# Against QuantLib where the random contracts do not reach ------------------------------------------------------------


@pytest.mark.parametrize("settlement", ["physical", "cash"])
@pytest.mark.parametrize(("fixed_rate", "rate"), [(0.01, 0.02), (0.03, 0.02), (-0.002, -0.004)])
def test_settlement_in_cash(settlement: str, fixed_rate: float, rate: float) -> None:
    """Against QuantLib, whose cash annuity discounts by 30/360: the same where no payment moves off a holiday."""
    before = ql.Settings.instance().evaluationDate
    try:
        today = ql.Date(16, 3, 2020)
        ql.Settings.instance().evaluationDate = today
        start, end = ql.Date(16, 3, 2023), ql.Date(16, 3, 2033)
        curve = ql.YieldTermStructureHandle(ql.FlatForward(today, rate, ql.Actual365Fixed()))
        annual = ql.Schedule(
            start, end, ql.Period(1, ql.Years), ql.NullCalendar(), ql.Unadjusted, ql.Unadjusted,
            ql.DateGeneration.Backward, False,
        )  # fmt: skip
        index = ql.IborIndex(
            "I", ql.Period(1, ql.Years), 0, ql.EURCurrency(), ql.NullCalendar(), ql.Unadjusted, False,
            ql.Actual360(), curve,
        )  # fmt: skip
        swap = ql.VanillaSwap(
            ql.Swap.Receiver, 1.0, annual, fixed_rate, ql.Thirty360(ql.Thirty360.BondBasis), annual, index, 0.0,
            ql.Actual360(),
        )  # fmt: skip
        how = (ql.Settlement.Cash, ql.Settlement.ParYieldCurve)
        option = ql.Swaption(swap, ql.EuropeanExercise(ql.Date(14, 3, 2023)), *(how if settlement == "cash" else ()))
        quote = ql.QuoteHandle(ql.SimpleQuote(0.2))
        engine = ql.BlackSwaptionEngine(curve, quote, ql.Actual365Fixed(), 0.03, ql.BlackSwaptionEngine.DiscountCurve)
        option.setPricingEngine(engine)
        theirs = option.NPV()
    finally:
        ql.Settings.instance().evaluationDate = before
    terms = swaption(
        pay_fixed=False, fixed_rate=fixed_rate, expiry="2023-03-14", start="2023-03-16", maturity="2033-03-16",
        fixed_frequency=1, float_frequency=1, calendar="none", business_day_convention="Unadjusted", shift=0.03,
        settlement=settlement,
    )  # fmt: skip
    assert value(terms, flat(rate))[0] == pytest.approx(theirs, rel=1e-12)


# Days on which something happens, and limits -------------------------------------------------------------------------


def test_the_running_period_pays_what_its_fixing_says() -> None:
    terms = cap(start="2020-01-16", maturity="2020-04-16", fixings='{"2020-01-16": 0.03}')
    market = flat(0.02)
    paid = 0.01 * (dt.date(2020, 4, 16) - dt.date(2020, 1, 16)).days / 360
    assert value(terms, market)[0] == pytest.approx(paid * math.exp(-0.02 * 31 / 365), rel=1e-14)
    # nothing else is read: no volatility
    assert cap_floor.risk_factors(terms, market.index, TODAY) == ("YC:USD:30Y",)
    with pytest.raises(
        NotValuable, match=r"The period from 2020-01-16 needs its floating rate in fixings; given: none."
    ):
        cap(start="2020-01-16", maturity="2020-04-16").check(TODAY)


def test_a_period_that_begins_today_is_worth_its_intrinsic_value() -> None:
    market = flat(0.05)
    (unknown,) = value(cap(start=TODAY, maturity="2020-06-16"), market)
    growth = math.exp(0.05 * 92 / 365)
    assert unknown == pytest.approx((growth - 1 - 0.02 * 92 / 360) / growth, rel=1e-12)
    (known,) = value(cap(start=TODAY, maturity="2020-06-16", fixings={TODAY: 0.03}), market)
    assert known == pytest.approx(0.01 * 92 / 360 / growth, rel=1e-12)


def test_a_swaption_that_expires_today_is_worth_the_swap_or_nothing() -> None:
    market = flat(0.03)
    dates = {"start": "2020-03-18", "expiry": TODAY}
    swap = value(parse_terms("interest_rate_swap", swap_terms(start="2020-03-18")), market)[0]
    assert value(swaption(**dates), market)[0] == pytest.approx(swap, rel=1e-12)
    assert value(swaption(pay_fixed=False, **dates), market)[0] == 0.0


@pytest.mark.parametrize("terms", [cap(), swaption(), cap(option_type="floor"), swaption(pay_fixed=False)])
def test_black_refuses_a_negative_base_and_has_its_limit_in_a_scenario(terms: InstrumentTerms) -> None:
    contract = Contract(terms.contract_id(), terms.instrument_type, terms.to_json())
    (failure,) = value_batch([contract], flat(-0.01)).failures
    assert failure.reason == "negative_rate"
    assert "model black has none below 0.0000%, the shift of this contract" in failure.message
    # from just above zero to just below, and far below: as intrinsic values go
    at = value(terms, flat(0.0, **{"YC:USD:30Y": [0.01, 1e-9, 0.0, -1e-9, -0.01]}))
    np.testing.assert_allclose(at[1:4], at[2], rtol=0, atol=1e-7)
    normal = terms.model_copy(update={"model": "normal", "volatility": "NV:RATES"})
    intrinsic = value(normal, flat(-0.01, **{"NV:RATES": 0.0}))[0]
    assert at[4] == pytest.approx(intrinsic, rel=1e-13)


@pytest.mark.parametrize(
    ("make", "changes", "words"),
    [
        (cap, {"strike": -0.01}, "model black needs strike + shift above zero, not -0.01 + 0; give a larger shift"),
        (swaption, {"fixed_rate": -0.01, "shift": 0.01}, "needs fixed_rate + shift above zero, not -0.01 + 0.01"),
        (cap, {**NORMAL, "shift": 0.01}, "shift does nothing without model black; give that, or leave shift out"),
        (swaption, {"expiry": "2021-03-17"}, "expiry 2021-03-17 must not lie after start 2021-03-16 of the swap"),
        (cap, {"start": "2025-06-16"}, "start 2025-06-16 must lie before maturity 2025-06-16"),
        (swaption, {"start": "2026-03-16"}, "start 2026-03-16 must lie before maturity 2026-03-16"),
        (cap, {"option_type": "call"}, "expected 'cap' or 'floor'"),
        (swaption, {"model": "sabr"}, "expected 'black' or 'normal' (black (lognormal, on the rate plus `shift`)"),
        (swaption, {"settlement": "no"}, "expected 'physical' or 'cash' (physical (the swap is entered into)"),
    ],
)
def test_terms_that_are_refused(make: Any, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=re.escape(words)):
        make(**changes)


def test_a_volatility_of_the_wrong_kind_is_refused() -> None:
    terms = cap(model="normal")
    contract = Contract(terms.contract_id(), terms.instrument_type, terms.to_json())
    (failure,) = value_batch([contract], flat(0.02)).failures
    assert failure.reason == "missing_risk_factor"
    assert "VOL:RATES is of type implied_vol" in failure.message
