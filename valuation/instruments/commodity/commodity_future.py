"""Commodity future, settled daily: its price moves against the price it was last settled at.

Unit of quantity: one unit (barrel, ounce, ...), not a lot. Value = S exp(cT) - reference price, undiscounted, since gains are paid
the next day: c is the continuous cost of carry from `underlying` to the delivery month, zero where that is the price of
the month itself. Prices may be negative (WTI was, on 2020-04-20). Futures and forward prices are taken to be the same.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Mechanics of futures markets".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.commodity.forward_prices import CommodityTerms, commodity_factor, forward_prices
from valuation.instruments.fields import Date, Number, require_alive
from valuation.instruments.reads import settlement, years
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(CommodityTerms):
    instrument_type: ClassVar[str] = "commodity_future"

    reference_price: Number = Field(
        description="price of the last daily settlement, or of the trade since; gains count from there; may be negative"
    )
    maturity: Date = Field(description="last trading day")

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return (commodity_factor(index, terms.underlying, terms.currency),)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    times = years(market, (t.maturity for t in terms))
    references: Floats = np.array([[t.reference_price] for t in terms])
    return forward_prices([t.underlying for t in terms], [t.carry for t in terms], times, market) - references


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.maturity, until)
