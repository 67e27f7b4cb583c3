"""What the answer of a question takes of a core, told before the work from how much it will read.

How many positions, contracts and scenarios there are is in the logs of the tables and in the seals; groups are counted in the book,
unless they are by trade: then there is one a position. No vector is read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.book.book import Book
from aggregation.book.filters import select
from aggregation.opened.inputs import answering, book_of_scope
from aggregation.reduce.selection import SECONDS_A_GROUP, SECONDS_A_SUM, grouped
from aggregation.session import Session
from aggregation.types import Scope
from lake.arrays import Bools
from lake.errors import NotFound
from lake.tables import Snapshot
from valuation.types import ValuationSet

# seconds of a core, measured: to open, note and seal an answer; to filter a position; to map and check a byte of vectors; to look
# a contract up in a plan; to read a market value; to make a row of an answer
SECONDS_A_QUESTION, SECONDS_A_POSITION, SECONDS_A_BYTE = 0.05, 1e-7, 1.5e-9
SECONDS_A_PLANNED, SECONDS_A_LEVEL, SECONDS_A_ROW = 1.5e-4, 5e-7, 3e-6
_MARGIN = 1.5  # of what was measured, on a core that has other work


@dataclass(frozen=True)
class Size:
    """How much a question about one scope reads. seal : the valuation set that answers, None where the scenarios were given.

    book, and keep (n_positions,), what the filters leave of it : None where it was not opened, since there is a group a position.
    """

    positions: int
    groups: int
    scenarios: int
    seal: ValuationSet | None
    book: Book | None = None
    keep: Bools | None = None

    def seconds(self, passes: float = 1.0, a_group: float = 0.0) -> float:
        """So many passes over the vectors, and what is done with each group and the total."""
        n = self.groups + 1
        held = self.positions if self.keep is None else int(np.count_nonzero(self.keep))
        once = SECONDS_A_GROUP * n + SECONDS_A_SUM * (n + held) * self.scenarios
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
        contracts = self.positions if self.book is None else len(self.book.contract_ids)
        return SECONDS_A_QUESTION + SECONDS_A_PLANNED * contracts

    @property
    def kinds(self) -> dict[str, int]:
        """Contracts that are held in what the filters leave, by instrument type; of a book that was opened."""
        assert self.book is not None
        assert self.keep is not None
        column = self.book.columns["instrument_type"]
        held = self.book.starts[:-1][self.book.by_contract(self.keep) > 0]
        counts = np.bincount(column.codes[held], minlength=len(column.members))
        return {kind: n for kind, n in zip(column.members.to_pylist(), counts.tolist(), strict=True) if n}


def size_of(session: Session, query: Any, *, by: Sequence[str] | None = None, scenarios: int | None = None) -> Size:
    """How much there is to read for a query with the fields of a `Scope`, or some of them.

    by : in place of the query's. scenarios : of a valuation set that is not looked for. Raises as `open_inputs` does.
    """
    given = {name: getattr(query, name) for name in Scope.model_fields if hasattr(query, name)}
    scope = Scope.model_construct(**{**given, **({} if by is None else {"by": tuple(by)})})
    cache, seal = session.cache.as_known(scope.as_known), None
    if scenarios is None:
        snapshot, _, candidates = answering(cache, scope)
        seal, scenarios = candidates[0], candidates[0].scenario_count
    else:
        snapshot = cache.lake.snapshot()
    day = scope.positions_date or scope.as_of
    rows = positions_by_day(session, snapshot)
    if "trade" in scope.by and not scope.where and scope.branch is None and day in rows:
        return Size(rows[day], rows[day], scenarios, seal)
    book = book_of_scope(cache, snapshot, scope, day if seal is None else seal.market_date)
    if "trade" in scope.by:  # to number a million groups takes longer than all else of a price
        for name in scope.by:
            book.column(name)  # an unknown name is told before what it would cost
        keep = select(book, scope.where)
        return Size(book.n_positions, int(np.count_nonzero(keep)), scenarios, seal, book, keep)
    keep, groups = grouped(book, scope)
    return Size(book.n_positions, groups.n, scenarios, seal, book, keep)


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
