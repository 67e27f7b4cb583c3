"""Kernel: figures of exposure at a date and over dates, with their standard errors.

Exposure is not negative, shape (n_groups, n_paths). Sums run over the paths in their order, a group alone, so that neither other groups nor
threads change a bit. Sources: Basel Committee, CRE50.12 to CRE50.25 (expected exposure, effective expected exposure, EPE, effective EPE)
and CRE53.13 to CRE53.15 (effective EPE, EAD); Pykhtin and Zhu (2007), *A guide to modelling counterparty credit risk*.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from aggregation.kernels.estimators import var_rank
from lake.arrays import Bools, Codes, Floats
from lake.compiled import compiled


@compiled
def means(values: Floats, step: int) -> tuple[Floats, Floats]:
    """Mean of each row of values (n_groups, n_paths), and its standard error, (n_groups,) each.

    step : paths that are drawn together, 2 of antithetic pairs; the error is that of the means of such runs. NaN of fewer than two runs.
    """
    n_groups, n = values.shape
    runs = n // step
    mean, error = np.empty(n_groups), np.empty(n_groups)
    for g in range(n_groups):
        total = 0.0
        for p in range(n):
            total += values[g, p]
        mean[g] = total / n
        squares = 0.0
        for i in range(runs):
            of_run = 0.0
            for p in range(i * step, (i + 1) * step):
                of_run += values[g, p]
            away = of_run / step - mean[g]
            squares += away * away
        error[g] = math.sqrt(squares / (runs - 1) / runs) if runs > 1 else np.nan
    return mean, error


@compiled
def discounted_means(values: Floats, discount: Floats) -> Floats:
    """Mean over the paths of values (n_groups, n_paths) times discount (n_paths,); shape (n_groups,)."""
    out = np.empty(len(values))
    for g in range(len(values)):
        total = 0.0
        for p in range(discount.size):
            total += values[g, p] * discount[p]
        out[g] = total / discount.size
    return out


@compiled
def add_weighted(values: Floats, weight: float, sums: Floats) -> None:
    """sums += weight values; both (n_groups, n_paths)."""
    for g in range(values.shape[0]):
        for p in range(values.shape[1]):
            sums[g, p] += weight * values[g, p]


@compiled
def raise_effective(values: Floats, mean: Floats, effective: Floats, greatest: Floats) -> None:
    """Where the mean of a date is above the effective expected exposure so far, it becomes that, and `greatest` the paths that it is the
    mean of.

    values : (n_groups, n_paths) exposure at the date; mean : (n_groups,) of it. effective (n_groups,) and greatest (n_groups, n_paths) are
    written to.
    """
    for g in range(values.shape[0]):
        if mean[g] > effective[g]:
            effective[g] = mean[g]
            greatest[g] = values[g]


def quantiles(values: Floats, levels: list[Fraction]) -> tuple[Floats, Floats]:
    """Potential future exposure at each level, and its standard error, each (n_levels, n_groups).

    The exposure at the level is the k-th greatest, k = ceil(n (1 - level)) exactly, as a VaR of these losses. Its error is half the
    distance of the order statistics one binomial standard deviation of the rank to either side, scaled to it where ranks round
    (Woodruff 1952; David and Nagaraja, *Order Statistics*, section 7.1). Where the greatest exposure is less than a deviation away the
    distance stops there.
    """
    n = values.shape[1]
    ranked = np.sort(values, axis=1)[:, ::-1]
    found, errors = np.empty((len(levels), len(values))), np.empty((len(levels), len(values)))
    for i, level in enumerate(levels):
        k = var_rank(n, level)
        found[i] = ranked[:, k - 1]
        deviation = math.sqrt(n * float(level) * (1.0 - float(level)))
        above, below = max(1, math.floor(k - deviation)), min(n, math.ceil(k + deviation))
        wide = (ranked[:, above - 1] - ranked[:, below - 1]) / max(below - above, 1)
        errors[i] = deviation * wide if below > above else np.nan
    return found, errors


def at_rank(values: Floats, level: Fraction) -> int:
    """The path whose exposure is that at the level, of values (n_paths,); of paths alike the first ranks greatest."""
    order = np.argsort(-values, kind="stable")
    return int(order[var_rank(values.size, level) - 1])


def time_weights(times: Floats, until: float | None = None) -> Floats:
    """Weight of each date in an average over time, (n_dates,), summing to 1.

    times : in years from today, ascending, today not among them. A date stands for the time since the one before it, as in
    CRE53.15. until : end of the average in years; a date beyond stands for what is left of the time up to there.
    """
    ends = times if until is None else np.minimum(times, until)
    lengths = np.maximum(np.diff(ends, prepend=0.0), 0.0)
    return np.asarray(lengths / math.fsum(lengths))


def effective(expected: Floats, today: float) -> Floats:
    """Effective expected exposure at each date, (n_dates,): the greatest of today's exposure and all expected ones up to it."""
    return np.asarray(np.maximum.accumulate(np.concatenate([[today], expected]))[1:])


@compiled
def unit_means(rows: Floats, row: Codes, of_set: Codes, counted: Bools, currency: Codes, fx: Floats) -> Floats:
    """What one unit of a contract adds to the expected exposure of its netting set, (n_cells,), in the reporting currency.

    A cell is a contract, row[c] of rows (n_rows, n_paths), and a netting set, of_set[c] of counted (n_sets, n_paths): whether the
    exposure of the set is positive on the path. Where it is, the set's exposure changes by the contract's value; where it is not, by
    nothing. currency : (n_cells,) row of fx (n_currencies, n_paths) of each contract.
    """
    out = np.empty(row.size)
    for c in range(row.size):
        values, counts, price = rows[row[c]], counted[of_set[c]], fx[currency[c]]
        total = 0.0
        for p in range(values.size):
            if counts[p]:
                total += values[p] * price[p]
        out[c] = total / values.size
    return out
