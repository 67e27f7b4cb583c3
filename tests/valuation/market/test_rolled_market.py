"""The market rolled forward: curves, spot prices, scenarios, and what contracts earn on the way."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import math

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813 - as everywhere
from examples import BASE, EXAMPLES, INDEX, LEVELS, TODAY, numbered
from make_market import factor
from support import new_lake

from lake.committer import Committer
from lake.errors import BadInput
from scenarios.store import load_scenario_set, save_scenario_set, scenario_set_digest
from scenarios.types import FactorIndex, MissingRiskFactor, ScenarioSet
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.horizons import rolled_values
from valuation.horizons.cash import cash_until
from valuation.instruments.schedules import horizon_date
from valuation.kernels import curves, quotes
from valuation.market.quoted_curves import QUOTED
from valuation.market.rolled_market import Carry, RolledBase, carry_of, roll, still
from valuation.market.scenario_market import ScenarioMarket
from valuation.sets.plan import Fingerprints
from valuation.types import Contract

ALL = numbered()
YEAR = TODAY + dt.timedelta(days=365)
NO_CARRY = Carry()


def scenario_set(levels: dict[str, float] | None = None, n: int = 7, curve_type: str | None = None) -> ScenarioSet:
    index, base = INDEX, BASE
    if levels is not None:
        index = FactorIndex.of(factor(i, curve_type or "zero_rate") for i in levels)
        base = np.array([levels[f.risk_factor_id] for f in index.factors])
    rng = np.random.default_rng(3)
    shocks = rng.standard_normal((len(base), n))
    pillars = np.array([f.curve is not None for f in index.factors])[:, None]
    moved = np.where(pillars, base[:, None] + 0.002 * shocks, base[:, None] * (1 + 0.05 * shocks))
    labels = tuple(f"s{i}" for i in range(n))
    shocked = np.ones(len(base), dtype=bool)
    shocked[0] = False
    moved[0] = base[0]
    return ScenarioSet("", "test", "historical", TODAY, {}, index, labels, base, moved, shocked)


def rolled_market(s: ScenarioSet, day: dt.date, how: str = "forwards", carry: Carry = NO_CARRY) -> ScenarioMarket:
    return ScenarioMarket.of(roll(s, day, how, carry), day)  # type: ignore[arg-type]


def contract(kind: str, terms: dict[str, object]) -> Contract:
    parsed = parse_terms(kind, terms)
    return Contract(parsed.contract_id(), kind, parsed.to_json())


def base_value(c: Contract, market: ScenarioMarket) -> float:
    """Value at the base; what has matured is worth nothing any more."""
    block = value_batch([c], market)
    if block.failures:
        assert block.failures[0].reason == "matured", block.failures
        return 0.0
    return float(block.base[0])


class TestQuotes:
    TIMES = np.array([1 / 12, 0.25, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0])
    YIELDS = np.array([0.051, 0.05, 0.049, 0.046, 0.044, 0.04, 0.037, 0.04, 0.043])

    @pytest.mark.parametrize("kind", ["par_yield", "zero_rate"])
    def test_a_curve_built_from_yields_is_quoted_at_those_yields(self, kind):
        build = {"par_yield": curves.par_curve, "zero_rate": curves.zero_curve}[kind]
        curve = build(self.TIMES, self.YIELDS[:, None])
        again = quotes.QUOTES[kind](lambda t: curves.interpolated_discount_factors(*curve, t)[:, 0], self.TIMES)
        np.testing.assert_allclose(again, self.YIELDS, rtol=0, atol=1e-14)

    def test_par_yields_against_quantlib(self):
        """Par coupons of semi-annual bonds on a flat curve; a bill's yield from its price."""
        rate = 0.043
        got = quotes.par_yields(lambda t: np.exp(-rate * t), np.array([0.25, 0.75, 1.0, 7.0, 30.0]))
        semi = ql.InterestRate(rate, ql.SimpleDayCounter(), ql.Continuous, ql.Annual)
        par = semi.equivalentRate(ql.Compounded, ql.Semiannual, 1.0).rate()
        np.testing.assert_allclose(got[2:], par, atol=1e-14)
        assert 1 + got[0] * 0.25 == pytest.approx(math.exp(rate * 0.25), abs=1e-15)
        assert (1 + got[1] / 2) * (1 + got[1] / 4) == pytest.approx(math.exp(rate * 0.75), abs=1e-15)


