"""FX forwards from QuantLib's curves, by replication: the base currency less what is paid for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.fx.fx_forward import Terms

TOLERANCE = 1e-12  # a sum of two terms
_PAIRS = {("EUR", "USD"): 1.12, ("GBP", "USD"): 1.3, ("USD", "JPY"): 106.0}


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        (base, quote), spot = list(_PAIRS.items())[int(rng.integers(len(_PAIRS)))]
        foreign = {"base_curve": base} if rng.random() < 0.5 else {"base_rate": float(rng.uniform(-0.01, 0.05))}
        made.append(
            {
                "currency": quote,
                "base_currency": base,
                "strike": spot * float(rng.uniform(0.7, 1.3)),
                "maturity": random_date(rng, 1, 3650),
                "quote_curve": quote,
                **foreign,
            }
        )
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    spot, day = quotes.level(f"FX:{terms.base_currency}{terms.currency}"), ql_date(terms.maturity)
    curve = quotes.curve(terms.quote_curve)
    base = quotes.flat(terms.base_rate or 0.0) if terms.base_curve is None else quotes.curve(terms.base_curve)
    return lambda: float(spot.value() * base.discount(day) - terms.strike * curve.discount(day))
