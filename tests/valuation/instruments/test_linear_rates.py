"""Deposits, FRAs and swaps on projection curves: printed values, the quotes they are bootstrapped from, fixings, resets and refusals."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from typing import Any

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from make_market import make_market, value

from lake.errors import BadInput
from scenarios.types import FactorIndex, RiskFactor, ScenarioSet
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.instruments import schedules
from valuation.market.rolled_market import Carry, RolledBase, roll
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, InstrumentTerms, NotValuable

TODAY = dt.date(2020, 3, 16)
SPOT = dt.date(2020, 3, 18)

PLAIN = {"calendar": "none", "business_day_convention": "Unadjusted"}


def terms_of(instrument_type: str, **given: Any) -> InstrumentTerms:
    return parse_terms(instrument_type, {"currency": "USD", "discount_curve": "USD_SOFR", **given})


def price(instrument_type: str, market: ScenarioMarket, **given: Any) -> float:
    return float(value(terms_of(instrument_type, **given), market)[0])


# Hull's printed examples ----------------------------------------------------------------------------------------------


def zeros(curve: str, rates: dict[dt.date, float]) -> dict[str, float]:
    """Pillars with the discount factor exp(-rate x months / 12) on each date."""
    levels = {}
    for day, rate in rates.items():
        days = (day - TODAY).days
        months = (day.year - TODAY.year) * 12 + day.month - TODAY.month
        levels[f"YC:{curve}:{days}D"] = rate * months / 12 * 365 / days
    return levels


def test_hulls_swap_as_a_series_of_fras() -> None:
    """Receive 8% semi-annual, pay 6 months floating last fixed at 10.2%, 10, 10.5 and 11% for 3, 9 and 15 months: -4.267 on 100."""
    days = [dt.date(2020, 6, 16), dt.date(2020, 12, 16), dt.date(2021, 6, 16)]
    market = make_market(TODAY, zeros("USD", dict(zip(days, (0.10, 0.105, 0.11), strict=True))))
    half = {"fixed_rate": 0.08, "day_count": "Thirty360", "discount_curve": "USD", "pay_fixed": False, **PLAIN}
    # an agreement is settled at its start with the value, then, of what a swap pays at its end
    fras = [price("forward_rate_agreement", market, start=a, maturity=b, **half) for a, b in itertools.pairwise(days)]
    first = (0.08 - 0.102) / 2 * math.exp(-0.10 * 0.25)
    assert round(100 * (first + sum(fras)), 3) == -4.267


def test_hulls_currency_swap() -> None:
    """Receive 5% on JPY 1,200m, pay 8% on USD 10m, 3 years annual, 4% and 9% continuous, 110 yen a dollar: $1.5430m."""
    years = [TODAY.replace(year=TODAY.year + k) for k in (1, 2, 3)]
    levels = zeros("USD", dict.fromkeys(years, 0.09)) | zeros("JPY", dict.fromkeys(years, 0.04))
    market = make_market(TODAY, {**levels, "FX:USDJPY": 110.0})
    got = price(
        "cross_currency_swap", market, base_currency="JPY", initial_exchange_rate=1 / 120, start=TODAY, maturity=years[-1], frequency=1,
        day_count="Thirty360", fixed_rate=0.08, discount_curve="USD", base_frequency=1, base_day_count="Thirty360",
        base_fixed_rate=0.05, base_curve="JPY", **PLAIN,
    )  # fmt: skip
    assert round(1200 * got, 4) == 1.5430


# A market of quotes ---------------------------------------------------------------------------------------------------


def quote(curve: str, pillar: str, kind: str, **attributes: str) -> RiskFactor:
    pairs = tuple(sorted({"calendar": "weekdays", **attributes}.items()))
    return RiskFactor(f"YC:{curve}:{pillar}", kind, pillar, curve[:3], curve, pillar, pairs)


ACROSS = {"projection_curve": "EUR", "reference_curve": "USD_3M", "reference_discount_curve": "USD_SOFR"}
QUOTES = {
    quote("USD_SOFR", "3M", "deposit_rate"): 0.011,
    quote("USD_SOFR", "2Y", "swap_rate", day_count="Actual360"): 0.009,
    quote("USD_SOFR", "10Y", "swap_rate", day_count="Actual360"): 0.012,
    quote("USD_3M", "3M", "deposit_rate"): 0.013,
    quote("USD_3M", "6M", "fra_rate", start="3M"): 0.0125,
    quote("USD_3M", "2Y", "swap_rate", discount_curve="USD_SOFR", frequency="2"): 0.0115,
    quote("USD_3M", "10Y", "swap_rate", discount_curve="USD_SOFR", frequency="2"): 0.0142,
    quote("USD_6M", "10Y", "basis_spread", discount_curve="USD_SOFR", reference_curve="USD_3M", float_frequency="2"): -0.0012,
    quote("EUR", "1Y", "deposit_rate"): -0.004,
    quote("EUR", "10Y", "swap_rate", day_count="Actual360"): 0.001,
    quote("EUR_USD", "5Y", "basis_spread", **ACROSS): -0.0015,
    quote("EUR_USD", "10Y", "basis_spread", **ACROSS, resetting="true"): -0.0011,
    RiskFactor("FX:EURUSD", "fx_rate", "FX:EURUSD", "USD"): 1.12,
}  # fmt: skip
INDEX = FactorIndex.of(QUOTES)
BASE = np.array([QUOTES[f] for f in INDEX.factors])


def quoted(n: int = 8) -> ScenarioMarket:
    noise = np.random.default_rng(2).standard_normal((len(BASE), n))
    return ScenarioMarket(TODAY, INDEX, BASE, BASE[:, None] + 0.002 * noise)


EURO_LEG = {
    "base_currency": "EUR",
    "base_frequency": 4,
    "base_curve": "EUR_USD",
    "base_projection_curve": "EUR",
    "frequency": 4,
}
AT_PAR: dict[str, tuple[str, dict[str, Any], str]] = {
    "YC:USD_SOFR:3M": ("deposit", {"maturity": "2020-06-18", "discount_curve": "USD_SOFR"}, "fixed_rate"),
    "YC:USD_3M:6M": (
        "forward_rate_agreement",
        {"start": "2020-06-18", "maturity": "2020-09-18", "pay_fixed": True, "projection_curve": "USD_3M"},
        "fixed_rate",
    ),
    "YC:USD_SOFR:10Y": ("overnight_swap", {"maturity": "2030-03-18", "pay_fixed": True}, "fixed_rate"),
    "YC:USD_3M:10Y": (
        "interest_rate_swap",
        {
            "maturity": "2030-03-18", "pay_fixed": False, "fixed_frequency": 2, "float_frequency": 4,
            "fixed_day_count": "Thirty360", "float_day_count": "Actual360", "projection_curve": "USD_3M",
        },
        "fixed_rate",
    ),
    "YC:USD_6M:10Y": (
        "basis_swap",
        {
            "maturity": "2030-03-18", "receive_projection_curve": "USD_6M", "receive_frequency": 2,
            "pay_projection_curve": "USD_3M", "pay_frequency": 4,
        },
        "receive_spread",
    ),
    "YC:EUR_USD:5Y": (
        "cross_currency_swap", {**EURO_LEG, "maturity": "2025-03-18", "projection_curve": "USD_3M"}, "base_spread"
    ),
    "YC:EUR_USD:10Y": (
        "cross_currency_swap",
        {**EURO_LEG, "maturity": "2030-03-18", "projection_curve": "USD_3M", "resetting": True},
        "base_spread",
    ),
}  # fmt: skip


@pytest.mark.parametrize("risk_factor_id", AT_PAR)
def test_a_contract_at_its_quote_is_worth_nothing(risk_factor_id: str) -> None:
    """In each state, at the quote of that state: the curve and the pricer have the same dates and the same sums."""
    kind, given, term = AT_PAR[risk_factor_id]
    market = quoted()
    for state, level in enumerate(market.level(risk_factor_id)):
        more: dict[str, Any] = {"start": SPOT, **given, term: float(level)}
        if kind == "cross_currency_swap":
            days = np.array([2 / 365])
            forward = market.discount("EUR_USD", days) / market.discount("USD_SOFR", days)
            worth = market.fx("EUR", "USD") * (forward[0] if "resetting" in given else 1.0)
            more["initial_exchange_rate"] = float(worth[state])
        assert value(terms_of(kind, **more), market)[state] == pytest.approx(0, abs=2e-13)


def test_a_rolled_par_swap_stays_a_sum_of_value_and_cash() -> None:
    """Over a coupon, with forwards realised, value and cash together have earned the discount curve's rate alone."""
    kind, given, _ = AT_PAR["YC:USD_3M:10Y"]
    terms = terms_of(kind, start=SPOT, fixed_rate=0.0142, **given)
    still = ScenarioSet(
        "", "s", "historical", TODAY, {}, INDEX, ("a",), BASE, BASE[:, None].copy(), np.zeros(len(BASE), np.bool_)
    )
    markets = RolledBase(still, "forwards", Carry())
    origin = markets.market(TODAY)
    start = float(value(terms, origin)[0])
    for to in (dt.date(2020, 9, 21), dt.date(2021, 3, 18), dt.date(2022, 1, 5)):
        rolled = ScenarioMarket.of(roll(still, to, "forwards", Carry()), to)
        block = value_batch([Contract(terms.contract_id(), kind, terms.to_json())], rolled)
        flows = INSTRUMENTS[kind].cash_flows(terms, markets, to)
        days = np.array([(f.day - TODAY).days for f in flows] + [(to - TODAY).days]) / 365
        paid = np.array([f.amount for f in flows] + [float(block.base[0])])
        assert float((paid * origin.discount("USD_SOFR", days)[:, 0]).sum()) == pytest.approx(start, abs=1e-13)


