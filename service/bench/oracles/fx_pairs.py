"""What the oracles of FX instruments share: random pairs, and QuantLib's FX forward."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from service.bench.oracles.market import Quotes, ql_date
from valuation.instruments.fx.pairs import DiscountedPair

# pair: its spot rate
PAIRS = {("EUR", "USD"): 1.12, ("GBP", "USD"): 1.3, ("USD", "JPY"): 106.0}
_CURRENCIES = {"EUR": ql.EURCurrency(), "GBP": ql.GBPCurrency(), "JPY": ql.JPYCurrency(), "USD": ql.USDCurrency()}


def random_pair(rng: np.random.Generator) -> tuple[dict[str, Any], float]:
    """Terms of a random pair, and a strike within some 20% of its spot rate; every third with a rate in place of a curve."""
    (base, quote), spot = list(PAIRS.items())[int(rng.integers(len(PAIRS)))]
    discount = {"base_curve": base} if rng.random() < 0.67 else {"base_rate": float(rng.uniform(-0.01, 0.05))}
    return {"currency": quote, "base_currency": base, "quote_curve": quote, **discount}, spot * float(
        rng.uniform(0.8, 1.2)
    )


def base_curve(pair: DiscountedPair, quotes: Quotes) -> ql.YieldTermStructureHandle:
    if pair.base_curve is not None:
        return quotes.curve(pair.base_curve)
    assert pair.base_rate is not None
    return quotes.flat(pair.base_rate)


def spot(pair: DiscountedPair, quotes: Quotes) -> ql.SimpleQuote:
    return quotes.level(f"FX:{pair.base_currency}{pair.currency}")


def forward(pair: DiscountedPair, strike: float, maturity: dt.date, quotes: Quotes) -> ql.FxForward:
    """One unit of base currency received, the strike paid. Its NPV is in the base currency, `npvTargetCurrency` in the quote currency."""
    base, quote = _CURRENCIES[pair.base_currency], _CURRENCIES[pair.currency]
    made = ql.FxForward(1.0, base, strike, quote, ql_date(maturity), False, 0, ql.NullCalendar())
    made.setPricingEngine(
        ql.DiscountingFxForwardEngine(
            base_curve(pair, quotes), quotes.curve(pair.quote_curve), ql.QuoteHandle(spot(pair, quotes))
        )
    )
    return made
