"""Fixed-floating swaps by QuantLib's discounting engine, on one curve and on two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.legs import (
    FACTORS,
    any_day_count,
    any_frequency,
    fixed_leg,
    fixings_of,
    floating_leg,
    random_swap,
    swap_price,
)
from service.bench.oracles.market import Quotes, random_date
from valuation.catalogue import parse_terms
from valuation.instruments.rates.interest_rate_swap import Terms
from valuation.instruments.schedules import DAY_COUNTS

__all__ = ["FACTORS"]

TOLERANCE = 1e-13  # on one curve a floating leg telescopes here, coupon by coupon there
BAR = 20


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        swap = random_swap(rng) | {
            "start": random_date(rng, -3000, 800),
            "maturity": random_date(rng, 840, 9000),
            "pay_fixed": bool(rng.random() < 0.5),
            "fixed_rate": float(rng.uniform(-0.01, 0.1)),
            "fixed_frequency": int(rng.choice([1, 2, 4])),
            "float_frequency": any_frequency(rng),
            "fixed_day_count": str(rng.choice(list(DAY_COUNTS))),
            "float_day_count": any_day_count(rng),
        }
        if rng.random() < 0.5:
            swap |= {
                "projection_curve": str(rng.choice(["USD_3M", "USD_6M"])),
                "spread": float(rng.uniform(-0.003, 0.003)),
            }
        (_, floating), _ = parse_terms("interest_rate_swap", swap).legs()  # type: ignore[attr-defined]
        made.append(swap | {"fixings": fixings_of(floating, rng)})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    projection = quotes.curve(terms.projection_curve or terms.discount_curve)
    floating = floating_leg(
        terms, "", terms.float_frequency, terms.float_day_count, terms.spread or 0.0, projection, terms.fixings
    )
    fixed = fixed_leg(terms, terms.fixed_frequency, terms.fixed_day_count, terms.fixed_rate)
    legs = (floating, fixed) if terms.pay_fixed else (fixed, floating)
    return swap_price(*legs, quotes.curve(terms.discount_curve))
