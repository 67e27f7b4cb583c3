"""Kernel: from the worst scenario on, until a share of the probability is reached.

Scenarios are taken from a heap, worst first, so that a tail of ten of a thousand costs no sort of the thousand. Ties are
taken by scenario index. Every reading of a tail is one walk that gives the scenarios it rests on and what each counts;
values, weights by scenario and resamples all come from it.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from lake.arrays import Floats, Ints
from lake.compiled import compiled

# Cumulated weights are sums of rounded doubles: one that misses 1 - level by less than this has reached it.
WEIGHT_TOLERANCE = 1e-12

REACHED, HALF_WEIGHT, LINEAR, LINEAR_UP, ENDS, ENDS_UP, SHORTFALL, WHOLE, BEYOND = range(9)
WALKS = {
    "order_statistic": REACHED,
    "brw_half_weight": HALF_WEIGHT,
    "weighted_linear": LINEAR,
    "hf4": LINEAR_UP,
    "hf4_pnl": LINEAR,
    "hf7": ENDS_UP,
    "hf7_pnl": ENDS,
}


def values_of_ranks(pnl: Floats, parts: Floats, divisor: float = 1.0) -> Floats:
    """Sum of `parts` times the worst losses, worst first, over `divisor`: (n_groups,)."""
    k = len(parts)
    # a selection gives the same values as a sort; `0 - x`, not `-x`: avoids -0.0
    worst = 0.0 - np.sort(np.partition(pnl, k - 1, axis=1)[:, :k], axis=1)
    counted = parts != 0.0
    # a cumulative sum adds in the order of the ranks, as `sum` does not; `+ 0.0` makes 0.0 of -0.0 and of no rank
    sums = np.cumsum(worst[:, counted] * parts[counted], axis=1)[:, -1:].sum(axis=1) + 0.0
    return np.asarray(sums / divisor)


def weights_of_ranks(pnl: Floats, parts: Floats, divisor: float = 1.0) -> Floats:
    """The weight of each rank at the scenario that has it: (n_groups, n_scenarios)."""
    return np.asarray(_placed(_contiguous(pnl), parts / divisor))


def weighted_values(pnl: Floats, weights: Floats, level: Fraction, walk: int) -> Floats:
    """What a walk over weighted scenarios finds, (n_groups,); NaN where it finds nothing."""
    return np.asarray(_walked(_contiguous(pnl), weights / math.fsum(weights), float(1 - level), walk))


def weighted_weights(pnl: Floats, weights: Floats, level: Fraction, walk: int) -> Floats:
    """What each scenario counts in a walk, (n_groups, n_scenarios); zeros where it finds nothing."""
    return np.asarray(_walked_weights(_contiguous(pnl), weights / math.fsum(weights), float(1 - level), walk))


def _contiguous(pnl: Floats) -> Floats:
    return np.ascontiguousarray(pnl, dtype=np.float64)


@compiled
def _placed(pnl: Floats, parts: Floats) -> Floats:
    n_groups, n = pnl.shape
    out = np.zeros((n_groups, n))
    heap = np.empty(n, dtype=np.int64)
    for g in range(n_groups):
        heapify(pnl[g], heap)
        for r in range(parts.size):
            take(pnl[g], heap, r, r)
            out[g, heap[n - 1 - r]] = parts[r]
    return out


@compiled
def _walked(pnl: Floats, weights: Floats, mass: float, walk: int) -> Floats:
    n_groups, n = pnl.shape
    out = np.empty(n_groups)
    heap, where, share = np.empty(n, dtype=np.int64), np.empty(n + 2, dtype=np.int64), np.empty(n + 2)
    for g in range(n_groups):
        heapify(pnl[g], heap)
        count, divisor, _ = walk_tail(pnl[g], heap, 0, weights, weights, mass, WEIGHT_TOLERANCE, walk, where, share)
        out[g] = sum_of(pnl[g], where, share, count, divisor)
    return out


@compiled
def _walked_weights(pnl: Floats, weights: Floats, mass: float, walk: int) -> Floats:
    n_groups, n = pnl.shape
    out = np.zeros((n_groups, n))
    heap, where, share = np.empty(n, dtype=np.int64), np.empty(n + 2, dtype=np.int64), np.empty(n + 2)
    for g in range(n_groups):
        heapify(pnl[g], heap)
        count, divisor, _ = walk_tail(pnl[g], heap, 0, weights, weights, mass, WEIGHT_TOLERANCE, walk, where, share)
        for i in range(count):
            out[g, where[i]] += share[i] / divisor
    return out


# --- the heap: heap[:size] holds what is not taken yet, worst at 0; behind it what was taken, worst last ---------------


@compiled
def _worse(pnl: Floats, a: int, b: int) -> bool:
    return bool(pnl[a] < pnl[b] or (pnl[a] == pnl[b] and a < b))


@compiled
def _sift(pnl: Floats, heap: Ints, root: int, size: int) -> None:
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        if child + 1 < size and _worse(pnl, heap[child + 1], heap[child]):
            child += 1
        if not _worse(pnl, heap[child], heap[root]):
            return
        heap[root], heap[child] = heap[child], heap[root]
        root = child


@compiled
def heapify(pnl: Floats, heap: Ints) -> None:
    """All scenarios of one row, none taken."""
    for s in range(heap.size):
        heap[s] = s
    for root in range(heap.size // 2 - 1, -1, -1):
        _sift(pnl, heap, root, heap.size)


@compiled
def take(pnl: Floats, heap: Ints, taken: int, rank: int) -> int:
    """Takes scenarios until the one of `rank` (0 is the worst) stands at heap[n - 1 - rank]; how many are taken then."""
    while taken <= rank:
        last = heap.size - 1 - taken
        heap[0], heap[last] = heap[last], heap[0]
        _sift(pnl, heap, 0, last)
        taken += 1
    return taken


# --- one walk --------------------------------------------------------------------------------------------------------


@compiled
def walk_tail(
    pnl: Floats,
    heap: Ints,
    taken: int,
    weights: Floats,
    single: Floats,
    mass: float,
    tolerance: float,
    walk: int,
    where: Ints,
    share: Floats,
) -> tuple[int, float, int]:
    """The scenarios a reading of one row's tail rests on, and what each counts: value = -sum share * P&L / divisor.

    `weights` and `mass` are in the same unit; `single` is the weight of one copy of each scenario, less than `weights` where a
    resample has drawn it several times. Returns how many entries of `where` and `share`, both of length n + 2, are
    filled (0 where nothing is found), the divisor, and how many scenarios have been taken from the heap.

    REACHED : the loss at which the cumulated weight reaches `mass`. SHORTFALL : all losses before it with their weights,
    and it with what is left of `mass`. WHOLE : the same, and it with all its weight. BEYOND : all losses before it.

    The others : the loss at cumulated weight `mass` on straight lines between points, flat beyond the ends. HALF_WEIGHT : the points are
    (weight before a loss plus half its own, the loss) and, between two losses, (weight before, their mean). LINEAR : (weight up to and with
    a loss, the loss), type 4 of Hyndman and Fan on P&L. LINEAR_UP : cumulated from the least loss up, which from here is (weight before
    a loss, the loss), type 4 on losses. ENDS, ENDS_UP : these two with the first point of the cumulation at probability 0, types 7.
    """
    n = heap.size
    if walk in (ENDS, ENDS_UP):
        total = 0.0
        end = -1  # the scenario at which the cumulation begins: the worst, or the best
        for s in range(n):
            total += weights[s]
            if weights[s] > 0.0 and (end < 0 or (_worse(pnl, s, end) if walk == ENDS else _worse(pnl, end, s))):
                end = s
        mass = mass * (total - single[end]) / total + (single[end] if walk == ENDS else 0.0)
    reached = 0.0  # weight of the losses before this one
    at = 0.0  # the last point
    count, last, before = 0, -1, -1
    for rank in range(n):
        taken = take(pnl, heap, taken, rank)
        s = heap[n - 1 - rank]
        w = weights[s]
        if w == 0.0:
            continue
        before, last = last, s
        if HALF_WEIGHT <= walk <= ENDS_UP:
            half = walk == HALF_WEIGHT
            if half and before >= 0:
                if mass <= reached:  # between the loss before and the mean of both
                    t = 0.5 * (mass - at) / (reached - at)
                    where[0], share[0], where[1], share[1] = before, 1.0 - t, s, t
                    return 2, 1.0, taken
                at = reached
            own = 0.5 * single[s] if half else 0.0 if walk in (LINEAR_UP, ENDS_UP) else single[s]
            point = reached + own  # of the first copy; the last one's is as far from the end, or at it
            if mass <= point:
                if before < 0:
                    break
                t = (mass - at) / (point - at)
                t = 0.5 + 0.5 * t if half else t  # from the mean of both, or from the loss before
                where[0], share[0], where[1], share[1] = before, 1.0 - t, s, t
                return 2, 1.0, taken
            at = reached + (w - (single[s] - own))
            if mass <= at:
                break
        elif reached + w >= mass - tolerance:
            break
        else:
            where[count], share[count] = s, w
            count += 1
        reached += w
    if walk == BEYOND:
        return count, reached, taken
    if walk == WHOLE:
        where[count], share[count] = last, weights[last]
        return count + 1, reached + weights[last], taken
    if walk == SHORTFALL:
        where[count], share[count] = last, mass - reached
        return count + 1, mass, taken
    where[0], share[0] = last, 1.0
    return 1, 1.0, taken


@compiled
def sum_of(pnl: Floats, where: Ints, share: Floats, count: int, divisor: float) -> float:
    """Sum of share times loss, in the order of the walk, over the divisor; NaN for nothing."""
    if count == 0:
        return np.nan
    total = 0.0
    for i in range(count):
        total += share[i] * (0.0 - pnl[where[i]])
    return total / divisor
