"""Survival curves: from hazard rates, and bootstrapped from the par spreads of credit default swaps."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813 - as everywhere
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from lake.errors import VarlakeError
from scenarios.types import FactorIndex, RiskFactor, ScenarioSet
from valuation.instruments.reads import credit_factors
from valuation.kernels import credit
from valuation.market.credit_curves import WEEKDAYS, credit_curve, premium, quotes
from valuation.market.rolled_market import Carry, roll
from valuation.market.scenario_market import ScenarioMarket
from valuation.sets.plan import Fingerprints

TODAY = dt.date(2020, 3, 16)
SPREADS = {"6M": 0.005, "1Y": 0.007, "2Y": 0.012, "3Y": 0.011, "5Y": 0.018, "7Y": 0.02, "10Y": 0.021}
ZEROS = {"30D": 0.004, "365D": 0.006, "730D": 0.009, "1825D": 0.012, "5475D": 0.02}


def spreads(levels: dict[str, float], **attributes: str) -> dict[RiskFactor, float]:
    said = {"discount_curve": "USD", "recovery": "REC:ACME"} | attributes
    given = tuple(sorted((k, v) for k, v in said.items() if v))
    return {RiskFactor(f"CDS:ACME:{p}", "cds_spread", p, "USD", "ACME", p, given): v for p, v in levels.items()}


def hazards(levels: dict[str, float]) -> dict[RiskFactor, float]:
    return {RiskFactor(f"HZ:ACME:{p}", "hazard_rate", p, "USD", "ACME", p): v for p, v in levels.items()}


def market(
    credit_levels: dict[RiskFactor, float],
    zeros: dict[str, float] = ZEROS,
    recovery: float = 0.4,
    day: dt.date = TODAY,
    n_scenarios: int = 0,
) -> ScenarioMarket:
    """A market of that credit curve, in scenarios of a few percent of each level."""
    levels = dict(credit_levels)
    levels |= {RiskFactor(f"YC:USD:{p}", "zero_rate", p, "USD", "USD", p): z for p, z in zeros.items()}
    levels[RiskFactor("REC:ACME", "recovery_rate", "recovery", "USD")] = recovery
    index = FactorIndex.of(levels)
    base = np.array([levels[f] for f in index.factors])
    noise = 1 + 0.03 * np.random.default_rng(3).standard_normal((len(base), n_scenarios))
    return ScenarioMarket(day, index, base, base[:, None] * noise)


def ql_date(day: dt.date) -> ql.Date:
    return ql.Date(day.day, day.month, day.year)


@pytest.fixture
def evaluation_date():
    before = ql.Settings.instance().evaluationDate
    ql.Settings.instance().evaluationDate = ql_date(TODAY)
    yield ql_date(TODAY)
    ql.Settings.instance().evaluationDate = before


def ql_discount(seen: ScenarioMarket, state: int) -> ql.YieldTermStructureHandle:
    days = [0, *(int(p[:-1]) for p in ZEROS)]
    factors = seen.discount("USD", np.array(days) / 365)[:, state].tolist()
    return ql.YieldTermStructureHandle(
        ql.DiscountCurve([ql_date(TODAY) + d for d in days], factors, ql.Actual365Fixed())
    )


@pytest.mark.parametrize("state", [0, 1, 7])
def test_quantlib_finds_every_quote_again_on_the_bootstrapped_curve(evaluation_date, state):
    seen = market(spreads(SPREADS), n_scenarios=7)
    quoted = credit_curve(seen.index, "ACME", TODAY).quoted
    knots = [0, *(round(365 * t) for t in quoted.knots)]
    totals = -np.log(seen.survival("ACME", np.array(knots) / 365)[:, state])
    rates = (np.diff(totals) / np.diff(knots) * 365).tolist()
    curve = ql.HazardRateCurve([evaluation_date + k for k in knots], [rates[0], *rates], ql.Actual365Fixed())
    engine = ql.IsdaCdsEngine(
        ql.DefaultProbabilityTermStructureHandle(curve),
        float(seen.level("REC:ACME")[state]),
        ql_discount(seen, state),
    )
    for pillar, tenor in zip(seen.index.curve("ACME"), SPREADS, strict=True):
        maturity = ql.cdsMaturity(evaluation_date, ql.Period(tenor), ql.DateGeneration.CDS2015)
        schedule = ql.Schedule(
            evaluation_date + 1,
            maturity,
            ql.Period("3M"),
            WEEKDAYS,
            ql.Following,
            ql.Unadjusted,
            ql.DateGeneration.CDS,
            False,
        )
        swap = ql.CreditDefaultSwap(
            ql.Protection.Buyer,
            1.0,
            0.01,
            schedule,
            ql.Following,
            ql.Actual360(),
            True,
            True,
            evaluation_date + 1,
            ql.FaceValueClaim(),
            ql.Actual360(True),
            True,
            evaluation_date,
        )
        swap.setPricingEngine(engine)
        assert swap.fairSpread() == pytest.approx(seen.level(pillar.risk_factor_id)[state], rel=1e-12)


def test_quantlibs_own_bootstrap_ends_its_hazard_rates_a_day_later_and_agrees_but_for_it(evaluation_date):
    seen = market(spreads(SPREADS))
    discount = ql_discount(seen, 0)
    helpers = [
        ql.SpreadCdsHelper(
            spread,
            ql.Period(tenor),
            1,
            WEEKDAYS,
            ql.Quarterly,
            ql.Following,
            ql.DateGeneration.CDS2015,
            ql.Actual360(),
            0.4,
            discount,
            True,
            True,
            ql.Date(),
            ql.Actual360(True),
            True,
            ql.CreditDefaultSwap.ISDA,
            evaluation_date,
        )
        for tenor, spread in SPREADS.items()
    ]
    curve = ql.PiecewiseFlatHazardRate(evaluation_date, helpers, ql.Actual365Fixed())
    days = np.arange(1, 3560)
    theirs = [curve.survivalProbability(evaluation_date + int(d)) for d in days]
    ours = seen.survival("ACME", days / 365)[:, 0]
    assert np.abs(ours - theirs).max() < 1e-4
    first = days < 90  # up to the first of the ends
    assert np.abs(ours - theirs)[first].max() < 1e-13


@given(
    tenors=st.lists(st.sampled_from(list(SPREADS)), min_size=1, max_size=7, unique=True),
    first=st.floats(1e-5, 0.3),
    steps=st.lists(st.floats(0.85, 1.25), min_size=7, max_size=7),
    rate=st.floats(-0.02, 0.1),
    recovery=st.floats(0.0, 0.8),
    day=st.dates(dt.date(2014, 1, 1), dt.date(2030, 1, 1)),
)
def test_every_quote_is_found_again(tenors, first, steps, rate, recovery, day):
    tenors = sorted(tenors, key=list(SPREADS).index)
    levels = {t: first * math.prod(steps[:k]) for k, t in enumerate(tenors)}
    seen = market(spreads(levels), {"365D": rate, "3650D": rate + 0.01}, recovery, day)
    found = quotes(
        seen.index,
        "ACME",
        day,
        lambda times: seen.survival("ACME", times)[:, 0],
        lambda times: seen.discount("USD", times)[:, 0],
        np.append(seen.nodes("ACME"), seen.nodes("USD")),
        recovery,
    )
    solved = np.isfinite(found)
    np.testing.assert_allclose(found[solved], np.array(list(levels.values()))[solved], rtol=1e-12, atol=1e-15)
    assert solved[0]  # a later spread may be one that no hazard rate gives


def test_hazard_rates_are_averages_to_their_tenors():
    seen = market(hazards({"1Y": 0.02, "5Y": 0.03}))
    found = seen.survival("ACME", np.array([0.0, 0.5, 1.0, 3.0, 5.0, 10.0]))[:, 0]
    forward = (5 * 0.03 - 0.02) / 4
    logs = [0.0, -0.01, -0.02, -0.02 - 2 * forward, -0.15, -0.15 - 5 * forward]
    np.testing.assert_allclose(found, np.exp(logs), rtol=1e-15)


def test_hulls_swap_and_the_one_word_between_its_default_probability_and_a_hazard_rate():
    """Five years, default in the middle of a year, R 40%, r 5%: 124 basis points for a probability of 2% a year."""

    def legs(hazard: float) -> tuple[float, float, float]:
        seen = market(hazards({"5Y": hazard}), {"1825D": 0.05})
        ends, middles = np.arange(1.0, 6.0), np.arange(0.5, 5.0)
        alive = seen.survival("ACME", np.append(0.0, ends))[:, 0]
        pay, default = seen.discount("USD", ends)[:, 0], seen.discount("USD", middles)[:, 0]
        died = -np.diff(alive)
        return float(pay @ alive[1:]), float(0.5 * default @ died), float(0.6 * default @ died)

    payments, accrual, payoff = legs(-math.log(0.98))
    assert (round(payments, 4), round(accrual, 4), round(payoff, 4)) == (4.0704, 0.0426, 0.0511)
    assert round(1e4 * payoff / (payments + accrual)) == 124
    assert round(100 * (0.015 * (payments + accrual) - payoff), 2) == 1.06
    payments, accrual, payoff = legs(0.02)  # a hazard rate of 2% is a probability of 1.98%
    assert round(1e4 * payoff / (payments + accrual), 1) == 123.0


def test_a_spread_of_nothing_is_no_default_and_a_falling_curve_is_taken_as_it_comes():
    never = market(spreads(dict.fromkeys(SPREADS, 0.0)))
    np.testing.assert_array_equal(never.survival("ACME", np.array([1.0, 9.0])), 1.0)
    falling = market(spreads({"1Y": 0.1, "2Y": 0.04}))
    before, after = falling.survival("ACME", np.array([0.7, 1.7]))[:, 0]
    assert before < after < 1


def test_where_no_hazard_rate_gives_the_spread_that_state_alone_has_none():
    seen = market(spreads({"1Y": 0.02, "5Y": 0.03}), n_scenarios=2)
    states = seen.states.copy()
    states[seen.index.row["CDS:ACME:5Y"], 1] = 0.98  # after a year at 2% nobody pays that
    states[seen.index.row["REC:ACME"], 2] = 1.0  # protection is worth nothing
    found = ScenarioMarket(TODAY, seen.index, states[:, 0], states[:, 1:]).survival("ACME", np.array([0.5, 4.0]))
    np.testing.assert_array_equal(found[:, 0], seen.survival("ACME", np.array([0.5, 4.0]))[:, 0])
    assert 0.97 < found[0, 1] < 1
    assert np.isnan(found[1, 1])
    assert np.isnan(found[:, 2]).all()


def test_a_distressed_name_is_bootstrapped_too():
    seen = market(spreads({"1Y": 0.95, "5Y": 0.7, "10Y": 0.68}), recovery=0.2)
    found = seen.survival("ACME", np.array([1.0, 5.0, 9.0]))[:, 0]
    assert (found > 0).all()
    assert (np.diff(found) < 0).all()


@given(
    kind=st.sampled_from(["hazard_rate", "cds_spread"]),
    tenors=st.lists(st.sampled_from(list(SPREADS)), min_size=1, max_size=6, unique=True),
    days=st.lists(st.integers(0, 12 * 365), min_size=1, max_size=4).map(sorted),
)
def test_the_factors_read_give_the_same_bits_alone(kind, tenors, days):
    levels = {t: SPREADS[t] for t in sorted(tenors, key=list(SPREADS).index)}
    seen = market(spreads(levels) if kind == "cds_spread" else hazards(levels), n_scenarios=3)
    times = np.array(days) / 365
    whole = seen.survival("ACME", times).tobytes()
    read = credit_factors(seen.index, "ACME", TODAY, TODAY + dt.timedelta(days=days[-1]))
    assert len(set(read)) == len(read)
    rows = [seen.index.row[f] for f in read]
    states = np.full(seen.states.shape, np.nan)
    states[rows] = seen.states[rows]
    assert ScenarioMarket(TODAY, seen.index, states[:, 0], states[:, 1:]).survival("ACME", times).tobytes() == whole
    index = FactorIndex.of(seen.index.factors[r] for r in rows)
    alone = states[[seen.index.row[f.risk_factor_id] for f in index.factors]]
    assert ScenarioMarket(TODAY, index, alone[:, 0], alone[:, 1:]).survival("ACME", times).tobytes() == whole


def test_a_swap_of_two_years_reads_no_spread_of_ten():
    index = market(spreads(SPREADS)).index
    assert credit_factors(index, "ACME", TODAY, dt.date(2021, 6, 20)) == (
        *(f"CDS:ACME:{t}" for t in ("6M", "1Y", "2Y")),
        "REC:ACME",
        *(f"YC:USD:{p}" for p in ("30D", "365D", "730D")),
    )
    index = market(spreads(SPREADS, recovery="0.3")).index
    assert "REC:ACME" not in credit_factors(index, "ACME", TODAY, dt.date(2021, 6, 20))


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        (spreads(SPREADS) | hazards({"5Y": 0.02}), "pillars of type cds_spread, hazard_rate"),
        (spreads(SPREADS, discount_curve=""), "the same attribute discount_curve; given: nothing"),
        (spreads(SPREADS, recovery="1.2"), "its recovery is 1.2; expected a fraction from 0 to below 1"),
        (spreads({"1M": 0.01}), "pillar 1M: .*expected a tenor of quarters or years, such as 6M or 5Y"),
        (
            spreads({"5Y": 0.01}, maturity="2025-03-31"),
            "2025-03-31 is not a 20th of March, June, September or December",
        ),
        (spreads({"5Y": 0.01}, maturity="2020-03-17"), "matures on 2020-03-17, before protection begins"),
        (spreads({"1Y": 0.01, "5Y": 0.02}, maturity="2022-12-20"), "2022-12-20, 2022-12-20, which must ascend"),
    ],
)
def test_a_curve_that_says_too_little_is_refused_in_words(factors, words):
    with pytest.raises(VarlakeError, match=words):
        market(factors).survival("ACME", np.array([1.0]))


def test_a_tenor_means_the_maturity_that_was_traded_on_the_day():
    def maturities(day: dt.date) -> list[str]:
        quoted = credit_curve(market(spreads({"1Y": 0.01, "5Y": 0.01}), day=day).index, "ACME", day).quoted
        return [str(dt.date.fromordinal(int(m))) for m in quoted.maturities]

    assert maturities(dt.date(2009, 5, 21)) == ["2010-06-20", "2014-06-20"]
    assert maturities(dt.date(2015, 9, 21)) == ["2016-12-20", "2020-12-20"]  # quarterly until December 2015
    assert maturities(dt.date(2016, 9, 19)) == ["2017-06-20", "2021-06-20"]
    assert maturities(dt.date(2016, 9, 20)) == ["2017-12-20", "2021-12-20"]


@pytest.mark.parametrize(
    ("day", "rebate"),
    [
        ("2009-03-18", 24166.67),
        ("2009-03-19", 0.0),
        ("2009-03-20", 277.78),
        ("2009-03-23", 1111.11),
        ("2009-06-19", 25555.56),
        ("2009-06-20", 25833.33),
        ("2009-06-21", 0.0),
        ("2009-06-22", 277.78),
        ("2014-06-18", 25277.78),
    ],
)
def test_the_accrued_coupon_is_that_of_the_isda_calculator(day, rebate):
    """100 basis points on ten million, to 20 June 2014."""
    step_in = dt.date.fromisoformat(day) + dt.timedelta(days=1)
    accrued = step_in.toordinal() - premium(step_in, dt.date(2014, 6, 20)).starts[0]
    assert round(1e7 * 0.01 * accrued / 360, 2) == rebate


def still(seen: ScenarioMarket) -> ScenarioSet:
    n = len(seen.index.factors)
    moved = seen.states[:, :1].copy()
    for row, f in enumerate(seen.index.factors):
        moved[row] += 0.002 if f.curve == "ACME" else 0.0
    return ScenarioSet(
        "", "still", "historical", TODAY, {}, seen.index, ("a",), seen.states[:, 0], moved, np.ones(n, np.bool_)
    )


@pytest.mark.parametrize("curve", [spreads(SPREADS), hazards(SPREADS)])
def test_a_rolled_curve_is_that_of_today_given_survival(curve):
    seen = market(curve)
    to = dt.date(2021, 1, 11)
    years, times = (to - TODAY).days / 365, np.array([0.0, 0.3, 2.0, 6.1])
    forward = ScenarioMarket.of(roll(still(seen), to, "forwards", Carry()), to)
    then = seen.survival("ACME", years + times)[:, 0] / seen.survival("ACME", np.array([years]))[0, 0]
    np.testing.assert_allclose(forward.survival("ACME", times)[:, 0], then, rtol=1e-15)
    assert (forward.survival("ACME", times[1:])[:, 1] < then[1:]).all()  # wider spreads, more defaults
    constant = ScenarioMarket.of(roll(still(seen), to, "constant", Carry()), to)
    np.testing.assert_array_equal(constant.survival("ACME", times)[:, 0], seen.survival("ACME", times)[:, 0])
    assert (constant.survival("ACME", times[1:])[:, 1] < seen.survival("ACME", times[1:])[:, 0]).all()


@pytest.mark.parametrize("curve", [spreads({"5Y": 0.02}), hazards({"5Y": 0.02})])
def test_the_rolled_quotes_alone_give_the_rolled_curve(curve):
    to = dt.date(2021, 1, 11)
    rolled = roll(still(market(curve, {"1825D": 0.03})), to, "forwards", Carry())
    alone = ScenarioMarket(to, rolled.index, rolled.base, rolled.levels)
    times = np.array([0.5, 2.0, 6.0])
    expected = ScenarioMarket.of(rolled, to).survival("ACME", times)
    np.testing.assert_allclose(alone.survival("ACME", times), expected, rtol=1e-12)


def test_a_curve_that_cannot_be_rolled_stays_and_says_why():
    seen = market(spreads({"5Y": 0.02}, maturity="2020-12-20"))
    rolled = roll(still(seen), dt.date(2021, 1, 11), "forwards", Carry())
    assert "before protection begins" in rolled.definition["unrolled"]["CDS:ACME:5Y"]
    assert rolled.base[rolled.index.row["CDS:ACME:5Y"]] == 0.02


@given(rate=st.floats(-0.05, 0.3), hazard=st.floats(1e-6, 3.0), length=st.floats(0.003, 4.0), lead=st.floats(0.0, 0.3))
def test_the_closed_forms_are_the_integrals(rate, hazard, length, lead):
    times = np.array([0.0, length])
    offsets, columns = np.array([0, 2]), np.array([0, 1])
    discount, survival = -rate * times[:, None], -hazard * times[:, None]

    def integral(paid) -> float:
        return quad(lambda t: paid(t) * hazard * math.exp(-(rate + hazard) * t), 0, length, epsabs=0, epsrel=1e-13)[0]

    default = credit.default_values(offsets, columns, discount, survival)
    assert default[0, 0] == pytest.approx(integral(lambda _: 1.0), rel=1e-11)
    coupon = credit.coupon_values(
        offsets, columns, times, np.array([-lead]), np.array([0.0]), np.array([1]), 365 / 360, discount, survival
    )
    assert coupon[0, 0] == pytest.approx(365 / 360 * integral(lambda t: t + lead), rel=1e-10)


def test_a_corrected_attribute_values_contracts_anew():
    def fingerprint(recovery: str, maturity: str = "2024-12-20") -> tuple[str, str, bool]:
        seen = market(spreads({"5Y": 0.02}, recovery=recovery, maturity=maturity))
        return Fingerprints(still(seen), TODAY, ("credit",)).of("credit_default_swap", ("CDS:ACME:5Y",))

    assert fingerprint("0.4") == fingerprint("0.4")
    assert fingerprint("0.4") != fingerprint("0.3")
    assert fingerprint("0.4") != fingerprint("0.4", "2025-06-20")
