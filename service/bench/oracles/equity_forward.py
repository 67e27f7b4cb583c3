"""Equity forwards by replication: a call less a put of QuantLib, both with the forward's strike, with cash dividends or a yield."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.market import DIVIDENDS, Quotes, ql_date, random_date
from valuation.instruments.equity.equity_forward import Terms

FACTORS = DIVIDENDS
TOLERANCE = 1e-12  # N(d) + N(-d) = 1 to the last digits
BAR = 20


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "underlying": "EQ:A",
            "strike": float(rng.uniform(50, 200)),
            "maturity": random_date(rng, 1, 1825),
            "dividend_yield": float(rng.uniform(0, 0.05)),
            **({"dividend_model": "escrowed"} if rng.random() < 0.5 else {}),
            "discount_curve": "USD",
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    return replicated(terms.underlying, terms.strike, terms, quotes)


def replicated(underlying: str, strike: float, terms: Any, quotes: Quotes) -> Callable[[], float]:
    """Value of a share at maturity for a strike: a call less a put."""
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(quotes.level(underlying)),
        quotes.flat(terms.dividend_yield),
        quotes.curve(terms.discount_curve),
        quotes.volatility("IV:A"),
    )
    exercise = ql.EuropeanExercise(ql_date(terms.maturity))
    options = [
        ql.VanillaOption(ql.PlainVanillaPayoff(kind, strike), exercise) for kind in (ql.Option.Call, ql.Option.Put)
    ]
    if terms.dividend_model is None:
        engine = ql.AnalyticEuropeanEngine(process)
        for option in options:
            option.setPricingEngine(engine)
        return lambda: float(options[0].NPV() - options[1].NPV())

    def set_dividends(state: int) -> None:
        paid = ql.DividendVector(*quotes.dividends(underlying, state))
        engine = ql.AnalyticDividendEuropeanEngine(process, paid)
        for option in options:
            option.setPricingEngine(engine)

    quotes.follow(set_dividends)
    return lambda: float(options[0].NPV() - options[1].NPV())
