"""Inflation-linked bonds and swaps against the rules of the US Treasury, hand computations and identities."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from make_market import factor

from lake.errors import BadInput
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor, ScenarioSet
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.market.inflation import month_of, projected_index
from valuation.market.rolled_market import Carry, roll
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, NotValuable

TODAY = dt.date(2020, 3, 16)
RATES = {"1Y": 0.01, "2Y": 0.02, "5Y": 0.025}
CURVE = {"YC:USD:1Y": 0.01, "YC:USD:10Y": 0.03}


def inflation_market(
    today: dt.date = TODAY, level: float | tuple[float, ...] = 250.0, rates: dict[str, float] = RATES, **zeros: float
) -> ScenarioMarket:
    """Of one level of the index, or several: the base and the scenarios."""
    quotes = {f"INF:{p}": r for p, r in rates.items()}
    factors = [
        RiskFactor("CPI:US", "price_index", "CPI:US", "USD"),
        *(RiskFactor(i, "inflation_rate", i, "USD", "INF", i.removeprefix("INF:")) for i in quotes),
        *map(factor, CURVE),
    ]
    index = FactorIndex.of(factors)
    levels = np.atleast_1d(np.asarray(level, dtype=np.float64))
    held = quotes | {k: zeros.get("zero", v) for k, v in CURVE.items()}
    states = np.array(
        [
            levels if f.risk_factor_id == "CPI:US" else np.full(len(levels), held[f.risk_factor_id])
            for f in index.factors
        ]
    )
    return ScenarioMarket(today, index, states[:, 0], states[:, 1:])


def linker(**changes: Any) -> Any:
    terms = {
        "currency": "USD",
        "issue_date": "2019-03-16",
        "maturity": "2022-03-16",
        "coupon": 0.01,
        "frequency": 1,
        "calendar": "none",
        "discount_curve": "USD",
        "price_index": "CPI:US",
        "inflation_curve": "INF",
        "base_index": 250.0,
        "interpolation": "flat",
    }
    return parse_terms("inflation_bond", terms | changes)


def swap(**changes: Any) -> Any:
    terms = {
        "currency": "USD",
        "pay_fixed": True,
        "fixed_rate": 0.02,
        "start": "2020-03-16",
        "maturity": "2022-03-16",
        "calendar": "none",
        "discount_curve": "USD",
        "price_index": "CPI:US",
        "inflation_curve": "INF",
        "interpolation": "flat",
    }
    return parse_terms("inflation_swap", terms | changes)


def values(terms: Any, market: ScenarioMarket) -> np.ndarray:
    block = value_batch([Contract(terms.contract_id(), terms.instrument_type, terms.to_json())], market)
    assert block.failures == ()
    return np.concatenate([block.base, block.base + block.pnl[0]])


def discount(market: ScenarioMarket, day: dt.date) -> float:
    return float(market.discount("USD", np.array([(day - market.valuation_date).days / 365]))[0, 0])


# The reference index -----------------------------------------------------------------------------------------------


def test_the_reference_index_of_the_us_treasury():
    """31 CFR 356 appendix B: with 154.40 for 1 April 1996 (CPI of January) and 154.90 for 1 May, 15 April has 154.63333."""
    terms = linker(
        issue_date="1996-04-15", maturity="2006-04-15", interpolation="linear",
        fixings={"1996-01-01": 154.40, "1996-02-01": 154.90},
    )  # fmt: skip
    reference = terms.reference(np.array([dt.date(1996, 4, 15).toordinal()]))
    assert len(reference.projected) == 0
    assert round(float(reference.known[0]), 5) == 154.63333
    flat = terms.model_copy(update={"interpolation": "flat"}).reference(np.array([dt.date(1996, 4, 15).toordinal()]))
    assert flat.known[0] == 154.40


@pytest.mark.parametrize(
    ("day", "printed"), [("2013-01-01", 1.16546), ("2013-01-15", 1.16296), ("2013-02-01", 1.15994)]
)
def test_index_ratios_that_the_us_treasury_published(day, printed):
    """2% TIPS of January 2016, CUSIP 912828ET3: reference CPI 198.47742 on its dated date, 15 January 2006."""
    fixings = {
        "2005-10-01": 199.2,
        "2005-11-01": 197.6,
        "2012-10-01": 231.317,
        "2012-11-01": 230.221,
        "2012-12-01": 229.601,
    }
    terms = linker(issue_date="2006-01-15", maturity="2016-01-15", interpolation="linear", fixings=fixings)
    days = np.array([d.toordinal() for d in (dt.date(2006, 1, 15), dt.date.fromisoformat(day))])
    dated, on = terms.reference(days).known
    assert round(float(dated), 5) == 198.47742
    assert round(float(on / dated), 5) == printed


def test_an_index_interpolates_over_the_days_of_its_own_month():
    """Of 29 February 2020, 28 of 29 days have passed; a lag of 2 months reaches over the year."""
    terms = linker(interpolation="linear", observation_lag=2)
    months, weights, known = terms.reference(np.array([dt.date(2020, 2, 29).toordinal()]))
    assert months[:, 0].tolist() == [month_of(dt.date(2019, 12, 1)), month_of(dt.date(2020, 1, 1))]
    np.testing.assert_allclose(weights[:, 0], [1 / 29, 28 / 29], rtol=1e-14)
    assert known[0] == 0.0


# Bonds -------------------------------------------------------------------------------------------------------------


def test_a_linker_by_hand():
    """Coupons of 1 at the index of one and two years from now and the redemption, each over the base index of 240."""
    market = inflation_market()
    growths = [250 * 1.01, 250 * 1.02**2]
    days = [dt.date(2021, 3, 16), dt.date(2022, 3, 16)]
    amounts = [1.0 * growths[0] / 240, 101.0 * growths[1] / 240]
    expected = sum(a * discount(market, d) for a, d in zip(amounts, days, strict=True))
    assert values(linker(base_index=240.0), market)[0] == pytest.approx(expected, rel=1e-13)


def test_between_pillars_the_growth_is_linear_in_its_logarithm_and_beyond_the_last_it_goes_on():
    market = inflation_market()
    months = month_of(dt.date(2019, 12, 1)) + np.array([0, 6, 18, 72])
    path = projected_index(market, "CPI:US", "INF", 3, months)[:, 0] / 250
    two, five = 1.02**2, 1.025**5
    np.testing.assert_allclose(path, [1.0, 1.01**0.5, (1.01 * two) ** 0.5, five * (five / two) ** (1 / 3)], rtol=1e-13)


def test_without_inflation_it_is_a_bond():
    market = inflation_market(rates=dict.fromkeys(RATES, 0.0))
    shared = {"coupon": 0.03, "frequency": 2, "maturity": "2029-11-15"}
    fields = INSTRUMENTS["government_bond"].Terms.model_fields
    plain = parse_terms("government_bond", {k: v for k, v in (dict(linker()) | shared).items() if k in fields})
    for interpolation in ("flat", "linear"):
        made = values(linker(**shared, interpolation=interpolation, deflation_floor=True), market)
        np.testing.assert_allclose(made, values(plain, market), rtol=1e-14)


def test_the_floor_is_for_the_redemption_alone_and_by_scenario():
    """The index at 200, 250 and 300 against a base of 280, without inflation and interest: ratios of 5/7, 25/28 and 15/14."""
    market = inflation_market(level=(250.0, 200.0, 300.0), rates=dict.fromkeys(RATES, 0.0), zero=0.0)
    ratios = np.array([250, 200, 300]) / 280
    np.testing.assert_allclose(values(linker(base_index=280.0), market), 102 * ratios, rtol=1e-14)
    floored = values(linker(base_index=280.0, deflation_floor=True), market)
    np.testing.assert_allclose(floored, 2 * ratios + 100 * np.maximum(ratios, 1), rtol=1e-14)


def test_what_is_published_is_known_whatever_the_level():
    """The payment of 16 April 2020 hangs on the index of January, given as 260, and that of the 16th also on February's."""
    terms = linker(maturity="2020-04-16", issue_date="2019-04-16", fixings={"2020-01-01": 260.0})
    market = inflation_market(level=(250.0, 200.0))
    expected = 101 * 260 / 250 * discount(market, dt.date(2020, 4, 16))
    np.testing.assert_allclose(values(terms, market), expected, rtol=1e-14)
    read = INSTRUMENTS["inflation_bond"].risk_factors(terms, market.index, TODAY)
    assert all(f.startswith("YC:") for f in read)
    half = values(terms.model_copy(update={"interpolation": "linear"}), market)
    later = 250 * 1.01 ** (2 / 12)
    expected = 101 * (260 + 0.5 * (later - 260)) / 250 * discount(market, dt.date(2020, 4, 16))
    assert half[0] == pytest.approx(expected, rel=1e-13)


