"""American option on a commodity future: the right to buy or sell it at the strike on any day up to expiry.

Unit of quantity: an option on one unit (barrel, ounce, ...) of the future. The future is worth F = S exp(cT), with S the commodity
price, c the continuous cost of carry and T the time to expiry; where S is the price of a future itself, carry is 0.
Value = the most that exercise, which pays F - K or K - F, is worth when F is lognormal without drift (Black-76) and the rate of the
curve to expiry is flat; never below exercise now; on the expiry date the intrinsic value. The future is margined: it has no cost,
so with a rate of zero or below the option is worth the European one. By default from the exercise boundary, to some 1e-7 of the
strike, by choice from Longstaff-Schwartz. Limits: a future is positive here (a price of zero or below has no value, and the
contract fails); rate and volatility do not vary up to expiry.
Source: Andersen, Lake and Offengenden (2016), Longstaff and Schwartz (2001), Black (1976); see `valuation.kernels.american` and
`valuation.kernels.longstaff_schwartz`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.early_exercise import AmericanTerms, Inputs, american_values, simulated_errors
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Name, Rate
from valuation.instruments.reads import (
    curve_factors,
    discount_factors,
    require_factor,
    settlement,
    volatility_factors,
    years,
)
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(AmericanTerms):
    instrument_type: ClassVar[str] = "commodity_american_option"

    currency: Currency = Field(description="currency of the commodity price and the strike, ISO 4217")
    underlying: Name = Field(description="risk factor id of the commodity price, such as CMD:WTI")
    carry: Rate = Field(
        0.0, description="continuous cost of carry, fraction a year: futures price = price x exp(carry T)"
    )
    discount_curve: Name = Field(description=DISCOUNT_CURVE)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    underlying = require_factor(index, terms.underlying, ("commodity_price",), terms.currency)
    volatility = volatility_factors(index, terms.volatility, valuation_date, terms.expiry)
    return (underlying, *volatility, *curve_factors(index, terms.discount_curve, valuation_date, terms.expiry))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return american_values(terms, _inputs(terms, market))


def errors(terms: Terms, market: Market, weights: Floats) -> Floats:
    """Standard errors of weighted sums over states of a unit's value by Longstaff-Schwartz, (n_sums,); weights : (n_sums, n_states)."""
    return simulated_errors(terms, _inputs([terms], market), weights)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)


def _inputs(terms: Sequence[Terms], market: Market) -> Inputs:
    times = years(market, (t.expiry for t in terms))
    growth: Floats = np.array([[math.exp(t.carry * y)] for t, y in zip(terms, times.tolist(), strict=True)])
    futures = market.levels([t.underlying for t in terms]) * growth
    discounts = discount_factors(market, [t.discount_curve for t in terms], times)
    return Inputs.of(terms, market, times, futures, discounts, discounts)
