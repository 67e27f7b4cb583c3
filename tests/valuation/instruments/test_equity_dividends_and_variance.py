"""Cash dividends, equity futures and variance swaps against QuantLib, SciPy and hand computations."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from examples import BASE, EXAMPLES, INDEX, shocked_market
from scipy.integrate import quad
from scipy.stats import norm

from lake.errors import BadInput
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor
from service.bench.oracles.market import ql_date
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, InstrumentTerms, NotValuable

TODAY = dt.date(2020, 3, 16)
DAY_COUNT = ql.Actual365Fixed()
RATE, YIELD, VOL = 0.03, 0.01, 0.25


@pytest.fixture(autouse=True)
def quantlib_today():
    before = ql.Settings.instance().evaluationDate
    ql.Settings.instance().evaluationDate = ql_date(TODAY)
    yield
    ql.Settings.instance().evaluationDate = before


def market_of(dividends: dict[int, float], vol: float = VOL, spots: tuple[float, ...] = (100.0,)) -> ScenarioMarket:
    """A share EQ:A, its dividends by days to the ex-date, a flat rate."""
    levels = {
        RiskFactor("EQ:A", "equity_price", "A", "USD"): spots[0],
        RiskFactor("IV:A", "implied_vol", "A", "USD"): vol,
        RiskFactor("YC:USD:1Y", "zero_rate", "1Y", "USD", "USD", "1Y"): RATE,
        **{
            RiskFactor(f"DIV:A:{d}", "dividend", "A", "USD", attributes=(("asset", "EQ:A"), ("ex_date", day(d)))): amount
            for d, amount in dividends.items()
        },
    }  # fmt: skip
    index = FactorIndex.of(levels)
    states = np.repeat(np.array([[levels[f]] for f in index.factors]), len(spots), axis=1)
    states[index.row["EQ:A"]] = spots
    return ScenarioMarket(TODAY, index, states[:, 0], states[:, 1:])


def day(days: int) -> str:
    return (TODAY + dt.timedelta(days=days)).isoformat()


def option(strike: float, days: int, kind: str, model: str | None, **changes: object) -> InstrumentTerms:
    terms = {
        "currency": "USD",
        "underlying": "EQ:A",
        "volatility": "IV:A",
        "strike": strike,
        "expiry": day(days),
        "option_type": kind,
        "dividend_yield": YIELD,
        "dividend_model": model,
        "discount_curve": "USD",
    }
    return parse_terms("equity_option", {**terms, **changes})


def values(terms: InstrumentTerms, market: ScenarioMarket) -> np.ndarray:
    block = value_batch([Contract(terms.contract_id(), terms.instrument_type, terms.to_json())], market)
    assert block.failures == ()
    return np.concatenate([block.base, block.base + block.pnl[0]])


def failure(terms: InstrumentTerms, market: ScenarioMarket) -> tuple[str, str]:
    (found,) = value_batch([Contract(terms.contract_id(), terms.instrument_type, terms.to_json())], market).failures
    return found.reason, found.message


def quantlib(terms: InstrumentTerms, dividends: dict[int, float], grid: int = 0) -> float:
    """The analytic escrowed engine, or finite differences of the spot model on a grid."""
    today = ql_date(TODAY)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(100.0)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, YIELD, DAY_COUNT)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, RATE, DAY_COUNT)),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), VOL, DAY_COUNT)),
    )
    kind = ql.Option.Call if terms.option_type == "call" else ql.Option.Put  # type: ignore[attr-defined]
    priced = ql.VanillaOption(
        ql.PlainVanillaPayoff(kind, terms.strike),  # type: ignore[attr-defined]
        ql.EuropeanExercise(ql_date(terms.expiry)),  # type: ignore[attr-defined]
    )
    paid = ql.DividendVector([today + d for d in sorted(dividends)], [dividends[d] for d in sorted(dividends)])
    priced.setPricingEngine(
        ql.FdBlackScholesVanillaEngine(process, paid, grid, grid)
        if grid
        else ql.AnalyticDividendEuropeanEngine(process, paid)
    )
    return float(priced.NPV())


def random_dividends(rng: np.random.Generator, days: int) -> dict[int, float]:
    chosen = rng.choice(np.arange(1, days + 40), int(rng.integers(1, 7)), replace=False).tolist()
    return {int(d): float(rng.uniform(0.2, 3)) for d in sorted(chosen)}


def test_escrowed_is_quantlibs_analytic_dividend_engine():
    rng = np.random.default_rng(1)
    for _ in range(100):
        days = int(rng.integers(2, 1500))
        dividends = random_dividends(rng, days)
        terms = option(float(rng.uniform(60, 150)), days, str(rng.choice(["call", "put"])), "escrowed")
        before = {d: a for d, a in dividends.items() if d <= days}
        assert values(terms, market_of(dividends))[0] == pytest.approx(quantlib(terms, before), abs=1e-11)


def test_the_spot_model_is_that_of_quantlibs_finite_differences():
    """Within the error of 800 by 800 grids, which falls with their square: 1e-5 of the share."""
    rng = np.random.default_rng(2)
    for _ in range(12):
        days = int(rng.integers(30, 1200))
        dividends = random_dividends(rng, days)
        terms = option(float(rng.uniform(70, 140)), days, str(rng.choice(["call", "put"])), "spot")
        before = {d: a for d, a in dividends.items() if d < days}
        if not before:
            continue
        dividends = {d: a for d, a in dividends.items() if d != days}
        assert values(terms, market_of(dividends))[0] == pytest.approx(quantlib(terms, before, 800), abs=1e-3)


def test_one_dividend_in_the_spot_model_is_one_integral():
    """The mean over the share before the dividend of the Black-Scholes value after it."""
    ex, days, amount, strike = 120, 300, 4.0, 97.0
    t, rest = ex / 365, (days - ex) / 365

    def after(price: float) -> float:
        asset, cash, v = price * math.exp(-YIELD * rest), strike * math.exp(-RATE * rest), VOL * math.sqrt(rest)
        if price <= 0:
            return 0.0
        d1 = math.log(asset / cash) / v + v / 2
        return float(asset * norm.cdf(d1) - cash * norm.cdf(d1 - v))

    def density(z: float) -> float:
        price = 100 * math.exp((RATE - YIELD - VOL**2 / 2) * t + VOL * math.sqrt(t) * z)
        return after(price - amount) * norm.pdf(z)

    expected = math.exp(-RATE * t) * quad(density, -9, 9, epsabs=1e-12, limit=400)[0]
    terms = option(strike, days, "call", "spot")
    assert values(terms, market_of({ex: amount}))[0] == pytest.approx(expected, rel=1e-8)


def test_put_call_parity_holds_in_both_models():
    dividends = {20: 1.0, 200: 2.0, 201: 0.5, 500: 3.0}
    market = market_of(dividends, spots=(100.0, 60.0, 140.0))
    for model, tolerance in (("escrowed", 1e-12), ("spot", 2e-6)):
        forward = values(
            parse_terms(
                "equity_forward",
                {
                    "currency": "USD",
                    "underlying": "EQ:A",
                    "strike": 90,
                    "maturity": day(600),
                    "dividend_yield": YIELD,
                    "dividend_model": model,
                    "discount_curve": "USD",
                },
            ),
            market,
        )
        call, put = (values(option(90, 600, kind, model), market) for kind in ("call", "put"))
        assert call - put == pytest.approx(forward, abs=100 * tolerance)


def test_a_dividend_on_the_day_of_expiry_is_off_the_price_and_one_after_it_is_not():
    paid, later = market_of({100: 5.0}), market_of({101: 5.0})
    plain = values(option(95, 100, "call", None, dividend_yield=0), market_of({}))[0]
    for model in ("escrowed", "spot"):
        assert values(option(95, 100, "call", model, dividend_yield=0), later)[0] == pytest.approx(plain, rel=1e-14)
    in_strike = values(option(100, 100, "call", None, dividend_yield=0), market_of({}))[0]
    assert values(option(95, 100, "call", "spot", dividend_yield=0), paid)[0] == pytest.approx(in_strike, rel=1e-12)
    # a dividend a day before expiry is nearly one on the day
    near = values(option(95, 100, "call", "spot", dividend_yield=0), market_of({99: 5.0}))[0]
    assert near == pytest.approx(in_strike, rel=1e-3)


def test_without_volatility_both_models_are_the_forward():
    dividends = {30: 1.0, 250: 2.0}
    forward = values(
        parse_terms(
            "equity_forward",
            {"currency": "USD", "underlying": "EQ:A", "strike": 90, "maturity": day(300), "dividend_model": "spot",
             "discount_curve": "USD"},
        ),
        market_of(dividends),
    )[0]  # fmt: skip
    for model in ("escrowed", "spot"):
        terms = option(90, 300, "call", model, dividend_yield=0)
        assert values(terms, market_of(dividends, vol=0.0))[0] == pytest.approx(forward, rel=1e-13)


def test_exactly_the_dividends_before_expiry_are_read():
    market = market_of({1: 1.0, 50: 1.0, 100: 1.0, 101: 1.0})
    module = INSTRUMENTS["equity_option"]
    read = module.risk_factors(option(90, 100, "call", "spot"), market.index, TODAY)
    assert [i for i in read if i.startswith("DIV")] == ["DIV:A:1", "DIV:A:50", "DIV:A:100"]
    read = module.risk_factors(option(90, 100, "call", "spot"), market.index, TODAY + dt.timedelta(days=50))
    assert [i for i in read if i.startswith("DIV")] == ["DIV:A:100"]
    assert not [i for i in module.risk_factors(option(90, 100, "call", None), market.index, TODAY) if "DIV" in i]


def test_what_a_dividend_model_needs_is_said():
    none = market_of({})
    with pytest.raises(MissingRiskFactor, match="Unknown share with dividends 'EQ:A'"):
        INSTRUMENTS["equity_option"].risk_factors(option(90, 100, "call", "escrowed"), none.index, TODAY)
    with pytest.raises(
        BadInput,
        match=r"dividend_model = forward: expected 'escrowed' or 'spot' \(model of the market's cash dividends",
    ):
        option(90, 100, "call", "forward")
    reason, message = failure(option(90, 100, "call", "escrowed"), market_of({50: 150.0}))
    assert (reason, "not a finite number" in message or "finite" in message) == ("non_finite", True)


@pytest.mark.parametrize("model", ["escrowed", "spot"])
@pytest.mark.parametrize("amount", [math.nan, math.inf])
def test_a_dividend_that_is_no_number_fails_the_contract(model, amount):
    for days in (50, 100):  # before expiry, and on it
        assert failure(option(90, 100, "call", model), market_of({20: 1.0, days: amount}))[0] == "non_finite"


def test_a_batch_of_models_gives_each_its_own_bits():
    market = market_of({30: 1.0, 60: 2.0}, spots=(100.0, 90.0, 110.0))
    batch = [option(90 + k, 80 - 20 * k, "put", model) for k, model in enumerate(("spot", None, "escrowed", "spot"))]
    module = INSTRUMENTS["equity_option"]
    together = module.value(batch, market)
    for row, terms in zip(together, batch, strict=True):
        assert row.tobytes() == module.value([terms], market)[0].tobytes()
    few = ScenarioMarket(TODAY, market.index, market.states[:, 0], market.states[:, 1:2])
    assert module.value(batch, few).tobytes() == np.ascontiguousarray(together[:, :2]).tobytes()


def test_an_index_future_by_hand():
    """Hull: an index at 1,300, financed at 5%, paying 3%: the three-month future is 1,300 exp(0.02 x 0.25)."""
    index = FactorIndex.of(
        (
            RiskFactor("IX:S", "index_level", "S", "USD"),
            RiskFactor("YC:USD:1Y", "zero_rate", "1Y", "USD", "USD", "1Y"),
        )
    )
    base = np.array([1300.0, 0.05])
    market = ScenarioMarket(TODAY, index, base, base[:, None])
    terms = parse_terms(
        "equity_future",
        {"currency": "USD", "underlying": "IX:S", "reference_price": 1300, "maturity": day(91),
         "dividend_yield": 0.03, "discount_curve": "USD"},
    )  # fmt: skip
    assert values(terms, market)[0] == pytest.approx(1300 * math.expm1(0.02 * 91 / 365), rel=1e-12)
    assert values(terms, ScenarioMarket(TODAY + dt.timedelta(days=91), index, base, base[:, None]))[0] == 0.0


def swap(**changes: object) -> InstrumentTerms:
    terms = {
        "currency": "USD",
        "underlying": "EQ:A",
        "volatility": "IV:A",
        "volatility_strike": 0.2,
        "start": day(0),
        "maturity": day(365),
        "discount_curve": "USD",
    }
    return parse_terms("variance_swap", {**terms, **changes})


def test_a_flat_volatility_is_its_square_exactly():
    value = values(swap(), market_of({}))[0]
    assert value == pytest.approx(10_000 * math.exp(-RATE) * (VOL**2 - 0.2**2), rel=1e-14)
    with_fixings = swap(start=day(-100), maturity=day(265), realised_variance=0.09)
    expected = (0.09 * 100 + VOL**2 * 265) / 365 - 0.2**2
    assert values(with_fixings, market_of({}))[0] == pytest.approx(
        10_000 * math.exp(-RATE * 265 / 365) * expected, rel=1e-14
    )
    forward_start = swap(start=day(100), maturity=day(465))
    assert values(forward_start, market_of({}))[0] == pytest.approx(
        10_000 * math.exp(-RATE * 465 / 365) * (VOL**2 - 0.2**2), rel=1e-12
    )


def test_a_move_of_the_share_is_realised_by_a_running_swap_alone():
    spots = (100.0, 80.0)
    running, later = values(swap(), market_of({}, spots=spots)), values(swap(start=day(1)), market_of({}, spots=spots))
    assert running[1] - running[0] == pytest.approx(10_000 * math.exp(-RATE) * math.log(0.8) ** 2, rel=1e-12)
    assert later[1] == later[0]


# Demeterfi, Derman, Kamal and Zou (1999): spot 100, rate 5%, three months (90 days, as QuantLib's tests read it), volatility 20% at
# 100 and a point more for every 5 below. Their strip of strikes 5 apart costs 0.04189.
SKEW = {50 + 5 * i: 0.30 - 0.01 * i for i in range(18)}


def test_the_published_strip_of_demeterfi_and_others():
    levels = {
        RiskFactor("EQ:A", "equity_price", "A", "USD"): 100.0,
        RiskFactor("YC:USD:1Y", "zero_rate", "1Y", "USD", "USD", "1Y"): 0.05,
        **{
            RiskFactor(f"IV:{k}", "implied_vol", "A", "USD", attributes=(("asset", "EQ:A"), ("expiry", "90D"), ("strike", str(k)))): v
            for k, v in SKEW.items()
        },
    }  # fmt: skip
    index = FactorIndex.of(levels)
    base = np.array([levels[f] for f in index.factors])
    market = ScenarioMarket(TODAY, index, base, base[:, None])
    value = values(swap(volatility="EQ:A", maturity=day(90)), market)[0]
    fair = value / (10_000 * math.exp(-0.05 * 90 / 365)) + 0.2**2
    theirs = {width: quantlib_strip(width) for width in (5, 1)}
    assert theirs[5] == pytest.approx(0.04189, abs=1e-5)  # as printed
    # a strip of straight lines lies above the logarithm by a step's square: ours is the limit of narrower ones
    limit = theirs[1] - (theirs[5] - theirs[1]) / 24
    assert fair == pytest.approx(limit, abs=3e-5)
    assert 0 < theirs[1] - fair < theirs[5] - fair


def quantlib_strip(width: int) -> float:
    """QuantLib's fair variance with strikes so far apart, volatilities linear between the quotes."""
    today = ql_date(TODAY)
    vols = ql.Matrix(len(SKEW), 1)
    for i, v in enumerate(SKEW.values()):
        vols[i][0] = v
    surface = ql.BlackVarianceSurface(today, ql.NullCalendar(), [today + 90], [float(k) for k in SKEW], vols, DAY_COUNT)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(100.0)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, DAY_COUNT)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, 0.05, DAY_COUNT)),
        ql.BlackVolTermStructureHandle(surface),
    )
    theirs = ql.VarianceSwap(ql.Position.Long, 0.04, 50_000.0, today, today + 90)
    calls = [float(k) for k in range(100, 136, width)]
    puts = [float(k) for k in range(50, 101, width)]
    theirs.setPricingEngine(ql.ReplicatingVarianceSwapEngine(process, float(width), calls, puts))
    return float(theirs.variance())


