"""European option on an exchange rate, under Garman-Kohlhagen.

Unit of quantity: an option on one unit of base currency; a call buys it. Value in the quote currency = Black-Scholes-Merton
in which the base currency's interest is the dividend yield: an exchange of S DF_base(T) for K DF_quote(T). On the expiry
date the intrinsic value. The currencies are exchanged on the expiry date, not two days later. Curves and rates are those
of `valuation.instruments.fx.pairs`.
Source: Garman and Kohlhagen, "Foreign currency option values", Journal of International Money and Finance 2 (1983);
see `valuation.kernels.black`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import Date, Name, OptionType, Price, require_alive
from valuation.instruments.fx.pairs import DiscountedPair, delivered_values, exchange_factors, quote_discounts
from valuation.instruments.reads import settlement, volatilities, volatility_factors, years
from valuation.kernels.black import european_options
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(DiscountedPair):
    instrument_type: ClassVar[str] = "fx_option"

    volatility: Name = Field(description="risk factor id of the lognormal implied volatility, such as IV:EURUSD")
    strike: Price = Field(description="units of quote currency paid for one of base currency at exercise, positive")
    expiry: Date = Field(description="date of exercise and payment")
    option_type: OptionType = Field(description="call (buys the base currency) or put (sells it)")

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.expiry, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return (
        *exchange_factors(terms, index, valuation_date, terms.expiry),
        *volatility_factors(index, terms.volatility, valuation_date, terms.expiry),
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    times = years(market, (t.expiry for t in terms))
    strikes: Floats = np.array([t.strike for t in terms])
    delivered = delivered_values(terms, times, market)
    discount = quote_discounts(terms, times, market)
    return european_options(
        np.array([1.0 if t.option_type == "call" else -1.0 for t in terms]),
        np.ones(len(terms)),
        strikes,
        times,
        delivered,
        volatilities(market, [t.volatility for t in terms], times, strikes, delivered / discount),
        discount,
    )


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)
