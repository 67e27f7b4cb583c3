"""Deposit: a loan of one unit from its start to its maturity, at a fixed simple rate.

Unit of quantity: one unit of principal lent. Value = the principal and the interest rate x accrual due at maturity, discounted,
less the principal where it has still to be lent. What is paid on a day is no longer in that day's value. A deposit taken
is a negative quantity.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Interest rates".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Rate
from valuation.instruments.rates.legs import (
    FIXED_RATE,
    DatedTerms,
    FixedLeg,
    NotionalExchange,
    Signed,
    legs_factors,
    legs_value,
    one_period,
    signed_cash,
)
from valuation.instruments.schedules import DayCount
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


class Terms(DatedTerms):
    instrument_type: ClassVar[str] = "deposit"

    fixed_rate: Rate = Field(description=FIXED_RATE)
    day_count: DayCount = Field("Actual360", description=f"day count of the interest: {schedules.DAY_COUNT}")

    def legs(self) -> Signed:
        period = one_period(self.start, self.maturity, self.day_count, self.calendar, self.business_day_convention)
        lent, repaid = int(period.starts[0]), int(period.payments[0])
        return (
            (1.0, NotionalExchange(lent, repaid, self.discount_curve)),
            (1.0, FixedLeg(period, self.fixed_rate, self.discount_curve)),
        )


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return legs_factors(terms.legs(), index, valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return legs_value(terms, market)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return signed_cash(terms.legs(), markets, until)
