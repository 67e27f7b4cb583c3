"""What FX instruments share: two currencies, their curves, and what an exchange of them is worth.

The currency of value is the quote currency. The base currency is discounted on its own curve where there is one, else at
a continuous rate given in the terms. Rates have no spot lag: the spot rate S is that of an exchange on the valuation date, and

    forward rate F(T) = S DF_base(T) / DF_quote(T)   (covered interest parity).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import Currency, Name, Rate
from valuation.instruments.reads import curve_factors, discount_factors
from valuation.types import InstrumentTerms, Market


class CurrencyPair(InstrumentTerms):
    """Terms of what exchanges two currencies."""

    currency: Currency = Field(description="quote currency, in which strike and value are, ISO 4217")
    base_currency: Currency = Field(description="currency bought, ISO 4217")

    @model_validator(mode="after")
    def _two_currencies(self) -> Self:
        if self.base_currency == self.currency:
            raise ValueError(f"base_currency and currency are both {self.currency}; an exchange is of two currencies")
        return self


class DiscountedPair(CurrencyPair):
    """Terms of what exchanges two currencies later, so that both are discounted."""

    quote_curve: Name = Field(description="curve that discounts the quote currency, such as USD")
    base_curve: Name | None = Field(None, description="curve that discounts the base currency; or give base_rate")
    base_rate: Rate | None = Field(
        None, description="continuous rate of the base currency, fraction a year, where it has no curve"
    )

    @model_validator(mode="after")
    def _base_discounted_once(self) -> Self:
        if (self.base_curve is None) == (self.base_rate is None):
            raise ValueError("exactly one of base_curve and base_rate is expected")
        return self


def spot_factors(pair: CurrencyPair, index: FactorIndex) -> tuple[str, ...]:
    """Ids of the exchange rates that make the spot rate."""
    return tuple(risk_factor_id for risk_factor_id, _ in index.fx_path(pair.base_currency, pair.currency))


def base_factors(pair: DiscountedPair, index: FactorIndex, valuation_date: dt.date, day: dt.date) -> tuple[str, ...]:
    """Ids of the factors that discount the base currency to a day; none where it has a rate of its own."""
    return () if pair.base_curve is None else curve_factors(index, pair.base_curve, valuation_date, day)


def exchange_factors(
    pair: DiscountedPair, index: FactorIndex, valuation_date: dt.date, *days: dt.date
) -> tuple[str, ...]:
    """Ids of the factors that decide the value of exchanges on these days, each once."""
    curves = (
        f
        for day in days
        for f in (
            *base_factors(pair, index, valuation_date, day),
            *curve_factors(index, pair.quote_curve, valuation_date, day),
        )
    )
    return tuple(dict.fromkeys((*spot_factors(pair, index), *curves)))


def spot_rates(pairs: Sequence[CurrencyPair], market: Market) -> Floats:
    """Units of quote currency for one of base currency, shape (n_contracts, n_states)."""
    rates = {pair: market.fx(*pair) for pair in {(p.base_currency, p.currency) for p in pairs}}
    return np.array([rates[p.base_currency, p.currency] for p in pairs])


def delivered_values(pairs: Sequence[DiscountedPair], times: Floats, market: Market) -> Floats:
    """Value in the quote currency of one unit of base currency paid at `times` (n_contracts,): S DF_base, (n_contracts, n_states)."""
    out = spot_rates(pairs, market)
    on_curve = [i for i, p in enumerate(pairs) if p.base_curve is not None]
    if on_curve:
        curves = [p.base_curve for p in pairs if p.base_curve is not None]
        out[on_curve] *= discount_factors(market, curves, times[on_curve])
    for i, p in enumerate(pairs):
        if p.base_rate is not None:
            out[i] *= math.exp(-p.base_rate * times[i])
    return out


def quote_discounts(pairs: Sequence[DiscountedPair], times: Floats, market: Market) -> Floats:
    """Discount factors of the quote currency, shape (n_contracts, n_states)."""
    return discount_factors(market, [p.quote_curve for p in pairs], times)


def exchange_values(pairs: Sequence[DiscountedPair], strikes: Sequence[float], times: Floats, market: Market) -> Floats:
    """Value of receiving one unit of base currency and paying the strike at `times`, shape (n_contracts, n_states)."""
    paid: Floats = np.array(strikes)[:, None]
    return delivered_values(pairs, times, market) - paid * quote_discounts(pairs, times, market)
