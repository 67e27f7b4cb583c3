"""European option on the difference of two commodity prices: two commodities, or two delivery months of one (calendar spread).

Unit of quantity: an option on one unit of `underlying` less one of `second_underlying`. It pays max(F1 - F2 - K, 0) as a call,
max(K - F1 + F2, 0) as a put. Both forwards F = S exp(cT) are lognormal with a constant correlation. Margrabe's formula at a strike of
zero, which is exact; Kirk's approximation at others, which takes F2 + K for one lognormal price (F1 - K where K is
negative). A state in which a forward is zero or below leaves that one without volatility, as in `valuation.kernels.commodity_options`.
Source: Margrabe, "The value of an option to exchange one asset for another", Journal of Finance 33 (1978); Kirk,
"Correlation in the energy markets", in Managing Energy Price Risk (1995).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

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
from valuation.instruments.fields import DISCOUNT_CURVE, Date, Name, Number, OptionType, Rate, require_alive
from valuation.instruments.reads import (
    curve_factors,
    discount_factors,
    settlement,
    volatilities,
    volatility_factors,
    years,
)
from valuation.kernels.commodity_options import spread_options
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(CommodityTerms):
    instrument_type: ClassVar[str] = "commodity_spread_option"

    volatility: Name = Field(
        description="risk factor id of the lognormal implied volatility of underlying, such as IV:WTI"
    )
    second_underlying: Name = Field(description="risk factor id of the price that is subtracted, such as CMD:WTI:M2")
    second_carry: Rate = Field(0.0, description="continuous cost of carry of second_underlying, fraction a year")
    second_volatility: Name = Field(
        description="risk factor id of the lognormal implied volatility of second_underlying"
    )
    correlation: Annotated[Number, Field(ge=-1, le=1)] = Field(
        description="correlation of the two forward prices' returns, -1 to 1"
    )
    strike: Number = Field(description="exercise price of the difference; may be zero or negative")
    expiry: Date = Field(description="date of exercise")
    option_type: OptionType = Field(description="call or put")
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    @model_validator(mode="after")
    def _two_prices(self) -> Self:
        if self.underlying == self.second_underlying:
            raise ValueError(f"underlying and second_underlying are both {self.underlying}; a spread is between two")
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.expiry, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    read = (
        commodity_factor(index, terms.underlying, terms.currency),
        commodity_factor(index, terms.second_underlying, terms.currency),
        *volatility_factors(index, terms.volatility, valuation_date, terms.expiry),
        *volatility_factors(index, terms.second_volatility, valuation_date, terms.expiry),
        *curve_factors(index, terms.discount_curve, valuation_date, terms.expiry),
    )
    return tuple(dict.fromkeys(read))  # both may have one volatility


def value(terms: Sequence[Terms], market: Market) -> Floats:
    times = years(market, (t.expiry for t in terms))
    first = forward_prices([t.underlying for t in terms], [t.carry for t in terms], times, market)
    second = forward_prices([t.second_underlying for t in terms], [t.second_carry for t in terms], times, market)
    for t, *base in zip(terms, first[:, 0].tolist(), second[:, 0].tolist(), strict=True):
        for underlying, forward in zip((t.underlying, t.second_underlying), base, strict=True):
            require_positive_forward(
                underlying, forward, "two commodity_option contracts with model normal, or correct it"
            )
    strikes: Floats = np.array([t.strike for t in terms])
    # each leg's volatility is read at its own forward of the base: the strike is one of the spread
    return spread_options(
        np.array([1.0 if t.option_type == "call" else -1.0 for t in terms]),
        strikes,
        times,
        np.array([t.correlation for t in terms]),
        first,
        second,
        volatilities(market, [t.volatility for t in terms], times, first[:, 0], first),
        volatilities(market, [t.second_volatility for t in terms], times, second[:, 0], second),
        discount_factors(market, [t.discount_curve for t in terms], times),
    )


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)
