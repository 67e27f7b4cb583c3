"""The product: sparse (groups x contracts) times dense (contracts x scenarios), in the reporting currency.

A thread takes a tile of scenarios and passes over all contracts, a block of them at a time; every scenario of every group is
added in contract order, so neither the tile nor the block nor the number of threads changes a bit. No BLAS: its
summation order depends on shapes and threads.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aggregation.reduce.currency import Conversion
from aggregation.reduce.layout import Runs, lay_out_runs
from aggregation.reduce.netting import Net
from lake.arrays import Codes, Floats
from lake.compiled import compiled
from lake.workers import each
from scenarios.kernels.currency import converted_pnl_compiled

_WIDE, _NARROW = 64, 32  # scenarios of a tile
_WIDE_SLOTS = 2000  # accumulators of so many groups stay in the second-level cache at the wide tile
_BLOCK = 512  # groups measured at once
_ALIGNMENT = 64  # bytes; accumulators across two cache lines cost up to three times the time


def group_pnl(
    rows: Floats, net: Net, conversion: Conversion, threads: int | None = None, portion: int | None = None
) -> Floats:
    """P&L of each group in each scenario in the reporting currency, shape (net.n, n_scenarios), gains positive.

    rows : (n_contracts, width) as in `Vectors`, width >= 64 and n_scenarios; the conversion knows the scenario count.
    portion : so many rows are in memory at once; default all. Where they are mapped from a file, those done are let go.
    """
    n_scenarios = conversion.scenarios.shape[1]
    out = np.zeros((net.n, n_scenarios))
    most_slots = int(np.diff(net.currency_slots).max(initial=0))
    tile = _WIDE if most_slots <= _WIDE_SLOTS else _NARROW
    starts = range(0, n_scenarios, tile)
    portions = range(0, len(rows), portion or max(1, len(rows)))
    if len(portions) > 1:
        sums = [aligned(len(net.group) * tile) for _ in starts]
        for all_of_tile in sums:
            all_of_tile.fill(0.0)
        for first in portions:
            pieces = lay_out_runs(net, first, first + portions.step, threads)
            each(lambda i, p=pieces: add_block(rows, p, net, starts[i], tile, sums[i]), range(len(starts)), threads)  # type: ignore[misc]
            _release(rows)
        each(
            lambda i: write(net, conversion, starts[i], tile, rows.shape[1], sums[i], out), range(len(starts)), threads
        )
        return out
    pieces = lay_out_runs(net, 0, len(rows), threads)
    buffers = threading.local()  # one a thread and call: fresh memory a tile would cost a page fault every 4 KiB

    def reduce_tile(start: int) -> None:
        if not hasattr(buffers, "own"):
            buffers.own = aligned(len(net.group) * tile)
        buffers.own.fill(0.0)
        add_block(rows, pieces, net, start, tile, buffers.own)
        write(net, conversion, start, tile, rows.shape[1], buffers.own, out)

    each(reduce_tile, starts, threads)
    return out


def _begin(start: int, tile: int, width: int) -> int:
    """Where a tile begins: the last one reaches back over columns already done, and writes only its own."""
    return min(start, width - tile)


def add_block(rows: Floats, pieces: Sequence[Runs], net: Net, start: int, tile: int, sums: Floats) -> None:
    """Adds the pieces to the sums of a tile, (n_slots * tile,)."""
    from aggregation.kernels.register_sums import LINE, add_runs  # noqa: PLC0415 - it brings Numba

    flat, width, lines = rows.reshape(-1), rows.shape[1], (0,) * (tile // LINE)
    begin = _begin(start, tile, width)
    for r in pieces:
        own = sums[net.currency_slots[r.currency] * tile : net.currency_slots[r.currency + 1] * tile]
        add_runs(lines, flat, width, begin, r.blocks, r.slot, r.start, r.row, r.quantity, r.held, r.coming, own)


def write(net: Net, conversion: Conversion, start: int, tile: int, width: int, sums: Floats, out: Floats) -> None:
    """Converts the sums of a tile, (n_slots * tile,), and adds them to their groups, currency after currency."""
    end = min(start + tile, out.shape[1])
    begin = _begin(start, tile, width)
    for currency in range(len(net.currency_slots) - 1):
        here = slice(*net.currency_slots[currency : currency + 2])
        _convert(
            sums.reshape(-1, tile)[here, start - begin : end - begin],
            net.base[here],
            net.group[here],
            conversion.base[currency],
            conversion.scenarios[currency, start:end],
            out[:, start:end],
        )


def _release(rows: Floats) -> None:
    """Lets go of the pages of rows that are mapped from a file, which still has them.

    Of all rows, since the system maps neighbours of a page that is asked for, also of rows done before.
    """
    mapped: Any = rows
    while isinstance(mapped, np.ndarray):
        mapped = mapped.base
    if isinstance(mapped, mmap.mmap):
        mapped.madvise(mmap.MADV_DONTNEED)


def group_base(net: Net, conversion: Conversion) -> Floats:
    """Base value of each group in the reporting currency, shape (net.n,)."""
    currency = np.repeat(np.arange(len(conversion.base)), np.diff(net.currency_slots))
    # bincount adds in the order of the slots: by currency
    return np.asarray(np.bincount(net.group, weights=net.base * conversion.base[currency], minlength=net.n), np.float64)


def aligned(n: int) -> Floats:
    """Room for n doubles that begins at a cache line."""
    raw = np.empty(n + _ALIGNMENT // 8)
    skip = -raw.ctypes.data // 8 % (_ALIGNMENT // 8)
    return raw[skip : skip + n]


def by_rows(function: Callable[[Floats], Floats], pnl: Floats, threads: int | None = None) -> Floats:
    """`function` of the P&L of all groups, (n_groups,), done in blocks of groups by threads; each group stands alone."""
    if len(pnl) <= _BLOCK:
        return function(pnl)
    return np.concatenate(each(function, [pnl[i : i + _BLOCK] for i in range(0, len(pnl), _BLOCK)], threads))


@compiled
def _convert(pnl: Floats, base: Floats, group: Codes, fx0: float, fx: Floats, out: Floats) -> None:
    """Adds each slot's P&L in the reporting currency to its group."""
    for i in range(group.size):
        for s in range(fx.size):
            out[group[i], s] += converted_pnl_compiled(base[i], pnl[i, s], fx[s], fx0)
