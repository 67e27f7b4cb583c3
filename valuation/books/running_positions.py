"""Net positions kept as orders arrive: one row at a time, with the bits of netting everything from scratch.

`RunningPositions.apply(row)` takes a row of the table `orders` and returns the lines that it moved, each with its units before and
after; `lines` holds the net units of every line, exact fractions. Of each order the row with the highest sequence number counts, in
whatever order rows arrive: a row that arrives twice, or after one with a higher number, moves nothing. `valuation.books.orders` nets with
the same steps. A book that is held at the open is given as `opening`, so that what is live adds orders to it:

    running = RunningPositions(opening=units_by_line)
    for row in rows:
        for moved in running.apply(row):
            rescale(moved.line, moved.before, moved.after)
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from lake.canonical import canonical_json
from lake.landing.orders import DIMENSIONS

Line = tuple[str, tuple[str, ...], str]  # contract id, members of DIMENSIONS, attributes as JSON
Row = Mapping[str, Any]
Units = Fraction | int  # exact
Legs = tuple[tuple[Line, Units], ...]  # signed units of each line that an order is in


class LineMove(NamedTuple):
    """A line whose net units have changed: bought positive, sold negative."""

    line: Line
    before: Units
    after: Units


class _Counted(NamedTuple):
    """The row of an order that counts: its number and the units by line that it put in, none for a cancel."""

    sequence: int
    legs: Legs


_members = operator.itemgetter(*DIMENSIONS)


def line_of(row: Row) -> Line:
    """What the units of an order are added up by: its contract and the same members of all dimensions and attributes."""
    attributes = row["attributes"]
    return row["contract_id"], _members(row), canonical_json(dict(attributes)) if attributes else "{}"


def signed_units(row: Row) -> Units:
    """Units bought, negative where they were sold, exact."""
    text: str = row["quantity"]
    units = int(text) if text.isdecimal() else Fraction(text)  # whole ones are added ten times as fast
    return units if row["side"] == "buy" else -units


def as_traded(row: Row) -> Legs:
    """An order in the contract that was traded: right for the day of the trade. `valuation.books.orders.adjusted` gives the units of
    another day, after corporate actions."""
    return ((line_of(row), signed_units(row)),)


class RunningPositions:
    """Net units by line under orders, corrections and cancels, duplicates and late rows; nothing is rounded, so nothing drifts.

    opening : units by line that are held before any order. legs : what an order is in; see `as_traded`.
    """

    def __init__(self, opening: Mapping[Line, Units] | None = None, legs: Callable[[Row], Legs] = as_traded) -> None:
        self._legs = legs
        self._counted: dict[str, _Counted] = {}
        self.lines: dict[Line, Units] = dict(opening or {})
        self._legs_in = dict.fromkeys(self.lines, 1)  # how many legs a line has: one without any is no line
        self.rows = 0  # that were applied
        self.idle = 0  # of these, those that had arrived before or whose order had a higher number already

    def apply(self, row: Row) -> tuple[LineMove, ...]:
        """Takes a row of the table `orders`; returns what it moved, nothing where a line ends where it was."""
        order, sequence = row["order_id"], row["sequence"]
        self.rows += 1
        before = self._counted.get(order)
        if before is not None and sequence <= before.sequence:
            self.idle += 1
            return ()
        legs = () if row["event"] == "cancel" else self._legs(row)
        self._counted[order] = _Counted(sequence, legs)
        moves: dict[Line, tuple[Units, int]] = {}
        for sign, some in ((1, legs), (-1, before.legs if before is not None else ())):
            for line, units in some:
                moved, count = moves.get(line, (0, 0))
                moves[line] = moved + sign * units, count + sign
        found = [self._move(line, units, count) for line, (units, count) in moves.items()]
        return tuple(moved for moved in found if moved.before != moved.after)

    def _move(self, line: Line, units: Units, legs: int) -> LineMove:
        before = self.lines.get(line, 0)
        self.lines[line] = before + units
        self._legs_in[line] = self._legs_in.get(line, 0) + legs
        if not self._legs_in[line]:
            del self.lines[line], self._legs_in[line]
        return LineMove(line, before, before + units)

    def sequence(self, order_id: str) -> int | None:
        """The number of the row of an order that counts; None where none has arrived."""
        counted = self._counted.get(order_id)
        return None if counted is None else counted.sequence

    @property
    def orders(self) -> int:
        """Orders of which a row has arrived, cancelled ones too."""
        return len(self._counted)

    def open_lines(self) -> Iterator[tuple[Line, Units]]:
        """The lines that do not net to nothing, in the order of their keys."""
        return ((line, units) for line, units in sorted(self.lines.items()) if units)
