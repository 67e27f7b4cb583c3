"""A trade read from a file, on its way to a row of a positions file."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from lake.landing.markup import Element
from lake.schemas import DIMENSION_COLUMNS
from valuation.catalogue import INSTRUMENTS


class NotRead(Exception):
    """A trade that is not read, and why: a clause without a full stop. owners : what is known of it all the same."""

    owners: Mapping[str, str | None] = {}


def owner_columns(owners: Mapping[str, str | None]) -> dict[str, str]:
    """The columns of a positions file that say whose a trade is."""
    return {(k if k in DIMENSION_COLUMNS else f"attribute.{k}"): v for k, v in owners.items() if v}


@dataclass(frozen=True)
class Trade:
    """A quantity of a contract with what the file says of it.

    owners : dimension or attribute to its name. action : what it does to a book, as in a file of changes; one that is removed has
    nothing but its id. not_kept : what the file says of the trade that its contract does not hold.
    """

    trade_id: str
    instrument_type: str
    quantity: Decimal
    terms: Mapping[str, Any]
    owners: Mapping[str, str | None]
    action: str | None = None
    not_kept: str | None = None

    def row(self, as_of: dt.date) -> dict[str, str]:
        """The columns of a positions file; the instrument is called by its type and what it is on."""
        known = {"positions_date": as_of.isoformat(), "trade": self.trade_id}
        if self.action:
            known["action"] = self.action
        if self.action == "remove":
            return known
        of = self.terms.get("underlying") or self.terms.get("base_currency") or self.terms.get("currency") or ""
        terms = {k: _text(v) for k, v in self.terms.items() if v is not None}
        return {
            **known,
            "instrument": f"{self.instrument_type} {of}".strip(),
            **owner_columns(self.owners),
            "quantity": format(self.quantity, "f"),
            "instrument_type": self.instrument_type,
            **terms,
        }


def with_terms(
    trade_id: str,
    instrument_type: str,
    quantity: Decimal,
    terms: Mapping[str, Any],
    owners: Mapping[str, str | None],
    action: str | None = None,
) -> Trade:
    """The trade; raises `NotRead` where there is no such instrument, or where it lacks a term that is given.

    A term `NAME?` is one that an instrument which has it takes, and another does without.
    """
    if instrument_type not in INSTRUMENTS:
        raise NotRead(f"there is no {instrument_type}")
    fields = INSTRUMENTS[instrument_type].Terms.model_fields
    given = {
        k.rstrip("?"): v for k, v in terms.items() if v is not None and (not k.endswith("?") or k.rstrip("?") in fields)
    }
    if lacking := sorted(given.keys() - fields.keys()):
        raise NotRead(f"{instrument_type} has no {', '.join(lacking)}")
    return Trade(trade_id, instrument_type, quantity, given, owners, action)


def only(element: Element, names: str) -> None:
    """Raises `NotRead` where the element says something of its own: what is not known to be kept would be lost."""
    for child in element.children:
        if child.name not in names.split() and (child.text or child.children):
            raise NotRead(f"{child.name} of {element.name} is not read")


def counterpart(names: Mapping[Any, Any], given: Any, what: str) -> Any:
    """What a name of the file is called here; raises `NotRead` where it has no counterpart."""
    if given is None or given not in names:
        raise NotRead(
            f"{what} is {given!r}, which has no counterpart here; those that have: {', '.join(map(str, names))}"
        )
    return names[given]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value)
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def number(text: str | None, what: str) -> Decimal:
    """A number; raises `NotRead` where there is none."""
    try:
        found = Decimal((text or "").strip())
    except InvalidOperation:
        raise NotRead(f"{what} is {text!r}, not a number") from None
    if not found.is_finite():
        raise NotRead(f"{what} is {text!r}, not a number")
    return found


def ratio(of: Decimal, to: Decimal, what: str) -> float:
    """A price that two amounts say; raises `NotRead` for amounts that are not positive."""
    if of <= 0 or to <= 0:
        raise NotRead(f"{what} is of {of} and {to}, which are not both positive")
    return float(of / to)


def day(text: str | None, what: str) -> dt.date:
    """A date as 2026-03-31, 20260331 or 2026/03/31, of a year that has calendars; raises `NotRead` for anything else."""
    match = re.fullmatch(r"(\d{4})[-/]?(\d\d)[-/]?(\d\d)", (text or "").strip())
    try:
        found = dt.date(*map(int, match.groups())) if match else _no_day(text, what)
    except ValueError:
        return _no_day(text, what)
    if not 1902 <= found.year <= 2198:
        raise NotRead(f"{what} is {text!r}; years reach from 1902 to 2198")
    return found


def days_of(text: str | None, what: str) -> int:
    """A count of days; raises `NotRead` where there is none."""
    if not re.fullmatch(r"\d{1,3}", (text or "").strip()):
        raise NotRead(f"{what} is {text!r}, not a number of days")
    return int(str(text))


def _no_day(text: str | None, what: str) -> dt.date:
    raise NotRead(f"{what} is {text!r}, not a date")
