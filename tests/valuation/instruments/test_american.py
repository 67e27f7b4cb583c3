"""American options: the boundary engine and Longstaff-Schwartz against published figures, QuantLib and what must hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from examples import BASE, EXAMPLES, INDEX, TODAY, shocked_market

from lake.errors import BadInput
from valuation.batch import value_batch
from valuation.catalogue import parse_terms
from valuation.instruments.commodity import commodity_american_option
from valuation.instruments.early_exercise import value_bounds
from valuation.instruments.equity import equity_american_option
from valuation.instruments.fx import fx_american_option
from valuation.kernels import longstaff_schwartz
from valuation.kernels.american import american_options, exercise_boundary
from valuation.kernels.black import european_options, generalised_black_scholes
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract

K = 100.0


def american(
    sign: Any, spot: Any, strike: Any, r: Any, q: Any, sigma: Any, time: Any, engine: Any = american_options
) -> Any:
    """Values (n,) from rates; all arguments broadcast."""
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (sign, spot, strike, r, q, sigma, time)))
    w, s, k, r_, q_, v, t = (np.array(a).ravel() for a in arrays)
    carried: Any = np.exp(-q_ * t)
    return engine(
        w,
        carried if engine is european_options else carried[:, None],
        k,
        t,
        s[:, None],
        v[:, None],
        np.exp(-r_ * t)[:, None],
    )[:, 0]


# Puts of 40 at 6%. S, sigma, T; LSM and its standard error as printed by Longstaff and Schwartz (2001), table 1; exercise on
# 50 dates a year, by an independent Crank-Nicolson grid; on any day, by QuantLib's QdFp engine
TABLE_1 = """
36 .2 1 4.472 .010 4.4777 4.48667
36 .2 2 4.821 .012 4.8401 4.84830
36 .4 1 7.091 .020 7.1011 7.10898
36 .4 2 8.488 .024 8.5067 8.51418
38 .2 1 3.244 .009 3.2500 3.25720
38 .2 2 3.735 .011 3.7446 3.75138
38 .4 1 6.139 .019 6.1474 6.15459
38 .4 2 7.669 .022 7.6678 7.67491
40 .2 1 2.313 .009 2.3139 2.31957
40 .2 2 2.879 .010 2.8844 2.88995
40 .4 1 5.308 .018 5.3117 5.31829
40 .4 2 6.921 .022 6.9170 6.92346
42 .2 1 1.617 .007 1.6169 1.62116
42 .2 2 2.206 .010 2.2123 2.21672
42 .4 1 4.588 .017 4.5823 4.58816
42 .4 2 6.243 .021 6.2441 6.25024
44 .2 1 1.118 .007 1.1098 1.11296
44 .2 2 1.675 .009 1.6897 1.69333
44 .4 1 3.957 .017 3.9475 3.95278
44 .4 2 5.622 .021 5.6412 5.64673
"""
ROWS = [tuple(map(float, line.split())) for line in TABLE_1.split("\n") if line]


def test_table_1_of_longstaff_and_schwartz_with_exercise_on_any_day() -> None:
    s, sigma, t, _, _, _, continuous = np.array(ROWS).T
    np.testing.assert_allclose(american(-1, s, 40, 0.06, 0, sigma, t), continuous, atol=6e-6)


@pytest.mark.parametrize(("s", "sigma", "t", "paper", "paper_error", "bermudan", "continuous"), ROWS)
def test_table_1_by_simulation(
    s: float, sigma: float, t: float, paper: float, paper_error: float, bermudan: float, continuous: float
) -> None:
    """50 dates a year. The bounds are of that Bermudan option; the upper one is within 0.1% of it."""
    b = longstaff_schwartz.bounds(-1, 40, t, s, sigma, math.exp(-0.06 * t), 1.0, paths=4000, steps=int(50 * t))
    state = [np.array([x]) for x in (s, sigma, math.exp(-0.06 * t), 1.0)]
    values, errors = longstaff_schwartz.american_option(-1, 40, t, *state, steps=int(50 * t))
    value, error = float(values[0]), float(errors[0])
    assert abs(value - paper) <= 3 * math.hypot(error, paper_error)
    assert abs(value - bermudan) <= 3 * error + 0.003 * bermudan
    european = float(generalised_black_scholes(-1, s, 40, t, 0.06, 0.06, sigma))
    assert max(european - 3 * error, 40 - s) <= value <= 40
    low, high = b.interval(0.998)
    assert low <= bermudan <= high
    assert b.upper - bermudan <= 0.001 * bermudan + 3 * b.upper_error
    assert 0 < b.upper_error < b.standard_error / 20
    assert b.lower_error == pytest.approx(b.standard_error, rel=0.1)


def test_the_eight_paths_of_the_paper() -> None:
    paths = """1.09 1.08 1.34  1.16 1.26 1.54  1.22 1.07 1.03  .93 .97 .92
               1.11 1.56 1.52  .76 .77 .90  .92 .84 1.01  .88 1.22 1.34"""
    prices = np.ascontiguousarray(np.array(paths.split(), dtype=np.float64).reshape(8, 3).T)
    strike, discount = 1.10, np.exp(-0.06 * np.arange(1, 4))
    policy, worth = longstaff_schwartz.regression(prices, 1 / strike, -1.0, discount, degree=2)
    a, b, c = policy.T * strike  # in powers of S/K - 1
    in_prices = np.array([a - b + c, (b - 2 * c) / strike, c / strike**2]).T
    np.testing.assert_allclose(in_prices, [[2.038, -3.335, 1.356], [-1.070, 2.983, -1.814]], atol=6e-4)
    paid = strike * worth / discount[0]
    assert strike * worth.mean() == pytest.approx(0.1144, abs=5e-5)
    # the exercise dates of the paper: path 4, 6, 7, 8 at once, path 3 at the end
    np.testing.assert_allclose(
        paid * [0, 0, math.exp(0.12), 1, 0, 1, 1, 1], [0, 0, 0.07, 0.17, 0, 0.34, 0.18, 0.22], atol=1e-9
    )
    european = np.maximum(strike - prices[2], 0).mean() * discount[2]
    assert european == pytest.approx(0.0564, abs=5e-5)


def test_a_date_with_fewer_paths_in_the_money_than_coefficients_is_left_out() -> None:
    relative = np.array([[0.8, 1.2, 1.3, 0.7], [0.9, 1.2, 1.3, 1.1]])
    policy, worth = longstaff_schwartz.regression(relative, 1.0, -1.0, np.ones(2), degree=2)
    assert policy[0, 0] == np.inf
    np.testing.assert_allclose(worth, [0.1, 0, 0, 0])  # though 0.2 and 0.3 were to be had


# Haug (1998), p. 24: Barone-Adesi and Whaley's approximation with r = q = 10%
BAW = """
.1 .15 .0206 1.8771 10.0089 10.0000 1.8770 .0410
.1 .25 .3159 3.1280 10.3919 10.2533 3.1277 .4562
.1 .35 .9495 4.3777 11.1679 10.8787 4.3777 1.2402
.5 .15 .8208 4.0842 10.8087 10.5595 4.0842 1.0822
.5 .25 2.7437 6.8015 13.0170 12.4419 6.8014 3.3226
.5 .35 5.0063 9.5106 15.5689 14.6945 9.5104 5.8823
"""


def test_published_approximations_are_as_near_as_they_can_be() -> None:
    """They differ from the price by up to 0.037 (Haug's put of 110, half a year, 35%: 5.8823 for 5.84584)."""
    for t, sigma, *printed in (map(float, line.split()) for line in BAW.strip().split("\n")):
        values = american([1, 1, 1, -1, -1, -1], [90, 100, 110] * 2, K, 0.1, 0.1, sigma, t)
        np.testing.assert_allclose(values, printed, atol=0.037)
    assert american(-1, 110, K, 0.1, 0.1, 0.35, 0.5)[0] == pytest.approx(5.84584, abs=6e-6)
    # Bjerksund and Stensland 1993, a policy and so a lower bound (Haug p. 27)
    assert 5.2704 - 5e-5 <= american(1, 42, 40, 0.04, 0.08, 0.35, 0.75)[0] <= 5.2704 + 0.04
    assert 4.4531 - 5e-5 <= american(-1, 36, 40, 0.06, 0, 0.2, 1)[0] <= 4.4531 + 0.04
    assert american(-1, 50, 50, 0.1, 0, 0.4, 5 / 12)[0] == pytest.approx(4.283, abs=2e-3)  # Hull, a tree of 500 steps


def quantlib(sign: float, spot: float, r: float, q: float, sigma: float, days: int, engine: Any) -> float:
    before = ql.Settings.instance().evaluationDate
    try:
        today = ql.Date(16, 3, 2020)
        ql.Settings.instance().evaluationDate = today
        count = ql.Actual365Fixed()
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(spot)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, q, count)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, r, count)),
            ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), sigma, count)),
        )
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if sign > 0 else ql.Option.Put, K)
        option = ql.VanillaOption(payoff, ql.AmericanExercise(today, today + days))
        option.setPricingEngine(engine(process))
        return float(option.NPV())
    finally:
        ql.Settings.instance().evaluationDate = before


