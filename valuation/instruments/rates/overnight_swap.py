"""Overnight swap: a fixed rate against the overnight rate compounded daily over each period.

Unit of quantity: one unit of notional. Value to the party of `pay_fixed`: floating minus fixed leg when it pays fixed, else the
opposite. On its projection curve the compounded rate of a period is P(start) / P(end) - 1, day by day product included; a
spread is added to it uncompounded. The running period has grown by the fixings of its business days before the valuation
date, or by `compounded` up to a day and the fixings from it on, and is projected from the next business day. A fixing of the
valuation date itself is not read. In a market rolled forward, overnight rates inside the roll that are not given are those of
the rolled curve.
Source: ISDA 2021 Interest Rate Derivatives Definitions, compounding with overnight rates (no lookback, no lockout).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import BeforeValidator, Field

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Date, Fixings, Frequency, Name, Price, Rate, read_json
from valuation.instruments.rates.legs import (
    FIXED_RATE,
    PROJECTION_CURVE,
    SPREAD,
    FixedLeg,
    OvernightLeg,
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
    instrument_type: ClassVar[str] = "overnight_swap"

    pay_fixed: bool = Field(description="true pays the fixed rate and receives floating, false the opposite")
    fixed_rate: Rate = Field(description=FIXED_RATE)
    fixed_frequency: Frequency = Field(1, description="fixed payments a year: 1, 2 or 4")
    float_frequency: SwapFrequency = Field(1, description="payments of the compounded rate a year: 1, 2, 4 or 12")
    fixed_day_count: DayCount = Field("Actual360", description=f"day count of the fixed leg: {schedules.DAY_COUNT}")
    float_day_count: DayCount = Field(
        "Actual360", description=f"day count of the overnight rate: {schedules.DAY_COUNT}"
    )
    payment_lag: int = Field(
        0, ge=0, le=10, description="business days from the end of a period to its payment, 0 to 10"
    )
    projection_curve: Name | None = Field(None, description=PROJECTION_CURVE)
    spread: Rate | None = Field(None, description=SPREAD)
    fixings: Fixings = Field({}, description='known overnight rates by business day, as JSON: {"2026-03-02": 0.0431}')
    compounded: Annotated[dict[Date, Price], BeforeValidator(read_json)] = Field(
        {},
        description='growth of one unit from the first day of a period to a day in it, as JSON: {"2026-03-02": 1.0021}',
    )

    def legs(self) -> Signed:
        sign = 1.0 if self.pay_fixed else -1.0
        fixed = self.periods(self.fixed_frequency, self.fixed_day_count)
        floating = self.periods(self.float_frequency, self.float_day_count)
        leg = OvernightLeg(
            floating,
            self.discount_curve,
            self.projection_curve or self.discount_curve,
            self.spread or 0.0,
            self.fixings,
            self._lagged(floating.payments) if self.payment_lag else None,
            calendar=self.calendar,
            day_count=self.float_day_count,
            compounded=self.compounded,
        )
        fixed = Leg(fixed.starts, self._lagged(fixed.payments), fixed.accruals)
        return (sign, leg), (-sign, FixedLeg(fixed, self.fixed_rate, self.discount_curve))

    def _lagged(self, days: Ints) -> Ints:
        if not self.payment_lag:
            return days
        return np.array([schedules.days_after(day, self.payment_lag, self.calendar) for day in days.tolist()])


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return legs_factors(terms.legs(), index, valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return legs_value(terms, market)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return signed_cash(terms.legs(), markets, until)
