"""Government bonds and interest-rate swaps against Hull's printed values and QuantLib over random grids."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from make_market import make_market, value

from lake.errors import VarlakeError
from valuation.catalogue import parse_terms
from valuation.instruments import schedules
from valuation.instruments.fields import LISTED_YEARS
from valuation.types import NotValuable

TODAY = dt.date(2020, 3, 16)
QUANTLIB_FREQUENCY = {1: ql.Annual, 2: ql.Semiannual, 4: ql.Quarterly}


@pytest.fixture(autouse=True)
def quantlib_today():
    """QuantLib's evaluation date is global: put back after each test."""
    before = ql.Settings.instance().evaluationDate
    yield
    ql.Settings.instance().evaluationDate = before


def to_quantlib(day: dt.date) -> ql.Date:
    return ql.Date(day.day, day.month, day.year)


def quantlib_curve(today: dt.date, zeros: dict[int, float]) -> ql.YieldTermStructureHandle:
    start = to_quantlib(today)
    curve = ql.DiscountCurve(
        [start, *(start + d for d in zeros)],
        [1.0, *(math.exp(-z * d / 365) for d, z in zeros.items())],
        ql.Actual365Fixed(),
    )
    curve.enableExtrapolation()
    return ql.YieldTermStructureHandle(curve)


def pillars(zeros: dict[int, float]) -> dict[str, float]:
    return {f"YC:USD:{d}D": z for d, z in zeros.items()}


def zeros_of(today: dt.date, discount: dict[dt.date, float]) -> dict[str, float]:
    """Pillars that give exactly these discount factors on these dates."""
    days = {(d - today).days: v for d, v in discount.items()}
    return pillars({n: -math.log(v) * 365 / n for n, v in days.items()})


def random_zeros(rng: np.random.Generator) -> dict[int, float]:
    return {d: float(rng.uniform(-0.01, 0.08)) for d in (30, 182, 730, 3650, 10950)}


def bond(**changes):
    terms = {
        "currency": "USD",
        "issue_date": dt.date(2019, 3, 16),
        "maturity": dt.date(2022, 3, 16),
        "coupon": 0.06,
        "frequency": 2,
        "calendar": "none",
        "business_day_convention": "Unadjusted",
        "discount_curve": "USD",
    }
    return parse_terms("government_bond", {**terms, **changes})


def swap(**changes):
    terms = {
        "currency": "USD",
        "pay_fixed": True,
        "fixed_rate": 0.02,
        "start": dt.date(2020, 3, 16),
        "maturity": dt.date(2030, 3, 16),
        "fixed_frequency": 2,
        "float_frequency": 4,
        "fixed_day_count": "Thirty360",
        "float_day_count": "Actual360",
        "discount_curve": "USD",
    }
    return parse_terms("interest_rate_swap", {**terms, **changes})


# Bonds ---------------------------------------------------------------------------------------------------------------


