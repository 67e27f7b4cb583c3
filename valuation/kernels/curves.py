"""Discount curves as logarithms of discount factors on a grid of times, for many market states at once.

Arrays of nodes have shape (n_nodes, n_states); node 0 is time 0 with logarithm 0. Times are years.
"""

from __future__ import annotations

import math

import numpy as np

from lake.arrays import Bools, Floats, Ints
from lake.compiled import compiled
from valuation.kernels.elementary import exponential, logarithm

COUPON_PERIOD = 0.5  # par yields are quoted on semi-annual bonds
_SAME = 1e-9  # years; pillars are whole days or months


@compiled
def _log_discounts_of_zeros(times: Floats, rates: Floats) -> Floats:
    p, m = rates.shape
    logs = np.zeros((p + 1, m))
    for k in range(p):
        for s in range(m):
            log = -rates[k, s] * times[k]
            logs[k + 1, s] = log if abs(log) < math.inf else math.nan  # an infinite rate is none, and no factor of zero
    return logs


def zero_curve(times: Floats, rates: Floats) -> tuple[Floats, Floats]:
    """Nodes (n_nodes,) and log discount factors (n_nodes, n_states) of continuously compounded zero rates.

    times : (n_pillars,) ascending, positive; rates : (n_pillars, n_states), fractions a year.
    """
    return np.concatenate([[0.0], times]), _log_discounts_of_zeros(times, rates)


def zero_reads(times: Floats) -> tuple[Floats, Bools]:
    """Nodes (n_nodes,) of `zero_curve`, and which pillars decide each, (n_nodes, n_pillars)."""
    return np.concatenate([[0.0], times]), np.concatenate(
        [np.zeros((1, len(times)), np.bool_), np.eye(len(times), dtype=np.bool_)]
    )


@compiled
def _bill_discount(time: float, y: float) -> float:
    """Discount factor of a bill from its bond-equivalent yield; NaN where it is not positive."""
    whole, rest = min(time, COUPON_PERIOD), max(time - COUPON_PERIOD, 0.0)
    growth = (1.0 + y * whole) * (1.0 + y * rest)
    return 1.0 / growth if growth > 0.0 else math.nan


@compiled
def _par_log_discounts(bills: Floats, bill_yields: Floats, grid_yields: Floats) -> tuple[Floats, Floats]:
    m = grid_yields.shape[1]
    bill_logs = np.empty((len(bills), m))
    for k in range(len(bills)):
        for s in range(m):
            bill_logs[k, s] = logarithm(_bill_discount(bills[k], bill_yields[k, s]))
    grid_logs = np.empty(grid_yields.shape)
    annuity = np.zeros(m)  # sum of the discount factors of the coupons so far
    for k in range(len(grid_yields)):
        for s in range(m):
            coupon = grid_yields[k, s] * COUPON_PERIOD
            discount = (1.0 - coupon * annuity[s]) / (1.0 + coupon)
            if not discount > 0.0:
                discount = math.nan  # and with it every later node of this state
            annuity[s] += discount
            grid_logs[k, s] = logarithm(discount)
    return bill_logs, grid_logs


def par_curve(times: Floats, yields: Floats) -> tuple[Floats, Floats]:
    """Nodes (n_nodes,) and log discount factors (n_nodes, n_states) bootstrapped from par yields.

    times : (n_pillars,) ascending, positive; yields : (n_pillars, n_states), fractions a year, semi-annual bond basis.
    Up to 6 months a yield is simple: DF = 1 / (1 + yT). Between 6 months and a year it is the bond-equivalent yield of a
    bill, DF = 1 / ((1 + y/2)(1 + y(T - 1/2))) (US Treasury, 31 CFR 356 appendix B). From a year on, par yields are
    interpolated linearly on the semi-annual grid (flat below the shortest and above the longest pillar) and discount
    factors follow from par bonds being worth par: DF_k = (1 - y_k/2 (DF_1 + ... + DF_k-1)) / (1 + y_k/2), where the
    6-month node is the 6-month yield itself.
    A discount factor that is not positive is NaN, and so is every later one.
    """
    bill, grid = _par_nodes(times)
    bill_logs, grid_logs = _par_log_discounts(times[bill], yields[bill], _interpolate_rows(times, yields, grid))
    nodes = np.concatenate([[0.0], times[bill], grid])
    logs = np.concatenate([np.zeros((1, yields.shape[1])), bill_logs, grid_logs])
    order = np.argsort(nodes)
    return nodes[order], np.ascontiguousarray(logs[order])


