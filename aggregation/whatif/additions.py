"""Trades that a book does not hold, as a small book of their own: with vectors of the valuation set, or valued for the question."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book
from aggregation.book.changes import ADDED, Changes, derive, find
from aggregation.book.hierarchies import with_levels
from aggregation.dimensions import ATTRIBUTE
from aggregation.opened.alignment import COVERED, FAILED, MISSING, Alignment
from aggregation.opened.inputs import Inputs
from aggregation.opened.vectors import Vectors
from aggregation.reduce.grouping import Groups
from aggregation.reduce.selection import Selection, exchange_rates, scenario_pnl
from aggregation.types import Scope
from lake.arrays import Floats, Ints
from valuation.types import PnLBlock


@dataclass(frozen=True)
class Additions:
    """Added trades upon a selection.

    book : the additions, and placeholders of quantity zero. item : (n_positions,) place of each among the rows that were added, negative
    of a placeholder. parts : the inputs with the vectors of the valuation set and, where some were, with those valued now. state :
    (n_positions,) whether each is covered, failed or missing.
    """

    book: Book
    item: Ints
    parts: tuple[Inputs, ...]
    state: Ints

    def pnl_of_each(self, n: int, currency: str, threads: int | None = None) -> Floats:
        """P&L of each of the `n` rows by itself, (n, n_scenarios), in the currency; zeros where it is not covered."""
        keep = self.item >= 0
        groups = Groups(np.where(keep, self.item, -1).astype(np.int32), pa.table({}), n)
        counts = np.ones((n + 1, 3), dtype=np.int64)
        pnl = np.zeros((n, self.parts[0].n_scenarios))
        for part in self.parts:
            selection = Selection(part, keep, groups, counts, exchange_rates(part, keep, currency))
            pnl = pnl + scenario_pnl(selection, 0, n, threads)[1]
        return pnl


def added_trades(before: Selection, query: Scope, changes: Changes, valued: PnLBlock | None) -> Additions:
    """The additions of the changes, with the vectors of the inputs of `before` and those that were `valued` for them."""
    inputs = before.inputs
    book, order = book_of_added(before, query, changes)
    known = dataclasses.replace(inputs, book=book, alignment=_aligned(book, inputs.vectors))
    parts: tuple[Inputs, ...] = (known,)
    state = known.alignment.state
    if valued is not None:
        vectors = _vectors_of(inputs.vectors, valued)
        fresh = dataclasses.replace(inputs, book=book, vectors=vectors, alignment=_aligned(book, vectors))
        parts = (known, fresh)
        state = np.where(state == MISSING, fresh.alignment.state, state)
    item = order - (len(order) - changes.added.num_rows)
    return Additions(book, item, parts, np.repeat(state, np.diff(book.starts)))


def book_of_added(before: Selection, query: Scope, changes: Changes) -> tuple[Book, Ints]:
    """The additions, and zero-quantity placeholder rows, so that filters accept the same members on both sides."""
    inputs = before.inputs
    witnesses = _witnesses(before, query)
    book, order = derive(inputs.book, witnesses, np.zeros(len(witnesses)), changes.added, ())
    if inputs.book.hierarchies:
        version = inputs.snapshot.versions.get("hierarchies", inputs.snapshot.lake.version("hierarchies"))
        book = with_levels(book, inputs.snapshot.lake.read("hierarchies", version=version))
    return book, order


def _witnesses(before: Selection, query: Scope) -> Ints:
    """A position that passes the filters, and one of every member of the levels of hierarchies they name."""
    book = before.inputs.book
    found = [np.argmax(before.keep, keepdims=True)]
    for f in query.where:
        if f.dimension not in ADDED.names and not f.dimension.startswith(ATTRIBUTE):
            found.append(np.unique(book.columns[f.dimension].codes, return_index=True)[1])
    return np.unique(np.concatenate(found)).astype(np.int64)


def _aligned(book: Book, vectors: Vectors) -> Alignment:
    """As `align`, for a small book: its contracts are looked up one by one."""
    places, there = find(vectors.contract_ids, book.contract_ids)
    failed = find(vectors.failures.column("contract_id"), book.contract_ids)[1]
    there &= ~failed
    row = np.where(there, places, -1).astype(np.int32)
    covered = np.flatnonzero(there)
    order = covered[np.argsort(vectors.currency[row[covered]], kind="stable")].astype(np.int32)
    return Alignment(row, np.where(there, COVERED, np.where(failed, FAILED, MISSING)).astype(np.int8), order)


def _vectors_of(like: Vectors, valued: PnLBlock) -> Vectors:
    """Contracts valued for this question, as vectors like those of the valuation set."""
    ids = pa.array(valued.contract_ids, pa.string())
    order = pc.sort_indices(ids).to_numpy()
    currencies = tuple(sorted(set(valued.currencies)))
    rows = np.zeros((len(ids), like.rows.shape[1]))
    rows[:, : like.n_scenarios] = valued.pnl[order]
    failures = sorted(valued.failures, key=lambda f: f.contract_id)
    return dataclasses.replace(
        like,
        contract_ids=ids.take(pa.array(order)),
        currencies=currencies,
        currency=np.array([currencies.index(valued.currencies[i]) for i in order], dtype=np.int32),
        base=valued.base[order],
        unmoved=np.zeros(len(ids), dtype=np.bool_),
        matrix=rows,
        failures=pa.record_batch(
            {name: pa.array([getattr(f, name) for f in failures], pa.string()) for name in like.failures.schema.names}
        ),
        substituted=None,
        memory_bytes=math.inf,
    )