def test_against_quantlib_at_its_highest_precision() -> None:
    rng = np.random.default_rng(12)
    n = 120
    sign, spot, days = rng.choice([-1.0, 1.0], n), rng.uniform(60, 160, n), rng.integers(2, 1826, n)
    r, q, sigma = rng.uniform(0.001, 0.1, n), rng.uniform(0, 0.1, n), rng.uniform(0.05, 0.7, n)
    q[:30], sign[:30] = 0.0, -1.0
    q[30:45], sign[30:45] = -rng.uniform(0, 0.03, 15), -1.0
    q[45:60] = r[45:60]
    theirs = [
        quantlib(*a, lambda p: ql.QdFpAmericanEngine(p, ql.QdFpAmericanEngine.highPrecisionScheme()))
        for a in zip(sign, spot, r, q, sigma, days.tolist(), strict=True)
    ]
    ours = american(sign, spot, K, r, q, sigma, days / 365)
    assert np.abs(ours - theirs).max() <= 1e-5  # a ten-millionth of the strike
    assert np.max(ours - american(sign, spot, K, r, q, sigma, days / 365, european_options)) > 5


def test_between_two_boundaries_against_finite_differences() -> None:
    """Rates of q < r < 0 (put): QuantLib's boundary engines refuse them, its finite differences do not."""
    for r, q, sigma, days, spot in [
        (-0.0107, -0.0386, 0.084, 905, 97.2),
        (-0.0135, -0.0268, 0.06, 1661, 87.41),
        (-0.02, -0.03, 0.25, 365, 80.0),
        (-0.003, -0.02, 0.2, 730, 30.0),
        (-0.015, -0.02, 0.1, 365, 60.0),
    ]:
        ours = american(-1, spot, K, r, q, sigma, days / 365)[0]
        theirs = quantlib(-1, spot, r, q, sigma, days, lambda p: ql.FdBlackScholesVanillaEngine(p, 1200, 1200))
        assert ours == pytest.approx(theirs, abs=3e-3)
        assert ours > american(-1, spot, K, r, q, sigma, days / 365, european_options)[0]
        mirrored = american(1, K, spot, q, r, sigma, days / 365)[0]
        assert mirrored == pytest.approx(ours, abs=1e-9)
    deep = american(-1, 0.01, K, -0.01, -0.02, 0.1, 1.0)[0]  # too deep in the money to be exercised
    assert deep == american(-1, 0.01, K, -0.01, -0.02, 0.1, 1.0, european_options)[0] > K


