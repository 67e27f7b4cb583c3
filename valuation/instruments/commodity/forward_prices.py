"""What commodity instruments share: which price they are on, and its forward price.

The underlying is a price of the commodity: spot, or that of one delivery month, which is a risk factor of its own such as
CMD:WTI:M1. The forward price of a day T years ahead is price x exp(carry T); the price of the contract's own month needs no carry.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import Currency, Name, Rate
from valuation.instruments.reads import require_factor
from valuation.types import InstrumentTerms, Market, NotValuable


class CommodityTerms(InstrumentTerms):
    """Terms of what is on the price of a commodity."""

    currency: Currency = Field(description="currency of the commodity price and the strike, ISO 4217")
    underlying: Name = Field(
        description="risk factor id of the commodity price, such as CMD:WTI, or CMD:WTI:M1 of a delivery month"
    )
    carry: Rate = Field(
        0.0, description="continuous cost of carry, fraction a year: forward price = price x exp(carry T)"
    )


def commodity_factor(index: FactorIndex, underlying: str, currency: str) -> str:
    """The id of a commodity price in the currency; raises `MissingRiskFactor`."""
    return require_factor(index, underlying, ("commodity_price",), currency)


def forward_prices(underlyings: Sequence[str], carries: Sequence[float], times: Floats, market: Market) -> Floats:
    """Forward prices at `times` (n_contracts,), shape (n_contracts, n_states)."""
    growth: Floats = np.array([[math.exp(c * t)] for c, t in zip(carries, times.tolist(), strict=True)])
    return market.levels(underlyings) * growth


def require_positive_forward(underlying: str, base: float, instead: str) -> None:
    """Raises `NotValuable` where a lognormal model is asked for a base forward price that is zero or below."""
    if base <= 0.0:
        raise NotValuable(
            "forward_not_positive",
            f"The base forward price of {underlying} is {base:g}; a lognormal price is positive. Use {instead}.",
        )
