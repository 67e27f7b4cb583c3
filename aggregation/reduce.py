"""The product: sparse (groups x contracts) times dense (contracts x scenarios), in the reporting currency.

A thread takes a tile of scenarios and passes over all contracts, adding quantity times P&L to accumulators that stay in its
cache; every scenario of every group is added in contract order, so neither the tile nor the number of threads changes a
bit. No BLAS: its summation order depends on shapes and threads.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from aggregation.book import Codes
from aggregation.compiled import compiled
from aggregation.currency import Conversion
from aggregation.netting import Net
from lake.machine import usable_cores
from scenarios.types import Floats

# Widths are compiled in: with a width known only at run time the inner loop ran at a third of the speed.
_NARROW, _WIDE = 64, 128
_WIDE_SLOTS = 48  # so many accumulators of the wide tile stay in a first-level cache of 48 KiB
_BLOCK = 512  # groups measured at once
_ALIGNMENT = 64  # bytes; accumulators across two cache lines cost up to three times the time


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="reduce")


def group_pnl(rows: Floats, net: Net, conversion: Conversion, threads: int | None = None) -> Floats:
    """P&L of each group in each scenario in the reporting currency, shape (net.n, n_scenarios), gains positive.

    rows : (n_contracts, width) as in `Vectors`, width >= 64 and n_scenarios; the conversion knows the scenario count.
    """
    n_scenarios = conversion.scenarios.shape[1]
    out = np.zeros((net.n, n_scenarios))
    per_currency = np.diff(net.currency_slots)
    tile = _WIDE if rows.shape[1] >= _WIDE and per_currency.max(initial=0) <= _WIDE_SLOTS else _NARROW
    work = _pool(threads or usable_cores())
    flat = rows.reshape(-1)
    buffers = threading.local()  # one a thread and call: fresh memory a tile would cost a page fault every 4 KiB

    def reduce_tile(start: int) -> None:
        if not hasattr(buffers, "own"):
            buffers.own = _aligned(int(per_currency.max(initial=0)) * tile)
        buffer: Floats = buffers.own
        # the last tile reaches back over columns already done, and writes only its own
        begin = min(start, rows.shape[1] - tile)
        end = min(start + tile, n_scenarios)
        for currency, slots in enumerate(per_currency):
            if slots:
                accumulators = buffer[: int(slots) * tile]
                accumulators.fill(0.0)
                lo, hi = net.currency_contracts[currency : currency + 2]
                offset = net.currency_slots[currency]
                _accumulate(tile)(
                    flat,
                    np.uint64(rows.shape[1]),
                    net.contract[lo:hi].view(np.uint32),
                    net.starts[lo : hi + 1].view(np.uint64),
                    net.slot.view(np.uint32),
                    net.quantity,
                    np.uint64(offset),
                    np.uint64(begin),
                    accumulators,
                )
                here = slice(offset, offset + slots)
                _convert(
                    accumulators.reshape(slots, tile)[:, start - begin : end - begin],
                    net.base[here],
                    net.group[here],
                    conversion.base[currency],
                    conversion.scenarios[currency, start:end],
                    out[:, start:end],
                )

    for done in [work.submit(reduce_tile, start) for start in range(0, n_scenarios, tile)]:
        done.result()
    return out


def group_base(net: Net, conversion: Conversion) -> Floats:
    """Base value of each group in the reporting currency, shape (net.n,)."""
    currency = np.repeat(np.arange(len(conversion.base)), np.diff(net.currency_slots))
    # bincount adds in the order of the slots: by currency
    return np.asarray(np.bincount(net.group, weights=net.base * conversion.base[currency], minlength=net.n), np.float64)


def _aligned(n: int) -> Floats:
    raw = np.empty(n + _ALIGNMENT // 8)
    skip = -raw.ctypes.data // 8 % (_ALIGNMENT // 8)
    return raw[skip : skip + n]


def by_rows(function: Callable[[Floats], Floats], pnl: Floats, threads: int | None = None) -> Floats:
    """`function` of the P&L of all groups, (n_groups,), done in blocks of groups by threads; each group stands alone."""
    if len(pnl) <= _BLOCK:
        return function(pnl)
    blocks = [pnl[i : i + _BLOCK] for i in range(0, len(pnl), _BLOCK)]
    return np.concatenate(list(_pool(threads or usable_cores()).map(function, blocks)))


@functools.cache
def _accumulate(tile: int) -> Callable[..., None]:
    """accumulators[slot, s] += quantity * rows[contract, begin + s] for s < tile, contract after contract.

    Unsigned indices throughout: signed ones would be checked for being negative in the inner loop.
    """
    width = np.uint64(tile)

    @compiled
    def accumulate(
        flat: Floats,
        stride: np.uint64,
        contract: Any,
        starts: Any,
        slot: Any,
        quantity: Floats,
        offset: np.uint64,
        begin: np.uint64,
        accumulators: Floats,
    ) -> None:
        one = np.uint64(1)
        for k in range(contract.size):
            row = np.uint64(contract[k]) * stride + begin
            for e in range(starts[k], starts[k + one]):
                cell = (np.uint64(slot[e]) - offset) * width
                q = quantity[e]
                for s in range(width):
                    accumulators[cell + s] += q * flat[row + s]

    return accumulate


@compiled
def _convert(pnl: Floats, base: Floats, group: Codes, fx0: float, fx: Floats, out: Floats) -> None:
    """Adds (base + pnl) * fx - base * fx0 to each slot's group, written so that an unmoved rate adds no rounding."""
    for i in range(group.size):
        for s in range(fx.size):
            out[group[i], s] += base[i] * (fx[s] - fx0) + pnl[i, s] * fx[s]
