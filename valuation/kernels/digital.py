"""European digital options under lognormal prices, with the slope of the smile at the strike.

With A the present value of the asset, D the discount factor, s = +1 for a call and -1 for a put, and v, d1, d2 as in
`valuation.kernels.black`, the option that pays one unit of cash is the limit of call (put) spreads around the strike K,

    cash = -s d(option) / dK = D N(s d2) - s A phi(d1) dv/dK,  v = sigma(K) sqrt(T),

and the one that pays the asset is that of K units of cash plus (call) or minus (put) the option: asset = K cash + s option.
Without a smile dv/dK is zero, and these are the formulas of Reiner and Rubinstein.
Source: Haug, *The Complete Guide to Option Pricing Formulas*, cash-or-nothing and asset-or-nothing options; for the smile
Gatheral, *The Volatility Surface*, ch. "Digital options".
"""

from __future__ import annotations

import math

import numpy as np

from lake.arrays import Bools, Floats
from lake.compiled import compiled, inlined
from valuation.kernels.elementary import bell, logarithm, mills

_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@inlined
def _digital(
    sign: float, of_asset: bool, strike: float, asset: float, discount: float, stdev: float, slope: float
) -> float:
    cash = strike * discount
    d1 = logarithm(asset / cash) / stdev + 0.5 * stdev
    shared = asset * bell(abs(d1))
    d = d1 if of_asset else d1 - stdev
    paid, unit, per = (asset, shared, strike) if of_asset else (discount, shared / strike, 1.0)
    tail = unit * mills(abs(d))
    value = (paid - tail if sign * d > 0.0 else tail) - per * (sign * _DENSITY * shared * slope)
    if stdev == 0.0 or asset == 0.0:
        pays = asset >= cash if sign > 0.0 else asset < cash
        value = paid if pays else 0.0
    # The comparison is written so that NaN fails it.
    return value if asset >= 0.0 and 0.0 < cash < math.inf and stdev >= 0.0 else math.nan


@compiled
def _rows(
    sign: Floats,
    of_asset: Bools,
    strike: Floats,
    root_time: Floats,
    delivered: Floats,
    volatility: Floats,
    slope: Floats,
    discount: Floats,
) -> Floats:
    n, m = delivered.shape
    out = np.empty((n, m))
    for i in range(n):
        side, asset, limit, root = sign[i], of_asset[i], strike[i], root_time[i]
        for s in range(m):
            out[i, s] = _digital(
                side,
                asset,
                limit,
                delivered[i, s],
                discount[i, s],
                volatility[i, s] * root,
                slope[i, s] * root,
            )
    return out


def digital_options(
    sign: Floats,
    of_asset: Bools,
    strike: Floats,
    time: Floats,
    delivered: Floats,
    volatility: Floats,
    slope: Floats,
    discount: Floats,
) -> Floats:
    """Values of options that pay one unit of cash, or of the asset, under every market state, shape (n_options, n_states).

    sign, of_asset, strike, time : (n_options,) +1 call or -1 put; whether it pays the asset; strike; years to expiry.
    delivered, volatility, slope, discount : (n_options, n_states) present value of one unit of the asset delivered at
    expiry; volatility at the strike; its derivative by the strike; discount factor.
    A call pays at the strike and above, a put below it, so that both together pay for certain. At time 0 or volatility 0
    the value is what the forward would be paid, discounted. NaN as for `black.european_options`.
    """
    return _rows(sign, of_asset, strike, np.sqrt(time), delivered, volatility, slope, discount)
