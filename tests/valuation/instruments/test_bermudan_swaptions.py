"""Bermudan swaptions in the Hull-White model, against quadrature, QuantLib's engines, bounds and limits."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from make_market import make_market, value
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from lake.errors import BadInput
from scenarios.types import ScenarioSet
from valuation.batch import value_batch
from valuation.catalogue import parse_terms
from valuation.instruments.rates import bermudan_swaption
from valuation.instruments.rates.bermudan_swaption import Terms
from valuation.market.rolled_market import Carry, RolledBase, roll
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, NotValuable

TODAY = dt.date(2020, 3, 16)
ZEROS = {30: 0.01, 365: 0.012, 730: 0.015, 1825: 0.02, 3650: 0.024, 10950: 0.03, 18250: 0.03}
VOLATILITIES = [0.01, 0.002, 0.02, 0.03]


def market(volatilities: list[float], shift: float = 0.0) -> ScenarioMarket:
    return make_market(TODAY, {**{f"YC:USD:{d}D": z + shift for d, z in ZEROS.items()}, "NV:R": volatilities})


def anniversary(years: int) -> dt.date:
    return TODAY.replace(year=TODAY.year + years)


def swaption(first: int, last: int, exercised: list[int] | None = None, **changes: Any) -> Terms:
    """On an annual swap over whole years from today, exercised at the start of each unless given."""
    terms = {
        "currency": "USD", "pay_fixed": True, "fixed_rate": 0.025, "start": anniversary(first),
        "maturity": anniversary(last), "fixed_frequency": 1, "float_frequency": 2, "fixed_day_count": "Actual365Fixed",
        "float_day_count": "Actual360", "calendar": "none", "business_day_convention": "Unadjusted",
        "discount_curve": "USD", "mean_reversion": 0.03, "volatility": "NV:R",
        "exercise_dates": [anniversary(k) for k in exercised or range(first, last)],
    }  # fmt: skip
    parsed = parse_terms("bermudan_swaption", {**terms, **changes})
    assert isinstance(parsed, Terms)
    return parsed


def discount(day: int) -> float:
    return float(market([0.01]).discount("USD", np.array([day / 365]))[0, 0])


def european(terms: Terms, volatility: float) -> float:
    """By quadrature over the Gaussian state under the measure of the exercise date (Jamshidian's problem, not his solution)."""
    a, exercise = terms.mean_reversion, (terms.exercise_dates[0] - TODAY).days
    leg = terms.fixed_leg()
    days = [int(d) - TODAY.toordinal() for d in leg.payments]
    paid = [terms.fixed_rate * float(x) for x in leg.accruals]
    paid[-1] += 1.0

    def slope(years: float) -> float:
        return years if a == 0 else (1 - math.exp(-a * years)) / a

    deviation = volatility * math.sqrt(
        slope(2 * exercise / 365) / 2 if a == 0 else (1 - math.exp(-2 * a * exercise / 365)) / (2 * a)
    )
    parts = [
        (c * discount(d) / discount(exercise), slope((d - exercise) / 365) * deviation)
        for c, d in zip(paid, days, strict=True)
    ]

    def gain(x: float) -> float:
        return 1.0 - sum(c * math.exp(-b * x - b * b / 2) for c, b in parts)

    root = brentq(gain, -30, 30, xtol=1e-14)
    low, high = (root, max(root, 0) + 12) if terms.pay_fixed else (min(root, 0) - 12, root)
    sign = 1.0 if terms.pay_fixed else -1.0
    integral = quad(lambda x: sign * gain(x) * norm.pdf(x), low, high, epsabs=1e-14, epsrel=1e-12, limit=200)[0]
    return discount(exercise) * float(integral)


@pytest.mark.parametrize("mean_reversion", [0.1, 0.03, 0.0, -0.02])
@pytest.mark.parametrize(
    ("first", "last", "fixed_rate", "pay_fixed"), [(1, 11, 0.02, False), (5, 10, 0.03, True), (10, 30, 0.035, True)]
)
def test_one_exercise_date_is_the_european(
    first: int, last: int, fixed_rate: float, pay_fixed: bool, mean_reversion: float
) -> None:
    terms = swaption(first, last, [first], fixed_rate=fixed_rate, pay_fixed=pay_fixed, mean_reversion=mean_reversion)
    for ours, volatility in zip(value(terms, market(VOLATILITIES)), VOLATILITIES, strict=True):
        assert ours == pytest.approx(european(terms, volatility), abs=3e-7)


# QuantLib ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def curve() -> Iterator[ql.YieldTermStructureHandle]:
    before = ql.Settings.instance().evaluationDate
    today = ql.Date(16, 3, 2020)
    ql.Settings.instance().evaluationDate = today
    nodes = ql.DiscountCurve(
        [today, *(today + d for d in ZEROS)],
        [1.0, *(math.exp(-z * d / 365) for d, z in ZEROS.items())],
        ql.Actual365Fixed(),
    )
    yield ql.YieldTermStructureHandle(nodes)
    ql.Settings.instance().evaluationDate = before


def quantlib(terms: Terms, curve: ql.YieldTermStructureHandle) -> ql.Swaption:
    def dates(months: int) -> ql.Schedule:
        return ql.Schedule(
            day(terms.start), day(terms.maturity), ql.Period(months, ql.Months), ql.NullCalendar(), ql.Unadjusted,
            ql.Unadjusted, ql.DateGeneration.Backward, False,
        )  # fmt: skip

    def day(d: dt.date) -> ql.Date:
        return ql.Date(d.day, d.month, d.year)

    index = ql.IborIndex(
        "I",
        ql.Period(6, ql.Months),
        0,
        ql.USDCurrency(),
        ql.NullCalendar(),
        ql.Unadjusted,
        False,
        ql.Actual360(),
        curve,
    )
    swap = ql.VanillaSwap(
        ql.Swap.Payer if terms.pay_fixed else ql.Swap.Receiver, 1.0, dates(12), terms.fixed_rate, ql.Actual365Fixed(),
        dates(6), index, 0.0, ql.Actual360(),
    )  # fmt: skip
    return ql.Swaption(swap, ql.BermudanExercise([day(d) for d in terms.exercise_dates]))


@pytest.mark.parametrize(
    ("first", "last", "fixed_rate", "pay_fixed", "mean_reversion"),
    [(1, 10, 0.025, True, 0.03), (1, 5, 0.02, False, 0.1), (2, 12, 0.025, True, 0.001)],
)
def test_quantlibs_engines(
    first: int, last: int, fixed_rate: float, pay_fixed: bool, mean_reversion: float, curve: ql.YieldTermStructureHandle
) -> None:
    """Quadrature with cubic splines, finite differences and a tree, each as near as it is exact."""
    terms = swaption(first, last, fixed_rate=fixed_rate, pay_fixed=pay_fixed, mean_reversion=mean_reversion)
    ours = value(terms, market(VOLATILITIES[:2]))
    option = quantlib(terms, curve)
    for price, volatility in zip(ours, VOLATILITIES[:2], strict=True):
        hull_white = ql.HullWhite(curve, mean_reversion, volatility)
        gsr = ql.Gsr(curve, [], [quote(volatility)], [quote(mean_reversion)], 60.0)
        for engine, tolerance in (
            (ql.Gaussian1dSwaptionEngine(gsr, 150, 8.0, True, False), 3e-6),
            (ql.FdHullWhiteSwaptionEngine(hull_white, 300, 300), 1e-5),
            (ql.TreeSwaptionEngine(hull_white, 200), 2e-4),
        ):
            option.setPricingEngine(engine)
            assert price == pytest.approx(option.NPV(), abs=tolerance)


def quote(level: float) -> ql.QuoteHandle:
    return ql.QuoteHandle(ql.SimpleQuote(level))


# Bounds and limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pay_fixed", [True, False])
def test_it_is_worth_no_less_than_each_european_and_no_more_than_all(pay_fixed: bool) -> None:
    at = market([0.01, *np.linspace(0.001, 0.03, 20)])
    terms = [swaption(1, 9, e, pay_fixed=pay_fixed) for e in (None, *([k] for k in range(1, 9)))]
    whole, *single = bermudan_swaption.value(terms, at)
    assert (whole - np.max(single, axis=0)).min() > -1e-9
    assert (np.sum(single, axis=0) - whole).min() > 0
    # a date more is worth something
    fewer = value(swaption(1, 9, [1, 3, 5, 7], pay_fixed=pay_fixed), at)
    assert (whole - fewer).min() > -1e-9
    # and it rises with volatility
    assert np.diff(whole[1:]).min() > 0


@pytest.mark.parametrize("pay_fixed", [True, False])
def test_it_moves_smoothly_from_scenario_to_scenario(pay_fixed: bool) -> None:
    """Differences of third order, of steps of five hundredths of a basis point of volatility and a fifth of one of rates."""
    terms = swaption(1, 9, pay_fixed=pay_fixed)
    of_volatility = value(terms, market([0.01, *np.linspace(0.01, 0.011, 201)]))[1:]
    assert np.abs(np.diff(of_volatility, 3)).max() < 1e-11
    shifts = np.linspace(-0.002, 0.002, 201)
    levels = {f"YC:USD:{d}D": [z, *(z + shifts)] for d, z in ZEROS.items()}
    of_rates = value(terms, make_market(TODAY, {**levels, "NV:R": [0.01] * 202}))[1:]
    assert np.abs(np.diff(of_rates, 3)).max() < 3e-7


@pytest.mark.parametrize("shift", [0.0, -0.04, 0.03])
@pytest.mark.parametrize("pay_fixed", [True, False])
def test_at_no_volatility_it_is_the_best_of_its_swaps(pay_fixed: bool, shift: float) -> None:
    at = market([0.01, 0.0], shift)
    terms = swaption(1, 9, pay_fixed=pay_fixed)
    swaps = [
        parse_terms(
            "interest_rate_swap",
            {
                k: v
                for k, v in dict(terms).items()
                if k not in ("exercise_dates", "mean_reversion", "volatility", "projection_curve")
            }
            | {"start": d},
        )
        for d in terms.exercise_dates
    ]
    best = max(0.0, *(value(s, at)[1] for s in swaps))
    assert value(terms, at)[1] == pytest.approx(best, abs=1e-13)


def test_a_negative_volatility_has_no_value() -> None:
    assert np.isnan(value(swaption(1, 5), market([0.01, -0.001]))).tolist() == [False, True]


def test_bits_depend_on_no_neighbour() -> None:
    volatilities = np.linspace(0.002, 0.02, 71)
    terms = [swaption(1, 9), swaption(2, 5, pay_fixed=False), swaption(1, 3, [2])]
    whole = bermudan_swaption.value(terms, market([0.01, *volatilities]))
    for i, t in enumerate(terms):
        for s in (0, 30, 31, 32, 70):
            alone = bermudan_swaption.value([t], market([0.01, volatilities[s]]))
            assert alone.tobytes() == whole[[i]][:, [0, 1 + s]].tobytes()


def test_a_projection_curve_of_its_own_keeps_its_ratio() -> None:
    """Twice the same curve is the single curve; with one exercise and no volatility, the swap on two curves."""
    spread = {f"YC:USD_B:{d}D": z for d, z in ZEROS.items()}
    levels = {**{f"YC:USD:{d}D": z for d, z in ZEROS.items()}, **spread, "NV:R": VOLATILITIES}
    one, two = swaption(1, 9), swaption(1, 9, projection_curve="USD_B")
    np.testing.assert_allclose(
        value(two, make_market(TODAY, levels)), value(one, make_market(TODAY, levels)), rtol=1e-11
    )
    higher = make_market(TODAY, {**levels, **{k: v + 0.01 for k, v in spread.items()}, "NV:R": [0.0]})
    swap = parse_terms(
        "swaption",
        {k: v for k, v in dict(two).items() if k not in ("exercise_dates", "mean_reversion")}
        | {"expiry": anniversary(1), "model": "normal"},
    )
    assert value(swaption(1, 9, [1], projection_curve="USD_B"), higher)[0] == pytest.approx(
        value(swap, higher)[0], rel=1e-12
    )


# Days on which something happens -------------------------------------------------------------------------------------


def test_on_an_exercise_date_it_is_the_swap_or_to_wait() -> None:
    terms = swaption(0, 9, fixed_rate=0.0)  # deep in the money: exercised now
    at = market([0.01])
    swap = {k: v for k, v in dict(terms).items() if k not in ("exercise_dates", "mean_reversion", "volatility")}
    del swap["projection_curve"]
    assert value(terms, at)[0] == pytest.approx(value(parse_terms("interest_rate_swap", swap), at)[0], rel=1e-12)
    waits = swaption(0, 9, fixed_rate=0.025)
    later = swaption(1, 9, fixed_rate=0.025)
    assert value(waits, at)[0] == pytest.approx(value(later, at)[0], abs=2e-7)


@pytest.mark.parametrize("how", ["forwards", "constant"])
def test_inside_a_roll_it_is_exercised_where_that_is_worth_more(how: Any) -> None:
    at = market([0.01])
    base = ScenarioSet(
        "", "still", "historical", TODAY, {}, at.index, ("a",), at.states[:, 0], at.states[:, :1].copy(),
        np.zeros(len(at.index.factors), np.bool_),
    )  # fmt: skip
    markets = RolledBase(base, how, Carry())
    terms, day = swaption(1, 9, fixed_rate=0.0), anniversary(1)
    contract = Contract(terms.contract_id(), terms.instrument_type, terms.to_json())

    def rolled(days: int) -> Any:
        to = day + dt.timedelta(days=days)
        return value_batch([contract], ScenarioMarket.of(roll(base, to, how, Carry()), to))

    worth = float(rolled(0).base[0])
    assert worth == pytest.approx(float(rolled(-1).base[0]), rel=2e-3)
    assert bermudan_swaption.cash_flows(terms, markets, day) == ()
    (paid,) = bermudan_swaption.cash_flows(terms, markets, day + dt.timedelta(days=1))
    assert (paid.day, paid.amount, paid.kind) == (day, worth, "settlement")
    (failure,) = rolled(1).failures
    assert (failure.reason, failure.message) == ("matured", f"It was exercised on {day}, inside the roll.")
    # out of the money it is kept, and pays nothing
    kept = swaption(1, 9, fixed_rate=0.06)
    assert bermudan_swaption.cash_flows(kept, markets, day + dt.timedelta(days=400)) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exercise_dates": ["2022-03-16", "2021-03-16"]}, "exercise_dates must ascend, each day once"),
        (
            {"exercise_dates": '["2029-03-16"]'},
            "the last of exercise_dates, 2029-03-16, must lie before maturity 2029-03-16",
        ),
        (
            {"exercise_dates": "[]"},
            'expected at least 1 of them (days of exercise, ascending, as JSON: ["2026-03-16", "2027-03-16"])',
        ),
        ({"mean_reversion": 3}, "may be zero or negative"),
        ({"start": anniversary(9)}, "start 2029-03-16 must lie before maturity 2029-03-16"),
    ],
)
def test_terms_that_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=re.escape(words)):
        swaption(1, 9, **changes)


@pytest.mark.parametrize("day", [dt.date(2021, 6, 16), dt.date(2028, 10, 1)])
def test_an_exercise_that_enters_no_swap_is_refused(day: dt.date) -> None:
    terms = swaption(1, 9, exercise_dates=[day])
    with pytest.raises(NotValuable, match=f"Exercise on {day} enters no swap"):
        terms.check(TODAY)


def test_its_volatility_is_that_of_the_short_rate() -> None:
    index = make_market(TODAY, {"YC:USD:365D": 0.01, "VOL:R": 0.2}).index
    with pytest.raises(Exception, match="VOL:R is of type implied_vol"):
        bermudan_swaption.risk_factors(swaption(1, 9, volatility="VOL:R"), index, TODAY)
