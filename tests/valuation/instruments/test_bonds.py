"""Bonds of any issuer against printed values, hand computations and identities between them."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pytest
from make_market import factor, make_market, value

from lake.errors import BadInput
from scenarios.types import FactorIndex, MissingRiskFactor, RiskFactor
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.instruments.rates.coupons import ScheduleTerms
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import InstrumentTerms, NotValuable

TODAY = dt.date(2020, 3, 16)
CREDIT = RiskFactor("CS:A", "credit_spread", "CS:A", "USD")


def bond(instrument_type: str = "fixed_bond", **changes: Any) -> InstrumentTerms:
    terms = {
        "currency": "USD",
        "issue_date": "2019-03-16",
        "maturity": "2022-03-16",
        "coupon": 0.06,
        "frequency": 2,
        "calendar": "none",
        "business_day_convention": "Unadjusted",
        "discount_curve": "USD",
    } | changes
    fields = INSTRUMENTS[instrument_type].Terms.model_fields
    return parse_terms(instrument_type, {k: v for k, v in terms.items() if k in fields})


def floater(**changes: Any) -> InstrumentTerms:
    terms = {"issue_date": "2020-03-16", "frequency": 4, "day_count": "Actual360"} | changes
    return bond("floating_bond", **terms)


def zeros_of(today: dt.date, discount: dict[dt.date, float]) -> dict[str, float]:
    """Pillars that give exactly these discount factors on these dates."""
    return {f"YC:USD:{(d - today).days}D": -math.log(v) * 365 / (d - today).days for d, v in discount.items()}


def with_spread(levels: dict[str, float], spread: float, today: dt.date = TODAY) -> ScenarioMarket:
    index = FactorIndex.of([*map(factor, levels), CREDIT])
    base = np.array([(levels | {"CS:A": spread})[f.risk_factor_id] for f in index.factors])
    return ScenarioMarket(today, index, base, base[:, None])


def half_years(n: int) -> list[dt.date]:
    return [dt.date(2020 + (3 + 6 * k) // 12, (3 + 6 * k - 1) % 12 + 1, 16) for k in range(1, n + 1)]


# Printed values ------------------------------------------------------------------------------------------------------


def test_hulls_two_year_bond_on_zero_rates_and_at_its_yield():
    """Hull: zero rates of 5, 5.8, 6.4 and 6.8% give 98.39, a yield of 6.76%; the par yield is 6.87%."""
    dates = half_years(4)
    curve = {
        d: math.exp(-r * (k + 1) / 2) for k, (d, r) in enumerate(zip(dates, (0.05, 0.058, 0.064, 0.068), strict=True))
    }
    at_zeros = make_market(TODAY, zeros_of(TODAY, curve))
    assert round(float(value(bond(), at_zeros)[0]), 2) == 98.39
    at_yield = make_market(TODAY, zeros_of(TODAY, {d: math.exp(-0.0676 * (k + 1) / 2) for k, d in enumerate(dates)}))
    assert float(value(bond(), at_yield)[0]) == pytest.approx(98.39, abs=0.01)
    assert float(value(bond(coupon=0.0687), at_zeros)[0]) == pytest.approx(100, abs=0.01)


def test_hulls_three_year_bond_its_duration_and_ten_basis_points_of_spread():
    """Hull: 10% semi-annual at a yield of 12% is worth 94.213, duration 2.653, convexity 7.570; 10 basis points more, 93.963."""
    dates = half_years(6)
    levels = zeros_of(TODAY, {d: math.exp(-0.12 * (k + 1) / 2) for k, d in enumerate(dates)})
    terms = bond(coupon=0.10, maturity="2023-03-16", credit_spread="CS:A")
    assert round(float(value(terms, with_spread(levels, 0.0))[0]), 3) == 94.213
    # a spread in years of 365 days is not quite one on half-years
    assert float(value(terms, with_spread(levels, 0.001))[0]) == pytest.approx(93.963, abs=1e-3)
    up, down = (float(value(terms, with_spread(levels, s))[0]) for s in (1e-6, -1e-6))
    assert -(up - down) / 2e-6 / 94.213 == pytest.approx(2.653, abs=2e-3)
    far, near = (float(value(terms, with_spread(levels, s))[0]) for s in (0.01, -0.01))
    assert (far + near - 2 * 94.213) / 0.01**2 / 94.213 == pytest.approx(7.570, abs=0.015)


@pytest.mark.parametrize(
    ("maturity", "printed"), [("2008-11-30", 88.551726), ("2007-11-30", 91.278949), ("2006-11-30", 94.098006)]
)
def test_quantlibs_cached_zero_bonds(maturity, printed):
    """bonds.cpp, on 22-Nov-2004 as of the issue on 30-Nov-2004, on 3% continuous Act/360."""
    today = dt.date(2004, 11, 22)
    terms = bond("zero_bond", maturity=maturity, calendar="USGS", business_day_convention="ModifiedFollowing")
    price = float(value(terms, make_market(today, {"YC:USD:30Y": 0.03 * 365 / 360}))[0])
    assert price / math.exp(-0.03 * 8 / 360) == pytest.approx(printed, abs=5e-7)


def test_quantlibs_cached_bonds_on_a_flat_curve():
    """bonds.cpp, clean on 3% continuous Act/360: 98.943393 and 101.986794."""
    today, settlement = dt.date(2004, 11, 22), dt.date(2004, 11, 23)
    market = make_market(today, {"YC:USD:30Y": 0.03 * 365 / 360})
    for issue, maturity, coupon, gone, clean in (
        ("2004-10-31", "2006-10-31", 0.025, 23 / 181, 98.943393),
        ("2004-11-15", "2009-11-15", 0.035, 8 / 181, 101.986794),
    ):
        terms = bond(issue_date=issue, maturity=maturity, coupon=coupon, business_day_convention="ModifiedFollowing")
        forward = float(value(terms, market)[0]) / math.exp(-0.03 * (settlement - today).days / 360)
        assert forward - 100 * coupon / 2 * gone == pytest.approx(clean, abs=5e-7)


# Identities ----------------------------------------------------------------------------------------------------------

CURVE = {"YC:USD:6M": 0.01, "YC:USD:2Y": 0.02, "YC:USD:10Y": 0.03}


def test_without_a_spread_it_is_a_government_bond_bit_for_bit():
    market = make_market(TODAY, {k: [v, v + 0.01] for k, v in CURVE.items()})
    terms = {"maturity": "2029-11-30", "end_of_month": True, "calendar": "USGS"}
    assert value(bond(**terms), market).tobytes() == value(bond("government_bond", **terms), market).tobytes()


@pytest.mark.parametrize("spread", [0.0, 0.02, -0.005])
def test_a_sum_of_zero_bonds_is_a_coupon_bond(spread):
    market = with_spread(CURVE, spread)
    terms = bond(credit_spread="CS:A")
    pieces = [(d, 3.0) for d in half_years(4)] + [(dt.date(2022, 3, 16), 100.0)]
    strips = sum(
        amount / 100 * float(value(bond("zero_bond", maturity=d, credit_spread="CS:A"), market)[0])
        for d, amount in pieces
    )
    assert float(value(terms, market)[0]) == pytest.approx(strips, rel=1e-14)


def test_steps_and_redemptions_by_hand():
    """At zero rates a bond is worth what it still pays: half-yearly coupons of 100, 100, 75 and 75 at 6%, then at 2 and 4%."""
    market = make_market(TODAY, {"YC:USD:1Y": 0.0})
    redeemed = bond("amortising_bond", redemptions={"2021-03-16": 25}, issue_date="2020-03-16")
    assert value(redeemed, market)[0] == pytest.approx(100 + 3 + 3 + 2.25 + 2.25)
    linear = bond("amortising_bond", amortisation="linear", issue_date="2020-03-16")
    assert value(linear, market)[0] == pytest.approx(100 + 0.03 * (100 + 75 + 50 + 25))
    stepped = bond("step_bond", steps={"2021-03-16": 0.02, "2021-09-16": 0.04})
    assert value(stepped, market)[0] == pytest.approx(100 + 3 + 3 + 1 + 2)


def test_an_annuity_pays_the_same_sum_on_every_day():
    """Of 100 at 6% over 4 half-years: 100 x 0.03 / (1 - 1.03^-4) = 26.9027 each, as any table of annuities has it."""
    terms: Any = bond("amortising_bond", amortisation="annuity", issue_date="2020-03-16")
    days, coupons, redemptions = terms.flows()
    assert len(days) == 4
    np.testing.assert_allclose(coupons + redemptions, 26.9027045, atol=5e-8)
    assert redemptions.sum() == pytest.approx(100, rel=1e-14)
    free: Any = bond("amortising_bond", amortisation="annuity", issue_date="2020-03-16", coupon=0.0)
    np.testing.assert_array_equal(free.flows().redemptions, 25.0)


def test_a_floater_on_one_curve_is_worth_par_on_its_reset_day():
    market = make_market(TODAY, {k: [v, v - 0.02] for k, v in CURVE.items()})
    np.testing.assert_allclose(value(floater(), market), 100.0, rtol=1e-14)
    fixed = float(value(floater(fixings={"2020-03-16": 0.05}), market)[0])
    gained = math.exp(-0.01 * 92 / 365) * (5.0 * 92 / 360 - 100 * (math.exp(0.01 * 92 / 365) - 1))
    assert fixed == pytest.approx(100 + gained, rel=1e-13)


def test_a_quoted_margin_is_worth_its_annuity_and_a_spread_of_the_issuer_lowers_the_price():
    market = with_spread(CURVE, 0.01)
    plain, margin = (float(value(floater(spread=s), market)[0]) for s in (None, 0.004))
    days = [dt.date.fromordinal(int(d)) for d in floater().coupons().payments]  # type: ignore[attr-defined]
    zeros = [float(value(bond("zero_bond", maturity=d), market)[0]) for d in days]
    accruals = [(b - a).days / 360 for a, b in zip([TODAY, *days], days, strict=False)]
    assert margin - plain == pytest.approx(0.004 * sum(a * z for a, z in zip(accruals, zeros, strict=True)), rel=1e-11)
    assert value(floater(credit_spread="CS:A"), market)[0] < plain


# Days on which something happens ----------------------------------------------------------------------------------------


def test_a_coupon_paid_today_belongs_to_yesterday():
    market = make_market(TODAY, {"YC:USD:1Y": 0.0})
    assert value(bond(maturity="2020-09-16", coupon=0.04), market)[0] == pytest.approx(102)
    day_before = make_market(TODAY - dt.timedelta(days=1), {"YC:USD:1Y": 0.0})
    assert value(bond(maturity="2020-09-16", coupon=0.04), day_before)[0] == pytest.approx(104)


def test_a_bond_loses_its_coupon_on_the_ex_coupon_day_and_only_the_coupon():
    """Five weekdays before Monday 16 March 2020 is Monday 9 March."""
    for maturity, with_, without in (("2021-03-16", 106, 103), ("2020-03-16", 103, 100)):
        terms = bond(maturity=maturity, issue_date="2018-03-16", ex_coupon_days=5, calendar="weekdays")
        before, after = (make_market(dt.date(2020, 3, day), {"YC:USD:1Y": 0.0}) for day in (8, 9))
        extra = 3 if maturity == "2021-03-16" else 0
        assert value(terms, before)[0] == pytest.approx(with_ + extra)
        assert value(terms, after)[0] == pytest.approx(without + extra)


# Refusals ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instrument_type", "changes", "words"),
    [
        ("fixed_bond", {"issue_date": "2023-01-01"}, "issue_date 2023-01-01 must lie before maturity 2022-03-16"),
        ("fixed_bond", {"ex_coupon_days": 99}, "business days before its payment"),
        ("amortising_bond", {}, "give either redemptions by date or an amortisation, linear or annuity"),
        ("amortising_bond", {"redemptions": {"2021-03-16": 100}}, "redemptions before maturity add up to 100 of 100"),
        ("amortising_bond", {"redemptions": "[3"}, "what is redeemed before maturity, of 100, by coupon date"),
        ("step_bond", {"steps": {}}, "later coupons by first day of the period they begin with"),
        ("step_bond", {"steps": {"2021-03-16": 4.5}}, "later coupons by first day"),
    ],
)
def test_terms_that_are_not_valid_are_refused_with_what_is_expected(instrument_type, changes, words):
    with pytest.raises(BadInput, match=words.replace("(", r"\(")):
        bond(instrument_type, **changes)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (lambda: bond("step_bond", steps={"2021-04-01": 0.02}), "The step of 2021-04-01 is no coupon date; the nearest is 2021-03-16"),
        (
            lambda: bond("amortising_bond", redemptions={"2021-09-17": 5}),
            "The redemption of 2021-09-17 is no coupon date; the nearest is 2021-09-16",
        ),
        (
            lambda: bond("amortising_bond", redemptions={"2022-03-16": 5}),
            "The redemption of 2022-03-16 is no coupon date; the nearest is 2021-09-16",
        ),
    ],
)  # fmt: skip
def test_a_day_that_is_no_coupon_date_is_refused_with_the_nearest(terms, words):
    with pytest.raises(NotValuable, match=words) as error:
        terms().check(TODAY)
    assert error.value.reason == "invalid_schedule"


def test_a_floater_needs_the_fixing_of_its_running_period():
    dates = {"issue_date": "2020-02-16", "maturity": "2022-02-16"}
    running = floater(**dates)
    with pytest.raises(
        NotValuable, match="The period from 2020-02-16 needs its floating rate in fixings; given: none"
    ) as error:
        running.check(TODAY)
    assert error.value.reason == "missing_fixing"
    assert value(floater(**dates, fixings={"2020-02-16": 0.02}), make_market(TODAY, CURVE))[0] > 0


def test_a_spread_must_be_a_spread():
    with pytest.raises(MissingRiskFactor, match=r"YC:USD:2Y is of type zero_rate in USD. .*CS:A"):
        value(bond(credit_spread="YC:USD:2Y"), with_spread(CURVE, 0.0))


def test_a_floater_reads_its_projection_curve_from_its_first_open_period_on():
    """Of the projection curve just the pillars around what is left to be projected, and none once the last coupon is known."""
    levels = CURVE | {"YC:USDL:1M": 0.01, "YC:USDL:1Y": 0.01, "YC:USDL:2Y": 0.01, "YC:USDL:5Y": 0.01}
    index = make_market(TODAY, levels).index
    module = INSTRUMENTS["floating_bond"]

    def read(**changes: Any) -> set[str]:
        terms = floater(projection_curve="USDL", **changes)
        return {f for f in module.risk_factors(terms, index, TODAY) if "USDL" in f}

    assert read(maturity="2021-09-16") == {f"YC:USDL:{p}" for p in ("1M", "1Y", "2Y")}
    assert read(issue_date="2021-06-16", maturity="2021-09-16") == {"YC:USDL:1Y", "YC:USDL:2Y"}
    assert read(issue_date="2020-02-16", maturity="2020-05-16", fixings={"2020-02-16": 0.01}) == set()
    assert issubclass(module.Terms, ScheduleTerms)
