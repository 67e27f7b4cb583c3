"""Barrier options on an exchange rate, watched at all times, by QuantLib's analytic engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.equity_barrier_option import SIZE as SIZE
from service.bench.oracles.equity_barrier_option import TOLERANCE as TOLERANCE
from service.bench.oracles.equity_barrier_option import barrier, random_barrier
from service.bench.oracles.market import Quotes, random_date
from valuation.instruments.fx.fx_barrier_option import Terms


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "base_currency": "EUR",
            "volatility": "IV:EURUSD",
            "expiry": random_date(rng, 30, 1825),
            "quote_curve": "USD",
            "base_curve": "EUR",
            **random_barrier(rng, 1.12),
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    return barrier(terms, quotes.pair_process(terms))