def test_where_exercise_never_pays_it_is_the_european_option_to_the_last_bit() -> None:
    spot = np.linspace(40, 180, 15)
    for sign, r, q in [
        (1, 0.05, 0),
        (1, 0, 0),
        (-1, 0, 0),
        (-1, 0, 0.03),
        (-1, -0.01, 0.02),
        (-1, -0.01, -0.01),
        (1, 0.03, -0.01),
    ]:
        same = american(sign, spot, K, r, q, 0.3, 1.5), american(sign, spot, K, r, q, 0.3, 1.5, european_options)
        assert same[0].tobytes() == same[1].tobytes()
    # without dividends and with a negative rate a call is exercised for the strike: it must not fall below the European one
    early, late = american(1, spot, K, -0.02, 0, 0.3, 1.5), american(1, spot, K, -0.02, 0, 0.3, 1.5, european_options)
    assert (early >= late).all()
    assert (early > late + 1e-3).any()


def test_never_below_the_european_or_the_intrinsic_value_nor_nan_anywhere() -> None:
    rng = np.random.default_rng(3)
    n = 4000
    sign, spot = rng.choice([1.0, -1.0], n), K * np.exp(0.5 * rng.standard_normal(n))
    sigma, time = 10 ** rng.uniform(-6, 0.5, n), 10 ** rng.uniform(-3, 1.7, n)
    r, q = (rng.uniform(-0.03, 0.3, n) * rng.choice([1, 1, 1e-3, 1e-9], n) for _ in range(2))
    r[:200], q[100:300] = 0.0, 0.0
    values, european = (american(sign, spot, K, r, q, sigma, time, e) for e in (american_options, european_options))
    assert (values >= european).all()
    assert (values >= np.maximum(sign * (spot - K), 0)).all()
    assert (
        values
        <= np.where(sign > 0, spot * np.maximum(1, np.exp(-q * time)), K * np.maximum(1, np.exp(-r * time))) + 1e-9
    ).all()


