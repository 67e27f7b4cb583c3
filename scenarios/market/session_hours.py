"""When markets are open: the sessions of an exchange with their early closes; a market without an exchange is open around the clock."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass

import numpy as np

from lake.arrays import Dates, Ints
from lake.errors import BadInput

DAY = 86_400_000_000  # microseconds
_MARGIN = dt.timedelta(days=12)  # no exchange of the library is closed for as long


@dataclass(frozen=True)
class SessionHours:
    """Sessions in order, each array (n_sessions,): their days, and open and close in microseconds since 1970 in UTC."""

    days: Dates
    opens: Ints
    closes: Ints

    def nearest(self, time: Ints) -> Ints:
        """The place of the session that each instant lies in, or is nearest to, (n,)."""
        between = self.closes[:-1] + (self.opens[1:] - self.closes[:-1]) // 2
        return np.searchsorted(between, time, side="right")


def session_hours(calendar: str | None, first: dt.date, last: dt.date) -> SessionHours:
    """The sessions that instants from the first to the last day, in UTC, may be of.

    calendar : name of a business calendar. One of an exchange has the hours of that exchange, early closes among them, without its breaks;
    any other, and none, has a session a day, from midnight to midnight UTC.
    """
    if calendar is not None and _is_exchange(calendar):
        return _of_exchange(calendar, first - _MARGIN, last + _MARGIN)
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    opens = days.astype(np.int64) * DAY
    return SessionHours(days, opens, opens + DAY)


def _is_exchange(calendar: str) -> bool:
    import exchange_calendars  # noqa: PLC0415 - an eighth of a second, and only files of ticks need it here

    return calendar in exchange_calendars.get_calendar_names(include_aliases=True)


@functools.lru_cache(maxsize=64)
def _of_exchange(calendar: str, first: dt.date, last: dt.date) -> SessionHours:
    import exchange_calendars  # noqa: PLC0415 - as above

    try:
        schedule = exchange_calendars.get_calendar(calendar, start=first, end=last).schedule
    except ValueError as error:
        raise BadInput(f"The calendar {calendar} does not tell the sessions from {first} to {last}: {error}") from None
    days = schedule.index.to_numpy().astype("datetime64[D]")
    hours = (schedule[c].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy() for c in ("open", "close"))
    opens, closes = (h.astype("datetime64[us]").astype(np.int64) for h in hours)
    return SessionHours(days, opens, closes)
