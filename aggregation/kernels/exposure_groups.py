"""Kernel: figures of exposure of groups of netting sets at some dates, a set at a time while its paths are in the nearest memory.

A set is netted, its collateral called, what is left found, and read, before the next: of all sets nothing is kept but the balances and the
sums over time. Each step is the one that `along_paths` takes for all sets, so that the bits are the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aggregation.kernels.collateral import Agreements, call, leave
from aggregation.kernels.exposure_profile import At, OverTime, ProfileRanks, row_figures, row_mean
from aggregation.kernels.netted_sums import add_run
from lake.arrays import Codes, Floats, Ints
from lake.compiled import compiled


class Netted(NamedTuple):
    """Positions: runs of entries, see `netted_sums.set_values`. of_set : (n_sets + 1,) runs of each set."""

    row: Codes
    quantity: Floats
    starts: Ints
    currency: Codes
    of_set: Ints


class GroupedSets(NamedTuple):
    """sets : netting sets by group, in a group in their order; those of a group from starts[g] to starts[g + 1]. together : groups that
    are summed before the sums are added to the total."""

    starts: Ints
    sets: Ints
    together: int


class PathDates(NamedTuple):
    """Dates that follow one another; arrays by date.

    rows : of each date at least, the values of all contracts, (n_contracts, n_paths). fx : (n_dates, n_currencies, n_paths) price of one
    unit of the contracts' currencies, agreed : of those of the agreements. discount : (n_dates, n_paths). column : of the figures, -1 for a
    date that collateral is called on alone. weight : in the average over all dates, in_year : over the first year. before, after : slots of
    the balances before the call of the date, and of those after it. slot : (n_dates, n_margined) of those that stand against a default.
    """

    rows: tuple[Floats, ...]
    fx: Floats
    agreed: Floats
    discount: Floats
    column: Ints
    weight: Floats
    in_year: Floats
    before: Ints
    after: Ints
    slot: Ints


@compiled
def group_figures(
    first: int,
    last: int,
    groups: GroupedSets,
    netted: Netted,
    terms: Agreements,
    balances: Floats,
    dates: PathDates,
    read: ProfileRanks,
    over: OverTime,
    sums: Floats,
    means: Floats,
    by_date: Floats,
    pfe: Floats,
    pfe_error: Floats,
) -> None:
    """Figures of groups first to last - 1, see `exposure_profile.row_figures`.

    balances : (n_slots, n_margined, n_paths), see `collateral.left_over`; those after the calls are written to it. sums : (n_dates, 2,
    n_blocks, n_paths) exposure of the groups of each block, added to; without blocks where no total is asked for. means : (2, n_groups,
    n_columns) mean value of the trades, and of the collateral held.
    """
    n = dates.discount.shape[1]
    value, held, positive, negative = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    loss, gain, scratch, room, ordered = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for g in range(first, last):
        several = groups.starts[g + 1] - groups.starts[g] != 1
        for k in range(dates.column.size):
            j, rows, fx, agreed = dates.column[k], dates.rows[k], dates.fx[k], dates.agreed[k]
            if several:
                loss[:], gain[:] = 0.0, 0.0
            for s in groups.sets[groups.starts[g] : groups.starts[g + 1]]:
                value[:] = 0.0
                for r in range(netted.of_set[s], netted.of_set[s + 1]):
                    begin, end, price = netted.starts[r], netted.starts[r + 1], fx[netted.currency[r]]
                    add_run(rows, netted.row, netted.quantity, begin, end, price, scratch, value)
                m = terms.row[s]
                if m >= 0:
                    before, after = balances[dates.before[k], m], balances[dates.after[k], m]
                    call(s, terms, value, agreed, before, scratch, after)
                if j < 0:
                    continue
                leave(s, terms, value, value, balances, dates.slot[k], agreed, scratch, positive, negative, held)
                means[0, g, j] += row_mean(value)
                means[1, g, j] += row_mean(held)
                if several:
                    for p in range(n):
                        loss[p] += positive[p]
                        gain[p] += negative[p]
            if j < 0:
                continue
            ours, theirs = (loss, gain) if several else (positive, negative)
            at = At(j, dates.discount[k], dates.weight[k], dates.in_year[k])
            row_figures(g, ours, theirs, at, read, over, room, ordered, by_date, pfe, pfe_error)
            if sums.shape[2]:
                block = g // groups.together
                for p in range(n):
                    sums[k, 0, block, p] += ours[p]
                    sums[k, 1, block, p] += theirs[p]
