"""Equity, FX and commodity instruments against published values and QuantLib over random grids."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from make_market import make_market, value

from lake.errors import VarlakeError
from scenarios.types import MissingRiskFactor
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.types import NotValuable

TODAY = dt.date(2020, 3, 16)
DAY_COUNT = ql.Actual365Fixed()


@pytest.fixture(autouse=True)
def quantlib_today():
    """QuantLib's evaluation date is global: set for the oracle, put back afterwards."""
    before = ql.Settings.instance().evaluationDate
    ql.Settings.instance().evaluationDate = to_quantlib(TODAY)
    yield
    ql.Settings.instance().evaluationDate = before


def to_quantlib(day: dt.date) -> ql.Date:
    return ql.Date(day.day, day.month, day.year)


def quantlib_curve(zeros: dict[int, float]) -> ql.YieldTermStructureHandle:
    """Log-linear discount curve through zero rates by days."""
    start = to_quantlib(TODAY)
    curve = ql.DiscountCurve(
        [start, *(start + d for d in zeros)],
        [1.0, *(math.exp(-z * d / 365) for d, z in zeros.items())],
        DAY_COUNT,
    )
    curve.enableExtrapolation()
    return ql.YieldTermStructureHandle(curve)


def random_zeros(rng: np.random.Generator) -> dict[int, float]:
    return {d: float(rng.uniform(-0.01, 0.08)) for d in (30, 182, 730, 3650)}


def pillars(curve: str, zeros: dict[int, float]) -> dict[str, float]:
    return {f"YC:{curve}:{d}D": z for d, z in zeros.items()}


def option(**changes):
    terms = {
        "currency": "USD",
        "underlying": "EQ:A",
        "volatility": "VOL:A",
        "strike": 100,
        "expiry": dt.date(2021, 3, 16),
        "option_type": "call",
        "discount_curve": "USD",
    }
    return parse_terms("equity_option", {**terms, **changes})


def test_a_share_or_index_is_worth_its_level():
    market = make_market(TODAY, {"EQ:A": [10, 11, 12.5], "IX:SPX": 2400})
    np.testing.assert_array_equal(
        value(parse_terms("cash_equity", {"currency": "USD", "underlying": "EQ:A"}), market), [10, 11, 12.5]
    )
    np.testing.assert_array_equal(
        value(parse_terms("cash_equity", {"currency": "USD", "underlying": "IX:SPX"}), market), [2400] * 3
    )


@pytest.mark.parametrize(
    ("spot", "strike", "rate", "dividend", "days", "volatility", "kind", "printed", "digits"),
    [
        (60, 65, 0.08, 0.0, 0.25, 0.30, "call", 2.1334, 4),  # Haug 1998
        (75, 70, 0.10, 0.05, 0.50, 0.35, "put", 4.0870, 4),
        (42, 40, 0.04, 0.08, 0.75, 0.35, "call", 5.0975, 4),
        (42, 40, 0.10, 0.0, 0.50, 0.20, "call", 4.76, 2),  # Hull
        (42, 40, 0.10, 0.0, 0.50, 0.20, "put", 0.81, 2),
    ],
)
def test_published_option_values(spot, strike, rate, dividend, days, volatility, kind, printed, digits):
    # Whole days cannot make a quarter of a year: the rates are scaled so that rate x time is the book's.
    expiry = TODAY + dt.timedelta(days=round(days * 365))
    scale = days / (round(days * 365) / 365)
    market = make_market(TODAY, {"EQ:A": spot, "VOL:A": volatility * math.sqrt(scale), "YC:USD:10Y": rate * scale})
    terms = option(strike=strike, expiry=expiry, option_type=kind, dividend_yield=dividend * scale)
    assert round(float(value(terms, market)[0]), digits) == printed


def test_options_agree_with_quantlib_over_a_random_grid():
    rng = np.random.default_rng(20)
    for _ in range(120):
        spot, volatility = float(rng.uniform(20, 300)), float(rng.uniform(0.05, 1.0))
        dividend, strike = float(rng.uniform(-0.02, 0.06)), float(rng.uniform(20, 300))
        kind = str(rng.choice(["call", "put"]))
        expiry = TODAY + dt.timedelta(days=int(rng.integers(1, 4000)))
        zeros = random_zeros(rng)
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(spot)),
            ql.YieldTermStructureHandle(ql.FlatForward(to_quantlib(TODAY), dividend, DAY_COUNT)),
            quantlib_curve(zeros),
            ql.BlackVolTermStructureHandle(
                ql.BlackConstantVol(to_quantlib(TODAY), ql.NullCalendar(), volatility, DAY_COUNT)
            ),
        )
        oracle = ql.EuropeanOption(
            ql.PlainVanillaPayoff(ql.Option.Call if kind == "call" else ql.Option.Put, strike),
            ql.EuropeanExercise(to_quantlib(expiry)),
        )
        oracle.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        market = make_market(TODAY, {"EQ:A": spot, "VOL:A": volatility, **pillars("USD", zeros)})
        got = value(option(strike=strike, expiry=expiry, option_type=kind, dividend_yield=dividend), market)[0]
        assert got == pytest.approx(oracle.NPV(), rel=1e-10, abs=1e-11)


