"""Kernel: P&L scaled to its own volatility today.

Hull and White (1998) for the portfolio's P&L in place of each factor's moves: the P&L of a scenario times the volatility forecast for
the next day over that made before it. Volatility is exponentially weighted with mean zero and begins with the mean square of all
scenarios, which must be days in order. Source: Hull, *Risk Management and Financial Institutions*, volatility scaling.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lake.arrays import Floats
from scenarios.kernels.weighting import beyond_forecast, ewma_variance, volatility_scales

DECAY = Fraction(94, 100)


def scales(pnl: Floats, decay: Fraction = DECAY) -> Floats:
    """What each P&L (n_groups, n_scenarios) is multiplied by; NaN for a group with a P&L that came out of a calm."""
    n = pnl.shape[1]
    variance = ewma_variance(pnl.T, float(decay), n)
    calm = beyond_forecast(pnl.T, variance[:-1], n).any(axis=0)
    return np.where(calm, np.nan, volatility_scales(variance[:-1], variance[-1])).T
