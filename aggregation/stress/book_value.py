"""A book valued in full under any market, without storing a vector: what searches over scenarios call again and again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.filters import select
from aggregation.opened.opened_lake import VectorCache
from aggregation.reduce.grouping import group_by
from aggregation.reduce.netting import net_quantities
from aggregation.types import Filter
from lake.arrays import Floats
from lake.errors import BadInput
from lake.tables import Snapshot
from scenarios.kernels.currency import converted_pnl
from scenarios.types import FactorIndex
from valuation.batch import reported, value_batch
from valuation.books.contracts import contracts_by_id
from valuation.catalogue import factors_of, terms_from_json
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import Contract, ValuationFailure

_CELLS = 4_000_000  # contracts x scenarios valued at once: 32 MB


@dataclass(frozen=True)
class BookValue:
    """Net positions of a selection of a book on the base market of `index` and `base`, reported in one currency.

    contracts : sorted by id; quantity : (n_contracts,) net units. reads : rows of the
    risk factors that any of them, or the conversion, reads. failures : contracts that have no value, which are in no figure.
    """

    valuation_date: dt.date
    index: FactorIndex
    base: Floats
    currency: str
    contracts: tuple[Contract, ...]
    currencies: tuple[str, ...]
    quantity: Floats
    reads: tuple[int, ...]
    failures: tuple[ValuationFailure, ...]
    positions: int
    covered: int

    def pnl(self, levels: Floats) -> Floats:
        """P&L (n_scenarios,) in the reporting currency under `levels` (n_factors, n_scenarios), gains positive.

        NaN in a scenario in which any contract has no finite value. Contracts are added in their order.
        """
        n = levels.shape[1]
        total = np.zeros(n)
        step = max(1, _CELLS // (n + 1))
        market = ScenarioMarket(self.valuation_date, self.index, self.base, levels)
        for first in range(0, len(self.contracts), step):
            block = value_batch(self.contracts[first : first + step], market)
            if block.failures:
                if n == 1:
                    return np.array([np.nan])
                return np.concatenate([self.pnl(levels[:, s : s + 1]) for s in range(n)])
            for i, (base, pnl) in enumerate(zip(block.base, block.pnl, strict=True), first):
                fx = market.fx(self.currencies[i], self.currency)
                total += self.quantity[i] * converted_pnl(base, pnl, fx[1:], fx[0])
        return total


def open_book(
    snapshot: Snapshot,
    cache: VectorCache,
    valuation_date: dt.date,
    positions_date: dt.date,
    where: Sequence[Filter],
    currency: str,
    index: FactorIndex,
    base: Floats,
) -> BookValue:
    """The selection as net positions; raises `BadInput` when none of its contracts has a value on this market."""
    book = cache.book(snapshot, positions_date, valuation_date)
    keep = select(book, where)
    _, _, net = net_quantities(book, group_by(book, (), keep).group, 1)  # of the contracts held
    counts = book.by_contract(keep)
    held = np.flatnonzero(counts)
    rows = contracts_by_id(snapshot, book.contract_ids.take(pa.array(held)))
    contracts = Contract.of(rows)
    market = ScenarioMarket(valuation_date, index, base, np.empty((len(base), 0)))
    at_base = reported(value_batch(contracts, market), contracts, index, currency)
    if not at_base.contract_ids:
        first = at_base.failures[0]
        raise BadInput(
            f"No contract of the selection has a value: {len(contracts)} failed, the first with: {first.message}"
        )
    valued = pc.is_in(rows["contract_id"], value_set=pa.array(at_base.contract_ids)).to_numpy()
    moving = valued & (net != 0.0)
    picked = [c for c, m in zip(contracts, moving, strict=True) if m]
    of = dict(zip(at_base.contract_ids, at_base.currencies, strict=True))
    currencies = tuple(of[c.contract_id] for c in picked)
    read = {leg for c in set(currencies) for leg, _ in index.fx_path(c, currency)}
    for _, kind, terms in picked:
        read.update(factors_of(terms_from_json(kind, terms), index, valuation_date))
    return BookValue(
        valuation_date,
        index,
        base,
        currency,
        tuple(picked),
        currencies,
        net[moving],
        tuple(sorted(index.row[f] for f in read)),
        at_base.failures,
        int(keep.sum()),
        int(counts[held][valued].sum()),
    )
