"""Business days, from exchange_calendars."""

from __future__ import annotations

import datetime as dt
import functools

import exchange_calendars
import numpy as np
import numpy.typing as npt

from lake.errors import BadInput, unknown

Dates = npt.NDArray[np.datetime64]

WEEKDAYS = "weekdays"
CALENDAR_START = dt.date(1990, 1, 1)  # before it, several exchange calendars are not defined


@functools.lru_cache(maxsize=8)
def _sessions_of_years(calendar: str, first_year: int, last_year: int) -> Dates:
    start, end = f"{first_year}-01-01", f"{last_year}-12-31"
    if calendar == WEEKDAYS:
        every = np.arange(np.datetime64(start, "D"), np.datetime64(end, "D") + 1)
        return every[np.is_busday(every)]
    if calendar not in exchange_calendars.get_calendar_names(include_aliases=True):
        raise unknown("calendar", calendar, [WEEKDAYS, *exchange_calendars.get_calendar_names(include_aliases=False)])
    schedule = exchange_calendars.get_calendar(calendar, start=start, end=end)
    days: Dates = schedule.sessions.values.astype("datetime64[D]")
    return days


def sessions(calendar: str, first: dt.date, last: dt.date) -> Dates:
    """Business days of the calendar from `first` to `last`, both included, ascending; `weekdays` is Monday to Friday."""
    if last < first:
        raise BadInput(f"The last date {last} lies before the first date {first}.")
    this_year = dt.date.today().year
    if first < CALENDAR_START or last.year > this_year:
        raise BadInput(
            f"Dates from {first} to {last} were asked for; calendars reach from {CALENDAR_START.year} to {this_year}."
        )
    # one request for all years keeps the cache small and the calendar's set-up (half a second) to once
    days = _sessions_of_years(calendar, CALENDAR_START.year, this_year)
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
