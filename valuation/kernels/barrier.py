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
from lake.compiled import compiled, inlined
from valuation.kernels.black import exchange
from valuation.kernels.elementary import bell, exponential, logarithm, mills, normal

DISCRETE_SHIFT = 0.5825971579390107  # -zeta(1/2) / sqrt(2 pi)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@inlined
def _weighted_normal(log_weight: float, weight: float, x: float) -> float:
    """weight N(x), where weight = exp(log_weight) may be infinite for an x far below zero."""
    tail = exponential(log_weight - 0.5 * x * x) * mills(abs(x))
    return weight - tail if x > 0.0 else tail


@inlined
def _plain(sign: float, asset: float, cash: float, x: float, stdev: float) -> float:
    """P(x)."""
    return sign * (asset * normal(sign * x) - cash * normal(sign * (x - stdev)))


@inlined
def _reflected(
    sign: float, side: float, asset: float, cash: float, a: float, log_back: float, y: float, stdev: float
) -> float:
    """R(y); log_back is 2ma."""
    log_ahead = log_back + 2.0 * a
    return sign * (
        asset * _weighted_normal(log_ahead, exponential(log_ahead), side * y)
        - cash * _weighted_normal(log_back, exponential(log_back), side * (y - stdev))
    )


@inlined
def _state(
    level: float, outward: float, spot: float, asset: float, discount: float, volatility: float, root: float
) -> tuple[float, float, float, float]:
    """How far the barrier is moved, ln(H/S) with it, m and v."""
    shift, stdev = outward * volatility, volatility * root
    return shift, logarithm(level / spot) + shift, logarithm(asset / (spot * discount)) / (stdev * stdev) - 0.5, stdev


@inlined
def _interest_square(drift: float, stdev: float, discount: float) -> float:
    """(l v)^2."""
    return drift * drift * stdev * stdev - 2.0 * logarithm(discount)


@inlined
def _at_touch(side: float, a: float, discount: float, drift: float, stdev: float) -> float:
    """Value of one unit of cash paid at the touch; NaN where interest is so negative that (l v)^2 is."""
    lam = math.sqrt(_interest_square(drift, stdev, discount)) / stdev
    near, far, z = a * (drift + lam), a * (drift - lam), a / stdev + lam * stdev
    return _weighted_normal(near, exponential(near), side * z) + _weighted_normal(
        far, exponential(far), side * (z - 2.0 * lam * stdev)
    )


@inlined
def _if_never(side: float, a: float, discount: float, drift: float, stdev: float) -> float:
    """Value of one unit of cash paid at expiry when nothing has touched."""
    log_back, x, y = 2.0 * drift * a, drift * stdev - a / stdev, drift * stdev + a / stdev
    return discount * (normal(side * x) - _weighted_normal(log_back, exponential(log_back), side * y))


@compiled
def _touch_series(a: float, drift: float, stdev: float, square: float) -> float:
    """The same as `_at_touch` where square = (l v)^2 is below zero; NaN elsewhere."""
    if not square < 0.0:
        return math.nan
    start = abs(a) / stdev
    part = normal(-start)
    density = start * _DENSITY * bell(start)
    total, factor = part, 1.0
    for k in range(1, 60):
        # parts of the integral of phi(y) (y0/y)^(2k), by parts
        part = (density - start * start * part) / (2 * k - 1)
        factor *= -0.5 * square / k
        total += factor * part
        if not abs(factor) > 1e-17:
            break
    return 2.0 * exponential(a * drift) * total


