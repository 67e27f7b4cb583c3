"""Kernel: values of contracts on paths added up to netting sets, each sum in one fixed order.

A row of values is read once from front to end, and the sums of a set stay in the first-level cache meanwhile. Four rows are added at a
time, one after the other, so the bits are those of the plain loop. Products and sums are rounded each.
"""

from __future__ import annotations

from lake.arrays import Codes, Floats, Ints
from lake.compiled import compiled


@compiled
def add_entries(rows: Floats, row: Codes, quantity: Floats, begin: int, end: int, into: Floats) -> None:
    """into += quantity[e] * rows[row[e]] for the entries begin to end - 1, in their order; into : (n_paths,)."""
    n = into.size
    e = begin
    while e + 4 <= end:
        a, b, c, d = rows[row[e]], rows[row[e + 1]], rows[row[e + 2]], rows[row[e + 3]]
        qa, qb, qc, qd = quantity[e], quantity[e + 1], quantity[e + 2], quantity[e + 3]
        for p in range(n):
            into[p] = (((into[p] + qa * a[p]) + qb * b[p]) + qc * c[p]) + qd * d[p]
        e += 4
    while e < end:
        a, qa = rows[row[e]], quantity[e]
        for p in range(n):
            into[p] = into[p] + qa * a[p]
        e += 1


@compiled
def add_run(
    rows: Floats, row: Codes, quantity: Floats, begin: int, end: int, price: Floats, scratch: Floats, into: Floats
) -> None:
    """into += price times the sum of the entries begin to end - 1; price, scratch, into : (n_paths,), scratch is overwritten."""
    scratch[:] = 0.0
    add_entries(rows, row, quantity, begin, end, scratch)
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
