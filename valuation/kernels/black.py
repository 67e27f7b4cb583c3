"""European options under lognormal prices: Black-Scholes-Merton, Black-76 and Garman-Kohlhagen are one formula.

An option exchanges an asset for cash (Margrabe): with A the present value of the asset delivered, C that of the cash
paid for it and v = sigma sqrt(T),

    call = A N(d1) - C N(d2),  put = C N(-d2) - A N(-d1),  d1 = ln(A/C) / v + v/2,  d2 = d1 - v.

Source: Haug, *The Complete Guide to Option Pricing Formulas*, generalised Black-Scholes-Merton formula.
Both sides share one exponential, as A phi(d1) = C phi(d2); N stays accurate in both tails, and each side uses its own, so that a
price deep out of the money is not the difference of two large numbers.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lake.arrays import Floats
from lake.compiled import compiled, inlined
from valuation.kernels.elementary import bell, logarithm, mills


@inlined
def exchange(sign: float, asset: float, cash: float, stdev: float) -> float:
    """Value of an option on `asset` against `cash` (present values); sign +1 call, -1 put; NaN where undefined."""
    d1 = logarithm(asset / cash) / stdev + 0.5 * stdev
    d2 = d1 - stdev
    shared = asset * bell(abs(d1))
    delivered, paid = shared * mills(abs(d1)), shared * mills(abs(d2))
    delivered = asset - delivered if sign * d1 > 0.0 else delivered
    paid = cash - paid if sign * d2 > 0.0 else paid
    gain = sign * (asset - cash)
    value = (gain if gain > 0.0 else 0.0) if stdev == 0.0 or asset == 0.0 else sign * (delivered - paid)
    # The comparisons are written so that NaN fails them.
    return value if asset >= 0.0 and 0.0 < cash < math.inf and stdev >= 0.0 else math.nan


@compiled
def _rows(
    sign: Floats,
    asset_factor: Floats,
    strike: Floats,
    root_time: Floats,
    spot: Floats,
    volatility: Floats,
    discount: Floats,
) -> Floats:
    n, m = spot.shape
    out = np.empty((n, m))
    for i in range(n):
        side, factor, paid, root = sign[i], asset_factor[i], strike[i], root_time[i]
        for s in range(m):
            out[i, s] = exchange(side, spot[i, s] * factor, paid * discount[i, s], volatility[i, s] * root)
    return out


def european_options(
    sign: Floats,
    asset_factor: Floats,
    strike: Floats,
    time: Floats,
    spot: Floats,
    volatility: Floats,
    discount: Floats,
) -> Floats:
    """Values of options under every market state, shape (n_options, n_states).

    sign, asset_factor, strike, time : (n_options,) +1 call or -1 put; present value of one asset delivered at expiry per
    unit of spot (exp(-qT)); strike; years to expiry. spot, volatility, discount : (n_options, n_states).
    At time 0 or volatility 0 the value is the discounted intrinsic value of the forward. NaN for a negative spot, a
    strike or discount factor that is not positive, and a negative volatility.
    """
    return _rows(sign, asset_factor, strike, np.sqrt(time), spot, volatility, discount)


def generalised_black_scholes(
    sign: npt.ArrayLike,
    spot: npt.ArrayLike,
    strike: npt.ArrayLike,
    time: npt.ArrayLike,
    rate: npt.ArrayLike,
    carry: npt.ArrayLike,
    volatility: npt.ArrayLike,
) -> Floats:
    """Option values from continuously compounded `rate` and cost of `carry`; all arguments broadcast.

    carry = rate - dividend yield for a share, 0 for a future (Black-76), rate - foreign rate for a currency
    (Garman-Kohlhagen). sign +1 for a call, -1 for a put.
    """
    arguments = (sign, spot, strike, time, rate, carry, volatility)
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in arguments))
    w, s, k, t, r, b, v = (np.array(x).reshape(-1, 1) for x in arrays)  # one state an option
    values = european_options(w[:, 0], np.exp((b - r) * t)[:, 0], k[:, 0], t[:, 0], s, v, np.exp(-r * t))
    return values.reshape(arrays[0].shape)
