"""Groups to net quantities: the sparse matrix (groups x contracts).

Quantities are added in trade order, contract by contract, so the sums do not depend on how the book was stored. The total
is a group of its own, netted from the positions themselves and not from the other groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.book.book import Book
from aggregation.opened.alignment import Alignment
from aggregation.opened.vectors import Vectors
from aggregation.reduce.grouping import Groups
from lake.arrays import Bools, Codes, Floats, Ints
from lake.compiled import compiled
from lake.runtime.machine import usable_cores
from lake.workers import each

_FEW = 8  # a part of the book is one of few positions where it has not one in so many


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
    starts: Ints
    slot: Codes
    quantity: Floats
    group: Codes
    base: Floats
    currency_slots: Ints
    currency_contracts: Ints


def net(
    book: Book, groups: Groups, alignment: Alignment, vectors: Vectors, first: int, n: int, threads: int | None = None
) -> Net:
    """Nets groups first to first + n - 1; group `groups.n` is the total of all. `threads` changes no bit."""
    starts, quantity_of, group_of, order = _selected(book, groups, alignment)
    row = alignment.row[order]
    bounds = np.searchsorted(vectors.currency[row], np.arange(len(vectors.currencies) + 1)).astype(np.int64)
    # what a contract can have at most: an entry a position, and one of the total
    room = np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(starts[order + 1] - starts[order] + 1, out=room[1:])
    slot, quantity = np.empty(room[-1], dtype=np.int32), np.empty(room[-1])
    entries = np.empty(len(order), dtype=np.int64)
    shares = np.searchsorted(room, np.linspace(0, room[-1], (threads or usable_cores()) + 1).astype(np.int64))

    def net_share(i: int) -> None:
        lo, hi = shares[i : i + 2]
        _net(order, room, starts, quantity_of, group_of, first, n, groups.n, lo, hi, slot, quantity, entries)

    each(net_share, range(len(shares) - 1), threads)
    ends, group, base, currency_slots = _number(
        room, entries, slot, quantity, row, bounds, vectors.base, vectors.unmoved, n
    )
    return Net(first, n, row, ends, slot[: ends[-1]], quantity[: ends[-1]], group, base, currency_slots, bounds)


def _selected(book: Book, groups: Groups, alignment: Alignment) -> tuple[Ints, Floats, Codes, Codes]:
    """Where each contract's positions begin, their quantities and groups, and the contracts in the order of `alignment`: of few
    positions of a large book these alone, so that a part costs what it holds. What is left out adds nothing."""
    few = np.flatnonzero(groups.group >= 0)
    if len(few) * _FEW > book.n_positions:
        return book.starts, book.quantity, groups.group, alignment.order
    held = np.bincount(np.searchsorted(book.starts, few, side="right") - 1, minlength=len(book.starts) - 1)
    starts, quantity = np.append(0, np.cumsum(held)), book.quantity[few]
    # as those of a book are, so that one kernel does for both
    starts.flags.writeable, quantity.flags.writeable = book.starts.flags.writeable, book.quantity.flags.writeable
    return starts, quantity, groups.group[few], alignment.order[held[alignment.order] > 0]


def net_quantities(book: Book, group: Codes, n: int) -> tuple[Ints, Codes, Floats]:
    """Net units of groups 0 to n - 1 in every contract of the book, valued or not, for what is valued without stored vectors.

    group : (n_positions,), -1 for positions left out. The entries of contract c are starts[c] to starts[c + 1]: group and
    net units. A group has an entry of each contract it holds, also where its units cancel.
    """
    contracts = np.arange(len(book.contract_ids), dtype=np.int32)
    room = book.starts  # an entry a position at most
    slot, quantity = np.empty(room[-1], dtype=np.int32), np.empty(room[-1])
    entries = np.empty(len(contracts), dtype=np.int64)
    _net(contracts, room, room, book.quantity, group, 0, n, n, 0, len(contracts), slot, quantity, entries)
    filled = np.arange(room[-1]) < np.repeat(room[:-1] + entries, np.diff(room))
    return np.append(0, np.cumsum(entries)), slot[filled], quantity[filled]


@compiled
def _net(
    order: Codes,
    room: Ints,
    starts: Ints,
    quantity: Floats,
    group: Codes,
    first: int,
    n: int,
    total: int,
    lo: int,
    hi: int,
    out_group: Codes,
    out_quantity: Floats,
    entries: Ints,
) -> None:
    """Nets contracts lo to hi - 1 of `order`, each from room[k] on: its groups counted from `first`, and net units.

    A contract's entry of a group is found in `entry`, which is valid where `owner` names the contract.
    """
    owner, entry = np.full(n, -1, dtype=np.int32), np.empty(n, dtype=np.int64)
    for k in range(lo, hi):
        m = room[k]
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
                out_group[m], out_quantity[m] = g, quantity[p]
                m += 1
            else:
                out_quantity[entry[g]] += quantity[p]
        if total < first + n:
            out_group[m], out_quantity[m] = total - first, together
            m += 1
        entries[k] = m - room[k]


@compiled
def _number(
    room: Ints,
    entries: Ints,
    slot: Codes,
    quantity: Floats,
    row: Codes,
    bounds: Ints,
    base: Floats,
    unmoved: Bools,
    n: int,
) -> tuple[Ints, Codes, Floats, Ints]:
    """Numbers the accumulators, adds up their bases and closes the gaps between contracts, in place; see `Net`."""
    starts = np.zeros(row.size + 1, dtype=np.int64)
    slot_of = np.full(n, -1, dtype=np.int32)
    slot_group = [np.int32(0) for _ in range(0)]
    slot_base = [0.0 for _ in range(0)]
    slots = np.zeros(bounds.size, dtype=np.int64)
    m = 0
    for b in range(bounds.size - 1):
        slot_of[:] = -1
        for k in range(bounds[b], bounds[b + 1]):
            value = base[row[k]]
            moved = not unmoved[row[k]]  # a row of zeros adds nothing
            for e in range(room[k], room[k] + entries[k]):
                q = quantity[e]
                if q == 0.0:
                    continue
                g = slot[e]
                if slot_of[g] < 0:
                    slot_of[g] = len(slot_group)
                    slot_group.append(np.int32(g))
                    slot_base.append(0.0)
                slot_base[slot_of[g]] += q * value
                if moved:
                    slot[m], quantity[m] = slot_of[g], q
                    m += 1
            starts[k + 1] = m
        slots[b + 1] = len(slot_group)
    return starts, np.array(slot_group), np.array(slot_base), slots
