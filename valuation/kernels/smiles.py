"""Volatility surfaces under many market states: one smile an expiry, between expiries total variance linear in time.

A smile runs through its quotes as a monotone cubic (PCHIP: Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5, 1984) and is flat
beyond them; as its slope is zero at both ends, that is the PCHIP of the quotes with the flat wings as quotes. Points of a surface
stand in one array, expiry after expiry, each by rising strike. Along it (`x`) lies a strike or a moneyness; of a surface by delta the
put delta p in (0, 1), whose strike in a state with standard deviation s to expiry is at

    ln(K/F) = s (s/2 + N^-1(p)).

A contract's volatility is read from `left` and `right`, the expiries around its own, which are the same one at an expiry, before the
first and after the last. NaN where a volatility is negative or not finite, and where deltas give strikes that do not rise.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri

from lake.arrays import Floats, Ints
from lake.compiled import compiled, inlined
from valuation.kernels.elementary import normal

_SOONEST = 1e-12  # years: the limit at expiry, where the strikes of all deltas meet
STEPS = 64  # of the strip of a variance swap; even


@compiled
def _slope(x: Floats, v: Floats, k: int) -> float:
    """Slope of the monotone cubic at its node k; zero at the ends, where flat wings begin."""
    if k == 0 or k == len(x) - 1:
        return 0.0
    before, after = x[k] - x[k - 1], x[k + 1] - x[k]
    left, right = (v[k] - v[k - 1]) / before, (v[k + 1] - v[k]) / after
    if not left * right > 0.0:
        return float(0.0 * (left + right))  # NaN stays NaN
    w1, w2 = 2.0 * after + before, after + 2.0 * before
    return float((w1 + w2) / (w1 / left + w2 / right))


@compiled
def _cubic(x: Floats, v: Floats, k: int, left: float, right: float, at: float) -> float:
    """The monotone cubic at a place between its nodes k and k + 1, with the slopes there."""
    h = x[k + 1] - x[k]
    u = (at - x[k]) / h
    rise = u * u * (3.0 - 2.0 * u)
    return float(v[k] + rise * (v[k + 1] - v[k]) + h * u * (1.0 - u) * ((1.0 - u) * left - u * right))


@compiled
def _smile(x: Floats, v: Floats, at: float) -> float:
    """The volatility at a place of one smile."""
    last = len(x) - 1
    if last == 0 or at <= x[0]:
        return float(v[0])
    if at >= x[last]:
        return float(v[last])
    if not at > x[0]:
        return math.nan
    k = 0
    while at >= x[k + 1]:
        k += 1
    return _cubic(x, v, k, _slope(x, v, k), _slope(x, v, k + 1), at)


@compiled
def _along(x: Floats, v: Floats, places: Floats, out: Floats) -> None:
    """Fills in the volatilities at rising places of one smile."""
    last, k, left, right = len(x) - 1, -1, 0.0, 0.0
    for j in range(len(places)):
        at = places[j]
        if last == 0 or at <= x[0]:
            out[j] = v[0]
        elif at >= x[last]:
            out[j] = v[last]
        else:
            before = k
            while k < 0 or at >= x[k + 1]:
                k += 1
            if k != before:
                left, right = _slope(x, v, k), _slope(x, v, k + 1)
            out[j] = _cubic(x, v, k, left, right, at)


@compiled
def _between(early: float, late: float, begin: float, end: float, time: float) -> float:
    """Volatility at a time between two expiries from theirs; NaN for one that is negative or not finite."""
    if not (early >= 0.0 and late >= 0.0 and early < math.inf and late < math.inf):
        return math.nan
    if begin == end:
        return early
    first = early * early * begin
    variance = first + (late * late * end - first) * ((time - begin) / (end - begin))
    return math.sqrt(variance / time)


@compiled
def _by_delta(
    quantiles: Floats, early: Floats, late: Floats, begin: float, end: float, time: float, k: Floats, v: Floats
) -> bool:
    """Fills in logarithms of strike over forward and volatilities of the deltas at a time; whether they are a smile."""
    sound, root = True, math.sqrt(max(time, _SOONEST))
    for j in range(len(quantiles)):
        v[j] = _between(early[j], late[j], begin, end, time)
        deviation = v[j] * root
        k[j] = deviation * (0.5 * deviation + quantiles[j])
        # all strikes are one where there is no variance
        if not (v[j] >= 0.0 and (j == 0 or k[j] > k[j - 1] or deviation == 0.0)):
            sound = False
    return sound


@compiled
def _read(
    by_delta: bool,
    offsets: Ints,
    x: Floats,
    vols: Floats,
    times: Floats,
    left: Ints,
    right: Ints,
    time: Floats,
    at: Floats,
) -> Floats:
    n, m = len(left), len(vols)
    out = np.empty((n, m))
    k, v = np.empty(len(x)), np.empty(len(x))
    for i in range(n):
        begin, end = times[left[i]], times[right[i]]
        early = slice(offsets[left[i]], offsets[left[i] + 1])
        late = slice(offsets[right[i]], offsets[right[i] + 1])
        size = early.stop - early.start
        for s in range(m):
            if by_delta:
                sound = _by_delta(x[early], vols[s, early], vols[s, late], begin, end, time[i], k, v)
                out[i, s] = _smile(k[:size], v[:size], at[i, s]) if sound else math.nan
                continue
            first = _smile(x[early], vols[s, early], at[i, s])
            second = first if begin == end else _smile(x[late], vols[s, late], at[i, s])
            out[i, s] = _between(first, second, begin, end, time[i])
    return out


def smile_volatilities(
    by_delta: bool,
    offsets: Ints,
    x: Floats,
    levels: Floats,
    times: Floats,
    left: Ints,
    right: Ints,
    time: Floats,
    at: Floats,
) -> Floats:
    """Volatilities of shape (n_contracts, n_states).

    offsets : (n_expiries + 1,) where each expiry's points begin; x : (n_points,) see the module; levels : (n_points, n_states);
    times : (n_expiries,) years. left, right, time : (n_contracts,) the expiries around each contract's and its own, years;
    at : (n_contracts, n_states) strike or moneyness, by delta the logarithm of strike over forward.
    """
    places = ndtri(x) if by_delta else x
    return _read(by_delta, offsets, places, np.ascontiguousarray(levels.T), times, left, right, time, at)


@inlined
def _below(k: float, deviation: float) -> float:
    """N(-d2), the probability to end below the strike whose logarithm over forward is k."""
    still = 0.5 if k == 0.0 else 1.0 if k > 0.0 else 0.0
    probability = normal(k / deviation + 0.5 * deviation)
    return still if deviation == 0.0 else probability


@compiled
def _fair(
    by_delta: bool,
    offsets: Ints,
    x: Floats,
    vols: Floats,
    times: Floats,
    left: Ints,
    right: Ints,
    time: Floats,
    unit: Floats,
) -> Floats:
    n, m = len(left), len(vols)
    out = np.empty((n, m))
    k, v = np.empty(len(x)), np.empty(len(x))
    logs, places, below = np.empty(STEPS + 1), np.empty(STEPS + 1), np.empty(STEPS + 1)
    first, second = np.empty(STEPS + 1), np.empty(STEPS + 1)
    for i in range(n):
        begin, end, root = times[left[i]], times[right[i]], math.sqrt(max(time[i], _SOONEST))
        early = slice(offsets[left[i]], offsets[left[i] + 1])
        late = slice(offsets[right[i]], offsets[right[i] + 1])
        size = early.stop - early.start
        low = math.log(min(x[early.start], x[late.start])) if not by_delta else 0.0
        high = math.log(max(x[early.stop - 1], x[late.stop - 1])) if not by_delta else 0.0
        for j in range(STEPS + 1):
            logs[j] = low + (high - low) * (j / STEPS)
            places[j] = math.exp(logs[j])
        for s in range(m):
            shift = math.log(unit[i, s])
            if by_delta:
                if not _by_delta(x[early], vols[s, early], vols[s, late], begin, end, time[i], k, v):
                    out[i, s] = math.nan
                    continue
                for j in range(STEPS + 1):
                    logs[j] = k[0] + (k[size - 1] - k[0]) * (j / STEPS)
                shift = 0.0
                _along(k[:size], v[:size], logs, first)
            else:
                _along(x[early], vols[s, early], places, first)
                if begin != end:
                    _along(x[late], vols[s, late], places, second)
                for j in range(STEPS + 1):
                    first[j] = _between(first[j], first[j] if begin == end else second[j], begin, end, time[i])
            for j in range(STEPS + 1):
                below[j] = _below(logs[j] - shift, first[j] * root)
                first[j] *= first[j]
            fine, coarse = 0.0, 0.0
            for j in range(STEPS):
                fine += 0.5 * (first[j] + first[j + 1]) * (below[j + 1] - below[j])
            for j in range(0, STEPS, 2):
                coarse += 0.5 * (first[j] + first[j + 2]) * (below[j + 2] - below[j])
            wings = first[0] * below[0] + first[STEPS] * (1.0 - below[STEPS])
            out[i, s] = wings + fine + (fine - coarse) / 3.0
    return out


def strip_variances(
    by_delta: bool,
    offsets: Ints,
    x: Floats,
    levels: Floats,
    times: Floats,
    left: Ints,
    right: Ints,
    time: Floats,
    unit: Floats,
) -> Floats:
    """Fair variance a year to each contract's time, (n_contracts, n_states): what a strip of options over all strikes replicates.

    The strip 2/T (int_0^F P(K)/K^2 dK + int_F^inf C(K)/K^2 dK) of undiscounted puts and calls (Demeterfi, Derman, Kamal and Zou,
    More than you ever wanted to know about volatility swaps, 1999) is the integral of sigma^2 over the law of d2 (Gatheral, The
    Volatility Surface, 2006, ch. 11), which is computed: beyond the quotes, where sigma is flat, in closed form, between them by the
    trapezoidal rule over `STEPS` steps in the logarithm of the strike, extrapolated (Richardson). Arguments as of `smile_volatilities`;
    unit : (n_contracts, n_states) the place along `x` of the forward: the forward itself, or 100 by moneyness.
    """
    places = ndtri(x) if by_delta else x
    return _fair(by_delta, offsets, places, np.ascontiguousarray(levels.T), times, left, right, time, unit)
