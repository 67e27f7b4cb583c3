"""The trades of a live day: orders as they come, corrected and cancelled, netted to positions without rounding.

Of each order the row with the highest number counts, in whatever order and however often rows arrive (docs/orders.md), and it counts where
it was executed on the day, by the zone it was given in. Units are added up as fractions, so that no trade leaves a trace once it is undone.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from typing import Any

from lake.canonical import canonical_json, digest
from lake.errors import BadInput
from lake.landing.numbers import MOST
from lake.landing.orders import DIMENSIONS
from valuation.books.orders import LIVE
from valuation.books.running_positions import Line, Row, RunningPositions, as_traded, line_of

# the columns of `orders` that are read
READ = (
    *("order_id", "sequence", "event", "executed_at", "trade_date", "side", "quantity"),
    *("contract_id", "instrument_type", "currency", "attributes", *DIMENSIONS),
)


class LiveTrades:
    """Net units by line: a contract and the same members of all dimensions and attributes."""

    def __init__(self, day: dt.date) -> None:
        self.day = day
        self.rows: dict[Line, dict[str, Any]] = {}  # of each line ever seen, as in `positions`, quantity aside
        self._running = RunningPositions(legs=lambda row: as_traded(row) if row["trade_date"] == day else ())
        self._became: dict[str, str] = {}  # order to what its newest row made of it, as `counts` names it
        self.seen = 0  # different rows
        self.repeated = 0
        self.last: tuple[dt.datetime, str, int] | None = None  # of the rows that count: executed at, order, number
        self.changed: set[Line] = set()  # since they were last asked for
        self._digest = (-1, "")
        self._known: set[tuple[str, int]] = set()

    def apply(self, row: Row) -> None:
        """Takes a row of `orders` in, see `changed`. A row that is known already changes nothing."""
        order, number = key = (row["order_id"], row["sequence"])
        if key in self._known:
            self.repeated += 1
            return
        self._known.add(key)
        self.seen += 1
        moves = self._running.apply(row)
        if self._running.sequence(order) != number:  # a newer row of it was here already
            return
        self._became[order] = (
            "cancelled" if row["event"] == "cancel" else "counted" if row["trade_date"] == self.day else "of_other_days"
        )
        if self._became[order] == "counted":
            self._name(row)
            told = (row["executed_at"], order, number)
            self.last = max(self.last or told, told)
        for moved in moves:
            if not -MOST <= moved.after <= MOST:
                raise BadInput(
                    f"The orders of {moved.line[1]} net to {float(moved.after):g} units, beyond {MOST:g}; correct them."
                )
            self.changed.add(moved.line)

    def _name(self, row: Row) -> None:
        line = line_of(row)
        if line not in self.rows:
            self.rows[line] = {
                **dict(zip(DIMENSIONS, line[1], strict=True)),
                "trade": f"{LIVE}{digest(self.day.isoformat(), line[0], *map(str, line[1]), line[2])[:16]}",
                "contract_id": line[0],
                "instrument_type": row["instrument_type"],
                "currency": row["currency"],
                "attributes": json.loads(line[2]),
            }

    @property
    def open_lines(self) -> list[Line]:
        """The lines that do not net to nothing, in the order of their keys."""
        return [line for line, _ in self._running.open_lines()]

    def quantity(self, line: Line) -> float:
        """Net units of a line, rounded once."""
        return float(self._running.lines.get(line, 0))

    @property
    def digest(self) -> str:
        """Names the units of all lines: the same for the same orders, in whatever order they came."""
        if self._digest[0] != self.seen:
            told = sorted((self.rows[x]["trade"], str(units)) for x, units in self._running.open_lines())
            self._digest = (self.seen, digest(canonical_json(told)))
        return self._digest[1]

    @property
    def counts(self) -> dict[str, int]:
        """How many orders are known, count, were cancelled, and are of other days."""
        became = Counter(self._became.values())
        return {
            "orders": len(self._became),
            **{name: became[name] for name in ("counted", "cancelled", "of_other_days")},
            "lines": len(self.open_lines),
        }
