"""Fixed-rate bonds by QuantLib's discounting engine, with a spread on the curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.bonds import (
    BAR,
    FACTORS,
    SIZE,
    TOLERANCE,
    fixed_rate_bond,
    priced,
    random_bond,
    risky_curve,
)
from service.bench.oracles.market import Quotes
from valuation.instruments.rates.fixed_bond import Terms

__all__ = ["BAR", "FACTORS", "SIZE", "TOLERANCE", "contracts", "price"]


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [random_bond(rng) | {"coupon": float(rng.uniform(-0.01, 0.12))} for _ in range(n)]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    bond = fixed_rate_bond(terms, [terms.coupon])
    return priced(bond, risky_curve(terms.discount_curve, terms.credit_spread, quotes))
