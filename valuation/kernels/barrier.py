"""European options with one barrier, under lognormal prices.

With S the spot price, A the present value of the asset, D the discount factor, H the barrier, K the strike, v the
volatility times the root of time, m = ln(A / (S D)) / v^2 - 1/2, a = ln(H / S), s = +1 for a call and -1 for a put,
h = +1 for a barrier below and -1 for one above, the values of Reiner and Rubinstein (1991), as in Haug:

    P(x)  = s A N(s x) - s K D N(s (x - v)),  x1 = ln(S/K) / v + (1 + m) v,  x2 = ln(S/H) / v + (1 + m) v,
    R(y)  = s A e^(2(m+1)a) N(h y) - s K D e^(2ma) N(h (y - v)),  y1 = (2a + ln(S/K)) / v + (1 + m) v,  y2 = a / v + (1 + m) v.

                       knock-in, s (K - H) >= 0     knock-in otherwise
    s = h              R(y1)                        P(x1) - P(x2) + R(y2)
    s = -h             P(x1)                        P(x2) - R(y1) + R(y2)

A knock-out is the option without barrier less the knock-in, each by its own sum of terms. A rebate at expiry is a digital
that is paid with or without a touch; a rebate at the touch is worth R E[exp(-r t)], t the first time at the barrier:

    e^(a(m+l)) N(h z) + e^(a(m-l)) N(h (z - 2 l v)),  z = a / v + l v,  l^2 = m^2 + 2 r T / v^2.

Where interest is so negative that l^2 < 0, the expectation is the integral of 2 e^(am) phi(y) exp(-(l v)^2 y0^2 / (2 y^2))
from y0 = |a|/v, summed as a power series; it is finite for every finite expiry.
Monitoring at discrete times moves the barrier away from the spot price by exp(0.5826 sigma sqrt(dt)) (Broadie, Glasserman
and Kou, "A continuity correction for discrete barrier options", Mathematical Finance 7, 1997).
Source: Haug, *The Complete Guide to Option Pricing Formulas*, standard barrier options.
"""

from __future__ import annotations

import math

import numpy as np

from lake.arrays import Bools, Floats
from lake.compiled import compiled
from valuation.kernels.black import exchange

DISCRETE_SHIFT = 0.5825971579390107  # -zeta(1/2) / sqrt(2 pi)
_SQRT_HALF = math.sqrt(0.5)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
_TAIL = -12.0  # below it N(x) is taken from Mills' ratio, so that a huge weight times a tiny probability stays a number


@compiled
def _weighted_normal(log_weight: float, weight: float, x: float) -> float:
    """weight N(x), where weight = exp(log_weight) may be infinite for an x far below zero."""
    if not x < _TAIL:
        return weight * 0.5 * math.erfc(-x * _SQRT_HALF)
    exponent = log_weight - 0.5 * x * x
    if exponent < -745.0:  # what exp makes zero
        return 0.0
    ratio = 0.0
    for k in range(10, 0, -1):  # as exact as a double is from 12 on
        ratio = k / (-x + ratio)
    return _DENSITY * math.exp(exponent) / (-x + ratio)


@compiled
def _plain(sign: float, asset: float, cash: float, x: float, stdev: float) -> float:
    """P(x)."""
    return sign * 0.5 * (asset * math.erfc(-sign * x * _SQRT_HALF) - cash * math.erfc(-sign * (x - stdev) * _SQRT_HALF))


@compiled
def _reflected(
    sign: float, side: float, asset: float, cash: float, a: float, log_back: float, back: float, y: float, stdev: float
) -> float:
    """R(y); back is exp(2ma)."""
    ahead = 2.0 * a
    return sign * (
        asset * _weighted_normal(log_back + ahead, back * math.exp(ahead), side * y)
        - cash * _weighted_normal(log_back, back, side * (y - stdev))
    )


@compiled
def _touch_value(side: float, a: float, drift: float, stdev: float, interest: float) -> float:
    """Value of one unit of cash paid at the first touch of the barrier; interest is rT, drift m, and a = ln(H/S)."""
    square = drift * drift * stdev * stdev + 2.0 * interest  # (l v)^2
    if square < 0.0:
        start = abs(a) / stdev
        part = 0.5 * math.erfc(start * _SQRT_HALF)
        density = start * _DENSITY * math.exp(-0.5 * start * start)
        total, factor = part, 1.0
        for k in range(1, 60):
            # parts of the integral of phi(y) (y0/y)^(2k), by parts
            part = (density - start * start * part) / (2 * k - 1)
            factor *= -0.5 * square / k
            total += factor * part
            if not abs(factor) > 1e-17:
                break
        return 2.0 * math.exp(a * drift) * total
    lam = math.sqrt(square) / stdev
    near, far, z = a * (drift + lam), a * (drift - lam), a / stdev + lam * stdev
    return _weighted_normal(near, math.exp(near), side * z) + _weighted_normal(
        far, math.exp(far), side * (z - 2.0 * lam * stdev)
    )


