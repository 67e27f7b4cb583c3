"""Volatility surfaces against SciPy's interpolation, hand computations and the words of refusals."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import PchipInterpolator
from scipy.stats import norm

from lake.errors import BadInput
from scenarios.surfaces import coordinate
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor
from valuation.instruments.reads import volatilities, volatility_factors
from valuation.market.arbitrage import surface_arbitrages
from valuation.market.scenario_market import ScenarioMarket
from valuation.market.volatility import fair_variances, surface

TODAY = dt.date(2020, 3, 16)
Smile = Mapping[str, float]
MONEYNESS: Mapping[str, Smile] = {
    "90D": {"80": 0.36, "90": 0.33, "100": 0.3, "110": 0.29, "120": 0.305},
    "365D": {"75": 0.32, "90": 0.28, "100": 0.25, "115": 0.24},
}
DELTA: Mapping[str, Smile] = {
    "90D": {"10P": 0.4, "25P": 0.34, "ATM": 0.3, "25C": 0.29, "10C": 0.3},
    "365D": {"10P": 0.35, "25P": 0.3, "ATM": 0.27, "25C": 0.26, "10C": 0.265},
}
STRIKE: Mapping[str, Smile] = {"90D": {"80": 0.36, "100": 0.3, "120": 0.28}, "365D": {"80": 0.3, "100": 0.27}}


def market_of(
    points: Mapping[str, Smile], kind: str, states: int = 1, more: Sequence[tuple[RiskFactor, float]] = ()
) -> ScenarioMarket:
    """A surface named S; its points move by some percent in the scenarios."""
    levels = {
        RiskFactor(f"IV:S:{e}:{x}", "implied_vol", x, "USD", attributes=(("expiry", e), (kind, x), ("surface", "S"))): v
        for e, smile in points.items()
        for x, v in smile.items()
    } | dict(more)
    index = FactorIndex.of(levels)
    base = np.array([levels[f] for f in index.factors])
    noise = np.random.default_rng(4).standard_normal((len(base), states - 1))
    return ScenarioMarket(TODAY, index, base, base[:, None] * np.exp(0.03 * noise))


def read(market: ScenarioMarket, time: float, strike: float, forwards: Sequence[float], smile: str | None = None):
    f = np.array([forwards], dtype=float)
    return volatilities(market, ["S"], np.array([time]), np.array([float(strike)]), f, [smile])[0]


def pchip(x: np.ndarray, v: np.ndarray, at: float) -> float:
    """SciPy's monotone cubic through the quotes and two flat points on each side."""
    width = x[-1] - x[0]
    wide = np.concatenate([x[0] - width * np.array([2.0, 1.0]), x, x[-1] + width * np.array([1.0, 2.0])])
    flat = np.concatenate([[v[0]] * 2, v, [v[-1]] * 2])
    return float(PchipInterpolator(wide, flat)(np.clip(at, wide[0], wide[-1])))


@pytest.mark.parametrize(("kind", "points"), [("moneyness", MONEYNESS), ("strike", STRIKE)])
def test_between_quotes_it_is_scipys_monotone_cubic_and_between_expiries_variance_is_linear(kind, points):
    market = market_of(points, kind, states=3)
    rng = np.random.default_rng(5)
    first, second = 90 / 365, 1.0
    for _ in range(200):
        time, strike = float(rng.uniform(0.01, 1.6)), float(rng.uniform(50, 160))
        forwards = rng.uniform(70, 130, 3)
        ours = read(market, time, strike, forwards)
        for s in range(3):
            at = strike if kind == "strike" else 100 * strike / forwards[s]
            smiles = [
                pchip(
                    np.array([float(x) for x in smile]),
                    np.array([market.level(f"IV:S:{e}:{x}")[s] for x in smile]),
                    at,
                )
                for e, smile in points.items()
            ]
            if first < time < second:
                a, b = smiles[0] ** 2 * first, smiles[1] ** 2 * second
                expected = math.sqrt((a + (b - a) * (time - first) / (second - first)) / time)
            else:
                expected = smiles[0] if time <= first else smiles[1]
            assert ours[s] == pytest.approx(expected, rel=1e-13)


