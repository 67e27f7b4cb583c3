"""Basis swap: two floating rates of one currency against each other, each projected on a curve of its own.

Unit of quantity: one unit of notional. Value = the floating leg received less the floating leg paid, each with its spread.
Notionals are not exchanged. See `legs` for the formula, fixings and rolled markets.
Source: Henrard, *Interest Rate Modelling in the Multi-Curve Framework*, ch. 2.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Fixings, Name, Rate
from valuation.instruments.rates.legs import (
    FIXINGS,
    SPREAD,
    FloatingLeg,
    Signed,
    SwapFrequency,
    SwapTerms,
    legs_factors,
    legs_value,
    signed_cash,
)
from valuation.instruments.schedules import DayCount
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


class Terms(SwapTerms):
    instrument_type: ClassVar[str] = "basis_swap"

    receive_projection_curve: Name = Field(description="curve that projects the rate received")
    receive_frequency: SwapFrequency = Field(description="payments received a year: 1, 2, 4 or 12")
    receive_day_count: DayCount = Field(
        "Actual360", description=f"day count of the leg received: {schedules.DAY_COUNT}"
    )
    receive_spread: Rate | None = Field(None, description=SPREAD)
    receive_fixings: Fixings = Field({}, description=FIXINGS)
    pay_projection_curve: Name = Field(description="curve that projects the rate paid")
    pay_frequency: SwapFrequency = Field(description="payments made a year: 1, 2, 4 or 12")
    pay_day_count: DayCount = Field("Actual360", description=f"day count of the leg paid: {schedules.DAY_COUNT}")
    pay_spread: Rate | None = Field(None, description=SPREAD)
    pay_fixings: Fixings = Field({}, description=FIXINGS)

    def legs(self) -> Signed:
        received = FloatingLeg(
            self.periods(self.receive_frequency, self.receive_day_count),
            self.discount_curve,
            self.receive_projection_curve,
            self.receive_spread or 0.0,
            self.receive_fixings,
        )
        paid = FloatingLeg(
            self.periods(self.pay_frequency, self.pay_day_count),
            self.discount_curve,
            self.pay_projection_curve,
            self.pay_spread or 0.0,
            self.pay_fixings,
        )
        return (1.0, received), (-1.0, paid)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return legs_factors(terms.legs(), index, valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return legs_value(terms, market)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return signed_cash(terms.legs(), markets, until)
