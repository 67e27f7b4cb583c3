"""Whether an answer rests on market data that was generated and never observed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from aggregation.book.filters import select
from aggregation.session import Session
from scenarios.market.history import load_factors
from valuation.batch import factors_read
from valuation.books.contracts import contracts_by_id
from valuation.types import Contract

MOST_CONTRACTS = 20_000  # whose terms are looked into, half a second or so


def rests_on_synthetic(session: Session, books: Sequence[dt.date], query: Any) -> bool:
    """Whether a contract that the filters of the query leave in the books, or its currency, reads a synthetic factor.

    Where it is of other contracts too, by a branch or a change, or of very many, it is whether the lake holds any.
    """
    snapshot = session.lake.snapshot()
    marked = snapshot.read("risk_factors", ["risk_factor_id", "synthetic"]).to_pylist()
    synthetic = {f["risk_factor_id"] for f in marked if f["synthetic"]}
    if len(synthetic) in (0, len(marked)) or _adds(query):
        return bool(synthetic)
    held: set[str] = set()
    for day in books:
        book = session.cache.book(snapshot, day)
        kept = np.add.reduceat(select(book, query.where).astype(np.int64), book.starts[:-1])
        held.update(book.contract_ids.take(pa.array(np.flatnonzero(kept))).to_pylist())
        if len(held) > MOST_CONTRACTS:
            return True
    index = load_factors(snapshot)
    rows = contracts_by_id(snapshot, pa.array(sorted(held), pa.string()))
    currencies = set(rows["currency"].to_pylist())
    converted = currencies - index.without_rate(currencies, query.currency).keys()
    read = {leg for c in converted for leg, _ in index.fx_path(c, query.currency)}
    for day in {min(books), max(books)}:
        read |= factors_read(Contract.of(rows), index, day)
    return not synthetic.isdisjoint(read)


def _adds(query: Any) -> bool:
    """Whether the answer is of contracts that are not in the books."""
    points = (query, *(getattr(query, end, None) for end in ("from_", "to")))
    return any(getattr(p, name, None) for p in points for name in ("branch", "add", "moves"))
