"""Kernel: figures of exposure at a date and over dates, with their standard errors.

Exposure is not negative, shape (n_groups, n_paths). Sums run over the paths in their order, a group alone, so that neither other groups nor
threads change a bit. Sources: Basel Committee, CRE50.12 to CRE50.25 (expected exposure, effective expected exposure, EPE, effective EPE)
and CRE53.13 to CRE53.15 (effective EPE, EAD); Pykhtin and Zhu (2007), *A guide to modelling counterparty credit risk*.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from aggregation.kernels.eight_sums import row_dot, row_squares, row_sum
from aggregation.kernels.estimators import var_rank
from lake.arrays import Bools, Codes, Floats, Ints
from lake.compiled import compiled

_FEW = 128  # so many values are put in order by counting those above each
_STEPS = 24  # of the search for a bar


@compiled
def row_mean(values: Floats) -> float:
    """Mean of values (n_paths,)."""
    return row_sum(values) / values.size


@compiled
def row_means(values: Floats) -> Floats:
    """Mean of each row of values (n_groups, n_paths), (n_groups,)."""
    out = np.empty(len(values))
    for g in range(len(values)):
        out[g] = row_mean(values[g])
    return out


@compiled
def _error(values: Floats, mean: float, step: int, room: Floats) -> float:
    """Standard error of the mean of values (n_paths,), see `means`; room, of at least that size, is overwritten."""
    runs = values.size // step
    if runs < 2:
        return np.nan
    if step == 1:
        return math.sqrt(row_squares(values, mean) / (runs - 1) / runs)
    for i in range(runs):
        of_run = 0.0
        for p in range(i * step, (i + 1) * step):
            of_run += values[p]
        room[i] = of_run / step
    return math.sqrt(row_squares(room[:runs], mean) / (runs - 1) / runs)


@compiled
def means(values: Floats, step: int) -> tuple[Floats, Floats]:
    """Mean of each row of values (n_groups, n_paths), and its standard error, (n_groups,) each.

    step : paths that are drawn together, 2 of antithetic pairs; the error is that of the means of such runs. NaN of fewer than two runs.
    """
    mean, error, room = row_means(values), np.empty(len(values)), np.empty(values.shape[1])
    for g in range(len(values)):
        error[g] = _error(values[g], mean[g], step, room)
    return mean, error


@compiled
def _above(values: Floats, bar: float) -> int:
    count = 0
    for p in range(values.size):
        count += values[p] > bar
    return count


@compiled
def _bar(values: Floats, most: int, mean: float, spread: float) -> float:
    """What at least `most` of the values (n_paths,), which are not negative, are above, and not many more where that takes few steps; 0
    where fewer are above zero, and -1 where nothing is found. To count what is above a bar takes a tenth of putting values in order."""
    low, high = -1.0, np.inf
    n_low, n_high = values.size, 0
    bar = mean + 1.5 * spread
    for _ in range(_STEPS):
        n = _above(values, bar)
        if n < most:
            high, n_high = bar, n
        else:
            low, n_low = bar, n
            if n <= most + most // 4 + 8:
                return low
        if high == np.inf:
            bar += 0.5 * spread
        elif low < 0.0:
            if high == 0.0:
                return 0.0
            bar = max(bar - 0.5 * spread, 0.0)
        else:
            # where the count would be in a straight line, not too near to either end
            part = (n_low - most * 1.125) / (n_low - n_high)
            bar = low + min(max(part, 0.1), 0.9) * (high - low)
        if bar in (low, high):
            return low
    return low


@compiled
def _greatest(values: Floats, most: int, mean: float, spread: float, room: Floats, ordered: Floats) -> None:
    """Writes the `most` greatest of the values (n_paths,), which are not negative, to `ordered`, the greatest first.

    mean, spread : of the values, from which it is guessed how great those are; they change no bit. room, ordered : (n_paths,).
    """
    bar, n = _bar(values, most, mean, spread), 0
    for p in range(values.size):
        room[n] = values[p]
        n += values[p] > bar
    ordered[n:most] = 0.0  # no more are above zero
    if n > _FEW:
        room[:n].sort()
        ordered[:n] = room[:n][::-1]
        return
    ordered[:n] = -1.0
    for i in range(n):
        x = room[i]
        ordered[_above(room[:n], x)] = x
    for i in range(1, n):  # of equals the first alone has been written
        if ordered[i] < 0.0:
            ordered[i] = ordered[i - 1]


class ProfileRanks(NamedTuple):
    """How figures of a date are read from n paths. step : see `means`. places : (n_levels, 3) ranks from the greatest, 1 first: that of the
    level, and those one standard deviation of it above and below; deviation : (n_levels,). deepest : the last of all ranks."""

    step: int
    places: Ints
    deviation: Floats
    deepest: int


def profile_ranks(n: int, levels: list[Fraction], step: int) -> ProfileRanks:
    """Of levels of potential future exposure on n paths."""
    places = np.zeros((len(levels), 3), np.int64)
    deviation = np.array([math.sqrt(n * float(a) * (1.0 - float(a))) for a in levels], np.float64)
    for i, (level, wide) in enumerate(zip(levels, deviation.tolist(), strict=True)):
        k = var_rank(n, level)
        places[i] = k, max(1, math.floor(k - wide)), min(n, math.ceil(k + wide))
    return ProfileRanks(step, places, deviation, int(places[:, 2].max(initial=1)))


@compiled
def _quantiles(
    values: Floats,
    mean: float,
    spread: float,
    read: ProfileRanks,
    room: Floats,
    ordered: Floats,
    found: Floats,
    error: Floats,
) -> None:
    """Of one row of values, see `quantiles`; found, error : (n_levels,)."""
    if not math.isfinite(mean):
        found[:], error[:] = np.nan, np.nan
        return
    _greatest(values, read.deepest, mean, spread, room, ordered)
    for i in range(len(read.places)):
        k, above, below = read.places[i]
        found[i] = ordered[k - 1]
        wide = (ordered[above - 1] - ordered[below - 1]) / max(below - above, 1)
        error[i] = read.deviation[i] * wide if below > above else np.nan


@compiled
def _all_quantiles(values: Floats, read: ProfileRanks, found: Floats, errors: Floats) -> None:
    room, ordered = np.empty(values.shape[1]), np.empty(values.shape[1])
    for g in range(len(values)):
        mean = row_mean(values[g])
        spread = _error(values[g], mean, 1, room) * math.sqrt(values.shape[1])
        _quantiles(values[g], mean, spread, read, room, ordered, found[:, g], errors[:, g])


def quantiles(values: Floats, levels: list[Fraction]) -> tuple[Floats, Floats]:
    """Potential future exposure at each level, and its standard error, each (n_levels, n_groups).

    The exposure at the level is the k-th greatest, k = ceil(n (1 - level)) exactly, as a VaR of these losses. Its error is half the
    distance of the order statistics one binomial standard deviation of the rank to either side, scaled to it where ranks round
    (Woodruff 1952; David and Nagaraja, *Order Statistics*, section 7.1). Where the greatest exposure is less than a deviation away the
    distance stops there.
    """
    found, errors = np.empty((len(levels), len(values))), np.empty((len(levels), len(values)))
    _all_quantiles(np.ascontiguousarray(values), profile_ranks(values.shape[1], levels, 1), found, errors)
    return found, errors


class OverTime(NamedTuple):
    """Averages over time path by path, from which standard errors of averages are read: all_dates, first_year (n_groups, n_paths).
    effective : (n_groups,) expected exposure so far, greatest : (n_groups, n_paths) what it is the mean of."""

    all_dates: Floats
    first_year: Floats
    effective: Floats
    greatest: Floats


class At(NamedTuple):
    """A date. column : of the figures. discount : (n_paths,). weight : in the average over all dates, in_year : over the first year."""

    column: int
    discount: Floats
    weight: float
    in_year: float


@compiled
def row_figures(
    g: int,
    positive: Floats,
    negative: Floats,
    at: At,
    read: ProfileRanks,
    over: OverTime,
    room: Floats,
    ordered: Floats,
    by_date: Floats,
    pfe: Floats,
    pfe_error: Floats,
) -> None:
    """Writes the figures of group g at a date, and adds to those over time.

    positive, negative : (n_paths,) what is lost at a default of the counterparty, and of us. room, ordered : (n_paths,), overwritten.
    by_date : (5, n_groups, n_columns) expected exposure, its error, that to us, its error, discounted expected exposure. pfe, pfe_error :
    (n_levels, n_groups, n_columns).
    """
    n, j = positive.size, at.column
    ee, ene = row_mean(positive), row_mean(negative)
    error = _error(positive, ee, read.step, room)
    by_date[0, g, j], by_date[1, g, j] = ee, error
    by_date[2, g, j], by_date[3, g, j] = ene, _error(negative, ene, read.step, room)
    by_date[4, g, j] = row_dot(positive, at.discount) / n
    _quantiles(positive, ee, error * math.sqrt(n), read, room, ordered, pfe[:, g, j], pfe_error[:, g, j])
    sums = over.all_dates[g]
    for p in range(n):
        sums[p] += at.weight * positive[p]
    if at.in_year > 0.0:
        greatest, year = over.greatest[g], over.first_year[g]
        if ee > over.effective[g]:
            over.effective[g] = ee
            greatest[:] = positive
        for p in range(n):
            year[p] += at.in_year * greatest[p]


@compiled
def figures(
    first: int,
    positive: Floats,
    negative: Floats,
    at: At,
    read: ProfileRanks,
    over: OverTime,
    by_date: Floats,
    pfe: Floats,
    pfe_error: Floats,
) -> None:
    """Of the groups from the first on; positive, negative : (n, n_paths) of them. The rest as `row_figures`."""
    room, ordered = np.empty(positive.shape[1]), np.empty(positive.shape[1])
    for i in range(len(positive)):
        row_figures(first + i, positive[i], negative[i], at, read, over, room, ordered, by_date, pfe, pfe_error)


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


def effective(expected: Floats) -> Floats:
    """Effective expected exposure at each date, of expected exposure (n_groups, n_dates) with today first: the greatest up to it."""
    return np.asarray(np.maximum.accumulate(expected, axis=1))


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
