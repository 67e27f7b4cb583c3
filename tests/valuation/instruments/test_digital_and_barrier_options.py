"""Digital and barrier options: published values, quadrature, and what must hold among them."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from examples import BASE, INDEX, TODAY
from make_market import make_market, value
from scipy import integrate, stats

from lake.errors import BadInput
from scenarios.market.corporate_actions import CorporateAction
from scenarios.types import ScenarioSet
from valuation.batch import factors_read
from valuation.books.corporate_actions import _held, _row
from valuation.catalogue import INSTRUMENTS, parse_terms, terms_from_json
from valuation.instruments import digital_options
from valuation.kernels.barrier import barrier_options
from valuation.kernels.black import european_options
from valuation.kernels.digital import digital_options as digitals
from valuation.market.rolled_market import Carry, RolledBase
from valuation.types import Contract, InstrumentTerms

KINDS = tuple(itertools.product(("down", "up"), ("in", "out"), ("call", "put")))


def row(*numbers: Any) -> tuple[np.ndarray, ...]:
    return tuple(np.array([x]) for x in numbers)


def barrier_value(
    kind: tuple[str, str, str], strike: float, barrier: float, rebate: float, spot: float, time: float, rate: float,
    dividend: float, volatility: float, *, at_touch: bool = True, interval: float = 0.0,
) -> float:  # fmt: skip
    """One value of the kernel."""
    side, what, option = kind
    terms = row(
        1.0 if option == "call" else -1.0, 1.0 if side == "down" else -1.0, what == "in", at_touch,
        strike, barrier, rebate, time, interval,
    )  # fmt: skip
    states = row([spot], [spot * math.exp(-dividend * time)], [volatility], [math.exp(-rate * time)])
    return float(barrier_options(*terms, *states)[0, 0])


# Haug 1998, p. 72: S 100, q 4%, r 8%, T 0.5, rebate 3; by barrier and volatility, for strikes of 90, 100, 110
HAUG = {
    (("down", "out", "call"), 95.0, 0.25): (9.0246, 6.7924, 4.8759),
    (("down", "out", "call"), 100.0, 0.25): (3.0, 3.0, 3.0),
    (("up", "out", "call"), 105.0, 0.25): (2.6789, 2.3580, 2.3453),
    (("down", "in", "call"), 95.0, 0.25): (7.7627, 4.0109, 2.0576),
    (("down", "in", "call"), 100.0, 0.25): (13.8333, 7.8494, 3.9795),
    (("up", "in", "call"), 105.0, 0.25): (14.1112, 8.4482, 4.5910),
    (("down", "out", "call"), 95.0, 0.30): (8.8334, 7.0285, 5.4137),
    (("down", "out", "call"), 100.0, 0.30): (3.0, 3.0, 3.0),
    (("up", "out", "call"), 105.0, 0.30): (2.6341, 2.4389, 2.4315),
    (("down", "in", "call"), 95.0, 0.30): (9.0093, 5.1370, 2.8517),
    (("down", "in", "call"), 100.0, 0.30): (14.8816, 9.2045, 5.3043),
    (("up", "in", "call"), 105.0, 0.30): (15.2098, 9.7278, 5.8350),
    (("down", "out", "put"), 95.0, 0.25): (2.2798, 2.2947, 2.6252),
    (("down", "out", "put"), 100.0, 0.25): (3.0, 3.0, 3.0),
    (("up", "out", "put"), 105.0, 0.25): (3.7760, 5.4932, 7.5187),
    (("down", "in", "put"), 95.0, 0.25): (2.9586, 6.5677, 11.9752),
    (("down", "in", "put"), 100.0, 0.25): (2.2845, 5.9085, 11.6465),
    (("up", "in", "put"), 105.0, 0.25): (1.4653, 3.3721, 7.0846),
    (("down", "out", "put"), 95.0, 0.30): (2.4170, 2.4258, 2.6246),
    (("down", "out", "put"), 100.0, 0.30): (3.0, 3.0, 3.0),
    (("up", "out", "put"), 105.0, 0.30): (4.2293, 5.8032, 7.5649),
    (("down", "in", "put"), 95.0, 0.30): (3.8769, 7.7989, 13.3078),
    (("down", "in", "put"), 100.0, 0.30): (3.3328, 7.2636, 12.9713),
    (("up", "in", "put"), 105.0, 0.30): (2.0658, 4.4226, 8.3686),
}


@pytest.mark.parametrize(("kind", "barrier", "volatility"), HAUG)
def test_barrier_options_have_the_values_that_haug_prints(
    kind: tuple[str, str, str], barrier: float, volatility: float
) -> None:
    got = [barrier_value(kind, k, barrier, 3.0, 100.0, 0.5, 0.08, 0.04, volatility) for k in (90.0, 100.0, 110.0)]
    np.testing.assert_allclose(got, HAUG[kind, barrier, volatility], rtol=0, atol=1e-4)


def digital_value(
    sign: float,
    of_asset: bool,
    strike: float,
    spot: float,
    dividend: float,
    rate: float,
    time: float,
    volatility: float,
) -> float:
    """One value of the kernel, without a smile."""
    states = row([spot * math.exp(-dividend * time)], [volatility], [0.0], [math.exp(-rate * time)])
    return float(digitals(*row(sign, of_asset, strike, time), *states)[0, 0])


def test_digital_options_have_the_values_that_haug_prints() -> None:
    assert 10 * digital_value(-1.0, False, 80, 100, 0.06, 0.06, 0.75, 0.35) == pytest.approx(2.6710, abs=5e-5)  # p. 88
    assert digital_value(-1.0, True, 65, 70, 0.05, 0.07, 0.50, 0.27) == pytest.approx(20.2069, abs=5e-5)  # p. 90
    # p. 88: the gap call pays S - 57 above 50
    gap = digital_value(1.0, True, 50, 50, 0.0, 0.09, 0.5, 0.2) - 57 * digital_value(
        1.0, False, 50, 50, 0.0, 0.09, 0.5, 0.2
    )
    assert gap == pytest.approx(-0.0053, abs=5e-5)


def rebate_value(
    kind: tuple[str, str, str], barrier: float, spot: float, rate: float, dividend: float, **more: Any
) -> float:
    """What a rebate of 15 is worth for half a year at a volatility of 20%."""
    with_it, without = (
        barrier_value(kind, 100.0, barrier, r, spot, 0.5, rate, dividend, 0.2, **more) for r in (15.0, 0.0)
    )
    return with_it - without


def test_rebates_have_the_values_of_one_touch_options_that_haug_prints() -> None:
    below, above = ("down", "out", "call"), ("up", "out", "put")
    assert rebate_value(below, 100, 105, 0.1, 0.0) == pytest.approx(9.7264, abs=5e-5)  # p. 95, cases 1, 2
    assert rebate_value(above, 100, 95, 0.1, 0.0) == pytest.approx(11.6553, abs=5e-5)
    assert rebate_value(below, 100, 105, 0.1, 0.0, at_touch=False) == pytest.approx(9.3604, abs=5e-5)  # 5, 6
    assert rebate_value(above, 100, 95, 0.1, 0.0, at_touch=False) == pytest.approx(11.2223, abs=5e-5)
    assert rebate_value(("down", "in", "put"), 100, 105, 0.1, 0.0) == pytest.approx(4.9081, abs=5e-5)  # 9, 10
    assert rebate_value(("up", "in", "call"), 100, 95, 0.1, 0.0) == pytest.approx(3.0461, abs=5e-5)


@pytest.mark.parametrize("side", ["down", "up"])
@pytest.mark.parametrize("rate", [-0.3, -0.05, -0.01, -0.0075, 0.0, 0.02])
@pytest.mark.parametrize("carry", [-0.03, 0.005, 0.02, 0.04])
def test_a_rebate_at_the_touch_is_the_integral_over_its_time_at_any_rate(side: str, rate: float, carry: float) -> None:
    """Also where interest is so negative that the closed form has no real root: with no drift of the logarithm."""
    spot, barrier, volatility, time = 100.0, 90.0 if side == "down" else 110.0, 0.2, 1.5
    a, drift = math.log(barrier / spot), carry - 0.5 * volatility**2

    def paid(t: float) -> float:
        density = abs(a) / (volatility * math.sqrt(2 * math.pi * t**3))
        return density * math.exp(-((a - drift * t) ** 2) / (2 * volatility**2 * t) - rate * t)

    expected, error = integrate.quad(paid, 0.0, time, epsabs=1e-12, epsrel=1e-12, limit=400)
    assert error < 1e-9
    with_it, without = (
        barrier_value((side, "out", "call"), 95.0, barrier, r, spot, time, rate, rate - carry, volatility)
        for r in (1.0, 0.0)
    )
    assert with_it - without == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_knock_in_and_knock_out_are_the_option(kind: tuple[str, str, str]) -> None:
    side, _, option = kind
    rng = np.random.default_rng(3)
    for _ in range(200):
        spot, strike, barrier = rng.uniform(50, 200, 3).tolist()
        time, rate, dividend = float(rng.uniform(0.01, 5)), *rng.uniform(-0.02, 0.06, 2).tolist()
        volatility = float(rng.choice([0.002, rng.uniform(0.03, 0.9)]))
        both = sum(
            barrier_value((side, what, option), strike, barrier, 0.0, spot, time, rate, dividend, volatility)
            for what in ("in", "out")
        )
        terms = row(1.0 if option == "call" else -1.0, math.exp(-dividend * time), strike, time)
        vanilla = float(european_options(*terms, *row([spot], [volatility], [math.exp(-rate * time)]))[0, 0])
        assert both == pytest.approx(vanilla, abs=1e-12 * max(spot, strike))


@pytest.mark.parametrize("kind", KINDS)
def test_as_volatility_goes_barrier_options_go_to_the_price_that_moves_to_its_forward(
    kind: tuple[str, str, str],
) -> None:
    """The forward crosses the barrier, or does not; a rebate at the touch is discounted from when it does."""
    side, what, option = kind
    for rate, dividend, barrier in ((0.08, 0.0, 104.0), (0.08, 0.0, 110.0), (0.0, 0.08, 96.0), (0.0, 0.08, 90.0)):
        if (barrier < 100.0) != (side == "down"):
            continue
        at, near = (barrier_value(kind, 100.0, barrier, 3.0, 100.0, 1.0, rate, dividend, v) for v in (0.0, 1e-5))
        crossed = barrier in (104.0, 96.0)
        forward = 100.0 * math.exp(rate - dividend)
        intrinsic = max((forward - 100.0) * (1.0 if option == "call" else -1.0), 0.0) * math.exp(-rate)
        touch = math.log(barrier / 100.0) / (rate - dividend)
        if crossed:
            expected = intrinsic if what == "in" else 3.0 * math.exp(-rate * touch)
        else:
            expected = intrinsic if what == "out" else 3.0 * math.exp(-rate)
        assert at == pytest.approx(expected, abs=1e-12)
        assert near == pytest.approx(expected, abs=1e-6)


def discretely_monitored(
    kind: tuple[str, str, str], strike: float, barrier: float, spot: float, interval: float, n: int, rate: float,
    dividend: float, volatility: float,
) -> float:  # fmt: skip
    """A knock-out watched on n dates, the last at expiry: backward through the densities between dates, by Gauss-Legendre."""
    side, _, option = kind
    sign = 1.0 if option == "call" else -1.0
    h, k, step = math.log(barrier / spot), math.log(strike / spot), volatility * math.sqrt(interval)
    mean, discount = (rate - dividend - 0.5 * volatility**2) * interval, math.exp(-rate * interval)
    reach = abs(mean) * n + 9.0 * step * math.sqrt(n)
    low, high = (h, max(h, 0.0) + reach) if side == "down" else (min(h, 0.0) - reach, h)
    edges = np.unique(np.clip([low, *np.arange(low, high, 4 * step), k, high], low, high))
    nodes, weights = np.polynomial.legendre.leggauss(16)
    x = np.concatenate([0.5 * (b - a) * nodes + 0.5 * (a + b) for a, b in itertools.pairwise(edges)])
    w = np.concatenate([0.5 * (b - a) * weights for a, b in itertools.pairwise(edges)])
    values = np.maximum(sign * (spot * np.exp(x) - strike), 0.0)
    moves = discount * stats.norm.pdf((x[None, :] - x[:, None] - mean) / step) / step * w
    for _ in range(n - 1):
        values = moves @ values
    return float(discount * np.sum(stats.norm.pdf((x - mean) / step) / step * w * values))


@pytest.mark.parametrize("kind", [k for k in KINDS if k[1] == "out"])
@pytest.mark.parametrize(
    ("dates", "interval", "bound"),
    [(63, 1 / 252, 3e-3), (26, 7 / 365, 3e-3), (12, 1 / 12, 3e-3), (3, 1 / 12, 1e-2), (1, 1 / 12, 1e-2)],
)
def test_discrete_monitoring_is_near_the_value_on_the_very_dates(
    kind: tuple[str, str, str], dates: int, interval: float, bound: float
) -> None:
    """What the page of the instrument says of how near."""
    for moves, volatility, strike in itertools.product((1.0, 3.0, 6.0), (0.15, 0.4), (95.0, 105.0)):
        away = moves * 0.5826 * volatility * math.sqrt(interval)
        barrier = 100.0 * math.exp(-away if kind[0] == "down" else away)
        ours = barrier_value(
            kind, strike, barrier, 0.0, 100.0, dates * interval, 0.03, 0.01, volatility, interval=interval
        )
        true = discretely_monitored(kind, strike, barrier, 100.0, interval, dates, 0.03, 0.01, volatility)
        watched = barrier_value(kind, strike, barrier, 0.0, 100.0, dates * interval, 0.03, 0.01, volatility)
        assert abs(ours - true) <= bound * strike
        if dates >= 12 and (kind[0] == "down") == (
            kind[2] == "call"
        ):  # else what is left beside the barrier is next to nothing
            assert abs(ours - true) <= 0.1 * abs(watched - true)


ADDED = {
    "equity_option": {},
    "equity_digital_option": {"payoff": "cash_or_nothing"},
    "equity_barrier_option": {"barrier": 90, "barrier_type": "down_out"},
    "equity_asian_option": {"averaging_dates": ["2020-03-02", "2020-06-01"], "fixings": {"2020-03-02": 96.0}},
}


def option(instrument_type: str, **changes: Any) -> InstrumentTerms:
    terms = {
        "currency": "USD", "underlying": "EQ:A", "volatility": "VOL:A", "strike": 100, "expiry": "2021-03-16",
        "option_type": "call", "discount_curve": "USD",
    }  # fmt: skip
    return parse_terms(instrument_type, {**terms, **ADDED[instrument_type], **changes})


MARKET = {"EQ:A": [100.0, 97.0, 89.0, 90.0], "VOL:A": [0.3, 0.25, 0.4, 0.2], "YC:USD:1Y": [0.02, 0.05, -0.01, 0.0]}


@pytest.mark.parametrize("payoff", ["cash_or_nothing", "asset_or_nothing"])
@pytest.mark.parametrize("kind", ["call", "put"])
def test_a_digital_option_is_the_limit_of_call_spreads_also_on_a_smile(
    payoff: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each leg at the volatility of its own strike."""

    def smile(market: Any, names: Any, times: Any, strikes: np.ndarray, forwards: Any) -> np.ndarray:
        moved: np.ndarray = market.levels(names) - 0.25 * np.log(strikes / 100.0)[:, None]
        return moved

    monkeypatch.setattr(digital_options, "volatilities", smile)
    monkeypatch.setattr(digital_options, "all_flat", lambda market, names: False)
    market = make_market(TODAY, MARKET)
    got = value(option("equity_digital_option", payoff=payoff, option_type=kind), market)
    width = 0.01
    legs = []
    for strike in (100.0 - width, 100.0, 100.0 + width):
        own = MARKET | {"VOL:A": [v - 0.25 * math.log(strike / 100.0) for v in MARKET["VOL:A"]]}
        legs.append(value(option("equity_option", strike=strike, option_type=kind), make_market(TODAY, own)))
    low, at, high = legs
    sign = 1.0 if kind == "call" else -1.0
    spread = sign * (low - high) / (2 * width)
    expected = spread if payoff == "cash_or_nothing" else 100.0 * spread + sign * at
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-7 * (1 if payoff == "cash_or_nothing" else 100))
    # the smile matters
    monkeypatch.undo()
    flat = value(option("equity_digital_option", payoff=payoff, option_type=kind), market)
    assert np.abs(flat - got).min() > 0.01