@pytest.mark.parametrize("resetting", [False, True])
def test_a_rolled_cross_currency_swap_is_too(resetting: bool) -> None:
    terms = terms_of(
        "cross_currency_swap", start=dt.date(2020, 3, 18), maturity="2025-03-18", initial_exchange_rate=1.1, projection_curve="USD_3M",
        base_spread=0.001, resetting=resetting, **EURO_LEG,
    )  # fmt: skip
    still = ScenarioSet(
        "", "s", "historical", TODAY, {}, INDEX, ("a",), BASE, BASE[:, None].copy(), np.zeros(len(BASE), np.bool_)
    )
    carry = Carry(curves={"EUR": "EUR_USD", "USD": "USD_SOFR"})
    markets = RolledBase(still, "forwards", carry)
    origin, to = markets.market(TODAY), dt.date(2021, 7, 20)
    rolled = ScenarioMarket.of(roll(still, to, "forwards", carry), to)
    block = value_batch([Contract(terms.contract_id(), terms.instrument_type, terms.to_json())], rolled)
    assert block.failures == ()
    flows = INSTRUMENTS["cross_currency_swap"].cash_flows(terms, markets, to)
    days = np.array([(f.day - TODAY).days for f in flows] + [(to - TODAY).days]) / 365
    paid = np.array([f.amount for f in flows] + [float(block.base[0])])
    start = float(value(terms, origin)[0])
    assert float((paid * origin.discount("USD_SOFR", days)[:, 0]).sum()) == pytest.approx(start, abs=1e-12)
    assert len([f for f in flows if f.kind == "notional"]) == (2 + 2 * 5 if resetting else 2)


