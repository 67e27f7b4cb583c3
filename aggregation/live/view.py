"""P&L of the groups of one question over a live book, kept as levels and trades come.

A group in one currency is a slot: its net units by contract, in contract order, times their vectors. What a change adds to the sums of a
slot is added where the slot is large, and the sums are then known to within a bound. A figure is read from sums that are made anew from all
their contracts, in order, in every scenario that decides it: those are found by the bound. So its bits are those of a reduce from scratch.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable, Mapping, Sequence, Set

import numpy as np
import pyarrow as pa

from aggregation.book.book import Book
from aggregation.book.filters import select
from aggregation.kernels.live_sums import UNIT, absolute_bound, add_change, sum_in_columns, sum_of_bases, sum_of_rows
from aggregation.live.live_vectors import LiveVectors
from aggregation.measures import AskedMeasure
from aggregation.opened.alignment import COVERED, FAILED, Alignment, align
from aggregation.opened.vectors import Vectors
from aggregation.reduce.currency import Conversion, conversion
from aggregation.reduce.grouping import Groups, coverage, group_by
from aggregation.reduce.netting import net
from aggregation.reduce.selection import currencies_used
from aggregation.types import Positions
from lake.arrays import Bools, Codes, Floats, Ints
from lake.errors import BadInput
from lake.workers import each
from scenarios.kernels.currency import converted_pnl
from scenarios.types import ScenarioSet
from valuation.types import failures_in_words

_SMALL = 512  # entries of a slot that is always made anew
_WORTH = 8  # from one entry in so many that changes, the slot is made anew
_TILE = 512  # scenarios of a sum that a thread makes
_MOST_CHANGES = 4096  # until a slot is made anew: the bound grows with each


@dataclasses.dataclass
class _Line:
    """A position that orders make. row : of its contract; group : -1 where it is filtered out; position : in the book, -1 if it is new."""

    row: int
    group: int
    units: float
    position: int


class View:
    """Groups of the positions that are held, their net units, and their P&L in the reporting currency; group `groups.n` is the total.

    A position that orders make may change its quantity, come and go (`take`). Vectors may change (`revalued`), and exchange rates
    (`reprice`).
    """

    def __init__(
        self,
        query: Positions,
        book: Book,
        live: LiveVectors,
        vectors: Vectors,
        scenarios: ScenarioSet,
        lines: Mapping[str, int],
    ) -> None:
        """lines : positions of the book that orders make, by trade. Raises `BadInput` for unknown names, and where nothing is left."""
        self.query = query
        self.live = live
        self.book = dataclasses.replace(book, quantity=book.quantity.copy())
        self.keep: Bools = select(book, query.where)
        groups = group_by(book, query.by, self.keep)
        self.groups: Groups = dataclasses.replace(groups, group=groups.group.copy())
        self.n = groups.n + 1
        keys = groups.keys
        members = zip(*(keys[c].to_pylist() for c in keys.column_names), strict=True) if query.by else [()]
        self.number: dict[tuple[str | None, ...], int] = {k: g for g, k in enumerate(members)}
        self.alignment: Alignment = align(book, vectors)
        counts = coverage(book, groups, self.alignment)
        self.counts: Ints = np.vstack([counts, counts.sum(axis=0)])
        self._currencies = vectors.currencies
        self._used = currencies_used(book, self.keep, self.alignment, vectors)
        self._failing = {live.row[f["contract_id"]]: f for f in vectors.failures.to_pylist()}
        self._lines: dict[str, _Line] = {}
        for trade, p in lines.items():
            contract = book.contract_ids[int(np.searchsorted(book.starts, p, side="right")) - 1].as_py()
            self._lines[trade] = _Line(live.row[contract], int(groups.group[p]), float(book.quantity[p]), p)
        self._later: dict[int, list[str]] = {}  # trades that came since, by row
        self._rests: tuple[object, Ints] = (None, np.zeros(0, np.int64))
        self.figures: dict[AskedMeasure, Floats] = {}  # of one name there is one for each estimator, tail and horizon
        self._stale: dict[AskedMeasure, set[int]] = {}
        self._begin(vectors)
        self.reprice(scenarios)

    def _begin(self, vectors: Vectors) -> None:
        """Nets the positions, and makes all sums."""
        made = net(self.book, self.groups, self.alignment, vectors, 0, self.n)
        contract = np.repeat(np.arange(len(made.contract)), np.diff(made.starts))
        order = np.argsort(made.slot, kind="stable")
        slots = len(made.group)
        self.slot_group = made.group
        self.slot_currency = np.repeat(np.arange(len(vectors.currencies)), np.diff(made.currency_slots))
        self._slots_of = [np.flatnonzero(made.group == g) for g in range(self.n)]  # by currency, as they are numbered
        self.begins: Ints = np.searchsorted(made.slot[order], np.arange(slots + 1))
        self.slot: Codes = made.slot[order]
        self.row: Codes = made.contract[contract[order]]
        self.quantity: Floats = made.quantity[order].copy()
        self._index()
        self.base: Floats = np.zeros(slots)
        self.sums: Floats = np.zeros((slots, self.live.n_scenarios))
        self.size: Floats = np.zeros(slots)  # bound of the absolute P&L in any scenario, so far
        self.changes: Ints = np.zeros(slots, np.int64)  # added since the sums were made; 0 where they are exact
        self._make(np.arange(slots))

    def _index(self) -> None:
        """Where the entries of each row are."""
        self._entries = np.argsort(self.row, kind="stable")
        self._row_begins = np.searchsorted(self.row[self._entries], np.arange(len(self.live.contracts) + 1))

    def _entries_of(self, row: int) -> Ints:
        if row + 1 >= len(self._row_begins):
            return self._entries[:0]
        return self._entries[self._row_begins[row] : self._row_begins[row + 1]]

    # --- what changes ---

    def reprice(self, scenarios: ScenarioSet) -> None:
        """Takes exchange rates anew; every group has to be converted and measured."""
        self.rates: Conversion = conversion(scenarios, self._currencies, self._used, self.query.currency, fx_moves=True)
        self._largest_rate = np.abs(self.rates.scenarios).max(axis=1)
        self.group_base: Floats = np.zeros(self.n)
        self.pnl: Floats = np.zeros((self.n, self.live.n_scenarios))
        self._convert(range(self.n))

    def revalued(self, rows: Ints, before: Floats) -> None:
        """Vectors of these rows are others now. before : (n_rows, n_scenarios) what their P&L was."""
        place = {r: i for i, r in enumerate(rows.tolist())}
        entries = np.concatenate([self._entries_of(r) for r in rows.tolist()] or [self._entries[:0]])
        touched, count = np.unique(self.slot[entries], return_counts=True)
        held = np.diff(self.begins)[touched]
        anew = (held <= _SMALL) | (count * _WORTH >= held) | (self.changes[touched] + count > _MOST_CHANGES)
        again = set(touched[anew].tolist())
        largest = np.abs(before).max(axis=1, initial=0.0) + self.live.largest[rows]
        for e in entries.tolist():
            s = int(self.slot[e])
            if s not in again:
                r, q = int(self.row[e]), float(self.quantity[e])
                add_change(before[place[r]], self.live.pnl[r], q, self.sums[s])
                self._added(s, abs(q) * largest[place[r]])
        self._make(touched[anew])
        self._rebase(touched[~anew])
        self._convert(np.unique(self.slot_group[touched]).tolist())

    def take(self, trade: str, row: int, members: Callable[[], tuple[str | None, ...] | None], now: float) -> bool:
        """The position of a trade that orders make holds `now` units; False where the groups are others then, and the view is of no use.

        members : gives its members of the dimensions grouped by, None where the filters leave it out.
        """
        line = self._lines.get(trade)
        if line is None:
            if now == 0.0:
                return True
            key = members()
            group = -1 if key is None else self.number.get(key, -2)
            if group == -2 or (self.live.currencies[row] not in self._used and row not in self._failing):
                return group == -1
            line = self._lines[trade] = _Line(row, group, 0.0, -1)
            self._later.setdefault(row, []).append(trade)
        was, line.units = line.units, now
        if line.group < 0 or was == now:
            return True
        if row in self.live.failures:
            self._failing[row] = dataclasses.asdict(self.live.failures[row])
        held = int(now != 0.0) - int(was != 0.0)
        if held:
            state = FAILED if row in self._failing else COVERED
            self.counts[[line.group, self.n - 1], state] += held
            self._rests = (None, self._rests[1])
            if not self.counts[line.group].any():
                return False
        if line.position >= 0:
            self.book.quantity[line.position] = now
            self.groups.group[line.position] = line.group if now else -1
        return row in self._failing or self._net(line)

    def _net(self, line: _Line) -> bool:
        """Nets the contract of a line anew in its group and in the total."""
        groups, units = self._units(line.row)
        for g, own in ((line.group, units[groups == line.group]), (self.n - 1, units)):
            now = float(np.add.accumulate(own)[-1]) if len(own) else 0.0
            entries = self._entries_of(line.row)
            here = entries[self.slot_group[self.slot[entries]] == g]
            if len(here):
                e = int(here[0])
            elif now == 0.0:
                continue
            else:
                currency = self._currencies.index(self.live.currencies[line.row])
                slot = [s for s in self._slots_of[g].tolist() if self.slot_currency[s] == currency]
                if not slot:
                    return False
                e = self._insert(slot[0], line.row)
            s, moved = int(self.slot[e]), now - self.quantity[e]
            self.quantity[e] = now
            if self.begins[s + 1] - self.begins[s] <= _SMALL or self.changes[s] >= _MOST_CHANGES:
                self._make(np.array([s]))
            else:
                self.sums[s] += moved * self.live.pnl[line.row]
                self._added(s, abs(moved) * self.live.largest[line.row])
                self._rebase(np.array([s]))
        self._convert([line.group, self.n - 1])
        return True

    def _units(self, row: int) -> tuple[Ints, Floats]:
        """Group and units of each position in a contract, in the order of the trades."""
        place = self._contract_place(row)
        later = [(t, x) for t in self._later.get(row, ()) if (x := self._lines[t]).units]
        if place is None:
            found = sorted(later)
            return np.array([x.group for _, x in found], np.int64), np.array([x.units for _, x in found])
        here = slice(int(self.book.starts[place]), int(self.book.starts[place + 1]))
        groups, units = self.groups.group[here], self.book.quantity[here]
        if later:
            column = self.book.columns["trade"]
            trades = column.members.take(pa.array(column.codes[here])).to_pylist()
            both = [
                *zip(trades, groups.tolist(), units.tolist(), strict=True),
                *((t, x.group, x.units) for t, x in later),
            ]
            both.sort()
            groups, units = np.array([g for _, g, _ in both]), np.array([u for _, _, u in both])
        kept = groups >= 0
        return groups[kept].astype(np.int64), units[kept]

    def _contract_place(self, row: int) -> int | None:
        """Where the contract of a row stands in the book."""
        wanted, ids = self.live.contracts[row].contract_id, self.book.contract_ids
        place = bisect.bisect_left(range(len(ids)), wanted, key=lambda i: ids[i].as_py())
        return place if place < len(ids) and ids[place].as_py() == wanted else None

    def _insert(self, slot: int, row: int) -> int:
        """An entry of a contract that the slot has not held, in its place by contract; its number."""
        contracts = self.live.contracts
        begin, end = int(self.begins[slot]), int(self.begins[slot + 1])
        wanted = contracts[row].contract_id
        at = begin + bisect.bisect_left(self.row[begin:end].tolist(), wanted, key=lambda r: contracts[r].contract_id)
        self.slot, self.row = np.insert(self.slot, at, slot), np.insert(self.row, at, row)
        self.quantity = np.insert(self.quantity, at, 0.0)
        self.begins[slot + 1 :] += 1
        lacking = len(contracts) + 1 - len(self._row_begins)
        begins = np.append(self._row_begins, np.full(lacking, len(self._entries)))
        place = int(begins[row] + np.searchsorted(self._entries[begins[row] : begins[row + 1]], at))
        self._entries = np.insert(self._entries + (self._entries >= at), place, at)
        begins[row + 1 :] += 1
        self._row_begins = begins
        return at

    def _added(self, slot: int, size: float) -> None:
        self.size[slot] += size
        self.changes[slot] += 1

    def _make(self, slots: Ints) -> None:
        """Makes the sums of slots anew from all their entries, in order."""
        tiles = range(0, self.live.n_scenarios, _TILE)
        work = [(s, first) for s in slots.tolist() for first in tiles]
        n, pnl = self.live.n_scenarios, self.live.pnl

        def make(part: tuple[int, int]) -> None:
            s, first = part
            begin, end = int(self.begins[s]), int(self.begins[s + 1])
            sum_of_rows(pnl, self.row, self.quantity, begin, end, first, min(first + _TILE, n), self.sums[s])

        each(make, work)
        self.changes[slots] = 0
        for s in slots.tolist():
            begin, end = int(self.begins[s]), int(self.begins[s + 1])
            self.size[s] = absolute_bound(self.live.largest, self.row, self.quantity, begin, end)
        self._rebase(slots)

    def _rebase(self, slots: Ints) -> None:
        for s in slots.tolist():
            begin, end = int(self.begins[s]), int(self.begins[s + 1])
            self.base[s] = sum_of_bases(self.live.base, self.row, self.quantity, begin, end)

    def _convert(self, groups: Sequence[int]) -> None:
        for g in groups:
            base, pnl = 0.0, np.zeros(self.live.n_scenarios)
            for s in self._slots_of[g].tolist():
                c = self.slot_currency[s]
                pnl += converted_pnl(self.base[s], self.sums[s], self.rates.scenarios[c], self.rates.base[c])
                base += self.base[s] * self.rates.base[c]
            self.group_base[g], self.pnl[g] = base, pnl
            for stale in self._stale.values():
                stale.add(g)

    # --- what is read ---

    def substituted(self, rests: Bools, replaced: Set[str]) -> Ints:
        """Covered positions whose value or currency rests on a level of before the day, or a proxy, by group, the total last, (n,).

        rests : by row, an array that is another one once it changes; replaced : those risk factors.
        """
        if self._rests[0] is not rests:
            legs = self.rates.legs
            of_currency = {c for c in self._currencies if any(f in replaced for f, _ in legs.get(c, ()))}
            of_row = rests
            if of_currency:
                of_row = rests | np.isin(np.array(self.live.currencies), list(of_currency))
            row = self.alignment.row
            flagged = np.repeat(np.where(row >= 0, of_row[row], False), np.diff(self.book.starts))
            counts = np.bincount(self.groups.group[flagged & (self.groups.group >= 0)], minlength=self.n)
            for line in self._lines.values():
                if line.position < 0 and line.units and line.group >= 0 and line.row not in self._failing:
                    counts[line.group] += of_row[line.row]
            counts[-1] = counts[:-1].sum()
            self._rests = (rests, counts)
        return self._rests[1]

    def failed_in_words(self) -> str:
        """Why positions have failed, by reason, with what to do; empty where none has."""
        held = {row: len(self._units(row)[1]) for row in self._failing}
        return failures_in_words(
            (f["reason"], f["message"], held[row]) for row, f in self._failing.items() if held[row]
        )

    def exact(self) -> tuple[Floats, Floats]:
        """Base value (n,) and P&L (n, n_scenarios) of all groups and, last, of the total, every sum made from all its contracts."""
        late = np.flatnonzero(self.changes)
        self._make(late)
        self._convert(np.unique(self.slot_group[late]).tolist())
        return self.group_base, self.pnl

    def measured(self, asked: Sequence[AskedMeasure], weights: Floats | None) -> Mapping[str, Floats]:
        """The figures of every group and, last, of the total, (n,) each; NaN where nothing is covered."""
        for a in asked:
            if a not in self.figures:
                self.figures[a] = np.full(self.n, np.nan)
                self._stale[a] = set(range(self.n))
        late = sorted(set().union(*(self._stale[a] for a in asked)))
        late = [g for g in late if self.counts[g, 0] > 0]
        if late:
            pnl = self.pnl[late]
            if not np.isfinite(pnl).all():
                raise BadInput(
                    "Values and P&L are so large that their sum is no finite number; filter the largest contracts out."
                )
            for i, g in enumerate(late):
                if self.changes[self._slots_of[g]].any():
                    pnl[i] = self._decided(g, asked, weights)
            for a in asked:
                self.figures[a][late] = a.values(pnl, weights)
        for a in asked:
            self._stale[a] = set()
        return {a.name: self.figures[a] for a in asked}

    def _decided(self, g: int, asked: Sequence[AskedMeasure], weights: Floats | None) -> Floats:
        """The P&L of a group, exact in every scenario that decides what is asked, so that the figures are those of exact P&L."""
        pnl: Floats = self.pnl[g].copy()
        within = self._bound(g)
        if all(a.measure.tail_weights and not a.measure.scaling and a.tail == "loss" for a in asked):
            least = max(pnl[self._read(a, pnl, weights)].max() for a in asked)
            columns = np.flatnonzero(pnl <= least + 4 * within)
            if len(columns) * 4 <= len(pnl):
                pnl[columns] = self._in_columns(g, columns)
                others = np.delete(pnl, columns)
                read = [self._read(a, pnl, weights) for a in asked]
                if all(pnl[r].max() + 2 * within < others.min() for r in read):
                    return pnl
        slots = self._slots_of[g]
        self._make(slots[self.changes[slots] > 0])
        self._convert([g])
        pnl = self.pnl[g]
        return pnl

    @staticmethod
    def _read(asked: AskedMeasure, pnl: Floats, weights: Floats | None) -> Ints:
        """The scenarios that a figure is read from."""
        return np.flatnonzero(asked.tail_weights(pnl[None, :], weights)[0])

    def _bound(self, g: int) -> float:
        """How far the P&L of a group may be from that of exact sums, in any scenario: of n terms, added in order, n roundings of the sum of
        their absolute values at most (Higham, Accuracy and Stability of Numerical Algorithms, 4.2), and as many for each change."""
        bound = 0.0
        for s in self._slots_of[g].tolist():
            terms = self.begins[s + 1] - self.begins[s] + 3 * self.changes[s]
            c = self.slot_currency[s]
            bound += 4 * UNIT * float(terms) * float(self.size[s]) * float(self._largest_rate[c])
        return bound + 16 * UNIT * float(np.abs(self.pnl[g]).max())

    def _in_columns(self, g: int, columns: Ints) -> Floats:
        """P&L of a group in chosen scenarios, made from all its contracts in order."""
        found = np.zeros(len(columns))
        halves = np.array_split(np.arange(len(columns)), 2)
        for s in self._slots_of[g].tolist():
            begin, end, c = int(self.begins[s]), int(self.begins[s + 1]), self.slot_currency[s]
            sums = np.zeros(len(columns))
            each(
                lambda h, b=begin, e=end, out=sums: sum_in_columns(  # type: ignore[misc]
                    self.live.pnl, self.row, self.quantity, b, e, columns[h], out[h[0] : h[-1] + 1]
                ),
                [h for h in halves if len(h)],
            )
            found += converted_pnl(self.base[s], sums, self.rates.scenarios[c, columns], self.rates.base[c])
        return found
