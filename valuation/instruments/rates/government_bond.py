"""Fixed-rate government bond, discounted on the government curve.

Unit of quantity: 100 of face amount. Value = dirty value on the valuation date = sum of the coupons and the redemption of
100 paid after that date, discounted. Coupons accrue between unadjusted dates; payments move to business days.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Interest rates", section on bond pricing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, Frequency, Name, Rate, require_alive
from valuation.instruments.reads import curve_factors, paid, present_values
from valuation.instruments.schedules import BusinessDayConvention, Calendar, DayCount, Leg
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"

FACE = 100.0


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "government_bond"

    currency: Currency = Field(description="currency of the bond, ISO 4217")
    issue_date: Date = Field(description="date from which the first coupon accrues")
    maturity: Date = Field(description="date of redemption, before moving to a business day")
    coupon: Rate = Field(description="coupon, fraction of face a year (0.03 is 3%)")
    frequency: Frequency = Field(description="coupons a year: 1, 2 or 4")
    day_count: DayCount = Field("ActualActualISMA", description=f"day count of the coupons: {schedules.DAY_COUNT}")
    calendar: Calendar = Field("weekdays", description=schedules.CALENDAR)
    business_day_convention: BusinessDayConvention = Field("Following", description=schedules.CONVENTION)
    end_of_month: bool = Field(False, description="coupons fall on month ends when the maturity does")
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.issue_date >= self.maturity:
            raise ValueError(f"issue_date {self.issue_date} must lie before maturity {self.maturity}")
        return self

    def coupons(self) -> Leg:
        return schedules.leg(
            self.issue_date,
            self.maturity,
            self.frequency,
            self.day_count,
            self.calendar,
            self.business_day_convention,
            adjust_accrual=False,
            end_of_month=self.end_of_month,
        )

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, valuation_date, self.maturity)

    def last_day(self) -> dt.date:
        return schedules.payment_date(self.maturity, self.calendar, self.business_day_convention)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.last_day(), valuation_date, included=False)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    # the next coupon is not looked up: a plan of a million bonds would build a million schedules
    return curve_factors(index, terms.discount_curve, valuation_date, terms.last_day(), first=valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    today = market.valuation_date.toordinal()
    days, amounts = [], []
    for t in terms:
        leg = t.coupons()
        made = leg.payments.searchsorted(today, side="right")
        due = FACE * t.coupon * leg.accruals[made:]
        due[-1] += FACE
        days.append(leg.payments[made:])
        amounts.append(due)
    return present_values(market, [t.discount_curve for t in terms], days, amounts)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    leg = terms.coupons()
    days = np.append(leg.payments, leg.payments[-1])
    amounts = np.append(FACE * terms.coupon * leg.accruals, FACE)
    return paid(markets, until, days, amounts, [*["coupon"] * len(leg.payments), "redemption"])
