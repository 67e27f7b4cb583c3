"""Positions netted along paths: the value of every netting set at every date on every path, in the reporting currency.

At a date the net quantities of a netting set times the values of their contracts are added in the order of contract ids, currency after
currency, and converted at the exchange rates of the path. Contracts come in portions and paths in tiles, so that memory is bounded;
neither portions, tiles nor threads change a bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book
from aggregation.exposure.netting_sets import NettingSets
from aggregation.exposure.path_values import PathValues
from aggregation.kernels.fixed_sums import add_to_slots
from aggregation.reduce.currency import Conversion
from aggregation.reduce.layout import Runs, lay_out_runs
from aggregation.reduce.netting import Net, net_quantities
from aggregation.reduce.product import add_block, aligned, write
from lake.arrays import Bools, Codes, Floats, Ints
from lake.workers import each

Read = Callable[[int, Ints | None], Floats]

_TILE = 64  # paths that are added at once
_PORTION_BYTES = 512 << 20  # values in memory at once


@dataclass(frozen=True)
class Netting:
    """Which netting set holds how much of which contract; entries by currency, then contract id, then netting set.

    order : (n_held,) rows of the path values, by currency, then id. starts : (n_held + 1,) entries of each. of_set, quantity : (n_entries,)
    netting set and net units. currencies : of the contracts, sorted; bounds : (n_currencies + 1,) of `order`. n_sets : netting sets.
    row : (n_contracts of the book,) row of the path values of each, -1 without one.
    """

    paths: PathValues
    order: Codes
    starts: Ints
    of_set: Codes
    quantity: Floats
    currencies: tuple[str, ...]
    bounds: Ints
    n_sets: int
    row: Codes

    @functools.cached_property
    def net(self) -> Net:
        """As the reduce takes it: an accumulator for each netting set and currency."""
        entry_currency = np.repeat(np.arange(len(self.currencies)), np.diff(self.starts[self.bounds]))
        cell = entry_currency * self.n_sets + self.of_set
        used, slot = np.unique(cell, return_inverse=True)
        slots = np.searchsorted(used, np.arange(len(self.currencies) + 1) * self.n_sets).astype(np.int64)
        group = (used % max(self.n_sets, 1)).astype(np.int32)
        return Net(
            0,
            self.n_sets,
            self.order,
            self.starts,
            slot.astype(np.int32),
            self.quantity,
            group,
            np.zeros(len(used)),
            slots,
            self.bounds,
        )

    @functools.cached_property
    def _portions(self) -> list[tuple[int, int, list[Runs]]]:
        """Rows of the path values that are read at once, first to last - 1, and their entries as runs."""
        n = len(self.paths.contract_ids)
        step = max(1, _PORTION_BYTES // (8 * self.paths.n_paths))
        found = []
        for first in range(0, n, step):
            last = min(first + step, n)
            part = replace(self.net, contract=self.net.contract - np.int32(first))
            found.append((first, last, lay_out_runs(part, 0, last - first)))
        return found

    def values(self, k: int, currency: str, threads: int | None = None) -> Floats:
        """Value of every netting set at date k in the reporting currency, (n_sets, n_paths); `threads` changes no bit."""
        return self._added(k, currency, self.paths.values, threads)

    def cash(self, k: int, currency: str, threads: int | None = None) -> Floats:
        """Cash that every netting set pays in (dates[k - 1], dates[k]], received positive, as `values`, at the rates of dates[k]."""
        return self._added(k, currency, self.paths.cash, threads)

    def fx(self, k: int, currency: str) -> Floats:
        """Price of one unit of each of the currencies, (n_currencies, n_paths)."""
        rates = [self.paths.fx(k, c, currency) for c in self.currencies]
        return np.array(rates).reshape(len(self.currencies), self.paths.n_paths)

    def _added(self, k: int, currency: str, read: Read, threads: int | None) -> Floats:
        net, n_paths = self.net, self.paths.n_paths
        out = np.zeros((self.n_sets, n_paths))
        if not len(self.order):
            return out
        rates = Conversion(np.zeros(len(self.currencies)), self.fx(k, currency), {})
        whole = len(self._portions) == 1
        if n_paths < _TILE:
            return self._few(k, read, rates, out)
        tiles = range(0, n_paths, _TILE)
        sums = [aligned(len(net.group) * _TILE) for _ in tiles]
        for of_tile in sums:
            of_tile.fill(0.0)
        for first, last, pieces in self._portions:
            rows = read(k, None if whole else np.arange(first, last))
            rows = np.ascontiguousarray(rows)

            def add(i: int, rows: Floats = rows, pieces: list[Runs] = pieces) -> None:
                add_block(rows, pieces, net, tiles[i], _TILE, sums[i])

            each(add, range(len(tiles)), threads)
        each(lambda i: write(net, rates, tiles[i], _TILE, n_paths, sums[i], out), range(len(tiles)), threads)
        return out

    def _few(self, k: int, read: Read, rates: Conversion, out: Floats) -> Floats:
        """As `values`, of fewer paths than a tile has: the same sums in the same order."""
        net = self.net
        rows = np.ascontiguousarray(read(k, self.order.astype(np.int64)))
        sums = np.zeros((len(net.group), self.paths.n_paths))
        places = np.arange(len(self.order), dtype=np.int32)
        add_to_slots(places, rows, self.starts, net.slot, self.quantity, sums)
        for b in range(len(self.currencies)):
            for slot in range(*net.currency_slots[b : b + 2].tolist()):
                out[net.group[slot]] += sums[slot] * rates.scenarios[b]
        return out

    @functools.cached_property
    def entry_row(self) -> Codes:
        """Row of the path values of each entry, (n_entries,)."""
        return np.repeat(self.order, np.diff(self.starts))

    @functools.cached_property
    def entry_currency(self) -> Codes:
        """Place of the contract's currency of each entry, (n_entries,)."""
        return np.repeat(np.arange(len(self.currencies), dtype=np.int32), np.diff(self.starts[self.bounds]))

    def today(self, spot: Floats) -> Floats:
        """Value of every netting set today, (n_sets,); spot : (n_currencies,) price of one unit in the reporting currency."""
        unit = self.paths.base[self.entry_row] * spot[self.entry_currency]
        # bincount adds in the order of the entries
        return np.asarray(np.bincount(self.of_set, weights=self.quantity * unit, minlength=self.n_sets), np.float64)


