"""Positions to net quantities: filters, groups, and the sparse matrix (groups x contracts).

Quantities are added in trade order, contract by contract, so the sums do not depend on how the book was stored. The total
is a group of its own, netted from the positions themselves and not from the other groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book import Book, Codes, Offsets
from aggregation.compiled import compiled
from aggregation.dimensions import check_dimension
from aggregation.types import Filter
from aggregation.vector_cache import Alignment
from aggregation.vectors import Bools, Vectors
from lake.errors import BadInput, unknown
from scenarios.types import Floats

_COMPARED = 2000  # members looked at for the nearest names
_DENSE = 1 << 22  # group codes below this are counted in a table; above, they are sorted


@dataclass(frozen=True)
class Groups:
    """The groups of the selected positions, sorted by their members, nulls last.

    group : (n_positions,) group of each position of the book, -1 where it is filtered out. keys : a row a group.
    """

    group: Codes
    keys: pa.Table
    n: int


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


def select(book: Book, where: Sequence[Filter]) -> Bools:
    """The positions that pass every filter; raises `BadInput` for unknown members and when none is left."""
    keep = np.ones(book.n_positions, dtype=np.bool_)
    for i, f in enumerate(where):
        pointer = f"where/{i}"
        column = book.columns[check_dimension(f.dimension, book.attributes, pointer)]
        codes = pc.index_in(pa.array(f.values, column.members.type), column.members)
        if codes.null_count:
            value = next(v for v, c in zip(f.values, codes.to_pylist(), strict=True) if c is None)
            raise unknown(
                f"{f.dimension} on {book.positions_date}", value, _around(value, column.members), pointer=pointer
            )
        chosen = np.zeros(len(column.members), dtype=np.bool_)
        chosen[codes.to_numpy()] = True
        keep &= (~chosen if f.exclude else chosen)[column.codes]
        if not keep.any():
            passed = ", ".join(_text(g) for g in where[: i + 1])
            raise BadInput(f"No position of {book.positions_date} passes {passed}; loosen a filter.")
    return keep


def _around(value: str, members: pa.Array) -> list[str]:
    """The members; of very many, those next to the value in sorting order, since each is compared letter by letter."""
    members = members.drop_null()
    place = pc.sum(pc.less(members, value), min_count=0).as_py()
    found: list[str] = members.slice(max(0, place - _COMPARED // 2), _COMPARED).to_pylist()
    return found


def _text(f: Filter) -> str:
    return f"{f.dimension}{'!=' if f.exclude else '='}{','.join(f.values)}"


def group_by(book: Book, by: Sequence[str], keep: Bools) -> Groups:
    """Groups the selected positions; one group of all when `by` is empty."""
    columns = [book.columns[check_dimension(name, book.attributes)] for name in by]
    if len(set(by)) < len(by):
        raise BadInput(f"A dimension is named twice: {', '.join(by)}.")
    code, size = np.zeros(book.n_positions, dtype=np.int64), 1
    for column in columns:
        if size * len(column.members) > _DENSE:
            code, size = _close_gaps(code)
        code = code * len(column.members) + column.codes
        size *= len(column.members)
    if size > _DENSE:
        code, size = _close_gaps(code)
    group, example = _number(code, keep, size)
    keys = {name: c.members.take(pa.array(c.codes[example])) for name, c in zip(by, columns, strict=True)}
    return Groups(group, pa.table(keys), len(example))


def _close_gaps(code: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """The codes renumbered in their order, and how many there are."""
    distinct, dense = np.unique(code, return_inverse=True)
    return dense, len(distinct)


def coverage(book: Book, groups: Groups, alignment: Alignment) -> npt.NDArray[np.int64]:
    """Counts of positions that are covered, failed and missing, shape (n_groups, 3)."""
    return _coverage(book.starts, groups.group, alignment.state, groups.n)


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
def _number(code: npt.NDArray[np.int64], keep: Bools, size: int) -> tuple[Codes, Offsets]:
    """Numbers the codes that are kept, without gaps and in their order; and a position of each."""
    seen = np.full(size, -1, dtype=np.int64)
    for p in range(code.size - 1, -1, -1):
        if keep[p]:
            seen[code[p]] = p
    number = np.empty(size, dtype=np.int32)
    example = np.empty(size, dtype=np.int64)
    n = 0
    for c in range(size):
        if seen[c] >= 0:
            number[c] = n
            example[n] = seen[c]
            n += 1
    group = np.empty(code.size, dtype=np.int32)
    for p in range(code.size):
        group[p] = number[code[p]] if keep[p] else -1
    return group, example[:n]


@compiled
def _coverage(starts: Offsets, group: Codes, state: npt.NDArray[np.int8], n_groups: int) -> npt.NDArray[np.int64]:
    counts = np.zeros((n_groups, 3), dtype=np.int64)
    for c in range(state.size):
        for p in range(starts[c], starts[c + 1]):
            if group[p] >= 0:
                counts[group[p], state[c]] += 1
    return counts


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