def test_it_reads_the_pillars_up_to_its_maturity():
    market = inflation_market()
    read = INSTRUMENTS["inflation_bond"].risk_factors(linker(maturity="2021-01-16"), market.index, TODAY)
    assert {f for f in read if f.startswith("INF")} == {"INF:1Y"}
    read = INSTRUMENTS["inflation_bond"].risk_factors(linker(maturity="2021-06-16"), market.index, TODAY)
    assert {f for f in read if f.startswith("INF")} == {"INF:1Y", "INF:2Y"}


# Swaps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("years", "rate"), [(1, 0.01), (2, 0.02), (5, 0.025)])
def test_a_swap_at_its_quoted_rate_is_worth_nothing(years, rate):
    market = inflation_market(level=(250.0, 225.0))
    at_par = swap(maturity=TODAY.replace(year=2020 + years), fixed_rate=rate)
    np.testing.assert_allclose(values(at_par, market), 0.0, atol=1e-15)
    received = values(swap(maturity=TODAY.replace(year=2020 + years), fixed_rate=rate + 0.01, pay_fixed=False), market)
    worth = ((1.01 + rate) ** years - (1 + rate) ** years) * discount(market, TODAY.replace(year=2020 + years))
    np.testing.assert_allclose(received, worth, rtol=1e-12)


