"""Values on paths made up for the book of a lake, in place of stored ones: for tests of what is asked and told of exposure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from aggregation.exposure.path_values import PathScope, PathValues, given_path_values
from aggregation.session import Session
from scenarios.market.base_market import BaseMarket, load_base
from valuation.books.contracts import contracts_by_id
from valuation.instruments.schedules import horizon_date
from valuation.types import ValuationFailure


def made_up(session: Session, scope: PathScope, without: Sequence[str] = ()) -> PathValues:
    """A random walk for each contract held on the day, the same whatever else is asked of its day; `without` : instrument
    types that fail."""
    ids = pc.unique(session.lake.read("positions", ["contract_id"])["contract_id"])
    rows = contracts_by_id(session.lake, ids).to_pylist()
    kept = [r for r in rows if r["instrument_type"] not in without]
    dates = sorted(horizon_date(scope.as_of, t, "weekdays") for t in scope.grid)
    values, base = [], []
    for r in kept:
        rng = np.random.default_rng(int(r["contract_id"][:8], 16) if _hex(r["contract_id"]) else len(values))
        walk = np.cumsum(rng.normal(0.0, 100.0, (400, scope.paths)), axis=0)
        base.append(float(rng.normal(0.0, 500.0)))
        values.append([base[-1] + walk[min(np.busday_count(scope.as_of, d), 399)] for d in dates])
    market = load_base(session.lake.snapshot(), scope.as_of, "XNYS", 3)
    currencies = sorted({r["currency"] for r in kept} | {"USD", "EUR"})
    shape = (len(dates), scope.paths)
    spots = {c: np.full(shape, price(market, c)) for c in currencies}
    return given_path_values(
        scope.as_of,
        dates,
        [r["contract_id"] for r in kept],
        [r["currency"] for r in kept],
        np.array(base),
        np.array(values).transpose(1, 0, 2),
        spots=spots,
        discounts={c: np.full(shape, 0.9) for c in currencies},
        failures=[
            ValuationFailure(r["contract_id"], r["instrument_type"], "not ageable", "It cannot be aged")
            for r in rows
            if r["instrument_type"] in without
        ],
    )


def _hex(text: str) -> bool:
    return all(c in "0123456789abcdef" for c in text[:8])


def price(market: BaseMarket, currency: str) -> float:
    """Dollars for one unit today."""
    found = 1.0
    for factor, power in market.index.fx_path(currency, "USD"):
        found *= float(market.base[market.index.row[factor]]) ** power
    return found
