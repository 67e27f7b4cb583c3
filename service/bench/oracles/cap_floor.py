"""Caps and floors by QuantLib's Black and Bachelier engines, on coupons at par."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles import rates
from service.bench.oracles.market import DAY_COUNT, TODAY, Quotes, ql_date
from valuation.instruments.rates.cap_floor import Terms

TOLERANCE = 1e-12  # one formula, up to 40 caplets added
FACTORS = rates.FACTORS
BAR = 20


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return 0.01 * rates.years_to(terms)  # a percentage point of rate over its life


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        model, strike = rates.random_model(rng)
        schedule = rates.random_periods(rng)
        # a third has begun; an odd first period is as good as a whole one
        first = TODAY + dt.timedelta(days=int(rng.integers(-90, 0) if rng.random() < 0.33 else rng.integers(1, 730)))
        start = rates.business_day(first, schedule["calendar"])
        maturity = start + dt.timedelta(days=int(rng.integers(370, 3650)))
        made.append(
            {
                **model,
                **schedule,
                "option_type": str(rng.choice(["cap", "floor"])),
                "strike": strike,
                "start": start.isoformat(),
                "maturity": rates.business_day(maturity, schedule["calendar"]).isoformat(),
            }
        )
        # every period that may have begun; the rate of a day is one rate
        days = [start + dt.timedelta(days=k) for k in range((TODAY - start).days)]
        made[-1]["fixings"] = {d.isoformat(): 0.01 + d.toordinal() % 97 * 1e-4 for d in days}
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    index = rates.index(terms, quotes, terms.contract_id())
    for day, rate in terms.fixings.items():
        if index.isValidFixingDate(ql_date(day)):
            index.addFixing(ql_date(day), rate)
    leg = ql.IborLeg(
        [1.0],
        rates.rate_schedule(terms, terms.start, terms.float_frequency),
        index,
        index.dayCounter(),
        index.businessDayConvention(),
    )
    option = (ql.Cap if terms.option_type == "cap" else ql.Floor)(leg, [terms.strike])
    discount, volatility = quotes.curve(terms.discount_curve), ql.QuoteHandle(quotes.level(terms.volatility))
    option.setPricingEngine(
        ql.BachelierCapFloorEngine(discount, volatility)
        if terms.normal
        else ql.BlackCapFloorEngine(discount, volatility, DAY_COUNT, terms.shift or 0.0)
    )
    return lambda: float(option.NPV())
