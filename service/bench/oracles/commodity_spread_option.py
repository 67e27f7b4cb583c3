"""Spread options by QuantLib's Kirk engine, which is Margrabe's formula at a strike of zero.

A negative strike is the same option the other way round: a call on F1 - F2 at -K is a put on F2 - F1 at K.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.commodity_option import forward_process
from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.commodity.commodity_spread_option import Terms

TOLERANCE = 1e-12  # one formula, and N(x) by two approximations


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return 40.0  # the price of a unit


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "underlying": "CMD:BRENT",
            "carry": float(rng.uniform(-0.1, 0.1)),
            "volatility": "IV:BRENT",
            "second_underlying": "CMD:WTI",
            "second_carry": float(rng.uniform(-0.1, 0.1)),
            "second_volatility": "IV:WTI",
            "correlation": float(rng.uniform(-0.9, 0.99)),
            "strike": float(rng.choice([0.0, rng.uniform(-15, 15)])),
            "expiry": random_date(rng, 1, 1095),
            "option_type": str(rng.choice(["call", "put"])),
            "discount_curve": "USD",
        }
        for _ in range(n)
    ]


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    first = forward_process(quotes, terms.underlying, terms.carry, terms.volatility, terms)
    second = forward_process(quotes, terms.second_underlying, terms.second_carry, terms.second_volatility, terms)
    call = terms.option_type == "call"
    if terms.strike < 0:
        first, second, call = second, first, not call
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if call else ql.Option.Put, abs(terms.strike))
    option = ql.BasketOption(ql.SpreadBasketPayoff(payoff), ql.EuropeanExercise(ql_date(terms.expiry)))
    option.setPricingEngine(ql.KirkEngine(first, second, terms.correlation))
    return lambda: float(option.NPV())
