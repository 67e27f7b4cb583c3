"""Equity futures by replication: QuantLib's call less its put with the reference price as strike, at maturity and not discounted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles import equity_forward
from service.bench.oracles.market import DIVIDENDS, Quotes, ql_date
from valuation.instruments.equity.equity_future import Terms

FACTORS = DIVIDENDS
TOLERANCE = equity_forward.TOLERANCE
BAR = equity_forward.BAR


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return terms.reference_price


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    forwards = equity_forward.contracts(rng, n)
    return [{**{k: v for k, v in f.items() if k != "strike"}, "reference_price": f["strike"]} for f in forwards]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    forward = equity_forward.replicated(terms.underlying, terms.reference_price, terms, quotes)
    curve, day = quotes.curve(terms.discount_curve), ql_date(terms.maturity)
    return lambda: forward() / curve.discount(day)