@inlined
def _untouched(
    sign: float, side: float, knock_in: bool, to_barrier: float, a: float, asset: float, cash: float, drift: float, stdev: float
) -> float:  # fmt: skip
    """The value without rebate while the barrier is not touched; to_barrier is ln(H/K), a is ln(H/S), drift m."""
    per, up = 1.0 / stdev, (1.0 + drift) * stdev
    log_back = 2.0 * drift * a  # of the weight of reflected prices, large only where their normal is small
    p1 = _plain(sign, asset, cash, (to_barrier - a) * per + up, stdev)
    p2 = _plain(sign, asset, cash, up - a * per, stdev)
    r1 = _reflected(sign, side, asset, cash, a, log_back, (to_barrier + a) * per + up, stdev)
    r2 = _reflected(sign, side, asset, cash, a, log_back, up + a * per, stdev)
    # the one that is a sum of its own, the other by what both together are
    beyond = sign * to_barrier <= 0.0
    if sign == side:
        value, own = (r1 if beyond else p2 - r2), knock_in == beyond
    else:
        value, own = (p1 if beyond else p2 - r1 + r2), knock_in
    value = value if own else p1 - value
    return 0.0 if value < 0.0 else value  # by rounding


@compiled
def _decided(
    sign: float, side: float, knock_in: bool, at_touch: bool, rebate: float, a: float, spot: float, asset: float, cash: float,
    discount: float, stdev: float,
) -> float:  # fmt: skip
    """The value where the barrier is touched already, and where nothing moves; NaN elsewhere."""
    # The comparisons are written so that NaN fails them.
    if not (asset >= 0.0 and cash > 0.0 and stdev >= 0.0):
        return math.nan
    if side * a >= 0.0:
        return exchange(sign, asset, cash, stdev) if knock_in else rebate if at_touch else rebate * discount
    if not (stdev == 0.0 or asset == 0.0):
        return math.nan
    growth = logarithm(asset / (spot * discount))  # the price goes to its forward without turning
    if side * (a - growth) < 0.0:
        return rebate * discount if knock_in else exchange(sign, asset, cash, stdev)
    if knock_in:
        return exchange(sign, asset, cash, stdev)
    return rebate * (exponential(logarithm(discount) * a / growth) if at_touch else discount)


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
    out, of_rebate, drifts = np.empty((n, m)), np.empty(m), np.empty(m)
    for i in range(n):
        of, where, enters, soon, root = sign[i], side[i], knock_in[i], at_touch[i], root_time[i]
        limit, level, back = strike[i], barrier[i], rebate[i]
        to_barrier, outward = logarithm(level / limit), -where * DISCRETE_SHIFT * root_interval[i]
        for s in range(m):
            asset, cash = delivered[i, s], limit * discount[i, s]
            shift, a, drift, stdev = _state(level, outward, spot[i, s], asset, discount[i, s], volatility[i, s], root)
            value = _untouched(of, where, enters, to_barrier + shift, a, asset, cash, drift, stdev)
            out[i, s] = value if asset > 0.0 and cash > 0.0 and stdev > 0.0 and where * a < 0.0 else math.nan
        if back > 0.0:
            for s in range(m):
                _, a, drift, stdev = _state(
                    level, outward, spot[i, s], delivered[i, s], discount[i, s], volatility[i, s], root
                )
                of_rebate[s], drifts[s] = a, drift
        for s in range(m if back > 0.0 else 0):
            stdev = volatility[i, s] * root
            if soon and not enters:
                of_rebate[s] = _at_touch(where, of_rebate[s], discount[i, s], drifts[s], stdev)
            else:
                never = _if_never(where, of_rebate[s], discount[i, s], drifts[s], stdev)
                of_rebate[s] = never if enters else discount[i, s] - never
        for s in range(m):
            paid = of_rebate[s] if back > 0.0 else 0.0
            if not (math.isnan(out[i, s]) or math.isnan(paid)):
                out[i, s] += back * paid
                continue
            asset, price, factor = delivered[i, s], spot[i, s], discount[i, s]
            _, a, drift, stdev = _state(level, outward, price, asset, factor, volatility[i, s], root)
            if math.isnan(out[i, s]):
                out[i, s] = _decided(of, where, enters, soon, back, a, price, asset, limit * factor, factor, stdev)
            else:
                out[i, s] += back * _touch_series(a, drift, stdev, _interest_square(drift, stdev, factor))
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
