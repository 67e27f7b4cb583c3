"""The yields that a discount curve would be quoted at: the inverse of `valuation.kernels.curves`.

`discount` is a function of times in years (n,) that gives discount factors (n,); times are of pillars, ascending, positive.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lake.arrays import Floats
from valuation.kernels.curves import COUPON_PERIOD

_SAME = 1e-9  # years


def zero_rates(discount: Callable[[Floats], Floats], times: Floats) -> Floats:
    """Continuously compounded zero rates, fractions a year, shape (n_pillars,)."""
    rates: Floats = -np.log(discount(times)) / times
    return rates


def par_yields(discount: Callable[[Floats], Floats], times: Floats) -> Floats:
    """Par yields, semi-annual bond basis, fractions a year, shape (n_pillars,).

    Inverse of `curves.par_curve` at each pillar: below a year the bond-equivalent yield of a bill, from a year on the coupon
    of a bond worth par. A pillar between two coupon dates lies on the line between the yields of both.
    """
    short = times < 2 * COUPON_PERIOD - _SAME
    last = int(np.ceil(max(times[-1], 2 * COUPON_PERIOD) / COUPON_PERIOD - _SAME))
    grid: Floats = COUPON_PERIOD * np.arange(1, last + 1, dtype=np.float64)
    factors = discount(grid)
    par: Floats = (1.0 - factors) / (COUPON_PERIOD * np.add.accumulate(factors))
    yields: Floats = np.interp(times, grid, par)
    growth: Floats = 1.0 / discount(times[short])
    yields[short] = _bill_yields(times[short], growth)
    return yields


def _bill_yields(times: Floats, growth: Floats) -> Floats:
    """The root of (1 + y whole)(1 + y rest) = growth, where whole is up to half a year and rest what is left."""
    whole, rest = np.minimum(times, COUPON_PERIOD), np.maximum(times - COUPON_PERIOD, 0.0)
    both, excess = whole + rest, growth - 1.0
    # the form of the quadratic root that holds for rest = 0
    roots: Floats = 2.0 * excess / (both + np.sqrt(both**2 + 4.0 * whole * rest * excess))
    return roots


QUOTES = {"par_yield": par_yields, "zero_rate": zero_rates}
