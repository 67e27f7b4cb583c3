"""The reduce in NumPy: the sums of the kernels in the same order, so the same bits, for questions too small to load kernels for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aggregation.book.book import Book
from aggregation.opened.alignment import Alignment
from aggregation.opened.vectors import Vectors
from aggregation.reduce.currency import Conversion
from aggregation.reduce.grouping import Groups
from lake.arrays import Floats
from lake.compiled import is_worth_loading
from scenarios.kernels.currency import converted_pnl

# seconds of a core: to add a row to a group, by row and by scenario of it; for a group and contract, held or not
_A_ROW, _A_SUM, _A_CELL = 1e-6, 1e-9, 1e-8


def is_enough(book: Book, groups: Groups, vectors: Vectors, n: int) -> bool:
    """Whether n groups of the book are not worth the load of kernels."""
    contracts = len(book.contract_ids)
    rows = min(book.n_positions, contracts * groups.n) + contracts  # at most, those of the total included
    seconds = rows * (_A_ROW + _A_SUM * vectors.n_scenarios) + contracts * n * _A_CELL
    return vectors.places is None and not is_worth_loading(seconds)


def group_values(
    book: Book, groups: Groups, alignment: Alignment, vectors: Vectors, rates: Conversion, first: int, n: int
) -> tuple[Floats, Floats]:
    """Base value (n,) and P&L (n, n_scenarios) of groups first to first + n - 1 in the reporting currency, gains positive.

    As `netting.net`, then `product.group_base` and `product.group_pnl` make them.
    """
    place, group, quantity = _net(book, groups, alignment, first, n)
    row = alignment.row[alignment.order[place]]
    slots, slot = np.unique(vectors.currency[row].astype(np.int64) * n + group, return_inverse=True)
    currency, group = np.divmod(slots, n)
    base = np.bincount(slot, weights=quantity * vectors.base[row], minlength=len(slots))
    sums = np.zeros((len(slots), vectors.n_scenarios))
    matrix = vectors.pnl
    for s, r, q in zip(slot.tolist(), row.tolist(), quantity.tolist(), strict=True):
        sums[s] += q * matrix[r]  # of an unmoved contract zeros
    pnl = np.zeros((n, vectors.n_scenarios))
    for s, (c, g) in enumerate(zip(currency, group, strict=True)):
        pnl[g] += converted_pnl(base[s], sums[s], rates.scenarios[c], rates.base[c])
    return np.bincount(group, weights=base * rates.base[currency], minlength=n).astype(np.float64), pnl


def _net(
    book: Book, groups: Groups, alignment: Alignment, first: int, n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """The net quantities that are not zero: the contract's place in `alignment.order`, the group counted from `first`, units."""
    starts, order = book.starts, alignment.order
    held = starts[order + 1] - starts[order]
    place = np.repeat(np.arange(len(order)), held)
    position = np.arange(len(place)) + np.repeat(starts[order] - np.cumsum(held) + held, held)
    group, quantity = groups.group[position] - first, book.quantity[position]
    asked = (group >= 0) & (group < n)
    cells, units = place[asked] * n + group[asked], quantity[asked]
    if groups.n < first + n:  # the total
        kept = groups.group[position] >= 0
        cells = np.append(cells, place[kept] * n + (groups.n - first))
        units = np.append(units, quantity[kept])
    # bincount adds in the order of the positions
    net: Floats = np.bincount(cells, weights=units, minlength=len(order) * n).astype(np.float64)
    cells = np.flatnonzero(net)
    return cells // n, cells % n, net[cells]
