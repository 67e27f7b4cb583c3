"""P&L of the groups of one question over a live book, kept as levels and trades come.

A group in one currency is a slot: its net units by contract, in contract order, times their vectors. What a change adds to the sums of a slot
is added where the slot is large, and the sums are then known to within a bound. A figure is read from sums that are made anew from all their
contracts, in order, in every scenario that decides it: those are found by the bound. So its bits are those of a reduce from scratch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from aggregation.book.book import Book
from aggregation.book.filters import select
from aggregation.kernels.live_sums import UNIT, add_change, size_of, sum_in_columns, sum_of, sum_of_bases
from aggregation.live.vectors import LiveVectors
from aggregation.measures import AskedMeasure
from aggregation.opened.alignment import Alignment, align
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

_SMALL = 512  # entries of a slot that is always made anew
_WORTH = 8  # from one entry in so many that changes, the slot is made anew
_TILE = 512  # scenarios of a sum that a thread makes
_MOST_CHANGES = 4096  # until a slot is made anew: the bound grows with each


class View:
    """Groups of the positions that are held, their net units, and their P&L in the reporting currency; group `groups.n` is the total."""

    def __init__(
        self,
        query: Positions,
        book: Book,
        held: Bools,
        live: LiveVectors,
        vectors: Vectors,
        scenarios: ScenarioSet,
    ) -> None:
        """held : (n_positions,) the positions of the book that are not flat. Raises `BadInput` for unknown names, and where nothing is left."""
        self.query = query
        self.live = live
        self.book = book
        self.keep: Bools = select(book, query.where) & held
        if not self.keep.any():
            raise BadInput(f"No position held on {book.positions_date} passes the filters; loosen them.")
        self.groups: Groups = group_by(book, query.by, self.keep)
        self.alignment: Alignment = align(book, vectors)
        counts = coverage(book, self.groups, self.alignment)
        self.counts: Ints = np.vstack([counts, counts.sum(axis=0)])
        self.n = self.groups.n + 1
        self._begin(vectors)
        self.figures: dict[str, Floats] = {}
        self._stale: dict[str, set[int]] = {}
        self.reprice(scenarios, vectors)

    def _begin(self, vectors: Vectors) -> None:
        """Nets the positions, and makes all sums."""
        made = net(self.book, self.groups, self.alignment, vectors, 0, self.n)
        contract = np.repeat(np.arange(len(made.contract)), np.diff(made.starts))
        order = np.argsort(made.slot, kind="stable")
        self.slots = len(made.group)
        self.slot_group = made.group
        self.slot_currency = np.repeat(np.arange(len(vectors.currencies)), np.diff(made.currency_slots))
        self.begins: Ints = np.searchsorted(made.slot[order], np.arange(self.slots + 1))
        self.slot: Codes = made.slot[order]
        self.row: Codes = made.contract[contract[order]]
        self.quantity: Floats = made.quantity[order].copy()
        by_row = np.argsort(self.row, kind="stable")
        self._entries = by_row
        self._row_begins = np.searchsorted(self.row[by_row], np.arange(len(vectors.contract_ids) + 1))
        self.base: Floats = np.zeros(self.slots)
        self.sums: Floats = np.zeros((self.slots, self.live.n_scenarios))
        self.size: Floats = np.zeros(self.slots)  # bound of the absolute P&L in any scenario, so far
        self.changes: Ints = np.zeros(self.slots, np.int64)  # added since the sums were made; 0 where they are exact
        self._make(np.arange(self.slots))

    # --- what changes ---

    def reprice(self, scenarios: ScenarioSet, vectors: Vectors) -> None:
        """Takes exchange rates anew; every group has to be converted and measured."""
        used = currencies_used(self.book, self.keep, self.alignment, vectors)
        self.rates: Conversion = conversion(scenarios, vectors.currencies, used, self.query.currency, fx_moves=True)
        self._largest_rate = np.abs(self.rates.scenarios).max(axis=1)
        self.group_base: Floats = np.zeros(self.n)
        self.pnl: Floats = np.zeros((self.n, self.live.n_scenarios))
        self._slots_of: list[Ints] = [np.zeros(0, np.int64)] * self.n
        order = np.argsort(self.slot_group, kind="stable")  # within a group by currency, as slots are numbered
        ends = np.searchsorted(self.slot_group[order], np.arange(self.n + 1))
        for g in range(self.n):
            self._slots_of[g] = order[ends[g] : ends[g + 1]]
        self._convert(range(self.n))

    def revalued(self, rows: Ints, before: Floats) -> None:
        """Vectors of these rows are others now. before : (n_rows, n_scenarios) what their P&L was."""
        place = {r: i for i, r in enumerate(rows.tolist())}
        entries = np.concatenate(
            [self._entries[self._row_begins[r] : self._row_begins[r + 1]] for r in rows.tolist()] or [self._entries[:0]]
        )
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

    def requantified(self, position: int) -> bool:
        """The quantity of a position is another now; False where the groups and entries are no longer those of the book."""
        c = int(np.searchsorted(self.book.starts, position, side="right")) - 1
        row = int(self.alignment.row[c])
        group = int(self.groups.group[position])
        if row < 0 or group < 0:
            return group < 0 and not self.keep[position]
        here = slice(int(self.book.starts[c]), int(self.book.starts[c + 1]))
        groups, quantity = self.groups.group[here], self.book.quantity[here]
        wanted = {group: quantity[groups == group], self.n - 1: quantity[groups >= 0]}
        entries = self._entries[self._row_begins[row] : self._row_begins[row + 1]]
        found = {int(self.slot_group[self.slot[e]]): int(e) for e in entries.tolist()}
        if not wanted.keys() <= found.keys():
            return False
        anew = []
        for g, units in wanted.items():
            e = found[g]
            s = int(self.slot[e])
            now = float(np.add.accumulate(units)[-1])
            moved = now - self.quantity[e]
            self.quantity[e] = now
            if self.begins[s + 1] - self.begins[s] <= _SMALL or self.changes[s] >= _MOST_CHANGES:
                anew.append(s)
            else:
                self.sums[s] += moved * self.live.pnl[row]
                self._added(s, abs(moved) * self.live.largest[row])
                self._rebase(np.array([s]))
        self._make(np.array(anew, np.int64))
        self._convert([group, self.n - 1])
        return True

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
            sum_of(pnl, self.row, self.quantity, begin, end, first, min(first + _TILE, n), self.sums[s])

        each(make, work)
        self.changes[slots] = 0
        for s in slots.tolist():
            begin, end = int(self.begins[s]), int(self.begins[s + 1])
            self.size[s] = size_of(self.live.largest, self.row, self.quantity, begin, end)
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

    def exact(self) -> tuple[Floats, Floats]:
        """Base value (n,) and P&L (n, n_scenarios) of all groups and, last, of the total, every sum made from all its contracts."""
        late = np.flatnonzero(self.changes)
        self._make(late)
        self._convert(np.unique(self.slot_group[late]).tolist())
        return self.group_base, self.pnl

    def measured(self, asked: Sequence[AskedMeasure], weights: Floats | None) -> Mapping[str, Floats]:
        """The figures of every group and, last, of the total, (n,) each; NaN where nothing is covered."""
        for a in asked:
            if a.name not in self.figures:
                self.figures[a.name] = np.full(self.n, np.nan)
                self._stale[a.name] = set(range(self.n))
        late = sorted(set().union(*(self._stale[a.name] for a in asked)))
        late = [g for g in late if self.counts[g, 0] > 0]
        if late:
            pnl = self.pnl[late]
            if not np.isfinite(pnl).all():
                raise BadInput("Values and P&L are so large that their sum is no finite number; filter the largest contracts out.")
            for i, g in enumerate(late):
                if self.changes[self._slots_of[g]].any():
                    pnl[i] = self._decided(g, asked, weights)
            for a in asked:
                self.figures[a.name][late] = a.values(pnl, weights)
        for a in asked:
            self._stale[a.name] = set()
        return {a.name: self.figures[a.name] for a in asked}

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
        return self.pnl[g]

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
