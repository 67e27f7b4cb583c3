"""European options by QuantLib's analytic engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.equity.equity_option import Terms

TOLERANCE = 1e-12  # one formula, and N(x) by two approximations


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "underlying": "EQ:A",
            "volatility": "IV:A",
            "strike": float(rng.uniform(50, 200)),
            "expiry": random_date(rng, 1, 1825),
            "option_type": str(rng.choice(["call", "put"])),
            "dividend_yield": float(rng.uniform(0, 0.05)),
            "discount_curve": "USD",
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(quotes.level(terms.underlying)),
        quotes.flat(terms.dividend_yield),
        quotes.curve(terms.discount_curve),
        quotes.volatility(terms.volatility),
    )
    kind = ql.Option.Call if terms.option_type == "call" else ql.Option.Put
    option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, terms.strike), ql.EuropeanExercise(ql_date(terms.expiry)))
    option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
    return lambda: float(option.NPV())
