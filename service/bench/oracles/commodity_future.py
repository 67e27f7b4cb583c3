"""Commodity futures by the carried price from QuantLib's flat curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.commodity.commodity_future import Terms

TOLERANCE = 1e-13  # one product and a difference
BAR = 20  # beside a mere read of a quote and a factor


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return max(abs(terms.reference_price), 1.0)


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "underlying": str(rng.choice(["CMD:WTI", "CMD:BRENT"])),
            "reference_price": float(rng.uniform(-10, 80)),
            "maturity": random_date(rng, 1, 1095),
            "carry": float(rng.choice([0.0, rng.uniform(-0.1, 0.1)])),
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    level, carry, day = quotes.level(terms.underlying), quotes.flat(terms.carry), ql_date(terms.maturity)
    return lambda: float(level.value() / carry.discount(day) - terms.reference_price)
