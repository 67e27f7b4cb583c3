"""Kernel: P&L in the reporting currency. The formula stands here and nowhere else.

A vector times the spot rate would leave out the currency risk of the value itself (Hull's four-index example is published
both ways).
"""

from __future__ import annotations

from typing import Any

from lake.arrays import Floats
from lake.compiled import compiled


def converted_pnl(base: Floats | float, pnl: Floats | float, fx: Floats | float, fx_base: Floats | float) -> Any:
    """(base + pnl) fx - base fx_base for scalars and for any shapes that broadcast, gains positive.

    base, pnl : value and P&L in a currency; fx, fx_base : price of a unit of it in the scenario and at the base. Written so
    that a rate that does not move adds no rounding.
    """
    return base * (fx - fx_base) + pnl * fx


converted_pnl_compiled = compiled(converted_pnl)  # the same for other kernels, which inline it: same bits