def half_years(n: int) -> list[dt.date]:
    return [dt.date(2020 + (3 + 6 * k) // 12, (3 + 6 * k - 1) % 12 + 1, 16) for k in range(1, n + 1)]


def test_hulls_two_year_bond():
    rates = [0.05, 0.058, 0.064, 0.068]
    discount = {d: math.exp(-r * (k + 1) / 2) for k, (d, r) in enumerate(zip(half_years(4), rates, strict=True))}
    market = make_market(TODAY, zeros_of(TODAY, discount))
    assert round(float(value(bond(), market)[0]), 2) == 98.39


@pytest.mark.parametrize(("yield_", "printed"), [(0.12, 94.213), (0.121, 93.963)])
def test_hulls_three_year_bond_before_and_after_ten_basis_points(yield_, printed):
    discount = {d: math.exp(-yield_ * (k + 1) / 2) for k, d in enumerate(half_years(6))}
    market = make_market(TODAY, zeros_of(TODAY, discount))
    assert round(float(value(bond(coupon=0.10, maturity=dt.date(2023, 3, 16)), market)[0]), 3) == printed


def test_hulls_currency_swap_as_two_bonds():
    """Receive 5% on JPY 1,200m, pay 8% on USD 10m, 3 years annual, JPY 4% and USD 9% continuous, 110 yen a dollar."""
    dates = [TODAY.replace(year=2020 + k) for k in (1, 2, 3)]
    values = {}
    for currency, rate, coupon in (("USD", 0.09, 0.08), ("JPY", 0.04, 0.05)):
        market = make_market(TODAY, zeros_of(TODAY, {d: math.exp(-rate * (k + 1)) for k, d in enumerate(dates)}))
        terms = bond(issue_date=TODAY, maturity=dates[-1], coupon=coupon, frequency=1)
        values[currency] = float(value(terms, market)[0]) / 100
    assert round(10 * values["USD"], 4) == 9.6439
    assert round(1200 * values["JPY"], 2) == 1230.55
    assert round(1200 * values["JPY"] / 110 - 10 * values["USD"], 4) == 1.5430


@pytest.mark.parametrize(
    ("issue", "maturity", "coupon", "clean"),
    [
        (dt.date(2004, 10, 31), dt.date(2006, 10, 31), 0.025, 98.943393),
        (dt.date(2004, 11, 15), dt.date(2009, 11, 15), 0.035, 101.986794),
    ],
)
def test_quantlibs_cached_bonds_on_a_flat_curve(issue, maturity, coupon, clean):
    """QuantLib's bonds.cpp prints clean prices on 22-Nov-2004 for settlement a day later, on 3% continuous Act/360."""
    today, settlement = dt.date(2004, 11, 22), dt.date(2004, 11, 23)
    terms = bond(issue_date=issue, maturity=maturity, coupon=coupon, business_day_convention="ModifiedFollowing")
    market = make_market(today, {"YC:USD:30Y": 0.03 * 365 / 360})
    forward = float(value(terms, market)[0]) / math.exp(-0.03 / 360)
    half_year = {10: dt.date(2005, 4, 30), 11: dt.date(2005, 5, 15)}[issue.month]
    accrued = 100 * coupon / 2 * (settlement - issue).days / (half_year - issue).days
    assert forward - accrued == pytest.approx(clean, abs=5e-7)


@pytest.mark.parametrize(
    ("issue", "maturity", "coupon", "yield_", "clean", "tolerance"),
    [
        (dt.date(2004, 10, 31), dt.date(2006, 10, 31), 0.025, 0.02925, 99.204505, 5e-7),
        (dt.date(2004, 11, 15), dt.date(2009, 11, 15), 0.035, 0.03569, 99.687192, 5e-7),
        # market prices and the yields QuantLib prints for them, rounded to a ten-thousandth of a percent
        (dt.date(2004, 10, 31), dt.date(2006, 10, 31), 0.025, 0.029257, 99.203125, 1e-4),
        (dt.date(2004, 11, 15), dt.date(2009, 11, 15), 0.035, 0.035689, 99.6875, 2.5e-4),
    ],
)
def test_quantlibs_cached_bonds_at_their_yield(issue, maturity, coupon, yield_, clean, tolerance):
    """The same bonds discounted at semi-annual yields."""
    settlement = dt.date(2004, 11, 23)
    leg = schedules.leg(issue, maturity, 2, "ActualActualISMA", "none", "Unadjusted", False, False)
    ends = [dt.date.fromordinal(int(d)) for d in leg.payments]
    gone = (settlement - issue).days / (ends[0] - issue).days
    discount = {d: (1 + yield_ / 2) ** -(k + 1 - gone) for k, d in enumerate(ends)}
    market = make_market(settlement, zeros_of(settlement, discount))
    terms = bond(issue_date=issue, maturity=maturity, coupon=coupon)
    assert float(value(terms, market)[0]) - 100 * coupon / 2 * gone == pytest.approx(clean, abs=tolerance)


def test_bonds_agree_with_quantlib_over_a_random_grid():
    rng = np.random.default_rng(31)
    for _ in range(150):
        issue = TODAY + dt.timedelta(days=int(rng.integers(-4000, 1)))
        maturity = max(TODAY, issue) + dt.timedelta(days=int(rng.integers(20, 10900)))
        frequency = int(rng.choice([1, 2, 4]))
        day_count = str(rng.choice(list(schedules.DAY_COUNTS)))
        calendar = str(rng.choice(list(schedules.CALENDARS)))
        convention = str(rng.choice(list(schedules.BUSINESS_DAY_CONVENTIONS)))
        coupon, end_of_month = float(rng.uniform(-0.01, 0.12)), bool(rng.random() < 0.3)
        zeros = random_zeros(rng)
        ql.Settings.instance().evaluationDate = to_quantlib(TODAY)
        oracle = ql.FixedRateBond(
            0,
            100.0,
            ql.Schedule(
                to_quantlib(issue), to_quantlib(maturity), ql.Period(QUANTLIB_FREQUENCY[frequency]),
                ql.NullCalendar(), ql.Unadjusted, ql.Unadjusted, ql.DateGeneration.Backward, end_of_month,
            ),
            [coupon],
            schedules.DAY_COUNTS[day_count],
            schedules.BUSINESS_DAY_CONVENTIONS[convention],
            100.0,
            to_quantlib(issue),
            schedules.CALENDARS[calendar],
        )  # fmt: skip
        oracle.setPricingEngine(ql.DiscountingBondEngine(quantlib_curve(TODAY, zeros)))
        terms = bond(
            issue_date=issue, maturity=maturity, frequency=frequency, day_count=day_count, calendar=calendar,
            business_day_convention=convention, coupon=coupon, end_of_month=end_of_month,
        )  # fmt: skip
        got = value(terms, make_market(TODAY, pillars(zeros)))[0]
        assert got == pytest.approx(oracle.NPV(), rel=1e-12, abs=1e-12)


def test_a_bond_paying_the_par_yield_of_its_pillar_is_worth_par():
    """Real dates miss the half-year grid of the par curve by up to two days, worth less than a cent of yield."""
    levels = {f"YC:USD:{p}": y for p, y in {"6M": 0.031, "1Y": 0.03, "2Y": 0.028, "5Y": 0.033, "10Y": 0.04}.items()}
    market = make_market(TODAY, levels, curve_type="par_yield")
    for years, coupon in ((1, 0.03), (2, 0.028), (5, 0.033), (10, 0.04)):
        terms = bond(issue_date=TODAY, maturity=TODAY.replace(year=2020 + years), coupon=coupon)
        assert value(terms, market)[0] == pytest.approx(100, abs=0.06)


def test_a_payment_on_the_valuation_date_belongs_to_yesterday():
    market = make_market(TODAY, {"YC:USD:1Y": 0.0})
    paid_today = bond(issue_date=dt.date(2019, 3, 16), maturity=dt.date(2020, 9, 16), coupon=0.04)
    assert value(paid_today, market)[0] == pytest.approx(102)
    day_before = make_market(TODAY - dt.timedelta(days=1), {"YC:USD:1Y": 0.0})
    assert value(paid_today, day_before)[0] == pytest.approx(104)


def test_a_bond_lives_until_its_last_payment_has_been_made():
    on_saturday = bond(maturity=dt.date(2020, 3, 14), calendar="weekdays", business_day_convention="Following")
    friday = make_market(dt.date(2020, 3, 15), {"YC:USD:1Y": 0.01})
    assert value(on_saturday, friday)[0] == pytest.approx(103 * math.exp(-0.01 / 365))
    with pytest.raises(NotValuable) as error:
        value(on_saturday, make_market(TODAY, {"YC:USD:1Y": 0.01}))
    assert error.value.reason == "matured"


def test_month_end_bonds_pay_on_month_ends():
    ends = bond(issue_date="2020-02-29", maturity="2021-06-30", frequency=4, end_of_month=True).coupons().payments
    dates = [dt.date.fromordinal(int(d)).isoformat() for d in ends]
    assert dates == ["2020-03-31", "2020-06-30", "2020-09-30", "2020-12-31", "2021-03-31", "2021-06-30"]
    plain = bond(issue_date="2020-02-29", maturity="2021-06-30", frequency=4).coupons().payments
    assert dt.date.fromordinal(int(plain[3])) == dt.date(2020, 12, 30)


def test_month_end_swaps_pay_on_the_last_business_days_of_months():
    """By hand: 28 February 2021 is a Sunday, 31 May 2020 too, and 31 August 2020 a Monday; weekdays, modified following."""
    dates = {
        "start": dt.date(2020, 2, 28),
        "maturity": dt.date(2021, 2, 26),
        "float_frequency": 4,
        "fixed_frequency": 2,
    }
    ends = [d.isoformat() for d in map(dt.date.fromordinal, swap(**dates, end_of_month=True).floating_leg().payments)]
    assert ends == ["2020-05-29", "2020-08-31", "2020-11-30", "2021-02-26"]
    fixed = swap(**dates, end_of_month=True).fixed_leg().payments
    assert [d.isoformat() for d in map(dt.date.fromordinal, fixed)] == ["2020-08-31", "2021-02-26"]
    plain = [d.isoformat() for d in map(dt.date.fromordinal, swap(**dates).floating_leg().payments)]
    assert plain == ["2020-05-26", "2020-08-26", "2020-11-26", "2021-02-26"]
    # left out, it changes no contract that is there already
    assert "end_of_month" not in swap(**dates).to_json()


def test_a_swap_without_a_business_day_between_its_dates_is_a_failure_with_words():
    weekend = swap(start=dt.date(2020, 3, 14), maturity=dt.date(2020, 3, 15))
    with pytest.raises(NotValuable, match="no schedule from 2020-03-14 to 2020-03-15") as error:
        weekend.check(dt.date(2020, 1, 2))
    assert error.value.reason == "invalid_schedule"


# Swaps ---------------------------------------------------------------------------------------------------------------


def hulls_swap_market() -> tuple[dt.date, dict[str, float]]:
    """Cash flows in 3, 9 and 15 months at 10%, 10.5% and 11% continuous."""
    today = dt.date(2019, 6, 16)
    rates = {0.25: 0.10, 0.75: 0.105, 1.25: 0.11}
    dates = [dt.date(2019, 9, 16), dt.date(2020, 3, 16), dt.date(2020, 9, 16)]
    return today, zeros_of(today, {d: math.exp(-r * t) for d, (t, r) in zip(dates, rates.items(), strict=True)})


def test_hulls_swap():
    """Receive 8% fixed, pay 6-month floating last fixed at 10.2%, both semi-annual: -4.267 on 100."""
    today, levels = hulls_swap_market()
    terms = swap(
        pay_fixed=False, fixed_rate=0.08, start=dt.date(2018, 9, 16), maturity=dt.date(2020, 9, 16), fixed_frequency=2,
        float_frequency=2, fixed_day_count="Thirty360", float_day_count="Thirty360", calendar="none",
        business_day_convention="Unadjusted", fixings={"2019-03-16": 0.102},
    )  # fmt: skip
    received = float(value(terms, make_market(today, levels))[0])
    assert round(100 * received, 3) == -4.267
    paid = value(terms.model_copy(update={"pay_fixed": True}), make_market(today, levels))[0]
    assert paid == -received
    fixed_bond = bond(issue_date=dt.date(2018, 9, 16), maturity=dt.date(2020, 9, 16), coupon=0.08)
    assert round(float(value(fixed_bond, make_market(today, levels))[0]), 3) == 98.238


def quantlib_swap(terms, today: dt.date, zeros: dict[int, float]) -> float:
    ql.Settings.instance().evaluationDate = to_quantlib(today)
    handle = quantlib_curve(today, zeros)
    calendar = schedules.CALENDARS[terms.calendar]
    convention = schedules.BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]

    def schedule(frequency: int) -> ql.Schedule:
        return ql.Schedule(
            to_quantlib(terms.start), to_quantlib(terms.maturity), ql.Period(QUANTLIB_FREQUENCY[frequency]), calendar,
            convention, convention, ql.DateGeneration.Backward, bool(terms.end_of_month),
        )  # fmt: skip

    float_day_count = schedules.DAY_COUNTS[terms.float_day_count]
    index = ql.IborIndex(
        "oracle", ql.Period(QUANTLIB_FREQUENCY[terms.float_frequency]), 0, ql.USDCurrency(), calendar, convention, False,
        float_day_count, handle,
    )  # fmt: skip
    index.clearFixings()
    for day, rate in terms.fixings.items():
        index.addFixing(to_quantlib(day), rate, True)
    oracle = ql.VanillaSwap(
        ql.Swap.Payer if terms.pay_fixed else ql.Swap.Receiver, 1.0, schedule(terms.fixed_frequency), terms.fixed_rate,
        schedules.DAY_COUNTS[terms.fixed_day_count], schedule(terms.float_frequency), index, 0.0, float_day_count,
    )  # fmt: skip
    oracle.setPricingEngine(ql.DiscountingSwapEngine(handle))
    npv = float(oracle.NPV())
    index.clearFixings()
    return npv


def test_swaps_agree_with_quantlib_over_a_random_grid():
    """Running, spot and forward-starting swaps; the fixing of the running period is given on its first day."""
    rng = np.random.default_rng(44)
    running = 0
    for _ in range(150):
        start = TODAY + dt.timedelta(days=int(rng.integers(-3000, 800)))
        maturity = max(TODAY, start) + dt.timedelta(days=int(rng.integers(40, 9000)))
        terms = swap(
            pay_fixed=bool(rng.random() < 0.5),
            fixed_rate=float(rng.uniform(-0.01, 0.1)),
            start=start,
            maturity=maturity,
            fixed_frequency=int(rng.choice([1, 2, 4])),
            float_frequency=int(rng.choice([1, 2, 4])),
            fixed_day_count=str(rng.choice(list(schedules.DAY_COUNTS))),
            float_day_count=str(rng.choice(["Actual360", "Actual365Fixed", "Thirty360"])),
            calendar=str(rng.choice(["weekdays", "USNY", "EUTA", "JPTO", "GBLO"])),
            business_day_convention=str(rng.choice(["Following", "ModifiedFollowing", "Preceding"])),
        )
        if rng.random() < 0.4:
            month_end = maturity.replace(day=1) - dt.timedelta(days=1)
            terms = terms.model_copy(
                update={"end_of_month": True, "maturity": max(month_end, start + dt.timedelta(days=40))}
            )
        resets = terms.floating_leg().starts
        if resets[0] < TODAY.toordinal():
            running += 1
            reset = dt.date.fromordinal(int(resets[resets <= TODAY.toordinal()][-1]))
            terms = terms.model_copy(update={"fixings": {reset: float(rng.uniform(-0.01, 0.1))}})
        zeros = random_zeros(rng)
        got = value(terms, make_market(TODAY, pillars(zeros)))[0]
        assert got == pytest.approx(quantlib_swap(terms, TODAY, zeros), rel=1e-11, abs=1e-13)
    assert 50 < running < 140  # the grid holds both kinds


def test_a_swap_at_its_par_rate_is_worth_nothing():
    rng = np.random.default_rng(6)
    for start in (TODAY, TODAY + dt.timedelta(days=400)):
        zeros = random_zeros(rng)
        terms = swap(start=start, maturity=start.replace(year=start.year + 7))
        market = make_market(TODAY, pillars(zeros))
        at_zero = value(terms.model_copy(update={"fixed_rate": 0.0}), market)[0]
        annuity = at_zero - value(terms.model_copy(update={"fixed_rate": 1.0}), market)[0]
        par = at_zero / annuity
        assert quantlib_swap(terms.model_copy(update={"fixed_rate": par}), TODAY, zeros) == pytest.approx(0, abs=1e-14)
        assert value(terms.model_copy(update={"fixed_rate": par}), market)[0] == pytest.approx(0, abs=1e-15)


def test_a_missing_fixing_is_named_and_one_of_today_is_optional():
    running = swap(start=dt.date(2020, 1, 15), maturity=dt.date(2022, 1, 15), fixings={"2019-10-15": 0.019})
    with pytest.raises(NotValuable, match=r"period from 2020-01-15 needs .* given: 2019-10-15") as error:
        value(running, make_market(TODAY, {"YC:USD:1Y": 0.01}))
    assert error.value.reason == "missing_fixing"
    market = make_market(TODAY, {"YC:USD:1Y": 0.01})
    projected = value(swap(), market)[0]
    days = (dt.date(2020, 6, 16) - TODAY).days
    forward = (math.exp(0.01 * days / 365) - 1) / (days / 360)
    assert value(swap(fixings={"2020-03-16": forward}), market)[0] == pytest.approx(projected, abs=1e-15)
    higher = value(swap(fixings={"2020-03-16": forward + 0.01}), market)[0]
    assert higher - projected == pytest.approx(0.01 * days / 360 * math.exp(-0.01 * days / 365), rel=1e-12)


def test_a_matured_swap_says_so():
    with pytest.raises(NotValuable) as error:
        value(swap(start=dt.date(2015, 3, 16), maturity=TODAY), make_market(TODAY, {"YC:USD:1Y": 0.01}))
    assert error.value.reason == "matured"


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"fixed_rate": 3.5}, "fixed_rate", "0.03 is 3%"),
        ({"float_frequency": 3}, "float_frequency", "1, 2, 4 or 12"),
        ({"float_day_count": "Act360"}, "float_day_count", "nearest: Actual360"),
        ({"calendar": "NYC"}, "calendar", "USNY"),
        ({"maturity": "2300-03-16"}, "maturity", "1902 to 2198"),
        ({"fixings": "0.03"}, "fixings", '{"2026-03-02": 0.0431}'),
        ({"fixings": "{2020: 3"}, "fixings", '{"2026-03-02": 0.0431}'),
        ({"maturity": dt.date(2020, 3, 1)}, "", "start 2020-03-16 must lie before maturity 2020-03-01"),
    ],
)
def test_faulty_swap_terms_teach(changes, pointer, words):
    with pytest.raises(VarlakeError) as error:
        swap(**changes)
    (issue,) = error.value.issues
    assert issue.pointer == pointer
    assert words in issue.message


