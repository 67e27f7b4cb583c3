"""Net quantities laid out for the reduce: blocks of contracts whose rows stay in the cache, and in a block a run a group.

Within a run contracts keep their order, and so do blocks: every sum is still in contract order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aggregation.reduce.netting import Net
from lake.arrays import Codes, Floats, Ints
from lake.compiled import compiled
from lake.workers import each

Rows = npt.NDArray[np.uint32]

_PIECE = 16384  # contracts laid out at once, by one thread
# Rows of a block should be in the first-level cache, and a run long enough that its sum is worth loading. Both cannot be
# had with many groups: then blocks of the second-level cache are the better bargain. Measured.
_BLOCKS = ((48, 64), (2000, 256))
_LONG_BLOCK = 4096


@dataclass(frozen=True)
class Runs:
    """Entries of some contracts of one currency, by block of contracts, in a block by slot, in a run by contract.

    currency : its code. blocks : (n_blocks + 1,) runs of each block. slot : (n_runs,) accumulator of each, counted from the
    first of the currency. start : (n_runs + 1,) its entries. row, quantity : (n_entries,) row of the vectors, net units.
    held : rows of the contracts that have entries, in order, the last one repeated at the end. coming : (n_blocks,) where
    in `held` the block after this one begins.
    """

    currency: int
    blocks: Ints
    slot: Rows
    start: Ints
    row: Rows
    quantity: Floats
    held: Rows
    coming: Ints


def lay_out_runs(net: Net, first: int, last: int, threads: int | None = None) -> list[Runs]:
    """The entries of `net` whose rows are `first` to `last` - 1 as runs, in pieces by currency, then by contract."""
    pieces = []
    for b in range(len(net.currency_slots) - 1):
        # contracts and vectors are both sorted by id, so within a currency the rows ascend
        rows = net.contract[net.currency_contracts[b] : net.currency_contracts[b + 1]]
        begin, end = net.currency_contracts[b] + np.searchsorted(rows, [first, last])
        pieces += [(b, lo, min(lo + _PIECE, end)) for lo in range(begin, end, _PIECE)]

    def lay_out_piece(piece: tuple[int, int, int]) -> Runs:
        b, lo, hi = piece
        offset, end = net.currency_slots[b : b + 2]
        slots = int(end - offset)
        block = next((n for most, n in _BLOCKS if slots <= most), _LONG_BLOCK)
        return Runs(b, *_fill_runs(net.contract, net.starts, net.slot, net.quantity, lo, hi, offset, slots, block))

    return [runs for runs in each(lay_out_piece, pieces, threads) if len(runs.row)]


@compiled
def _fill_runs(
    contract: Codes,
    starts: Ints,
    slot: Codes,
    quantity: Floats,
    lo: int,
    hi: int,
    offset: int,
    n_slots: int,
    block: int,
) -> tuple[Ints, Rows, Ints, Rows, Floats, Rows, Ints]:
    """A counting sort by slot in every block; see `Runs` for what comes out."""
    first = starts[lo]
    m = starts[hi] - first
    out_row, out_quantity = np.empty(m, dtype=np.uint32), np.empty(m)
    run_slot, run_start = np.empty(m, dtype=np.uint32), np.empty(m + 1, dtype=np.int64)
    # padding, so that prefetch never reads past the end
    held = np.empty(hi - lo + m // 4 + 2, dtype=np.uint32)
    blocks = np.zeros((hi - lo) // block + 2, dtype=np.int64)
    coming = np.zeros((hi - lo) // block + 1, dtype=np.int64)
    place = np.zeros(n_slots, dtype=np.int64)
    n_held = n_runs = n_blocks = 0
    begin = lo
    while begin < hi:
        end = begin
        taken = 0
        while end < hi and taken < block:
            if starts[end + 1] > starts[end]:
                held[n_held] = contract[end]
                n_held += 1
                taken += 1
                for e in range(starts[end], starts[end + 1]):
                    place[slot[e] - offset] += 1
            end += 1
        if taken:
            at = starts[begin] - first
            for s in range(n_slots):
                if place[s] > 0:
                    run_slot[n_runs], run_start[n_runs] = s, at
                    n_runs += 1
                    at, place[s] = at + place[s], at
            for k in range(begin, end):
                for e in range(starts[k], starts[k + 1]):
                    s = slot[e] - offset
                    out_row[place[s]], out_quantity[place[s]] = contract[k], quantity[e]
                    place[s] += 1
            place[:] = 0
            coming[n_blocks] = n_held
            n_blocks += 1
            blocks[n_blocks] = n_runs
        begin = end
    run_start[n_runs] = m
    held[n_held:] = held[n_held - 1] if n_held else 0
    return (
        blocks[: n_blocks + 1],
        run_slot[:n_runs],
        run_start[: n_runs + 1],
        out_row,
        out_quantity,
        held,
        coming[:n_blocks],
    )