class TestMarket:
    @pytest.mark.parametrize("curve", ["USD", "EUR", "JPY"])
    @pytest.mark.parametrize("days", [1, 31, 365, 1300])
    def test_discount_factors_are_the_forward_ones_exactly_between_pillars_too(self, curve, days):
        s = scenario_set()
        before = ScenarioMarket.of(s, TODAY)
        after = rolled_market(s, TODAY + dt.timedelta(days=days))
        times, t = np.linspace(0.0, 33.0, 500), days / 365
        expected = before.discount(curve, times + t)[:, 0] / before.discount(curve, np.array([t]))[0, 0]
        np.testing.assert_allclose(after.discount(curve, times)[:, 0], expected, rtol=1e-15)

    @pytest.mark.parametrize("curve", ["USD", "EUR"])
    def test_pillars_are_quoted_on_the_rolled_curve(self, curve):
        """The rolled levels, built into a curve of their own, discount at the pillars as the rolled curve does."""
        rolled = roll(scenario_set(), YEAR, "forwards", NO_CARRY)
        exact = ScenarioMarket.of(rolled, YEAR)
        quoted = ScenarioMarket(YEAR, INDEX, rolled.base, rolled.levels)
        tolerance = {"EUR": 1e-15, "USD": 2e-4}[curve]  # par yields between pillars are interpolated
        times = np.array([1.0, 5.0, 10.0])
        np.testing.assert_allclose(
            quoted.discount(curve, times)[:, 0], exact.discount(curve, times)[:, 0], rtol=tolerance
        )

    def test_a_share_falls_by_its_cash_dividends_where_contracts_name_them(self):
        """Value and cash go on over the ex-date: what leaves the share, the option's forward no longer takes off."""
        terms = [
            parse_terms("cash_equity", {"currency": "USD", "underlying": "EQ:A", "cash_dividends": True}),
            *(parse_terms("equity_option", EXAMPLES["equity_option"][i]) for i in (2, 3)),
            parse_terms("equity_forward", EXAMPLES["equity_forward"][2]),
            parse_terms("equity_future", EXAMPLES["equity_future"][1]),
        ]
        carry, notes = carry_of(terms)
        assert carry.cash_dividends == {"EQ:A"}
        assert notes == ()
        assert carry_of([*terms, parse_terms("equity_option", EXAMPLES["equity_option"][0])])[1] == (
            "Some contracts on EQ:A name its cash dividends and some do not; the market rolls with them.",
        )
        markets = RolledBase(scenario_set(), "forwards", carry)
        ex = dt.date(2020, 6, 12)
        days = [ex + dt.timedelta(days=k) for k in (-1, 0, 1)]
        for t in terms:
            module = INSTRUMENTS[t.instrument_type]
            held = [
                module.value([t], markets.market(d))[0, 0] + sum(f.amount for f in module.cash_flows(t, markets, d))
                for d in days
            ]
            # a day's interest and time value apart, far from the dividend of 0.8
            assert np.abs(np.diff(held)).max() < 0.1, t
        fell = [markets.market(d).level("EQ:A")[0] for d in days]
        assert fell[0] - fell[1] == pytest.approx(0.8, abs=0.01)
        origin = markets.market(TODAY)
        df = origin.discount("USD", np.array([(ex - TODAY).days / 365]))[0, 0]
        assert fell[1] == pytest.approx((LEVELS["EQ:A"] - 0.8 * df) / df, rel=1e-14)

    def test_spot_prices_go_to_their_forwards(self):
        carry = Carry(dividend_yields={"EQ:A": 0.02}, costs={"CM:WTI": 0.08})
        s, t = scenario_set(), 1.0
        before, rolled = ScenarioMarket.of(s, TODAY), roll(s, YEAR, "forwards", carry)
        df = {c: before.discount(c, np.array([t]))[0, 0] for c in ("USD", "EUR", "JPY")}
        level = dict(zip((f.risk_factor_id for f in rolled.index.factors), rolled.base.tolist(), strict=True))
        assert level["EQ:A"] == pytest.approx(LEVELS["EQ:A"] * math.exp(-0.02) / df["USD"], rel=1e-15)
        assert level["IX:DAX.EUR"] == pytest.approx(LEVELS["IX:DAX.EUR"] / df["EUR"], rel=1e-15)
        assert level["CM:WTI"] == pytest.approx(LEVELS["CM:WTI"] * math.exp(0.08), rel=1e-15)
        assert level["FX:EURUSD"] == pytest.approx(LEVELS["FX:EURUSD"] * df["EUR"] / df["USD"], rel=1e-15)
        assert level["FX:EURJPY"] == pytest.approx(LEVELS["FX:EURJPY"] * df["EUR"] / df["JPY"], rel=1e-15)
        assert level["VOL:A"] == LEVELS["VOL:A"]
        after = ScenarioMarket.of(rolled, YEAR)  # crosses triangulate: no arbitrage opens on the way
        forward = before.fx("USD", "JPY")[0] * df["USD"] / df["JPY"]
        assert after.fx("USD", "JPY")[0] == pytest.approx(forward, rel=1e-14)

    def test_a_constant_market_stays_to_the_bit(self):
        s = scenario_set()
        rolled = roll(s, YEAR, "constant", NO_CARRY)
        assert rolled.base.tobytes() == s.base.tobytes()
        assert np.asarray(rolled.levels).tobytes() == s.levels.tobytes()
        times = np.linspace(0, 30, 40)
        got = ScenarioMarket.of(rolled, YEAR).discount("USD", times)
        assert got.tobytes() == ScenarioMarket.of(s, YEAR).discount("USD", times).tobytes()

    def test_scenarios_are_their_moves_applied_onto_the_rolled_base(self):
        s = scenario_set()
        rolled = roll(s, YEAR, "forwards", NO_CARRY)
        for row, f in enumerate(s.index.factors):
            if f.curve is None:
                np.testing.assert_allclose(
                    rolled.levels[row] / rolled.base[row], s.levels[row] / s.base[row], rtol=1e-14
                )
            else:
                np.testing.assert_allclose(
                    rolled.levels[row] - rolled.base[row], s.levels[row] - s.base[row], atol=1e-15
                )
        assert (rolled.levels[0] == rolled.base[0]).all()  # declared unchanged
        # a flat shift of all zero rates multiplies discount factors by exp(-shift t) at every time, in any market
        eur = [s.index.row[f.risk_factor_id] for f in s.index.curve("EUR")]
        levels = s.levels.copy()
        levels[eur] = s.base[eur, None] + 0.01
        after = rolled_market(dataclasses.replace(s, levels=levels), YEAR)
        times = np.linspace(0, 29, 50)
        discount = after.discount("EUR", times)
        np.testing.assert_allclose(discount[:, 1] / discount[:, 0], np.exp(-0.01 * times), rtol=1e-13)

    def test_what_has_no_forward_stays_and_is_named(self):
        levels = {"EQ:A": 100.0, "EQ:B.GBP": 50.0, "FX:GBPUSD": 1.2, "YC:USD:1Y": 0.03, "YC:USD:5Y": 0.04}
        rolled = roll(scenario_set(levels), YEAR, "forwards", NO_CARRY)
        assert set(rolled.definition["unrolled"]) == {"EQ:B.GBP", "FX:GBPUSD"}
        assert "no discount curve in GBP" in rolled.definition["unrolled"]["FX:GBPUSD"]
        row = rolled.index.row
        assert rolled.base[row["EQ:B.GBP"]] == 50.0
        given = roll(scenario_set(levels), YEAR, "forwards", Carry(rates={"GBP": 0.05}))
        assert given.definition["unrolled"] == {}
        assert given.base[row["FX:GBPUSD"]] == pytest.approx(1.2 * math.exp(0.03 - 0.05), rel=1e-14)

    def test_two_steps_are_one(self):
        """Forwards realised half way and then again are the forwards realised at once: on flat zero curves, to rounding."""
        s = scenario_set({"EQ:A": 100.0, "YC:USD:1Y": 0.03, "YC:USD:5Y": 0.03})
        half = roll(s, TODAY + dt.timedelta(days=100), "forwards", NO_CARRY)
        again = dataclasses.replace(half, market_date=half.roll.to, roll=None)
        twice, once = (roll(x, YEAR, "forwards", NO_CARRY) for x in (again, s))
        np.testing.assert_allclose(twice.base, once.base, rtol=1e-14)

    def test_errors(self):
        s = scenario_set()
        with pytest.raises(BadInput, match="cannot be rolled back"):
            roll(s, TODAY - dt.timedelta(days=1), "forwards", NO_CARRY)
        with pytest.raises(BadInput, match="rolled to 2021-03-16 already"):
            roll(roll(s, YEAR, "forwards", NO_CARRY), YEAR, "forwards", NO_CARRY)
        with pytest.raises(MissingRiskFactor, match="EQ:AA"):
            roll(s, YEAR, "forwards", Carry(dividend_yields={"EQ:AA": 0.1}))
        with pytest.raises(MissingRiskFactor, match="USDD"):
            roll(s, YEAR, "forwards", Carry(curves={"USD": "USDD"}))
        with pytest.raises(BadInput, match="currency 'ZZZ'"):
            roll(s, YEAR, "forwards", Carry(rates={"ZZZ": 0.1}))
        with pytest.raises(BadInput, match="rolled to 2021-03-16"):
            ScenarioMarket.of(roll(s, YEAR, "forwards", NO_CARRY), TODAY)