def net_on_paths(paths: PathValues, book: Book, sets: NettingSets, first: int = 0, last: int | None = None) -> Netting:
    """The positions of netting sets first to last - 1 as entries, the sets counted from `first`; all sets by default.

    Contracts that the paths have no value of are left out, see `Netting.row`.
    """
    last = len(sets) if last is None else last
    group = np.full(book.n_positions, -1, dtype=np.int32)
    within = (sets.code >= first) & (sets.code < last)
    group[sets.position[within]] = sets.code[within] - first
    starts, slot, quantity = net_quantities(book, group, last - first)
    row = pc.fill_null(pc.index_in(book.contract_ids, paths.contract_ids), -1).to_numpy().astype(np.int32)
    currencies = tuple(sorted({paths.currencies[r] for r in row[(row >= 0) & (np.diff(starts) > 0)].tolist()}))
    code = {c: i for i, c in enumerate(currencies)}
    of_row = np.array([code.get(c, -1) for c in paths.currencies], dtype=np.int32)
    held = np.flatnonzero((row >= 0) & (np.diff(starts) > 0))
    # ids ascend in the book; a stable sort by currency keeps them so within one
    held = held[np.argsort(of_row[row[held]], kind="stable")]
    counts = np.diff(starts)[held]
    entries = np.repeat(starts[held] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
    entries = entries.astype(np.int64)
    bounds = np.searchsorted(of_row[row[held]], np.arange(len(currencies) + 1)).astype(np.int64)
    return Netting(
        paths,
        row[held],
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        slot[entries].astype(np.int32),
        quantity[entries],
        currencies,
        bounds,
        last - first,
        row,
    )


def covered(book: Book, netting: Netting) -> Bools:
    """Whether each position's contract has values on the paths, (n_positions,)."""
    return np.repeat(netting.row >= 0, np.diff(book.starts))


def failed_ids(book: Book, netting: Netting, sets: NettingSets) -> pa.Array:
    """The contracts held in the netting sets that have no values on the paths."""
    held = np.zeros(book.n_positions, np.bool_)
    held[sets.position] = True
    of_contract = np.add.reduceat(held.astype(np.int64), book.starts[:-1]) > 0
    return book.contract_ids.filter(pa.array(of_contract & (netting.row < 0)))
