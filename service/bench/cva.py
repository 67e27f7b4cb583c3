"""Benchmark of incremental CVA and BA-CVA: one new trade on a book of 100,000, from values that are kept.

CVA: the new contract's values along the paths are taken as made (a row of its own says what making them takes for an option), the netting
set's value is kept, and the netting set is passed over once before the change and once after. BA-CVA: exposure at default of the netting
set by SA-CCR is given; the sums over all counterparties are updated and not added anew.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from aggregation.book.book import Book, PositionColumn
from aggregation.exposure.along_paths import Along
from aggregation.exposure.cva_figures import date_weights
from aggregation.exposure.cva_what_if import SetPaths, kept_set, one_set_figures
from aggregation.exposure.default_curves import DefaultCurve, DefaultCurves
from aggregation.exposure.netting_sets import NettingSets
from aggregation.exposure.path_values import GivenPaths, PathValues
from aggregation.exposure.reference import Agreement
from aggregation.exposure.scope import business_day_before
from aggregation.kernels import ba_cva
from lake.arrays import Floats
from service.bench.harness import VALUATION_DATE, Row, row, seconds

_BAR = 0.05  # seconds
_LAG, _CURRENCIES = 10, ("EUR", "JPY", "USD")
_TRADES, _CONTRACTS, _DATES, _PATHS, _SETS = 100_000, 1_000, 60, 1_000, 200


def bench_cva(trades: int = _TRADES, contracts: int = _CONTRACTS) -> list[Row]:
    """Rows of incremental CVA and incremental BA-CVA of one new trade, each against 50 ms."""
    paths, _ = _paths(contracts, _PATHS, _DATES)
    book, sets = _book(paths, _SETS, trades)
    lags = [_LAG] * _SETS
    everything = np.ones(_SETS, np.bool_)
    along = Along(
        paths, book, sets, "USD", lambda _: 1.0, lags, everything, business_day_before, np.ones(_DATES, np.bool_)
    )
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


def _paths(n_contracts: int, n_paths: int, n_dates: int) -> tuple[PathValues, Floats]:
    """Random walks of a value each, and the array that holds them, (n_dates, n_contracts, n_paths)."""
    rng = np.random.default_rng(1)
    values = np.empty((n_dates, n_contracts, n_paths))
    walk = np.zeros((n_contracts, n_paths))
    for k in range(n_dates):
        walk += rng.standard_normal((n_contracts, n_paths))
        values[k] = walk
    shape = (n_dates, n_paths)
    spots = {c: np.exp(0.01 * rng.standard_normal(shape)) for c in _CURRENCIES}
    spots["USD"] = np.ones(shape)
    source = GivenPaths(values, np.broadcast_to(0.0, values.shape), spots, {"USD": np.full(shape, 0.99)}, {})
    paths = PathValues(
        as_of=VALUATION_DATE,
        dates=tuple(VALUATION_DATE + dt.timedelta(days=30 * (k + 1)) for k in range(n_dates)),
        n_paths=n_paths,
        contract_ids=pa.array([f"c{i:06}" for i in range(n_contracts)]),
        currencies=tuple(_CURRENCIES[i % len(_CURRENCIES)] for i in range(n_contracts)),
        base=rng.standard_normal(n_contracts),
        failures=(),
        receipt={},
        notes=(),
        source=source,
    )
    return paths, values


def _book(paths: PathValues, n_sets: int, n_positions: int) -> tuple[Book, NettingSets]:
    """Positions of random quantities under as many margined agreements, one a counterparty."""
    rng = np.random.default_rng(2)
    n_contracts = len(paths.contract_ids)
    contract = np.sort(
        np.concatenate([np.arange(n_contracts), rng.integers(0, n_contracts, n_positions - n_contracts)])
    )
    starts = np.searchsorted(contract, np.arange(n_contracts + 1)).astype(np.int64)
    trades = PositionColumn(np.arange(n_positions, dtype=np.int32), pa.array([f"T{i:07}" for i in range(n_positions)]))
    quantity = rng.integers(-50, 51, n_positions).astype(np.float64)
    book = Book(VALUATION_DATE, ("bench",), paths.contract_ids, starts, quantity, {"trade": trades})
    code = rng.integers(0, n_sets, n_positions).astype(np.int32)
    under = [_agreement(i) for i in range(n_sets)]
    ids = [a.agreement for a in under]
    whole = np.ones(n_sets, np.bool_)
    places = np.arange(n_positions)
    return book, NettingSets(VALUATION_DATE, places, code, ids, ids, ["Own"] * n_sets, under, whole, (), ())


def _agreement(i: int) -> Agreement:
    return Agreement(
        f"CSA-{i:04}", f"CSA-{i:04}", "Own", VALUATION_DATE, None, None, True, True, True, 100.0, 100.0, 10.0, 0.0, 0.0,
        "EUR", _LAG, 1, False,
    )  # fmt: skip