def test_carry_is_what_the_contracts_are_priced_with():
    kinds = ("equity_forward", "equity_option", "fx_forward", "commodity_forward", "interest_rate_swap")
    terms = [parse_terms(k, t) for k in kinds for t in EXAMPLES[k]]
    carry, notes = carry_of(terms)
    assert carry.dividend_yields == {"EQ:A": 0.0, "IX:DAX.EUR": 0.03}
    assert carry.costs == {"CM:WTI": 0.0}
    assert carry.rates == {"USD": 0.01}
    assert len(notes) == 3  # yields of both, and the cash dividends of one
    assert "EQ:A" in " ".join(notes)
    assert "(0, 0.02)" in " ".join(notes)


def test_horizons_are_quantlibs():
    friday = dt.date(2020, 3, 13)
    assert horizon_date(friday, "1D", "weekdays") == dt.date(2020, 3, 16)
    assert horizon_date(dt.date(2020, 7, 2), "1D", "USNY") == dt.date(
        2020, 7, 6
    )  # Independence Day observed on the 3rd
    assert horizon_date(friday, "1W", "weekdays") == dt.date(2020, 3, 20)
    assert horizon_date(dt.date(2020, 1, 31), "1M", "weekdays") == dt.date(2020, 3, 2)  # 29 February is a Saturday
    for bad in ("0D", "-1D", "1X", "1M2D", ""):
        with pytest.raises(BadInput, match="Unknown horizon"):
            horizon_date(friday, bad, "weekdays")
    with pytest.raises(BadInput, match="2199"):
        horizon_date(friday, "999Y", "weekdays")
    with pytest.raises(BadInput, match="calendar"):
        horizon_date(friday, "1D", "NYC")


