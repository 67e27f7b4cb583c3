"""Bond futures by the lowest of QuantLib's clean forward_bond prices over conversion factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.bonds import BAR, FACTORS, SIZE, TOLERANCE, forward_bond, random_issue
from service.bench.oracles.market import Quotes, random_date
from valuation.instruments.rates import bond_forward
from valuation.instruments.rates.bond_future import Terms

__all__ = ["BAR", "FACTORS", "SIZE", "TOLERANCE", "contracts", "price"]

NOTIONAL_COUPON = 0.06  # of the bond that conversion factors are about


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []  # on its last day a forward_bond of QuantLib is worth nothing already
    for _ in range(n):
        terms = random_issue(rng) | {"delivery": random_date(rng, 1, 270), "strike": float(rng.uniform(90, 150))}
        terms["repo_curve"] = str(rng.choice(["USD", "USD_LOW", "USD_MID"]))
        basket = [_random_bond(rng) for _ in range(int(rng.integers(2, 6)))]
        made.append({k: v for k, v in terms.items() if k in Terms.model_fields} | {"basket": basket})
    return made


def _random_bond(rng: np.random.Generator) -> dict[str, Any]:
    """A bond of 6 to 11 years, and what it is worth at the notional yield for each unit of face."""
    days, coupon = int(rng.integers(2200, 4000)), float(rng.uniform(0.0, 0.08))
    left = (1 + NOTIONAL_COUPON) ** (-days / 365)
    return {
        "issue_date": random_date(rng, -1500, 0),
        "maturity": random_date(rng, days, days),
        "coupon": coupon,
        "conversion_factor": round(left + coupon / NOTIONAL_COUPON * (1 - left), 4),
    }


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    shared = {k: v for k, v in dict(terms).items() if k in bond_forward.Terms.model_fields}
    bonds = [
        bond_forward.Terms(**shared, issue_date=b.issue_date, maturity=b.maturity, coupon=b.coupon)
        for b in terms.basket
    ]
    deals = [forward_bond(b, quotes) for b in bonds]
    factors = [b.conversion_factor for b in terms.basket]
    return lambda: min(d.cleanForwardPrice() / f for d, f in zip(deals, factors, strict=True)) - terms.strike
