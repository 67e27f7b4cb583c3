"""Options on arithmetic averages by moment matching in QuantLib.

Its formula for geometric averages takes the interest to expiry for that to every day, so it is held to ours on flat curves, in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.market import TODAY, Quotes, ql_date, random_date
from valuation.instruments.equity.equity_asian_option import Terms

TOLERANCE = 1e-12  # one formula; second moments less squared means there, the excess alone here


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(n):
        terms = {
            "currency": "USD",
            "underlying": "EQ:A",
            "volatility": "IV:A",
            "strike": float(rng.uniform(70, 140)),
            "expiry": random_date(rng, 200, 730),
            "option_type": str(rng.choice(["call", "put"])),
            "averaging_start": random_date(rng, -60, 120),
            "averaging_frequency": str(rng.choice(["weekly", "monthly"])),
            "dividend_yield": float(rng.uniform(0, 0.05)),
            "discount_curve": "USD",
        }
        past = [d for d in Terms.model_validate(terms).days() if d <= TODAY]
        made.append(terms | {"fixings": {d.isoformat(): float(rng.uniform(90, 110)) for d in past}})
    return made


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    process = quotes.share_process(terms)
    kind = ql.Option.Call if terms.option_type == "call" else ql.Option.Put
    payoff, exercise = ql.PlainVanillaPayoff(kind, terms.strike), ql.EuropeanExercise(ql_date(terms.expiry))
    past = list(terms.fixings.values())
    ahead = [ql_date(d) for d in terms.days() if d not in terms.fixings]
    option = ql.DiscreteAveragingAsianOption(ql.Average.Arithmetic, sum(past), len(past), ahead, payoff, exercise)
    option.setPricingEngine(ql.TurnbullWakemanAsianEngine(process))
    return lambda: float(option.NPV())