def test_fingerprints_tell_rolled_markets_apart():
    """The same levels mean another curve when they were rolled from others: the digests must differ, and the unrolled not."""
    s = still(scenario_set())
    factors = ("YC:USD:5Y",)

    def of(x: ScenarioSet) -> tuple[str, str, bool]:
        return Fingerprints(x, YEAR, ("rates",)).of("government_bond", factors)

    forwards, constant = (roll(s, YEAR, how, NO_CARRY) for how in ("forwards", "constant"))
    same_levels = dataclasses.replace(forwards, roll=None)
    other_origin = dataclasses.replace(forwards, roll=dataclasses.replace(forwards.roll, origin=s.base + 1e-9))
    digests = [of(x)[0] for x in (s, forwards, constant, same_levels, other_origin)]
    assert len(set(digests)) == len(digests)
    assert of(forwards) == of(roll(s, YEAR, "forwards", NO_CARRY))


@pytest.mark.parametrize("how", ["forwards", "constant"])
@pytest.mark.parametrize(("kind", "number"), ALL)
def test_unshocked_scenarios_of_a_rolled_set_give_exactly_zero(kind, number, how):
    s = scenario_set()
    s = dataclasses.replace(s, levels=np.repeat(s.base[:, None], 7, axis=1))
    terms = parse_terms(kind, EXAMPLES[kind][number])
    last = getattr(terms, "maturity", getattr(terms, "expiry", dt.date.max))
    day = min(TODAY + dt.timedelta(days=45), last)  # a spot trade has settled before
    block = value_batch([contract(kind, EXAMPLES[kind][number])], rolled_market(s, day, how))
    assert block.failures == ()
    np.testing.assert_array_equal(block.pnl, np.zeros((1, 7)))


