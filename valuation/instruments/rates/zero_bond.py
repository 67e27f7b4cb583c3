"""Zero-coupon bond, bill or discount note of any issuer.

Unit of quantity: 100 of face amount. Value = 100 times the discount factor of the curve to the day of redemption, times
exp(-spread x t) where the issuer has a credit spread (continuous, Act/365F). It pays 100 at maturity and nothing before.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Interest rates", section on zero rates.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, Name, require_alive
from valuation.instruments.rates.coupons import CREDIT_SPREAD, FACE, VERSION, spread_factors
from valuation.instruments.reads import curve_factors, paid, present_values
from valuation.instruments.schedules import BusinessDayConvention, Calendar
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "zero_bond"

    currency: Currency = Field(description="currency of the bond, ISO 4217")
    maturity: Date = Field(description="date of redemption, before moving to a business day")
    calendar: Calendar = Field("weekdays", description=schedules.CALENDAR)
    business_day_convention: BusinessDayConvention = Field("Following", description=schedules.CONVENTION)
    discount_curve: Name = Field(description=DISCOUNT_CURVE)
    credit_spread: Name | None = Field(None, description=CREDIT_SPREAD)

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, self.maturity, self.maturity)

    def last_day(self) -> dt.date:
        return schedules.payment_date(self.maturity, self.calendar, self.business_day_convention)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.last_day(), valuation_date, included=False)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return (
        *curve_factors(index, terms.discount_curve, valuation_date, terms.last_day()),
        *spread_factors(index, terms.credit_spread),
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    face = np.array([FACE])
    return present_values(
        market,
        [t.discount_curve for t in terms],
        [np.array([t.last_day().toordinal()]) for t in terms],
        [face] * len(terms),
        [t.credit_spread for t in terms],
    )


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return paid(markets, until, np.array([terms.last_day().toordinal()]), np.array([FACE]), ["redemption"])
