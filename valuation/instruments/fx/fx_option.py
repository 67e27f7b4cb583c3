"""European option on an exchange rate, under Garman-Kohlhagen.

Unit of quantity: an option on one unit of base currency; a call buys it. Value in the quote currency = Black-Scholes-Merton
in which the base currency's interest is the dividend yield: an exchange of S DF_base(T) for K DF_quote(T). On the expiry
date the intrinsic value. The currencies are exchanged on the expiry date, not two days later. Curves and rates are those
of `valuation.instruments.fx.pairs`.
Source: Garman and Kohlhagen, "Foreign currency option values", Journal of International Money and Finance 2 (1983);
see `valuation.kernels.black`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import OptionType, Price
from valuation.instruments.fx.pair_options import PairOption, pair_option_factors, pairs_of
from valuation.instruments.reads import settlement, volatilities
from valuation.kernels.black import european_options
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(PairOption):
    instrument_type: ClassVar[str] = "fx_option"

    strike: Price = Field(description="units of quote currency paid for one of base currency at exercise, positive")
    option_type: OptionType = Field(description="call (buys the base currency) or put (sells it)")


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return pair_option_factors(terms, index, valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    pairs = pairs_of(terms, market)
    strikes: Floats = np.array([t.strike for t in terms])
    return european_options(
        np.array([1.0 if t.option_type == "call" else -1.0 for t in terms]),
        np.ones(len(terms)),
        strikes,
        pairs.times,
        pairs.delivered,
        volatilities(market, [t.volatility for t in terms], pairs.times, strikes, lambda: pairs.forward),
        pairs.discount,
    )


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)
