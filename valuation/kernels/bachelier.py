"""Options on a rate or price that moves normally, so that it may be negative (Bachelier).

With F the forward, K the strike and v = sigma sqrt(T) in units of F, an option that pays max(F - K, 0) is worth, undiscounted,

    (F - K) N(d) + v n(d),  d = (F - K) / v.

Source: Bachelier, *Théorie de la spéculation* (1900); Haug, *The Complete Guide to Option Pricing Formulas*, Bachelier model.
"""

from __future__ import annotations

import math

from lake.compiled import compiled

_SQRT_HALF = math.sqrt(0.5)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@compiled
def bachelier(sign: float, forward: float, strike: float, stdev: float) -> float:
    """Undiscounted value; sign +1 call, -1 put; at a stdev of zero the intrinsic value; NaN for a negative one."""
    if not stdev >= 0.0:
        return math.nan
    gain = sign * (forward - strike)
    if stdev == 0.0:
        return max(gain, 0.0)
    d = gain / stdev
    return 0.5 * gain * math.erfc(-d * _SQRT_HALF) + stdev * _DENSITY * math.exp(-0.5 * d * d)