def test_a_call_less_a_put_is_a_forward():
    market = make_market(TODAY, {"EQ:A": [95, 60, 140], "VOL:A": [0.3, 0.9, 0.1], "YC:USD:1Y": [0.01, -0.02, 0.05]})
    common = {"strike": 97.5, "dividend_yield": 0.03}
    forward = parse_terms(
        "equity_forward",
        {"currency": "USD", "underlying": "EQ:A", "maturity": "2021-03-16", "discount_curve": "USD", **common},
    )
    parity = value(option(**common), market) - value(option(option_type="put", **common), market)
    np.testing.assert_allclose(parity, value(forward, market), atol=1e-12)


def test_an_option_is_worth_its_intrinsic_value_on_the_day_it_expires_and_fails_afterwards():
    market = make_market(TODAY, {"EQ:A": [104.5, 90, 100], "VOL:A": 0.4, "YC:USD:1Y": 0.05})
    np.testing.assert_array_equal(value(option(expiry=TODAY), market), [4.5, 0, 0])
    np.testing.assert_array_equal(value(option(expiry=TODAY, option_type="put"), market), [0, 10, 0])
    with pytest.raises(NotValuable, match="matured on 2020-03-15") as error:
        value(option(expiry=dt.date(2020, 3, 15)), market)
    assert error.value.reason == "matured"


def test_forwards_struck_at_their_forward_price_are_worth_nothing():
    rng = np.random.default_rng(7)
    for _ in range(40):
        zeros, foreign = random_zeros(rng), random_zeros(rng)
        days = int(rng.integers(1, 3600))
        maturity = TODAY + dt.timedelta(days=days)
        discount = quantlib_curve(zeros).discount(to_quantlib(maturity))
        discount_base = quantlib_curve(foreign).discount(to_quantlib(maturity))
        q = float(rng.uniform(-0.02, 0.08))
        levels = {"EQ:A": 120.0, "CM:WTI": -36.98, "FX:EURUSD": 1.1, **pillars("USD", zeros), **pillars("EUR", foreign)}
        market = make_market(TODAY, levels)
        common = {"currency": "USD", "maturity": maturity}
        struck = {
            "equity_forward": {
                "underlying": "EQ:A",
                "dividend_yield": q,
                "strike": 120 * math.exp(-q * days / 365) / discount,
                "discount_curve": "USD",
            },
            "commodity_forward": {
                "underlying": "CM:WTI",
                "carry": q,
                "strike": -36.98 * math.exp(q * days / 365),
                "discount_curve": "USD",
            },
            "fx_forward": {
                "base_currency": "EUR",
                "strike": 1.1 * discount_base / discount,
                "quote_curve": "USD",
                "base_curve": "EUR",
            },
        }
        for instrument_type, terms in struck.items():
            assert value(parse_terms(instrument_type, {**common, **terms}), market)[0] == pytest.approx(0, abs=1e-12)


def test_forwards_agree_with_quantlib_discounting():
    rng = np.random.default_rng(3)
    for _ in range(60):
        zeros, foreign = random_zeros(rng), random_zeros(rng)
        days = int(rng.integers(0, 4000))
        maturity = TODAY + dt.timedelta(days=days)
        time = DAY_COUNT.yearFraction(to_quantlib(TODAY), to_quantlib(maturity))
        df = quantlib_curve(zeros).discount(to_quantlib(maturity))
        df_base = quantlib_curve(foreign).discount(to_quantlib(maturity))
        k, x = float(rng.uniform(0.5, 150)), float(rng.uniform(-0.05, 0.05))
        market = make_market(
            TODAY,
            {"EQ:A": 88, "CM:WTI": -5, "FX:EURUSD": 1.25, **pillars("USD", zeros), **pillars("EUR", foreign)},
        )
        common = {"currency": "USD", "strike": k, "maturity": maturity}
        carried = ql.InterestRate(x, DAY_COUNT, ql.Continuous, ql.Annual).discountFactor(time)
        cases = [
            ("equity_forward", {"underlying": "EQ:A", "dividend_yield": x, "discount_curve": "USD"}, 88 * carried - k * df),
            ("commodity_forward", {"underlying": "CM:WTI", "carry": -x, "discount_curve": "USD"}, (-5 * carried - k) * df),
            ("fx_forward", {"base_currency": "EUR", "quote_curve": "USD", "base_curve": "EUR"}, 1.25 * df_base - k * df),
            ("fx_forward", {"base_currency": "EUR", "quote_curve": "USD", "base_rate": x}, 1.25 * carried - k * df),
        ]  # fmt: skip
        for instrument_type, terms, expected in cases:
            got = value(parse_terms(instrument_type, {**common, **terms}), market)[0]
            assert got == pytest.approx(expected, rel=1e-13, abs=1e-12)


