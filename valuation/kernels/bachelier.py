"""Options on a rate or price that moves normally, so that it may be negative (Bachelier).

With F the forward, K the strike and v = sigma sqrt(T) in units of F, an option that pays max(F - K, 0) is worth, undiscounted,

    (F - K) N(d) + v n(d),  d = (F - K) / v.

Source: Bachelier, *Théorie de la spéculation* (1900); Haug, *The Complete Guide to Option Pricing Formulas*, Bachelier model.
"""

from __future__ import annotations

import math

from lake.compiled import inlined
from valuation.kernels.elementary import bell, mills

_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@inlined
def bachelier(sign: float, forward: float, strike: float, stdev: float) -> float:
    """Undiscounted value; sign +1 call, -1 put; at a stdev of zero the intrinsic value; NaN for a negative one."""
    gain = sign * (forward - strike)
    distance = abs(gain) / stdev
    shared = bell(distance)
    chance = stdev * (_DENSITY * shared) - abs(gain) * (shared * mills(distance))  # the value out of the money
    # The comparisons are written so that NaN stays.
    value = (0.0 if gain <= 0.0 else gain) + (0.0 if stdev == 0.0 else chance)
    return value if stdev >= 0.0 else math.nan
