"""What the answer of a question takes of a core, told before the work from how much it will read.

How many positions and scenarios there are is in the logs of the tables and in the seals; groups and what filters leave are counted in
the book, or in the columns named where no book is open. No vector is read.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.book.book import Book, contracts_held, unopened_book
from aggregation.book.filters import select
from aggregation.dimensions import CONTRACT_COLUMNS, DIMENSIONS
from aggregation.opened.inputs import answering, book_of_scope
from aggregation.reduce.grouping import group_by
from aggregation.reduce.selection import SECONDS_A_GROUP, SECONDS_A_SUM, grouped, is_summed
from aggregation.session import Session
from aggregation.types import Scope
from lake.errors import NotFound
from lake.tables import NEVER_WRITTEN, Snapshot
from scenarios.market.corporate_actions import TABLE as ACTIONS
from valuation.types import ValuationSet

# seconds of a core, measured: to open, note and seal an answer; to filter a position; to map and check a byte of vectors; to look
# a contract up in a plan; to read a market value; to make a row of an answer
SECONDS_A_QUESTION, SECONDS_A_POSITION, SECONDS_A_BYTE = 0.05, 1e-7, 1.5e-9
SECONDS_A_PLANNED, SECONDS_A_LEVEL, SECONDS_A_ROW = 1.5e-4, 5e-7, 3e-6
_MARGIN = 1.5  # of what was measured, on a core that has other work


class PositionCounts:
    """The positions that a question is about; while their book is not open they are counted in the columns that are filtered and grouped
    by, since to open a million takes seconds."""

    def __init__(self, session: Session, snapshot: Snapshot, scope: Scope, terms: dt.date) -> None:
        self._cache, self._snapshot, self._scope, self._terms = session.cache, snapshot, scope, terms
        self._day, rows = scope.positions_date or scope.as_of, positions_by_day(session, snapshot)
        acted = terms != self._day and snapshot.versions[ACTIONS] != NEVER_WRITTEN
        self._stored = rows.get(self._day, 0) if scope.branch is None and not acted else 0

    @functools.cached_property
    def book(self) -> Book:
        """Opens it."""
        return book_of_scope(self._cache, self._snapshot, self._scope, self._terms)

    @functools.cached_property
    def _closed(self) -> bool:
        return bool(self._stored) and not self._cache.is_opened(self._snapshot, self._day)

    @functools.cached_property
    def contracts(self) -> int:
        """How many contracts they are of, whatever the filters leave."""
        return contracts_held(self._snapshot, self._day) if self._closed else len(self.book.contract_ids)

    @functools.cached_property
    def kinds(self) -> dict[str, int]:
        """Contracts that are held in what the filters leave, by instrument type; opens the book."""
        column = self.book.columns["instrument_type"]
        held = self.book.starts[:-1][self.book.by_contract(select(self.book, self._scope.where)) > 0]
        counts = np.bincount(column.codes[held], minlength=len(column.members))
        return {kind: n for kind, n in zip(column.members.to_pylist(), counts.tolist(), strict=True) if n}

    def summed(self, seal: ValuationSet) -> bool:
        """Whether the P&L of their groups in the scenarios of a valuation set is kept from a question before."""
        vectors = None if self._closed else self._cache.opened_vectors(seal)
        return vectors is not None and is_summed(
            self.book, vectors, self._cache.alignment(self.book, vectors), self._scope
        )

    def counts(self) -> tuple[int, int, int]:
        """All of them, those that the filters leave, and the groups of those."""
        scope, by_trade = self._scope, "trade" in self._scope.by
        # a trade stands once in a book: to number a million groups takes longer than all else of a price
        names = list(dict.fromkeys([*(f.dimension for f in scope.where), *(() if by_trade else scope.by)]))
        stored = {*names, *scope.by} <= {*DIMENSIONS, *CONTRACT_COLUMNS}
        if stored and self._stored and not names:
            return self._stored, self._stored, self._stored if by_trade else 1
        if stored and self._closed:
            book = unopened_book(self._snapshot, self._day, names)
            keep = select(book, scope.where)
            groups = None if by_trade else group_by(book, scope.by, keep)
        elif by_trade:
            book, groups = self.book, None
            for name in scope.by:
                book.column(name)  # an unknown name is told before what it would cost
            keep = select(book, scope.where)
        else:
            book = self.book
            keep, groups = grouped(book, scope)  # which the answer then finds made
        held = int(np.count_nonzero(keep))
        return book.n_positions, held, held if groups is None else groups.n


@dataclass(frozen=True)
class Size:
    """How much a question about one scope reads. held : positions that the filters leave, of all that its book has. seal : the valuation
    set that answers, None where the scenarios were given."""

    positions: int
    held: int
    groups: int
    scenarios: int
    seal: ValuationSet | None
    of: PositionCounts

    def seconds(self, passes: float = 1.0, a_group: float = 0.0) -> float:
        """So many passes over the vectors, less the one that an earlier question made, and what is done with each group and the total."""
        n = self.groups + 1
        passes -= self.seal is not None and self.of.summed(self.seal)
        once = SECONDS_A_GROUP * n + SECONDS_A_SUM * (n + self.held) * self.scenarios
        each = SECONDS_A_POSITION * self.positions + (SECONDS_A_ROW + a_group) * n
        return SECONDS_A_QUESTION + _MARGIN * (passes * once + each)

    @property
    def reading(self) -> float:
        """Seconds to open the vectors. Those of one day stay open between questions; those of many days do not."""
        contracts = self.positions if self.seal is None else self.seal.submitted
        return SECONDS_A_BYTE * 8 * contracts * self.scenarios

    @property
    def planning(self) -> float:
        """Seconds to look up which contracts have been valued, of a question that asks for a valuation by its scenarios."""
        return SECONDS_A_QUESTION + SECONDS_A_PLANNED * self.of.contracts


def size_of(session: Session, query: Any, *, by: Sequence[str] | None = None, scenarios: int | None = None) -> Size:
    """How much there is to read for a query with the fields of a `Scope`, or some of them.

    by : in place of the query's. scenarios : of a valuation set that is not looked for. Raises as `open_inputs` does.
    """
    given = {name: getattr(query, name) for name in Scope.model_fields if hasattr(query, name)}
    scope = Scope.model_construct(**{**given, **({} if by is None else {"by": tuple(by)})})
    session, seal = session.as_known(scope.as_known), None
    if scenarios is None:
        snapshot, _, candidates = answering(session.cache, scope)
        seal, scenarios = candidates[0], candidates[0].scenario_count
    else:
        snapshot = session.cache.lake.snapshot()
    terms = scope.positions_date or scope.as_of if seal is None else seal.market_date
    counted = PositionCounts(session, snapshot, scope, terms)
    return Size(*counted.counts(), scenarios, seal, counted)


def positions_by_day(session: Session, snapshot: Snapshot) -> Mapping[dt.date, int]:
    """How many positions each day has."""
    key = ("positions by day", snapshot.versions["positions"])
    return session.cache.keep(key, lambda: snapshot.rows_by("positions", "positions_date"))


def history_seconds(session: Session) -> float:
    """Seconds to read all market data and take its moves."""
    return SECONDS_A_LEVEL * session.lake.count("market_data")


def of_scope(passes: float = 1.0, a_scenario: float = 0.0) -> Callable[[Session, Any], float]:
    """The price of a question about one scope: passes over its vectors, and what is done with a group in a scenario."""

    def price(session: Session, query: Any) -> float:
        size = size_of(session, query)
        return size.seconds(passes, a_scenario * size.scenarios)

    return price


def of_days(session: Session, days: Iterable[dt.date], of_day: Callable[[dt.date], float]) -> float:
    """As many times the price of the day with the most positions as there are days with any."""
    rows = positions_by_day(session, session.lake.snapshot("positions"))
    held = sorted((day for day in days if day in rows), key=lambda day: (-rows[day], day))
    for day in held:
        try:
            return len(held) * of_day(day)
        except NotFound:
            continue  # not valued: the next largest then
    return SECONDS_A_QUESTION
