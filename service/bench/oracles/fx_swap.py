"""FX swaps as two FX forwards of QuantLib."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.fx_pairs import forward, random_pair
from service.bench.oracles.market import TODAY, Quotes, random_date
from valuation.instruments.fx.fx_swap import Terms

TOLERANCE = 1e-12  # one formula
BAR = 20  # four cash flows


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        pair, strike = random_pair(rng)
        near_days = (-30, -1) if rng.random() < 0.2 else (1, 365)
        near = {"near_strike": strike * float(rng.uniform(0.98, 1.02)), "near_maturity": random_date(rng, *near_days)}
        made.append({**pair, **near, "strike": strike, "maturity": random_date(rng, 366, 1825)})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    far = forward(terms, terms.strike, terms.maturity, quotes)
    if terms.near_maturity < TODAY:
        return lambda: -float(far.npvTargetCurrency())
    near = forward(terms, terms.near_strike, terms.near_maturity, quotes)
    return lambda: float(near.npvTargetCurrency()) - float(far.npvTargetCurrency())
