"""Equity forward: the obligation to buy one share, or one index unit, at maturity for the strike.

Unit of quantity: one share or index unit bought forward. Value = S exp(-qT) - K DF(T), with q the continuous dividend
yield; with the cash dividends of the market less their present value. Source: Hull, *Options, Futures, and Other Derivatives*, ch.
"Determination of forward and futures prices"; see `valuation.instruments.equity.shares`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.equity.shares import FORWARD_DIVIDENDS, UNDERLYING, YIELD, delivered, share_factors
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, DividendModel, Name, Price, Rate, require_alive
from valuation.instruments.reads import discount_factors, settlement, years
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

VERSION = "1"


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "equity_forward"

    currency: Currency = Field(description="currency of the share and the strike, ISO 4217")
    underlying: Name = Field(description=UNDERLYING)
    strike: Price = Field(description="price paid at maturity for one share, positive")
    maturity: Date = Field(description="date of delivery and payment")
    dividend_yield: Rate = Field(0.0, description=YIELD)
    dividend_model: DividendModel | None = Field(None, description=FORWARD_DIVIDENDS)
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return share_factors(terms, index, valuation_date, terms.maturity)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    lasts = [t.maturity for t in terms]
    times = years(market, lasts)
    strikes: Floats = np.array([[t.strike] for t in terms])
    discount = discount_factors(market, [t.discount_curve for t in terms], times)
    return delivered(terms, market, lasts, times) - strikes * discount


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.maturity, until)
