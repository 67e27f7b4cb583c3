"""Kernel: sums of rows, each times its quantity, of which few rows change at a time.

A sum is made in the order of its entries, product and sum rounded each, as everywhere in the reduce. Beside it stand what a change adds to
a sum, which is not that sum to the last bit, and the sum in chosen columns alone, which is.
"""

from __future__ import annotations

from lake.arrays import Codes, Floats, Ints
from lake.compiled import compiled

UNIT = 2.0**-53  # half the distance from 1 to the next double: the relative error of one rounding


@compiled
def sum_of_rows(
    rows: Floats, row: Codes, quantity: Floats, begin: int, end: int, first: int, stop: int, out: Floats
) -> None:
    """out[s] = the sum of quantity[e] * rows[row[e], s] over entries begin to end - 1, for s from `first` to stop - 1."""
    for s in range(first, stop):
        out[s] = 0.0
    e = begin
    while e + 4 <= end:
        a, b, c, d = rows[row[e]], rows[row[e + 1]], rows[row[e + 2]], rows[row[e + 3]]
        qa, qb, qc, qd = quantity[e], quantity[e + 1], quantity[e + 2], quantity[e + 3]
        for s in range(first, stop):
            out[s] = (((out[s] + qa * a[s]) + qb * b[s]) + qc * c[s]) + qd * d[s]
        e += 4
    while e < end:
        a, qa = rows[row[e]], quantity[e]
        for s in range(first, stop):
            out[s] = out[s] + qa * a[s]
        e += 1


@compiled
def sum_in_columns(
    rows: Floats, row: Codes, quantity: Floats, begin: int, end: int, columns: Ints, out: Floats
) -> None:
    """out[j] = as `sum_of_rows`, in column columns[j] alone: the same bits."""
    for j in range(columns.size):
        out[j] = 0.0
    for e in range(begin, end):
        a, q = rows[row[e]], quantity[e]
        for j in range(columns.size):
            out[j] = out[j] + q * a[columns[j]]


@compiled
def sum_of_bases(base: Floats, row: Codes, quantity: Floats, begin: int, end: int) -> float:
    """The sum of quantity[e] * base[row[e]] over entries begin to end - 1, in their order."""
    total = 0.0
    for e in range(begin, end):
        total += quantity[e] * base[row[e]]
    return total


@compiled
def absolute_bound(largest: Floats, row: Codes, quantity: Floats, begin: int, end: int) -> float:
    """A bound of the sum of absolute values in any column. largest : (n_rows,) the largest absolute value of each row."""
    total = 0.0
    for e in range(begin, end):
        total += abs(quantity[e]) * largest[row[e]]
    return total


@compiled
def add_change(before: Floats, after: Floats, quantity: float, out: Floats) -> None:
    """out += quantity * (after - before), what a row that changes adds to a sum, to rounding."""
    for s in range(out.size):
        out[s] = out[s] + quantity * (after[s] - before[s])


@compiled
def largest_of(row: Floats) -> float:
    """The largest absolute value of a row."""
    found = 0.0
    for s in range(row.size):
        found = max(found, abs(row[s]))
    return found
