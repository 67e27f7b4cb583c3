"""Market paths: martingales within Monte Carlo error, closed forms of bonds and bridges, and the same bits however they are made.

A mean of n antithetic pairs is held to its exact value within 4 standard errors: for one test a chance of 6 in 100,000 of a false alarm,
once, since seeds are fixed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813 - as everywhere
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.arrays import Floats
from lake.errors import BadInput
from scenarios.types import FactorIndex, RiskFactor
from valuation.kernels import path_models
from valuation.market.path_market import PathMarkets
from valuation.market.path_model import History, PathKeys, PathModel, Settings, fit_market
from valuation.market.rolled_market import Carry

TODAY = dt.date(2020, 3, 16)
DATES = [TODAY + dt.timedelta(days=d) for d in (30, 182, 365, 1095, 3650)]
_PILLARS = ("3M", "1Y", "2Y", "5Y", "10Y", "20Y", "30Y")
_FACTORS = [
    *(RiskFactor(f"YC:{c}:{p}", "zero_rate", p, c, c, p) for c in ("USD", "EUR") for p in _PILLARS),
    *(RiskFactor(f"YC:USD_3M:{p}", "zero_rate", p, "USD", "USD_3M", p) for p in _PILLARS),
    RiskFactor("FX:EURUSD", "fx_rate", "euro", "USD"),
    RiskFactor("FX:GBPUSD", "fx_rate", "sterling", "USD"),
    RiskFactor("EQ:U", "equity_price", "a share in dollars", "USD"),
    RiskFactor("EQ:E", "equity_price", "a share in euros", "EUR"),
    RiskFactor("CO:X", "commodity_price", "a commodity", "USD"),
    RiskFactor("CO:NEG", "commodity_price", "a commodity below zero", "USD"),
    *(RiskFactor(f"HR:C:{p}", "hazard_rate", p, "USD", "C", p) for p in ("1Y", "5Y", "10Y")),
    RiskFactor("IV:U", "implied_vol", "volatility", "USD", attributes=(("asset", "EQ:U"),)),
]
INDEX = FactorIndex.of(_FACTORS)
_LEVEL = {
    "YC:USD": 0.02,
    "YC:EUR": -0.004,
    "FX:EUR": 1.1,
    "FX:GBP": 1.25,
    "EQ": 100.0,
    "CO:X": 55.0,
    "CO:NEG": -3.0,
    "HR": 0.02,
    "IV": 0.3,
}


def _level(name: str) -> float:
    (found,) = (v for k, v in _LEVEL.items() if name.startswith(k))
    return found + (0.0003 * _PILLARS.index(name.split(":")[-1]) if name.startswith("YC") else 0.0)


BASE = np.array([_level(i) for i in INDEX.row])
CARRY = Carry({"EQ:U": 0.03}, {"CO:X": 0.01})


def history() -> History:
    rng = np.random.default_rng(4)
    kinds = tuple(str(f.shift_type).replace("relative", "log") for f in INDEX.factors)
    loadings = rng.standard_normal((len(kinds), 5)) + np.array([1.0, 0, 0, 0, 0])
    size = np.array([0.0006 if k == "absolute" else 0.012 for k in kinds])
    return History(INDEX, kinds, loadings * (size / np.sqrt((loadings**2).sum(axis=1)))[:, None])


def model(**changed: object) -> PathModel:
    told = {
        "measure": "risk_neutral",
        "numeraire": "USD",
        "paths": 4096,
        "seed": 5,
        "sampling": "antithetic",
        **changed,
    }
    return fit_market(TODAY, DATES, Settings(**told), CARRY, INDEX, BASE, history())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def paths() -> PathMarkets:
    return PathMarkets(model())


def years(day: dt.date) -> float:
    return (day - TODAY).days / 365.0


def holds(states: Floats, wanted: float, errors: float = 4.0) -> None:
    pairs = states.reshape(-1, 2).mean(axis=1)
    error = pairs.std(ddof=1) / np.sqrt(len(pairs))
    assert abs(pairs.mean() - wanted) <= errors * error + 1e-12 * abs(wanted), (pairs.mean(), wanted, error)


def base_discount(curve: str, day: dt.date) -> float:
    return float(model().base_market().discount(curve, np.array([years(day)]))[0, 0])


@pytest.mark.parametrize("day", DATES)
class TestMartingales:
    def test_a_bank_account_and_bonds(self, paths: PathMarkets, day: dt.date) -> None:
        m = paths.at(day)
        holds(m.bank_discount("USD")[1:], base_discount("USD", day))
        for later in (365, 3650):
            bond = m.bank_discount("USD") * m.discount("USD", np.array([later / 365.0]))[0]
            holds(bond[1:], base_discount("USD", day + dt.timedelta(days=later)))

    def test_bonds_of_another_currency_and_exchange_rates(self, paths: PathMarkets, day: dt.date) -> None:
        m = paths.at(day)
        for later in (0, 1825):
            bond = m.bank_discount("USD") * m.fx("EUR", "USD") * m.discount("EUR", np.array([later / 365.0]))[0]
            holds(bond[1:], 1.1 * base_discount("EUR", day + dt.timedelta(days=later)))

    def test_shares_in_either_currency(self, paths: PathMarkets, day: dt.date) -> None:
        m = paths.at(day)
        holds((m.bank_discount("USD") * m.level("EQ:U"))[1:], 100.0 * np.exp(-0.03 * years(day)))
        holds((m.bank_discount("USD") * m.fx("EUR", "USD") * m.level("EQ:E"))[1:], 110.0)

    def test_commodity_forwards(self, paths: PathMarkets, day: dt.date) -> None:
        m = paths.at(day)
        forward = 55.0 * np.exp(0.01 * years(day))
        holds((m.bank_discount("USD") * m.level("CO:X"))[1:], forward * base_discount("USD", day))

    def test_the_base_comes_true(self, paths: PathMarkets, day: dt.date) -> None:
        m = paths.at(day)
        ahead = m.discount("USD_3M", np.array([2.0]))[0, 0]
        assert ahead == pytest.approx(
            base_discount("USD_3M", day + dt.timedelta(days=730)) / base_discount("USD_3M", day), rel=1e-12
        )
        assert m.fx("EUR", "USD")[0] == pytest.approx(
            1.1 * base_discount("EUR", day) / base_discount("USD", day), rel=1e-12
        )

    def test_the_factor_of_credit_has_mean_one(self, paths: PathMarkets, day: dt.date) -> None:
        hazard = -np.log(paths.at(day).survival("C", np.array([1.0]))[0])
        holds(hazard[1:], float(hazard[0]))


def test_variances_are_those_of_the_model(paths: PathMarkets) -> None:
    """Chi-square bounds of 99.99% of the sample variance of 2,048 independent states."""
    day = DATES[3]
    m, t = paths.at(day), years(day)
    place = paths.place["rate", "USD"]
    d = paths.model.drivers[place]
    assert d.mean_reversion is not None
    x = paths.driver(place, day)[0][::2]
    wanted = d.volatility**2 * float(path_models.slope(2 * d.mean_reversion, np.array([t]))[0])
    assert x.var(ddof=1) == pytest.approx(wanted, rel=4.0 * np.sqrt(2 / 2048))
    shares = np.log(m.level("EQ:U")[1::2]) - paths.integral(place, day)[::2]
    assert shares.var(ddof=1) == pytest.approx(0.3**2 * t, rel=4.0 * np.sqrt(2 / 2048))


@pytest.mark.parametrize("days", [1, 100, 2000])
def test_a_day_between_two_dates_is_as_good_as_a_date(paths: PathMarkets, days: int) -> None:
    day = TODAY + dt.timedelta(days=days)
    m = paths.at(day)
    holds(m.bank_discount("USD")[1:], base_discount("USD", day))
    holds(
        (m.bank_discount("USD") * m.discount("USD", np.array([5.0]))[0])[1:],
        base_discount("USD", day + dt.timedelta(days=1825)),
    )
    holds((m.bank_discount("USD") * m.fx("EUR", "USD"))[1:], 1.1 * base_discount("EUR", day))
    x = paths.driver(paths.place["rate", "USD"], day)[0][::2]
    d = paths.model.drivers[paths.place["rate", "USD"]]
    wanted = d.volatility**2 * float(path_models.slope(2 * (d.mean_reversion or 0.0), np.array([years(day)]))[0])
    assert x.var(ddof=1) == pytest.approx(wanted, rel=4.0 * np.sqrt(2 / 2048))


def test_bonds_are_those_of_quantlibs_hull_white() -> None:
    """On a flat curve, state by state: x is the short rate less the forward rate and the convexity of the model."""
    a, sigma, t, rate = 0.05, 0.011, 3.0, 0.02
    ql.Settings.instance().evaluationDate = ql.Date(16, 3, 2020)
    curve = ql.YieldTermStructureHandle(ql.FlatForward(ql.Date(16, 3, 2020), rate, ql.Actual365Fixed()))
    theirs = ql.HullWhite(curve, a, sigma)
    b = float(path_models.slope(a, np.array([t]))[0])
    for x in (-0.02, 0.0, 0.03):
        short = x + rate + 0.5 * sigma**2 * b**2
        for s in (0.5, 5.0, 20.0):
            bs = path_models.slope(a, np.array([s]))
            u = float(path_models.slope(2 * a, np.array([t]))[0])
            constant = -rate * s - bs * 0.5 * sigma**2 * b**2 - 0.5 * bs**2 * sigma**2 * u
            ours = path_models.affine_factors(constant, bs, np.array([x]))[0, 0]
            assert ours == pytest.approx(theirs.discountBond(t, t + s, short), rel=1e-9)  # they differentiate the curve


def test_any_block_of_paths_has_the_same_bits() -> None:
    m = model(paths=3000, sampling="random")
    whole, last = PathMarkets(m), PathMarkets(m, 2048)
    for day in (DATES[2], DATES[2] + dt.timedelta(days=40)):
        for name in ("FX:EURUSD", "EQ:E", "CO:X"):
            assert np.array_equal(whole.at(day).level(name)[2049:], last.at(day).level(name)[1:])
        assert np.array_equal(
            whole.at(day).discount("EUR", np.array([4.0]))[0, 2049:],
            last.at(day).discount("EUR", np.array([4.0]))[0, 1:],
        )


@pytest.mark.parametrize("sampling", ["random", "antithetic", "sobol"])
def test_a_model_comes_back_from_json_with_the_same_paths(sampling: str) -> None:
    m = model(paths=64, sampling=sampling)
    again = PathModel.from_json(m.to_json())
    assert again.path_set_id() == m.path_set_id()
    assert np.array_equal(PathMarkets(m).states, PathMarkets(again).states)


def test_pillars_are_quoted_so_that_the_curve_comes_out() -> None:
    paths = PathMarkets(model(paths=8, sampling="random"))
    m = paths.at(DATES[3])
    zero = m.level("YC:EUR:5Y")
    np.testing.assert_allclose(np.exp(-5.0 * zero), m.discount("EUR", np.array([5.0]))[0], rtol=1e-13)
    hazard = m.level("HR:C:5Y")
    np.testing.assert_allclose(np.exp(-5.0 * hazard), m.survival("C", np.array([5.0]))[0], rtol=1e-13)
    assert m.states.shape == (len(INDEX.factors), 9)


def test_what_stays_is_named() -> None:
    gone = model().unmodelled
    assert gone["CO:NEG"] == "not above zero, so that no lognormal move applies"
    assert gone["IV:U"] == "volatilities stay"
    assert "no discount curve in GBP" in gone["FX:GBPUSD"]
    assert "EQ:U" not in gone
    assert np.array_equal(PathMarkets(model(paths=8, sampling="random")).at(DATES[0]).level("CO:NEG"), np.full(9, -3.0))
    assert any("keep their level" in note for note in model().notes())


def test_parameters_given_count_and_wrong_names_are_told() -> None:
    m = model(rate_volatilities={"EUR": 0.004}, mean_reversions={"EUR": 0.1}, volatilities={"EQ:U": 0.5, "EUR": 0.07})
    told = {(d.kind, d.name): d for d in m.drivers}
    assert (told["rate", "EUR"].volatility, told["rate", "EUR"].mean_reversion) == (0.004, 0.1)
    assert (told["share", "EQ:U"].volatility, told["fx", "EUR"].volatility) == (0.5, 0.07)
    assert model().drivers[0].source.startswith("history")
    with pytest.raises(BadInput, match="EQ:U"):
        model(volatilities={"EQ:V": 0.2})
    with pytest.raises(BadInput, match="USX"):
        model(numeraire="USX")
    wrong = dataclasses.replace(CARRY, curves={**CARRY.curves, "USD": "USD_NONE"})
    with pytest.raises(BadInput, match="Unknown discount curve of USD 'USD_NONE'"):
        fit_market(TODAY, DATES, model().settings, wrong, INDEX, BASE, history())


def test_fingerprints_hold_what_is_read_and_no_more() -> None:
    keys = PathKeys(model())
    moved = BASE.copy()
    moved[INDEX.row["EQ:U"]] = 101.0
    other = PathKeys(fit_market(TODAY, DATES, model().settings, CARRY, INDEX, moved, history()))
    assert keys.of("v", ["YC:USD:5Y"]) == other.of("v", ["YC:USD:5Y"])
    assert keys.of("v", ["EQ:U"]) != other.of("v", ["EQ:U"])
    assert keys.of("v", ["YC:USD:5Y"]) != keys.of("w", ["YC:USD:5Y"])
    seeded = PathKeys(model(seed=6))
    assert keys.of("v", ["YC:USD:5Y"]) != seeded.of("v", ["YC:USD:5Y"])
    assert "HR:C:10Y" in keys.closure(["HR:C:1Y"])


def test_real_world_paths_move_as_the_history_does() -> None:
    m = model(measure="real_world", paths=2048, sampling="random")
    paths = PathMarkets(m)
    for k in (1, 4):
        days = np.busday_count(np.datetime64(TODAY), np.datetime64(DATES[k]))
        move = np.log(paths.at(DATES[k]).level("EQ:U")[1:] / 100.0)
        assert move.std(ddof=1) == pytest.approx(0.012 * np.sqrt(days), rel=4 / np.sqrt(2 * 2048))
    between = paths.at(DATES[0] + dt.timedelta(days=10)).level("FX:EURUSD")
    ends = [paths.at(d).level("FX:EURUSD") for d in DATES[:2]]
    assert ((between >= np.minimum(*ends) - 1e-12) & (between <= np.maximum(*ends) + 1e-12)).all()
    part = PathMarkets(m, 1024)
    assert np.array_equal(part.at(DATES[2]).level("EQ:E")[1:], paths.at(DATES[2]).level("EQ:E")[1025:])


@settings(max_examples=30, deadline=None)
@given(a=st.floats(-0.1, 0.8), sigma=st.floats(0.001, 0.03), before=st.floats(0.003, 3.0), after=st.floats(0.003, 3.0))
def test_two_steps_are_one(a: float, sigma: float, before: float, after: float) -> None:
    """The covariance of state and integral over a span is that of its two parts put together."""
    one, rev, vol = np.ones((1, 1)), np.array([a]), np.array([sigma])
    first, second, whole = (path_models.step_covariance(rev, vol, one, h) for h in (before, after, before + after))
    moved = np.array([[np.exp(-a * after), 0.0], [float(path_models.slope(a, np.array([after]))[0]), 1.0]])
    np.testing.assert_allclose(moved @ first @ moved.T + second, whole, rtol=1e-10, atol=1e-18)


def test_the_law_of_an_extreme_is_that_of_the_reflection_principle() -> None:
    u = (np.arange(20_000) + 0.5) / 20_000
    lows = path_models.extreme(np.zeros(20_000), np.full(20_000, 0.1), 0.04, u, lowest=True)
    for level in (-0.3, -0.1, -0.01):
        assert (lows <= level).mean() == pytest.approx(np.exp(-2 * level * (level - 0.1) / 0.04), abs=1e-4)


def test_swaptions_give_back_the_sigma_they_were_made_with() -> None:
    """A normal volatility read off QuantLib's Hull-White price of a swaption, turned back by the slope of the swap rate."""
    a, sigma, rate, expiry = 0.03, 0.009, 0.02, 5.0
    starts = np.arange(0.0, 6.0)
    discounts = np.exp(-rate * starts)
    steepness = path_models.swap_rate_slope(a, starts, discounts, np.ones(5))
    annuity = float(np.exp(-rate * expiry) * discounts[1:].sum())
    forward = float((1 - discounts[-1]) / discounts[1:].sum())
    today = ql.Date(16, 3, 2020)
    ql.Settings.instance().evaluationDate = today
    curve = ql.YieldTermStructureHandle(ql.FlatForward(today, rate, ql.Actual365Fixed()))
    theirs = ql.HullWhite(curve, a, sigma)
    # a coupon bond option by Jamshidian's decomposition
    coupons = [forward] * 4 + [1.0 + forward]
    lows = [0.0, 0.2]
    for _ in range(200):
        middle = 0.5 * sum(lows) - 0.1
        worth = sum(c * theirs.discountBond(expiry, expiry + i + 1, middle) for i, c in enumerate(coupons))
        lows = [lows[0], 0.5 * sum(lows)] if worth < 1.0 else [0.5 * sum(lows), lows[1]]
    critical = 0.5 * sum(lows) - 0.1
    price = sum(
        c
        * theirs.discountBondOption(
            ql.Option.Put, theirs.discountBond(expiry, expiry + i + 1, critical), expiry, expiry + i + 1
        )
        for i, c in enumerate(coupons)
    )
    normal = price / annuity * np.sqrt(2 * np.pi / expiry)
    reached = float(path_models.slope(2 * a, np.array([expiry]))[0])
    assert normal * np.sqrt(expiry / reached) / steepness == pytest.approx(sigma, rel=0.01)


def test_dates_beyond_the_grid_are_refused(paths: PathMarkets) -> None:
    with pytest.raises(BadInput, match="end on"):
        paths.at(DATES[-1] + dt.timedelta(days=1)).level("EQ:U")
    with pytest.raises(ValueError, match="multiple"):
        PathMarkets(dataclasses.replace(paths.model), 100)
