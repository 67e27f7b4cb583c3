"""Types of the terms that several instruments share."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from lake.canonical import from_json
from valuation.types import NotValuable

# First and last of the years whose holidays of no rule (lunar ones) QuantLib lists; in all others it has fixed ones alone.
LISTED_YEARS = {
    "HKHK": ((2004, 2026),),
    "NZAU": ((1901, 2052),),  # Matariki began in 2022
    "SGSI": ((2004, 2009), (2012, 2014), (2019, 2027)),  # the new year of 2010 stands a month early
}

_ISO_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}")


def _iso_date(value: Any) -> Any:
    # Pydantic alone would read 20260331 as seconds since 1970.
    if isinstance(value, (int, float)) or (isinstance(value, str) and not _ISO_DATE.match(value.strip())):
        raise ValueError("a date is written as 2026-03-31")
    return value.strip() if isinstance(value, str) else value


def _schedulable(value: dt.date) -> dt.date:
    if not 1902 <= value.year <= 2198:  # QuantLib's years, less one for moves off holidays
        raise ValueError("years reach from 1902 to 2198")
    return value


def _frequency(value: int) -> int:
    if value not in (1, 2, 4):
        raise ValueError("payments a year are 1, 2 or 4")
    return value


def read_json(value: Any) -> Any:
    """A term that a positions file holds as JSON; anything but a text as it is."""
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from None


Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$", strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Date = Annotated[dt.date, BeforeValidator(_iso_date), AfterValidator(_schedulable)]
# Minus zero is zero, and the contract the same.
Number = Annotated[float, AfterValidator(lambda value: value + 0.0)]
Price = Annotated[float, Field(gt=0)]
# A rate of 100% a year or more is almost always a percentage given where a fraction is meant.
Rate = Annotated[Number, Field(gt=-1, lt=1)]
Fixings = Annotated[dict[Date, Rate], BeforeValidator(read_json)]
Frequency = Annotated[int, AfterValidator(_frequency)]
OptionType = Literal["call", "put"]

Smile = Literal["sticky_strike", "sticky_delta"]
DividendModel = Literal["escrowed", "spot"]

VOLATILITY = "lognormal implied volatility: a risk factor id, such as IV:AAPL, or the name of a volatility surface"
SMILE = (
    "what a volatility surface does where the forward moves: sticky_strike keeps the volatility of each strike, sticky_delta moves "
    "with the forward; as the surface is quoted when absent"
)
DISCOUNT_CURVE = "curve that discounts, such as USD"


def require_alive(last: dt.date, valuation_date: dt.date, *, included: bool = True) -> None:
    """Raises `NotValuable` when `last`, the last day with a value (or the first without), has passed."""
    if valuation_date > last or (valuation_date == last and not included):
        raise NotValuable("matured", f"It matured on {last}; the valuation date is {valuation_date}.")


def known_fixing(
    fixings: Mapping[dt.date, float],
    day: dt.date,
    rolled_from: dt.date | None,
    needed: str = "floating rate in fixings",
) -> float | None:
    """The fixing of the first day of a period; None where the roll gives it; raises `NotValuable` where nothing does."""
    fixing = fixings.get(day)
    if fixing is None and (rolled_from is None or day < rolled_from):
        given = ", ".join(map(str, sorted(fixings)[-5:])) or "none"
        raise NotValuable("missing_fixing", f"The period from {day} needs its {needed}; given: {given}.")
    return fixing
