"""FX spot trades by hand: QuantLib has no instrument for them, only the quote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.fx_pairs import PAIRS
from service.bench.oracles.market import Quotes, random_date
from valuation.instruments.fx.fx_spot import Terms

TOLERANCE = 1e-15  # one subtraction
BAR = 20  # beside a mere read of a quote


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        (base, quote), spot = list(PAIRS.items())[int(rng.integers(len(PAIRS)))]
        strike = spot * float(rng.uniform(0.98, 1.02))
        made.append({"currency": quote, "base_currency": base, "strike": strike, "maturity": random_date(rng, 0, 4)})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    level = quotes.level(f"FX:{terms.base_currency}{terms.currency}")
    return lambda: float(level.value()) - terms.strike