def test_a_delta_is_that_of_the_strike_it_stands_at():
    """The forward delta that Black's formula has at the strike and with the volatility read there is the delta of the quote."""
    market = market_of(DELTA, "delta")
    forward = 87.0
    for e, time in (("90D", 90 / 365), ("365D", 1.0)):
        for text, vol in DELTA[e].items():
            deviation = vol * math.sqrt(time)
            strike = forward * math.exp(deviation * (deviation / 2 - norm.ppf(coordinate("delta", text))))
            assert read(market, time, strike, [forward])[0] == pytest.approx(vol, rel=1e-13)
            d1 = math.log(forward / strike) / deviation + deviation / 2
            call = norm.cdf(d1)
            expected = {"10P": -0.1, "25P": -0.25, "ATM": None, "25C": 0.25, "10C": 0.1}[text]
            if expected is None:  # call and put have opposite deltas
                assert call + (call - 1) == pytest.approx(0, abs=1e-12)
            else:
                assert (call if expected > 0 else call - 1) == pytest.approx(expected, rel=1e-12)


def test_between_expiries_a_delta_surface_has_linear_variance_at_each_delta():
    market = market_of(DELTA, "delta")
    time, first = 0.6, 90 / 365
    weight = (time - first) / (1 - first)
    a, b = DELTA["90D"]["25P"] ** 2 * first, DELTA["365D"]["25P"] ** 2
    vol = math.sqrt((a + (b - a) * weight) / time)
    strike = 100 * math.exp(vol * math.sqrt(time) * (vol * math.sqrt(time) / 2 - norm.ppf(0.75)))
    assert read(market, time, strike, [100.0])[0] == pytest.approx(vol, rel=1e-13)


def test_flat_beyond_the_quotes_and_flat_smiles_stay_flat():
    market = market_of(MONEYNESS, "moneyness")
    assert read(market, 0.02, 10, [100.0]) == 0.36
    assert read(market, 0.0, 500, [100.0]) == 0.305
    assert read(market, 9.0, 500, [100.0]) == 0.24
    flat = market_of({e: dict.fromkeys(smile, 0.2) for e, smile in DELTA.items()}, "delta")
    grid = [read(flat, t, k, [100.0])[0] for t in (0.0, 0.1, 0.5, 2) for k in (20, 80, 100.5, 300)]
    assert grid == pytest.approx([0.2] * len(grid), rel=1e-14)


def test_sticky_strike_and_sticky_delta():
    base, up = 100.0, 110.0
    by_moneyness, by_strike = market_of(MONEYNESS, "moneyness", 2), market_of(STRIKE, "strike", 2)
    for market in (by_moneyness, by_strike):  # the points stand still
        market.states.setflags(write=True)
        market.states[:, 1] = market.states[:, 0]
    at_90, at_99 = (read(by_moneyness, 1.0, k, [base, base])[0] for k in (90, 99))
    assert read(by_moneyness, 1.0, 99, [base, up]) == pytest.approx([at_99, at_90], rel=1e-14)
    assert read(by_moneyness, 1.0, 99, [base, up], "sticky_delta")[1] == pytest.approx(at_90, rel=1e-14)
    assert read(by_moneyness, 1.0, 99, [base, up], "sticky_strike") == pytest.approx([at_99] * 2, rel=1e-14)
    at_90, at_99 = (read(by_strike, 1.0, k, [base, base])[0] for k in (90, 99))
    assert read(by_strike, 1.0, 99, [base, up]) == pytest.approx([at_99] * 2, rel=1e-14)
    assert read(by_strike, 1.0, 99, [base, up], "sticky_strike") == pytest.approx([at_99] * 2, rel=1e-14)
    assert read(by_strike, 1.0, 99, [base, up], "sticky_delta") == pytest.approx([at_99, at_90], rel=1e-14)


def test_exactly_the_expiries_around_are_read():
    index = market_of({"30D": {"100": 0.3}, **MONEYNESS}, "moneyness").index
    read_on = lambda days: {  # noqa: E731
        i.split(":")[2] for i in volatility_factors(index, "S", TODAY, TODAY + dt.timedelta(days=days))
    }
    assert read_on(0) == read_on(10) == read_on(30) == {"30D"}
    assert read_on(31) == {"30D", "90D"}
    assert read_on(90) == {"90D"}
    assert read_on(364) == {"90D", "365D"}
    assert read_on(365) == read_on(5000) == {"365D"}
    expiry = TODAY + dt.timedelta(days=200)
    assert len(volatility_factors(index, "S", TODAY, expiry)) == len(MONEYNESS["90D"]) + len(MONEYNESS["365D"])


