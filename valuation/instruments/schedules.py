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
    "ActualActualISDA": ql.ActualActual(ql.ActualActual.ISDA),
    "Thirty360": ql.Thirty360(ql.Thirty360.BondBasis),
    "Thirty360European": ql.Thirty360(ql.Thirty360.European),
    "Actual365Fixed": ql.Actual365Fixed(),
    "Actual360": ql.Actual360(),
}

_JOINT = "+"


class Calendars(dict[str, ql.Calendar]):
    """Calendars by name; names joined by +, sorted, are the calendar of the days that are business days in each."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and _JOINT in name and self._joins(name))

    def _joins(self, name: str) -> bool:
        parts = name.split(_JOINT)
        return parts == sorted({*parts}) and all(super(Calendars, self).__contains__(p) and p.isupper() for p in parts)

    def __missing__(self, name: str) -> ql.Calendar:
        if name not in self:
            raise KeyError(name)
        return _joined(name)


# Business centres by their FpML codes.
CALENDARS = Calendars(
    {
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
)


@functools.lru_cache(maxsize=1 << 8)
def _joined(name: str) -> ql.Calendar:
    return functools.reduce(ql.JointCalendar, (CALENDARS[part] for part in name.split(_JOINT)))


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


def _calendar(name: str) -> str:
    joint = _JOINT.join(sorted({*name.split(_JOINT)}))
    if joint not in CALENDARS:
        lacking = next((part for part in name.split(_JOINT) if part not in CALENDARS), name)
        raise ValueError(f"unknown name; nearest: {', '.join(nearest(lacking, CALENDARS))}")
    return joint


Calendar = Annotated[str, AfterValidator(_calendar), Field(validate_default=True)]
BusinessDayConvention = Annotated[str, _one_of(BUSINESS_DAY_CONVENTIONS), Field(validate_default=True)]

CALENDAR = f"business days of payments: {', '.join(CALENDARS)} (FpML business centres), or several of them joined by +"
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
    ends, coupons = _periods(start, maturity, frequency, day_count, calendar, convention, adjust_accrual, end_of_month)
    return Leg(
        starts=ends[:-1],
        payments=ends[1:] if adjust_accrual else _ordinals([c.date() for c in coupons]),
        accruals=np.array([c.amount() for c in coupons]),
    )


@functools.lru_cache(maxsize=1 << 15)
def accrued(
    start: dt.date,
    maturity: dt.date,
    frequency: int,
    day_count: str,
    calendar: str,
    convention: str,
    adjust_accrual: bool,
    end_of_month: bool,
    day: dt.date,
) -> float:
    """Year fraction that has accrued by a day of the next coupon that is paid after it, by the terms of a `leg`."""
    _, coupons = _periods(start, maturity, frequency, day_count, calendar, convention, adjust_accrual, end_of_month)
    running = next((c for c in coupons if c.date() > _date(day)), None)
    return 0.0 if running is None else float(ql.as_coupon(running).accruedAmount(_date(day)))


def _periods(
    start: dt.date,
    maturity: dt.date,
    frequency: int,
    day_count: str,
    calendar: str,
    convention: str,
    adjust_accrual: bool,
    end_of_month: bool,
) -> tuple[Ints, ql.Leg]:
    """Bounds of the periods, and a coupon of each that pays its year fraction."""
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
    return _ordinals(schedule.dates()), coupons


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
    notes = []
    for centre in calendar.split(_JOINT):
        listed = LISTED_YEARS.get(centre, ((first.year, last.year),))
        if not all(any(a <= year <= b for a, b in listed) for year in range(first.year, last.year + 1)):
            years = ", ".join(f"{a}-{b}" for a, b in listed)
            notes.append(
                f"Calendar {centre} lists its moving holidays of {years} alone ({VERSION}): in other years a date on one stays on it."
            )
    return tuple(notes)


def business_days(first: dt.date, stop: dt.date, calendar: str) -> Ints:
    """Ordinals of the business days from `first` to the day before `stop`."""
    return _ordinals(CALENDARS[calendar].businessDayList(_date(first), _date(stop - dt.timedelta(days=1))))


@functools.lru_cache(maxsize=1 << 16)
def payment_date(day: dt.date, calendar: str, convention: str) -> dt.date:
    """The business day on which a payment due on `day` is made."""
    if convention == "Unadjusted":
        return day
    adjusted = CALENDARS[calendar].adjust(_date(day), BUSINESS_DAY_CONVENTIONS[convention])
    return _python_date(adjusted)


@functools.lru_cache(maxsize=1 << 16)
def spot_date(day: dt.date, lag: int, calendar: str) -> dt.date:
    """The business day `lag` business days after `day`, which first moves on to one."""
    known = CALENDARS[calendar]
    return _python_date(known.advance(known.adjust(_date(day)), lag, ql.Days))


@functools.lru_cache(maxsize=1 << 16)
def days_after(day: int, n: int, calendar: str) -> int:
    """The ordinal of the day `n` business days after that of ordinal `day`."""
    return (
        int(CALENDARS[calendar].advance(ql.Date(day - _SERIAL_TO_ORDINAL), n, ql.Days).serialNumber())
        + _SERIAL_TO_ORDINAL
    )


def advanced(day: dt.date, tenor: str, calendar: str, convention: str) -> dt.date:
    """The business day a tenor such as 3M after `day`; days of a tenor are business days."""
    return _python_date(CALENDARS[calendar].advance(_date(day), ql.Period(tenor), BUSINESS_DAY_CONVENTIONS[convention]))


def tenor_end(day: dt.date, tenor: str) -> dt.date:
    """The day a tenor after `day`, whether business day or not."""
    return _python_date(_date(day) + ql.Period(tenor))


def imm_date(day: dt.date, n: int) -> dt.date:
    """The n-th third Wednesday of a March, June, September or December after `day`."""
    found = _date(day)
    for _ in range(n):
        found = ql.IMM.nextDate(found)
    return _python_date(found)


def year_fraction(start: dt.date, end: dt.date, day_count: str) -> float:
    """Years from `start` to `end` by a day count."""
    return float(DAY_COUNTS[day_count].yearFraction(_date(start), _date(end)))


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
    return _python_date(end)


def _ordinals(dates: Iterable[ql.Date]) -> Ints:
    ordinals: Ints = np.array([*map(ql.Date.serialNumber, dates)], dtype=np.int64) + _SERIAL_TO_ORDINAL
    return ordinals


def _python_date(day: ql.Date) -> dt.date:
    return dt.date.fromordinal(day.serialNumber() + _SERIAL_TO_ORDINAL)


def _date(day: dt.date) -> ql.Date:
    return ql.Date(day.day, day.month, day.year)
