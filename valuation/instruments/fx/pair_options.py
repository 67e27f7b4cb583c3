"""What options on an exchange rate share: a currency pair, the volatility of its rate, and an expiry.

The option is on one unit of base currency, and is paid in the quote currency.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pydantic import Field

from scenarios.types import FactorIndex
from valuation.instruments.fields import Date, Name, require_alive
from valuation.instruments.fx.pairs import (
    DiscountedPair,
    delivered_values,
    exchange_factors,
    quote_discounts,
    spot_rates,
)
from valuation.instruments.reads import volatility_factors, years
from valuation.instruments.underlyings import Underlyings
from valuation.types import Market


class PairOption(DiscountedPair):
    """Terms of an option on an exchange rate."""

    volatility: Name = Field(description="risk factor id of the lognormal implied volatility, such as IV:EURUSD")
    expiry: Date = Field(description="last day, on which it is settled")

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.expiry, valuation_date)


def pair_option_factors(terms: PairOption, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    """Ids of the factors that decide the value of an option."""
    volatility = volatility_factors(index, terms.volatility, valuation_date, terms.expiry)
    return (*exchange_factors(terms, index, valuation_date, terms.expiry), *volatility)


def pairs_of(terms: Sequence[PairOption], market: Market) -> Underlyings:
    times = years(market, (t.expiry for t in terms))
    return Underlyings(
        times, spot_rates(terms, market), delivered_values(terms, times, market), quote_discounts(terms, times, market)
    )
