"""Kernel: peaks over threshold, a generalised Pareto distribution of the worst losses.

P&L, levels and weights as in `aggregation.kernels.tail`. Of each row the worst losses that together reach the probability `share` are
fitted beyond the next one, the threshold u: P(L > u + y) = mass (1 + shape y / scale)^(-1 / shape), by maximum likelihood, each loss by its
probability. Sources: McNeil and Frey (2000), Estimation of tail-related risk measures for heteroscedastic financial time series; Hull,
*Risk Management and Financial Institutions*, extreme value theory; for the likelihood in one unknown Grimshaw (1993), Computing maximum
likelihood estimates for the generalized Pareto distribution, Technometrics 35(2).
"""

from __future__ import annotations

import math
import threading
from fractions import Fraction

import numpy as np

from aggregation.kernels.tail import Level, NotDefined, exceedance, probabilities
from aggregation.kernels.tail_walk import WEIGHT_TOLERANCE
from lake.arrays import Floats
from lake.canonical import digest
from lake.compiled import compiled

SHARE = Fraction(1, 10)
THRESHOLD, _, COUNT, SHAPE, SCALE = range(5)  # places in what `fit` gives
FEWEST = 10  # losses beyond the threshold, below which there is no fit
LEAST_SHAPE = -1.0  # below it the likelihood has no greatest value
_KEPT = 8  # latest fits; a few figures a group
_latest: dict[str, tuple[Floats, Floats, Floats, Floats, Floats]] = {}
_lock = threading.Lock()
_GRID = 200  # places at which the likelihood is looked at before its greatest value is narrowed down


def fit(pnl: Floats, weights: Floats | None, share: Fraction) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Threshold, mass, number of losses beyond it, shape and scale of each row; NaN where fewer than `FEWEST` lie beyond."""
    p, pnl = probabilities(pnl.shape[1], weights), np.ascontiguousarray(pnl)
    # seven figures are read from one fit, each asked for by itself; to look whether the P&L is the same takes far less than a fit
    key = digest(str((pnl.shape, share)), pnl.data, p.data)
    found = _latest.get(key)
    if found is None:
        found = _fits(pnl, p, float(share))
        for figure in found:
            figure.setflags(write=False)
        with _lock:
            _latest[key] = found
            while len(_latest) > _KEPT:
                del _latest[next(iter(_latest))]
    return found


def var(pnl: Floats, level: Level, weights: Floats | None, estimator: str, *, share: Fraction = SHARE) -> Floats:
    """u + scale / shape (((1 - level) / mass)^(-shape) - 1). Refused for a level before the threshold, NaN where ties put it there."""
    return _var_and_fit(pnl, level, weights, share)[0]


def _var_and_fit(
    pnl: Floats, level: Level, weights: Floats | None, share: Fraction
) -> tuple[Floats, Floats, Floats, Floats]:
    """The VaR, the threshold, the shape and the scale."""
    assert level is not None
    if 1 - level > share:
        raise NotDefined(
            f"The level {float(level):g} lies before the threshold: {float(share):g} of the distribution is fitted. "
            "Ask for a higher level, or fit a larger tail_share."
        )
    u, mass, _, shape, scale = fit(pnl, weights, share)
    return np.asarray(_quantiles(u, mass, shape, scale, float(1 - level))), u, shape, scale


def es(pnl: Floats, level: Level, weights: Floats | None, estimator: str, *, share: Fraction = SHARE) -> Floats:
    """(VaR + scale - shape u) / (1 - shape); NaN for a shape of 1 or more, whose tail has no mean."""
    found, u, shape, scale = _var_and_fit(pnl, level, weights, share)
    finite = np.where(shape < 1, shape, np.nan)
    return np.asarray((found + scale - finite * u) / (1 - finite))


def exceedance_probability(
    pnl: Floats, threshold: Level, weights: Floats | None, estimator: str, *, share: Fraction = SHARE
) -> Floats:
    """P(L > threshold) of the fitted tail; before the tail's own threshold the share of the scenarios."""
    assert threshold is not None
    u, mass, _, shape, scale = fit(pnl, weights, share)
    x = float(threshold)
    fitted = np.asarray(_beyond(u, mass, shape, scale, x))
    return np.where(x < u, exceedance(pnl, threshold, weights, estimator), fitted)


def fitted(
    pnl: Floats, level: Level, weights: Floats | None, estimator: str, *, part: int, share: Fraction = SHARE
) -> Floats:
    """One figure of the fit, by its place in what `fit` gives; the level and the estimator decide nothing."""
    return fit(pnl, weights, share)[part]


