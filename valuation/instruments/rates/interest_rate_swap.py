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
from typing import ClassVar, Self

from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Currency, Date, Frequency, Name, Rate
from valuation.instruments.rates import legs
from valuation.instruments.rates.legs import FIXINGS, PROJECTION_CURVE, FixedLeg, Fixings, FloatingLeg, SwapFrequency
from valuation.instruments.schedules import BusinessDayConvention, Calendar, DayCount, Leg
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "interest_rate_swap"

    currency: Currency = Field(description="currency of both legs, ISO 4217")
    pay_fixed: bool = Field(description="true pays the fixed rate and receives floating, false the opposite")
    fixed_rate: Rate = Field(description="fixed rate, fraction a year (0.03 is 3%)")
    start: Date = Field(description="first day of the first period; may lie ahead")
    maturity: Date = Field(description="last day of the last period, before moving to a business day")
    fixed_frequency: Frequency = Field(description="fixed payments a year: 1, 2 or 4")
    float_frequency: SwapFrequency = Field(description="floating payments a year: 1, 2, 4 or 12")
    fixed_day_count: DayCount = Field(description=f"day count of the fixed leg: {schedules.DAY_COUNT}")
    float_day_count: DayCount = Field(description=f"day count of the floating leg: {schedules.DAY_COUNT}")
    calendar: Calendar = Field("weekdays", description=schedules.CALENDAR)
    business_day_convention: BusinessDayConvention = Field("ModifiedFollowing", description=schedules.CONVENTION)
    end_of_month: bool | None = Field(
        None, description="periods end on month ends when the maturity does; false where left out"
    )
    discount_curve: Name = Field(description="curve that discounts, such as USD")
    projection_curve: Name | None = Field(None, description=PROJECTION_CURVE)
    spread: Rate | None = Field(
        None, description="added to the floating rate, fraction a year (0.001 is ten basis points)"
    )
    fixings: Fixings = Field({}, description=FIXINGS)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.maturity:
            raise ValueError(f"start {self.start} must lie before maturity {self.maturity}")
        return self

    def _leg(self, frequency: int, day_count: str) -> Leg:
        return schedules.leg(
            self.start,
            self.maturity,
            frequency,
            day_count,
            self.calendar,
            self.business_day_convention,
            adjust_accrual=True,
            end_of_month=bool(self.end_of_month),
        )

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, valuation_date, self.maturity)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        legs.require_legs_alive(self.legs(), valuation_date, rolled_from)

    def fixed_leg(self) -> Leg:
        return self._leg(self.fixed_frequency, self.fixed_day_count)

    def floating_leg(self) -> Leg:
        return self._leg(self.float_frequency, self.float_day_count)

    def legs(self) -> legs.Signed:
        sign = 1.0 if self.pay_fixed else -1.0
        projection = self.projection_curve or self.discount_curve
        floating = FloatingLeg(self.floating_leg(), self.discount_curve, projection, self.spread or 0.0, self.fixings)
        return (sign, floating), (-sign, FixedLeg(self.fixed_leg(), self.fixed_rate, self.discount_curve))


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return legs.legs_factors(terms.legs(), index, valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return legs.values(
        market, [[(None, legs.signed_payments(t.legs(), market))] for t in terms], [t.currency for t in terms]
    )


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return legs.signed_cash(terms.legs()[::-1], markets, until)