# By hand --------------------------------------------------------------------------------------------------------------

FLAT = make_market(TODAY, {"YC:USD_SOFR:1Y": 0.01, "YC:USD_3M:1Y": 0.02, "YC:EUR:1Y": 0.005, "FX:EURUSD": 1.1})


def test_a_deposit_on_and_around_its_days() -> None:
    given = {"fixed_rate": 0.03, "start": "2020-03-16", "maturity": "2020-09-16", "day_count": "Thirty360"}
    growth = 1 + 0.03 * 0.5
    assert price("deposit", FLAT, **given) == pytest.approx(growth * math.exp(-0.01 * 184 / 365), abs=1e-15)
    ahead = given | {"start": "2020-03-17"}
    lent = math.exp(-0.01 / 365)
    accrual = 179 / 360
    assert price("deposit", FLAT, **ahead) == pytest.approx(
        (1 + 0.03 * accrual) * math.exp(-0.01 * 184 / 365) - lent, abs=1e-15
    )
    with pytest.raises(NotValuable) as error:
        price("deposit", FLAT, **given | {"start": "2019-09-16", "maturity": "2020-03-16"})
    assert error.value.reason == "matured"


def test_a_fra_on_its_first_day_takes_a_fixing_that_is_given() -> None:
    given = {
        "pay_fixed": True,
        "fixed_rate": 0.015,
        "start": "2020-03-16",
        "maturity": "2020-06-16",
        "projection_curve": "USD_3M",
    }
    a = 92 / 360
    projected = (math.exp(0.02 * 92 / 365) - 1) / a
    assert price("forward_rate_agreement", FLAT, **given) == pytest.approx(
        (projected - 0.015) * a / (1 + projected * a), abs=1e-15
    )
    fixed = price("forward_rate_agreement", FLAT, **given, fixings={"2020-03-16": 0.02})
    assert fixed == pytest.approx((0.02 - 0.015) * a / (1 + 0.02 * a), abs=1e-15)


