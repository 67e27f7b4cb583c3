"""Kernel: sums of products in a fixed order, each product and each sum rounded by itself.

In place of BLAS, whose order of adding depends on the shapes and on the number of threads, and of `scipy.sparse`, whose
compiler may fuse a product with a sum. A row has the same bits alone as beside others.
"""

from __future__ import annotations

import numpy as np

from lake.arrays import Codes, Floats, Ints
from lake.compiled import compiled

ROUNDING = 1e-12  # of the figures themselves; what is smaller says how they were added up, not how they differ


def difference(one: Floats | float, two: Floats | float, size: Floats | float = 0.0) -> Floats:
    """one - two, and zero where that is rounding of the two, or of figures as large as `size` that they are parts of."""
    found = np.subtract(one, two)
    largest = np.maximum(np.maximum(np.abs(one), np.abs(two)), size)
    return np.where(np.abs(found) <= ROUNDING * largest, 0.0, found)


@compiled
def dot(a: Floats, b: Floats) -> float:
    """Sum of a[k] b[k], in the order of k."""
    total = 0.0
    for k in range(a.size):
        total += a[k] * b[k]
    return total


@compiled
def row_dots(a: Floats, b: Floats) -> Floats:
    """The `dot` of each row of a (m, n) and the row of b, (m, n), or its only one, (1, n); shape (m,)."""
    out = np.empty(len(a))
    for i in range(len(a)):
        out[i] = dot(a[i], b[i if len(b) > 1 else 0])
    return out


@compiled
def product(a: Floats, b: Floats) -> Floats:
    """The matrix product of a (m, n) and b (n, p), each element added in the order of n."""
    out = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
    return out


@compiled
def add_to_slots(places: Codes, rows: Floats, starts: Ints, slot: Codes, quantity: Floats, sums: Floats) -> None:
    """sums[slot[e]] += quantity[e] * row, row after row, for the entries e of the row's place: starts[place] to its end.

    places : (n_rows,); rows : (n_rows, width); sums : (n_slots, width).
    """
    for i in range(places.size):
        row = rows[i]
        for e in range(starts[places[i]], starts[places[i] + 1]):
            q, into = quantity[e], sums[slot[e]]
            for s in range(row.size):
                into[s] += q * row[s]
