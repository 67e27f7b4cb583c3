"""European option on a share or index, under Black-Scholes-Merton.

Unit of quantity: an option on one share or index unit. Value = Black-Scholes-Merton with continuous dividend yield q and
the discount factor of the curve at expiry; on the expiry date the intrinsic value. Cash dividends of the market, by choice of model:

- `escrowed`: the share less the present value of its dividends to expiry is lognormal, and is what the formula is of;
- `spot`: the share itself is lognormal between ex-dates and falls by each dividend (`valuation.kernels.cash_dividends`).

Source: Merton, "Theory of rational option pricing", Bell Journal of Economics 4 (1973); see `valuation.kernels.black`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments.equity.shares import UNDERLYING, YIELD, carried, delivered, dividends_of, share_factors
from valuation.instruments.fields import (
    DISCOUNT_CURVE,
    SMILE,
    VOLATILITY,
    Currency,
    Date,
    DividendModel,
    Name,
    OptionType,
    Price,
    Rate,
    Smile,
    require_alive,
)
from valuation.instruments.reads import discount_factors, settlement, volatilities, volatility_factors, years
from valuation.kernels.black import european_options
from valuation.kernels.cash_dividends import spot_model_options
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

VERSION = "1"


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "equity_option"

    currency: Currency = Field(description="currency of the share and the strike, ISO 4217")
    underlying: Name = Field(description=UNDERLYING)
    volatility: Name = Field(description=VOLATILITY)
    smile: Smile | None = Field(None, description=SMILE)
    strike: Price = Field(description="exercise price of one share, positive")
    expiry: Date = Field(description="date of exercise")
    option_type: OptionType = Field(description="call or put")
    dividend_yield: Rate = Field(0.0, description=YIELD)
    dividend_model: DividendModel | None = Field(
        None, description="model of the market's cash dividends, escrowed or spot; the yield alone when absent"
    )
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.expiry, valuation_date)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    underlying, *others = share_factors(terms, index, valuation_date, terms.expiry)
    return (underlying, *volatility_factors(index, terms.volatility, valuation_date, terms.expiry), *others)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    times = years(market, (t.expiry for t in terms))
    signs: Floats = np.array([1.0 if t.option_type == "call" else -1.0 for t in terms])
    strikes: Floats = np.array([t.strike for t in terms])
    held = carried(terms, times)
    discount = discount_factors(market, [t.discount_curve for t in terms], times)
    spots = market.levels([t.underlying for t in terms])
    has_dividends = np.array([t.dividend_model is not None for t in terms])
    escrowed = spots
    if has_dividends.any():
        share = delivered(terms, market, [t.expiry for t in terms], times)
        escrowed = np.where(has_dividends[:, None], share / held[:, None], spots)

    def forward() -> Floats:
        return escrowed * held[:, None] / discount

    vols = volatilities(market, [t.volatility for t in terms], times, strikes, forward, [t.smile for t in terms])
    out = european_options(signs, held, strikes, times, escrowed, vols, discount)
    by_spot = np.flatnonzero([t.dividend_model == "spot" for t in terms])
    if len(by_spot):
        out[by_spot] = _in_spot_model(
            [terms[i] for i in by_spot.tolist()], market, by_spot, signs, strikes, times, vols, discount
        )
    return out


def _in_spot_model(
    terms: Sequence[Terms],
    market: Market,
    rows: Ints,
    signs: Floats,
    strikes: Floats,
    times: Floats,
    vols: Floats,
    discount: Floats,
) -> Floats:
    """Values of the contracts that stand in `rows` of the arrays."""
    dividends = dividends_of(terms, market, [t.expiry for t in terms])
    assert dividends is not None
    return spot_model_options(
        signs[rows],
        strikes[rows],
        times[rows],
        np.array([t.dividend_yield for t in terms]),
        market.levels([t.underlying for t in terms]),
        vols[rows],
        discount[rows],
        dividends.offsets,
        dividends.columns,
        dividends.times,
        dividends.amounts,
        dividends.discount,
    )


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)
