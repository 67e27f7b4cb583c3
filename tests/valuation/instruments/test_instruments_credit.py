"""Credit default swaps, index swaps and risky bonds: published values, identities, days on which something happens."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813 - as everywhere

from lake.errors import BadInput
from scenarios.types import FactorIndex, RiskFactor, ScenarioSet
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.market.rolled_market import Carry, RolledBase
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract

TODAY = dt.date(2020, 3, 16)

# Of the curve that the ISDA standard model makes of the rates of 2009-05-21, log-linear between these days: by QuantLib's
# bootstrap of the same deposits and swaps.
ISDA_DISCOUNT = {
    "35D": 0.9997005429079852,
    "67D": 0.9989998637995903,
    "96D": 0.9981386346604275,
    "188D": 0.9936615632893555,
    "280D": 0.989346782988777,
    "369D": 0.984505965231278,
    "734D": 0.9765376411530569,
    "1100D": 0.9502809364324118,
}


def market(
    day: dt.date, curves: dict[str, dict[str, float]], spread: dict[str, float] | None = None, **recovery: float
) -> ScenarioMarket:
    """The base alone: curves of zero rates, of hazard rates where their name begins with HZ, and ACME of spreads."""
    levels = {}
    for name, pillars in curves.items():
        kind = "hazard_rate" if name.startswith("HZ") else "zero_rate"
        levels |= {RiskFactor(f"{name}:{p}", kind, p, "USD", name, p): v for p, v in pillars.items()}
    said = (("discount_curve", "USD"), ("recovery", "REC:ACME"))
    for pillar, level in (spread or {}).items():
        levels[RiskFactor(f"CDS:ACME:{pillar}", "cds_spread", pillar, "USD", "ACME", pillar, said)] = level
    for name, level in recovery.items():
        levels[RiskFactor(f"REC:{name}", "recovery_rate", name, "USD")] = level
    index = FactorIndex.of(levels)
    base = np.array([levels[f] for f in index.factors])
    return ScenarioMarket(day, index, base, base[:, None])


USD = {"USD": {"365D": 0.01, "1825D": 0.015, "3650D": 0.02}}
CREDIT = USD | {"HZ:ACME": {"365D": 0.02, "1825D": 0.03, "3650D": 0.035}}
NEVER = USD | {"HZ:ACME": {"365D": 0.0, "3650D": 0.0}}
SWAP: dict[str, Any] = {
    "currency": "USD",
    "buy_protection": True,
    "coupon": 0.01,
    "start": "2019-12-21",
    "maturity": "2024-12-20",
    "credit_curve": "HZ:ACME",
    "recovery_rate": 0.4,
    "discount_curve": "USD",
}
BOND: dict[str, Any] = {
    "currency": "USD",
    "issue_date": "2018-02-16",
    "maturity": "2025-08-16",
    "coupon": 0.06,
    "frequency": 2,
    "day_count": "Thirty360",
    "credit_curve": "HZ:ACME",
    "recovery_rate": 0.4,
    "discount_curve": "USD",
}


def value(instrument_type: str, given: dict[str, Any], seen: ScenarioMarket) -> float:
    terms = parse_terms(instrument_type, given)
    block = value_batch([Contract(terms.contract_id(), instrument_type, terms.to_json())], seen)
    assert block.failures == ()
    return float(block.base[0])


def reason(instrument_type: str, given: dict[str, Any], seen: ScenarioMarket) -> str:
    terms = parse_terms(instrument_type, given)
    (failure,) = value_batch([Contract(terms.contract_id(), instrument_type, terms.to_json())], seen).failures
    return failure.reason


@pytest.mark.parametrize(
    ("maturity", "spread", "recovery", "upfront"),
    [
        ("2010-06-20", 0.001, 0.2, -97798.29358),
        ("2010-06-20", 0.001, 0.4, -97776.11889),
        ("2010-06-20", 0.1, 0.2, 914971.5977),
        ("2010-06-20", 0.1, 0.4, 894985.6298),
        ("2011-06-20", 0.001, 0.2, -186921.3594),
        ("2011-06-20", 0.001, 0.4, -186839.8148),
        ("2011-06-20", 0.1, 0.2, 1646623.672),
        ("2011-06-20", 0.1, 0.4, 1579803.626),
    ],
)
def test_the_cash_upfront_is_that_of_the_isda_standard_model(maturity, spread, recovery, upfront):
    """Markit's figures of 21 May 2009: 100 basis points on ten million, converted from the quoted spread."""
    day = dt.date(2009, 5, 21)
    zeros = {p: -math.log(f) / int(p[:-1]) * 365 for p, f in ISDA_DISCOUNT.items()}
    tenor = {"2010-06-20": "1Y", "2011-06-20": "2Y"}[maturity]
    seen = market(day, {"USD": zeros}, {tenor: spread}, ACME=recovery)
    terms = SWAP | {"start": "2009-05-22", "maturity": maturity, "credit_curve": "ACME", "recovery_rate": recovery}
    settled = seen.discount("USD", np.array([5 / 365]))[0, 0]  # three business days later, a Tuesday
    accrued = 63 / 360 * 0.01
    # to every digit printed but for the half of the last
    assert 1e7 * (value("credit_default_swap", terms, seen) / settled + accrued) == pytest.approx(upfront, rel=1.5e-9)