def test_a_digital_call_and_put_pay_for_certain_and_at_the_strike_the_call_does() -> None:
    market = make_market(TODAY, MARKET)
    both = sum(value(option("equity_digital_option", option_type=k), market) for k in ("call", "put"))
    np.testing.assert_allclose(both, np.exp([-0.02, -0.05, 0.01, 0.0]), rtol=1e-14)
    today = {"expiry": TODAY.isoformat()}
    np.testing.assert_array_equal(value(option("equity_digital_option", **today), market), [1, 0, 0, 0])
    np.testing.assert_array_equal(
        value(option("equity_digital_option", option_type="put", **today), market), [0, 1, 1, 1]
    )
    asset = option("equity_digital_option", payoff="asset_or_nothing", strike=97, **today)
    np.testing.assert_array_equal(value(asset, market), [100, 97, 0, 0])


def test_on_its_day_of_expiry_a_barrier_option_is_worth_what_it_pays() -> None:
    market = make_market(TODAY, {"EQ:A": [104.0, 90.0, 89.0], "VOL:A": 0.3, "YC:USD:1Y": 0.02})
    today = {"expiry": TODAY.isoformat(), "rebate": 2.0}
    for monitoring in (None, "monthly"):
        more = {**today, "monitoring": monitoring}
        np.testing.assert_array_equal(value(option("equity_barrier_option", **more), market), [4, 2, 2])
        knock_in = option("equity_barrier_option", barrier_type="down_in", option_type="put", **more)
        np.testing.assert_array_equal(value(knock_in, market), [2, 10, 11])


