"""Deposits by QuantLib's cash flows of a fixed-rate coupon and its principal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.legs import any_day_count, any_rate, leg_value
from service.bench.oracles.market import Quotes, random_date
from valuation.instruments.rates.deposit import Terms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS

TOLERANCE = 1e-13  # the same three cash flows
BAR = 20


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "fixed_rate": any_rate(rng),
            "start": random_date(rng, -300, 60),
            "maturity": random_date(rng, 70, 700),
            "day_count": any_day_count(rng),
            "calendar": str(rng.choice(["USNY", "EUTA", "weekdays", "none"])),
            "discount_curve": "USD",
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    curve = quotes.curve(terms.discount_curve)
    calendar, convention = CALENDARS[terms.calendar], BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]
    start, end = (
        calendar.adjust(ql.Date(d.isoformat(), "%Y-%m-%d"), convention) for d in (terms.start, terms.maturity)
    )
    leg = ql.Leg(
        [
            ql.SimpleCashFlow(-1.0, start),
            ql.FixedRateCoupon(end, 1.0, terms.fixed_rate, DAY_COUNTS[terms.day_count], start, end),
            ql.SimpleCashFlow(1.0, end),
        ]
    )
    return lambda: leg_value(leg, curve, quotes)
