"""A live book: what is held and what it is worth now, in every scenario, kept as trades and levels come.

Its state is what was stored before the day, the orders of the day and the newest level of each risk factor, and nothing else: in whatever
order they came, how often, and across any restart, its figures are to the last bit those of a valuation of the same book under the same
moves on the same levels.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book
from aggregation.book.changes import ADDED, derive
from aggregation.book.filters import select
from aggregation.book.hierarchies import with_levels
from aggregation.dimensions import ATTRIBUTE
from aggregation.live.level_rows import LevelRows
from aggregation.live.live_market import LiveMarket
from aggregation.live.live_trades import LiveTrades
from aggregation.live.live_vectors import LiveVectors
from aggregation.live.opening import Opening
from aggregation.live.view import View
from aggregation.opened.vectors import Vectors
from aggregation.types import Positions
from lake.arrays import Bools, Ints
from lake.errors import BadInput, Conflict
from lake.tables import NEVER_WRITTEN
from scenarios.types import ScenarioSet
from valuation.books.contracts import contracts_by_id
from valuation.books.orders import LIVE
from valuation.books.running_positions import Line
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import NO_RATE, ValuationFailure

Instant = dt.datetime
_MOST_VIEWS = 64  # questions, and nodes of limits, kept between changes
_MOST_LINES = 1000  # that change at once and are netted one by one; to make all groups from scratch takes as long


@dataclass
class Feed:
    """What a source of levels has sent: when last anything, and when last a level of each factor."""

    last: Instant | None = None
    of_factor: dict[str, Instant] = dataclasses.field(default_factory=dict)


class LiveBook:
    """The live book of a day. Not to be changed by two threads at once."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.day = opening.day
        self.lake = opening.at.lake  # where contracts of orders are looked for
        self.market = LiveMarket(opening.source, opening.base, opening.name)
        self.vectors = LiveVectors(self.market.index, self.market.pricing(), opening.contracts)
        self.trades = LiveTrades(self.day)
        self._views: dict[tuple[Any, ...], View] = {}
        self._made: Vectors | None = None
        self._whole: tuple[Book, dict[str, int]] | None = None
        self.replaced: set[str] = {
            *opening.base.held,
            *opening.source.proxied,
        }  # factors at a level of before the day, or with a proxy's moves
        self._replaced_reads: Ints = np.zeros(0, np.int64)  # how many of them each contract reads, by row
        self.rests: Bools  # which contracts read any; another array once that changes
        self._rest_on_replaced()
        self.levels = 0  # that were taken in
        self.prices_until: Instant | None = None
        self.feeds: dict[str, Feed] = {}
        self._level_at: dict[str, Instant] = {}  # the bucket of the level of each factor
        self._refused: dict[str, tuple[Instant, str]] = {}
        self.unread: set[str] = set()  # factors that came and that the scenarios do not have
        self.touched: set[int] = set()  # rows of the market whose base is not that of the open
        self.opened: dict[
            tuple[Any, ...], Mapping[tuple[str | None, ...], Mapping[str, float]]
        ] = {}  # figures of the open, by question

    # --- levels ---

    def apply_levels(self, rows: LevelRows | Sequence[Mapping[str, Any]]) -> int:
        """Takes rows of `intraday_levels` in: risk_factor_id, bucket_end, level, carried_seconds, source. How many moved a level.

        Of a factor the newest bucket counts, of one that comes again the last row. A level from which the moves of its factor have no
        meaning is named in `refused`, and the newest usable one before it counts.
        """
        if not isinstance(rows, LevelRows):
            rows = LevelRows.of(rows)
        self.levels += len(rows)
        self.prices_until = max(filter(None, (self.prices_until, rows.until)), default=None)
        for source, factor, at in rows.fresh():
            feed = self.feeds.setdefault(source, Feed())
            feed.last = at if feed.last is None else max(at, feed.last)
            feed.of_factor[factor] = max(at, feed.of_factor.get(factor, at))
        moved, first = [], set[str]()
        for factor, newest_first in rows.by_factor():
            place = self.market.index.row.get(factor)
            if place is None:
                self.unread.add(factor)
                continue
            was, known = self.market.base[place], bool(self.market.fresh[place])
            for at, level in newest_first:
                if at < self._level_at.get(factor, at):
                    break
                why = self.market.set_level(place, level)
                if why is None:
                    self._level_at[factor] = at
                    break
                if at >= self._refused.get(factor, (at, ""))[0]:
                    self._refused[factor] = (at, why)
            if self.market.fresh[place] and not known:
                first.add(factor)
            if self.market.base[place] != was:
                moved.append(place)
        self._revalue(moved)
        if first:
            proxied = self.opening.source.proxied
            self.replaced -= first - proxied.keys()
            for factor in first & self.market.opened.held.keys() - proxied.keys():
                self._replaced_reads[self.vectors.reading([self.market.index.row[factor]])] -= 1
            self._rest_on_replaced()
        return len(moved)

    @property
    def refused(self) -> dict[str, str]:
        """The factors whose newest level was not used, and why."""
        return {
            f: why
            for f, (at, why) in sorted(self._refused.items())
            if at > self._level_at.get(f, Instant.min.replace(tzinfo=at.tzinfo))
        }

    def _revalue(self, moved: Sequence[int]) -> None:
        if not moved:
            return
        self.touched.update(moved)
        rows = self.vectors.reading(moved)
        before = self.vectors.pnl[rows].copy()
        if len(rows) and self.vectors.value(rows, self.market.pricing()):
            self._restructured()
            return
        ids = {self.market.index.factors[m].risk_factor_id for m in moved}
        for view in self._views.values():
            view.revalued(rows, before)
            if any(f in ids for legs in view.rates.legs.values() for f, _ in legs):
                view.reprice(self.scenarios)

    def recalculate(self) -> int:
        """Values every contract and makes every sum anew, which changes no bit; how many contracts."""
        rows = np.arange(len(self.vectors.contracts))
        self.vectors.value(rows, self.market.pricing())
        self._restructured()
        return len(rows)

    # --- trades ---

    def apply_orders(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Takes rows of `orders` in, in any order and any number of times; how many were new.

        Contracts that the book has not met are read from the lake, and valued here.
        """
        before = self.trades.seen
        for row in rows:
            self.trades.apply(row)
        lines, self.trades.changed = self.trades.changed, set()
        if lines:
            self._whole = None
        ids = sorted({line[0] for line in lines} - self.vectors.row.keys())
        if ids:
            self.vectors.add(self._contracts(ids), self.market.pricing())
            self._made = None
            self._rest_on_replaced()
        if len(lines) > _MOST_LINES:
            self._views.clear()
        for key, view in list(self._views.items()):
            for line in sorted(lines):
                trade, place = self.trades.rows[line]["trade"], self.vectors.row[line[0]]
                members = functools.partial(self._members, view, line)
                if not view.take(trade, place, members, self.trades.quantity(line)):
                    del self._views[key]
                    break
        return self.trades.seen - before

    def _contracts(self, ids: Sequence[str]) -> pa.Table:
        """The rows of contracts that orders brought."""
        lake = self.lake
        rows = lake.read("contracts", among={"contract_id": ids})
        return rows if len(rows) == len(ids) else contracts_by_id(lake, pa.array(ids, pa.string()))

    def _members(self, view: View, line: Line) -> tuple[str | None, ...] | None:
        """The members of the position of a line in the dimensions that a view groups by; None where its filters leave it out."""
        added = pa.Table.from_pylist([{**self.trades.rows[line], "quantity": 1.0}], schema=ADDED)
        book = self._with_levels(derive(view.book, np.zeros(0, np.int64), np.zeros(0), added, ())[0])
        with contextlib.suppress(BadInput):  # it passes no filter
            select(book, view.query.where)
            return tuple(c.members[int(c.codes[0])].as_py() for c in map(book.column, view.query.by))
        return None

    def _with_levels(self, book: Book) -> Book:
        version = self.opening.at.versions["hierarchies"]
        if version == NEVER_WRITTEN:
            return book
        return with_levels(book, self.opening.at.lake.read("hierarchies", version=version))

    def whole_book(self) -> tuple[Book, dict[str, int]]:
        """The positions now; and which of them orders make, by trade. Kept until an order changes them."""
        if self._whole is None:
            self._whole = self._derived()
        return self._whole

    def _derived(self) -> tuple[Book, dict[str, int]]:
        book = self.opening.book
        rows = [{**self.trades.rows[x], "quantity": self.trades.quantity(x)} for x in self.trades.open_lines]
        if not rows:
            return book, {}
        added = pa.Table.from_pylist(rows, schema=ADDED)
        taken = pc.is_in(added["trade"], value_set=book.columns["trade"].members)
        if pc.any(taken).as_py():
            raise Conflict(
                f"The book of {self.opening.positions_date} has trades of its own that begin with {LIVE!r}, such as "
                f"{added['trade'].filter(taken)[0]}. They are of a live day: open the day on a book that was brought in."
            )
        made, order = derive(book, np.arange(book.n_positions), book.quantity, added, book.files)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return self._with_levels(made), {r["trade"]: int(place[book.n_positions + i]) for i, r in enumerate(rows)}

    def _restructured(self) -> None:
        self._views.clear()
        self._made = None

    # --- what is read ---

    @property
    def scenarios(self) -> ScenarioSet:
        """The scenario set of the newest levels, without an id."""
        return self.market.scenarios()

    def position_rows(self) -> pa.Table:
        """The positions now, as rows of the table `positions` of the day."""
        book, _ = self.whole_book()
        contract = np.repeat(np.arange(len(book.contract_ids)), np.diff(book.starts))
        columns: dict[str, Any] = {
            "positions_date": pa.array([self.day] * book.n_positions, pa.date32()),
            "contract_id": book.contract_ids.take(pa.array(contract)),
            "quantity": pa.array(book.quantity),
        }
        further = {}
        for name, column in book.columns.items():
            if name in ADDED.names:
                columns[name] = column.members.take(pa.array(column.codes))
            elif name.startswith(ATTRIBUTE):
                further[name.removeprefix(ATTRIBUTE)] = column.members.take(pa.array(column.codes)).to_pylist()
        attributes = [
            [(k, v[i]) for k, v in sorted(further.items()) if v[i] is not None] for i in range(book.n_positions)
        ]
        columns["attributes"] = pa.array(attributes, ADDED.field("attributes").type)
        return pa.table(columns).sort_by("trade")

    def _rest_on_replaced(self) -> None:
        """Makes `rests` anew: contracts are new, or factors have their first level of the day."""
        index, known = self.market.index.row, len(self._replaced_reads)
        if known < len(self.vectors.contracts):
            rows = {index[f] for f in self.replaced if f in index}
            more = [len(rows.intersection(read)) for read in self.vectors.reads[known:]]
            self._replaced_reads = np.append(self._replaced_reads, np.array(more, np.int64))
        self.rests = self._replaced_reads > 0

    def _vectors(self) -> Vectors:
        if self._made is None:
            self._made = self.vectors.as_vectors()
        return self._made

    def vectors_in(self, currency: str) -> Vectors:
        """The vectors, contracts without an exchange rate into the currency among the failures."""
        return self._reported(self._vectors(), currency)

    def _reported(self, made: Vectors, currency: str) -> Vectors:
        gone = self.market.index.without_rate(made.currencies, currency)
        if not gone or len(gone) == len(made.currencies):
            return made
        failing = [
            ValuationFailure(c.contract_id, c.instrument_type, NO_RATE, gone[of], "conversion")
            for c, of in zip(self.vectors.contracts, self.vectors.currencies, strict=True)
            if of in gone
        ]
        return self.vectors.as_vectors(failing)

    @contextlib.contextmanager
    def valued_at(self, market: ScenarioMarket) -> Iterator[None]:
        """Within it the vectors are those of another market, where a factor that has moved today is read."""
        rows, vectors = self.vectors.reading(self.touched), self.vectors
        kept = [a[rows] for a in (vectors.pnl, vectors.base, vectors.largest)], dict(vectors.failures)
        try:
            if len(rows):
                vectors.value(rows, market)
            yield
        finally:
            for array, values in zip((vectors.pnl, vectors.base, vectors.largest), kept[0], strict=True):
                array[rows] = values
            vectors.failures = kept[1]

    def view_at(self, query: Positions, market: ScenarioMarket, *, at_open: bool = False) -> View:
        """The groups of a question in another market, of the positions now or of those that the day opened with, made from scratch."""
        book, lines = (self.opening.book, {}) if at_open else self.whole_book()
        with self.valued_at(market):
            vectors = self._reported(self.vectors.as_vectors(), query.currency)
            return View(query, book, self.vectors, vectors, self.market.scenarios(market), lines)

    def view(self, query: Positions) -> View:
        """The groups of a question, kept until the book has other positions."""
        key = (query.by, query.where, query.currency)
        if key not in self._views:
            if len(self._views) >= _MOST_VIEWS:
                del self._views[next(iter(self._views))]
            book, lines = self.whole_book()
            self._views[key] = View(query, book, self.vectors, self.vectors_in(query.currency), self.scenarios, lines)
        return self._views[key]
