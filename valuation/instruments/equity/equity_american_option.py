"""American option on a share or index: a call or put that may be exercised on any day up to expiry.

Unit of quantity: an option on one share or index unit. Value = the most that exercise is worth under Black-Scholes-Merton with
continuous dividend yield q and the rate r of the curve to expiry, both flat; never below exercise now; on the expiry date the
intrinsic value. By default from the exercise boundary, to some 1e-7 of the strike, by choice from Longstaff-Schwartz.
Limits: dividends are a yield, not days with an amount; rates and volatility do not vary up to expiry.
Source: Andersen, Lake and Offengenden (2016), Longstaff and Schwartz (2001); see `valuation.kernels.american` and
`valuation.kernels.longstaff_schwartz`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import SHARES, FactorIndex
from valuation.instruments.early_exercise import AmericanTerms, Inputs, american_values, simulated_errors
from valuation.instruments.equity.shares import UNDERLYING, YIELD, carried
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
    instrument_type: ClassVar[str] = "equity_american_option"

    currency: Currency = Field(description="currency of the share and the strike, ISO 4217")
    underlying: Name = Field(description=UNDERLYING)
    dividend_yield: Rate = Field(0.0, description=YIELD)
    discount_curve: Name = Field(description=DISCOUNT_CURVE)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    underlying = require_factor(index, terms.underlying, SHARES, terms.currency)
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
    spots = market.levels([t.underlying for t in terms])
    kept = np.repeat(carried(terms, times)[:, None], market.n_states, axis=1)
    discounts = discount_factors(market, [t.discount_curve for t in terms], times)
    return Inputs.of(terms, market, times, spots, kept, discounts)
