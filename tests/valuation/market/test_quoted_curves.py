"""Curves bootstrapped from deposits, FRAs, futures, swaps and basis swaps: every quote reprices, and QuantLib's curve is the same."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from hypothesis import given
from hypothesis import strategies as st

from lake.arrays import Floats
from scenarios.types import FactorIndex, MissingRiskFactor, RiskClass, RiskFactor, ScenarioSet
from valuation.batch import value_batch
from valuation.catalogue import parse_terms
from valuation.market.quoted_curves import quoted_curve
from valuation.market.rolled_market import Carry, roll
from valuation.market.scenario_market import ScenarioMarket, pillars_read
from valuation.sets.plan import Fingerprints
from valuation.types import Contract, NotValuable

TODAY = dt.date(2020, 3, 16)


def quote(curve: str, pillar: str, kind: str, **attributes: str) -> RiskFactor:
    return RiskFactor(f"YC:{curve}:{pillar}", kind, pillar, curve[:3], curve, pillar, tuple(sorted(attributes.items())))


OVERNIGHT = {
    quote("USD_SOFR", "1D", "deposit_rate", spot_lag="0"): 0.0005,
    quote("USD_SOFR", "1M", "deposit_rate"): 0.0006,
    **{
        quote("USD_SOFR", p, "swap_rate", day_count="Actual360"): r
        for p, r in {"6M": 0.0007, "1Y": 0.001, "2Y": 0.0011, "5Y": 0.004, "10Y": 0.008, "30Y": 0.011}.items()
    },
}
THREE_MONTHS = {
    quote("USD_3M", "1M", "deposit_rate"): 0.006,
    quote("USD_3M", "3M", "deposit_rate"): 0.0085,
    quote("USD_3M", "6M", "fra_rate", start="3M"): 0.0075,
    quote("USD_3M", "12M", "rate_future", start="IMM3"): 99.3,
    **{
        quote("USD_3M", p, "swap_rate", discount_curve="USD_SOFR", frequency="2"): r
        for p, r in {"2Y": 0.007, "5Y": 0.0075, "10Y": 0.0095, "30Y": 0.012}.items()
    },
}
BASIS = {"discount_curve": "USD_SOFR", "reference_curve": "USD_3M", "float_frequency": "2"}
SIX_MONTHS = {
    quote("USD_6M", "6M", "deposit_rate"): 0.0095,
    **{
        quote("USD_6M", p, "basis_spread", **BASIS, spread_leg="reference"): r
        for p, r in {"1Y": 0.001, "5Y": 0.0015, "10Y": 0.0012}.items()
    },
}
EURO = {
    quote("EUR_ESTR", p, "swap_rate", day_count="Actual360", calendar="EUTA"): r
    for p, r in {"1Y": -0.0045, "5Y": -0.003, "30Y": 0.001}.items()
}
ACROSS = {"projection_curve": "EUR_ESTR", "reference_curve": "USD_3M", "reference_discount_curve": "USD_SOFR"}
EURO_IN_DOLLARS = {
    **{quote("EUR_USD", p, "basis_spread", **ACROSS): r for p, r in {"1Y": -0.001, "5Y": -0.0015}.items()},
    quote("EUR_USD", "10Y", "basis_spread", **ACROSS, resetting="true"): -0.0012,
}
ALL = {**OVERNIGHT, **THREE_MONTHS, **SIX_MONTHS, **EURO, **EURO_IN_DOLLARS}
CURVES = ("USD_SOFR", "USD_3M", "USD_6M", "EUR_ESTR", "EUR_USD")
INDEX = FactorIndex.of(ALL)
BASE = np.array([ALL[f] for f in INDEX.factors])
ALL_LEVELS = {f.risk_factor_id: level for f, level in ALL.items()}


def market(levels: Floats | None = None, index: FactorIndex = INDEX, base: Floats = BASE) -> ScenarioMarket:
    return ScenarioMarket(TODAY, index, base, base[:, None] if levels is None else levels)


def moved(n: int, seed: int = 1) -> Floats:
    rng = np.random.default_rng(seed)
    prices = np.array([100.0 if f.type == "rate_future" else 1.0 for f in INDEX.factors])[:, None]
    return BASE[:, None] + 0.002 * prices * rng.standard_normal((len(BASE), n))


@pytest.mark.parametrize("curve", CURVES)
def test_every_quote_is_repriced_in_every_state(curve: str) -> None:
    several = market(moved(20))
    made = quoted_curve(INDEX, curve, TODAY)
    for state in range(several.n_states):

        def discount(name: str, days: np.ndarray, state: int = state) -> Floats:
            return several.discount(name, days / 365.0)[:, state]

        levels = several.levels([f.risk_factor_id for f in made.pillars])[:, state]
        unit = np.array([100.0 if f.type == "rate_future" else 1.0 for f in made.pillars])
        np.testing.assert_allclose(made.quotes(discount) / unit, levels / unit, rtol=0, atol=1e-12)


CALENDAR, MOVED, ACTUAL_360 = ql.WeekendsOnly(), ql.ModifiedFollowing, ql.Actual360()
TIMES = np.arange(1, 365 * 30, 37) / 365.0


@pytest.fixture
def quantlib_today():
    before = ql.Settings.instance().evaluationDate
    ql.Settings.instance().evaluationDate = ql.Date(16, 3, 2020)
    yield
    ql.Settings.instance().evaluationDate = before


def level(curve: str, pillar: str) -> ql.QuoteHandle:
    return ql.QuoteHandle(ql.SimpleQuote(ALL_LEVELS[f"YC:{curve}:{pillar}"]))


def deposit(curve: str, pillar: str, lag: int = 2) -> ql.RateHelper:
    return ql.DepositRateHelper(level(curve, pillar), ql.Period(pillar), lag, CALENDAR, MOVED, False, ACTUAL_360)


def overnight_swaps(curve: str, pillars: str, calendar: ql.Calendar) -> list[ql.RateHelper]:
    index = ql.OvernightIndex("oracle", 0, ql.USDCurrency(), calendar, ACTUAL_360)
    return [ql.OISRateHelper(2, ql.Period(p), level(curve, p), index, paymentConvention=MOVED) for p in pillars.split()]


def built(helpers: list[ql.RateHelper]) -> ql.YieldTermStructureHandle:
    curve = ql.PiecewiseLogLinearDiscount(ql.Date(16, 3, 2020), helpers, ql.Actual365Fixed())
    curve.enableExtrapolation()
    return ql.YieldTermStructureHandle(curve)


def ibor(months: int, handle: ql.YieldTermStructureHandle | None = None) -> ql.IborIndex:
    terms = (f"oracle{months}", ql.Period(months, ql.Months), 2, ql.USDCurrency(), CALENDAR, MOVED, False, ACTUAL_360)
    return ql.IborIndex(*terms) if handle is None else ql.IborIndex(*terms, handle)


def agrees(curve: str, handle: ql.YieldTermStructureHandle, last: float) -> None:
    times = TIMES[last >= TIMES]
    theirs = [handle.discount(float(t)) for t in times]
    np.testing.assert_allclose(market().discount(curve, times)[:, 0], theirs, rtol=0, atol=1e-11)


@pytest.mark.usefixtures("quantlib_today")
def test_curves_are_those_of_quantlib() -> None:
    """Its solver stops at 1e-12 of a quote; deposits, overnight swaps, a FRA, a future, swaps, and a basis to a third curve."""
    overnight = built(
        [
            deposit("USD_SOFR", "1D", 0), deposit("USD_SOFR", "1M"),
            *overnight_swaps("USD_SOFR", "6M 1Y 2Y 5Y 10Y 30Y", CALENDAR),
        ]
    )  # fmt: skip
    agrees("USD_SOFR", overnight, 40.0)
    third = ql.IMM.nextDate(ql.IMM.nextDate(ql.IMM.nextDate(ql.Date(16, 3, 2020))))
    three = built(
        [
            deposit("USD_3M", "1M"),
            deposit("USD_3M", "3M"),
            ql.FraRateHelper(
                level("USD_3M", "6M"), 3, 6, 2, CALENDAR, MOVED, False, ACTUAL_360, ql.Pillar.LastRelevantDate, ql.Date(), False
            ),
            ql.FuturesRateHelper(level("USD_3M", "12M"), third, 3, CALENDAR, MOVED, False, ACTUAL_360),
            *(
                ql.SwapRateHelper(
                    level("USD_3M", p), ql.Period(p), CALENDAR, ql.Semiannual, MOVED, ql.Thirty360(ql.Thirty360.BondBasis),
                    ibor(3), ql.QuoteHandle(), ql.Period(0, ql.Days), overnight, 2,
                )
                for p in ("2Y", "5Y", "10Y", "30Y")
            ),
        ]
    )  # fmt: skip
    agrees("USD_3M", three, 40.0)
    six = built(
        [
            deposit("USD_6M", "6M"),
            *(
                ql.IborIborBasisSwapRateHelper(
                    level("USD_6M", p), ql.Period(p), 2, CALENDAR, MOVED, False, ibor(3, three), ibor(6), overnight, False
                )
                for p in ("1Y", "5Y", "10Y")
            ),
        ]
    )  # fmt: skip
    agrees("USD_6M", six, 40.0)
    agrees("EUR_ESTR", built(overnight_swaps("EUR_ESTR", "1Y 5Y 30Y", ql.TARGET())), 40.0)


def same(curve: str) -> ql.YieldTermStructureHandle:
    """QuantLib's curve of our discount factors."""
    days = quoted_curve(INDEX, curve, TODAY).days.tolist()
    factors = market().discount(curve, np.array(days) / 365.0)[:, 0].tolist()
    made = ql.DiscountCurve([ql.Date(16, 3, 2020) + d for d in days], factors, ql.Actual365Fixed())
    made.enableExtrapolation()
    return ql.YieldTermStructureHandle(made)