@compiled
def _fits(pnl: Floats, p: Floats, share: float) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    n_groups, n = pnl.shape
    out = np.full((5, n_groups), np.nan)
    for g in range(n_groups):
        order = np.argsort(pnl[g], kind="mergesort")
        reached, at = 0.0, 0
        while at < n and reached < share - WEIGHT_TOLERANCE:
            reached += p[order[at]]
            at += 1
        while at < n and p[order[at]] == 0.0:
            at += 1
        if at == n:
            continue
        u = 0.0 - pnl[g, order[at]]
        excess, weight = np.empty(at), np.empty(at)
        count, mass = 0, 0.0
        for i in range(at):
            s = order[i]
            if p[s] > 0.0 and 0.0 - pnl[g, s] > u:
                excess[count], weight[count] = 0.0 - pnl[g, s] - u, p[s]
                mass += p[s]
                count += 1
        if count < FEWEST:
            continue
        shape, scale = _most_likely(excess[:count], weight[:count] / mass)
        out[0, g], out[1, g], out[2, g], out[3, g], out[4, g] = u, mass, count, shape, scale
    return out[0], out[1], out[2], out[3], out[4]


@compiled
def _shape_and_slope(t: float, z: Floats, q: Floats) -> tuple[float, float]:
    """Shape that is most likely for t = shape / scale, sum of q log(1 + t z), and the slope of minus the log likelihood in t."""
    shape, inverse = 0.0, 0.0
    first, second = 0.0, 0.0
    for i in range(z.size):
        shape += q[i] * math.log1p(t * z[i])
        inverse += q[i] * z[i] / (1.0 + t * z[i])
        first += q[i] * z[i]
        second += q[i] * z[i] * z[i]
    if abs(t) < 1e-6:  # the two terms that part with 1 / t
        return shape, first - second / (2.0 * first)
    return shape, inverse / shape - 1.0 / t + inverse


@compiled
def _most_likely(excess: Floats, q: Floats) -> tuple[float, float]:
    """Shape and scale for the losses in excess of the threshold, worst first, with weights of sum 1.

    For each t = shape / scale the shape is known, so that one unknown is left: log(shape / t) + shape is to be least.
    """
    largest = excess[0]
    z = excess / largest  # so that t lies above -1
    best, at = np.inf, 0
    low, step = math.log(1e-9), (math.log(1e9) - math.log(1e-9)) / (_GRID - 1)
    for i in range(_GRID):
        t = math.expm1(low + step * i)
        shape, _ = _shape_and_slope(t, z, q)
        if shape >= LEAST_SHAPE and math.log(shape / t) + shape < best:
            best, at = math.log(shape / t) + shape, i
    left, right = math.expm1(low + step * (at - 1)), math.expm1(low + step * (at + 1))
    for _ in range(200):
        middle = 0.5 * (left + right)
        if not left < middle < right:
            break
        shape, slope = _shape_and_slope(middle, z, q)
        if slope < 0.0 or shape < LEAST_SHAPE:
            left = middle
        else:
            right = middle
    t = 0.5 * (left + right)
    shape, _ = _shape_and_slope(t, z, q)
    if abs(t) < 1e-12:
        mean = 0.0
        for i in range(z.size):
            mean += q[i] * z[i]
        return 0.0, mean * largest
    return shape, shape / t * largest


@compiled
def _quantiles(u: Floats, mass: Floats, shape: Floats, scale: Floats, beyond: float) -> Floats:
    out = np.full(u.size, np.nan)
    for g in range(u.size):
        if beyond <= mass[g] + WEIGHT_TOLERANCE:
            log = 0.0 - math.log(beyond / mass[g])
            out[g] = u[g] + scale[g] * (math.expm1(shape[g] * log) / shape[g] if shape[g] != 0.0 else log)
    return out


@compiled
def _beyond(u: Floats, mass: Floats, shape: Floats, scale: Floats, x: float) -> Floats:
    out = np.full(u.size, np.nan)
    for g in range(u.size):
        y = (x - u[g]) / scale[g]
        if shape[g] == 0.0:
            out[g] = mass[g] * math.exp(-y)
        elif 1.0 + shape[g] * y > 0.0:
            out[g] = mass[g] * math.exp(-math.log1p(shape[g] * y) / shape[g])
        elif y > 0.0:
            out[g] = 0.0
    return out