def test_the_price_meets_the_payoff_smoothly_at_the_boundary() -> None:
    for sign, r, q in [(-1.0, 0.06, 0.0), (-1.0, 0.03, 0.05), (1.0, 0.03, 0.05), (1.0, 0.06, 0.02)]:
        v, t = 0.3 * math.sqrt(2.0), 2.0
        now, half, end = exercise_boundary(sign, r * t, q * t, v, np.array([1.0, 0.5, 0.0]))
        assert end == pytest.approx(max(1, r / q) if sign > 0 else min(1, r / q) if q else 1)
        assert sign * now > sign * half > sign * end
        for h, most in [(1e-6, 1e-8), (1e-3, 1e-5)]:  # per unit of strike: the difference is of second order
            inside, outside = american(sign, [now * (1 + sign * h), now * (1 - sign * h)], 1.0, r, q, 0.3, t)
            assert inside == pytest.approx(sign * (now * (1 + sign * h) - 1), abs=1e-15)
            assert -1e-15 <= outside - sign * (now * (1 - sign * h) - 1) <= most
    assert exercise_boundary(1.0, 0.05, 0.0, 0.2, np.array([0.5]))[0] == 0
    assert exercise_boundary(-1.0, -0.01, -0.02, 0.2, np.array([0.5]))[0] == 0


def test_without_volatility_the_best_day_on_the_forward() -> None:
    # exp(-qt) 90 - exp(-rt) 100 is greatest at t = ln(q S / r K) / (q - r) for a put's mirror: here within the life
    r, q, spot, t = 0.02, 0.06, 45.0, 10.0
    best = max(K * math.exp(-r * x) - spot * math.exp(-q * x) for x in np.linspace(0, t, 100_001))
    assert american(-1, spot, K, r, q, 0.0, t)[0] == pytest.approx(best, abs=1e-9)
    assert best > max(K - spot, K * math.exp(-r * t) - spot * math.exp(-q * t)) + 0.1
    assert american(-1, spot, K, r, q, 1e-4, t)[0] == pytest.approx(best, abs=1e-4)
    assert american([1, -1], [110, 90], K, 0.05, 0.02, 0.3, 0.0).tolist() == [10, 10]  # the last day


