"""Kernel: the effect of several causes at once, shared out without regard to their order.

Shapley (1953), A value for n-person games: the average, over all orders, of what a cause adds when its turn comes. The
shares of all causes add up to the whole effect, whatever they do together.
"""

from __future__ import annotations

import math

import numpy as np

from lake.arrays import Floats

MOST_CAUSES = 12  # 4,096 subsets


def shapley(values: Floats) -> Floats:
    """Share of each cause in values[:, -1] - values[:, 0], shape (n, n_causes).

    values : (n, 2 ** n_causes); column s holds what comes out when exactly the causes whose bits are set in s have
    happened: bit k is cause k, column 0 none, the last all. Sums run in a fixed order.
    """
    n, subsets = values.shape
    causes = subsets.bit_length() - 1
    if subsets == 0 or subsets != 1 << causes or causes > MOST_CAUSES:
        raise ValueError(
            f"Expected a column for every subset of at most {MOST_CAUSES} causes, but received {subsets} columns"
        )
    shares = np.zeros((n, causes))
    for before in range(subsets):
        size = before.bit_count()
        if size == causes:
            continue
        weight = math.factorial(size) * math.factorial(causes - size - 1) / math.factorial(causes)
        for k in range(causes):
            if not before >> k & 1:
                shares[:, k] += weight * (values[:, before | 1 << k] - values[:, before])
    return shares