def test_a_term_structure_at_the_money():
    factors = {
        RiskFactor(f"NV:EUR:{e}", "normal_vol", e, "EUR", attributes=(("asset", "EUR_6M"), ("expiry", e))): v
        for e, v in (("1Y", 0.006), ("4Y", 0.008))
    }
    index = FactorIndex.of(factors)
    base = np.array([factors[f] for f in index.factors])
    market = ScenarioMarket(TODAY, index, base, base[:, None])
    assert volatility_factors(index, "EUR_6M", TODAY, dt.date(2022, 3, 16), ("normal_vol",)) == (
        "NV:EUR:1Y",
        "NV:EUR:4Y",
    )
    out = volatilities(market, ["EUR_6M"], np.array([2.5]), np.array([-0.01]), np.array([[-0.02, -0.02]]))
    middle = (0.006**2 + 4 * 0.008**2) / 2  # halfway in time
    assert out == pytest.approx(math.sqrt(middle / 2.5), rel=1e-14)
    with pytest.raises(MissingRiskFactor, match="EUR_6M is of normal_vol; expected implied_vol"):
        volatility_factors(index, "EUR_6M", TODAY, dt.date(2022, 3, 16))


def test_refusals():
    with pytest.raises(MissingRiskFactor, match=r"Unknown volatility 'T'\. Nearest valid: S"):
        surface(market_of(STRIKE, "strike").index, "T")
    mixed = [
        RiskFactor(f"IV:S:{e}:{k}", "implied_vol", k, "USD", attributes=(("asset", "S"), ("expiry", e), (kind, k)))
        for e, kind, k in (("1M", "strike", "90"), ("1M", "delta", "25P"))
    ]
    with pytest.raises(
        MissingRiskFactor, match=r"different kinds: implied_vol by delta, strike\. Give each surface a name"
    ):
        surface(FactorIndex.of(mixed), "S")
    twice = [
        RiskFactor(f"IV:S:{e}", "implied_vol", e, "USD", attributes=(("asset", "S"), ("expiry", e)))
        for e in ("12M", "1Y")
    ]
    with pytest.raises(MissingRiskFactor, match="IV:S:12M and IV:S:1Y are the same point"):
        surface(FactorIndex.of(twice), "S")
    uneven = market_of({"90D": {"ATM": 0.3, "25C": 0.3}, "365D": {"ATM": 0.3}}, "delta").index
    with pytest.raises(MissingRiskFactor, match=r"other deltas after 0\.247 years than after 1"):
        volatility_factors(uneven, "S", TODAY, TODAY + dt.timedelta(days=200))
    assert volatility_factors(uneven, "S", TODAY, TODAY + dt.timedelta(days=365)) == ("IV:S:365D:ATM",)


def test_volatilities_that_are_none_give_none():
    broken = {e: dict(smile) for e, smile in MONEYNESS.items()}
    broken["90D"]["100"] = -0.1
    assert np.isnan(read(market_of(broken, "moneyness"), 90 / 365, 100, [100.0])[0])
    # the 10-delta strike above the 25-delta one: no smile
    crossed = {"365D": {"10P": 0.1, "25P": 0.9, "ATM": 0.3}}
    assert np.isnan(read(market_of(crossed, "delta"), 1.0, 100, [100.0])[0])


@pytest.mark.parametrize(
    ("text", "call_delta"),
    [
        *(("10P", 0.9), ("25P", 0.75), ("ATM", 0.5), ("25C", 0.25), ("10C", 0.1), ("25D put", 0.75), ("10 Delta Call", 0.1)),
        *(("P25", 0.75), ("put_25", 0.75), ("0.25", 0.25), ("-0.25", 0.75), ("0.75", 0.75), ("25", 0.25), ("atm", 0.5)),
        *(("5D", 0.05), ("12.5P", 0.875), ("DNS", 0.5), ("25Δ Call", 0.25), ("-10P", 0.9)),
    ],
)  # fmt: skip
def test_deltas_as_files_have_them(text, call_delta):
    assert coordinate("delta", text) == pytest.approx(call_delta, abs=1e-15)


@pytest.mark.parametrize("text", ["", "P", "100P", "0", "-1C", "ATM25", "PC25", "1e3", "nan"])
def test_what_is_no_delta(text):
    with pytest.raises(BadInput, match=r"no delta; expected one such as 10P, 25P, ATM, 25C or 0\.25"):
        coordinate("delta", text)


