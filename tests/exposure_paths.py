"""Books, netting sets and values on paths made of arrays, for tests of exposure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.book.book import Book, PositionColumn, encode
from aggregation.exposure.along_paths import Along
from aggregation.exposure.netting_sets import Balance, NettingSets
from aggregation.exposure.path_values import PathValues, given_path_values
from aggregation.exposure.reference import Agreement
from lake.arrays import Floats

TODAY = dt.date(2020, 3, 16)  # a Monday


def agreement(name: str = "A", **told: Any) -> Agreement:
    """A margined two-way agreement without threshold, called every day, whatever is not told."""
    usual: dict[str, Any] = {
        "agreement": name,
        "counterparty": f"of {name}",
        "legal_entity": "Own",
        "effective_from": dt.date(2019, 1, 1),
        "effective_to": None,
        "instrument_types": None,
        "netting": True,
        "margined": True,
        "two_way": True,
        "threshold": 0.0,
        "threshold_own": 0.0,
        "minimum_transfer_amount": 0.0,
        "independent_amount": 0.0,
        "initial_margin": 0.0,
        "currency": "USD",
        "margin_period_days": 10,
        "margin_frequency_days": 1,
        "disputed": False,
    }
    return Agreement(**{**usual, **told})


def book(trades: Sequence[Mapping[str, Any]]) -> Book:
    """Trades as rows of trade, contract and quantity; further keys are dimensions."""
    rows = sorted(trades, key=lambda t: (t["contract"], t["trade"]))
    contracts = sorted({t["contract"] for t in rows})
    names = [n for n in rows[0] if n not in ("contract", "quantity")]
    columns = {n: PositionColumn(*encode(pa.array([t.get(n) for t in rows], pa.string()))) for n in names}
    ends = np.searchsorted([t["contract"] for t in rows], contracts, side="right")
    starts = np.concatenate([[0], ends]).astype(np.int64)
    quantity = np.array([float(t["quantity"]) for t in rows])
    return Book(TODAY, ("test",), pa.array(contracts, pa.string()), starts, quantity, columns)


def netting(
    of: Book, set_of_trade: Mapping[str, str], agreements: Sequence[Agreement], balances: Sequence[Balance] = ()
) -> NettingSets:
    """Netting sets of a book: of an agreement by its name, of any other name a trade alone."""
    under = {a.agreement: i for i, a in enumerate(sorted(agreements, key=lambda a: a.agreement))}
    alone = sorted({s for s in set_of_trade.values() if s not in under})
    ids = [*under, *alone]
    trades = of.columns["trade"].members.take(pa.array(of.columns["trade"].codes)).to_pylist()
    code = np.array([ids.index(set_of_trade[t]) for t in trades], np.int32)
    known = sorted(agreements, key=lambda a: a.agreement)
    return NettingSets(
        TODAY,
        np.arange(of.n_positions),
        code,
        ids,
        [*(a.counterparty for a in known), *alone],
        [*(a.legal_entity for a in known), *("Own" for _ in alone)],
        known,
        np.ones(len(ids), np.bool_),
        tuple(balances),
        (),
    )


def paths_of(
    values: Mapping[str, Floats], dates: Sequence[dt.date], base: Mapping[str, float] | None = None, **told: Any
) -> PathValues:
    """Values (n_dates, n_paths) by contract, all in dollars unless `currencies` says otherwise by contract."""
    ids = sorted(values)
    currencies = told.pop("currencies", {})
    given = np.stack([values[i] for i in ids], axis=1)
    cash = told.pop("cash", None)
    shape = (len(dates), given.shape[2])
    return given_path_values(
        TODAY,
        dates,
        ids,
        [currencies.get(i, "USD") for i in ids],
        np.array([(base or {}).get(i, 0.0) for i in ids]),
        given,
        None if cash is None else np.stack([cash[i] for i in ids], axis=1),
        spots={"USD": np.ones(shape), **told.pop("spots", {})},
        discounts=told.pop("discounts", {"USD": np.ones(shape)}),
        **told,
    )


def business_days_before(day: dt.date, n: int) -> dt.date:
    """The weekday so many weekdays before."""
    return np.busday_offset(day, -n, roll="backward").astype(dt.date)


def along(
    paths: PathValues, of: Book, sets: NettingSets, lags: Sequence[int | None] | None = None, **told: Any
) -> Along:
    """All dates reported, everything in dollars at par unless `spot` is told."""
    usual: dict[str, Any] = {
        "currency": "USD",
        "spot": lambda _: 1.0,
        "lags": [a.margin_period_days if a.margined else None for a in sets.agreements] if lags is None else lags,
        "collateralised": np.ones(len(sets), np.bool_),
        "business_day": business_days_before,
        "reported": np.ones(len(paths.dates), np.bool_),
    }
    return Along(paths, of, sets, **{**usual, **told})
