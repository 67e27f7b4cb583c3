"""Commodity forward: the obligation to buy one unit of a commodity at maturity for the strike.

Unit of quantity: one unit (barrel, ounce, ...) bought forward. Value = (S exp(cT) - K) DF(T), with c the continuous cost
of carry that takes the spot price to the forward price. Spot and strike may be negative (WTI was, on 2020-04-20).
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Determination of forward and futures prices".
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
from valuation.instruments.fields import DISCOUNT_CURVE, Date, Name, Number, require_alive
from valuation.instruments.reads import curve_factors, discount_factors, settlement, years
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(CommodityTerms):
    instrument_type: ClassVar[str] = "commodity_forward"

    strike: Number = Field(description="price paid at maturity for one unit; may be negative")
    maturity: Date = Field(description="date of delivery and payment")
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    underlying = commodity_factor(index, terms.underlying, terms.currency)
    return (underlying, *curve_factors(index, terms.discount_curve, valuation_date, terms.maturity))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    times = years(market, (t.maturity for t in terms))
    forwards = forward_prices([t.underlying for t in terms], [t.carry for t in terms], times, market)
    strikes: Floats = np.array([[t.strike] for t in terms])
    discount = discount_factors(market, [t.discount_curve for t in terms], times)
    return (forwards - strikes) * discount


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.maturity, until)
