"""Overnight swaps by QuantLib's overnight legs, which compound day by day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.legs import FACTORS, MONTHS, any_day_count, any_rate, random_swap, schedule, swap_price
from service.bench.oracles.market import TODAY, Quotes, ql_date, random_date
from valuation.catalogue import parse_terms
from valuation.instruments.rates.overnight_swap import Terms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS

__all__ = ["FACTORS"]

TOLERANCE = 1e-13  # a period telescopes here, day by day there
BAR = 20


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        swap = random_swap(rng) | {
            "start": random_date(rng, -900, 300),
            "maturity": random_date(rng, 310, 3000),
            "pay_fixed": bool(rng.random() < 0.5),
            "fixed_rate": any_rate(rng),
            "fixed_frequency": int(rng.choice([1, 2, 4])),
            "float_frequency": int(rng.choice(list(MONTHS))),
            "fixed_day_count": any_day_count(rng),
            "float_day_count": str(rng.choice(["Actual360", "Actual365Fixed"])),
            "payment_lag": int(rng.choice([0, 2])),
            "spread": float(rng.uniform(-0.002, 0.002)),
            "projection_curve": str(rng.choice(["USD", "USD_3M"])),
        }
        _, floating = parse_terms("overnight_swap", swap).legs()[0]  # type: ignore[attr-defined]
        day = TODAY.fromordinal(int(floating.schedule.starts[floating.running(TODAY.toordinal())]))
        fixings = {}
        while day < TODAY:  # more days than are read do no harm
            fixings[day.isoformat()] = any_rate(rng)
            day += dt.timedelta(days=1)
        made.append(swap | {"fixings": fixings})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    calendar, convention = CALENDARS[terms.calendar], BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]
    day_count = DAY_COUNTS[terms.float_day_count]
    curve = quotes.curve(terms.projection_curve or terms.discount_curve)
    index = ql.OvernightIndex(terms.contract_id(), 0, ql.USDCurrency(), calendar, day_count, curve)
    for day, rate in terms.fixings.items():
        if calendar.isBusinessDay(ql_date(day)):
            index.addFixing(ql_date(day), rate, True)
    lag = {"paymentCalendar": calendar, "paymentLag": terms.payment_lag}
    floating = ql.OvernightLeg(
        [1.0],
        schedule(terms, terms.float_frequency),
        index,
        day_count,
        convention,
        spreads=[terms.spread or 0.0],
        **lag,
    )
    fixed_count = DAY_COUNTS[terms.fixed_day_count]
    fixed = ql.FixedRateLeg(
        schedule(terms, terms.fixed_frequency), fixed_count, [1.0], [terms.fixed_rate], convention, **lag
    )
    legs = (floating, fixed) if terms.pay_fixed else (fixed, floating)
    return swap_price(*legs, quotes.curve(terms.discount_curve))
