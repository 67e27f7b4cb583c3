"""European option on a share or index, under Black-Scholes-Merton.

Unit of quantity: an option on one share or index unit. Value = Black-Scholes-Merton with continuous dividend yield q and
the discount factor of the curve at expiry; on the expiry date the intrinsic value.
Source: Merton, "Theory of rational option pricing", Bell Journal of Economics 4 (1973); see `valuation.kernels.black`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import SHARES, FactorIndex
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, Name, OptionType, Price, Rate, require_alive
from valuation.instruments.reads import (
    curve_factors,
    discount_factors,
    require_factor,
    settlement,
    volatilities,
    volatility_factors,
    years,
)
from valuation.kernels.black import european_options
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

VERSION = "1"


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "equity_option"

    currency: Currency = Field(description="currency of the share and the strike, ISO 4217")
    underlying: Name = Field(description="risk factor id of the share or index, such as EQ:AAPL")
    volatility: Name = Field(description="risk factor id of the lognormal implied volatility, such as IV:AAPL")
    strike: Price = Field(description="exercise price of one share, positive")
    expiry: Date = Field(description="date of exercise")
    option_type: OptionType = Field(description="call or put")
    dividend_yield: Rate = Field(0.0, description="continuous dividend yield, fraction a year (0.02 is 2%)")
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.expiry, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    underlying = require_factor(index, terms.underlying, SHARES, terms.currency)
    volatility = volatility_factors(index, terms.volatility, valuation_date, terms.expiry)
    return (underlying, *volatility, *curve_factors(index, terms.discount_curve, valuation_date, terms.expiry))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    times = years(market, (t.expiry for t in terms))
    carried: Floats = np.array([math.exp(-t.dividend_yield * y) for t, y in zip(terms, times.tolist(), strict=True)])
    strikes: Floats = np.array([t.strike for t in terms])
    spots = market.levels([t.underlying for t in terms])
    discount = discount_factors(market, [t.discount_curve for t in terms], times)
    forwards = spots * carried[:, None] / discount
    return european_options(
        np.array([1.0 if t.option_type == "call" else -1.0 for t in terms]),
        carried,
        strikes,
        times,
        spots,
        volatilities(market, [t.volatility for t in terms], times, strikes, forwards),
        discount,
    )


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)
