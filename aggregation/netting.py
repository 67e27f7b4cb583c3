"""Groups to net quantities: the sparse matrix (groups x contracts).

Quantities are added in trade order, contract by contract, so the sums do not depend on how the book was stored. The total
is a group of its own, netted from the positions themselves and not from the other groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.book import Book, Codes, Offsets
from aggregation.compiled import compiled
from aggregation.grouping import Groups
from aggregation.vector_cache import Alignment
from aggregation.vectors import Bools, Vectors
from scenarios.types import Floats


@dataclass(frozen=True)
class Net:
    """Net quantities of groups first to first + n - 1, sparse, by contract.

    contract : (k,) rows of the vectors, by currency, then contract id. starts : (k + 1,) its entries; slot, quantity : the
    entries: accumulator and net units. group : (n_slots,) group of each accumulator, counted from `first`. base : (n_slots,)
    value of the net positions. currency : (n_slots,) codes. An accumulator holds one group in one currency; those of
    currency b are currency_slots[b] to currency_slots[b + 1], its contracts currency_contracts[b] to [b + 1].
    """

    first: int
    n: int
    contract: Codes
    starts: Offsets
    slot: Codes
    quantity: Floats
    group: Codes
    base: Floats
    currency_slots: Offsets
    currency_contracts: Offsets


def net(book: Book, groups: Groups, alignment: Alignment, vectors: Vectors, first: int, n: int) -> Net:
    """Nets groups first to first + n - 1; group `groups.n` is the total of all."""
    order = alignment.order
    row = alignment.row[order]
    currency = vectors.currency[row]
    bounds = np.searchsorted(currency, np.arange(len(vectors.currencies) + 1)).astype(np.int64)
    most = int((groups.group >= 0).sum()) + len(order)
    starts, slot, quantity, group, base, currency_slots = _net(
        order,
        row,
        bounds,
        book.starts,
        book.quantity,
        groups.group,
        vectors.base,
        vectors.unmoved,
        first,
        n,
        groups.n,
        most,
    )
    return Net(first, n, row, starts, slot, quantity, group, base, currency_slots, bounds)


@compiled
def _net(
    order: Codes,
    row: Codes,
    bounds: Offsets,
    starts: Offsets,
    quantity: Floats,
    group: Codes,
    base: Floats,
    unmoved: Bools,
    first: int,
    n: int,
    total: int,
    most: int,
) -> tuple[Offsets, Codes, Floats, Codes, Floats, Offsets]:
    """One pass over the positions of the contracts in `order`; see `Net` for what comes out.

    Entries of a contract are found by group in `entry`, which is valid where `owner` names the contract.
    """
    out_starts = np.zeros(order.size + 1, dtype=np.int64)
    out_slot, out_quantity = np.empty(most, dtype=np.int32), np.empty(most)
    owner, entry = np.full(n, -1, dtype=np.int32), np.empty(n, dtype=np.int64)
    slot_of = np.full(n, -1, dtype=np.int32)
    slot_group = [np.int32(0) for _ in range(0)]
    slot_base = [0.0 for _ in range(0)]
    slots = np.zeros(bounds.size, dtype=np.int64)
    m = 0
    for b in range(bounds.size - 1):
        slot_of[:] = -1
        for k in range(bounds[b], bounds[b + 1]):
            begin = m
            together = 0.0
            for p in range(starts[order[k]], starts[order[k] + 1]):
                if group[p] < 0:
                    continue
                together += quantity[p]
                g = group[p] - first
                if not 0 <= g < n:
                    continue
                if owner[g] != k:
                    owner[g] = k
                    entry[g] = m
                    out_slot[m], out_quantity[m] = g, quantity[p]
                    m += 1
                else:
                    out_quantity[entry[g]] += quantity[p]
            if total < first + n:
                out_slot[m], out_quantity[m] = total - first, together
                m += 1
            kept = begin
            for e in range(begin, m):
                if out_quantity[e] != 0.0:
                    g = out_slot[e]
                    if slot_of[g] < 0:
                        slot_of[g] = len(slot_group)
                        slot_group.append(np.int32(g))
                        slot_base.append(0.0)
                    slot_base[slot_of[g]] += out_quantity[e] * base[row[k]]
                    out_slot[kept], out_quantity[kept] = slot_of[g], out_quantity[e]
                    kept += 1
            m = begin if unmoved[row[k]] else kept  # a row of zeros adds nothing
            out_starts[k + 1] = m
        slots[b + 1] = len(slot_group)
    return out_starts, out_slot[:m], out_quantity[:m], np.array(slot_group), np.array(slot_base), slots
