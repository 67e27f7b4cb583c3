"""Profiles of groups of netting sets: expected and potential future exposure by date, and what they come to over time.

The exposure of a group on a path is the sum of those of its netting sets, since one does not pay for another. Figures are of that sum.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from aggregation.exposure.along_paths import Along, Exposed
from aggregation.kernels.collateral import add_to_groups
from aggregation.kernels.exposure_profile import (
    add_weighted,
    at_rank,
    discounted_means,
    effective,
    means,
    quantiles,
    raise_effective,
    time_weights,
)
from lake.arrays import Codes, Floats, Ints
from lake.runtime.machine import usable_cores
from lake.workers import each

YEAR_DAYS = 365.0  # of the times that averages are weighted with
_LEAST_GROUPS = 16  # of a thread


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
    n_groups = n_of_sets + total
    parts = along.parts()
    paths = along.paths
    days = [d for d, r in zip(paths.dates, along.reported.tolist(), strict=True) if r]
    times = np.array([(d - paths.as_of).days / YEAR_DAYS for d in days])
    n_dates, n_levels = len(days), len(asked.levels)
    by_date = {name: np.zeros((n_groups, n_dates + 1)) for name in ("value", "held", "ee", "ene", "discounted_ee")}
    errors = {name: np.zeros((n_groups, n_dates + 1)) for name in ("ee_se", "ene_se")}
    pfe, pfe_se = (np.zeros((n_levels, n_groups, n_dates + 1)) for _ in range(2))

    today = [part.today() for part in parts]
    for name, values in (("value", "value"), ("held", "held"), ("ee", "positive"), ("ene", "negative")):
        for e in today:
            into = by_date[name][:n_of_sets, 0]
            into += np.bincount(_groups_of(e, group), weights=getattr(e, values)[:, 0], minlength=n_of_sets)
        if total:
            by_date[name][-1, 0] = math.fsum(by_date[name][:-1, 0])
    by_date["discounted_ee"][:, 0] = by_date["ee"][:, 0]
    pfe[:, :, 0] = by_date["ee"][:, 0]
    if watcher is not None:
        watcher.date(today, by_date["ee"][:, 0], [np.zeros(n_groups, np.int64)] * n_levels)

    weights, year = time_weights(times), time_weights(times, asked.year)
    over_time = _OverTime(n_groups, paths.n_paths, by_date["ee"][:, 0])
    blocks = _blocks(n_groups, along.threads)
    for j, exposed in enumerate(zip(*(part.dates() for part in parts), strict=True), 1):
        positive, negative = (_summed(exposed, name, group, n_of_sets, total) for name in ("positive", "negative"))
        discount = paths.discount(exposed[0].k, along.currency)
        for name in ("value", "held"):
            for e in exposed:
                mean, _ = means(getattr(e, name), 1)
                by_date[name][:n_of_sets, j] += np.bincount(_groups_of(e, group), weights=mean, minlength=n_of_sets)
            if total:
                by_date[name][-1, j] = math.fsum(by_date[name][:-1, j])

        def figures(
            block: slice,
            positive: Floats = positive,
            negative: Floats = negative,
            discount: Floats = discount,
            j: int = j,
        ) -> None:
            some = positive[block]
            ee, error = means(some, asked.step or 1)
            by_date["ee"][block, j], errors["ee_se"][block, j] = ee, error
            by_date["ene"][block, j], errors["ene_se"][block, j] = means(negative[block], asked.step or 1)
            by_date["discounted_ee"][block, j] = discounted_means(some, discount)
            pfe[:, block, j], pfe_se[:, block, j] = quantiles(some, list(asked.levels))
            over_time.add(block, some, ee, float(weights[j - 1]), float(year[j - 1]))

        each(figures, blocks, along.threads)
        if watcher is not None:
            ranked = [np.array([at_rank(row, level) for row in positive], np.int64) for level in asked.levels]
            watcher.date(exposed, by_date["ee"][:, j], ranked)

    ee, ene = by_date["ee"], by_date["ene"]
    effective_ee = np.column_stack([ee[:, 0], *([_effective(ee)] if n_dates else [])])
    _, epe_se = means(over_time.all_dates, asked.step or 1)
    _, eepe_se = means(over_time.first_year, asked.step or 1)
    unknown = np.full(n_groups, np.nan)
    if asked.step is None:
        for table in (*errors.values(), pfe_se):
            table[..., 1:] = np.nan
    return Profile(
        (paths.as_of, *days),
        np.concatenate([[0.0], times]),
        by_date["value"],
        by_date["held"],
        ee,
        errors["ee_se"],
        ene,
        errors["ene_se"],
        effective_ee,
        by_date["discounted_ee"],
        pfe,
        pfe_se,
        averaged(ee[:, 1:], weights),
        unknown if asked.step is None else epe_se,
        averaged(ene[:, 1:], weights),
        averaged(ee[:, 1:], year),
        averaged(effective_ee[:, 1:], year),
        unknown if asked.step is None else eepe_se,
    )


def averaged(values: Floats, weights: Floats) -> Floats:
    """Sum over dates of values (n_groups, n_dates) times weights, in the order of the dates; shape (n_groups,)."""
    total = np.zeros(len(values))
    for j in range(len(weights)):
        total += weights[j] * values[:, j]
    return total


def _effective(ee: Floats) -> Floats:
    return np.array([effective(row[1:], float(row[0])) for row in ee]).reshape(len(ee), -1)


class _OverTime:
    """Averages over time path by path, from which standard errors of averages are read."""

    def __init__(self, n_groups: int, n_paths: int, today: Floats) -> None:
        self.all_dates, self.first_year = np.zeros((n_groups, n_paths)), np.zeros((n_groups, n_paths))
        self._effective = today.copy()
        # today's exposure is the same on every path
        self._greatest = np.repeat(today[:, None], n_paths, axis=1)

    def add(self, block: slice, exposure: Floats, ee: Floats, weight: float, in_year: float) -> None:
        add_weighted(exposure, weight, self.all_dates[block])
        if in_year > 0.0:
            raise_effective(exposure, ee, self._effective[block], self._greatest[block])
            add_weighted(self._greatest[block], in_year, self.first_year[block])


def _groups_of(exposed: Exposed, group: Codes) -> Codes:
    return group[exposed.first : exposed.first + len(exposed.value)]


def _summed(exposed: Sequence[Exposed], name: str, group: Codes, n_groups: int, total: bool) -> Floats:
    """An array of all netting sets by group, (n_groups, n_paths), with the total as one more row."""
    if not total and len(exposed) == 1 and n_groups == len(group) and np.array_equal(group, np.arange(n_groups)):
        alone: Floats = getattr(exposed[0], name)
        return alone
    out = np.zeros((n_groups + total, getattr(exposed[0], name).shape[1]))
    for e in exposed:
        add_to_groups(getattr(e, name), _groups_of(e, group), out)
    if total:
        add_to_groups(out[:n_groups], np.full(n_groups, n_groups, np.int32), out)
    return out


def _blocks(n_groups: int, threads: int | None) -> list[slice]:
    step = max(_LEAST_GROUPS, -(-n_groups // (4 * (threads or usable_cores()))))
    return [slice(i, min(i + step, n_groups)) for i in range(0, n_groups, step)]
