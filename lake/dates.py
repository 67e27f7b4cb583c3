"""A date in a request: YYYY-MM-DD and nothing else."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day(value: Any) -> dt.date:
    """The date of a text YYYY-MM-DD; raises `ValueError` for anything else."""
    # pydantic alone also reads numbers, and texts such as "0", as seconds since 1970: a typing error would become a date
    if isinstance(value, dt.date):
        return value
    if not (isinstance(value, str) and _ISO.fullmatch(value)):
        raise ValueError("expected a date YYYY-MM-DD, such as 2020-03-16")
    return dt.date.fromisoformat(value)


Day = Annotated[dt.date, BeforeValidator(day)]
