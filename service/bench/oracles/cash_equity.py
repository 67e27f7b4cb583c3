"""A share is worth its quote: what there is to compare is how fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles.market import FLAT, Quotes
from valuation.instruments.equity.cash_equity import Terms

TOLERANCE = 1e-15  # the level itself, but for the rounding of base and P&L
BAR = 20  # the peer reads a quote and computes nothing
_SHARES = ("EQ:A", "EQ:B", "IDX:X")


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return FLAT[terms.underlying][2]


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [{"currency": FLAT[u][1], "underlying": u} for u in map(str, rng.choice(_SHARES, n))]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    quote = quotes.level(terms.underlying)
    return lambda: float(quote.value())
