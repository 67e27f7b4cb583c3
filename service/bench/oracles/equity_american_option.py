"""American options on shares by QuantLib's QdFp engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.bench.oracles import american, equity_option
from service.bench.oracles.american import american_price
from service.bench.oracles.market import Quotes
from valuation.instruments.equity.equity_american_option import Terms

TOLERANCE, BAR = american.TOLERANCE, american.BAR
contracts: Callable[[np.random.Generator, int], list[dict[str, Any]]] = equity_option.contracts


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    spot, yields = quotes.level(terms.underlying), quotes.flat(terms.dividend_yield)
    return american_price(terms, quotes, spot, yields, terms.discount_curve)