@pytest.mark.usefixtures("quantlib_today")
def test_a_cross_currency_curve_is_that_of_quantlib() -> None:
    """Constant notionals, to 5 years."""
    own, other = ibor(3, same("EUR_ESTR")), ibor(3, same("USD_3M"))
    helpers = [
        ql.ConstNotionalCrossCurrencyBasisSwapRateHelper(
            level("EUR_USD", p), ql.Period(p), 2, CALENDAR, MOVED, False, own, other, same("USD_SOFR"), False, True
        )
        for p in ("1Y", "5Y")
    ]
    agrees("EUR_USD", built(helpers), 5.0)


@pytest.mark.usefixtures("quantlib_today")
def test_a_cross_currency_swap_whose_notional_resets_is_worth_nothing_by_quantlibs_legs() -> None:
    """The dollar notional of each quarter is that of one euro at the forward rate of its first day."""
    euro, dollar = same("EUR_USD"), same("USD_SOFR")
    start, end = ql.Date(18, 3, 2020), ql.Date(18, 3, 2030)
    schedule = ql.Schedule(start, end, ql.Period("3M"), CALENDAR, MOVED, MOVED, ql.DateGeneration.Backward, False)
    index, other = ibor(3, same("EUR_ESTR")), ibor(3, same("USD_3M"))
    leg = ql.IborLeg([1.0], schedule, index, ACTUAL_360, MOVED, spreads=[ALL_LEVELS["YC:EUR_USD:10Y"]])
    value = ql.CashFlows.npv(leg, euro, False) - euro.discount(start) + euro.discount(end)
    for begin, stop in zip(list(schedule)[:-1], list(schedule)[1:], strict=True):
        notional = euro.discount(begin) / dollar.discount(begin)
        period = ql.Schedule([begin, stop], CALENDAR, MOVED)
        coupon = ql.CashFlows.npv(ql.IborLeg([notional], period, other, ACTUAL_360, MOVED), dollar, False)
        value -= coupon + notional * (dollar.discount(stop) - dollar.discount(begin))
    assert value == pytest.approx(0, abs=1e-11)


