"""Basis swaps by QuantLib's Ibor legs on two projection curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.legs import (
    FACTORS,
    any_day_count,
    any_frequency,
    fixings_of,
    floating_leg,
    random_swap,
    swap_price,
)
from service.bench.oracles.market import Quotes
from valuation.catalogue import parse_terms
from valuation.instruments.rates.basis_swap import Terms

__all__ = ["FACTORS"]

TOLERANCE = 1e-13  # the same coupons, added in another order
BAR = 20


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        swap = random_swap(rng)
        for side, curve in zip(
            ("receive", "pay"), rng.choice(["USD_3M", "USD_6M", "USD"], 2, replace=False), strict=True
        ):
            swap |= {
                f"{side}_projection_curve": str(curve),
                f"{side}_frequency": any_frequency(rng),
                f"{side}_day_count": any_day_count(rng),
                f"{side}_spread": float(rng.uniform(-0.003, 0.003)),
            }
        (_, received), (_, paid) = parse_terms("basis_swap", swap).legs()  # type: ignore[attr-defined]
        made.append(swap | {"receive_fixings": fixings_of(received, rng), "pay_fixings": fixings_of(paid, rng)})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    def leg(side: str) -> Any:
        given = [
            getattr(terms, f"{side}_{n}") for n in ("frequency", "day_count", "spread", "projection_curve", "fixings")
        ]
        frequency, day_count, spread, curve, fixings = given
        return floating_leg(terms, side, frequency, day_count, spread or 0.0, quotes.curve(curve), fixings)

    return swap_price(leg("receive"), leg("pay"), quotes.curve(terms.discount_curve))