def test_a_swap_at_its_par_spread_is_worth_nothing():
    day = dt.date(2020, 3, 19)  # protection begins on the day of a coupon: nothing has accrued
    spread = {"1Y": 0.01, "3Y": 0.02, "5Y": 0.03}
    seen = market(day, USD, spread, ACME=0.35)
    for level, maturity in zip(spread.values(), ("2020-12-20", "2022-12-20", "2024-12-20"), strict=True):
        par = {"coupon": level, "start": "2020-03-20", "maturity": maturity, "credit_curve": "ACME"}
        terms = {k: v for k, v in SWAP.items() if k != "recovery_rate"} | par | {"recovery": "REC:ACME"}
        assert abs(value("credit_default_swap", terms, seen)) < 1e-15


def test_the_seller_has_what_the_buyer_has_not():
    seen = market(TODAY, CREDIT)
    buyer = value("credit_default_swap", SWAP, seen)
    assert value("credit_default_swap", SWAP | {"buy_protection": False}, seen) == -buyer != 0


def test_of_a_name_that_never_defaults_the_coupons_are_certain():
    seen = market(TODAY, NEVER)
    terms = parse_terms("credit_default_swap", SWAP)
    p = terms.premium()  # type: ignore[attr-defined]
    due = p.payments > TODAY.toordinal()
    discount = seen.discount("USD", (p.payments[due] - TODAY.toordinal()) / 365)[:, 0]
    expected = -0.01 * (p.days[due] / 360 * discount).sum()
    assert value("credit_default_swap", SWAP, seen) == pytest.approx(expected, rel=1e-14)
    bond = {k: v for k, v in BOND.items() if k not in ("credit_curve", "recovery_rate")}
    assert value("risky_bond", BOND, seen) == pytest.approx(value("government_bond", bond, seen), rel=1e-15)


def test_where_all_is_recovered_protection_is_worth_nothing():
    seen = market(TODAY, CREDIT)
    half, whole = (value("credit_default_swap", SWAP | {"recovery_rate": r}, seen) for r in (0.5, 1.0))
    nothing = value("credit_default_swap", SWAP | {"coupon": 0.0, "recovery_rate": 0.5}, seen)
    assert value("credit_default_swap", SWAP | {"coupon": 0.0, "recovery_rate": 1.0}, seen) == 0
    assert half - nothing == pytest.approx(whole, rel=1e-13)


def test_upfront_is_part_of_the_value_until_it_is_paid():
    seen = market(TODAY, CREDIT)
    plain = value("credit_default_swap", SWAP, seen)
    due = SWAP | {"upfront": 0.03, "upfront_date": "2020-03-19"}
    factor = seen.discount("USD", np.array([3 / 365]))[0, 0]
    assert value("credit_default_swap", due, seen) == pytest.approx(plain - 0.03 * factor, rel=1e-14)
    made = SWAP | {"upfront": 0.03, "upfront_date": "2020-03-16"}
    assert value("credit_default_swap", made, seen) == plain


def test_protection_that_begins_later_is_two_swaps_apart():
    """Protection from a coupon day on is that to the later maturity less that to the day before."""
    seen = market(TODAY, CREDIT)
    no_coupon = SWAP | {"coupon": 0.0}
    later = value("credit_default_swap", no_coupon | {"start": "2021-12-21"}, seen)
    until = value("credit_default_swap", no_coupon | {"maturity": "2021-12-20"}, seen)
    assert later + until == pytest.approx(value("credit_default_swap", no_coupon, seen), rel=1e-14)


