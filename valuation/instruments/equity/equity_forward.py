"""Equity forward: the obligation to buy one share, or one index unit, at maturity for the strike.

Unit of quantity: one share or index unit bought forward. Value = S exp(-qT) - K DF(T), with q the continuous dividend
yield. Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Determination of forward and futures prices".
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
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, Name, Price, Rate, require_alive
from valuation.instruments.reads import curve_factors, discount_factors, require_factor, settlement, years
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

VERSION = "1"


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "equity_forward"

    currency: Currency = Field(description="currency of the share and the strike, ISO 4217")
    underlying: Name = Field(description="risk factor id of the share or index, such as EQ:AAPL")
    strike: Price = Field(description="price paid at maturity for one share, positive")
    maturity: Date = Field(description="date of delivery and payment")
    dividend_yield: Rate = Field(0.0, description="continuous dividend yield, fraction a year (0.02 is 2%)")
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    underlying = require_factor(index, terms.underlying, SHARES, terms.currency)
    return (underlying, *curve_factors(index, terms.discount_curve, valuation_date, terms.maturity))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    times = years(market, (t.maturity for t in terms))
    carried: Floats = np.array(
        [[math.exp(-t.dividend_yield * time)] for t, time in zip(terms, times.tolist(), strict=True)]
    )
    strikes: Floats = np.array([[t.strike] for t in terms])
    discount = discount_factors(market, [t.discount_curve for t in terms], times)
    return market.levels([t.underlying for t in terms]) * carried - strikes * discount


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.maturity, until)