@functools.cache
def rolled(how):
    return RolledBase(scenario_set(), how, NO_CARRY)


@pytest.mark.parametrize("how", ["forwards", pytest.param("constant", marks=pytest.mark.slow)])
@pytest.mark.parametrize("payments", [2, pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("kind", "number"), numbered(slow_after=1))
def test_nothing_vanishes_over_any_payment(kind, number, payments, how):
    """Value just before = cash + value just after, for all events of 12 years.

    A payment on day d leaves the value either on d (coupons) or the day after (settlements): value + cash, watched daily
    around each payment, moves by no more than it does on days without one.
    """
    c = contract(kind, EXAMPLES[kind][number])
    markets = rolled(how)
    terms = parse_terms(kind, EXAMPLES[kind][number])
    flows = cash_until([c], markets, TODAY + dt.timedelta(days=365 * 12)).flows[0]
    if kind == "cash_equity":
        assert flows == ()
        return
    assert flows
    module = INSTRUMENTS[kind]
    # with their levels constant, curves of quotes move a little from day to day: dates of instruments step over weekends
    read = module.risk_factors(terms, INDEX, TODAY)
    stepping = how == "constant" and any(INDEX.factors[INDEX.row[i]].type in QUOTED for i in read)

    @functools.cache
    def total(day: dt.date) -> float:
        paid = sum(x.amount for x in module.cash_flows(terms, markets, day))
        return base_value(c, markets.market(day)) + paid

    for f in flows[:: max(1, len(flows) // payments)]:
        day = dt.timedelta(days=1)
        steps = [total(f.day + i * day) - total(f.day + (i - 1) * day) for i in (-1, 0, 1, 2)]
        quiet = max(abs(steps[0]), abs(steps[3]), 1e-3 * abs(base_value(c, markets.market(TODAY))))
        assert max(map(abs, steps)) <= 2 * quiet + 0.05 * stepping * abs(f.amount) + 1e-9, (f, steps)
        assert abs(f.amount) > 0


@pytest.mark.parametrize("how", ["forwards", "constant"])
def test_a_rolled_set_is_stored_and_loaded_as_it_is(tmp_path, how):
    made = roll(scenario_set(), YEAR, how, Carry(dividend_yields={"EQ:A": 0.02}))
    lake = new_lake(tmp_path)
    with Committer(lake, "test") as committer:
        stored = save_scenario_set(committer, made)
        plain = save_scenario_set(committer, scenario_set())
    assert plain.scenario_set_id == scenario_set_digest(scenario_set()) != stored.scenario_set_id
    loaded = load_scenario_set(lake, stored.scenario_set_id)
    assert scenario_set_digest(loaded) == stored.scenario_set_id
    assert (loaded.roll.since, loaded.roll.to, loaded.roll.market) == (TODAY, YEAR, how)
    assert loaded.roll.origin.tobytes() == BASE.tobytes()
    assert loaded.definition["carry"]["dividend_yields"] == {"EQ:A": 0.02}
    assert load_scenario_set(lake, plain.scenario_set_id).roll is None
    contracts = [contract(k, terms) for k, examples in EXAMPLES.items() for terms in examples]
    one, two = (value_batch(contracts, ScenarioMarket.of(s, YEAR)) for s in (made, loaded))
    assert one.pnl.tobytes() == two.pnl.tobytes()
    assert one.base.tobytes() == two.base.tobytes()


def test_bits_do_not_depend_on_how_contracts_or_scenarios_are_cut(monkeypatch):
    contracts = sorted(contract(k, terms) for k, examples in EXAMPLES.items() for terms in examples)
    days = [TODAY + dt.timedelta(days=d) for d in (1, 100, 400)]

    def values() -> rolled_values.RolledValues:
        return rolled_values.roll_values(contracts, RolledBase(scenario_set(), "forwards", NO_CARRY), days)

    whole = values()
    monkeypatch.setattr(rolled_values, "_CHUNK", 1)
    single = values()
    for name in ("today", "values", "cash", "matured"):
        assert getattr(single, name).tobytes() == getattr(whole, name).tobytes(), name
    assert single.failures == whole.failures == ()
    assert whole.matured.sum() > 0
    s = roll(scenario_set(), days[1], "forwards", NO_CARRY)
    block = value_batch(contracts, ScenarioMarket.of(s, days[1]))
    part = value_batch(contracts, ScenarioMarket.of(s, days[1], first=2, stop=5))
    assert part.pnl.tobytes() == np.ascontiguousarray(block.pnl[:, 2:5]).tobytes()


class TestForwardReturn:
    """What is held on its own curve earns exactly the curve's forward return, payments put back on the curve."""

    @pytest.mark.parametrize("days", [1, 7, 92, 365, 1500])
    @pytest.mark.parametrize(
        ("kind", "number"), [c for c in ALL if c.values[0] in ("government_bond", "interest_rate_swap")]
    )
    def test_bonds_and_swaps(self, kind, number, days):
        c = contract(kind, EXAMPLES[kind][number])
        markets = RolledBase(scenario_set(), "forwards", NO_CARRY)
        day = TODAY + dt.timedelta(days=days)
        origin = markets.market(TODAY)
        curve = str(EXAMPLES[kind][number]["discount_curve"])

        def df(d: dt.date) -> float:
            return float(origin.discount(curve, np.array([(d - TODAY).days / 365]))[0, 0])

        cash = cash_until([c], markets, day)
        reinvested = sum(f.amount * df(f.day) / df(day) for f in cash.flows[0])
        start = base_value(c, origin)
        assert base_value(c, markets.market(day)) + reinvested == pytest.approx(start / df(day), rel=1e-12, abs=1e-14)

    @pytest.mark.parametrize("days", [1, 92, 200])
    def test_shares_and_forwards_on_them(self, days):
        """A share with its dividends earns the curve; so does every forward, on the curve that discounts it."""
        carry = Carry(dividend_yields={"EQ:A": 0.02}, costs={"CM:WTI": 0.08})
        markets = RolledBase(scenario_set(), "forwards", carry)
        day = TODAY + dt.timedelta(days=days)
        growth = 1 / markets.market(TODAY).discount("USD", np.array([days / 365]))[0, 0]
        base = {"currency": "USD", "underlying": "EQ:A"}
        later = {"strike": 101.5, "maturity": "2020-12-16", "discount_curve": "USD"}
        for kind, terms in (
            ("cash_equity", {**base, "dividend_yield": 0.02}),
            ("equity_forward", {**base, **later, "dividend_yield": 0.02}),
            ("commodity_forward", {**base, **later, "underlying": "CM:WTI", "carry": 0.08}),
            ("fx_forward", EXAMPLES["fx_forward"][0]),
        ):
            c = contract(kind, terms)
            after = base_value(c, markets.market(day)) + cash_until([c], markets, day).amounts[0]
            assert after == pytest.approx(base_value(c, markets.market(TODAY)) * growth, rel=1e-12), kind

    def test_a_forward_at_the_forward_price_stays_worth_nothing(self):
        """Undiscounted: an FX forward struck at par has no P&L while forwards come true; without curves' help."""
        markets = RolledBase(scenario_set(), "forwards", NO_CARRY)
        start, maturity = markets.market(TODAY), dt.date(2021, 3, 16)
        df = {c: start.discount(c, np.array([1.0]))[0, 0] for c in ("USD", "EUR")}
        strike = float(start.fx("EUR", "USD")[0] * df["EUR"] / df["USD"])
        c = contract("fx_forward", {**EXAMPLES["fx_forward"][0], "strike": strike})
        for day in (TODAY, dt.date(2020, 9, 1), maturity):
            assert base_value(c, markets.market(day)) == pytest.approx(0.0, abs=1e-13)
        (settled,) = cash_until([c], markets, maturity + dt.timedelta(days=1)).flows[0]
        assert (settled.day, settled.kind) == (maturity, "settlement")
        assert settled.amount == pytest.approx(0.0, abs=1e-13)


class TestOptions:
    OPTION = EXAMPLES["equity_option"][0]

    def test_one_day_theta_against_quantlib(self):
        """A constant market on flat curves: QuantLib's theta a day, and exactly its own price one day later."""
        levels = {"EQ:A": 104.0, "VOL:A": 0.3, "YC:USD:1Y": 0.03, "YC:USD:5Y": 0.03}
        s = scenario_set(levels)
        tomorrow = TODAY + dt.timedelta(days=1)
        for strike, kind, sign in (
            (95.0, "call", ql.Option.Call),
            (104.0, "call", ql.Option.Call),
            (120.0, "put", ql.Option.Put),
        ):
            terms = {
                **self.OPTION,
                "strike": strike,
                "option_type": kind,
                "dividend_yield": 0.01,
                "expiry": "2021-03-16",
            }
            c = contract("equity_option", terms)
            markets = RolledBase(s, "constant", NO_CARRY)
            earned = base_value(c, markets.market(tomorrow)) - base_value(c, markets.market(TODAY))
            prices = []
            for day in (TODAY, tomorrow):
                option = _quantlib(day, sign, strike)
                prices.append(option.NPV())
                if day == TODAY:
                    theta = option.thetaPerDay()
            assert earned == pytest.approx(prices[1] - prices[0], abs=1e-11)
            assert earned == pytest.approx(theta, rel=2e-3)

    @pytest.mark.parametrize("how", ["forwards", "constant"])
    def test_expired_options_become_their_intrinsic_value(self, how):
        markets = RolledBase(scenario_set(), how, NO_CARRY)
        c = contract("equity_option", self.OPTION)
        expiry, after = dt.date(2020, 9, 18), dt.date(2020, 9, 21)
        spot = float(markets.market(expiry).level("EQ:A")[0])
        assert base_value(c, markets.market(expiry)) == pytest.approx(spot - 95, abs=1e-12)
        assert cash_until([c], markets, expiry).amounts.tolist() == [0.0]
        (flow,) = cash_until([c], markets, after).flows[0]
        assert (flow.day, flow.kind) == (expiry, "settlement")
        assert flow.amount == pytest.approx(spot - 95, abs=1e-12)
        assert value_batch([c], markets.market(after)).failures[0].reason == "matured"
        # at the horizon itself every scenario settles at its own level
        block = value_batch([c], rolled_market(scenario_set(), expiry, how))
        levels = roll(scenario_set(), expiry, how, NO_CARRY).levels[INDEX.row["EQ:A"]]
        np.testing.assert_allclose(block.base + block.pnl[0], np.maximum(levels - 95, 0), atol=1e-12)


class TestSwapFixings:
    SWAP = EXAMPLES["interest_rate_swap"][0]

    def test_the_running_coupon_is_the_given_fixing_and_later_ones_are_the_forwards(self):
        markets = RolledBase(scenario_set(), "forwards", NO_CARRY)
        flows = cash_until([contract("interest_rate_swap", self.SWAP)], markets, dt.date(2020, 11, 2)).flows[0]
        floating = {f.day: f.amount for f in flows if f.kind == "floating"}
        fixed = {f.day: f.amount for f in flows if f.kind == "fixed"}
        april, july, october = dt.date(2020, 4, 10), dt.date(2020, 7, 10), dt.date(2020, 10, 13)
        assert floating[april] == pytest.approx(0.0184 * (april - dt.date(2020, 1, 10)).days / 360, rel=1e-14)
        assert fixed == {july: pytest.approx(-0.025 / 2, rel=1e-14)}
        origin = markets.market(TODAY)
        for start, end in ((april, july), (july, october)):
            df = origin.discount("USD", np.array([(d - TODAY).days / 365 for d in (start, end)]))[:, 0]
            assert floating[end] == pytest.approx(df[0] / df[1] - 1, rel=1e-12)

    def test_in_a_constant_market_a_fixing_is_the_curves_own_rate_of_that_day(self):
        markets = RolledBase(scenario_set(), "constant", NO_CARRY)
        flows = cash_until([contract("interest_rate_swap", self.SWAP)], markets, dt.date(2020, 7, 10)).flows[0]
        (july,) = (f.amount for f in flows if f.kind == "floating" and f.day == dt.date(2020, 7, 10))
        df = markets.market(TODAY).discount("USD", np.array([91 / 365]))[0, 0]
        assert july == pytest.approx(1 / df - 1, rel=1e-12)

    def test_scenarios_at_the_horizon_do_not_reach_back_to_the_fixing(self):
        """Between the last reset and its payment the known coupon is only discounted differently."""
        s, day = scenario_set(), dt.date(2020, 6, 1)
        terms = parse_terms("interest_rate_swap", self.SWAP)
        market = rolled_market(s, day)
        (_, floating), _ = terms.legs()
        assert floating.payments(market)[0].amounts[0] == pytest.approx(
            1 + market.fixed_growth("USD", dt.date(2020, 4, 10), dt.date(2020, 7, 10)) - 1
        )
        block = value_batch([contract("interest_rate_swap", self.SWAP)], market)
        assert block.failures == ()
        assert np.abs(block.pnl).min() > 0

    def test_a_fixing_before_the_roll_is_still_needed(self):
        c = contract("interest_rate_swap", {**self.SWAP, "fixings": {}})
        markets = RolledBase(scenario_set(), "forwards", NO_CARRY)
        failure = cash_until([c], markets, dt.date(2020, 5, 1)).failures[0]
        assert (failure.contract_id, failure.reason) == (c[0], "missing_fixing")
        assert cash_until([c], markets, TODAY).failures == ()  # nothing is due: nothing is needed
        assert value_batch([c], markets.market(dt.date(2020, 5, 1))).failures == ()
        assert value_batch([c], markets.market(dt.date(2020, 4, 9))).failures[0].reason == "missing_fixing"

    def test_without_a_roll_there_is_nothing_to_fix_at(self):
        with pytest.raises(ValueError, match="day of the roll"):
            ScenarioMarket.of(scenario_set(), TODAY).fixed_growth("USD", TODAY, YEAR)


def _quantlib(day: dt.date, kind: int, strike: float) -> ql.VanillaOption:
    today = ql.Date(day.day, day.month, day.year)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()

    def flat(rate: float) -> ql.YieldTermStructureHandle:
        return ql.YieldTermStructureHandle(ql.FlatForward(today, rate, count))

    vol = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), 0.3, count))
    spot = ql.QuoteHandle(ql.SimpleQuote(104.0))
    option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, strike), ql.EuropeanExercise(ql.Date(16, 3, 2021)))
    process = ql.BlackScholesMertonProcess(spot, flat(0.01), flat(0.03), vol)
    option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
    return option