DEFAULTED = {"default_date": "2020-02-10", "settlement_date": "2020-03-25"}


def test_a_name_that_has_defaulted_is_settled_less_what_had_accrued():
    seen = market(TODAY, USD)  # no credit curve is needed any more
    factor = seen.discount("USD", np.array([9 / 365]))[0, 0]
    accrued = ((dt.date(2020, 2, 10) - dt.date(2019, 12, 20)).days + 1) / 360 * 0.01
    assert value("credit_default_swap", SWAP | DEFAULTED, seen) == pytest.approx((0.6 - accrued) * factor, rel=1e-14)
    assert value("risky_bond", BOND | DEFAULTED, seen) == pytest.approx(40 * factor, rel=1e-14)
    settled = market(dt.date(2020, 3, 25), USD)
    assert reason("credit_default_swap", SWAP | DEFAULTED, settled) == "matured"
    assert reason("risky_bond", BOND | DEFAULTED, settled) == "matured"


def test_of_an_index_the_names_that_live_are_a_swap_and_the_others_are_settled():
    seen = market(TODAY, CREDIT)
    alive = value("credit_default_swap", SWAP, seen)
    assert value("credit_index", SWAP, seen) == alive
    name = DEFAULTED | {"weight": 0.008, "recovery_rate": 0.25}
    gone = {**name, "weight": 0.016, "settlement_date": "2020-03-10"}
    index = SWAP | {"defaults": json.dumps({"NADIR": name, "ZENITH": gone})}
    pending = value("credit_default_swap", SWAP | DEFAULTED | {"recovery_rate": 0.25}, seen)
    assert value("credit_index", index, seen) == pytest.approx(0.976 * alive + 0.008 * pending, rel=1e-13)
    all_gone = SWAP | {"defaults": {"NADIR": name | {"weight": 1}}}
    assert value("credit_index", all_gone, market(TODAY, USD)) == pytest.approx(pending, rel=1e-14)


def still(seen: ScenarioMarket) -> ScenarioSet:
    base = seen.states[:, 0]
    return ScenarioSet(
        "", "s", "historical", seen.valuation_date, {}, seen.index, ("a",), base, base[:, None], base > 9
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [("2020-03-20", -0.01 * 91 / 360, "coupon"), ("2020-06-22", -0.01 * 94 / 360, "coupon")]),
        (
            {"buy_protection": False, "upfront": -0.02, "upfront_date": "2020-03-19", "maturity": "2020-06-20"},
            [
                ("2020-03-19", -0.02, "upfront"),
                ("2020-03-20", 0.01 * 91 / 360, "coupon"),
                ("2020-06-22", 0.01 * 93 / 360, "coupon"),  # paid on a Monday; accrued through Saturday the 20th
            ],
        ),
        (
            {"default_date": "2020-05-20", "settlement_date": "2020-07-01"},
            [("2020-03-20", -0.01 * 91 / 360, "coupon"), ("2020-07-01", 0.6 - 0.01 * 62 / 360, "settlement")],
        ),
    ],
)
def test_what_a_swap_pays(given, expected):
    terms = parse_terms("credit_default_swap", SWAP | given)
    markets = RolledBase(still(market(TODAY, CREDIT)), "forwards", Carry())
    flows = INSTRUMENTS["credit_default_swap"].cash_flows(terms, markets, dt.date(2020, 7, 2))
    assert [(str(f.day), pytest.approx(f.amount, rel=1e-14), f.kind) for f in sorted(flows, key=lambda f: f.day)] == [
        *expected
    ]


def test_on_its_last_days_a_swap_still_owes_its_last_coupon():
    """It ends on Saturday 20 June 2020, and pays on Monday."""
    terms = SWAP | {"maturity": "2020-06-20"}
    for day in (dt.date(2020, 6, 19), dt.date(2020, 6, 20), dt.date(2020, 6, 21)):
        seen = market(day, CREDIT)
        assert value("credit_default_swap", terms, seen) == pytest.approx(-0.01 * 93 / 360, abs=2e-4)
    assert reason("credit_default_swap", terms, market(dt.date(2020, 6, 22), CREDIT)) == "matured"


