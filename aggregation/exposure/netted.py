"""Positions netted along paths: the value of every netting set at every date on every path, in the reporting currency.

At a date the net quantities of a netting set times the values of their contracts are added in the order of contract ids, currency after
currency, and converted at the exchange rates of the path. A date is read at a time, and of many contracts a portion of it, so that memory
is bounded; neither portions nor threads change a bit.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book
from aggregation.exposure.netting_sets import NettingSets
from aggregation.exposure.path_values import PathValues
from aggregation.kernels.exposure_groups import Netted
from aggregation.kernels.netted_sums import add_runs_of_rows, set_values
from aggregation.reduce.netting import net_quantities
from lake.arrays import Bools, Codes, Floats, Ints
from lake.runtime.machine import usable_cores
from lake.workers import each

Read = Callable[[int, Ints | None], Floats]

_PORTION_BYTES = 1 << 30  # values in memory at once


@dataclass(frozen=True)
class _Runs:
    """Entries by run: row and quantity of each, (n_entries,); starts (n_runs + 1,); currency and netting set of each run."""

    row: Codes
    quantity: Floats
    starts: Ints
    currency: Codes
    of_set: Codes

    def shares(self, n: int) -> list[tuple[int, int]]:
        """Runs first to last - 1, for n threads, of about as many entries each; no netting set is in two."""
        wanted = np.searchsorted(self.starts, np.linspace(0, self.starts[-1], n + 1)[1:-1])
        of_set = np.append(self.of_set, np.iinfo(np.int32).max)
        ends = np.searchsorted(self.of_set, of_set[np.minimum(wanted, len(self.of_set))])
        bounds = np.unique([0, *ends.tolist(), len(self.of_set)]).tolist()
        return list(itertools.pairwise(bounds))


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
    def _runs(self) -> _Runs:
        """The entries by netting set, in a set by currency, in a currency by contract."""
        currency = self.entry_currency
        order = np.lexsort((currency, self.of_set))  # stable: within a currency contracts keep their order
        cell = self.of_set[order].astype(np.int64) * max(len(self.currencies), 1) + currency[order]
        begins = np.flatnonzero(np.diff(cell, prepend=-1))
        return _Runs(
            self.entry_row[order],
            self.quantity[order],
            np.append(begins, len(order)).astype(np.int64),
            currency[order][begins],
            self.of_set[order][begins],
        )

    def values(self, k: int, currency: str, threads: int | None = None) -> Floats:
        """Value of every netting set at date k in the reporting currency, (n_sets, n_paths); `threads` changes no bit."""
        return self._added(k, currency, self.paths.values, threads)

    def cash(self, k: int, currency: str, threads: int | None = None) -> Floats:
        """Cash that every netting set pays in (dates[k - 1], dates[k]], received positive, as `values`, at the rates of dates[k]."""
        return self._added(k, currency, self.paths.cash, threads)

    def fx(self, k: int, currency: str) -> Floats:
        """Price of one unit of each of the currencies, (n_currencies, n_paths)."""
        return self.paths.rates(k, self.currencies, currency)

    @property
    def at_once(self) -> int:
        """Dates whose values are few enough to be in memory together, 0 where those of one are not."""
        return _PORTION_BYTES // max(8 * len(self.paths.contract_ids) * self.paths.n_paths, 1)

    def netted(self) -> Netted:
        """What the netting sets hold, as kernels take it."""
        runs = self._runs
        of_set = np.searchsorted(runs.of_set, np.arange(self.n_sets + 1)).astype(np.int64)
        return Netted(runs.row, runs.quantity, runs.starts, runs.currency, of_set)

    def _added(self, k: int, currency: str, read: Read, threads: int | None) -> Floats:
        runs, n_paths, n_rows = self._runs, self.paths.n_paths, len(self.paths.contract_ids)
        out = np.zeros((self.n_sets, n_paths))
        if not len(self.order):
            return out
        fx = self.fx(k, currency)
        shares = runs.shares(threads or usable_cores())
        if self.at_once:
            rows = np.ascontiguousarray(read(k, None))

            def whole(share: tuple[int, int]) -> None:
                scratch = np.empty(n_paths)
                set_values(
                    rows, runs.row, runs.quantity, runs.starts, runs.currency, runs.of_set, *share, fx, scratch, out
                )

            each(whole, shares, threads)
            return out
        sums = np.zeros((len(runs.of_set), n_paths))
        step = max(1, _PORTION_BYTES // (8 * n_paths))
        for first in range(0, n_rows, step):
            some = np.ascontiguousarray(read(k, np.arange(first, min(first + step, n_rows))))

            def add(share: tuple[int, int], first: int = first, some: Floats = some) -> None:
                add_runs_of_rows(some, first, runs.row, runs.quantity, runs.starts, *share, sums)

            each(add, shares, threads)
        for r, (s, c) in enumerate(zip(runs.of_set.tolist(), runs.currency.tolist(), strict=True)):
            out[s] += sums[r] * fx[c]
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
    held = np.flatnonzero((row >= 0) & (np.diff(starts) > 0))
    all_currencies = pa.array(paths.currencies, pa.string())
    currencies = tuple(sorted(all_currencies.take(pa.array(row[held])).unique().to_pylist()))
    places = pc.index_in(all_currencies, pa.array(currencies, pa.string()))
    of_row = pc.fill_null(places, -1).to_numpy().astype(np.int32)
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
