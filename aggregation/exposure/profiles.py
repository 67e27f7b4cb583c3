"""Profiles of groups of netting sets: expected and potential future exposure by date, and what they come to over time.

The exposure of a group on a path is the sum of those of its netting sets, since one does not pay for another. Figures are of that sum.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from aggregation.exposure.along_paths import Along, Exposed, Part
from aggregation.exposure.collateral import Balances
from aggregation.kernels.collateral import add_to_groups
from aggregation.kernels.exposure_groups import GroupedSets, PathDates, group_figures
from aggregation.kernels.exposure_profile import (
    At,
    OverTime,
    ProfileRanks,
    at_rank,
    effective,
    figures,
    means,
    profile_ranks,
    row_means,
    time_weights,
)
from lake.arrays import Codes, Floats, Ints
from lake.runtime.machine import usable_cores
from lake.workers import each, one_by_one

YEAR_DAYS = 365.0  # of the times that averages are weighted with
_LEAST_GROUPS = 16  # of a thread
_SUMS = 32  # of groups, at least, that the total is added up from, whichever threads add the groups
_LOT = 12  # dates that a thread takes together
_UNEVEN = 1.25  # so much more one thread may have to do than the mean of all


@dataclass(frozen=True)
class Profile:
    """Figures of n_groups groups; those by date (n_groups, n_dates) with today first, `pfe` (n_levels, n_groups, n_dates).

    dates, times : of the columns, times in years of 365 days. value : mean value of the trades; held : mean collateral that counts against
    our exposure; ee, ene : expected exposure to the counterparty, and of it to us, not negative; effective_ee : non-decreasing;
    discounted_ee : mean of the discounted exposure, which is its price. Over all dates: epe, the time-weighted mean of ee, and enpe, of
    ene. Over the first year: epe_year, and eepe, of effective_ee. Columns that end in _se are standard errors, NaN where one
    is not defined.
    """

    dates: tuple[dt.date, ...]
    times: Floats
    value: Floats
    held: Floats
    ee: Floats
    ee_se: Floats
    ene: Floats
    ene_se: Floats
    effective_ee: Floats
    discounted_ee: Floats
    pfe: Floats
    pfe_se: Floats
    epe: Floats
    epe_se: Floats
    enpe: Floats
    epe_year: Floats
    eepe: Floats
    eepe_se: Floats


class Watcher(Protocol):
    """What looks at every date beside the figures, such as contributions."""

    def date(self, exposed: Sequence[Exposed], ee: Floats, ranked: Sequence[Ints]) -> None:
        """A date, the parts of the netting sets in order, the expected exposure of the groups and the path at each level, (n_groups,)."""
        ...


@dataclass(frozen=True)
class Asked:
    """What figures are asked for. levels : of PFE. step : paths drawn together, see `kernels.exposure_profile.means`; None where the paths
    have no standard error. year : length of the first year in years, as the averages over it count it."""

    levels: tuple[Fraction, ...]
    step: int | None
    year: float


def profile(
    along: Along, group: Codes, n_of_sets: int, asked: Asked, watcher: Watcher | None = None, *, total: bool = False
) -> Profile:
    """The figures of the groups; group : (n_sets,) of each netting set, n_of_sets : how many groups they are in.

    total : one more group, the last, of all together. Sums run over the sets in their order, then over the paths.
    """
    read = profile_ranks(along.paths.n_paths, list(asked.levels), asked.step or 1)
    made = _ProfileSoFar(along, read, asked.year, group, n_of_sets, total)
    shares = None if watcher is not None or along.flows != "paid" else _shares(along, group, n_of_sets)
    if shares is None:
        _date_by_date(made, asked, watcher)
    else:
        _group_by_group(made, *shares)
    return made.profile(with_errors=asked.step is not None)


class _ProfileSoFar:
    """What is known of the groups so far; columns with today first."""

    def __init__(
        self, along: Along, read: ProfileRanks, year: float, group: Codes, n_of_sets: int, total: bool
    ) -> None:
        self.along, self.read, self.group, self.n_of_sets, self.total = along, read, group, n_of_sets, total
        self.n = n_of_sets + total
        paths = along.paths
        self.days = [d for d, r in zip(paths.dates, along.reported.tolist(), strict=True) if r]
        self.times = np.array([(d - paths.as_of).days / YEAR_DAYS for d in self.days])
        self.weights, self.year = time_weights(self.times), time_weights(self.times, year)
        shape, n_levels = (self.n, len(self.days) + 1), len(read.deviation)
        self.means = np.zeros((2, *shape))
        self.by_date = np.zeros((5, *shape))
        self.ee, self.ene = self.by_date[0], self.by_date[2]
        self.pfe, self.pfe_error = np.zeros((n_levels, *shape)), np.zeros((n_levels, *shape))

    def begin(self, today: Sequence[Exposed]) -> None:
        """Reads today's exposure, the same on every path."""
        for into, values in (
            (self.means[0], "value"),
            (self.means[1], "held"),
            (self.ee, "positive"),
            (self.ene, "negative"),
        ):
            for e in today:
                self.add(into, 0, e, getattr(e, values)[:, 0])
            self.add_up(into, 0)
        self.by_date[4, :, 0] = self.pfe[:, :, 0] = self.ee[:, 0]
        all_dates, first_year = (np.zeros((self.n, self.along.paths.n_paths)) for _ in range(2))
        greatest = np.repeat(self.ee[:, :1], self.along.paths.n_paths, axis=1)
        self.over = OverTime(all_dates, first_year, self.ee[:, 0].copy(), greatest)

    def at(self, k: int, j: int) -> At:
        """Date k of the paths, the j-th that is reported, today being 0."""
        discount = np.ascontiguousarray(self.along.paths.discount(k, self.along.currency))
        return At(j, discount, float(self.weights[j - 1]), float(self.year[j - 1]))

    def add(self, into: Floats, j: int, exposed: Exposed, of_sets: Floats) -> None:
        """Adds (n_sets,) to the groups' column j, set after set."""
        into[: self.n_of_sets, j] += np.bincount(_groups_of(exposed, self.group), of_sets, self.n_of_sets)

    def add_up(self, into: Floats, j: int) -> None:
        """The total of column j, where it is asked for."""
        if self.total:
            into[-1, j] = math.fsum(into[:-1, j])

    def read_rows(self, first: int, positive: Floats, negative: Floats, at: At) -> None:
        """Figures of the groups from the first on; positive, negative : (n, n_paths) of them."""
        figures(first, positive, negative, at, self.read, self.over, self.by_date, self.pfe, self.pfe_error)

    def read_total(self, dates: PathDates, sums: Floats) -> None:
        """Figures of all groups together; sums : see `exposure_groups.group_figures`."""
        for k, j in enumerate(dates.column.tolist()):
            if j < 0:
                continue
            for into in self.means:
                self.add_up(into, j)
            positive, negative = (_added(blocks) for blocks in sums[k])
            at = At(j, dates.discount[k], dates.weight[k], dates.in_year[k])
            self.read_rows(self.n_of_sets, positive, negative, at)

    def profile(self, *, with_errors: bool) -> Profile:
        ee, ene, step, n = self.ee, self.ene, self.read.step, self.n
        effective_ee = effective(ee)
        unknown = np.full(n, np.nan)
        epe_se, eepe_se = (means(v, step)[1] if with_errors else unknown for v in self.over[:2])
        if not with_errors:
            for table in (self.by_date[1], self.by_date[3], self.pfe_error):
                table[..., 1:] = np.nan
        return Profile(
            (self.along.paths.as_of, *self.days),
            np.concatenate([[0.0], self.times]),
            self.means[0],
            self.means[1],
            ee,
            self.by_date[1],
            ene,
            self.by_date[3],
            effective_ee,
            self.by_date[4],
            self.pfe,
            self.pfe_error,
            averaged(ee[:, 1:], self.weights),
            epe_se,
            averaged(ene[:, 1:], self.weights),
            averaged(ee[:, 1:], self.year),
            averaged(effective_ee[:, 1:], self.year),
            eepe_se,
        )


