"""European FX options by QuantLib's analytic engine under Garman-Kohlhagen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.fx_pairs import base_curve, random_pair, spot
from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.fx.fx_option import Terms

TOLERANCE = 1e-12  # one formula, and N(x) by two approximations


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        pair, strike = random_pair(rng)
        option = {"strike": strike, "volatility": "IV:EURUSD", "option_type": str(rng.choice(["call", "put"]))}
        made.append({**pair, **option, "expiry": random_date(rng, 1, 1825)})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    process = ql.GarmanKohlagenProcess(
        ql.QuoteHandle(spot(terms, quotes)),
        base_curve(terms, quotes),
        quotes.curve(terms.quote_curve),
        quotes.volatility(terms.volatility),
    )
    kind = ql.Option.Call if terms.option_type == "call" else ql.Option.Put
    option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, terms.strike), ql.EuropeanExercise(ql_date(terms.expiry)))
    option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
    return lambda: float(option.NPV())
