"""Digital options on an exchange rate by QuantLib's analytic engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.equity_digital_option import SIZE as SIZE
from service.bench.oracles.equity_digital_option import TOLERANCE as TOLERANCE
from service.bench.oracles.equity_digital_option import digital
from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.fx.fx_digital_option import Terms


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "base_currency": "EUR",
            "volatility": "IV:EURUSD",
            "strike": float(rng.uniform(0.8, 1.5)),
            "expiry": random_date(rng, 1, 1825),
            "option_type": str(rng.choice(["call", "put"])),
            "payoff": str(rng.choice(["cash_or_nothing", "asset_or_nothing"])),
            "quote_curve": "USD",
            "base_curve": "EUR",
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    return digital(terms, quotes.pair_process(terms), ql_date(terms.expiry))
