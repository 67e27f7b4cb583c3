"""Commodity swaps by QuantLib's calendars, schedules and curves, a payment at a time; it has no such instrument itself."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.market import TODAY, Quotes, ql_date
from valuation.instruments.commodity.commodity_swap import Terms

TOLERANCE = 1e-12  # sums of some hundred terms
BAR = 20  # cash flows
_CALENDARS = {"weekdays": ql.WeekendsOnly(), "USNY": ql.UnitedStates(ql.UnitedStates.Settlement), "EUTA": ql.TARGET()}


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return 40.0  # the price of a unit


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        start = TODAY + dt.timedelta(days=int(rng.integers(-300, 300)))
        frequency = int(rng.choice([1, 2, 4, 12]))
        periods = int(rng.integers(1, 4 * frequency)) + frequency * (start < TODAY)
        passed = [start + dt.timedelta(days=k) for k in range(max(0, (TODAY - start).days))]
        made.append(
            {
                "currency": "USD",
                "underlying": str(rng.choice(["CMD:WTI", "CMD:BRENT"])),
                "carry": float(rng.uniform(-0.1, 0.1)),
                "pay_fixed": bool(rng.random() < 0.5),
                "fixed_price": float(rng.uniform(20, 60)),
                "start": start,
                "maturity": start + dt.timedelta(days=int(365.25 / frequency * periods) + 10),  # a short first period
                "frequency": frequency,
                "calendar": str(rng.choice(list(_CALENDARS))),
                "discount_curve": "USD",
                "fixings": {day: float(rng.uniform(20, 60)) for day in passed},
            }
        )
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    calendar, today, end = _CALENDARS[terms.calendar], ql_date(TODAY), ql_date(terms.maturity)
    level, curve, carry = quotes.level(terms.underlying), quotes.curve(terms.discount_curve), quotes.flat(terms.carry)
    begin, months = ql_date(terms.start), ql.Period(12 // terms.frequency, ql.Months)
    dates = list(
        ql.Schedule(
            begin, end, months, ql.NullCalendar(), ql.Unadjusted, ql.Unadjusted, ql.DateGeneration.Backward, False
        )
    )
    known = {ql_date(day): fixing for day, fixing in terms.fixings.items()}
    periods = []  # payment date, sum of known prices, sum of growths to the days still to come, number of days
    for first, last in itertools.pairwise(dates):
        days = [first + k for k in range(last - first) if calendar.isBusinessDay(first + k)]
        paid = calendar.adjust(last, ql.Following)
        if paid > today:
            fixed = sum(known[d] for d in days if d < today)
            growth = sum(1.0 / carry.discount(d) for d in days if d >= today)
            periods.append((paid, fixed, growth, len(days)))

    def npv() -> float:
        spot, total = level.value(), 0.0
        for paid, fixed, growth, n in periods:
            total += ((fixed + spot * growth) / n - terms.fixed_price) * curve.discount(paid)
        return total if terms.pay_fixed else -total

    return npv
