"""Forwards on shares from QuantLib's curves, by replication: the share less what is paid for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.equity.equity_forward import Terms

TOLERANCE = 1e-12  # a sum of two terms


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return terms.strike


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "underlying": str(rng.choice(["EQ:A", "EQ:B"])),
            "strike": float(rng.uniform(20, 200)),
            "maturity": random_date(rng, 1, 3650),
            "dividend_yield": float(rng.uniform(0, 0.05)),
            "discount_curve": "USD",
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    spot, day = quotes.level(terms.underlying), ql_date(terms.maturity)
    dividends, curve = quotes.flat(terms.dividend_yield), quotes.curve(terms.discount_curve)
    return lambda: float(spot.value() * dividends.discount(day) - terms.strike * curve.discount(day))