def test_hulls_fx_forward():
    """Hull: buy EUR 10m at 1.12 in 2 years, spot 1.10, USD 4%, EUR 2% continuous, is worth 229,780.75."""
    market = make_market(TODAY, {"FX:EURUSD": 1.10, "YC:USD:5Y": 0.04})
    terms = parse_terms(
        "fx_forward",
        {"currency": "USD", "base_currency": "EUR", "strike": 1.12, "maturity": TODAY + dt.timedelta(days=730),
         "quote_curve": "USD", "base_rate": 0.02},
    )  # fmt: skip
    assert round(10e6 * value(terms, market)[0], 2) == 229_780.75


def test_crosses_are_triangulated_in_every_state():
    levels = {"FX:EURUSD": [1.1, 1.2], "FX:EURJPY": [120, 110], "YC:JPY:1Y": 0.0, "YC:USD:1Y": 0.0}
    market = make_market(TODAY, levels)
    np.testing.assert_allclose(market.fx("USD", "JPY"), [120 / 1.1, 110 / 1.2], rtol=1e-15)
    np.testing.assert_allclose(market.fx("JPY", "USD") * market.fx("USD", "JPY"), 1, rtol=1e-15)
    np.testing.assert_array_equal(market.fx("USD", "USD"), [1, 1])
    terms = parse_terms(
        "fx_forward",
        {"currency": "JPY", "base_currency": "USD", "strike": 100, "maturity": TODAY, "quote_curve": "JPY",
         "base_curve": "USD"},
    )  # fmt: skip
    np.testing.assert_allclose(value(terms, market), [120 / 1.1 - 100, 110 / 1.2 - 100], rtol=1e-13)
    assert set(INSTRUMENTS["fx_forward"].risk_factors(terms, market.index, TODAY)) == set(levels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"underlying": "EQ:B"}, "Unknown risk factor 'EQ:B'. Nearest valid: EQ:A"),
        ({"underlying": "VOL:A"}, "VOL:A is of type implied_vol in USD"),
        ({"volatility": "EQ:A"}, "Nearest valid: VOL:A"),
        ({"currency": "EUR"}, "EQ:A is of type equity_price in USD"),
        ({"discount_curve": "US"}, "Unknown curve 'US'. Nearest valid: USD"),
    ],
)
def test_an_option_on_factors_the_market_lacks_says_which_would_do(changes, message):
    market = make_market(TODAY, {"EQ:A": 100, "VOL:A": 0.3, "YC:USD:1Y": 0.01})
    with pytest.raises(MissingRiskFactor, match=message.replace(".", r"\.")):
        INSTRUMENTS["equity_option"].risk_factors(option(**changes), market.index, TODAY)


@pytest.mark.parametrize(
    ("changes", "column", "words"),
    [
        ({"strike": -5}, "strike", "greater than 0"),
        ({"strike": "nan"}, "strike", "finite"),
        ({"expiry": "20210316"}, "expiry", "2026-03-31"),
        ({"expiry": 1615852800}, "expiry", "2026-03-31"),
        ({"option_type": "Call"}, "option_type", "'call' or 'put'"),
        ({"dividend_yield": 2.5}, "dividend_yield", "0.02 is 2%"),
        ({"currency": "dollar"}, "currency", "ISO 4217"),
        ({"volatility": ""}, "volatility", "is missing"),
        ({"volatilty": "VOL:A"}, "volatilty", "nearest: volatility"),
    ],
)
def test_faulty_terms_name_the_column_the_value_and_what_is_expected(changes, column, words):
    with pytest.raises(VarlakeError) as error:
        option(**changes)
    (issue,) = error.value.issues
    assert issue.pointer == column
    assert words in issue.message
    assert "pattern" not in issue.message
    assert column in error.value.message
    given = next(iter(changes.values()))
    assert issue.value == (str(given) if given else None)


def test_all_faults_are_listed_at_once():
    with pytest.raises(VarlakeError) as error:
        parse_terms("fx_forward", {"currency": "USD", "base_currency": "euro", "strike": 0})
    assert {i.pointer for i in error.value.issues} == {"base_currency", "strike", "maturity", "quote_curve"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"base_currency": "USD"}, "both USD"), ({"base_rate": 0.01}, "exactly one"), ({"base_curve": ""}, "exactly one")],
)
def test_an_fx_forward_exchanges_two_currencies_and_discounts_each_once(changes, words):
    good = {"currency": "USD", "base_currency": "EUR", "strike": 1, "maturity": "2021-01-04", "quote_curve": "USD"}
    with pytest.raises(VarlakeError, match=words):
        parse_terms("fx_forward", {**good, "base_curve": "EUR", **changes})


def test_an_unknown_instrument_type_names_the_nearest():
    with pytest.raises(VarlakeError, match="equity_option"):
        parse_terms("equity_opton", {})