def test_terms_are_read_from_texts_as_from_typed_values():
    texts = {
        "currency": "USD", "pay_fixed": "true", "fixed_rate": "0.02", "start": "2020-03-16", "maturity": "2030-03-16",
        "fixed_frequency": "2", "float_frequency": "4", "fixed_day_count": "Thirty360", "float_day_count": "Actual360",
        "discount_curve": "USD", "fixings": '{"2020-03-16": 0.01}', "strike": "", "underlying": None,
    }  # fmt: skip
    assert parse_terms("interest_rate_swap", texts) == swap(fixings={dt.date(2020, 3, 16): 0.01})


# First day of the lunar new year (Hong Kong Observatory); its first three days and the Monday after are holidays
LUNAR_NEW_YEAR = (
    "2003-02-01 2004-01-22 2005-02-09 2006-01-29 2007-02-18 2008-02-07 2009-01-26 2010-02-14 2011-02-03 2012-01-23 2013-02-10 "
    "2014-01-31 2015-02-19 2016-02-08 2017-01-28 2018-02-16 2019-02-05 2020-01-25 2021-02-12 2022-02-01 2023-01-22 2024-02-10 "
    "2025-01-29 2026-02-17 2027-02-06 2028-01-26 2029-02-13 2030-02-03"
)


