"""What options on a share or an index share: its price, a continuous dividend yield and the curve that discounts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pydantic import Field

from scenarios.types import SHARES, FactorIndex
from valuation.instruments.equity.shares import UNDERLYING, YIELD, carried
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, Name, Rate, require_alive
from valuation.instruments.reads import (
    curve_factors,
    discount_factors,
    require_factor,
    volatility_factors,
    years,
)
from valuation.instruments.underlyings import Underlyings
from valuation.types import InstrumentTerms, Market


class ShareOption(InstrumentTerms):
    """Terms of an option on a share or an index."""

    currency: Currency = Field(description="currency of the share and of what is paid, ISO 4217")
    underlying: Name = Field(description=UNDERLYING)
    volatility: Name = Field(description="risk factor id of the lognormal implied volatility, such as IV:AAPL")
    expiry: Date = Field(description="last day, on which it is settled")
    dividend_yield: Rate = Field(0.0, description=YIELD)
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.expiry, valuation_date)


def share_option_factors(
    terms: ShareOption, index: FactorIndex, valuation_date: dt.date, first: dt.date | None = None
) -> tuple[str, ...]:
    """Ids of the factors that decide the value of an option, whose discount factors are read from `first` (expiry) on."""
    underlying = require_factor(index, terms.underlying, SHARES, terms.currency)
    volatility = volatility_factors(index, terms.volatility, valuation_date, terms.expiry)
    curve = curve_factors(index, terms.discount_curve, valuation_date, terms.expiry, first)
    return (underlying, *volatility, *curve)


def shares_of(terms: Sequence[ShareOption], market: Market) -> Underlyings:
    times = years(market, (t.expiry for t in terms))
    spots = market.levels([t.underlying for t in terms])
    return Underlyings(
        times,
        spots,
        spots * carried(terms, times)[:, None],
        discount_factors(market, [t.discount_curve for t in terms], times),
    )
