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
from lake.compiled import compiled

_SOONEST = 1e-12  # years: the limit at expiry, where the strikes of all deltas meet
_SQRT_HALF = math.sqrt(0.5)
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
    h = x[k + 1] - x[k]
    u = (at - x[k]) / h
    rise = u * u * (3.0 - 2.0 * u)
    curve = h * u * (1.0 - u) * ((1.0 - u) * _slope(x, v, k) - u * _slope(x, v, k + 1))
    return float(v[k] + rise * (v[k + 1] - v[k]) + curve)


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
    quantiles: Floats, vols: Floats, a: int, b: int, n: int, begin: float, end: float, time: float, k: Floats, v: Floats
) -> bool:
    """Fills in logarithms of strike over forward and volatilities of the n deltas at a time; whether they are a smile."""
    sound = True
    for j in range(n):
        v[j] = _between(vols[a + j], vols[b + j], begin, end, time)
        deviation = v[j] * math.sqrt(max(time, _SOONEST))
        k[j] = deviation * (0.5 * deviation + quantiles[a + j])
        # all strikes are one where there is no variance
        if not (v[j] >= 0.0 and (j == 0 or k[j] > k[j - 1] or deviation == 0.0)):
            sound = False
    return sound


@compiled
def _at(
    by_delta: bool,
    x: Floats,
    vols: Floats,
    begins: Ints,
    sizes: Ints,
    begin: float,
    end: float,
    time: float,
    k: Floats,
    v: Floats,
    at: float,
) -> float:
    """The volatility at a place, between the smiles that start at the points `begins` (2,); of deltas k and v are filled in."""
    if by_delta:
        return _smile(k[: sizes[0]], v[: sizes[0]], at)
    first, second = begins
    early = _smile(x[first : first + sizes[0]], vols[first : first + sizes[0]], at)
    late = early
    if first != second:
        late = _smile(x[second : second + sizes[1]], vols[second : second + sizes[1]], at)
    return _between(early, late, begin, end, time)


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
    begins, sizes = np.empty(2, np.int64), np.empty(2, np.int64)
    for i in range(n):
        begin, end = times[left[i]], times[right[i]]
        begins[0], begins[1] = offsets[left[i]], offsets[right[i]]
        sizes[0], sizes[1] = offsets[left[i] + 1] - begins[0], offsets[right[i] + 1] - begins[1]
        for s in range(m):
            if by_delta and not _by_delta(x, vols[s], begins[0], begins[1], sizes[0], begin, end, time[i], k, v):
                out[i, s] = math.nan
                continue
            out[i, s] = _at(by_delta, x, vols[s], begins, sizes, begin, end, time[i], k, v, at[i, s])
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


@compiled
def _below(k: float, deviation: float) -> float:
    """N(-d2), the probability to end below the strike whose logarithm over forward is k."""
    if deviation == 0.0:
        return 0.5 + 0.5 * math.copysign(1.0, k) if k != 0.0 else 0.5
    return 0.5 * math.erfc(-(k / deviation + 0.5 * deviation) * _SQRT_HALF)


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
    k, v, variance, below = np.empty(len(x)), np.empty(len(x)), np.empty(STEPS + 1), np.empty(STEPS + 1)
    begins, sizes = np.empty(2, np.int64), np.empty(2, np.int64)
    for i in range(n):
        begin, end = times[left[i]], times[right[i]]
        begins[0], begins[1] = offsets[left[i]], offsets[right[i]]
        sizes[0], sizes[1] = offsets[left[i] + 1] - begins[0], offsets[right[i] + 1] - begins[1]
        root = math.sqrt(max(time[i], _SOONEST))
        for s in range(m):
            if by_delta:
                if not _by_delta(x, vols[s], begins[0], begins[1], sizes[0], begin, end, time[i], k, v):
                    out[i, s] = math.nan
                    continue
                low, high = k[0], k[sizes[0] - 1]
            else:
                low = math.log(min(x[begins[0]], x[begins[1]]) / unit[i, s])
                high = math.log(max(x[begins[0] + sizes[0] - 1], x[begins[1] + sizes[1] - 1]) / unit[i, s])
            for j in range(STEPS + 1):
                place = low + (high - low) * (j / STEPS)
                at = place if by_delta else unit[i, s] * math.exp(place)
                vol = _at(by_delta, x, vols[s], begins, sizes, begin, end, time[i], k, v, at)
                variance[j], below[j] = vol * vol, _below(place, vol * root)
            fine, coarse = 0.0, 0.0
            for j in range(STEPS):
                fine += 0.5 * (variance[j] + variance[j + 1]) * (below[j + 1] - below[j])
            for j in range(0, STEPS, 2):
                coarse += 0.5 * (variance[j] + variance[j + 2]) * (below[j + 2] - below[j])
            wings = variance[0] * below[0] + variance[STEPS] * (1.0 - below[STEPS])
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
