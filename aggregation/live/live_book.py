"""A live book: what is held and what it is worth now, in every scenario, kept as trades and levels come.

Its state is what was stored before the day, the orders of the day and the newest level of each risk factor, and nothing else: in whatever
order they came, how often, and across any restart, its figures are to the last bit those of a valuation of the same book under the same
moves on the same levels.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.book.changes import ADDED, derive
from aggregation.book.hierarchies import with_levels
from aggregation.live.market import LiveMarket
from aggregation.live.opening import Opening
from aggregation.live.trades import LIVE, LiveTrades
from aggregation.live.vectors import LiveVectors
from aggregation.live.view import View
from aggregation.opened.vectors import Vectors
from aggregation.types import Positions
from lake.arrays import Bools
from lake.errors import Conflict
from lake.tables import NEVER_WRITTEN
from scenarios.types import ScenarioDetails, ScenarioSet
from valuation.books.contracts import contracts_by_id
from valuation.books.orders import Line
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import NO_RATE, ValuationFailure

Instant = dt.datetime
_MOST_VIEWS = 16  # questions kept between changes


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
        self.market = LiveMarket(opening.source, opening.base, opening.name)
        self.vectors = LiveVectors(self.market.index, self.market.pricing(), opening.contracts)
        self.trades = LiveTrades(self.day)
        self.book = dataclasses.replace(opening.book, quantity=opening.book.quantity.copy())
        self._held: Bools = np.ones(self.book.n_positions, np.bool_)
        self._position: dict[Line, int] = {}  # of the lines of orders in the book
        self._views: dict[tuple[Any, ...], View] = {}
        self._made: Vectors | None = None
        self.levels = 0  # that were taken in
        self.prices_until: Instant | None = None
        self.feeds: dict[str, Feed] = {}
        self.refused: dict[str, str] = {}  # the newest level of a factor that was not used, and why
        self.unread: set[str] = set()  # factors that came and that the scenarios do not have
        self.touched: set[int] = set()  # rows of the market whose base is not that of the open
        self.opened: dict[tuple[Any, ...], Mapping[tuple[str | None, ...], Mapping[str, float]]] = {}  # figures of the open, by question

    # --- levels ---

    def apply_levels(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Takes rows of `intraday_levels` in: risk_factor_id, bucket_end, level, ticks, carried_seconds, source. How many moved a level.

        Of several rows of a factor the last counts. A level from which the moves of its factor have no meaning is named in `refused`.
        """
        newest: dict[str, float] = {}
        for row in rows:
            self.levels += 1
            factor, at = row["risk_factor_id"], row["bucket_end"]
            self.prices_until = at if self.prices_until is None else max(at, self.prices_until)
            if row["level"] is None:
                continue
            newest[factor] = row["level"]
            if not row["carried_seconds"]:
                feed = self.feeds.setdefault(row["source"] or "", Feed())
                feed.last = at if feed.last is None else max(at, feed.last)
                feed.of_factor[factor] = max(at, feed.of_factor.get(factor, at))
        moved = []
        fresh = False
        for factor, level in newest.items():
            place = self.market.index.row.get(factor)
            if place is None:
                self.unread.add(factor)
                continue
            if self.market.base[place] == level and self.market.fresh[place]:
                self.refused.pop(factor, None)
                continue
            was, known = self.market.base[place], bool(self.market.fresh[place])
            why = self.market.set_level(place, level)
            if why is None:
                self.refused.pop(factor, None)
                fresh |= not known
                if was != level:
                    moved.append(place)
            else:
                self.refused[factor] = why
        self._revalue(moved)
        if fresh:  # a contract whose factors have all come rests on nothing held any more
            self._made = None
        return len(moved)

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
                view.reprice(self.scenarios, self._vectors())

    # --- trades ---

    def apply_orders(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Takes rows of `orders` in, in any order and any number of times; how many were new.

        Contracts that the book has not met are read from the lake, and valued here.
        """
        before = self.trades.seen
        for row in rows:
            self.trades.apply(row)
        lines, self.trades.changed = self.trades.changed, set()
        again = self._meet(lines)
        fresh = sorted(x for x in lines if x not in self._position and self.trades.units[x])
        if fresh:
            self._extend(fresh)
            again = True
        for line in lines & self._position.keys():
            place, now = self._position[line], self.trades.quantity(line)
            again |= bool(self._held[place]) is (now == 0)
            self._held[place] = now != 0
            if self.book.quantity[place] != now:
                self.book.quantity[place] = now
                again = again or not all(view.requantified(place) for view in self._views.values())
        if again:
            self._restructured()
        return self.trades.seen - before

    def _meet(self, lines: Iterable[Line]) -> bool:
        """Values the contracts that are new; whether there are any."""
        ids = sorted({line[0] for line in lines} - self.vectors.row.keys())
        if ids:
            self.vectors.add(contracts_by_id(self.opening.at.lake, pa.array(ids, pa.string())), self.market.pricing())
        return bool(ids)

    def _extend(self, lines: Sequence[Line]) -> None:
        """Puts positions of new lines into the book, in their places by contract and trade."""
        rows = [{**self.trades.rows[x], "quantity": self.trades.quantity(x)} for x in lines]
        taken = {r["trade"] for r in rows} & {*self.opening.book.columns["trade"].members.to_pylist()}
        if taken:
            raise Conflict(
                f"The book of {self.opening.positions_date} has trades of its own that begin with {LIVE!r}, such as {min(taken)}. "
                "They are of a live day: open the day on a book that was brought in."
            )
        old = self.book
        added = pa.Table.from_pylist(rows, schema=ADDED)
        book, order = derive(old, np.arange(old.n_positions), old.quantity, added, old.files)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        version = self.opening.at.versions["hierarchies"]
        if version != NEVER_WRITTEN:
            book = with_levels(book, self.opening.at.lake.read("hierarchies", version=version))
        held = np.ones(book.n_positions, np.bool_)
        held[place[: old.n_positions]] = self._held
        self.book, self._held = book, held
        self._position = {x: int(place[p]) for x, p in self._position.items()}
        self._position |= {x: int(place[old.n_positions + i]) for i, x in enumerate(lines)}

    def _restructured(self) -> None:
        self._views.clear()
        self._made = None

    # --- what is read ---

    @property
    def scenarios(self) -> ScenarioSet:
        """The scenario set of the newest levels, without an id."""
        return self.market.scenarios()

    def details(self) -> ScenarioDetails:
        """What the scenario set of the newest levels is, without its levels."""
        now = self.scenarios
        return dataclasses.replace(
            self.opening.details, method=now.method, market_date=self.day, held=now.held, excluded=now.excluded
        )

    def quantities(self) -> dict[str, float]:
        """Units of each trade that the orders of the day make."""
        return {self.trades.rows[x]["trade"]: self.trades.quantity(x) for x, units in self.trades.units.items() if units}

    @property
    def held_factors(self) -> list[str]:
        """The factors that hold a level of before the day, for want of one of the day."""
        return [*self.market.scenarios().held]

    def position_rows(self) -> pa.Table:
        """The positions now, as rows of the table `positions` of the day."""
        there = np.flatnonzero(self._held)
        contract = np.searchsorted(self.book.starts, there, side="right") - 1
        columns: dict[str, Any] = {"contract_id": self.book.contract_ids.take(pa.array(contract))}
        attributes = {}
        for name in ("trade", *ADDED.names, *(f"attribute.{a}" for a in self.book.attributes)):
            column = self.book.columns.get(name)
            if column is not None:
                values = column.members.take(pa.array(column.codes[there]))
                if name.startswith("attribute."):
                    attributes[name.removeprefix("attribute.")] = values.to_pylist()
                else:
                    columns[name] = values
        columns["quantity"] = pa.array(self.book.quantity[there])
        columns["positions_date"] = pa.array([self.day] * len(there), pa.date32())
        columns["attributes"] = pa.array(
            [
                [(k, v[i]) for k, v in sorted(attributes.items()) if v[i] is not None]
                for i in range(len(there))
            ],
            ADDED.field("attributes").type,
        )
        return pa.table(columns).sort_by("trade")

    def _vectors(self) -> Vectors:
        if self._made is None:
            held = {self.market.index.row[f] for f in self.held_factors}
            proxied = {self.market.index.row[f] for f in self.opening.source.proxied if f in self.market.index.row}
            replaced = held | proxied
            rests = np.array([not replaced.isdisjoint(read) for read in self.vectors.reads], np.bool_)
            self._made = self.vectors.as_vectors(rests)
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
        return self.vectors.as_vectors(made.substituted, failing)

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
        book, held = (self.opening.book, np.ones(self.opening.book.n_positions, np.bool_)) if at_open else (self.book, self._held)
        with self.valued_at(market):
            made = self.vectors.as_vectors(self._vectors().substituted)
            return View(query, book, held, self.vectors, self._reported(made, query.currency), self.market.scenarios(market))

    def view(self, query: Positions) -> View:
        """The groups of a question, kept until the book has other positions."""
        key = (query.by, query.where, query.currency)
        if key not in self._views:
            if len(self._views) >= _MOST_VIEWS:
                del self._views[next(iter(self._views))]
            vectors = self.vectors_in(query.currency)
            self._views[key] = View(query, self.book, self._held, self.vectors, vectors, self.scenarios)
        return self._views[key]
