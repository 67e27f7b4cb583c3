"""European digital options, whatever they are on.

Value = Reiner and Rubinstein's formulas, less the vega of the European option times the slope of the smile at the strike, so
that it is the limit of call spreads, each leg at its own volatility; see `valuation.kernels.digital`. The slope is measured
between two strikes a thousandth of the strike apart to either side. Without a smile it is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from valuation.instruments.fields import Name, OptionType, Price
from valuation.instruments.reads import all_flat, volatilities
from valuation.instruments.underlyings import Underlyings
from valuation.kernels.digital import digital_options
from valuation.types import InstrumentTerms, Market

_STEP = 1e-3  # of the strike: within the spacing of quoted strikes, and far above rounding


class DigitalOption(InstrumentTerms):
    """Terms of a digital option."""

    volatility: Name
    strike: Price = Field(description="price that decides, positive: a call pays at it or above, a put below it")
    option_type: OptionType = Field(description="call or put")
    payoff: Literal["cash_or_nothing", "asset_or_nothing"] = Field(
        description="cash_or_nothing pays one unit of currency, asset_or_nothing one unit of the underlying"
    )


def digital_values(terms: Sequence[DigitalOption], underlyings: Underlyings, market: Market) -> Floats:
    """Values (n_contracts, n_states)."""
    names, times = [t.volatility for t in terms], underlyings.times
    strikes: Floats = np.array([t.strike for t in terms])

    def volatility(share: float) -> Floats:
        return volatilities(market, names, times, share * strikes, lambda: underlyings.forward)

    slope: Floats = np.zeros(underlyings.spot.shape)
    if not all_flat(market, names):
        slope = (volatility(1.0 + _STEP) - volatility(1.0 - _STEP)) / (2.0 * _STEP * strikes)[:, None]
    return digital_options(
        np.array([1.0 if t.option_type == "call" else -1.0 for t in terms]),
        np.array([t.payoff == "asset_or_nothing" for t in terms]),
        strikes,
        times,
        underlyings.delivered,
        volatility(1.0),
        slope,
        underlyings.discount,
    )