@pytest.mark.parametrize(
    ("kind", "points"), [("moneyness", MONEYNESS), ("delta", DELTA), ("strike", {**STRIKE, "365D": STRIKE["90D"]})]
)
@pytest.mark.parametrize("time", [0.1, 0.5, 1.0, 2.0])
def test_fair_variance_is_the_strip_of_options_over_all_strikes(kind, points, time):
    market = market_of(points, kind)
    forward = 103.0

    def vol(k: float) -> float:
        return float(read(market, time, forward * math.exp(k), [forward])[0])

    def price(k: float) -> float:
        """The option out of the money as a fraction of the forward, over strike^2 and times dK / dk."""
        deviation, sign = vol(k) * math.sqrt(time), math.copysign(1, k)
        d1 = -k / deviation + deviation / 2
        return sign * (norm.cdf(sign * d1) - math.exp(k) * norm.cdf(sign * (d1 - deviation))) * math.exp(-k)

    edges = [-3, -1, -0.5, -0.25, -0.1, 0, 0.1, 0.2, 0.4, 0.8, 2]
    strip = sum(quad(price, a, b, epsabs=1e-11, limit=200)[0] for a, b in itertools.pairwise(edges))
    fair = fair_variances(market, "S", np.array([time]), np.array([[forward]]))[0, 0]
    assert fair == pytest.approx(2 / time * strip, rel=3e-6)


def test_arbitrage_is_told_with_expiry_strikes_and_size():
    sound = market_of(MONEYNESS, "moneyness")
    assert surface_arbitrages(sound, "S") == []
    falls = {"90D": {"90": 0.5, "100": 0.5, "110": 0.5}, "365D": {"90": 0.2, "100": 0.3, "110": 0.3}}
    found = [a for a in surface_arbitrages(market_of(falls, "moneyness"), "S") if a.kind == "calendar"]
    assert [(a.next_expiry, a.strikes) for a in found] == [(1.0, (pytest.approx(90.0),))]
    assert found[0].size == pytest.approx(0.25 * 90 / 365 - 0.04, rel=1e-12)


def test_a_butterfly_by_hand():
    market = market_of({"365D": {"90": 0.2, "100": 0.3, "110": 0.2}}, "moneyness")
    (found,) = surface_arbitrages(market, "S")

    def call(k: float, vol: float) -> float:
        d1 = -math.log(k) / vol + vol / 2
        return float(norm.cdf(d1) - k * norm.cdf(d1 - vol))

    assert found.kind == "butterfly"
    assert found.strikes == pytest.approx((90, 100, 110))
    assert found.size == pytest.approx(100 * (call(1, 0.3) - (call(0.9, 0.2) + call(1.1, 0.2)) / 2), rel=1e-10)


def test_a_surface_by_strike_is_judged_at_its_forwards():
    share = (RiskFactor("EQ:S", "equity_price", "S", "USD"), 100.0)
    rate = (RiskFactor("YC:USD:1Y", "zero_rate", "1Y", "USD", "USD", "1Y"), 0.2)
    levels = dict(
        (
            share,
            rate,
            *(
                (RiskFactor(f"IV:{e}:{k}", "implied_vol", k, "USD", attributes=(("asset", "EQ:S"), ("expiry", e), ("strike", k))), v)
                for e, k, v in (("6M", "100", 0.3), ("6M", "120", 0.3), ("1Y", "100", 0.22), ("1Y", "120", 0.2))
            ),
        )
    )  # fmt: skip
    index = FactorIndex.of(levels)
    base = np.array([levels[f] for f in index.factors])
    market = ScenarioMarket(TODAY, index, base, base[:, None])
    with pytest.raises(MissingRiskFactor, match="by strike: name the curve that forwards of EQ:S are made with"):
        surface_arbitrages(market, "EQ:S")
    (found,) = [a for a in surface_arbitrages(market, "EQ:S", "USD") if abs(a.strikes[0] - 90.4837) < 1e-3]
    assert found.kind == "calendar"  # 100 after half a year at a forward of 110.5 is 110.5 after a year at 122.1
    late = math.sqrt(found_vol := 0.3**2 * 0.5 - found.size)
    assert late == pytest.approx(pchip(np.array([100.0, 120.0]), np.array([0.22, 0.2]), 100 * math.exp(0.1)), rel=1e-12)
    assert found_vol > 0
