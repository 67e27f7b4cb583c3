"""Payment schedules and day counts, from QuantLib.

Nothing here reads QuantLib's evaluation date, which is global to the process: schedules have a start and an end.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import QuantLib as ql  # noqa: N813 - the library's own habit
from pydantic import AfterValidator, Field

from lake.arrays import Floats, Ints
from lake.errors import BadInput, nearest, unknown
from valuation.instruments.fields import LISTED_YEARS
from valuation.types import NotValuable

VERSION = f"QuantLib-{ql.__version__}"  # holidays and day counts come with it, and so do values

DAY_COUNTS = {
    "ActualActualISMA": ql.ActualActual(ql.ActualActual.ISMA),
    "Thirty360": ql.Thirty360(ql.Thirty360.BondBasis),
    "Actual365Fixed": ql.Actual365Fixed(),
    "Actual360": ql.Actual360(),
}

# Business centres by their FpML codes.
CALENDARS = {
    "none": ql.NullCalendar(),
    "weekdays": ql.WeekendsOnly(),
    "AUSY": ql.Australia(),
    "CATO": ql.Canada(),
    "CHZU": ql.Switzerland(),
    "DKCO": ql.Denmark(),
    "EUTA": ql.TARGET(),
    "GBLO": ql.UnitedKingdom(),
    "HKHK": ql.HongKong(),
    "JPTO": ql.Japan(),
    "NOOS": ql.Norway(),
    "NZAU": ql.NewZealand(),
    "SEST": ql.Sweden(),
    "SGSI": ql.Singapore(),
    "USGS": ql.UnitedStates(ql.UnitedStates.GovernmentBond),
    "USNY": ql.UnitedStates(ql.UnitedStates.Settlement),
}

BUSINESS_DAY_CONVENTIONS = {
    "Following": ql.Following,
    "ModifiedFollowing": ql.ModifiedFollowing,
    "Preceding": ql.Preceding,
    "ModifiedPreceding": ql.ModifiedPreceding,
    "Unadjusted": ql.Unadjusted,
}


def _one_of(names: dict[str, object]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"unknown name; nearest: {', '.join(nearest(name, names))}")
        return name

    return AfterValidator(check)


DayCount = Annotated[str, _one_of(DAY_COUNTS)]
Calendar = Annotated[str, _one_of(CALENDARS), Field(validate_default=True)]
BusinessDayConvention = Annotated[str, _one_of(BUSINESS_DAY_CONVENTIONS), Field(validate_default=True)]

CALENDAR = f"business days of payments: {', '.join(CALENDARS)} (FpML business centres)"
CONVENTION = f"how a payment date moves off a holiday: {', '.join(BUSINESS_DAY_CONVENTIONS)}"
DAY_COUNT = f"{', '.join(DAY_COUNTS)} (QuantLib's names)"


@dataclass(frozen=True)
class Leg:
    """Coupon periods: `starts` and `payments` are ordinals of days, `accruals` year fractions, all of shape (n,)."""

    starts: Ints
    payments: Ints
    accruals: Floats


_SERIAL_TO_ORDINAL: int = dt.date(2000, 1, 1).toordinal() - ql.Date(1, 1, 2000).serialNumber()


@functools.lru_cache(maxsize=1 << 15)
def leg(
    start: dt.date,
    maturity: dt.date,
    frequency: int,
    day_count: str,
    calendar: str,
    convention: str,
    adjust_accrual: bool,
    end_of_month: bool,
) -> Leg:
    """Periods rolled backward from maturity, so that an odd one stands first; raises `NotValuable` where there are none.

    Payment dates are adjusted to business days; with `adjust_accrual` period ends are too (swaps, not bonds). The cache
    matters: building a schedule costs several times what valuing it under 500 scenarios does.
    """
    adjust = BUSINESS_DAY_CONVENTIONS[convention]
    accrual_adjust, accrual_calendar = (adjust, calendar) if adjust_accrual else (ql.Unadjusted, "none")
    try:
        schedule = ql.Schedule(
            _date(start),
            _date(maturity),
            ql.Period(12 // frequency, ql.Months),
            CALENDARS[accrual_calendar],
            accrual_adjust,
            accrual_adjust,
            ql.DateGeneration.Backward,
            end_of_month,
        )
        # A unit nominal at a rate of 100% pays the year fraction. Few calls matter: each costs as much as a cash flow.
        coupons = ql.FixedRateLeg(
            schedule, DAY_COUNTS[day_count], [1.0], [1.0], adjust, paymentCalendar=CALENDARS[calendar]
        )
    except RuntimeError as error:  # such as no business day between start and maturity
        why = str(error).splitlines()[0]
        raise NotValuable("invalid_schedule", f"There is no schedule from {start} to {maturity}: {why}.") from None
    ends = _ordinals(schedule.dates())
    return Leg(
        starts=ends[:-1],
        payments=ends[1:] if adjust_accrual else _ordinals([c.date() for c in coupons]),
        accruals=np.array([c.amount() for c in coupons]),
    )


_STEPS = {"daily": ql.Period(1, ql.Days), "weekly": ql.Period(1, ql.Weeks), "monthly": ql.Period(1, ql.Months)}


@functools.lru_cache(maxsize=1 << 12)
def observation_days(start: dt.date, end: dt.date, step: str, calendar: str) -> tuple[dt.date, ...]:
    """Business days from `start` to `end`: every one (daily), or a week or a month apart, moved on from a holiday.

    Raises `NotValuable` where there is none.
    """
    first, last, centre = _date(start), _date(end), CALENDARS[calendar]
    days: list[ql.Date] = []
    while (due := first + _STEPS[step] * len(days)) <= last:
        days.append(due)
    moved = {centre.adjust(day, ql.Following) for day in days}
    kept = sorted(day.serialNumber() for day in moved if day <= last)
    if not kept:
        raise NotValuable("invalid_schedule", f"There is no business day of {calendar} from {start} to {end}.")
    return tuple(dt.date.fromordinal(k + _SERIAL_TO_ORDINAL) for k in kept)


def unlisted_note(calendar: str, first: dt.date, last: dt.date) -> tuple[str, ...]:
    """A note where the calendar does not know all holidays of the years from `first` to `last`."""
    listed = LISTED_YEARS.get(calendar, ((first.year, last.year),))
    if all(any(a <= year <= b for a, b in listed) for year in range(first.year, last.year + 1)):
        return ()
    years = ", ".join(f"{a}-{b}" for a, b in listed)
    return (
        f"Calendar {calendar} lists its moving holidays of {years} alone ({VERSION}): in other years a date on one stays on it.",
    )


def business_days(first: dt.date, stop: dt.date, calendar: str) -> Ints:
    """Ordinals of the business days from `first` to the day before `stop`."""
    return _ordinals(CALENDARS[calendar].businessDayList(_date(first), _date(stop - dt.timedelta(days=1))))


def payment_date(day: dt.date, calendar: str, convention: str) -> dt.date:
    """The business day on which a payment due on `day` is made."""
    if convention == "Unadjusted":
        return day
    adjusted = CALENDARS[calendar].adjust(_date(day), BUSINESS_DAY_CONVENTIONS[convention])
    return dt.date.fromordinal(adjusted.serialNumber() + _SERIAL_TO_ORDINAL)


def horizon_date(start: dt.date, tenor: str, calendar: str) -> dt.date:
    """The day a tenor such as 1D, 1W, 3M or 1Y after `start`: days are business days, others move on to the next one.

    Raises `BadInput` for anything else, and for zero.
    """
    if calendar not in CALENDARS:
        raise unknown("calendar", calendar, CALENDARS)
    match = re.fullmatch(r"([1-9]\d{0,3})([DWMY])", tenor)
    if match is None:
        raise unknown("horizon", tenor, ("1D", "10D", "1W", "1M", "3M", "6M", "1Y"))
    end_year = start.year + int(match[1]) // {"D": 250, "W": 52, "M": 12, "Y": 1}[match[2]]
    if start.year < 1901 or end_year > 2190:
        raise BadInput(f"A horizon of {tenor} from {start} lies beyond the calendars, which reach from 1901 to 2199.")
    end = CALENDARS[calendar].advance(_date(start), ql.Period(tenor), ql.Following)
    return dt.date.fromordinal(end.serialNumber() + _SERIAL_TO_ORDINAL)


def _ordinals(dates: Iterable[ql.Date]) -> Ints:
    ordinals: Ints = np.array([*map(ql.Date.serialNumber, dates)], dtype=np.int64) + _SERIAL_TO_ORDINAL
    return ordinals


def _date(day: dt.date) -> ql.Date:
    return ql.Date(day.day, day.month, day.year)
