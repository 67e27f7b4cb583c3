"""Digital options by QuantLib's analytic engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.market import Quotes, ql_date, random_date
from valuation.instruments.digital_options import DigitalOption
from valuation.instruments.equity.equity_digital_option import Terms

TOLERANCE = 1e-12  # one formula, and N(x) by two approximations


def SIZE(terms: DigitalOption) -> float:  # noqa: N802 - see the package
    return 1.0 if terms.payoff == "cash_or_nothing" else terms.strike


def contracts(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {
            "currency": "USD",
            "underlying": "EQ:A",
            "volatility": "IV:A",
            "strike": float(rng.uniform(50, 200)),
            "expiry": random_date(rng, 1, 1825),
            "option_type": str(rng.choice(["call", "put"])),
            "payoff": str(rng.choice(["cash_or_nothing", "asset_or_nothing"])),
            "dividend_yield": float(rng.uniform(0, 0.05)),
            "discount_curve": "USD",
        }
        for _ in range(n)
    ]


def digital(terms: DigitalOption, process: ql.BlackScholesMertonProcess, expiry: ql.Date) -> Callable[[], float]:
    kind = ql.Option.Call if terms.option_type == "call" else ql.Option.Put
    if terms.payoff == "cash_or_nothing":
        payoff = ql.CashOrNothingPayoff(kind, terms.strike, 1.0)
    else:
        payoff = ql.AssetOrNothingPayoff(kind, terms.strike)
    option = ql.VanillaOption(payoff, ql.EuropeanExercise(expiry))
    option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
    return lambda: float(option.NPV())


def price(terms: Terms, quotes: Quotes) -> Callable[[], float]:
    return digital(terms, quotes.share_process(terms), ql_date(terms.expiry))