def test_an_overnight_swap_in_its_running_period_by_hand() -> None:
    """From Thursday the 12th: two fixings, Friday's for three days; then the curve from Monday on."""
    given = {
        "pay_fixed": True, "fixed_rate": 0.0, "start": "2020-03-12", "maturity": "2020-06-12", "projection_curve": "USD_3M",
    }  # fmt: skip
    known = (1 + 0.011 / 360) * (1 + 0.012 * 3 / 360)
    days = (dt.date(2020, 6, 12) - TODAY).days
    expected = (known * math.exp(0.02 * days / 365) - 1) * math.exp(-0.01 * days / 365)
    fixings = {"2020-03-12": 0.011, "2020-03-13": 0.012}
    assert price("overnight_swap", FLAT, **given, fixings=fixings) == pytest.approx(expected, abs=1e-15)
    told = given | {"compounded": {"2020-03-13": 1 + 0.011 / 360}, "fixings": {"2020-03-13": 0.012}}
    assert price("overnight_swap", FLAT, **told) == pytest.approx(expected, abs=1e-15)
    with pytest.raises(NotValuable, match="overnight rate of 2020-03-13 is needed in fixings") as error:
        price("overnight_swap", FLAT, **given, fixings={"2020-03-12": 0.011})
    assert error.value.reason == "missing_fixing"


def test_an_overnight_period_that_has_ended_waits_for_its_payment() -> None:
    """It ended on Monday, and is paid on Wednesday: what it pays is known, and discounted for two days."""
    given = {"pay_fixed": True, "fixed_rate": 0.01, "start": "2020-03-12", "maturity": "2020-03-16", "payment_lag": 2}
    fixings = {"2020-03-12": 0.011, "2020-03-13": 0.012}
    paid = (1 + 0.011 / 360) * (1 + 0.012 * 3 / 360) - 1 - 0.01 * 4 / 360
    assert price("overnight_swap", FLAT, **given, fixings=fixings) == pytest.approx(
        paid * math.exp(-0.01 * 2 / 365), abs=1e-16
    )


