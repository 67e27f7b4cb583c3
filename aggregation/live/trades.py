"""The trades of a live day: orders as they come, corrected and cancelled, netted to positions without rounding.

Of each order the row with the highest number counts, in whatever order and however often rows arrive (docs/orders.md), and it counts where
it was executed on the day, by the zone it was given in. Units are added up as fractions, so that no trade leaves a trace once it is undone.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from lake.canonical import canonical_json, digest
from lake.errors import BadInput
from lake.landing.numbers import MOST
from lake.landing.orders import DIMENSIONS
from valuation.books.orders import Line

LIVE = "live:"  # how the trades begin that a live day makes of its orders

Row = Mapping[str, Any]


class LiveTrades:
    """Net units by line: a contract and the same members of all dimensions and attributes."""

    def __init__(self, day: dt.date) -> None:
        self.day = day
        self.units: dict[Line, Fraction] = {}
        self.rows: dict[Line, dict[str, Any]] = {}  # of each line ever seen, as in `positions`, quantity aside
        self._latest: dict[str, tuple[int, str]] = {}  # order to its highest number, and its event
        self._counted: dict[str, tuple[Line, Fraction]] = {}  # orders that count, and what each adds
        self.seen = 0  # different rows
        self.repeated = 0
        self.last: tuple[dt.datetime, str, int] | None = None  # of the rows that count: executed at, order, number
        self.changed: set[Line] = set()  # since they were last asked for
        self._digest = (-1, "")
        self._known: set[tuple[str, int]] = set()

    def apply(self, row: Row) -> None:
        """Takes a row of `orders` in, see `changed`. A row that is known already changes nothing."""
        key = (row["order_id"], row["sequence"])
        if key in self._known:
            self.repeated += 1
            return
        self._known.add(key)
        self.seen += 1
        order, number = key
        if number < self._latest.get(order, (0, ""))[0]:
            return
        self._latest[order] = (number, row["event"])
        if before := self._counted.pop(order, None):
            self._add(before[0], -before[1])
        if row["event"] != "cancel" and row["trade_date"] == self.day:
            line = self._line(row)
            units = Fraction(row["quantity"]) * (1 if row["side"] == "buy" else -1)
            self._counted[order] = (line, units)
            self._add(line, units)
            told = (row["executed_at"], order, number)
            self.last = max(self.last or told, told)

    def _add(self, line: Line, units: Fraction) -> None:
        total = self.units.get(line, Fraction(0)) + units
        if abs(total) > MOST:
            raise BadInput(f"The orders of {line[1]} net to {float(total):g} units, beyond {MOST:g}; correct them.")
        self.units[line] = total
        self.changed.add(line)

    def _line(self, row: Row) -> Line:
        members = tuple(row[d] for d in DIMENSIONS)
        attributes = row["attributes"] or {}
        line = (row["contract_id"], members, canonical_json(dict(attributes)))
        if line not in self.rows:
            self.rows[line] = {
                **dict(zip(DIMENSIONS, members, strict=True)),
                "trade": f"{LIVE}{digest(line[0], *map(str, members), line[2])[:16]}",
                "contract_id": line[0],
                "instrument_type": row["instrument_type"],
                "currency": row["currency"],
                "attributes": json.loads(line[2]),
            }
        return line

    def quantity(self, line: Line) -> float:
        """Net units of a line, rounded once."""
        return float(self.units[line])

    @property
    def digest(self) -> str:
        """Names the units of all lines: the same for the same orders, in whatever order they came."""
        if self._digest[0] != self.seen:
            told = sorted((self.rows[x]["trade"], str(units)) for x, units in self.units.items() if units)
            self._digest = (self.seen, digest(canonical_json(told)))
        return self._digest[1]

    @property
    def counts(self) -> dict[str, int]:
        """How many orders are known, count, were cancelled, and are of other days."""
        cancelled = sum(event == "cancel" for _, event in self._latest.values())
        return {
            "orders": len(self._latest),
            "counted": len(self._counted),
            "cancelled": cancelled,
            "of_other_days": len(self._latest) - cancelled - len(self._counted),
            "lines": sum(1 for units in self.units.values() if units),
        }