def test_states_that_share_a_boundary_have_the_bits_they_have_alone() -> None:
    rng = np.random.default_rng(4)
    n, m = 6, 40
    sign, strike, time = np.array([1.0, -1.0] * 3), np.full(n, K), rng.uniform(0.1, 3, n)
    spot = K * np.exp(0.1 * rng.standard_normal((n, m)))
    sigma = rng.choice([0.2, 0.3], (n, m))
    r, q = rng.choice([0.03, -0.01], (n, m)), rng.choice([0.02, -0.02], (n, m))
    carried, discount = np.exp(-q * time[:, None]), np.exp(-r * time[:, None])
    whole = american_options(sign, carried, strike, time, spot, sigma, discount)
    for i in range(n):
        for s in range(m):
            one = [np.ascontiguousarray(a[i : i + 1, s : s + 1]) for a in (carried, spot, sigma, discount)]
            alone = american_options(sign[i : i + 1], one[0], strike[i : i + 1], time[i : i + 1], *one[1:])
            assert alone.tobytes() == whole[i : i + 1, s : s + 1].tobytes()


PUT = {
    "currency": "USD", "underlying": "EQ:A", "volatility": "VOL:A", "strike": 110, "expiry": "2021-03-16", "option_type": "put",
    "discount_curve": "USD",
}  # fmt: skip


def pnl(instrument_type: str, terms: dict[str, Any], market: ScenarioMarket) -> Any:
    made = parse_terms(instrument_type, terms)
    block = value_batch([Contract(made.contract_id(), instrument_type, made.to_json())], market)
    assert block.failures == ()
    return block.base[0], block.pnl[0]


@pytest.mark.parametrize("policy", ["base", "scenario"])
@pytest.mark.parametrize("option_type", ["put", "call"])
def test_little_of_the_noise_of_a_simulation_is_in_a_pnl(policy: str, option_type: str) -> None:
    market = shocked_market(30)
    terms = PUT | {"option_type": option_type, "dividend_yield": 0.05, "strike": 95}
    simulated = terms | {"engine": "longstaff_schwartz", "paths": 4000, "policy": policy}
    (exact, exact_pnl), (value, moves) = (pnl("equity_american_option", t, market) for t in (terms, simulated))
    bounds = bounds_of(equity_american_option, parse_terms("equity_american_option", simulated), market)
    assert bounds.value == pytest.approx(value, abs=1e-12)
    low, high = bounds.interval(0.999)
    assert low <= exact <= high * 1.002  # 60 dates are a little less than any day
    assert abs(value - exact) <= 3 * bounds.standard_error + 0.003 * exact
    independent = (
        math.sqrt(2) * bounds.standard_error
    )  # what the difference of two values would be off by with paths of their own
    assert np.sqrt(((moves - exact_pnl) ** 2).mean()) <= 0.35 * independent
    again = pnl("equity_american_option", simulated, market)
    few = pnl("equity_american_option", simulated, shocked_market(30))
    assert again[1].tobytes() == few[1].tobytes() == moves.tobytes()


def test_the_policy_of_the_base_is_not_that_of_each_scenario() -> None:
    market = shocked_market(20)
    moves = [pnl("equity_american_option", PUT | {"engine": "longstaff_schwartz", "paths": 2000, "policy": p}, market)[1]
             for p in ("base", "scenario")]  # fmt: skip
    assert (moves[0] != moves[1]).any()


def test_a_call_on_a_share_without_dividends_is_the_european_one() -> None:
    market = shocked_market(20)
    call = PUT | {"option_type": "call"}
    late, early = (pnl(t, call, market) for t in ("equity_option", "equity_american_option"))
    assert early[0] == pytest.approx(late[0], rel=1e-14)
    np.testing.assert_allclose(early[1], late[1], rtol=1e-12, atol=1e-12)


