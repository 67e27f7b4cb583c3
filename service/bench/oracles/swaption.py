"""European swaptions, physically settled, by QuantLib's Black and Bachelier engines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles import rates
from service.bench.oracles.market import DAY_COUNT, TODAY, Quotes, ql_date
from valuation.instruments.rates.swaption import Terms

TOLERANCE = 1e-12  # one formula
FACTORS = rates.FACTORS


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return 0.01 * rates.years_to(terms)


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        model, strike = rates.random_model(rng)
        schedule = rates.random_periods(rng)
        expiry = TODAY + dt.timedelta(days=int(rng.integers(1, 3650)))
        start = rates.business_day(expiry + dt.timedelta(days=2), schedule["calendar"])
        maturity = start + dt.timedelta(days=int(rng.integers(370, 7300)))
        made.append(
            {
                **model,
                **schedule,
                "pay_fixed": bool(rng.random() < 0.5),
                "fixed_rate": strike,
                "expiry": expiry.isoformat(),
                "start": start.isoformat(),
                "maturity": rates.business_day(maturity, schedule["calendar"]).isoformat(),
                "fixed_frequency": int(rng.choice([1, 2])),
                "fixed_day_count": str(rng.choice(["Thirty360", "Actual365Fixed"])),
            }
        )
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    option = ql.Swaption(rates.underlying_swap(terms, quotes), ql.EuropeanExercise(ql_date(terms.expiry)))
    discount, volatility = quotes.curve(terms.discount_curve), ql.QuoteHandle(quotes.level(terms.volatility))
    option.setPricingEngine(
        ql.BachelierSwaptionEngine(discount, volatility)
        if terms.normal
        else ql.BlackSwaptionEngine(discount, volatility, DAY_COUNT, terms.shift or 0.0)
    )
    return lambda: float(option.NPV())
