"""What the oracles of bonds share: random terms, and QuantLib's schedules and engines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from scenarios.types import RiskFactor
from service.bench.oracles.market import DAY_COUNT, Quotes, ql_date, random_date
from valuation.instruments.rates.coupons import BondTerms, ScheduleTerms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS

TOLERANCE = 1e-12  # the same sum of the same cash flows, in another order of operations
BAR = 20

CREDIT = RiskFactor("CS:A", "credit_spread", "CS:A", "USD")
FACTORS = ((CREDIT, 0.015),)

FREQUENCIES = {1: ql.Annual, 2: ql.Semiannual, 4: ql.Quarterly}


def SIZE(terms: Any) -> float:  # noqa: N802 - see the package
    return 100.0


def random_schedule(rng: np.random.Generator) -> dict[str, Any]:
    """Terms of `ScheduleTerms`: bonds issued up to eleven years ago that mature within 1 to 40 years."""
    return {
        "currency": "USD",
        "issue_date": random_date(rng, -4000, 0),
        "maturity": random_date(rng, 20, int(rng.choice([700, 3650, 14600]))),
        "frequency": int(rng.choice([1, 2, 4])),
        "day_count": str(rng.choice(list(DAY_COUNTS))),
        "calendar": str(rng.choice(list(CALENDARS))),
        "business_day_convention": str(rng.choice(["Following", "ModifiedFollowing", "Preceding", "Unadjusted"])),
        "end_of_month": bool(rng.random() < 0.3),
        "discount_curve": str(rng.choice(["USD", "USD_MID"])),
    }


def random_issue(rng: np.random.Generator) -> dict[str, Any]:
    """Terms of a bond that is to be delivered: half of them with a credit spread."""
    return random_schedule(rng) | ({"credit_spread": "CS:A"} if rng.random() < 0.5 else {})


def random_bond(rng: np.random.Generator) -> dict[str, Any]:
    """Terms of `BondTerms`: half of them with a credit spread, some with ex-coupon days."""
    terms = random_issue(rng)
    if rng.random() < 0.3:
        terms["ex_coupon_days"] = int(rng.integers(1, 11))
    return terms


def bond_schedule(terms: ScheduleTerms) -> ql.Schedule:
    """Unadjusted periods of a bond, whose calendar is that of the payments."""
    dates = unadjusted(terms.issue_date, terms.maturity, terms.frequency, terms.end_of_month)
    regular = [dates.isRegular(k) for k in range(1, len(dates))]
    return ql.Schedule(
        list(dates), CALENDARS[terms.calendar], ql.Unadjusted, ql.Unadjusted, dates.tenor(), ql.DateGeneration.Backward,
        terms.end_of_month, regular,
    )  # fmt: skip


def unadjusted(issue_date: dt.date, maturity: dt.date, frequency: int, end_of_month: bool) -> ql.Schedule:
    return ql.Schedule(
        ql_date(issue_date), ql_date(maturity), ql.Period(FREQUENCIES[frequency]), ql.NullCalendar(), ql.Unadjusted,
        ql.Unadjusted, ql.DateGeneration.Backward, end_of_month,
    )  # fmt: skip


def period_starts(terms: dict[str, Any]) -> list[str]:
    """First days of the second and later periods, as texts."""
    first, last = (dt.date.fromisoformat(terms[k]) for k in ("issue_date", "maturity"))
    return [d.ISO() for d in list(unadjusted(first, last, terms["frequency"], terms["end_of_month"]))[1:-1]]


def ex_coupon(terms: BondTerms) -> dict[str, Any]:
    """QuantLib's arguments for the days on which a bond trades without its coupon."""
    if terms.ex_coupon_days is None:
        return {}
    return {
        "exCouponPeriod": ql.Period(terms.ex_coupon_days, ql.Days),
        "exCouponCalendar": CALENDARS[terms.calendar],
        "exCouponConvention": ql.Unadjusted,
    }


def risky_curve(curve: str, spread: str | None, quotes: Quotes) -> ql.YieldTermStructureHandle:
    handle = quotes.curve(curve)
    if spread is None:
        return handle
    moved = ql.ZeroSpreadedTermStructure(
        handle, ql.QuoteHandle(quotes.level(spread)), ql.Continuous, ql.NoFrequency, DAY_COUNT
    )
    moved.enableExtrapolation()
    return ql.YieldTermStructureHandle(moved)


def priced(bond: ql.Bond, curve: ql.YieldTermStructureHandle) -> Callable[[], float]:
    bond.setPricingEngine(ql.DiscountingBondEngine(curve))
    return lambda: float(bond.NPV())


def fixed_rate_bond(terms: Any, coupons: list[float]) -> ql.FixedRateBond:
    """A bond of 100 with a coupon, or the coupons of its periods."""
    return ql.FixedRateBond(
        0,
        100.0,
        bond_schedule(terms),
        coupons,
        DAY_COUNTS[terms.day_count],
        BUSINESS_DAY_CONVENTIONS[terms.business_day_convention],
        100.0,
        ql_date(terms.issue_date),
        CALENDARS[terms.calendar],
        **(ex_coupon(terms) if isinstance(terms, BondTerms) else {}),
    )


def forward_bond(terms: Any, quotes: Quotes) -> ql.BondForward:
    """A bond of 100 bought forward_bond; QuantLib's strike is dirty."""
    bond = fixed_rate_bond(terms, [terms.coupon])
    curve = risky_curve(terms.discount_curve, terms.credit_spread, quotes)
    bond.setPricingEngine(ql.DiscountingBondEngine(curve))
    delivery = ql_date(terms.delivery)
    return ql.BondForward(
        ql_date(quotes.market.valuation_date),
        delivery,
        ql.Position.Long,
        terms.strike + bond.accruedAmount(delivery),
        0,
        DAY_COUNT,
        ql.NullCalendar(),
        ql.Unadjusted,
        bond,
        quotes.curve(terms.repo_curve or terms.discount_curve),
        curve,
    )