@pytest.mark.parametrize("calendar", ["HKHK", "SGSI"])
def test_the_years_whose_lunar_holidays_a_calendar_knows(calendar):
    """Fails after an upgrade of QuantLib that lists more, and then `LISTED_YEARS` is brought up to it."""
    for first in map(dt.date.fromisoformat, LUNAR_NEW_YEAR.split()):
        days = [first + dt.timedelta(days=n) for n in range(4)]
        closed = any(schedules.payment_date(d, calendar, "Following") != d for d in days if d.weekday() < 5)
        listed = any(a <= first.year <= b for a, b in LISTED_YEARS[calendar])
        assert closed == listed, first.year
        assert bool(schedules.unlisted_note(calendar, first, first)) != listed


def test_matariki_is_known_to_2052():
    """A holiday of New Zealand since 2022, in June or July, by law for thirty years (Te Kahui o Matariki Public Holiday Act 2022)."""
    for year in range(2020, 2056):
        friday = [dt.date(year, 6, 18) + dt.timedelta(days=n) for n in range(35)]
        closed = [d for d in friday if d.weekday() == 4 and schedules.payment_date(d, "NZAU", "Following") != d]
        assert len(closed) == (2022 <= year <= 2052), year
        assert bool(schedules.unlisted_note("NZAU", dt.date(year, 1, 1), dt.date(year, 12, 31))) == (year > 2052)


def test_a_contract_says_where_its_calendar_ends():
    told = "HKHK lists its moving holidays of 2004-2026"
    ends = {"2026-09-16": 0, "2027-09-16": 1}
    for maturity, expected in ends.items():
        for terms in (
            bond(maturity=maturity, calendar="HKHK"),
            swap(maturity=dt.date.fromisoformat(maturity), calendar="HKHK"),
        ):
            notes = terms.notes(TODAY)
            assert len(notes) == expected
            assert all(told in note for note in notes)
    assert bond(maturity="2060-09-16", calendar="EUTA").notes(TODAY) == ()
    # what lies before the day is no matter: Singapore's lists have a gap from 2015 to 2018
    singapore = bond(issue_date="2010-09-16", maturity="2025-09-16", calendar="SGSI")
    assert (len(singapore.notes(dt.date(2018, 12, 31))), singapore.notes(dt.date(2019, 1, 1))) == (1, ())
