"""Kernel: probabilities nearest to a prior, in relative entropy, that satisfy views.

.. [M] A. Meucci, "Fully flexible views: theory and practice", Risk 21(10), 2008, 97-102: entropy pooling.

The dual has one variable a view: p_i is proportional to prior_i exp(-sum_k l_k a_ki), and l minimises
log sum_i prior_i exp(-l.a_i) + l.b, a convex function, with l_k >= 0 for a view of the kind <=. Its minimum is minus the
relative entropy of p, and no p is further from the prior than -log min_i prior_i: below that, no p satisfies the views.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from scipy.special import logsumexp

from lake.arrays import Bools, Floats

TOLERANCE = 1e-8  # of a satisfied view, in standard deviations of its values under the prior
_NEWTON_STEPS = 50


class NoSuchProbabilities(ValueError):
    """The views contradict each other, or ask for more than the scenarios hold; `worst` is the view missed most."""

    def __init__(self, worst: int, reached: float) -> None:
        super().__init__(f"view {worst} is not met: {reached:g} is the nearest")
        self.worst, self.reached = worst, reached


@dataclass(frozen=True)
class Pooled:
    """probabilities : (n,), sum 1. multipliers : (k,) of the views; 0 where a <= view does not bind."""

    probabilities: Floats
    multipliers: Floats


def pool(prior: Floats, values: Floats, targets: Floats, at_most: Bools) -> Pooled:
    """The probabilities p nearest to `prior` (n,) with values @ p = targets, or <= where `at_most`.

    values : (k, n) of each view in each scenario; targets, at_most : (k,). Sums over scenarios run in a fixed order,
    without BLAS; a Newton step solves its k equations by LAPACK. Raises `NoSuchProbabilities`. A target at the
    very edge of the values can only be met by a single scenario and is refused too.
    """
    there = prior > 0
    p, a = prior[there] / prior[there].sum(), values[:, there]
    centre = (a * p).sum(axis=1)
    scale = np.sqrt((((a - centre[:, None]) ** 2) * p).sum(axis=1))
    scale = np.where(scale > 0, scale, 1.0)
    a, b = (a - centre[:, None]) / scale[:, None], (targets - centre) / scale
    bounds = [(0.0, None) if kind else (None, None) for kind in at_most]
    log_prior = np.log(p)

    def dual(multipliers: Floats) -> tuple[float, Floats]:
        log_p, total = _tilted(log_prior, a, multipliers)
        return float(total + (multipliers * b).sum()), b - (a * np.exp(log_p)).sum(axis=1)

    least = log_prior.min() - 1.0  # well below the bound: a view that is missed by less than the tolerance is met

    def stop_where_impossible(intermediate_result: OptimizeResult) -> None:
        if intermediate_result.fun < least:
            raise StopIteration

    start = np.zeros(len(b))
    options = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-10}
    how = {"jac": True, "bounds": bounds, "method": "L-BFGS-B", "options": options, "callback": stop_where_impossible}
    multipliers = np.asarray(minimize(dual, start, **how).x)
    multipliers = _polish(log_prior, a, b, at_most, multipliers)
    log_p, _ = _tilted(log_prior, a, multipliers)
    tilted = np.exp(log_p)
    miss = (a * tilted).sum(axis=1) - b
    miss = np.where(at_most, np.maximum(miss, 0.0), np.abs(miss))
    if not (np.isfinite(miss).all() and miss.max(initial=0.0) <= TOLERANCE):
        worst = int(np.argmax(np.where(np.isfinite(miss), miss, np.inf)))
        raise NoSuchProbabilities(worst, float((values[worst, there] * tilted).sum()))
    out = np.zeros(len(prior))
    out[there] = tilted / tilted.sum()
    return Pooled(out, multipliers / scale)


def _tilted(log_prior: Floats, a: Floats, multipliers: Floats) -> tuple[Floats, float]:
    """Log of prior exp(-l.a), normalised, and the log of its sum before."""
    exponent = log_prior - (multipliers[:, None] * a).sum(axis=0)
    total = float(logsumexp(exponent))
    return exponent - total, total


def _polish(log_prior: Floats, a: Floats, b: Floats, at_most: Bools, multipliers: Floats) -> Floats:
    """Newton's method on the views that bind: a quasi-Newton search alone stops at the square root of the precision.

    A <= view whose multiplier turns negative does not bind: it is let go, and the rest is done again.
    """
    active = ~at_most | (multipliers > 1e-9)
    while True:
        found = _newton(log_prior, a, b, np.where(active, multipliers, 0.0), active)
        loose = active & at_most & (found < 0)
        if not loose.any():
            return found
        active &= ~loose


def _newton(log_prior: Floats, a: Floats, b: Floats, found: Floats, active: Bools) -> Floats:
    """Multipliers that meet the active views as equalities; the rest are left."""
    best = np.inf
    trial = found
    for _ in range(_NEWTON_STEPS):
        p = np.exp(_tilted(log_prior, a, trial)[0])
        mean = (a[active] * p).sum(axis=1)
        gap = mean - b[active]
        size = np.abs(gap).max(initial=0.0)
        if not size < best:  # no better, or not a number
            break
        found, best = trial, size
        if size < 1e-14:
            break
        centred = a[active] - mean[:, None]
        hessian = np.einsum("in,jn,n->ij", centred, centred, p)
        trial = found.copy()
        trial[active] += np.linalg.lstsq(hessian, gap, rcond=1e-12)[0]
    return found


def relative_entropy(p: Floats, prior: Floats) -> float:
    """sum p ln(p / prior), in nats; 0 for the prior itself."""
    there = p > 0
    return float((p[there] * np.log(p[there] / prior[there])).sum())


def effective_scenarios(p: Floats) -> float:
    """exp of the entropy of p [M]_: n for equal weights, 1 where one scenario has all the weight."""
    there = p > 0
    return float(np.exp(-(p[there] * np.log(p[there])).sum()))


def kish_scenarios(p: Floats) -> float:
    """1 / sum p^2, Kish's effective sample size: what the variance of a weighted mean goes by."""
    return float(1.0 / (p * p).sum())
