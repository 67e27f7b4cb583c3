"""Index swaps by QuantLib's engine of the ISDA standard model, on QuantLib's bootstrap of the quoted spread."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles import credit
from service.bench.oracles.market import TODAY, Quotes
from valuation.instruments.credit.credit_index import Terms

TOLERANCE = 1e-10  # QuantLib solves for a hazard rate to 1e-12 of it
BAR = 20
FACTORS = credit.FACTORS


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [_terms(rng) for _ in range(n)]


def _terms(rng: np.random.Generator) -> dict[str, Any]:
    terms = credit.swap_terms(rng)
    since = (TODAY - dt.date.fromisoformat(terms["start"])).days
    defaults = {
        f"NAME{k}": {
            "weight": 0.008,
            "default_date": (TODAY - dt.timedelta(days=int(rng.integers(0, since)))).isoformat(),
            "settlement_date": (TODAY + dt.timedelta(days=int(rng.integers(0, 60)))).isoformat(),
            "recovery_rate": float(rng.uniform(0, 0.6)),
        }
        for k in range(int(rng.integers(0, 3)) if since > 0 else 0)
    }
    curves = {"currency": "EUR", "credit_curve": "INDEX", "discount_curve": "EUR", "recovery_rate": 0.35}
    return terms | curves | {"defaults": defaults}


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    alive = credit.swap(terms, quotes, credit.quoted_curve(quotes, terms.credit_curve), terms.recovered)
    certain = credit.certain(terms, quotes)
    living = 1.0 - sum(d.weight for d in terms.defaults.values())
    sign = 1.0 if terms.buy_protection else -1.0
    return lambda: sign * (living * alive() + certain())
