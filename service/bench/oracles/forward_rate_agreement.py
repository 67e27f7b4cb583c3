"""Forward rate agreements by QuantLib's own, projected on one curve and discounted on another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.legs import FACTORS, any_day_count, any_rate
from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.rates.forward_rate_agreement import Terms
from valuation.instruments.schedules import BUSINESS_DAY_CONVENTIONS, CALENDARS, DAY_COUNTS

__all__ = ["FACTORS"]

TOLERANCE = 1e-13  # one formula
BAR = 20


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "pay_fixed": bool(rng.random() < 0.5),
            "fixed_rate": any_rate(rng),
            "start": random_date(rng, 4, 900),
            "maturity": random_date(rng, 910, 1300),
            "day_count": any_day_count(rng),
            "calendar": str(rng.choice(["USNY", "EUTA", "weekdays"])),
            "discount_curve": "USD",
            "projection_curve": str(rng.choice(["USD", "USD_3M"])),
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    calendar, convention = CALENDARS[terms.calendar], BUSINESS_DAY_CONVENTIONS[terms.business_day_convention]
    curve = quotes.curve(terms.projection_curve or terms.discount_curve)
    index = ql.IborIndex(
        terms.contract_id(), ql.Period("6M"), 0, ql.USDCurrency(), calendar, convention, False, DAY_COUNTS[terms.day_count], curve
    )  # fmt: skip
    start, end = (calendar.adjust(ql_date(d), convention) for d in (terms.start, terms.maturity))
    side = ql.Position.Long if terms.pay_fixed else ql.Position.Short
    fra = ql.ForwardRateAgreement(index, start, end, side, terms.fixed_rate, 1.0, quotes.curve(terms.discount_curve))
    return lambda: float(fra.NPV())
