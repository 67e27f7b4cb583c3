"""Made up values on market paths and margined netting sets, for the benchmarks of exposure and CVA."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from aggregation.book.book import Book, PositionColumn
from aggregation.exposure.along_paths import Along
from aggregation.exposure.netting_sets import NettingSets
from aggregation.exposure.path_values import GivenPaths, PathValues
from aggregation.exposure.reference import Agreement
from aggregation.exposure.scope import business_day_before
from lake.arrays import Floats
from service.bench.harness import VALUATION_DATE

_LAG = 10  # business days of margin period
_CURRENCIES = ("EUR", "JPY", "USD")


def made_paths(n_contracts: int, n_paths: int, n_dates: int) -> tuple[PathValues, Floats]:
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


def margined(paths: PathValues, n_sets: int, n_positions: int) -> tuple[Along, NettingSets]:
    """Positions of random quantities on the paths, under as many margined agreements, in USD."""
    book, sets = _book(paths, n_sets, n_positions)
    every, dates = np.ones(n_sets, np.bool_), np.ones(len(paths.dates), np.bool_)
    return Along(paths, book, sets, "USD", lambda _: 1.0, [_LAG] * n_sets, every, business_day_before, dates), sets


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
