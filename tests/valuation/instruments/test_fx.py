"""FX spot, swap, option and non-deliverable forward against published values and identities."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pytest
from make_market import make_market, value

from lake.errors import VarlakeError
from scenarios.types import ScenarioSet
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.market.rolled_market import Carry, RolledBase, roll, still
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import InstrumentTerms, NotValuable

TODAY = dt.date(2020, 3, 16)
LEVELS = {
    "FX:EURUSD": [1.1, 1.2, 0.9],
    "VOL:EURUSD": [0.1, 0.2, 0.0],
    "YC:USD:1Y": [0.02, 0.03, -0.01],
    "YC:EUR:1Y": [-0.004, 0.001, 0.0],
}
MARKET = make_market(TODAY, LEVELS)


def pair(instrument_type: str, **terms: Any) -> InstrumentTerms:
    of = {"currency": "USD", "base_currency": "EUR"}
    if instrument_type != "fx_spot":
        of |= {"quote_curve": "USD"} | ({} if "base_rate" in terms else {"base_curve": "EUR"})
    return parse_terms(instrument_type, {**of, **terms})


def forward(strike: float, maturity: dt.date | str) -> np.ndarray:
    return value(pair("fx_forward", strike=strike, maturity=maturity), MARKET)


def ndf(**changes: Any) -> InstrumentTerms:
    terms = {"strike": 1.15, "settlement_currency": "EUR", "fixing_date": "2020-09-14", "maturity": "2020-09-16"}
    return pair("non_deliverable_forward", **{**terms, **changes})


def test_a_spot_trade_is_the_difference_of_the_rates_until_it_settles() -> None:
    spot = pair("fx_spot", strike=1.12, maturity="2020-03-18")
    np.testing.assert_allclose(value(spot, MARKET), [-0.02, 0.08, -0.22], rtol=1e-14)
    assert INSTRUMENTS["fx_spot"].risk_factors(spot, MARKET.index, TODAY) == ("FX:EURUSD",)
    assert spot.notes(TODAY) == ()
    (note,) = spot.notes(dt.date(2020, 3, 6))
    assert "settles in 12 days" in note
    with pytest.raises(NotValuable, match="matured on 2020-03-18"):
        spot.check(dt.date(2020, 3, 19))


def test_a_swap_is_a_forward_bought_and_one_sold() -> None:
    near, far = dt.date(2020, 4, 16), dt.date(2021, 1, 15)
    swap = pair("fx_swap", near_strike=1.09, near_maturity=near, strike=1.13, maturity=far)
    np.testing.assert_allclose(value(swap, MARKET), forward(1.09, near) - forward(1.13, far), rtol=1e-13)
    running = pair("fx_swap", near_strike=1.09, near_maturity="2020-03-13", strike=1.13, maturity=far)
    np.testing.assert_array_equal(value(running, MARKET), -forward(1.13, far))


def test_a_swap_at_the_forward_rates_of_its_dates_is_worth_nothing() -> None:
    at = {t: 1.1 * math.exp((0.004 + 0.02) * t / 365) for t in (2, 367)}
    near, far = (TODAY + dt.timedelta(days=t) for t in at)
    swap = pair("fx_swap", near_strike=at[2], near_maturity=near, strike=at[367], maturity=far)
    assert value(swap, MARKET)[0] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("spot", "strike", "domestic", "foreign", "years", "volatility", "printed", "digits"),
    [
        (1.56, 1.60, 0.06, 0.08, 0.5, 0.12, 0.0291, 4),  # Haug 1998
        (1.6, 1.6, 0.08, 0.11, 4 / 12, 0.141, 0.043, 3),  # Hull
    ],
)
def test_published_currency_options(spot, strike, domestic, foreign, years, volatility, printed, digits) -> None:
    # whole days cannot make these times: rates and variance are scaled so that their products with time are the book's
    days = round(years * 365)
    scale = years / (days / 365)
    levels = {"FX:EURUSD": spot, "VOL:EURUSD": volatility * math.sqrt(scale), "YC:USD:10Y": domestic * scale}
    expiry = TODAY + dt.timedelta(days=days)
    option = pair(
        "fx_option",
        volatility="VOL:EURUSD",
        strike=strike,
        expiry=expiry,
        option_type="call",
        base_rate=foreign * scale,
    )
    assert round(float(value(option, make_market(TODAY, levels))[0]), digits) == printed


def test_a_call_less_a_put_is_a_forward() -> None:
    terms = {"volatility": "VOL:EURUSD", "strike": 1.13, "expiry": "2021-03-16"}
    call, put = (value(pair("fx_option", option_type=kind, **terms), MARKET) for kind in ("call", "put"))
    np.testing.assert_allclose(call - put, forward(1.13, "2021-03-16"), atol=1e-15)


def test_a_call_on_one_currency_is_a_put_on_the_other() -> None:
    """A call on EUR at K dollars is K puts on USD at 1/K euros: in dollars they cost the same."""
    call = pair("fx_option", volatility="VOL:EURUSD", strike=1.25, expiry="2021-03-16", option_type="call")
    put = parse_terms(
        "fx_option",
        {"currency": "EUR", "base_currency": "USD", "volatility": "VOL:EURUSD", "strike": 1 / 1.25, "expiry": "2021-03-16",
         "option_type": "put", "quote_curve": "EUR", "base_curve": "USD"},
    )  # fmt: skip
    np.testing.assert_allclose(
        value(call, MARKET), 1.25 * value(put, MARKET) * MARKET.level("FX:EURUSD"), rtol=1e-12, atol=1e-15
    )


def test_an_option_is_worth_its_intrinsic_value_on_the_day_it_expires() -> None:
    option = pair("fx_option", volatility="VOL:EURUSD", strike=1.15, expiry=TODAY, option_type="call")
    np.testing.assert_allclose(value(option, MARKET), [0, 0.05, 0], rtol=1e-14)


def test_a_non_deliverable_forward_that_fixes_when_it_pays_is_a_forward() -> None:
    day = "2020-12-16"
    for currency in ("EUR", "USD"):
        same_day = ndf(settlement_currency=currency, fixing_date=day, maturity=day)
        np.testing.assert_allclose(value(same_day, MARKET), forward(1.15, day), rtol=1e-12)


def test_a_fixed_forward_pays_what_the_fixing_says() -> None:
    """By hand: settled in EUR (1.2 - 1.15) / 1.2 = 1/24 EUR in 10 days, in USD 0.05 USD."""
    fixed = {"fixing_date": "2020-03-13", "fixing": 1.2, "maturity": "2020-03-26"}
    in_base, in_quote = (
        value(ndf(settlement_currency=c, **fixed), MARKET) * np.exp(MARKET.level(f"YC:{c}:1Y") * 10 / 365)
        for c in ("EUR", "USD")
    )
    np.testing.assert_allclose(in_base, MARKET.level("FX:EURUSD") / 24, rtol=1e-12)
    np.testing.assert_allclose(in_quote, 0.05, rtol=1e-12)
    assert INSTRUMENTS["non_deliverable_forward"].risk_factors(
        ndf(settlement_currency="USD", **fixed), MARKET.index, TODAY
    ) == ("YC:USD:1Y",)


def test_on_the_fixing_date_the_spot_rate_of_each_scenario_counts_until_the_fixing_is_given() -> None:
    today = {"settlement_currency": "USD", "fixing_date": TODAY, "maturity": TODAY}
    np.testing.assert_allclose(value(ndf(**today), MARKET), [-0.05, 0.05, -0.25], rtol=1e-13)
    np.testing.assert_allclose(value(ndf(**today, fixing=1.16), MARKET), [0.01] * 3, rtol=1e-12)


def test_a_passed_fixing_is_asked_for() -> None:
    with pytest.raises(NotValuable, match="needs in fixing the spot rate published for 2020-03-13") as error:
        ndf(fixing_date="2020-03-13").check(TODAY)
    assert error.value.reason == "missing_fixing"


@pytest.mark.parametrize("how", ["forwards", "constant"])
def test_a_fixing_inside_a_roll_is_the_spot_rate_of_that_day_as_rolled(how: Any) -> None:
    base = MARKET.states[:, 0]
    nothing = np.zeros(len(base), np.bool_)
    calm = still(ScenarioSet("", "s", "historical", TODAY, {}, MARKET.index, ("a",), base, base[:, None], nothing))
    fixing_date, maturity = dt.date(2020, 9, 14), dt.date(2020, 9, 16)
    on_fixing = RolledBase(calm, how, Carry()).market(fixing_date).fx("EUR", "USD")[0]
    later = ScenarioMarket.of(roll(calm, maturity, how, Carry()), maturity)
    for terms in (ndf(fixing_date=fixing_date), ndf(fixing_date=fixing_date, base_rate=-0.004)):
        terms.check(maturity, rolled_from=TODAY)
        got = INSTRUMENTS["non_deliverable_forward"].value([terms], later)[0]
        assert got == pytest.approx(later.fx("EUR", "USD") * (1 - 1.15 / on_fixing), rel=1e-12)


@pytest.mark.parametrize(
    ("instrument_type", "changes", "words"),
    [
        ("fx_spot", {"strike": 1.1, "maturity": "2020-03-18", "base_currency": "USD"}, "both USD"),
        ("fx_spot", {"strike": 0, "maturity": "2020-03-18"}, "greater than 0"),
        (
            "fx_swap",
            {"near_strike": 1, "near_maturity": "2020-06-16", "strike": 1, "maturity": "2020-06-16"},
            "near_maturity 2020-06-16 must lie before maturity 2020-06-16",
        ),
        (
            "fx_option",
            {"strike": 1, "volatility": "V", "expiry": "2021-01-04", "option_type": "buy"},
            "'call' or 'put'",
        ),
        (
            "non_deliverable_forward",
            {"settlement_currency": "GBP"},
            "GBP is neither base_currency EUR nor currency USD",
        ),
        ("non_deliverable_forward", {"fixing_date": "2020-09-17"}, "must not lie after maturity 2020-09-16"),
    ],
)
def test_faulty_terms_teach(instrument_type: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(VarlakeError, match=words):
        ndf(**changes) if instrument_type == "non_deliverable_forward" else pair(instrument_type, **changes)
