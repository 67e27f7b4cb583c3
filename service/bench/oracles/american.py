"""What the oracles of American options share: QuantLib's QdFp engine, and finite differences where that refuses."""

from __future__ import annotations

from collections.abc import Callable

import QuantLib as ql  # noqa: N813

from service.bench.oracles.market import DAY_COUNT, Quotes, ql_date
from valuation.instruments.early_exercise import AmericanTerms

TOLERANCE = 1e-5  # QuantLib's accurate scheme, its default, is right to some 6e-6 of the strike, ours to 1e-7
BAR = 5  # both solve for the boundary in every state; its scheme that is as exact as ours takes 50 times as long
_GRID = 400  # time and price steps of finite differences


def american_price(
    terms: AmericanTerms, quotes: Quotes, spot: ql.SimpleQuote, yields: ql.YieldTermStructureHandle, curve: str
) -> Callable[[], float]:
    """Price of one unit: rates flat to expiry, as ours."""
    expiry = ql_date(terms.expiry)
    volatility = quotes.volatility(terms.volatility)
    kind = ql.Option.Call if terms.option_type == "call" else ql.Option.Put
    option = ql.VanillaOption(
        ql.PlainVanillaPayoff(kind, terms.strike), ql.AmericanExercise(ql_date(quotes.market.valuation_date), expiry)
    )

    def flat(handle: ql.YieldTermStructureHandle) -> ql.SimpleQuote:
        quote = ql.SimpleQuote(0.0)
        quotes.follow(
            lambda _: quote.setValue(handle.zeroRate(expiry, DAY_COUNT, ql.Continuous, ql.Annual, True).rate())
        )
        return quote

    rate, carry = flat(quotes.curve(curve)), flat(yields)
    today = ql_date(quotes.market.valuation_date)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(spot),
        ql.YieldTermStructureHandle(ql.FlatForward(today, ql.QuoteHandle(carry), DAY_COUNT)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, ql.QuoteHandle(rate), DAY_COUNT)),
        volatility,
    )
    boundary = ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.accurateScheme())
    grid = ql.FdBlackScholesVanillaEngine(process, _GRID, _GRID)
    used = None

    def price() -> float:
        nonlocal used
        rates = (rate.value(), carry.value())  # of what is paid and of what is received by who exercises a call
        received, paid = rates if terms.option_type == "put" else rates[::-1]
        wanted = grid if paid < received < 0 else boundary
        if wanted is not used:
            option.setPricingEngine(used := wanted)
        return float(option.NPV())

    return price
