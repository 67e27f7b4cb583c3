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
from valuation.instruments.fields import Fixings, Name, Rate, require_alive
from valuation.instruments.rates.legs import (
    FIXED_RATE,
    FIXINGS,
    PROJECTION_CURVE,
    DatedTerms,
    one_period,
)
from valuation.instruments.reads import curve_factors, discount_factors, settlement
from valuation.instruments.schedules import DayCount, Leg
from valuation.market.scenario_market import DAYS_A_YEAR
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

    @property
    def projects(self) -> str:
        return self.projection_curve or self.discount_curve


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    period, start = terms.period(), terms.settled()
    discount = curve_factors(index, terms.discount_curve, valuation_date, start)
    if start == valuation_date and start in terms.fixings:
        return discount
    end = dt.date.fromordinal(int(period.payments[0]))
    # both days are read, and nothing between them
    projection = [curve_factors(index, terms.projects, valuation_date, day) for day in (start, end)]
    return tuple(dict.fromkeys((*discount, *projection[0], *projection[1])))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    periods = [t.period() for t in terms]
    start, end = (np.concatenate([getattr(p, n) for p in periods]) for n in ("starts", "payments"))
    accruals = np.concatenate([p.accruals for p in periods])
    owed = 1.0 + np.array([t.fixed_rate for t in terms]) * accruals
    sign = np.array([1.0 if t.pay_fixed else -1.0 for t in terms])
    today = market.valuation_date.toordinal()
    starts, ends = (start - today) / DAYS_A_YEAR, (end - today) / DAYS_A_YEAR
    curves = [t.projects for t in terms]
    ratio = discount_factors(market, curves, ends) / discount_factors(market, curves, starts)
    for i in np.flatnonzero(start == today).tolist():
        fixing = terms[i].fixings.get(market.valuation_date)
        if fixing is not None:
            ratio[i] = 1.0 / (1.0 + fixing * accruals[i])
    out: Floats = (1.0 - owed[:, None] * ratio) * (
        sign[:, None] * discount_factors(market, [t.discount_curve for t in terms], starts)
    )
    return out


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.settled(), until)
