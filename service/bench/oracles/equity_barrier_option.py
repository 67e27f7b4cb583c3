"""Barrier options, watched at all times, by QuantLib's analytic engine.

Barriers lie so far off that no state of the market has touched one: the engine refuses a spot price beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.barrier_options import BarrierOption
from valuation.instruments.equity.equity_barrier_option import Terms

TOLERANCE = 1e-12  # one formula, its terms of up to some times the strike added in another order

_KINDS = {
    "down_in": ql.Barrier.DownIn,
    "down_out": ql.Barrier.DownOut,
    "up_in": ql.Barrier.UpIn,
    "up_out": ql.Barrier.UpOut,
}


def SIZE(terms: BarrierOption) -> float:  # noqa: N802 - see the package
    return terms.strike


def random_barrier(rng: np.random.Generator, spot: float) -> dict[str, Any]:
    """Strike, option type, barrier and rebate around a spot price."""
    kind = str(rng.choice(list(_KINDS)))
    return {
        "strike": float(spot * rng.uniform(0.6, 1.6)),
        "option_type": str(rng.choice(["call", "put"])),
        "barrier": float(spot * (rng.uniform(0.5, 0.8) if kind.startswith("down") else rng.uniform(1.25, 1.8))),
        "barrier_type": kind,
        "rebate": float(spot * rng.choice([0.0, rng.uniform(0.01, 0.1)])),
    }


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "underlying": "EQ:A",
            "volatility": "IV:A",
            "expiry": random_date(rng, 1, 1825),
            "dividend_yield": float(rng.uniform(0, 0.05)),
            "discount_curve": "USD",
            **random_barrier(rng, 100.0),
        }
        for _ in range(n)
    ]


def barrier(terms: BarrierOption, process: ql.BlackScholesMertonProcess) -> Callable[[], float]:
    kind = ql.Option.Call if terms.option_type == "call" else ql.Option.Put
    option = ql.BarrierOption(
        _KINDS[terms.barrier_type],
        terms.barrier,
        terms.rebate or 0.0,
        ql.PlainVanillaPayoff(kind, terms.strike),
        ql.EuropeanExercise(ql_date(terms.expiry)),
    )
    option.setPricingEngine(ql.AnalyticBarrierEngine(process))
    return lambda: float(option.NPV())


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    return barrier(terms, quotes.share_process(terms))
