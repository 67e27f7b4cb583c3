"""Kernel: P&L scaled to its own volatility today.

Hull and White (1998) for the portfolio's P&L in place of each factor's moves: the P&L of a scenario times the volatility forecast for
the next day over that made before it. Volatility is exponentially weighted with mean zero and begins with the mean square of all
scenarios, which must be days in order. Source: Hull, *Risk Management and Financial Institutions*, volatility scaling.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from lake.arrays import Floats
from lake.compiled import compiled
from scenarios.kernels.weighting import FEWEST_SURPRISES

DECAY = Fraction(94, 100)


def scales(pnl: Floats, decay: Fraction = DECAY) -> Floats:
    """What each P&L (n_groups, n_scenarios) is multiplied by; 1 for one that never varied.

    NaN for a group with a P&L that came out of a calm (`scenarios.kernels.weighting.why_unscaled`).
    """
    bound = float(max(pnl.shape[1], FEWEST_SURPRISES))
    return np.asarray(_scales(np.ascontiguousarray(pnl, dtype=np.float64), float(decay), bound))


@compiled
def _scales(pnl: Floats, decay: float, bound: float) -> Floats:
    """Row by row in scenario order, so that a group does not see its neighbours."""
    n_groups, n = pnl.shape
    out = np.empty((n_groups, n))
    for g in range(n_groups):
        variance = 0.0
        for s in range(n):
            variance += pnl[g, s] * pnl[g, s]
        variance /= n
        calm = False
        for s in range(n):
            square = pnl[g, s] * pnl[g, s]
            calm = calm or square > bound * variance
            out[g, s] = variance
            variance = decay * variance + (1.0 - decay) * square
        for s in range(n):
            if calm:
                out[g, s] = np.nan
            else:
                out[g, s] = math.sqrt(variance / out[g, s]) if out[g, s] > 0.0 else 1.0
    return out