def test_a_put_on_euro_in_dollars_is_a_call_on_dollars_in_euro() -> None:
    market = shocked_market(10)
    put = {
        "currency": "USD", "base_currency": "EUR", "volatility": "VOL:EURUSD.12M", "strike": 1.15, "expiry": "2021-09-16",
        "option_type": "put", "quote_curve": "USD", "base_curve": "EUR",
    }  # fmt: skip
    call = put | {
        "currency": "EUR", "base_currency": "USD", "strike": 1 / 1.15, "option_type": "call", "quote_curve": "EUR", "base_curve": "USD",
    }  # fmt: skip
    (a, moves), (b, mirrored) = pnl("fx_american_option", put, market), pnl("fx_american_option", call, market)
    spot = market.fx("EUR", "USD")
    np.testing.assert_allclose(np.append(a, a + moves), 1.15 * spot * np.append(b, b + mirrored), rtol=1e-9)


def test_an_option_on_a_future_is_on_its_price_at_expiry() -> None:
    copper = {
        "currency": "USD", "underlying": "CM:COPPER", "volatility": "VOL:COPPER", "strike": 5400, "expiry": "2021-03-16",
        "option_type": "put", "discount_curve": "USD", "carry": 0.04,
    }  # fmt: skip
    base = pnl("commodity_american_option", copper, shocked_market(1))[0]
    discount = shocked_market(1).discount("USD", np.array([1.0]))[0, 0]
    level, vol = (BASE[INDEX.row[f]] for f in ("CM:COPPER", "VOL:COPPER"))
    r = -math.log(discount)
    assert base == pytest.approx(american(-1, level * math.exp(0.04), 5400, r, r, vol, 1.0)[0], rel=1e-12)
    wti = copper | {"underlying": "CM:WTI", "strike": 30}
    terms = parse_terms("commodity_american_option", wti)
    block = value_batch(
        [Contract("x", "commodity_american_option", terms.to_json())], shocked_market(3)
    )  # -36.98 in scenario 1
    assert [f.reason for f in block.failures] == ["non_finite"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"paths": 1000}, "paths does nothing without engine longstaff_schwartz"),
        (
            {"engine": "deterministic", "steps": 10, "policy": "base"},
            "policy does nothing without engine|steps does nothing",
        ),
        ({"engine": "longstaff_schwartz", "paths": 1001}, "paths is 1001; an even number is expected"),
        ({"engine": "longstaff_schwartz", "paths": 10}, "greater than or equal to 100"),
        (
            {"engine": "longstaff_schwartz", "paths": 1_000_000},
            "paths times steps is 60,000,000; at most 6,000,000 is expected",
        ),
        ({"engine": "tree"}, "'deterministic' or 'longstaff_schwartz'"),
    ],
)
def test_refusals(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse_terms("equity_american_option", PUT | given)


def test_a_simulated_contract_says_so() -> None:
    assert parse_terms("equity_american_option", PUT).notes(TODAY) == ()
    simulated = PUT | {"engine": "longstaff_schwartz", "policy": "scenario", "steps": 50}
    (note,) = parse_terms("equity_american_option", simulated).notes(TODAY)
    assert "10,000 paths, 50 steps, a policy for each scenario" in note
    # the default engine named is another contract, of the same value
    named = PUT | {"engine": "deterministic"}
    values = [pnl("equity_american_option", t, shocked_market(5))[1] for t in (PUT, named)]
    assert values[0].tobytes() == values[1].tobytes()


def bounds_of(module: Any, terms: Any, market: Any, state: int = 0) -> longstaff_schwartz.Bounds:
    return value_bounds(terms, module._inputs([terms], market), state)


@pytest.mark.parametrize("module", [equity_american_option, fx_american_option, commodity_american_option])
def test_bounds_of_each_type(module: Any) -> None:
    terms = parse_terms(module.Terms.instrument_type, EXAMPLES[module.Terms.instrument_type][0])
    market = shocked_market(3)
    for state in (0, 2):
        low, high = bounds_of(module, terms, market, state).interval(0.999)
        assert low <= module.value([terms], market)[0, state] <= high * 1.002