def test_a_running_swap_by_hand():
    """Started a year ago at an index of 240: in a year the index is 252.5."""
    market = inflation_market()
    terms = swap(start="2019-03-16", maturity="2021-03-16", base_index=240.0)
    expected = (252.5 / 240 - 1.02**2) * discount(market, dt.date(2021, 3, 16))
    assert values(terms, market)[0] == pytest.approx(expected, rel=1e-12)
    fixed = swap(start="2019-03-16", maturity="2021-03-16", fixings={"2018-12-01": 240.0})
    assert values(fixed, market)[0] == pytest.approx(expected, rel=1e-12)


# Time --------------------------------------------------------------------------------------------------------------


def test_the_path_of_the_index_stays_while_forwards_are_realised():
    market = inflation_market()
    base = market.states[:, 0]
    held = ScenarioSet(
        "", "still", "historical", TODAY, {}, market.index, ("a",), base, 1.01 * base[:, None], np.ones(len(base), np.bool_)
    )  # fmt: skip
    later = dt.date(2020, 5, 20)
    rolled = ScenarioMarket.of(roll(held, later, "forwards", Carry()), later)
    months = month_of(dt.date(2020, 2, 1)) + np.array([0, 7, 30])
    then, now = projected_index(rolled, "CPI:US", "INF", 3, months), projected_index(market, "CPI:US", "INF", 3, months)
    np.testing.assert_array_equal(then[:, 0], now[:, 0])
    # a scenario at the end of the roll moves the level, and rates from there on
    np.testing.assert_allclose(then[0, 1] / then[0, 0], 1.01, rtol=1e-13)
    assert (then[1:, 1] > 1.01 * then[1:, 0]).all()


# Refusals ----------------------------------------------------------------------------------------------------------


def test_a_month_before_that_of_the_level_must_be_known():
    with pytest.raises(NotValuable, match=r"The index of 2018-12-01 is needed in fixings: .* given: none") as error:
        swap(start="2019-03-16").check(TODAY)
    assert error.value.reason == "missing_fixing"
    # a payment due on Saturday 29 February, made on Monday, hangs on the index of November
    over = linker(maturity="2020-02-29", issue_date="2019-02-28", calendar="weekdays")
    with pytest.raises(NotValuable, match="The index of 2019-11-01 is needed in fixings"):
        over.check(dt.date(2020, 3, 1))
    known = over.model_copy(update={"fixings": {dt.date(2019, 11, 1): 260.0}})
    market = inflation_market(dt.date(2020, 3, 1))
    assert values(known, market)[0] == pytest.approx(101 * 260 / 250 * discount(market, dt.date(2020, 3, 2)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fixings": {"2020-01-15": 260}}, "2020-01-15 is not the first day of a month"),
        ({"base_index": 0}, "reference index from which"),
        ({"interpolation": "cubic"}, "linear between months"),
        ({"observation_lag": -1}, "months from the index to the payments"),
    ],
)
def test_terms_that_are_not_valid_are_refused_with_what_is_expected(changes, words):
    with pytest.raises(BadInput, match=words):
        linker(**changes)


def test_an_inflation_curve_and_an_index_must_be_such():
    market = inflation_market()
    module = INSTRUMENTS["inflation_bond"]
    with pytest.raises(MissingRiskFactor, match="Curve USD has pillars of type zero_rate; an inflation curve has"):
        module.risk_factors(linker(inflation_curve="USD"), market.index, TODAY)
    with pytest.raises(MissingRiskFactor, match=r"INF:1Y is of type inflation_rate .*CPI:US"):
        module.risk_factors(linker(price_index="INF:1Y"), market.index, TODAY)
