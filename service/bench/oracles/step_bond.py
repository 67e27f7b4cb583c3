"""Step bonds by QuantLib's fixed-rate bond with a coupon for each period."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.bonds import (
    BAR,
    FACTORS,
    SIZE,
    TOLERANCE,
    bond_schedule,
    fixed_rate_bond,
    period_starts,
    priced,
    random_bond,
    risky_curve,
)
from service.bench.oracles.market import Quotes
from valuation.instruments.rates.step_bond import Terms

__all__ = ["BAR", "FACTORS", "SIZE", "TOLERANCE", "contracts", "price"]


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    while len(made) < n:
        terms = random_bond(rng)
        if days := period_starts(terms):
            chosen = rng.choice(days, size=min(len(days), int(rng.integers(1, 4))), replace=False)
            steps = {str(day): float(rng.uniform(-0.01, 0.12)) for day in chosen}
            made.append(terms | {"coupon": float(rng.uniform(0.0, 0.06)), "steps": steps})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    coupons, coupon = [], terms.coupon
    for day in list(bond_schedule(terms))[:-1]:
        coupon = terms.steps.get(day.to_date(), coupon)
        coupons.append(coupon)
    return priced(fixed_rate_bond(terms, coupons), risky_curve(terms.discount_curve, terms.credit_spread, quotes))