@compiled
def _barrier(
    sign: float,
    side: float,
    knock_in: bool,
    at_touch: bool,
    strike: float,
    to_barrier: float,
    rebate: float,
    a: float,
    spot: float,
    asset: float,
    discount: float,
    stdev: float,
) -> float:
    """The value; to_barrier is ln(H/K), a is ln(H/S)."""
    cash = strike * discount
    # The comparisons are written so that NaN fails them.
    if not (asset >= 0.0 and cash > 0.0 and stdev >= 0.0):
        return math.nan
    if side * a >= 0.0:
        return exchange(sign, asset, cash, stdev) if knock_in else rebate if at_touch else rebate * discount
    growth = math.log(asset / (spot * discount)) if asset > 0.0 else -math.inf
    if stdev == 0.0 or asset == 0.0:  # the price goes to its forward without turning
        if side * (a - growth) < 0.0:
            return rebate * discount if knock_in else exchange(sign, asset, cash, stdev)
        if knock_in:
            return exchange(sign, asset, cash, stdev)
        return rebate * (math.exp(math.log(discount) * a / growth) if at_touch else discount)

    drift = growth / (stdev * stdev) - 0.5
    per, up = 1.0 / stdev, (1.0 + drift) * stdev
    x1, x2 = (to_barrier - a) * per + up, up - a * per
    y1, y2 = (to_barrier + a) * per + up, up + a * per
    log_back = 2.0 * drift * a  # the weight of reflected prices, large only where their normal is small
    back = math.exp(log_back)
    if sign * to_barrier <= 0.0:
        if sign != side:
            value = _plain(sign, asset, cash, x1, stdev) if knock_in else 0.0
        else:
            value = _reflected(sign, side, asset, cash, a, log_back, back, y1, stdev)
            if not knock_in:
                value = _plain(sign, asset, cash, x1, stdev) - value
    else:
        value = _plain(sign, asset, cash, x2, stdev)
        if sign != side:
            value -= _reflected(sign, side, asset, cash, a, log_back, back, y1, stdev)
            value += _reflected(sign, side, asset, cash, a, log_back, back, y2, stdev)
        else:
            value -= _reflected(sign, side, asset, cash, a, log_back, back, y2, stdev)
        if knock_in == (sign == side):
            value = _plain(sign, asset, cash, x1, stdev) - value
    if value < 0.0:  # by rounding
        value = 0.0
    if rebate == 0.0:
        return value
    if not knock_in and at_touch:
        return value + rebate * _touch_value(side, a, drift, stdev, -math.log(discount))
    untouched = _weighted_normal(0.0, 1.0, side * (x2 - stdev)) - _weighted_normal(log_back, back, side * (y2 - stdev))
    return value + rebate * discount * (untouched if knock_in else 1.0 - untouched)


@compiled
def _rows(
    sign: Floats,
    side: Floats,
    knock_in: Bools,
    at_touch: Bools,
    strike: Floats,
    barrier: Floats,
    rebate: Floats,
    root_time: Floats,
    root_interval: Floats,
    spot: Floats,
    delivered: Floats,
    volatility: Floats,
    discount: Floats,
) -> Floats:
    n, m = spot.shape
    out = np.empty((n, m))
    for i in range(n):
        to_barrier = math.log(barrier[i] / strike[i])
        outward = -side[i] * DISCRETE_SHIFT * root_interval[i]
        for s in range(m):
            shift = outward * volatility[i, s]
            out[i, s] = _barrier(
                sign[i],
                side[i],
                knock_in[i],
                at_touch[i],
                strike[i],
                to_barrier + shift,
                rebate[i],
                math.log(barrier[i] / spot[i, s]) + shift,
                spot[i, s],
                delivered[i, s],
                discount[i, s],
                volatility[i, s] * root_time[i],
            )
    return out


def barrier_options(
    sign: Floats,
    side: Floats,
    knock_in: Bools,
    at_touch: Bools,
    strike: Floats,
    barrier: Floats,
    rebate: Floats,
    time: Floats,
    interval: Floats,
    spot: Floats,
    delivered: Floats,
    volatility: Floats,
    discount: Floats,
) -> Floats:
    """Values of options whose barrier has not been touched before, under every market state, shape (n_options, n_states).

    sign, side, knock_in, at_touch, strike, barrier, rebate, time, interval : (n_options,) +1 call or -1 put; +1 barrier
    below or -1 above; whether a touch makes or ends the option; whether the rebate of a knock-out is paid at the touch, not
    at expiry (that of a knock-in is paid at expiry, when nothing has touched); strike; barrier; rebate; years to expiry;
    years between the times at which a touch counts, 0 for all times.
    spot, delivered, volatility, discount : (n_options, n_states) spot price; present value of one unit of the asset
    delivered at expiry; volatility; discount factor of expiry.
    A spot price at the barrier or beyond it has touched it. At volatility 0 the price moves to its forward at a constant
    rate. NaN as for `black.european_options`.
    """
    return _rows(
        sign,
        side,
        knock_in,
        at_touch,
        strike,
        barrier,
        rebate,
        np.sqrt(time),
        np.sqrt(np.minimum(interval, time)),
        spot,
        delivered,
        volatility,
        discount,
    )