def test_at_the_barrier_and_beyond_a_knock_out_is_its_rebate_and_a_knock_in_the_option() -> None:
    market = make_market(TODAY, MARKET)
    at_touch = value(option("equity_barrier_option", rebate=3), market)
    at_expiry = value(option("equity_barrier_option", rebate=3, rebate_paid="at_expiry"), market)
    np.testing.assert_array_equal(at_touch[2:], [3, 3])
    np.testing.assert_allclose(at_expiry[2:], [3 * math.exp(0.01), 3], rtol=1e-15)
    vanilla = option("equity_option")
    knocked_in = value(option("equity_barrier_option", barrier_type="down_in", rebate=3), market)
    np.testing.assert_array_equal(knocked_in[2:], value(vanilla, market)[2:])
    assert abs(knocked_in[0] - value(vanilla, market)[0]) > 0.1
    # what was touched before is the option in every state
    touched = option("equity_barrier_option", barrier_type="down_in", rebate=3, barrier_hit="2020-03-16")
    np.testing.assert_array_equal(value(touched, market), value(vanilla, market))


def test_a_knock_out_that_was_touched_pays_its_rebate_and_reads_nothing_more() -> None:
    market = make_market(TODAY, MARKET)
    index = market.index
    module = INSTRUMENTS["equity_barrier_option"]
    hit = {"rebate": 3, "barrier_hit": "2020-03-16"}
    now, before = (
        option("equity_barrier_option", **hit),
        option("equity_barrier_option", **(hit | {"barrier_hit": "2020-03-13"})),
    )
    np.testing.assert_array_equal(value(now, market), [3] * 4)
    np.testing.assert_array_equal(value(before, market), [0] * 4)
    assert module.risk_factors(now, index, TODAY) == module.risk_factors(before, index, TODAY) == ()
    later = option("equity_barrier_option", **hit, rebate_paid="at_expiry")
    np.testing.assert_allclose(value(later, market), 3 * np.exp([-0.02, -0.05, 0.01, 0.0]), rtol=1e-15)
    assert module.risk_factors(later, index, TODAY) == ("YC:USD:1Y",)
    assert factors_read([Contract(later.contract_id(), later.instrument_type, later.to_json())], index, TODAY) == {
        "YC:USD:1Y"
    }
    nothing = option("equity_barrier_option", barrier_hit="2020-03-13")
    np.testing.assert_array_equal(value(nothing, market), [0] * 4)
    # the day before the touch nothing is known of it
    assert value(option("equity_barrier_option", **(hit | {"barrier_hit": "2020-03-17"})), market)[0] > 5
    several = [now, before, later, option("equity_barrier_option")]
    np.testing.assert_array_equal(module.value(several, market), [value(t, market) for t in several])