def test_a_notional_that_resets_by_hand() -> None:
    """Two quarters, the second reset on the valuation date: at spot in every state, or at the rate that is given."""
    given = {
        "base_currency": "EUR", "initial_exchange_rate": 1.2, "start": "2019-12-16", "maturity": "2020-06-16", "frequency": 4,
        "fixed_rate": 0.04, "day_count": "Thirty360", "base_frequency": 4, "base_curve": "EUR", "base_fixed_rate": 0.0,
        "resetting": True,
    }  # fmt: skip
    days = (dt.date(2020, 6, 16) - TODAY).days
    euro, dollar = math.exp(-0.005 * days / 365), math.exp(-0.01 * days / 365)
    at_spot = 1.1 * euro - 1.1 * 1.01 * dollar
    assert price("cross_currency_swap", FLAT, **given) == pytest.approx(at_spot, abs=1e-15)
    at_fixing = 1.1 * euro - 1.15 * 1.01 * dollar
    assert price("cross_currency_swap", FLAT, **given, fx_fixings={"2020-03-16": 1.15}) == pytest.approx(
        at_fixing, abs=1e-15
    )
    with pytest.raises(NotValuable, match="period from 2020-02-17 needs its exchange rate in fx_fixings") as error:
        price("cross_currency_swap", FLAT, **given | {"start": "2019-11-15", "maturity": "2020-05-15"})
    assert error.value.reason == "missing_fixing"


def test_a_cross_currency_swap_without_exchange_is_its_coupons() -> None:
    given = {
        "base_currency": "EUR", "initial_exchange_rate": 1.2, "start": "2020-03-16", "maturity": "2020-06-16", "frequency": 4,
        "fixed_rate": 0.04, "day_count": "Thirty360", "base_frequency": 4, "base_curve": "EUR", "base_fixed_rate": 0.02,
        "base_day_count": "Thirty360", "notional_exchange": False,
    }  # fmt: skip
    days = (dt.date(2020, 6, 16) - TODAY).days
    expected = 1.1 * 0.005 * math.exp(-0.005 * days / 365) - 1.2 * 0.01 * math.exp(-0.01 * days / 365)
    assert price("cross_currency_swap", FLAT, **given) == pytest.approx(expected, abs=1e-16)


def test_a_projection_curve_that_is_the_discount_curve_changes_nothing_but_bits() -> None:
    """The sum of all periods is what lies between the first and the last day."""
    given = {
        "pay_fixed": True, "fixed_rate": 0.01, "start": "2020-03-18", "maturity": "2027-03-18", "fixed_frequency": 1,
        "float_frequency": 12, "fixed_day_count": "Thirty360", "float_day_count": "Actual360",
    }  # fmt: skip
    levels = {"YC:USD_SOFR:1Y": 0.01, "YC:USD_SOFR:9Y": 0.02, "YC:TWIN:1Y": 0.01, "YC:TWIN:9Y": 0.02}
    market = make_market(TODAY, levels)
    one, two = (price("interest_rate_swap", market, **given, **p) for p in ({}, {"projection_curve": "TWIN"}))
    assert one == pytest.approx(two, abs=1e-13)


def test_odd_periods_are_those_of_quantlib() -> None:
    """A long first and a short last period, by the first date and the next to last date of a schedule."""
    start, first, last, end = dt.date(2020, 3, 18), dt.date(2020, 7, 20), dt.date(2024, 7, 20), dt.date(2024, 9, 2)
    terms: Any = terms_of(
        "interest_rate_swap", pay_fixed=True, fixed_rate=0.01, start=start, maturity=end, first_period_end=first,
        last_period_start=last, fixed_frequency=2, float_frequency=4, fixed_day_count="Thirty360", float_day_count="Actual360",
    )  # fmt: skip
    made = ql.Schedule(
        ql.Date(18, 3, 2020), ql.Date(2, 9, 2024), ql.Period("3M"), ql.WeekendsOnly(), ql.ModifiedFollowing,
        ql.ModifiedFollowing, ql.DateGeneration.Backward, False, ql.Date(20, 7, 2020), ql.Date(20, 7, 2024),
    )  # fmt: skip
    leg = terms.floating_leg()
    theirs = [dt.date(d.year(), d.month(), d.dayOfMonth()).toordinal() for d in made]
    assert [*leg.starts.tolist(), int(leg.payments[-1])] == theirs
    assert leg.payments.tolist() == theirs[1:]
    accruals = [
        schedules.year_fraction(dt.date.fromordinal(a), dt.date.fromordinal(b), "Actual360")
        for a, b in itertools.pairwise(theirs)
    ]
    np.testing.assert_allclose(leg.accruals, accruals, rtol=0, atol=1e-15)


