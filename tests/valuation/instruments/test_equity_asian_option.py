"""Options on averages: published values, QuantLib, parity, fixings and the noise of the simulation."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from examples import BASE, INDEX, TODAY
from make_market import make_market, value

from lake.errors import BadInput
from scenarios.types import ScenarioSet
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.instruments.equity.equity_asian_option import Terms, standard_errors
from valuation.instruments.schedules import observation_days
from valuation.kernels.asian import average_options, simulated_average_option
from valuation.market.rolled_market import Carry, RolledBase
from valuation.types import NotValuable

MARKET = {"EQ:A": [100.0, 103.0, 88.0], "VOL:A": [0.25, 0.3, 0.6], "YC:USD:1Y": [0.03, 0.01, -0.005]}
MONTHS = ["2020-04-16", "2020-07-16", "2020-10-16", "2021-01-18", "2021-03-16"]


def asian(**changes: Any) -> Terms:
    terms = {
        "currency": "USD", "underlying": "EQ:A", "volatility": "VOL:A", "strike": 100, "expiry": "2021-03-16",
        "option_type": "call", "averaging_dates": MONTHS, "dividend_yield": 0.02, "discount_curve": "USD",
    }  # fmt: skip
    given = {k: v for k, v in (terms | changes).items() if v is not None}
    parsed = parse_terms("equity_asian_option", given)
    assert isinstance(parsed, Terms)
    return parsed


@pytest.mark.parametrize(
    ("prices", "printed"),
    [(2, 1.3942835683), (4, 1.5852442983), (8, 1.66970673), (12, 1.6980019214), (26, 1.7255070456)],
)
def test_values_that_levy_prints(prices: int, printed: float) -> None:
    """Levy 1997: a put of 87 on 90, eleven months, the first price today. What is printed is itself off by some thousandths:
    of two prices, one of them known, the value is an integral.
    """
    rate, dividend, volatility, length = 0.025, 0.06, 0.13, 11 / 12
    times = np.arange(1, prices) * length / (prices - 1)
    factors, carried = np.exp(-rate * times)[:, None], np.exp(-dividend * times)
    moves = np.cumsum(
        np.random.default_rng(5).standard_normal((20_000, prices - 1)) * math.sqrt(length / (prices - 1)), axis=1
    )
    states = np.array([90.0]), np.array([volatility]), factors[-1]
    simulated, error = simulated_average_option(
        -1.0, 87.0, float(prices), 0.0, 1.0, times, carried, factors, moves, *states
    )
    assert error[0] < 5e-4
    assert simulated[0] == pytest.approx(printed, abs=3e-3)
    matched = average_options(
        *(np.array([x]) for x in (-1.0, False, 87.0, float(prices), 0.0, 1.0)), np.array([0, prices - 1]), times, carried,
        np.arange(prices - 1), factors, *(np.array([x]) for x in states),
    )  # fmt: skip
    assert matched[0, 0] == pytest.approx(printed, abs=0.03)


def test_the_geometric_average_has_the_value_that_clewlow_and_strickland_print() -> None:
    """S = K = 100, q 3%, r 6%, volatility 20%, ten prices in a year."""
    times = np.arange(1, 11) / 10
    got = average_options(
        *(np.array([x]) for x in (1.0, True, 100.0, 10.0, 0.0, 0.0)), np.array([0, 10]), times, np.exp(-0.03 * times),
        np.arange(10), np.exp(-0.06 * times)[:, None], np.array([[100.0]]), np.array([[0.2]]), np.array([[math.exp(-0.06)]]),
    )  # fmt: skip
    assert got[0, 0] == pytest.approx(5.3425606635, abs=1e-9)


@pytest.fixture
def quantlib_today():
    before = ql.Settings.instance().evaluationDate
    ql.Settings.instance().evaluationDate = ql.Date(16, 3, 2020)
    yield
    ql.Settings.instance().evaluationDate = before


def in_quantlib(terms: Terms, average: int, past: float, n_past: int) -> tuple[ql.DiscreteAveragingAsianOption, Any]:
    """The option and its process in the base of MARKET."""
    day_count, today = ql.Actual365Fixed(), ql.Date(16, 3, 2020)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(100.0)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, terms.dividend_yield, day_count)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, 0.03, day_count)),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), 0.25, day_count)),
    )
    kind = ql.Option.Call if terms.option_type == "call" else ql.Option.Put
    ahead = [ql.Date(d.day, d.month, d.year) for d in terms.days() if d not in terms.fixings]
    expiry = ql.EuropeanExercise(ql.Date(terms.expiry.day, terms.expiry.month, terms.expiry.year))
    payoff = ql.PlainVanillaPayoff(kind, terms.strike)
    return ql.DiscreteAveragingAsianOption(average, past, n_past, ahead, payoff, expiry), process


@pytest.mark.parametrize("kind", ["call", "put"])
@pytest.mark.parametrize("fixings", [{}, {"2020-01-16": 95.0, "2020-02-17": 112.0}])
@pytest.mark.usefixtures("quantlib_today")
def test_the_geometric_average_agrees_with_quantlib(kind: str, fixings: dict[str, float]) -> None:
    terms = asian(option_type=kind, average="geometric", averaging_dates=[*fixings, *MONTHS], fixings=fixings)
    option, process = in_quantlib(terms, ql.Average.Geometric, math.prod(fixings.values()), len(fixings))
    option.setPricingEngine(ql.AnalyticDiscreteGeometricAveragePriceAsianEngine(process))
    assert value(terms, make_market(TODAY, MARKET))[0] == pytest.approx(option.NPV(), abs=1e-11)


@pytest.mark.parametrize("fixings", [{}, {"2020-01-16": 95.0, "2020-02-17": 112.0}])
@pytest.mark.usefixtures("quantlib_today")
def test_the_simulation_agrees_with_that_of_quantlib(fixings: dict[str, float]) -> None:
    terms = asian(method="monte_carlo", paths=20_000, averaging_dates=[*fixings, *MONTHS], fixings=fixings)
    option, process = in_quantlib(terms, ql.Average.Arithmetic, sum(fixings.values()), len(fixings))
    engine = ql.MCDiscreteArithmeticAPEngine(
        process, "pseudorandom", controlVariate=True, requiredSamples=40_000, seed=3
    )
    option.setPricingEngine(engine)
    market = make_market(TODAY, MARKET)
    error = math.hypot(standard_errors([terms], market)[0, 0], option.errorEstimate())
    assert error < 0.012
    assert value(terms, market)[0] == pytest.approx(option.NPV(), abs=4 * error)


@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
@pytest.mark.parametrize("kind", ["call", "put"])
def test_the_average_of_one_price_at_expiry_is_the_option(average: str, kind: str) -> None:
    market = make_market(TODAY, MARKET)
    terms = asian(option_type=kind, average=average, averaging_dates=["2021-03-16"])
    vanilla = terms.model_dump(include={"currency", "underlying", "volatility", "strike", "expiry", "option_type"})
    european = parse_terms("equity_option", {**vanilla, "dividend_yield": 0.02, "discount_curve": "USD"})
    np.testing.assert_allclose(value(terms, market), value(european, market), rtol=1e-13)


def test_a_call_less_a_put_is_the_mean_less_the_strike() -> None:
    market = make_market(TODAY, MARKET)
    fixings = {"2020-02-17": 130.0}
    call, put = (asian(option_type=k, averaging_dates=[*fixings, *MONTHS], fixings=fixings) for k in ("call", "put"))
    times = np.array([(dt.date.fromisoformat(d) - TODAY).days / 365 for d in MONTHS])
    rates, spots = np.array(MARKET["YC:USD:1Y"]), np.array(MARKET["EQ:A"])
    forwards = spots * np.exp((rates - 0.02) * times[:, None])
    expected = np.exp(-rates) * ((130.0 + forwards.sum(axis=0)) / 6 - 100.0)
    np.testing.assert_allclose(value(call, market) - value(put, market), expected, atol=1e-12)
    # when the known prices alone exceed the strike, the call is that mean and the put is nothing
    deep = {"averaging_dates": [*fixings, *MONTHS], "fixings": fixings, "strike": 20}
    np.testing.assert_allclose(
        value(asian(**deep), market), np.exp(-rates) * ((130.0 + forwards.sum(axis=0)) / 6 - 20.0), rtol=1e-14
    )
    for method in (None, "monte_carlo"):
        np.testing.assert_array_equal(value(asian(**deep, option_type="put", method=method), market), 0)


def test_the_error_of_moment_matching_is_what_the_page_says() -> None:
    year, three = "2021-03-16", "2023-03-16"
    for volatility, expiry, bound in ((0.2, year, 0.03), (0.4, year, 0.2), (0.8, year, 1.0), (0.8, three, 4.0)):
        market = make_market(TODAY, {"EQ:A": 100.0, "VOL:A": volatility, "YC:USD:1Y": 0.03})
        worst = 0.0
        for strike in (80, 100, 120):
            monthly = {"averaging_dates": None, "averaging_start": "2020-04-16", "averaging_frequency": "monthly"}
            terms = asian(strike=strike, expiry=expiry, **monthly)
            simulated = asian(strike=strike, expiry=expiry, method="monte_carlo", paths=20_000, **monthly)
            noise = standard_errors([simulated], market)[0, 0]
            difference = abs(value(terms, market)[0] - value(simulated, market)[0])
            worst = max(worst, difference)
            assert difference < bound + 3 * noise
        assert worst > bound / 4  # what is said is not far too much


def test_base_and_scenarios_share_their_paths() -> None:
    """So a small move of the price gives a small P&L, with far less noise than its value has; a seed is another sample."""
    market = make_market(TODAY, {"EQ:A": [100.0, 100.1], "VOL:A": 0.25, "YC:USD:1Y": 0.03})
    samples = [asian(method="monte_carlo", paths=1000, seed=s) for s in range(8)]
    both = np.array([value(t, market) for t in samples])
    errors = standard_errors(samples, market)
    assert len(set(both[:, 0].tolist())) == 8
    assert np.std(both[:, 0]) == pytest.approx(errors[:, 0].mean(), rel=0.7)
    assert np.std(both[:, 1] - both[:, 0]) < 0.05 * np.std(both[:, 0])
    assert np.all(standard_errors([asian()], market) == 0)
    together = INSTRUMENTS["equity_asian_option"].value([asian(), *samples], market)
    np.testing.assert_array_equal(together[1:], both)


def test_the_price_of_today_is_the_spot_price_or_what_is_given() -> None:
    market = make_market(TODAY, MARKET)
    day = {"averaging_dates": ["2020-03-16"], "expiry": "2020-03-16", "strike": 90}
    np.testing.assert_array_equal(value(asian(**day), market), [10, 13, 0])
    np.testing.assert_array_equal(value(asian(**day, fixings={"2020-03-16": 97.0}), market), [7, 7, 7])
    np.testing.assert_array_equal(value(asian(**day, average="geometric"), market).round(12), [10, 13, 0])
    # a price given for a day to come is not known yet
    known_later = asian(fixings={"2020-04-16": 500.0})
    np.testing.assert_array_equal(value(known_later, market), value(asian(), market))


def test_a_price_that_is_missing_is_said() -> None:
    terms = asian(averaging_dates=["2020-01-16", *MONTHS], fixings={"2020-01-15": 99.0})
    with pytest.raises(NotValuable, match="needs the price of 2020-01-16 in fixings; given: 2020-01-15") as error:
        terms.check(TODAY)
    assert error.value.reason == "missing_fixing"
    with pytest.raises(NotValuable, match="needs the price of 2020-01-16"):
        INSTRUMENTS["equity_asian_option"].value([terms], make_market(TODAY, MARKET))


@pytest.mark.parametrize("how", ["forwards", "constant"])
def test_a_price_inside_a_roll_is_that_of_the_roll(how: Any) -> None:
    """As if it were given at the forward price seen from the market date, and the same from whichever later day."""
    levels, unshocked = BASE[:, None].copy(), np.zeros(len(BASE), np.bool_)
    still = ScenarioSet("", "still", "historical", TODAY, {}, INDEX, ("a",), BASE, levels, unshocked)
    markets = RolledBase(still, how, Carry())
    spot, fixed = BASE[INDEX.row["EQ:A"]], dt.date(2020, 4, 16)
    if how == "forwards":
        discount = markets.market(TODAY).discount("USD", np.array([31 / 365]))[0, 0]
        spot *= math.exp(-0.02 * 31 / 365) / discount
    given = asian(fixings={"2020-04-16": spot})
    for day in (dt.date(2020, 4, 17), dt.date(2020, 6, 1)):
        asian().check(day, rolled_from=TODAY)
        market = markets.market(day)
        rolled, known = (INSTRUMENTS["equity_asian_option"].value([t], market)[0, 0] for t in (asian(), given))
        assert rolled == pytest.approx(known, rel=1e-13)
        with pytest.raises(NotValuable):
            asian().check(day)
    assert fixed in asian().days()


def test_days_of_an_average_by_hand() -> None:
    easter = dt.date(2020, 4, 9), dt.date(2020, 4, 15)
    assert [d.day for d in observation_days(*easter, "daily", "EUTA")] == [9, 14, 15]  # Good Friday and Easter Monday
    weekly = observation_days(dt.date(2020, 4, 3), dt.date(2020, 4, 19), "weekly", "EUTA")
    assert [d.day for d in weekly] == [3, 14, 17]
    monthly = observation_days(dt.date(2020, 1, 31), dt.date(2020, 5, 31), "monthly", "weekdays")
    assert monthly == tuple(
        dt.date(2020, *d) for d in ((1, 31), (3, 2), (3, 31), (4, 30))
    )  # 29 February and 31 May are on weekends
    with pytest.raises(NotValuable, match="no business day of weekdays from 2020-04-04 to 2020-04-05"):
        observation_days(dt.date(2020, 4, 4), dt.date(2020, 4, 5), "daily", "weekdays")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"averaging_dates": None}, "averaging_dates, or averaging_start and averaging_frequency, are expected"),
        ({"averaging_start": "2020-04-01"}, "averaging_dates stand alone"),
        ({"averaging_dates": ["2020-05-01", "2020-04-01"]}, "averaging_dates ascend"),
        ({"averaging_dates": []}, "there is at least one"),
        ({"averaging_dates": ["2021-03-17"]}, "the last day of the average 2021-03-17 lies after expiry 2021-03-16"),
        ({"fixings": json.dumps({"2020-01-16": -1})}, "known prices by day"),
        ({"method": "monte_carlo", "average": "geometric"}, "a geometric average has an exact value"),
        ({"paths": 1000}, "paths does nothing without method monte_carlo"),
        ({"method": "monte_carlo", "paths": 5}, "paths of monte_carlo, 100 to 100,000"),
    ],
)
def test_terms_that_make_no_sense_are_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        asian(**changes)
