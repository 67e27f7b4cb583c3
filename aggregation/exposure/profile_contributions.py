"""What trades contribute to the exposure of a node, in parts whose sum is exact, and the node's figure but for rounding.

Exposure is homogeneous in its trades and its collateral, so by Euler a trade contributes the mean of its value over the paths on which its
netting set has exposure: E[v_i; V > C] for EE, and its value on the path at the quantile for PFE. The collateral takes away the mean of
what is held there, and stands in a line of its own: no trade owns it. Source: Pykhtin and Rosen (2010), *Pricing counterparty risk at the
trade level and CVA allocations*, section 3.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aggregation.exposure.along_paths import Along, Exposed, Part
from aggregation.kernels.euler import exact_split
from aggregation.kernels.exposure_profile import unit_means
from lake.arrays import Bools, Codes, Floats, Ints

_PORTION_BYTES = 256 << 20  # values read at once


@dataclass(frozen=True)
class Items:
    """What contributes: the covered positions of the netting sets, then of each set its collateral, then its unpaid cash flows.

    position : (n_positions,) places in the book. of_set : (n_items,) netting set of each. n_sets : their number.
    """

    position: Ints
    of_set: Codes
    n_sets: int

    @property
    def collateral(self) -> slice:
        """The items that are collateral, a set each."""
        return slice(len(self.position), len(self.position) + self.n_sets)

    @property
    def flows(self) -> slice:
        """The items that are cash flows, a set each."""
        return slice(len(self.position) + self.n_sets, len(self.of_set))


def items_of(along: Along, covered: Bools) -> Items:
    """The items of netting sets whose positions are `covered`, (n_positions of the book,)."""
    kept = covered[along.sets.position]
    sets = np.arange(len(along.sets), dtype=np.int32)
    return Items(
        along.sets.position[kept],
        np.concatenate([along.sets.code[kept], sets, sets]).astype(np.int32),
        len(along.sets),
    )


@dataclass
class Contributions:
    """Adds up what items contribute to nodes, date by date; a watcher of `profiles.profile`.

    node : (n_sets,) of each netting set. row : (n_items,) row of the answer of each item, whose items are all of one node. weights, year :
    (n_dates,) of the averages over time.
    """

    along: Along
    items: Items
    node: Codes
    n_nodes: int
    row: Codes
    n_rows: int
    n_levels: int
    weights: Floats
    year: Floats
    ee: list[Floats] = field(default_factory=list)
    pfe: list[list[Floats]] = field(default_factory=list)

    def __post_init__(self) -> None:
        n = len(self.items.of_set)
        self._all_dates, self._greatest, self._first_year = np.zeros(n), np.zeros(n), np.zeros(n)
        self._effective = np.full(self.n_nodes, -np.inf)
        self._parts = self.along.parts()
        node = self.node[self.items.of_set]
        self._by_node = np.argsort(node, kind="stable")
        self._bounds = np.searchsorted(node[self._by_node], np.arange(self.n_nodes + 1))

    @functools.cached_property
    def _entry(self) -> list[tuple[Ints, Ints]]:
        """Of each part the positions among the items, and the entry of its netting that each is in."""
        position, of_set = self.items.position, self.items.of_set[: len(self.items.position)]
        contract = np.searchsorted(self.along.book.starts, position, side="right") - 1
        found = []
        for part in self._parts:
            netting, n = part.netting, part.netting.n_sets
            here = np.flatnonzero((of_set >= part.first) & (of_set < part.first + n))
            key = netting.row[contract[here]].astype(np.int64) * n + (of_set[here] - part.first)
            keys = netting.entry_row.astype(np.int64) * n + netting.of_set
            order = np.argsort(keys)
            found.append((here, order[np.searchsorted(keys[order], key)]))
        return found

    def date(self, exposed: Sequence[Exposed], ee: Floats, ranked: Sequence[Ints]) -> None:
        """See `profiles.Watcher`."""
        n = len(self.items.of_set)
        of_ee, of_pfe = np.zeros(n), [np.zeros(n) for _ in ranked]
        total_pfe = [np.zeros(self.n_nodes) for _ in ranked]
        for part, found, entry in zip(self._parts, exposed, self._entry, strict=True):
            self._of_part(part, found, entry, ranked, of_ee, of_pfe, total_pfe)
        exact_ee = self._exact(of_ee, ee)
        j = len(self.ee) - 1  # today is before the first
        if j < 0:
            self._greatest, self._effective = exact_ee.copy(), ee.copy()
        else:
            self._all_dates += self.weights[j] * exact_ee
            if self.year[j] > 0.0:
                rises = ee > self._effective
                self._effective = np.where(rises, ee, self._effective)
                of_item = rises[self.node[self.items.of_set]]
                self._greatest = np.where(of_item, exact_ee, self._greatest)
                self._first_year += self.year[j] * self._greatest
        self.ee.append(self._rows(exact_ee))
        self.pfe.append([self._rows(self._exact(p, t)) for p, t in zip(of_pfe, total_pfe, strict=True)])

    def over_time(self, epe: Floats, eepe: Floats, factor: float = 1.0) -> tuple[Floats, Floats]:
        """Parts of epe and of `factor` times eepe by row, (n_rows,) each; they add up to those of the nodes, given (n_nodes,) each."""
        first_year = self._exact(factor * self._first_year, factor * eepe)
        return self._rows(self._exact(self._all_dates, epe)), self._rows(first_year)

    def _of_part(
        self,
        part: Part,
        found: Exposed,
        entry: tuple[Ints, Ints],
        ranked: Sequence[Ints],
        of_ee: Floats,
        of_pfe: Sequence[Floats],
        total_pfe: Sequence[Floats],
    ) -> None:
        along, netting = self.along, part.netting
        counted = found.positive > 0.0
        n, here = netting.n_sets, slice(part.first, part.first + netting.n_sets)
        node = self.node[here]
        if found.k < 0:
            rates = np.array([along.spot(c) for c in netting.currencies], np.float64)[:, None]
        else:
            rates = netting.fx(found.k, along.currency)
        units, at_path = self._units(part, found, counted, [r[node] for r in ranked], rates)
        places, entries = entry
        quantity = along.book.quantity[self.items.position[places]]
        of_ee[places] = quantity * units[entries]
        flows = np.zeros(found.value.shape) if found.flows is None else found.flows
        collateral, unpaid = (
            slice(s.start + part.first, s.start + part.first + n) for s in (self.items.collateral, self.items.flows)
        )
        of_ee[collateral] = -np.add.accumulate(np.where(counted, found.held, 0.0), axis=1)[:, -1] / counted.shape[1]
        of_ee[unpaid] = np.add.accumulate(np.where(counted, flows, 0.0), axis=1)[:, -1] / counted.shape[1]
        sets = np.arange(n)
        for i, path in enumerate(ranked):
            at = path[node]
            there = counted[sets, at]
            of_pfe[i][places] = quantity * at_path[i][entries]
            of_pfe[i][collateral] = np.where(there, -found.held[sets, at], 0.0)
            of_pfe[i][unpaid] = np.where(there, flows[sets, at], 0.0)
            total_pfe[i][:] += np.bincount(node, weights=found.positive[sets, at], minlength=self.n_nodes)

    def _units(
        self,
        part: Part,
        found: Exposed,
        counted: Bools,
        at: Sequence[Ints],
        rates: Floats,
    ) -> tuple[Floats, list[Floats]]:
        """What a unit of each entry contributes to EE, and to the exposure on the path `at` of its set, by level."""
        netting, paths = part.netting, self.along.paths
        units, at_path = np.empty(len(netting.of_set)), [np.empty(len(netting.of_set)) for _ in at]
        step = max(1, _PORTION_BYTES // (8 * paths.n_paths))
        for first in range(0, len(netting.order), step):
            held = netting.order[first : first + step]
            begin, end = netting.starts[first], netting.starts[first + len(held)]
            here = slice(int(begin), int(end))
            today = found.k < 0
            rows = paths.base[held][:, None] if today else paths.values(found.k, held.astype(np.int64))
            rows = np.ascontiguousarray(rows)
            local = np.repeat(
                np.arange(len(held), dtype=np.int32), np.diff(netting.starts[first : first + len(held) + 1])
            )
            currency, of_set = netting.entry_currency[here], netting.of_set[here]
            units[here] = unit_means(rows, local, of_set, counted, currency, rates)
            for i, path in enumerate(at):
                p = path[of_set]
                at_path[i][here] = np.where(counted[of_set, p], rows[local, p] * rates[currency, p], 0.0)
        return units, at_path

    def _exact(self, parts: Floats, totals: Floats) -> Floats:
        """The parts put onto a grid node by node, so that those of a node add up to its total, (n_nodes,)."""
        out = np.zeros(len(parts))
        for i in range(self.n_nodes):
            here = self._by_node[self._bounds[i] : self._bounds[i + 1]]
            if len(here):
                out[here] = exact_split(np.ascontiguousarray(parts[here]), float(totals[i])).parts
        return out

    def _rows(self, parts: Floats) -> Floats:
        return np.asarray(np.bincount(self.row, weights=parts, minlength=self.n_rows), np.float64)
