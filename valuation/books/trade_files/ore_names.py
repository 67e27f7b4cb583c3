"""What ORE calls things, and what they are called here; the reader and the writer share it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from lake.landing.markup import Element
from valuation.books.trade_files.trade import NotRead

CALENDARS = {
    "TARGET": "EUTA", "EUR": "EUTA", "US": "USNY", "USD": "USNY", "US settlement": "USNY", "UnitedStates": "USNY", "NYB": "USNY",
    "UK": "GBLO", "GBP": "GBLO", "JP": "JPTO", "JPY": "JPTO", "CHF": "CHZU", "ZUB": "CHZU", "CA": "CATO", "CAD": "CATO", "TRB": "CATO",
    "AU": "AUSY", "AUD": "AUSY", "NZ": "NZAU", "NZD": "NZAU", "SEK": "SEST", "SS": "SEST", "NOK": "NOOS", "DKK": "DKCO", "HKD": "HKHK",
    "SGD": "SGSI", "US-GOV": "USGS", "US government": "USGS", "WeekendsOnly": "weekdays", "NullCalendar": "none",
}  # fmt: skip
CONVENTIONS = {
    "F": "Following", "Following": "Following", "FOLLOWING": "Following", "MF": "ModifiedFollowing",
    "ModifiedFollowing": "ModifiedFollowing",
    "Modified Following": "ModifiedFollowing", "MODIFIEDF": "ModifiedFollowing", "P": "Preceding", "Preceding": "Preceding",
    "MP": "ModifiedPreceding", "ModifiedPreceding": "ModifiedPreceding", "U": "Unadjusted", "Unadjusted": "Unadjusted",
    "INDIFF": "Unadjusted",
}  # fmt: skip
DAY_COUNTS = {
    "A360": "Actual360", "Actual/360": "Actual360", "ACT/360": "Actual360", "A365": "Actual365Fixed", "A365F": "Actual365Fixed",
    "Actual/365 (Fixed)": "Actual365Fixed", "ACT/365": "Actual365Fixed",
    "30/360 (Bond Basis)": "Thirty360",
    # ORE's 30/360 is that of the US: the last day of February counts as the 30th, which it does not here
    "30/360": "Thirty360", "T360": "Thirty360", "ACT/ACT.ISMA": "ActualActualISMA", "Actual/Actual (ISMA)": "ActualActualISMA",
}  # fmt: skip
FREQUENCIES = {"12M": 1, "1Y": 1, "6M": 2, "3M": 4, "1M": 12}
TENORS = {1: "1Y", 2: "6M", 4: "3M", 12: "1M"}
BARRIERS = {"DownAndIn": "down_in", "DownAndOut": "down_out", "UpAndIn": "up_in", "UpAndOut": "up_out"}
_YES = {"true", "y", "yes", "1"}


class NotWritten(Exception):
    """A trade that is not written, and why: a clause without a full stop."""


CODES: Mapping[str, Mapping[str, str]] = {  # the first of the names that the reader takes
    "calendar": {here: there for there, here in reversed(CALENDARS.items())},
    "convention": {here: there for there, here in reversed(CONVENTIONS.items())},
    "day_count": {here: there for there, here in reversed(DAY_COUNTS.items())},
}


def code(kind: str, name: str) -> str:
    """ORE's name of a calendar, convention or day_count; raises `NotWritten` where it has none."""
    if name not in CODES[kind]:
        raise NotWritten(f"its {kind} {name} has no counterpart in ORE's files")
    return CODES[kind][name]


def is_yes(text: str | None) -> bool:
    return (text or "").lower() in _YES


def side_written(quantity: float) -> str:
    return "Long" if quantity > 0 else "Short"


def side_read(text: str | None) -> int:
    if (text or "").lower() not in ("long", "short"):
        raise NotRead(f"whether it is long or short is {text!r}")
    return 1 if str(text).lower() == "long" else -1


def exact(number: float) -> Decimal:
    """The shortest decimal that reads back to the same bits."""
    return Decimal(repr(number))


def only_value(element: Element, *path: str) -> str | None:
    """The text at a path; raises `NotRead` where more than one stands there."""
    found = [e.text for e in element.all(*path) if e.text]
    if len(found) > 1:
        raise NotRead(f"it has {len(found)} of {path[-1]}, and one is expected")
    return found[0] if found else None
