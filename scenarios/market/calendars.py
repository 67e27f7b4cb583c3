"""Business days: of exchanges, of bond and money markets, and of lists of days that came with market data."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lake.arrays import Bools, Dates
from lake.errors import BadInput, Issue, NotFound, unknown

WEEKDAYS = "weekdays"
DATA = "data"  # the days that have observations
MEANING = "business calendar: exchange_calendars code, EUTA, JPTO, USGS, weekdays, data (the days with observations), or a list of the lake"
MAX_HOLIDAY_DAYS = 7  # of a market in a row; a longer run of days without data is an interruption
CALENDAR_START = dt.date(1990, 1, 1)  # before it, several exchange calendars are not defined


# markets without an exchange, by their FpML codes, as contracts name them
_BUSINESS_CENTRES: Mapping[str, Callable[[Any], Any]] = {
    "EUTA": lambda ql: ql.TARGET(),
    "JPTO": lambda ql: ql.Japan(),
    "USGS": lambda ql: ql.UnitedStates(ql.UnitedStates.GovernmentBond),
}


def check_calendar(calendar: str, others: Iterable[str] = ()) -> None:
    """Raises `BadInput` with the nearest names where it is none of these others, nor known to everybody."""
    ours = [WEEKDAYS, *_BUSINESS_CENTRES, *others]
    if calendar in ours:
        return
    import exchange_calendars  # noqa: PLC0415 - an eighth of a second that a query of stored sets can spare

    if calendar not in exchange_calendars.get_calendar_names(include_aliases=True):
        names = exchange_calendars.get_calendar_names(include_aliases=False)
        raise unknown("calendar", calendar, [*ours, *names])


@functools.lru_cache(maxsize=32)
def _sessions_to(calendar: str, last_year: int) -> tuple[dt.date, Dates]:
    """The date a calendar begins on, and its business days from then to the end of the year."""
    end = dt.date(last_year, 12, 31)
    if calendar == WEEKDAYS:
        days = np.arange(np.datetime64(CALENDAR_START), np.datetime64(end) + 1)
        return CALENDAR_START, days[np.is_busday(days)]
    if calendar in _BUSINESS_CENTRES:
        import QuantLib as ql  # noqa: PLC0415, N813 - seldom needed, and the library's own habit

        listed = _BUSINESS_CENTRES[calendar](ql).businessDayList(
            ql.Date.from_date(CALENDAR_START), ql.Date.from_date(end)
        )
        return CALENDAR_START, np.array([d.to_date() for d in listed], dtype="datetime64[D]")
    check_calendar(calendar)
    import exchange_calendars  # noqa: PLC0415 - as above

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


def read_days(path: Path) -> Dates:
    """The business days of a calendar by file, ascending: a date a line, YYYY-MM-DD, below a header if there is one.

    Raises `NotFound`, or `BadInput` with an issue for each line that is no date.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as text in UTF-8: {error}.") from None
    days, issues = [], []
    for number, line in enumerate((text.strip() for text in lines), 1):
        try:
            days += [dt.date.fromisoformat(line)] if line else []
        except ValueError:
            place = f"{path.name}, line {number}"
            if number > 1:
                issues.append(Issue(place, f"found {line!r}, expected a date such as 2020-03-16.", line))
    if issues or not days:
        raise BadInput(
            f"{path.name} is no list of business days, a date a line; nothing of it is loaded.", issues=issues
        )
    return np.unique(np.array(days, dtype="datetime64[D]"))


@dataclass(frozen=True)
class Calendars:
    """What a lake says of calendars: lists of days by name, ascending, and the calendar that each source of market data keeps."""

    lists: Mapping[str, Dates] = field(default_factory=dict)
    of_source: Mapping[str, str] = field(default_factory=dict)

    def sessions(self, calendar: str, first: dt.date, last: dt.date) -> Dates:
        """As `sessions`, for a list of the lake too: before its first day there are none; raises `BadInput` where it ends too early."""
        days = self.lists.get(calendar)
        if days is None:
            check_calendar(calendar, [DATA, *self.lists])
            return sessions(calendar, first, last)
        if np.datetime64(last) > days[-1]:
            raise BadInput(
                f"Calendar {calendar} ends on {days[-1]}, before {last}; bring in a longer list of its days."
            )
        return days[(days >= np.datetime64(first)) & (days <= np.datetime64(last))]

    def closed(self, calendar: str, dates: Dates) -> tuple[Bools, Bools]:
        """Which dates (n_dates,) are no business days of the calendar, and which lie in the time that it knows."""
        days = self.lists.get(calendar)
        if days is None:
            this_year = dt.date.today().year
            begins, days = _sessions_to(calendar, this_year)
            known = (dates >= np.datetime64(begins)) & (dates <= np.datetime64(dt.date(this_year, 12, 31)))
        else:
            known = (dates >= days[0]) & (dates <= days[-1])
        return known & ~np.isin(dates, days), known