CASES = {
    "USD_SOFR": OVERNIGHT, "USD_3M": {**OVERNIGHT, **THREE_MONTHS}, "USD_6M": {**OVERNIGHT, **THREE_MONTHS, **SIX_MONTHS},
    "EUR_USD": ALL,
}  # fmt: skip


@given(
    curve=st.sampled_from(sorted(CASES)),
    days=st.lists(st.integers(0, 40 * 365), min_size=2, max_size=2).map(sorted),
    left_out=st.sets(st.sampled_from([f.risk_factor_id for f in THREE_MONTHS])),
    seed=st.integers(0, 1000),
)
def test_the_pillars_read_give_the_same_bits_alone_and_no_other_moves_them(
    curve: str, days: list[int], left_out: set[str], seed: int
) -> None:
    kept = [f for f in CASES[curve] if f.risk_factor_id not in left_out or f.pillar == "30Y"]
    index = FactorIndex.of(kept)
    base = moved(1, seed)[[INDEX.row[f.risk_factor_id] for f in index.factors], 0]
    rng = np.random.default_rng(seed)
    times = np.unique([days[0], *rng.integers(days[0], days[1] + 1, 5), days[1]]) / 365.0
    rows = [index.row[f] for f in pillars_read(index, curve, times[0], times[-1], TODAY)]

    def discount(index: FactorIndex, levels: Floats) -> bytes:
        return market(levels[:, None], index, levels).discount(curve, times).tobytes()

    whole = discount(index, base)
    assert np.isfinite(np.frombuffer(whole)).all()
    assert discount(FactorIndex(tuple(index.factors[r] for r in rows)), base[rows]) == whole
    others = np.full(len(base), np.nan)
    others[rows] = base[rows]
    assert discount(index, others) == whole


