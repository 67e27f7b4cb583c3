"""Forwards on commodities from QuantLib's curves, by replication."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.commodity.commodity_forward import Terms

TOLERANCE = 1e-12  # a sum of two terms


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return max(abs(terms.strike), 1.0)


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "underlying": str(rng.choice(["CMD:WTI", "CMD:BRENT"])),
            "strike": float(rng.uniform(-10, 80)),
            "maturity": random_date(rng, 1, 1825),
            "carry": float(rng.uniform(-0.1, 0.1)),
            "discount_curve": "USD",
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    spot, day = quotes.level(terms.underlying), ql_date(terms.maturity)
    carried, curve = quotes.flat(terms.carry), quotes.curve(terms.discount_curve)
    return lambda: float((spot.value() / carried.discount(day) - terms.strike) * curve.discount(day))
