"""European option on the forward price of a commodity: Black-76, or Bachelier.

Unit of quantity: an option on one unit (barrel, ounce, ...). With F = S exp(cT) the forward price of the expiry date, c the
continuous cost of carry, zero where `underlying` is the price of the option's future itself,
value = DF(T) x Black-76 or DF(T) x Bachelier; on the expiry date the intrinsic value.

`model` lognormal takes a lognormal volatility, and a positive strike and base forward; a state in which the forward is zero or
below gives the discounted intrinsic value, the limit of Black-76 as the forward falls to zero: a call is worth nothing, a put
K - F, and the difference of the two stays a forward. `model` normal takes a normal volatility in units of price a square root
of a year, and any forward and strike: what exchanges turned to in April 2020.
Source: Black, "The pricing of commodity contracts", Journal of Financial Economics 3 (1976); see `valuation.kernels.bachelier`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.commodity.forward_prices import (
    CommodityTerms,
    commodity_factor,
    forward_prices,
    require_positive_forward,
)
from valuation.instruments.fields import DISCOUNT_CURVE, Date, Name, Number, OptionType, require_alive
from valuation.instruments.reads import (
    curve_factors,
    discount_factors,
    settlement,
    volatilities,
    volatility_factors,
    years,
)
from valuation.kernels.commodity_options import options_on_forwards
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"
_VOLATILITY = {"lognormal": ("implied_vol",), "normal": ("normal_price_vol",)}  # types by model


class Terms(CommodityTerms):
    instrument_type: ClassVar[str] = "commodity_option"

    volatility: Name = Field(
        description="risk factor id of the implied volatility: lognormal such as IV:WTI, or with model normal in price units"
    )
    strike: Number = Field(description="exercise price of one unit; zero or below with model normal only")
    expiry: Date = Field(description="date of exercise")
    option_type: OptionType = Field(description="call or put")
    model: Literal["lognormal", "normal"] = Field("lognormal", description="lognormal (Black-76) or normal (Bachelier)")
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    @model_validator(mode="after")
    def _strike_of_the_model(self) -> Self:
        if self.model == "lognormal" and self.strike <= 0:
            raise ValueError(f"strike {self.strike:g} must be positive under model lognormal; model normal takes any")
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.expiry, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    types = _VOLATILITY[terms.model]
    return (
        commodity_factor(index, terms.underlying, terms.currency),
        *volatility_factors(index, terms.volatility, valuation_date, terms.expiry, types),
        *curve_factors(index, terms.discount_curve, valuation_date, terms.expiry),
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    times = years(market, (t.expiry for t in terms))
    forwards = forward_prices([t.underlying for t in terms], [t.carry for t in terms], times, market)
    for t, base in zip(terms, forwards[:, 0].tolist(), strict=True):
        if t.model == "lognormal":
            require_positive_forward(t.underlying, base, "commodity_option with model normal")
    strikes: Floats = np.array([t.strike for t in terms])
    return options_on_forwards(
        np.array([1.0 if t.option_type == "call" else -1.0 for t in terms]),
        np.array([t.model == "normal" for t in terms]),
        strikes,
        times,
        forwards,
        volatilities(market, [t.volatility for t in terms], times, strikes, forwards),
        discount_factors(market, [t.discount_curve for t in terms], times),
    )


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)