def test_a_swap_of_two_years_reads_neither_thirty_years_nor_the_thirty_years_of_its_discount_curve() -> None:
    read = pillars_read(INDEX, "USD_3M", 0.1, 1.9, TODAY)
    assert read[:5] == tuple(f"YC:USD_3M:{p}" for p in ("1M", "3M", "6M", "12M", "2Y"))
    assert set(read[5:]) == {
        f"YC:USD_SOFR:{p}" for p in ("1D", "1M", "6M", "1Y", "2Y", "5Y")
    }  # its last day is past 2Y


def test_states_have_the_same_bits_alone_and_together() -> None:
    levels = moved(30)
    whole = market(levels).discount("USD_6M", TIMES)
    alone = np.column_stack([market(levels[:, k : k + 1]).discount("USD_6M", TIMES)[:, 1] for k in range(30)])
    assert whole[:, 1:].tobytes() == alone.tobytes()


@pytest.mark.parametrize("days", [1, 35, 400])
def test_a_rolled_curve_is_the_forward_one_and_a_scenario_at_rest_stays_on_it(days: int) -> None:
    to = TODAY + dt.timedelta(days=days)
    still = ScenarioSet(
        "", "s", "historical", TODAY, {}, INDEX, ("a",), BASE, BASE[:, None].copy(), np.zeros(len(BASE), np.bool_)
    )
    rolled = roll(still, to, "forwards", Carry())
    assert not [f for f in rolled.definition["unrolled"] if f.startswith("YC")]
    after, before = ScenarioMarket.of(rolled, to), market()
    for curve in CURVES:
        times = np.array([0.1, 1.0, 4.0])
        start = before.discount(curve, np.array([days / 365]))[0, 0]
        expected = before.discount(curve, times + days / 365)[:, 0] / start
        got = after.discount(curve, times)
        np.testing.assert_allclose(got[:, 0], expected, rtol=1e-14)
        assert got[:, 0].tobytes() == got[:, 1].tobytes()
        made = quoted_curve(
            INDEX, curve, to
        )  # each instrument, begun on the later day, is worth nothing on the rolled curve
        fair = made.quotes(lambda name, at: after.discount(name, at / 365.0)[:, 0])
        np.testing.assert_allclose(fair, [rolled.base[INDEX.row[f.risk_factor_id]] for f in made.pillars], atol=1e-9)


def test_another_convention_is_another_input_of_a_valuation() -> None:
    """What was valued before with a day count that is corrected since does not answer."""

    def inputs(day_count: str) -> tuple[object, object]:
        factor = quote("USD_SOFR", "5Y", "swap_rate", day_count=day_count)
        zero = RiskFactor("YC:X:1Y", "zero_rate", "1Y", "USD", "X", "1Y", (("note", day_count),))
        index, base = FactorIndex.of([factor, zero]), np.array([0.01, 0.01])
        stored = ScenarioSet(
            "", "s", "historical", TODAY, {}, index, ("a",), base, base[:, None] + 1e-3, np.ones(2, np.bool_)
        )
        made = Fingerprints(stored, TODAY, [c.value for c in RiskClass])
        return made.of("government_bond", (factor.risk_factor_id,)), made.of("government_bond", (zero.risk_factor_id,))

    one, two = inputs("Actual360"), inputs("Actual365Fixed")
    assert one[0] != two[0]
    assert one[1] == two[1]  # attributes of others decide nothing


def fault(*factors: RiskFactor) -> str:
    index = FactorIndex.of(factors)
    with pytest.raises(NotValuable) as error:
        pillars_read(index, factors[0].curve or "", 0.5, 1.0, TODAY)
    assert error.value.reason == "invalid_curve"
    return error.value.message


