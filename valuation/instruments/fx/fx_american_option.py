"""American option on an exchange rate: the right to exchange two currencies on any day up to expiry.

Unit of quantity: an option on one unit of base currency; a call buys it. Value in the quote currency = the most that exercise is
worth under Garman-Kohlhagen with the rates of both curves to expiry, flat; never below exercise now; on the expiry date the
intrinsic value. The currencies are exchanged on the day of exercise. By default from the exercise boundary, to some 1e-7 of the
strike, by choice from Longstaff-Schwartz. With negative rates the option may pay exercise between two boundaries only; then a
grid of finite differences gives the value, to 1e-5 of the strike. Limits: rates and volatility do not vary up to expiry.
Source: Andersen, Lake and Offengenden (2016), Longstaff and Schwartz (2001); see `valuation.kernels.american` and
`valuation.kernels.longstaff_schwartz`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.early_exercise import AmericanTerms, Inputs, american_values, simulated_errors
from valuation.instruments.fx.pairs import DiscountedPair, exchange_factors, quote_discounts, spot_rates
from valuation.instruments.reads import discount_factors, settlement, volatility_factors, years
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(DiscountedPair, AmericanTerms):
    instrument_type: ClassVar[str] = "fx_american_option"


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return (
        *exchange_factors(terms, index, valuation_date, terms.expiry),
        *volatility_factors(index, terms.volatility, valuation_date, terms.expiry),
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return american_values(terms, _inputs(terms, market))


def errors(terms: Terms, market: Market, weights: Floats) -> Floats:
    """Standard errors of weighted sums over states of a unit's value by Longstaff-Schwartz, (n_sums,); weights : (n_sums, n_states)."""
    return simulated_errors(terms, _inputs([terms], market), weights)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)


def _inputs(terms: Sequence[Terms], market: Market) -> Inputs:
    times = years(market, (t.expiry for t in terms))
    at_rate = [[math.exp(-(t.base_rate or 0.0) * y)] for t, y in zip(terms, times.tolist(), strict=True)]
    carried: Floats = np.repeat(np.array(at_rate), market.n_states, axis=1)
    on_curve = [i for i, t in enumerate(terms) if t.base_curve is not None]
    curves = [t.base_curve for t in terms if t.base_curve is not None]
    carried[on_curve] = discount_factors(market, curves, times[on_curve])
    return Inputs.of(terms, market, times, spot_rates(terms, market), carried, quote_discounts(terms, times, market))
