"""American options on exchange rates by QuantLib's QdFp engine, with negative rates by its finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.american import BAR, american_price
from service.bench.oracles.market import Quotes, random_date
from valuation.instruments.fx.fx_american_option import Terms

# between two boundaries: QuantLib's 400 steps in time are still 3e-5 of the strike below its 2,500, and the rest is ours
TOLERANCE = 6e-5

__all__ = ["BAR", "TOLERANCE", "contracts", "price"]


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    """Half of them on two curves, half of dollars against euro and yen with a base rate on either side of zero."""
    made = []
    for i in range(n):
        terms: dict[str, Any] = {"volatility": "IV:EURUSD", "option_type": str(rng.choice(["call", "put"]))}
        level, base, quote = [(1.12, "EUR", "USD"), (1 / 1.12, "USD", "EUR"), (106.0, "USD", "JPY")][i % 3]
        terms |= {"base_currency": base, "currency": quote, "quote_curve": quote}
        terms |= {"base_curve": base} if i % 2 else {"base_rate": float(rng.uniform(-0.03, 0.05))}
        terms |= {"strike": float(level * rng.uniform(0.8, 1.25)), "expiry": random_date(rng, 1, 1460)}
        made.append(terms)
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    rates = quotes.market.fx(terms.base_currency, terms.currency)
    spot = ql.SimpleQuote(0.0)
    quotes.follow(lambda state: spot.setValue(float(rates[state])))
    yields = quotes.flat(terms.base_rate or 0.0) if terms.base_curve is None else quotes.curve(terms.base_curve)
    return american_price(terms, quotes, spot, yields, terms.quote_curve)
