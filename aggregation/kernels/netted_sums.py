"""Kernel: values of contracts on paths added up to netting sets, each sum in one fixed order.

A row of values is read once from front to end, and the sums of a set stay in the first-level cache meanwhile. Four rows are added at a
time, one after the other, so the bits are those of the plain loop. Products and sums are rounded each.
"""

from __future__ import annotations

from lake.arrays import Codes, Floats, Ints
from lake.compiled import compiled


@compiled
def sum_entries(rows: Floats, row: Codes, quantity: Floats, begin: int, end: int, out: Floats) -> None:
    """out = the sum of quantity[e] * rows[row[e]] over the entries begin to end - 1, in their order; out : (n_paths,)."""
    n, e = out.size, begin + (end - begin) % 4
    # those that are no four come first: they need no sums that are there already
    if e == begin:
        out[:] = 0.0
    elif e == begin + 1:
        a, qa = rows[row[begin]], quantity[begin]
        for p in range(n):
            out[p] = 0.0 + qa * a[p]
    elif e == begin + 2:
        a, b = rows[row[begin]], rows[row[begin + 1]]
        qa, qb = quantity[begin], quantity[begin + 1]
        for p in range(n):
            out[p] = (0.0 + qa * a[p]) + qb * b[p]
    else:
        a, b, c = rows[row[begin]], rows[row[begin + 1]], rows[row[begin + 2]]
        qa, qb, qc = quantity[begin], quantity[begin + 1], quantity[begin + 2]
        for p in range(n):
            out[p] = ((0.0 + qa * a[p]) + qb * b[p]) + qc * c[p]
    while e < end:
        a, b, c, d = rows[row[e]], rows[row[e + 1]], rows[row[e + 2]], rows[row[e + 3]]
        qa, qb, qc, qd = quantity[e], quantity[e + 1], quantity[e + 2], quantity[e + 3]
        for p in range(n):
            out[p] = (((out[p] + qa * a[p]) + qb * b[p]) + qc * c[p]) + qd * d[p]
        e += 4


@compiled
def add_run(
    rows: Floats, row: Codes, quantity: Floats, begin: int, end: int, price: Floats, scratch: Floats, into: Floats
) -> None:
    """into += price times the sum of the entries begin to end - 1; price, scratch, into : (n_paths,), scratch is overwritten."""
    sum_entries(rows, row, quantity, begin, end, scratch)
    for p in range(scratch.size):
        into[p] += scratch[p] * price[p]


@compiled
def set_values(
    rows: Floats,
    row: Codes,
    quantity: Floats,
    runs: Ints,
    currency: Codes,
    of_set: Codes,
    first: int,
    last: int,
    fx: Floats,
    scratch: Floats,
    out: Floats,
) -> None:
    """Writes the values of netting sets, out (n_sets, n_paths), of runs first to last - 1, which hold all runs of their sets.

    A run is the entries runs[r] to runs[r + 1] of set of_set[r], all in currency[r], a row of fx (n_currencies, n_paths); the runs of a set
    follow one another. scratch : (n_paths,), overwritten. out is zero for the sets of the runs.
    """
    for r in range(first, last):
        add_run(rows, row, quantity, runs[r], runs[r + 1], fx[currency[r]], scratch, out[of_set[r]])


@compiled
def add_runs_of_rows(
    rows: Floats, begins: int, row: Codes, quantity: Floats, runs: Ints, first: int, last: int, sums: Floats
) -> None:
    """Adds to the sums of runs first to last - 1, (n_runs, n_paths), what their entries in `rows` add: those whose row is begins to
    begins + len(rows) - 1. Rows ascend within a run, so that the rows may come a portion after the other."""
    for r in range(first, last):
        for e in range(runs[r], runs[r + 1]):
            place = row[e] - begins
            if 0 <= place < len(rows):
                values, q, into = rows[place], quantity[e], sums[r]
                for p in range(into.size):
                    into[p] = into[p] + q * values[p]