# Reads and refusals ---------------------------------------------------------------------------------------------------


def test_a_two_year_swap_reads_no_ten_year_point_of_the_curve_it_projects_on() -> None:
    kind, given, _ = AT_PAR["YC:USD_3M:10Y"]
    terms = terms_of(kind, **given | {"maturity": "2021-09-18", "start": SPOT, "fixed_rate": 0.01})
    read = INSTRUMENTS[kind].risk_factors(terms, INDEX, TODAY)
    assert "YC:USD_3M:10Y" not in read
    assert {"YC:USD_SOFR:2Y", "YC:USD_3M:2Y"} <= {*read}


def test_an_infinite_rate_is_no_value_of_zero() -> None:
    index = FactorIndex.of([RiskFactor("YC:X:1Y", "zero_rate", "", "USD", "X", "1Y")])
    market = ScenarioMarket(TODAY, index, np.array([0.01]), np.array([[math.inf]]))
    assert np.isnan(market.discount("X", np.array([0.5]))[0, 1])


CROSS = {
    "base_currency": "EUR", "initial_exchange_rate": 1.1, "start": "2020-03-18", "maturity": "2022-03-18", "frequency": 4,
    "base_frequency": 4, "base_curve": "EUR",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("cross_currency_swap", {**CROSS, "base_currency": "USD"}, "base_currency and currency are both USD"),
        ("cross_currency_swap", {**CROSS, "fixed_rate": 0.01, "spread": 0.01}, "fixed_rate makes the leg fixed; spread would"),
        ("cross_currency_swap", {**CROSS, "resetting": True, "notional_exchange": False}, "a notional that resets is exchanged"),
        ("cross_currency_swap", {**CROSS, "fx_fixings": {"2020-03-18": 1.1}}, "fx_fixings does nothing without resetting True"),
        ("cross_currency_swap", {**CROSS, "initial_exchange_rate": -1.1}, "initial_exchange_rate = -1.1"),
        ("cross_currency_swap", {**CROSS, "first_period_end": "2022-03-18"}, "must lie between start 2020-03-18 and maturity"),
        ("deposit", {"fixed_rate": 1.1, "start": "2020-03-16", "maturity": "2020-06-16"}, "0.03 is 3%"),
        ("deposit", {"fixed_rate": 0.1, "start": "2020-06-16", "maturity": "2020-03-16"}, "must lie before maturity"),
        ("overnight_swap", {"pay_fixed": True, "fixed_rate": 0.1, "start": "2020-03-16", "payment_lag": 30}, "0 to 10"),
        ("basis_swap", {"start": "2020-03-16", "maturity": "2021-03-16", "receive_frequency": 3}, "1, 2, 4 or 12"),
    ],
)  # fmt: skip
def test_faulty_terms_teach(kind: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as error:
        terms_of(kind, **given)
    assert words in error.value.message


def test_a_deposit_without_a_business_day_in_it_says_so() -> None:
    with pytest.raises(NotValuable, match="no business day between 2020-03-21 and 2020-03-22") as error:
        price("deposit", FLAT, fixed_rate=0.01, start="2020-03-21", maturity="2020-03-22")
    assert error.value.reason == "invalid_schedule"
