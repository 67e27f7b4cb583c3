"""Benchmark of incremental CVA and BA-CVA: one new trade on a book of 100,000, from values that are kept.

CVA: the new contract's values along the paths are taken as made, the netting set's value is kept, and the netting set is passed over once
before the change and once after. BA-CVA: exposure at default of the netting set by SA-CCR is given; the sums over all counterparties are
updated and not added anew.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np

from aggregation.exposure.cva_figures import date_weights
from aggregation.exposure.cva_what_if import SetPaths, kept_set, one_set_figures
from aggregation.exposure.default_curves import DefaultCurve, DefaultCurves
from aggregation.exposure.path_values import GivenPaths, PathValues
from aggregation.kernels import ba_cva
from lake.arrays import Floats
from service.bench.harness import VALUATION_DATE, Row, row, seconds
from service.bench.made_paths import made_paths, margined

_BAR = 0.05  # seconds
_TRADES, _CONTRACTS, _DATES, _PATHS, _SETS = 100_000, 1_000, 60, 1_000, 200


def bench_cva(trades: int = _TRADES, contracts: int = _CONTRACTS) -> list[Row]:
    """Rows of incremental CVA and incremental BA-CVA of one new trade, each against 50 ms."""
    paths, _ = made_paths(contracts, _PATHS, _DATES)
    along, sets = margined(paths, _SETS, trades)
    weights = _weights(paths)
    kept, new = kept_set(along, 0), SetPaths(1.0, np.ascontiguousarray(_of(paths)))
    first_time = seconds(lambda: kept_set(along, 0))

    before = one_set_figures(along, sets, 0, kept, weights)  # kept as well

    def incremental() -> Floats:
        return one_set_figures(along, sets, 0, kept.plus(new), weights) - before

    assert np.isfinite(incremental()).all()
    size = f"{trades:,} trades, {_SETS} margined netting sets, {_DATES} dates x {_PATHS:,} paths"
    return [
        row(
            f"incremental CVA of a new trade, its values made: {size}",
            seconds(incremental),
            "s",
            "the bar",
            _BAR,
            "<= 1",
        ),
        row(
            f"the netting set's value on the paths, once for all its changes: {size}",
            first_time,
            "s",
            "the bar",
            _BAR,
            "<= 4",
        ),
        row(
            f"incremental BA-CVA of a new trade: {_TRADES // 10:,} counterparties",
            seconds(_ba_cva()),
            "s",
            "the bar",
            _BAR,
            "<= 1",
        ),
    ]


def _of(paths: PathValues) -> Floats:
    assert isinstance(paths.source, GivenPaths)
    found: Floats = paths.source.all_values[:, 0]
    return found


def _weights(paths: PathValues) -> Floats:
    """Of a flat hazard rate of 2% on either side."""
    times = np.array([0.0, *((d - VALUATION_DATE) / dt.timedelta(days=365) for d in paths.dates)])
    curve = DefaultCurve("c", "c", 0.6, -0.02 * times[:, None])
    found: Floats = date_weights(DefaultCurves({"c": curve}, {}, 1), ["c"], ["c"], len(times)).figures[0]
    return found


def _ba_cva() -> Callable[[], float]:
    """K after one counterparty's exposure has changed, from sums that are kept."""
    rules = ba_cva.Formula(0.5, 1.4, 0.25, 0.05)
    scva = np.random.default_rng(1).random(_TRADES // 10) * 1e5
    sums = ba_cva.Sums.of(scva)

    def changed() -> float:
        factor = ba_cva.discount_factors(np.array([3.0]), rules.discount_rate)
        after = scva[7] + float(ba_cva.standalone(np.array([0.05]), 1e5 * 3.0 * factor, rules.alpha)[0])
        return sums.replaced(float(scva[7]), after).capital(rules) - sums.capital(rules)

    return changed