def _date_by_date(made: _ProfileSoFar, asked: Asked, watcher: Watcher | None) -> None:
    """All netting sets at a date, then their groups."""
    along = made.along
    parts = along.parts()
    today = [part.today() for part in parts]
    made.begin(today)
    if watcher is not None:
        watcher.date(today, made.ee[:, 0], [np.zeros(made.n, np.int64) for _ in asked.levels])
    blocks = _blocks(made.n, along.threads)
    for j, exposed in enumerate(zip(*(part.dates() for part in parts), strict=True), 1):
        positive, negative = (_summed(exposed, name, made) for name in ("positive", "negative"))
        at = made.at(exposed[0].k, j)
        for into, name in zip(made.means, ("value", "held"), strict=True):
            for e in exposed:
                made.add(into, j, e, row_means(getattr(e, name)))
            made.add_up(into, j)

        def some(rows: slice, positive: Floats = positive, negative: Floats = negative, at: At = at) -> None:
            made.read_rows(rows.start, positive[rows], negative[rows], at)

        each(some, blocks, along.threads)
        if watcher is not None:
            ranked = [np.array([at_rank(row, a) for row in positive], np.int64) for a in asked.levels]
            watcher.date(exposed, made.ee[:, j], ranked)


def _shares(along: Along, group: Codes, n: int) -> tuple[Part, GroupedSets, list[tuple[int, int]]] | None:
    """GroupedSets first to last - 1 of each thread, of about as many entries each.

    None where one thread would have much more to do than another, or a date's values are too many to be read at once.
    """
    threads = along.threads or usable_cores()
    part = along.whole()
    if not part.netting.at_once or not n:
        return None
    order = np.argsort(group, kind="stable").astype(np.int64)
    starts = np.searchsorted(group[order], np.arange(n + 1)).astype(np.int64)
    entries = np.bincount(group[part.netting.of_set], minlength=n) + 1
    together = _together(n)
    until = np.concatenate([[0], np.cumsum(entries)])[np.append(np.arange(0, n, together), n)]
    blocks = np.searchsorted(until, np.linspace(0, until[-1], threads + 1)).tolist()
    most = max(until[b] - until[a] for a, b in itertools.pairwise(blocks))
    if most * threads > _UNEVEN * until[-1]:
        return None
    bounds = [min(b * together, n) for b in blocks]
    return part, GroupedSets(starts, order, together), list(itertools.pairwise(bounds))