def par_reads(times: Floats) -> tuple[Floats, Bools]:
    """Nodes (n_nodes,) of `par_curve`, and which pillars decide each, (n_nodes, n_pillars): of a par bond all of its coupons."""
    bill, grid = _par_nodes(times)
    left, right, weight = _neighbours(times, grid)
    on_grid = np.zeros((len(grid), len(times)), np.bool_)
    on_grid[np.arange(len(grid)), right] = True
    on_grid[np.flatnonzero(weight), left[np.flatnonzero(weight)]] = True
    reads = np.concatenate(
        [
            np.zeros((1, len(times)), np.bool_),
            np.eye(len(times), dtype=np.bool_)[bill],
            np.logical_or.accumulate(on_grid),
        ]
    )
    nodes = np.concatenate([[0.0], times[bill], grid])
    order = np.argsort(nodes)
    return nodes[order], reads[order]


def _par_nodes(times: Floats) -> tuple[Bools, Floats]:
    """Which pillars are bills, (n_pillars,), and the semi-annual grid (n_grid,)."""
    bill = (times < 2 * COUPON_PERIOD - _SAME) & (np.abs(times - COUPON_PERIOD) > _SAME)
    n_grid = 0 if times[-1] < COUPON_PERIOD - _SAME else math.ceil(times[-1] / COUPON_PERIOD - _SAME)
    return bill, COUPON_PERIOD * np.arange(1, n_grid + 1)


def _neighbours(times: Floats, wanted: Floats) -> tuple[Ints, Ints, Floats]:
    """The pillars around each wanted time and the weight of the left one; zero at a pillar and outside."""
    right = np.clip(np.searchsorted(times, wanted - _SAME), 0, len(times) - 1)
    left = np.maximum(right - 1, 0)
    gap = times[right] - times[left]
    weight = np.divide(times[right] - wanted, gap, out=np.zeros_like(wanted), where=gap > 0)
    return left, right, np.where(np.abs(weight) * gap <= _SAME, 0.0, np.clip(weight, 0.0, 1.0))


def _interpolate_rows(times: Floats, values: Floats, wanted: Floats) -> Floats:
    """Rows of `values` at the wanted times, linear in time and flat outside; at a pillar the pillar's own row."""
    left, right, weights = _neighbours(times, wanted)
    weight = weights[:, None]
    return np.where(weight == 0.0, values[right], values[right] - weight * (values[right] - values[left]))


@compiled
def _interpolated_discount_factors(nodes: Floats, logs: Floats, segment: Ints, times: Floats) -> Floats:
    n, m = len(times), logs.shape[1]
    out = np.empty((n, m))
    for i in range(n):
        k = segment[i]
        weight = (times[i] - nodes[k]) / (nodes[k + 1] - nodes[k])
        for s in range(m):
            out[i, s] = exponential(logs[k, s] + weight * (logs[k + 1, s] - logs[k, s]))
    return out


def segments(nodes: Floats, times: Floats) -> Ints:
    """The segment of each time, (len(times),): the node before it; the last segment for times beyond."""
    found: Ints = np.clip(np.searchsorted(nodes, times, side="right") - 1, 0, len(nodes) - 2)
    return found


def interpolated_discount_factors(nodes: Floats, logs: Floats, times: Floats) -> Floats:
    """Discount factors of shape (len(times), n_states), linear in the logarithm between nodes.

    Beyond the last node the forward rate of the last segment goes on. Times must not be negative.
    """
    return _interpolated_discount_factors(nodes, logs, segments(nodes, times), times)
