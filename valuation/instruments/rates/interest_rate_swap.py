"""Fixed-floating interest-rate swap: discounted on one curve, projected on the same or on another.

Unit of quantity: one unit of notional. Value to the party of `pay_fixed`: floating minus fixed leg when it pays fixed, else
the opposite. Notionals are not exchanged. Floating rates fix on the first day of their period (no fixing lag); a spread is
added to them. See `legs` for the formula, fixings and rolled markets. Without a projection curve the floating leg is
the known coupon of the running period + DF(end of the running period) - DF(maturity).
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Swaps", valuation as bonds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Fixings, Frequency, Name, Rate
from valuation.instruments.rates.legs import (
    FIXED_RATE,
    FIXINGS,
    PROJECTION_CURVE,
    SPREAD,
    FixedLeg,
    FloatingLeg,
    Signed,
    SwapFrequency,
    SwapTerms,
    legs_factors,
    legs_value,
    signed_cash,
)
from valuation.instruments.schedules import DayCount, Leg
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


class Terms(SwapTerms):
    instrument_type: ClassVar[str] = "interest_rate_swap"

    pay_fixed: bool = Field(description="true pays the fixed rate and receives floating, false the opposite")
    fixed_rate: Rate = Field(description=FIXED_RATE)
    fixed_frequency: Frequency = Field(description="fixed payments a year: 1, 2 or 4")
    float_frequency: SwapFrequency = Field(description="floating payments a year: 1, 2, 4 or 12")
    fixed_day_count: DayCount = Field(description=f"day count of the fixed leg: {schedules.DAY_COUNT}")
    float_day_count: DayCount = Field(description=f"day count of the floating leg: {schedules.DAY_COUNT}")
    projection_curve: Name | None = Field(None, description=PROJECTION_CURVE)
    spread: Rate | None = Field(None, description=SPREAD)
    fixings: Fixings = Field({}, description=FIXINGS)

    def fixed_leg(self) -> Leg:
        return self.periods(self.fixed_frequency, self.fixed_day_count)

    def floating_leg(self) -> Leg:
        return self.periods(self.float_frequency, self.float_day_count)

    def legs(self) -> Signed:
        sign = 1.0 if self.pay_fixed else -1.0
        projection = self.projection_curve or self.discount_curve
        floating = FloatingLeg(self.floating_leg(), self.discount_curve, projection, self.spread or 0.0, self.fixings)
        return (sign, floating), (-sign, FixedLeg(self.fixed_leg(), self.fixed_rate, self.discount_curve))


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return legs_factors(terms.legs(), index, valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return legs_value(terms, market)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return signed_cash(terms.legs()[::-1], markets, until)
