"""Business days, from exchange_calendars."""

from __future__ import annotations

import datetime as dt
import functools

import numpy as np
import numpy.typing as npt

from lake.arrays import Dates
from lake.errors import BadInput, unknown

WEEKDAYS = "weekdays"
CALENDAR_START = dt.date(1990, 1, 1)  # before it, several exchange calendars are not defined


@functools.lru_cache(maxsize=8)
def _sessions_to(calendar: str, last_year: int) -> tuple[dt.date, Dates]:
    """The date a calendar begins on, and its business days from then to the end of the year."""
    end = dt.date(last_year, 12, 31)
    if calendar == WEEKDAYS:
        days = np.arange(np.datetime64(CALENDAR_START), np.datetime64(end) + 1)
        return CALENDAR_START, days[np.is_busday(days)]
    import exchange_calendars  # noqa: PLC0415 - an eighth of a second that a query of stored sets can spare

    if calendar not in exchange_calendars.get_calendar_names(include_aliases=True):
        raise unknown("calendar", calendar, [WEEKDAYS, *exchange_calendars.get_calendar_names(include_aliases=False)])
    begins = CALENDAR_START
    try:
        schedule = exchange_calendars.get_calendar(calendar, start=begins, end=end)
    except ValueError:  # it begins later, as Tokyo's does in 1997
        begins = exchange_calendars.get_calendar(calendar).bound_min().date()
        schedule = exchange_calendars.get_calendar(calendar, start=begins, end=end)
    return begins, schedule.sessions.values.astype("datetime64[D]")


def sessions(calendar: str, first: dt.date, last: dt.date) -> Dates:
    """Business days of the calendar from `first` to `last`, both included, ascending; `weekdays` is Monday to Friday."""
    if last < first:
        raise BadInput(f"The last date {last} lies before the first date {first}.")
    this_year = dt.date.today().year
    # one request for all years keeps the cache small and the calendar's set-up (half a second) to once
    begins, days = _sessions_to(calendar, this_year)
    if first < begins or last.year > this_year:
        raise BadInput(
            f"Dates from {first} to {last} were asked for; calendar {calendar} reaches from {begins.year} to {this_year}."
        )
    return days[(days >= np.datetime64(first)) & (days <= np.datetime64(last))]


def closed_days(observed: npt.NDArray[np.bool_], max_days: int) -> npt.NDArray[np.bool_]:
    """Days on which a market was closed, told from the days (n_dates,) on which anything of it was observed.

    A run of up to `max_days` days without an observation is a holiday, also when it is the latest; a longer one is an
    interruption of the data, and days before the first observation are no history. Neither is a holiday.
    """
    days = np.arange(len(observed))
    last = np.maximum.accumulate(np.where(observed, days, -1))
    following = np.minimum.accumulate(np.where(observed, days, len(days))[::-1])[::-1]
    return ~observed & (last >= 0) & (following - last - 1 <= max_days)