def test_faulty_quotes_say_curve_pillar_and_why() -> None:
    assert fault(quote("X", "6M", "fra_rate")) == (
        "Curve X, pillar 6M: a FRA needs the attribute start, the tenor from spot to its first day, such as 3M."
    )
    assert "day_count is Act360; nearest: Actual360" in fault(quote("X", "6M", "deposit_rate", day_count="Act360"))
    assert "pillar 1Y: a basis_spread needs the attribute reference_curve" in fault(quote("X", "1Y", "basis_spread"))
    assert "began on 2020-03-15, before 2020-03-16" in fault(quote("X", "3M", "rate_future", start="2020-03-15"))
    assert "IMM1 for the next IMM date" in fault(quote("X", "3M", "rate_future", start="June"))
    assert "ends on 2020-06-18, and begins on 2020-06-18" in fault(quote("X", "3M", "fra_rate", start="3M"))
    twice = fault(quote("X", "12M", "deposit_rate"), quote("X", "1Y", "swap_rate"))
    assert twice == "Curve X: pillars 12M and 1Y both end on 2021-03-18; leave one out."
    circle = fault(
        quote("USD_X", "1Y", "swap_rate", discount_curve="USD_Z"),
        quote("USD_Z", "1Y", "swap_rate", discount_curve="USD_X"),
    )
    assert circle.startswith("Curves USD_X and USD_Z each need the other")


def test_a_curve_is_quoted_on_curves_of_its_currency_but_for_the_other_leg_of_a_cross_currency_basis() -> None:
    foreign = quote("USD_3M", "2Y", "swap_rate", discount_curve="EUR_ESTR")
    with pytest.raises(MissingRiskFactor, match="the discount_curve of YC:USD_3M:2Y must be of USD"):
        pillars_read(FactorIndex.of([foreign, *OVERNIGHT, *EURO]), "USD_3M", 1, 1, TODAY)
    one_currency = quote("USD_6M", "2Y", "basis_spread", discount_curve="USD_SOFR", reference_curve="EUR_ESTR")
    with pytest.raises(MissingRiskFactor, match="the reference_curve of YC:USD_6M:2Y must be of USD"):
        pillars_read(FactorIndex.of([one_currency, *OVERNIGHT, *EURO]), "USD_6M", 1, 1, TODAY)


def test_a_curve_of_mixed_kinds_and_one_that_is_not_there_are_missing() -> None:
    with pytest.raises(MissingRiskFactor, match="or is bootstrapped from deposit_rate"):
        pillars_read(FactorIndex.of([quote("X", "1Y", "zero_rate"), quote("X", "2Y", "swap_rate")]), "X", 1, 1, TODAY)
    # a deposit needs no other curve, whatever its attributes name
    lone = FactorIndex.of([quote("X", "6M", "deposit_rate", discount_curve="NONE")])
    assert pillars_read(lone, "X", 0.1, 0.2, TODAY) == ("YC:X:6M",)
    with pytest.raises(MissingRiskFactor, match="Unknown curve 'NONE'"):
        pillars_read(FactorIndex.of([quote("X", "1Y", "swap_rate", discount_curve="NONE")]), "X", 1, 1, TODAY)


def test_a_quote_without_solution_is_named_at_the_base_and_nan_in_a_scenario() -> None:
    def bond(maturity: str) -> Contract:
        given = {
            "currency": "USD",
            "issue_date": "2019-03-16",
            "coupon": 0.01,
            "frequency": 2,
            "discount_curve": "USD_SOFR",
        }
        terms = parse_terms("government_bond", {**given, "maturity": maturity})
        return Contract(terms.contract_id(), terms.instrument_type, terms.to_json())

    broken = BASE.copy()
    broken[INDEX.row["YC:USD_SOFR:10Y"]] = 3.0
    block = value_batch([bond("2028-03-16"), bond("2023-03-16")], market(base=broken))
    assert [f.reason for f in block.failures] == ["no_solution"]
    assert block.failures[0].message == (
        "Curve USD_SOFR has no discount factor at pillar 10Y (YC:USD_SOFR:10Y): none reprices its quote of 3 beside the shorter ones."
    )
    assert np.isfinite(block.pnl).all()
    block = value_batch([bond("2028-03-16"), bond("2023-03-16")], market(np.column_stack([BASE, broken])))
    assert [f.reason for f in block.failures] == ["non_finite"]


def test_by_hand_a_deposit_from_spot_and_a_swap_of_one_year() -> None:
    """1% simple for 92 days from 18 March: P(2d) = P(94d)(1 + 0.01 x 92/360), on one straight line of logarithms."""
    one = quote("X", "3M", "deposit_rate")
    got = market(None, FactorIndex.of([one]), np.array([0.01])).discount("X", np.array([94 / 365]))[0, 0]
    assert got == pytest.approx((1 + 0.01 * 92 / 360) ** (-94 / 92), abs=1e-15)
