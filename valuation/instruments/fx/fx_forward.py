"""FX forward: the obligation to buy one unit of the base currency at maturity for the strike, in the quote currency.

Unit of quantity: one unit of base currency bought forward. Value in the quote currency = S DF_base(T) - K DF_quote(T).
The base currency is discounted on its own curve where there is one, else at a continuous rate given in the terms.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Determination of forward and futures prices".
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import Currency, Date, Name, Price, Rate, require_alive
from valuation.instruments.reads import curve_factors, discount_factors, settlement, years
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

VERSION = "1"


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "fx_forward"

    currency: Currency = Field(description="quote currency, in which strike and value are, ISO 4217")
    base_currency: Currency = Field(description="currency bought, ISO 4217")
    strike: Price = Field(description="units of quote currency paid for one of base currency, positive")
    maturity: Date = Field(description="date on which both currencies are paid")
    quote_curve: Name = Field(description="curve that discounts the quote currency, such as USD")
    base_curve: Name | None = Field(None, description="curve that discounts the base currency; or give base_rate")
    base_rate: Rate | None = Field(
        None, description="continuous rate of the base currency, fraction a year, where it has no curve"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.base_currency == self.currency:
            raise ValueError(f"base_currency and currency are both {self.currency}; an FX forward exchanges two")
        if (self.base_curve is None) == (self.base_rate is None):
            raise ValueError("exactly one of base_curve and base_rate is expected")
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    spot = tuple(risk_factor_id for risk_factor_id, _ in index.fx_path(terms.base_currency, terms.currency))
    base = () if terms.base_curve is None else curve_factors(index, terms.base_curve, valuation_date, terms.maturity)
    return tuple(
        dict.fromkeys((*spot, *base, *curve_factors(index, terms.quote_curve, valuation_date, terms.maturity)))
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    times = years(market, (t.maturity for t in terms))
    pairs = {(t.base_currency, t.currency) for t in terms}
    spots = {pair: market.fx(*pair) for pair in pairs}
    out = np.array([spots[t.base_currency, t.currency] for t in terms])
    on_curve = [i for i, t in enumerate(terms) if t.base_curve is not None]
    if on_curve:
        curves = [t.base_curve for t in terms if t.base_curve is not None]
        out[on_curve] *= discount_factors(market, curves, times[on_curve])
    for i, t in enumerate(terms):
        if t.base_rate is not None:
            out[i] *= math.exp(-t.base_rate * times[i])
    strikes: Floats = np.array([[t.strike] for t in terms])
    return out - strikes * discount_factors(market, [t.quote_curve for t in terms], times)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.maturity, until)
