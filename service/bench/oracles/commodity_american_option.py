"""American options on commodity futures by QuantLib's QdFp engine: the yield of a future is the rate itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.american import BAR, TOLERANCE, american_price
from service.bench.oracles.market import TODAY, Quotes, random_date
from valuation.instruments.commodity.commodity_american_option import Terms

__all__ = ["BAR", "TOLERANCE", "contracts", "price"]


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        made.append(
            {
                "currency": "USD",
                "underlying": "CMD:WTI",
                "volatility": "IV:WTI",
                "strike": float(rng.uniform(25, 60)),
                "expiry": random_date(rng, 1, 1095),
                "option_type": str(rng.choice(["call", "put"])),
                "carry": float(rng.uniform(-0.05, 0.08)),
                "discount_curve": str(rng.choice(["USD", "USD_LOW"])),
            }
        )
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    growth = math.exp(terms.carry * (terms.expiry - TODAY).days / 365)
    level = quotes.market.level(terms.underlying)
    future = ql.SimpleQuote(0.0)
    quotes.follow(lambda state: future.setValue(float(level[state]) * growth))
    return american_price(terms, quotes, future, quotes.curve(terms.discount_curve), terms.discount_curve)
