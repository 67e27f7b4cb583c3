"""Forward rate agreement: a floating rate against a fixed one over one period, settled at its start.

Unit of quantity: one unit of notional. To the party that pays fixed, (L - K) a / (1 + L a) is settled on the first day of the
period, L the floating rate, K the fixed one, a the accrual: that is 1 - (1 + K a) P(end) / P(start) on the projection curve,
discounted from the start. The rate fixes on that day, without a lag; a fixing of it that is given is taken. What is settled
is still in the value of that day, and is cash from the next day on.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Interest rates", section on forward rate agreements.
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
from valuation.instruments.fields import Name, Rate, require_alive
from valuation.instruments.rates.legs import (
    FIXED_RATE,
    FIXINGS,
    PROJECTION_CURVE,
    DatedTerms,
    Fixings,
    Payments,
    one_period,
    span_factors,
    values,
)
from valuation.instruments.reads import settlement
from valuation.instruments.schedules import DayCount, Leg
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


class Terms(DatedTerms):
    instrument_type: ClassVar[str] = "forward_rate_agreement"

    pay_fixed: bool = Field(description="true pays the fixed rate and receives floating, false the opposite")
    fixed_rate: Rate = Field(description=FIXED_RATE)
    day_count: DayCount = Field("Actual360", description=f"day count of the period: {schedules.DAY_COUNT}")
    projection_curve: Name | None = Field(None, description=PROJECTION_CURVE)
    fixings: Fixings = Field({}, description=FIXINGS)

    def period(self) -> Leg:
        return one_period(self.start, self.maturity, self.day_count, self.calendar, self.business_day_convention)

    def settled(self) -> dt.date:
        return dt.date.fromordinal(int(self.period().starts[0]))

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.settled(), valuation_date)

    def is_fixed(self, valuation_date: dt.date) -> bool:
        return self.settled() == valuation_date and valuation_date in self.fixings

    def payments(self, valuation_date: dt.date) -> list[Payments]:
        period, sign = self.period(), 1.0 if self.pay_fixed else -1.0
        start, end, accrual = period.starts, period.payments, float(period.accruals[0])
        owed = 1.0 + self.fixed_rate * accrual
        if self.is_fixed(valuation_date):
            settled = 1.0 - owed / (1.0 + self.fixings[valuation_date] * accrual)
            return [Payments(self.discount_curve, start, np.array([sign * settled]))]
        projection = self.projection_curve or self.discount_curve
        if projection == self.discount_curve:
            return [Payments(projection, np.concatenate([start, end]), np.array([sign, -sign * owed]))]
        return [
            Payments(self.discount_curve, start, np.array([sign])),
            Payments(self.discount_curve, start, np.array([-sign * owed]), projection, starts=end, ends=start),
        ]


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    start, end = int(terms.period().starts[0]), int(terms.period().payments[0])
    projection = terms.projection_curve or terms.discount_curve
    spans = [(terms.discount_curve, start, start)]
    if not terms.is_fixed(valuation_date):
        spans.append((projection, start, end))
    return span_factors(spans, index, valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    made = [[(None, t.payments(market.valuation_date))] for t in terms]
    return values(market, made, [t.currency for t in terms])


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.settled(), until)
