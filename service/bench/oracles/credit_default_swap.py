"""Credit default swaps by QuantLib's engine of the ISDA standard model, on curves of hazard rates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles import credit
from service.bench.oracles.market import Quotes
from valuation.instruments.credit.credit_default_swap import Terms

TOLERANCE = 1e-12  # one formula, summed in another order
BAR = 20
FACTORS = credit.FACTORS


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    curves = {"currency": "USD", "credit_curve": "NADIR", "discount_curve": "USD"}
    recoveries = ({"recovery": "REC:NADIR"}, {"recovery_rate": 0.25})
    return [credit.swap_terms(rng) | curves | recoveries[rng.integers(2)] for _ in range(n)]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    alive = credit.swap(terms, quotes, credit.hazard_curve(quotes, terms.credit_curve), terms.recovered)
    certain = credit.certain(terms, quotes)
    sign = 1.0 if terms.buy_protection else -1.0
    return lambda: sign * (alive() + certain())