def test_quantlibs_engine_of_risky_bonds_takes_default_in_the_middle_of_a_period():
    seen = market(TODAY, CREDIT)
    before = ql.Settings.instance().evaluationDate
    today = ql.Date(16, 3, 2020)
    ql.Settings.instance().evaluationDate = today
    try:
        days = [0, 365, 1825, 3650]
        discount = ql.DiscountCurve(
            [today + d for d in days],
            seen.discount("USD", np.array(days) / 365)[:, 0].tolist(),
            ql.Actual365Fixed(),
        )
        totals = -np.log(seen.survival("HZ:ACME", np.array(days) / 365)[:, 0])
        rates = (np.diff(totals) / np.diff(days) * 365).tolist()
        survival = ql.HazardRateCurve([today + d for d in days], [rates[0], *rates], ql.Actual365Fixed())
        schedule = ql.Schedule(
            ql.Date(16, 2, 2018),
            ql.Date(16, 8, 2025),
            ql.Period("6M"),
            ql.NullCalendar(),
            ql.Unadjusted,
            ql.Unadjusted,
            ql.DateGeneration.Backward,
            False,
        )
        bond = ql.FixedRateBond(
            0,
            100.0,
            schedule,
            [0.06],
            ql.Thirty360(ql.Thirty360.BondBasis),
            ql.Following,
            100.0,
            ql.Date(),
            ql.WeekendsOnly(),
        )
        bond.setPricingEngine(
            ql.RiskyBondEngine(
                ql.DefaultProbabilityTermStructureHandle(survival), 0.4, ql.YieldTermStructureHandle(discount)
            )
        )
        theirs = bond.NPV()
    finally:
        ql.Settings.instance().evaluationDate = before
    assert value("risky_bond", BOND, seen) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(
    ("instrument_type", "given", "words"),
    [
        (
            "credit_default_swap",
            {"recovery": "REC:ACME"},
            "give recovery_rate, a number, or recovery, .*; both are given",
        ),
        ("credit_default_swap", {"recovery_rate": None}, "neither is given"),
        ("credit_default_swap", {"recovery_rate": 40}, "recovery_rate = 40: .*a fraction of face"),
        ("credit_default_swap", {"coupon": 100}, "coupon = 100: .*fraction a year"),
        ("credit_default_swap", {"maturity": "2024-12-31"}, "2024-12-31 is not a 20th of March, June, September"),
        ("credit_default_swap", {"start": "2025-01-01"}, "start 2025-01-01 must lie before maturity"),
        ("credit_default_swap", {"upfront": 0.02}, "upfront and upfront_date are given together"),
        ("credit_default_swap", {"default_date": "2020-03-01"}, "default_date and settlement_date are given together"),
        (
            "credit_default_swap",
            DEFAULTED | {"recovery_rate": None, "recovery": "REC:ACME"},
            "a default is settled at a number; give recovery_rate in place of recovery",
        ),
        ("credit_default_swap", DEFAULTED | {"default_date": "2019-01-02"}, "is not between start 2019-12-21"),
        ("risky_bond", DEFAULTED | {"default_date": "2017-01-02"}, "is not between issue_date 2018-02-16"),
        ("risky_bond", DEFAULTED | {"settlement_date": "2020-01-02"}, "2020-01-02 lies before default_date 2020-02-10"),
        (
            "credit_index",
            {"defaults": "NADIR"},
            "defaults = NADIR: .*with their part of the original notional, as JSON",
        ),
        (
            "credit_index",
            {"defaults": {n: DEFAULTED | {"weight": 0.6, "recovery_rate": 0.4} for n in "AB"}},
            "the weights of the defaults exceed 1",
        ),
        (
            "credit_index",
            {"defaults": {"A": DEFAULTED | {"recovery_rate": 40}}},
            "A, weight: is missing; A, recovery_rate = 40: expected a number less than or equal to 1 .names",
        ),
    ],
)
def test_terms_that_are_wrong_are_refused_in_words(instrument_type, given, words):
    with pytest.raises(BadInput, match=words):
        parse_terms(instrument_type, (BOND if instrument_type == "risky_bond" else SWAP) | given)


def test_a_discount_curve_is_no_credit_curve():
    assert reason("credit_default_swap", SWAP | {"credit_curve": "USD"}, market(TODAY, CREDIT)) == "missing_risk_factor"
    assert reason("risky_bond", BOND | {"credit_curve": "OTHER"}, market(TODAY, CREDIT)) == "missing_risk_factor"
