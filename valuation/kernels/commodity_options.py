"""European options on forward prices that may turn negative in some state, and on the spread between two of them.

A lognormal price cannot be negative. In a state in which a forward is zero or below, it is held to have no volatility left: the
option is worth what that leaves, the limit of the formula as the forward falls to zero, and a call less a put stays a forward.
"""

from __future__ import annotations

import math

import numpy as np

from lake.arrays import Bools, Floats
from lake.compiled import compiled, inlined
from valuation.kernels.bachelier import bachelier
from valuation.kernels.black import exchange


@inlined
def _exchange_or_intrinsic(sign: float, asset: float, cash: float, stdev: float) -> float:
    """As `exchange`, and the intrinsic value where one side is zero or below."""
    gain = sign * (asset - cash)
    intrinsic = 0.0 if gain <= 0.0 else gain  # NaN stays
    value = exchange(sign, asset, cash, stdev)
    return intrinsic if asset <= 0.0 or cash <= 0.0 else value


@compiled
def _forward_rows(
    sign: Floats,
    normal: Bools,
    strike: Floats,
    root_time: Floats,
    forward: Floats,
    volatility: Floats,
    discount: Floats,
) -> Floats:
    n, m = forward.shape
    out = np.empty((n, m))
    for i in range(n):
        side, paid, root = sign[i], strike[i], root_time[i]
        if normal[i]:
            for s in range(m):
                out[i, s] = discount[i, s] * bachelier(side, forward[i, s], paid, volatility[i, s] * root)
        else:
            for s in range(m):
                out[i, s] = discount[i, s] * _exchange_or_intrinsic(side, forward[i, s], paid, volatility[i, s] * root)
    return out


def options_on_forwards(
    sign: Floats,
    normal: Bools,
    strike: Floats,
    time: Floats,
    forward: Floats,
    volatility: Floats,
    discount: Floats,
) -> Floats:
    """Values of options by Black-76 or Bachelier, shape (n_options, n_states).

    sign, normal, strike, time : (n_options,) +1 call or -1 put; whether Bachelier, with volatilities in units of price a
    square root of a year; strike; years to expiry. forward, volatility, discount : (n_options, n_states). NaN for a negative volatility.
    """
    return _forward_rows(sign, normal, strike, np.sqrt(time), forward, volatility, discount)


@compiled
def _spread_rows(
    sign: Floats,
    strike: Floats,
    root_time: Floats,
    correlation: Floats,
    first: Floats,
    second: Floats,
    first_volatility: Floats,
    second_volatility: Floats,
    discount: Floats,
) -> Floats:
    n, m = first.shape
    out = np.empty((n, m))
    for i in range(n):
        side, root, twice = sign[i], root_time[i], 2.0 * correlation[i]
        # the strike stands on the side on which it is positive
        of_asset, of_cash = max(-strike[i], 0.0), max(strike[i], 0.0)
        for s in range(m):
            v1, v2 = first_volatility[i, s], second_volatility[i, s]
            one, two = first[i, s], second[i, s]
            asset, cash = one + of_asset, two + of_cash
            # a price below zero has no volatility; where a side is not above zero none is read
            moves, pays = v1 * (one / asset if one > 0.0 else 0.0), v2 * (two / cash if two > 0.0 else 0.0)
            variance = moves * moves + pays * pays - twice * moves * pays
            stdev = math.sqrt(variance if variance > 0.0 else 0.0) * root
            value = discount[i, s] * _exchange_or_intrinsic(side, asset, cash, stdev)
            out[i, s] = value if v1 >= 0.0 and v2 >= 0.0 else math.nan
    return out


def spread_options(
    sign: Floats,
    strike: Floats,
    time: Floats,
    correlation: Floats,
    first: Floats,
    second: Floats,
    first_volatility: Floats,
    second_volatility: Floats,
    discount: Floats,
) -> Floats:
    """Values of options on first - second against a strike, shape (n_options, n_states): Margrabe at a strike of zero, else Kirk.

    Kirk takes second + strike for one lognormal price, with the volatility of second scaled by its share in it. A negative strike
    is taken to first likewise. sign, strike, time, correlation : (n_options,); first, second : forwards, their volatilities and
    discount : (n_options, n_states). NaN for a negative volatility.
    Source: Margrabe, "The value of an option to exchange one asset for another", Journal of Finance 33 (1978); Kirk,
    "Correlation in the energy markets", in Managing Energy Price Risk (1995).
    """
    return _spread_rows(
        sign, strike, np.sqrt(time), correlation, first, second, first_volatility, second_volatility, discount
    )
