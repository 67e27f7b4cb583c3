"""FX forward: the obligation to buy one unit of the base currency at maturity for the strike, in the quote currency.

Unit of quantity: one unit of base currency bought forward. Value in the quote currency = S DF_base(T) - K DF_quote(T).
Curves and rates are those of `valuation.instruments.fx.pairs`.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Determination of forward and futures prices".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import Date, Price, require_alive
from valuation.instruments.fx.pairs import DiscountedPair, exchange_factors, exchange_values
from valuation.instruments.reads import settlement, years
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(DiscountedPair):
    instrument_type: ClassVar[str] = "fx_forward"

    strike: Price = Field(description="units of quote currency paid for one of base currency, positive")
    maturity: Date = Field(description="date on which both currencies are paid")

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return exchange_factors(terms, index, valuation_date, terms.maturity)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return exchange_values(terms, [t.strike for t in terms], years(market, (t.maturity for t in terms)), market)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.maturity, until)
