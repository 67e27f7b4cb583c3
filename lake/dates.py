"""A date in a request: YYYY-MM-DD and nothing else."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import BeforeValidator

FIRST, LAST = dt.date(1900, 1, 1), dt.date(2100, 12, 31)  # of dates that questions and books are about
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day(value: Any) -> dt.date:
    """The date of a text YYYY-MM-DD from 1900 to 2100; raises `ValueError` for anything else."""
    # pydantic alone also reads numbers, and texts such as "0", as seconds since 1970: a typing error would become a date
    if not isinstance(value, dt.date):
        if not (isinstance(value, str) and _ISO.fullmatch(value)):
            raise ValueError("expected a date YYYY-MM-DD, such as 2020-03-16")
        value = dt.date.fromisoformat(value)
    found: dt.date = value
    if not FIRST.year <= found.year <= LAST.year:
        raise ValueError("expected a date from 1900 to 2100")
    return found


Day = Annotated[dt.date, BeforeValidator(day)]
