"""European options on forwards by QuantLib's analytic engine on a Black process, or its formula of Bachelier."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from scenarios.types import RiskFactor
from service.bench.oracles.market import TODAY, Quotes, ql_date, random_date
from valuation.instruments.commodity.commodity_option import Terms

TOLERANCE = 1e-12  # one formula, and N(x) by two approximations
FACTORS = [(RiskFactor("NV:WTI", "normal_price_vol", "NV:WTI", "USD"), 15.0)]


def SIZE(terms: Terms) -> float:  # noqa: N802 - see the package
    return 40.0  # the price of a unit


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        model = str(rng.choice(["lognormal", "normal"]))
        made.append(
            {
                "currency": "USD",
                "underlying": str(rng.choice(["CMD:WTI", "CMD:BRENT"])),
                "carry": float(rng.uniform(-0.1, 0.1)),
                "volatility": "IV:WTI" if model == "lognormal" else "NV:WTI",
                "strike": float(rng.uniform(20 if model == "lognormal" else -10, 70)),
                "expiry": random_date(rng, 1, 1095),
                "option_type": str(rng.choice(["call", "put"])),
                "model": model,
                "discount_curve": "USD",
            }
        )
    return made


def forward_process(quotes: Quotes, underlying: str, carry: float, volatility: str, terms: Any) -> ql.BlackProcess:
    """The forward price of the expiry date, in Black's model."""
    growth = 1.0 / quotes.flat(carry).discount(ql_date(terms.expiry))
    forward, level = ql.SimpleQuote(0.0), quotes.level(underlying)
    quotes.follow(lambda _: forward.setValue(level.value() * growth))
    return ql.BlackProcess(ql.QuoteHandle(forward), quotes.curve(terms.discount_curve), quotes.volatility(volatility))


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    kind = ql.Option.Call if terms.option_type == "call" else ql.Option.Put
    if terms.model == "lognormal":
        process = forward_process(quotes, terms.underlying, terms.carry, terms.volatility, terms)
        option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, terms.strike), ql.EuropeanExercise(ql_date(terms.expiry)))
        option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        return lambda: float(option.NPV())
    # no engine of QuantLib prices a plain option by Bachelier, only a formula does
    level, curve, day = quotes.level(terms.underlying), quotes.curve(terms.discount_curve), ql_date(terms.expiry)
    volatility, growth = quotes.level(terms.volatility), 1.0 / quotes.flat(terms.carry).discount(day)
    root = math.sqrt((terms.expiry - TODAY).days / 365.0)
    return lambda: float(
        ql.bachelierBlackFormula(
            kind, terms.strike, level.value() * growth, volatility.value() * root, curve.discount(day)
        )
    )