def test_refusals_of_a_variance_swap():
    with pytest.raises(
        NotValuable, match="Its variance has been observed since 2020-03-06; give it as realised_variance"
    ):
        swap(start=day(-10)).check(TODAY)
    swap(start=day(-10), realised_variance=0.0).check(TODAY)
    swap(start=day(0)).check(TODAY + dt.timedelta(days=30), rolled_from=TODAY)  # known from the roll
    with pytest.raises(BadInput, match="expected a start before maturity"):
        swap(maturity=day(0))
    with pytest.raises(BadInput, match=r"volatility_strike = 20: .* a fraction \(0.2 is 20%\)"):
        swap(volatility_strike=20)


def test_what_a_variance_swap_reads():
    read = lambda terms: set(INSTRUMENTS["variance_swap"].risk_factors(terms, INDEX, TODAY))  # noqa: E731
    moneyness = read(swap(volatility="EQ:A", start=day(10), maturity=day(20), discount_curve="USD"))
    assert "EQ:A" not in moneyness  # it starts later, and moneyness needs no forward
    assert {i for i in moneyness if i.startswith("IV")} == {"IV:A:3M:80", "IV:A:3M:100", "IV:A:3M:120"}
    assert len(BASE) == len(INDEX.factors)


@pytest.mark.parametrize("instrument_type", ["equity_option", "equity_forward", "equity_future", "variance_swap"])
def test_neither_neighbours_nor_the_number_of_states_change_a_bit(instrument_type):
    """Smiles, dividends and models of every kind in one batch, in any order."""
    module, market = INSTRUMENTS[instrument_type], shocked_market(12)
    terms = [parse_terms(instrument_type, e) for e in EXAMPLES[instrument_type]]
    together = module.value(terms, market)
    assert np.isfinite(together).all()
    assert module.value(terms[::-1], market)[::-1].tobytes() == together.tobytes()
    some = ScenarioMarket(market.valuation_date, INDEX, market.states[:, 0], market.states[:, 5:8])
    for row, t in zip(together, terms, strict=True):
        assert module.value([t], some)[0].tobytes() == row[[0, 5, 6, 7]].tobytes()