def test_a_rebate_at_the_touch_is_cash_from_the_next_day_on() -> None:

    still = ScenarioSet(
        "", "still", "historical", TODAY, {}, INDEX, ("a",), BASE, BASE[:, None].copy(), np.zeros(len(BASE), np.bool_)
    )
    markets = RolledBase(still, "forwards", Carry())
    module = INSTRUMENTS["equity_barrier_option"]
    terms = option("equity_barrier_option", rebate=3, barrier_hit="2020-03-20")
    assert module.cash_flows(terms, markets, dt.date(2020, 3, 20)) == ()
    (flow,) = module.cash_flows(terms, markets, dt.date(2020, 3, 21))
    assert (flow.day, flow.amount) == (dt.date(2020, 3, 20), 3.0)
    expiring = option("equity_barrier_option", rebate=3, rebate_paid="at_expiry", barrier_hit="2020-03-20")
    (flow,) = module.cash_flows(expiring, markets, dt.date(2021, 3, 17))
    assert (flow.day, flow.amount) == (dt.date(2021, 3, 16), 3.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"barrier_type": "down"}, "down_in and up_in begin to live"),
        ({"barrier": -5}, "price that makes or ends the option"),
        ({"rebate": -1}, "greater than or equal to 0"),
        ({"rebate": 1, "rebate_paid": "at_touch", "barrier_type": "up_in"}, "the rebate of up_in is paid at_expiry"),
        ({"barrier_hit": "2021-03-17"}, "barrier_hit 2021-03-17 lies after expiry 2021-03-16"),
        ({"monitoring": "hourly"}, "continuous, or at the close daily, weekly or monthly"),
    ],
)
def test_barrier_terms_that_make_no_sense_are_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        option("equity_barrier_option", **changes)


def test_a_payoff_that_is_unknown_is_refused_in_words() -> None:
    with pytest.raises(BadInput, match="pays one unit of currency, asset_or_nothing one unit of the underlying"):
        option("equity_digital_option", payoff="cash")


def test_a_split_of_the_share_leaves_every_position_worth_the_same() -> None:
    """Four shares at a quarter of the price: strike, barrier, rebate and known prices too; an amount of cash stays itself."""
    split = CorporateAction("EQ:A", TODAY, "split", Fraction(4))
    before = make_market(TODAY, MARKET)
    after = make_market(TODAY, MARKET | {"EQ:A": [s / 4 for s in MARKET["EQ:A"]]})
    for terms, units in (
        (option("equity_digital_option"), 1),
        (option("equity_digital_option", payoff="asset_or_nothing"), 4),
        (option("equity_barrier_option", rebate=3), 4),
        (option("equity_asian_option"), 4),
    ):
        ((held,), _) = _held(
            _row(terms.instrument_type, terms.model_dump(mode="json", exclude_none=True)), (split,), back=False
        )
        assert held.units == units
        moved = terms_from_json(terms.instrument_type, held.row["terms"])
        np.testing.assert_allclose(units * value(moved, after), value(terms, before), rtol=1e-13)
