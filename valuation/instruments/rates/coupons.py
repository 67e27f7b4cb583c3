"""What bonds share: their terms, the cash flows they still have, and the value of those.

Periods are rolled backward from maturity; coupons accrue between unadjusted dates and payments move to business days.
A coupon paid on the valuation date is out of the value. So is one whose ex-coupon day has come: it belongs to whoever held
the bond before, and is cash of that day although it is paid some days later.
Discounting: the factor of the curve times exp(-spread x time), with the credit spread continuous, Act/365F, where one is given.
"""

from __future__ import annotations

import abc
import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, Frequency, Name, require_alive
from valuation.instruments.reads import curve_factors, paid, present_values, require_factor
from valuation.instruments.schedules import BusinessDayConvention, Calendar, DayCount, Leg
from valuation.types import CashFlow, InstrumentTerms, Market, NotValuable, RolledMarkets

VERSION = f"1+{schedules.VERSION}"

FACE = 100.0
CREDIT_SPREAD = "credit_spread risk factor added to the curve, such as CS:USD:BBB"


class Flows(NamedTuple):
    """By period: ordinals of the payment days, coupons and redemptions of a unit; each of shape (n_periods,)."""

    days: Ints
    coupons: Floats
    redemptions: Floats


class Schedule(NamedTuple):
    """What `schedules.leg` and `schedules.accrued` take."""

    start: dt.date
    maturity: dt.date
    frequency: int
    day_count: str
    calendar: str
    convention: str
    adjust_accrual: bool
    end_of_month: bool


class ScheduleTerms(InstrumentTerms):
    """What decides the periods of a bond."""

    currency: Currency = Field(description="currency of the bond, ISO 4217")
    issue_date: Date = Field(description="date from which the first coupon accrues")
    maturity: Date = Field(description="date of redemption, before moving to a business day")
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

    def schedule(self) -> Schedule:
        return Schedule(
            self.issue_date,
            self.maturity,
            self.frequency,
            self.day_count,
            self.calendar,
            self.business_day_convention,
            False,
            self.end_of_month,
        )

    def coupons(self) -> Leg:
        return schedules.leg(*self.schedule())

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, valuation_date, self.maturity)

    def last_day(self) -> dt.date:
        return schedules.payment_date(self.maturity, self.calendar, self.business_day_convention)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.last_day(), valuation_date, included=False)


class BondTerms(ScheduleTerms):
    """A bond of any issuer."""

    credit_spread: Name | None = Field(None, description=CREDIT_SPREAD)
    ex_coupon_days: int | None = Field(
        None, ge=0, le=31, description="business days before its payment from which a bond trades without the coupon"
    )

    def leaves(self, days: Ints) -> Ints:
        """The days from which the value no longer holds coupons paid on these days; ordinals."""
        n = self.ex_coupon_days
        if n is None:
            return days
        return np.array([schedules.days_after(d, -n, self.calendar) for d in days.tolist()], dtype=np.int64)


class KnownBondTerms(BondTerms, abc.ABC):
    """A bond that pays known amounts; a subclass says which."""

    @abc.abstractmethod
    def flows(self) -> Flows:
        """What a unit pays over its whole life; raises `NotValuable` for terms that do not fit the schedule."""

    def due(self, valuation_date: dt.date) -> tuple[Ints, Floats]:
        """Days and amounts of what a unit still pays to who buys it on that date."""
        days, coupons, redemptions = self.flows()
        today = valuation_date.toordinal()
        made = int(days.searchsorted(today, side="right"))
        amounts = coupons[made:] + redemptions[made:]
        if (self.leaves(days[made : made + 1]) <= today).any():
            amounts[0] = redemptions[made]
        return days[made:], amounts


def at_maturity(n_periods: int) -> Floats:
    """Redemptions of a bond that is redeemed at once."""
    redemptions = np.zeros(n_periods)
    redemptions[-1] = FACE
    return redemptions


def spread_factors(index: FactorIndex, spread: str | None) -> tuple[str, ...]:
    """Ids of the risk factors that a credit spread reads."""
    return () if spread is None else (require_factor(index, spread, ("credit_spread",)),)


def risk_factors(terms: BondTerms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    # the next coupon is not looked up: a plan of a million bonds would build a million schedules
    return (
        *curve_factors(index, terms.discount_curve, valuation_date, terms.last_day(), first=valuation_date),
        *spread_factors(index, terms.credit_spread),
    )


def value(terms: Sequence[KnownBondTerms], market: Market) -> Floats:
    due = [t.due(market.valuation_date) for t in terms]
    return present_values(
        market,
        [t.discount_curve for t in terms],
        [days for days, _ in due],
        [amounts for _, amounts in due],
        [t.credit_spread for t in terms],
    )


def cash_flows(terms: KnownBondTerms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    days, coupons, redemptions = terms.flows()
    back = np.flatnonzero(redemptions)
    return (
        *paid(markets, until, terms.leaves(days), coupons, ["coupon"] * len(days)),
        *paid(markets, until, days[back], redemptions[back], ["redemption"] * len(back)),
    )


def coupon_place(dates: Ints, day: dt.date, what: str) -> int:
    """The place among coupon dates of one of them; raises `NotValuable` with the nearest where none is."""
    ordinal = day.toordinal()
    place = int(dates.searchsorted(ordinal))
    if place < len(dates) and dates[place] == ordinal:
        return place
    nearest = [str(dt.date.fromordinal(d)) for d in sorted(dates.tolist(), key=lambda d: abs(d - ordinal))[:1]]
    raise NotValuable(
        "invalid_schedule", f"{what} {day} is no coupon date; the nearest is {', '.join(nearest) or 'none'}."
    )
