"""Values of contracts in every state as base values and P&L."""

from __future__ import annotations

from lake.arrays import Bools, Floats, Ints
from lake.compiled import compiled


@compiled
def split(values: Floats, most: float, rows: Ints, base: Floats, pnl: Floats, sound: Bools) -> None:
    """Fills in, at `rows` (n,), the base value and the P&L, scenario less base, of values (n, n_states) whose state 0 is the base.

    base : (n_contracts,); pnl : (n_contracts, n_states - 1); sound : (n,) whether no value is beyond `most` or NaN.
    """
    for i in range(len(rows)):
        row, first, within = rows[i], values[i, 0], abs(values[i, 0]) <= most
        for s in range(values.shape[1] - 1):
            pnl[row, s] = values[i, s + 1] - first
            within &= abs(values[i, s + 1]) <= most
        base[row], sound[i] = first, within
