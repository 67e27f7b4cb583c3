"""Fixed-rate bonds by QuantLib's discounting engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.rates.government_bond import FACE, Terms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS

TOLERANCE = 1e-12  # the same sum of the same cash flows
BAR = 20
FREQUENCIES = {1: ql.Annual, 2: ql.Semiannual, 4: ql.Quarterly}


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return FACE


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "issue_date": random_date(rng, -4000, 0),
            "maturity": random_date(rng, 20, 10900),
            "coupon": float(rng.uniform(-0.01, 0.12)),
            "frequency": int(rng.choice(list(FREQUENCIES))),
            "day_count": str(rng.choice(list(DAY_COUNTS))),
            "calendar": str(rng.choice(list(CALENDARS))),
            "business_day_convention": str(rng.choice(list(BUSINESS_DAY_CONVENTIONS))),
            "end_of_month": bool(rng.random() < 0.3),
            "discount_curve": "USD",
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    schedule = ql.Schedule(
        ql_date(terms.issue_date),
        ql_date(terms.maturity),
        ql.Period(FREQUENCIES[terms.frequency]),
        ql.NullCalendar(),
        ql.Unadjusted,
        ql.Unadjusted,
        ql.DateGeneration.Backward,
        terms.end_of_month,
    )
    bond = ql.FixedRateBond(
        0,
        FACE,
        schedule,
        [terms.coupon],
        DAY_COUNTS[terms.day_count],
        BUSINESS_DAY_CONVENTIONS[terms.business_day_convention],
        FACE,
        ql_date(terms.issue_date),
        CALENDARS[terms.calendar],
    )
    bond.setPricingEngine(ql.DiscountingBondEngine(quotes.curve(terms.discount_curve)))
    return lambda: float(bond.NPV())
