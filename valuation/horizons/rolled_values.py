"""What contracts are worth today and at T1, T2, ... in the base market rolled along, with the cash paid by then. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lake.arrays import Bools, Floats
from lake.workers import one_by_one
from valuation.batch import load_kernels, value_batch
from valuation.costs import Meter
from valuation.horizons.cash import cash_until
from valuation.types import Contract, Market, RolledMarkets, ValuationFailure

_CHUNK = 2048  # contracts priced together: what a thread takes at a time


@dataclass(frozen=True)
class RolledValues:
    """Per unit of each contract and in its currency: `today` (n,); `values`, `cash`, `matured` (n, n_days). cost_us : microseconds
    of a core spent on all.

    A contract that has matured is worth zero: it is its cash. One that fails on any day is NaN there, and stands among the
    failures with its first reason.
    """

    contracts: Sequence[Contract]
    currencies: Sequence[str]
    today: Floats
    values: Floats
    cash: Floats
    matured: Bools
    failures: tuple[ValuationFailure, ...]
    cost_us: float

    @property
    def covered(self) -> Bools:
        """(n,) A contract that fails anywhere counts nowhere, so that all days speak of the same contracts."""
        covered: Bools = np.isfinite(self.today) & np.isfinite(np.hstack([self.values, self.cash])).all(axis=1)
        return covered


def roll_values(
    contracts: Sequence[Contract],
    markets: RolledMarkets,
    days: Sequence[dt.date],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RolledValues:
    """Values and cash of all contracts, which are different ones; in threads, which change no bit."""
    chunks = [contracts[i : i + _CHUNK] for i in range(0, len(contracts), _CHUNK)]
    progress(0, len(chunks))
    load_kernels(contracts, markets.market(markets.market_date))
    meter = Meter()
    parts: list[RolledValues] = []
    for part in one_by_one(meter.of(lambda chunk: _chunk(chunk, markets, days)), chunks):
        parts.append(part)
        progress(len(parts), len(chunks))
    return RolledValues(
        contracts,
        [c for p in parts for c in p.currencies],
        np.concatenate([p.today for p in parts]),
        np.concatenate([p.values for p in parts]),
        np.concatenate([p.cash for p in parts]),
        np.concatenate([p.matured for p in parts]),
        tuple(f for p in parts for f in p.failures),
        meter.us,
    )


def _chunk(contracts: Sequence[Contract], markets: RolledMarkets, days: Sequence[dt.date]) -> RolledValues:
    place = {c.contract_id: i for i, c in enumerate(contracts)}
    n = len(contracts)
    currencies = [""] * n
    values, cash = np.full((n, 1 + len(days)), np.nan), np.full((n, len(days)), np.nan)
    matured = np.zeros((n, 1 + len(days)), dtype=np.bool_)
    failed: dict[str, ValuationFailure] = {}

    def price(column: int, market: Market) -> None:
        block = value_batch([c for c in contracts if c.contract_id not in failed], market)
        rows = [place[c] for c in block.contract_ids]
        values[rows, column] = block.base
        for row, currency in zip(rows, block.currencies, strict=True):
            currencies[row] = currency
        for failure in block.failures:
            if column and failure.reason == "matured":
                values[place[failure.contract_id], column] = 0.0
                matured[place[failure.contract_id], column] = True
            else:
                failed[failure.contract_id] = failure

    price(0, markets.market(markets.market_date))
    for i, day in enumerate(days):
        price(1 + i, markets.market(day))
        alive = [c for c in contracts if c.contract_id not in failed]
        paid = cash_until(alive, markets, day)
        cash[[place[c.contract_id] for c in alive], i] = paid.amounts
        failed |= {f.contract_id: f for f in paid.failures}
    return RolledValues(
        contracts,
        currencies,
        values[:, 0],
        values[:, 1:],
        cash,
        matured[:, 1:],
        tuple(failed[c] for c in sorted(failed)),
        0.0,
    )
