"""Bonds bought forward_bond by QuantLib's bond forward_bond, whose strike is the price with the interest accrued on delivery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.bonds import BAR, FACTORS, SIZE, TOLERANCE, forward_bond, random_issue
from service.bench.oracles.market import Quotes, random_date
from valuation.instruments.rates.bond_forward import Terms

__all__ = ["BAR", "FACTORS", "SIZE", "TOLERANCE", "contracts", "price"]


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []  # on its last day a forward_bond of QuantLib is worth nothing already
    for _ in range(n):
        terms = random_issue(rng) | {"delivery": random_date(rng, 1, 700), "maturity": random_date(rng, 720, 14600)}
        terms |= {"coupon": float(rng.uniform(-0.01, 0.12)), "strike": float(rng.uniform(80, 140))}
        made.append(terms | {"repo_curve": str(rng.choice(["USD", "USD_LOW", "USD_MID"]))})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    deal = forward_bond(terms, quotes)
    return lambda: float(deal.NPV())
