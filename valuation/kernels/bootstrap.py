"""A curve from quotes of mixed instruments: discount factors that reprice every quote exactly, in many market states at once.

Every quote says that a sum is zero: over its terms, (constant + slope x quote) x external x P(a) / P(b), where P are discount
factors of the curve itself, log-linear between nodes, and `external` is a product of those of other curves. The latest time
of the curve's own that a quote reads is its node. Quote i has node i + 1; node 0 is time 0, where the logarithm is 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lake.arrays import Floats, Ints
from lake.compiled import compiled

_MOST_STEPS = 60
_LARGEST_STEP = 2.0  # of a logarithm
_ENOUGH = 1e-12  # a last step that is no longer seen in a discount factor


class Equations(NamedTuple):
    """Terms of all quotes, those of quote i from offsets[i] to offsets[i+1].

    offsets : (n_quotes + 1,); constant, slope : (n_terms,); external : (n_terms,) rows of external products.
    left, right, weight : (2, n_terms) nodes around a and b, and how far between them: equal nodes and zero on a node.
    """

    offsets: Ints
    constant: Floats
    slope: Floats
    external: Ints
    left: Ints
    right: Ints
    weight: Floats


@compiled
def bootstrapped(equations: Equations, quotes: Floats, products: Floats) -> Floats:
    """Logarithms of the discount factors at the nodes, (n_quotes + 1, n_states).

    quotes : (n_quotes, n_states); products : (n_external, n_states). Where a quote has no solution its node is NaN, and so
    is every later one that rests on it. Newton's method from a discount factor of one: the bits of a node depend on the
    terms of its quote alone. A sum with one unknown power is solved at once.
    """
    offsets, constant, slope, external, left, right, weight = equations
    n, m = quotes.shape
    logs = np.zeros((n + 1, m))
    longest = 0
    for i in range(n):
        longest = max(longest, offsets[i + 1] - offsets[i])
    factor, power = np.empty(longest), np.empty(longest)
    for i in range(n):
        node = i + 1
        for s in range(m):
            known, count, alike = 0.0, 0, True
            for j in range(offsets[i], offsets[i + 1]):
                log, unknown = 0.0, 0.0
                for end in range(2):
                    sign = 1.0 if end == 0 else -1.0
                    lo, hi, w = left[end, j], right[end, j], weight[end, j]
                    if hi < node:
                        log += sign * (logs[lo, s] if lo == hi else logs[lo, s] + w * (logs[hi, s] - logs[lo, s]))
                    elif lo == hi:
                        unknown += sign
                    else:
                        log += sign * (1.0 - w) * logs[lo, s]
                        unknown += sign * w
                value = (constant[j] + slope[j] * quotes[i, s]) * products[external[j], s] * math.exp(log)
                if unknown == 0.0:
                    known += value
                else:
                    alike = alike and (count == 0 or unknown == power[0])
                    factor[count], power[count] = value, unknown
                    count += 1
            logs[node, s] = _root(known, factor[:count], power[:count], alike)
    return logs


@compiled
def _root(known: float, factor: Floats, power: Floats, alike: bool) -> float:
    """The x at which known + sum of factor exp(power x) is zero; NaN where none is found."""
    if alike:
        total = 0.0
        for j in range(len(factor)):
            total += factor[j]
        ratio = -known / total
        return math.log(ratio) / power[0] if len(factor) > 0 and ratio > 0.0 and ratio < math.inf else math.nan
    x, last = 0.0, math.inf
    for _ in range(_MOST_STEPS):
        value, derivative = known, 0.0
        for j in range(len(factor)):
            term = factor[j] * math.exp(power[j] * x)
            value += term
            derivative += power[j] * term
        step = value / derivative
        if not abs(step) < math.inf:
            return math.nan
        step = min(max(step, -_LARGEST_STEP), _LARGEST_STEP)
        if abs(step) < _ENOUGH and abs(step) >= last:  # as near as doubles come
            return x
        x -= step
        last = abs(step)
        if step == 0.0:
            return x
    return x if last < _ENOUGH else math.nan


def implied_quotes(offsets: Ints, constant: Floats, slope: Floats, products: Floats) -> Floats:
    """The quotes (n_quotes,) at which the sums are zero, the inverse of `bootstrapped`.

    products : (n_terms,) external x P(a) / P(b) of each term.
    """
    starts = offsets[:-1]
    quotes: Floats = -np.add.reduceat(constant * products, starts) / np.add.reduceat(slope * products, starts)
    return quotes
