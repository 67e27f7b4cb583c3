"""Equity future: a share or an index unit bought at a futures exchange, settled every day.

Unit of quantity: a future on one share or index unit (a contract of 50 units is a quantity of 50). Value = F - `reference_price`, not
discounted, because gains are paid at once: with the last settlement price as reference what is still to be settled, with the price
traded all that was gained. F = (S exp(-qT) - present value of cash dividends) / DF(T), the forward price: that of a future, which
differs from it where rates and the share move together, is not modelled (no convexity). Source: Hull, *Options, Futures, and
Other Derivatives*, ch. "Determination of forward and futures prices".
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
from valuation.instruments.fields import Currency, Date, DividendModel, Name, Price, Rate, require_alive
from valuation.instruments.reads import discount_factors, settlement, years
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

VERSION = "1"


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "equity_future"

    currency: Currency = Field(description="currency of the share and of the future, ISO 4217")
    underlying: Name = Field(description=UNDERLYING)
    reference_price: Price = Field(
        description="futures price that gains count from, positive: of the last settlement, or that traded"
    )
    maturity: Date = Field(description="last settlement day, on which the future is the share")
    dividend_yield: Rate = Field(0.0, description=YIELD)
    dividend_model: DividendModel | None = Field(None, description=FORWARD_DIVIDENDS)
    discount_curve: Name = Field(description="curve that the share is financed on, such as USD")

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return share_factors(terms, index, valuation_date, terms.maturity)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    lasts = [t.maturity for t in terms]
    times = years(market, lasts)
    discount = discount_factors(market, [t.discount_curve for t in terms], times)
    references: Floats = np.array([[t.reference_price] for t in terms])
    return delivered(terms, market, lasts, times) / discount - references


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.maturity, until)