def _group_by_group(made: _ProfileSoFar, part: Part, groups: GroupedSets, shares: list[tuple[int, int]]) -> None:
    """The same a group at a time, by several threads; what the next dates need is made ready meanwhile."""
    along, terms, balances = made.along, part.terms.agreements, part.balances()
    made.begin([part.today()])
    netted, lots = part.netting.netted(), _lots(made, part, balances)
    n_blocks = -(-made.n_of_sets // groups.together) if made.total else 0

    def start(dates: PathDates) -> tuple[PathDates, Floats, Iterator[None]]:
        sums = np.zeros((len(dates.column), 2, n_blocks, along.paths.n_paths))

        def share(some: tuple[int, int]) -> None:
            group_figures(
                *some,
                groups,
                netted,
                terms,
                balances.all,
                dates,
                made.read,
                made.over,
                sums,
                made.means,
                made.by_date,
                made.pfe,
                made.pfe_error,
            )

        return dates, sums, one_by_one(share, shares, along.threads)

    running = None
    for dates in itertools.chain(lots, [None]):
        if running is not None:
            done, sums, results = running
            deque(results, maxlen=0)
            if made.total:
                made.read_total(done, sums)
        running = None if dates is None else start(dates)


def _lots(made: _ProfileSoFar, part: Part, balances: Balances) -> Iterator[PathDates]:
    """The dates of the paths, so many at a time that two lots are in memory together."""
    along, margined = made.along, len(part.terms.lag) > 0
    ks = np.flatnonzero(along.reported | margined)
    column = np.where(along.reported, np.cumsum(along.reported), -1)[ks]
    weight, in_year = (np.append(w, 0.0)[column - 1] for w in (made.weights, made.year))
    slots = [(*(balances.begin(k) if margined else (0, 0)), balances.looked_back(k)[0]) for k in ks.tolist()]
    before, after, slot = (np.array(x, np.int64) for x in zip(*slots, strict=True)) if slots else (ks, ks, ks)
    step = min(max(part.netting.at_once // 2, 1), _LOT)
    for first in range(0, len(ks), step):
        here = slice(first, first + step)
        some = ks[here].tolist()
        rows = [np.ascontiguousarray(along.paths.values(k)) for k in some]
        yield PathDates(
            tuple(rows + rows[-1:] * (_LOT - len(rows))),
            np.stack([part.netting.fx(k, along.currency) for k in some]),
            np.stack([balances.fx(k) for k in some]),
            np.stack([along.paths.discount(k, along.currency) for k in some]),
            column[here],
            weight[here],
            in_year[here],
            before[here],
            after[here],
            slot[here],
        )


def averaged(values: Floats, weights: Floats) -> Floats:
    """Sum over dates of values (n_groups, n_dates) times weights, in the order of the dates; shape (n_groups,)."""
    total = np.zeros(len(values))
    for j in range(len(weights)):
        total += weights[j] * values[:, j]
    return total


def _together(n: int) -> int:
    """How many of n groups are added up before their sum is added to the total."""
    return max(1, n // _SUMS)


def _groups_of(exposed: Exposed, group: Codes) -> Codes:
    return group[exposed.first : exposed.first + len(exposed.value)]


def _summed(exposed: Sequence[Exposed], name: str, made: _ProfileSoFar) -> Floats:
    """An array of all netting sets by group, (n_groups, n_paths), with the total as one more row."""
    n, group = made.n_of_sets, made.group
    if not made.total and len(exposed) == 1 and n == len(group) and np.array_equal(group, np.arange(n)):
        alone: Floats = getattr(exposed[0], name)
        return alone
    out = np.zeros((made.n, made.along.paths.n_paths))
    for e in exposed:
        add_to_groups(getattr(e, name), _groups_of(e, group), out)
    if made.total:
        step = _together(n)
        out[-1] = _added(np.concatenate([_added(out[i : min(i + step, n)]) for i in range(0, n, step)]))[0]
    return out


def _added(rows: Floats) -> Floats:
    """The sum of the rows, one after the other, (1, n_paths)."""
    out = np.zeros((1, rows.shape[1]))
    add_to_groups(rows, np.zeros(len(rows), np.int32), out)
    return out


def _blocks(n_groups: int, threads: int | None) -> list[slice]:
    step = max(_LEAST_GROUPS, -(-n_groups // (threads or usable_cores())))
    return [slice(i, min(i + step, n_groups)) for i in range(0, n_groups, step)]
