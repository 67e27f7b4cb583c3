"""Zero-coupon inflation swap: one payment at maturity, the growth of a price index against a fixed rate compounded.

Unit of quantity: one unit of notional. Value to the party of `pay_fixed`: D(T) ((I(T) / I(start) - 1) - ((1 + K)^n - 1)) when
it pays fixed, the opposite otherwise; n is the year fraction from start to maturity by `day_count`, I the reference index.
The index of the start is `base_index`, or known from `fixings`, or projected for a swap that starts today or later.
A swap of whole years that starts today, flat and without fixings, is worth nothing at the rate its pillar quotes.
Reference index, lag and interpolation: `price_indices`; projection: `valuation.market.inflation`. No convexity is added.
Source: Brigo and Mercurio, *Interest Rate Models*, ch. "Inflation-indexed swaps", zero-coupon swaps.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, Name, Price, Rate, require_alive
from valuation.instruments.rates.coupons import VERSION
from valuation.instruments.rates.price_indices import IndexedTerms, index_levels
from valuation.instruments.reads import curve_factors, discount_factors, settlement, years
from valuation.instruments.schedules import BusinessDayConvention, Calendar, DayCount
from valuation.types import CashFlow, Market, RolledMarkets

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class Terms(IndexedTerms):
    instrument_type: ClassVar[str] = "inflation_swap"

    currency: Currency = Field(description="currency of both payments, ISO 4217")
    pay_fixed: bool = Field(description="true pays the fixed rate and receives inflation, false the opposite")
    fixed_rate: Rate = Field(description="fixed rate, compounded yearly, fraction a year (0.02 is 2%)")
    start: Date = Field(description="day from whose reference index inflation is reckoned; may lie ahead")
    maturity: Date = Field(description="day to whose reference index it is reckoned, and of payment before moving")
    day_count: DayCount = Field("Thirty360", description=f"day count of the fixed rate: {schedules.DAY_COUNT}")
    calendar: Calendar = Field("weekdays", description=schedules.CALENDAR)
    business_day_convention: BusinessDayConvention = Field("ModifiedFollowing", description=schedules.CONVENTION)
    discount_curve: Name = Field(description=DISCOUNT_CURVE)
    base_index: Price | None = Field(
        None, description="reference index of the start; needed once its months are past, unless fixings have them"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.maturity:
            raise ValueError(f"start {self.start} must lie before maturity {self.maturity}")
        return self

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, self.maturity, self.maturity)

    def last_day(self) -> dt.date:
        return schedules.payment_date(self.maturity, self.calendar, self.business_day_convention)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.last_day(), valuation_date)
        self.require_known(self.observed(), rolled_from or valuation_date)

    def observed(self) -> Ints:
        """The days whose reference index decides the payment, the last one last, by ordinals."""
        days = (self.maturity,) if self.base_index is not None else (self.start, self.maturity)
        return np.array([d.toordinal() for d in days])

    def fixed_growth(self) -> float:
        """What a unit grows to at the fixed rate."""
        return float((1.0 + self.fixed_rate) ** schedules.year_fraction(self.start, self.maturity, self.day_count))


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return (
        *curve_factors(index, terms.discount_curve, valuation_date, terms.last_day()),
        *terms.index_factors(index, valuation_date, terms.observed()),
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    at = index_levels(market, terms, [t.observed() for t in terms])
    everyone = range(len(terms))
    start = np.empty((len(terms), market.n_states))
    given = [i for i in everyone if terms[i].base_index is not None]
    start[given] = np.array([terms[i].base_index for i in given], dtype=np.float64)[:, None]
    projected = [i for i in everyone if terms[i].base_index is None]
    start[projected] = at.on(projected, [0] * len(projected))
    growth = at.on(everyone, [-1] * len(terms)) / start
    sign = np.array([1.0 if t.pay_fixed else -1.0 for t in terms])
    fixed = np.array([t.fixed_growth() for t in terms])
    factors = discount_factors(market, [t.discount_curve for t in terms], years(market, [t.last_day() for t in terms]))
    return np.asarray(sign[:, None] * (growth - fixed[:, None]) * factors)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.last_day(), until)
