"""The product: sparse (groups x contracts) times dense (contracts x scenarios), in the reporting currency.

A thread takes a tile of scenarios and passes over all contracts, a block of them at a time; every scenario of every group is
added in contract order, so neither the tile nor the block nor the number of threads changes a bit. No BLAS: its
summation order depends on shapes and threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from aggregation.add_rows import LINE, add_runs
from aggregation.book import Codes
from aggregation.compiled import compiled
from aggregation.currency import Conversion
from aggregation.netting import Net
from aggregation.runs import lay_out
from aggregation.workers import each
from scenarios.types import Floats

_WIDE, _NARROW = 64, 32  # scenarios of a tile
_WIDE_SLOTS = 2000  # accumulators of so many groups stay in the second-level cache at the wide tile
_BLOCK = 512  # groups measured at once
_ALIGNMENT = 64  # bytes; accumulators across two cache lines cost up to three times the time


def group_pnl(rows: Floats, net: Net, conversion: Conversion, threads: int | None = None) -> Floats:
    """P&L of each group in each scenario in the reporting currency, shape (net.n, n_scenarios), gains positive.

    rows : (n_contracts, width) as in `Vectors`, width >= 64 and n_scenarios; the conversion knows the scenario count.
    """
    n_scenarios = conversion.scenarios.shape[1]
    out = np.zeros((net.n, n_scenarios))
    per_currency = np.diff(net.currency_slots)
    most_slots = int(per_currency.max(initial=0))
    tile = _WIDE if most_slots <= _WIDE_SLOTS else _NARROW
    lines = (0,) * (tile // LINE)
    pieces = lay_out(net, threads)
    flat = rows.reshape(-1)
    buffers = threading.local()  # one a thread and call: fresh memory a tile would cost a page fault every 4 KiB

    def reduce_tile(start: int) -> None:
        if not hasattr(buffers, "own"):
            buffers.own = _aligned(most_slots * tile)
        # the last tile reaches back over columns already done, and writes only its own
        begin = min(start, rows.shape[1] - tile)
        end = min(start + tile, n_scenarios)
        for currency, slots in enumerate(per_currency):
            if slots:
                sums: Floats = buffers.own[: int(slots) * tile]
                sums.fill(0.0)
                for r in pieces:
                    if r.currency == currency:
                        add_runs(
                            lines,
                            flat,
                            rows.shape[1],
                            begin,
                            r.blocks,
                            r.slot,
                            r.start,
                            r.row,
                            r.quantity,
                            r.held,
                            r.coming,
                            sums,
                        )
                here = slice(*net.currency_slots[currency : currency + 2])
                _convert(
                    sums.reshape(slots, tile)[:, start - begin : end - begin],
                    net.base[here],
                    net.group[here],
                    conversion.base[currency],
                    conversion.scenarios[currency, start:end],
                    out[:, start:end],
                )

    each(reduce_tile, range(0, n_scenarios, tile), threads)
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
    return np.concatenate(each(function, [pnl[i : i + _BLOCK] for i in range(0, len(pnl), _BLOCK)], threads))


@compiled
def _convert(pnl: Floats, base: Floats, group: Codes, fx0: float, fx: Floats, out: Floats) -> None:
    """Adds (base + pnl) * fx - base * fx0 to each slot's group, written so that an unmoved rate adds no rounding."""
    for i in range(group.size):
        for s in range(fx.size):
            out[group[i], s] += base[i] * (fx[s] - fx0) + pnl[i, s] * fx[s]
