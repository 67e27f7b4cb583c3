"""FX swap: one unit of the base currency bought on the near date and sold back on the far date.

Unit of quantity: one unit of base currency bought near and sold far; a negative quantity sells near and buys far. Value in
the quote currency = [S DF_base(t) - K_near DF_quote(t)] - [S DF_base(T) - K DF_quote(T)], the first bracket while the near
date t has not passed. Curves and rates are those of `valuation.instruments.fx.pairs`. Both legs are of the same amount of
base currency; an uneven swap is two FX forwards.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Determination of forward and futures prices", a forward each leg.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import Date, Price, require_alive
from valuation.instruments.fx.pairs import DiscountedPair, exchange_factors, exchange_values
from valuation.instruments.reads import settlement, years
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(DiscountedPair):
    instrument_type: ClassVar[str] = "fx_swap"

    near_strike: Price = Field(
        description="rate of the near leg: quote currency paid for one of base currency, positive"
    )
    near_maturity: Date = Field(description="date on which the base currency is bought; may have passed")
    strike: Price = Field(description="rate of the far leg: quote currency received for one of base currency, positive")
    maturity: Date = Field(description="date on which the base currency is sold back")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.near_maturity >= self.maturity:
            raise ValueError(f"near_maturity {self.near_maturity} must lie before maturity {self.maturity}")
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    days = [day for day in (terms.near_maturity, terms.maturity) if day >= valuation_date]
    return exchange_factors(terms, index, valuation_date, *days)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    out = _far(terms, market)
    near = [i for i, t in enumerate(terms) if t.near_maturity >= market.valuation_date]
    if near:
        out[near] += _near([terms[i] for i in near], market)
    return out


def _near(terms: Sequence[Terms], market: Market) -> Floats:
    times = years(market, (t.near_maturity for t in terms))
    return exchange_values(terms, [t.near_strike for t in terms], times, market)


def _far(terms: Sequence[Terms], market: Market) -> Floats:
    return -exchange_values(terms, [t.strike for t in terms], years(market, (t.maturity for t in terms)), market)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return (
        *settlement(_near, terms, markets, terms.near_maturity, until),
        *settlement(_far, terms, markets, terms.maturity, until),
    )
