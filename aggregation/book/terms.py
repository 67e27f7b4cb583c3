"""The book of a date in the terms of another day: what corporate actions between the two have made of its quantities and contracts."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book
from aggregation.book.changes import ADDED, derive
from aggregation.dimensions import ATTRIBUTE
from lake.canonical import digest
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Snapshot
from valuation.books.corporate_actions import Held, in_terms_of

TERMS = "terms-"  # how the name of what was applied begins, among the files of the book


def book_in_terms(at: Snapshot, book: Book, terms: dt.date, *, carried: bool = False) -> Book:
    """The book in the terms of a day; itself where no corporate action of a share it holds lies between.

    A trade keeps its id. Shares of a spin-off are a position of their own, TRADE/ID; unless the book is
    `carried` to that day: what it is given on the way is then cash of it, and a share that is merged keeps its name.
    """
    found = in_terms_of(at, book.contract_ids, book.positions_date, terms, carried=carried)
    if not found.adjusted:
        return dataclasses.replace(book, said=found.said) if found.said else book
    ids = book.contract_ids.to_pylist()
    place = {i: c for c, i in enumerate(ids)}
    changed = sorted(place[i] for i in found.adjusted)
    gone = np.zeros(len(ids), dtype=np.bool_)
    gone[changed] = True
    keep = np.flatnonzero(~np.repeat(gone, np.diff(book.starts)))
    added = [_positions(book, c, h) for c in changed for h in found.adjusted[ids[c]] if not (carried and h.spun_off)]
    rows = pa.concat_tables([ADDED.empty_table(), *added])
    name = f"{TERMS}{terms}-{digest(*found.said, str(carried))}"
    made, _ = derive(book, keep, book.quantity[keep], rows, (*book.files, name))
    return dataclasses.replace(made, said=found.said)


def _positions(book: Book, contract: int, held: Held) -> pa.Table:
    """The positions of a contract of the book as they are in other terms, as rows of `ADDED`."""
    rows = slice(int(book.starts[contract]), int(book.starts[contract + 1]))
    columns = {
        name: column.members.take(pa.array(column.codes[rows]))
        for name, column in book.columns.items()
        if name in DIMENSION_COLUMNS or name.startswith(ATTRIBUTE)
    }
    n = rows.stop - rows.start
    if held.spun_off:
        share = held.underlying
        columns["trade"] = pc.binary_join_element_wise(columns["trade"], share, "/")
        columns["instrument"] = pa.array([share] * n)
    # exact: a third of 300 is 100
    quantity = book.quantity[rows] * held.units.numerator / held.units.denominator
    names = [c for c in columns if c.startswith(ATTRIBUTE)]
    cells = zip(*(columns[c].to_pylist() for c in names), strict=True) if names else [()] * n
    attributes = [
        [(c.removeprefix(ATTRIBUTE), v) for c, v in zip(names, row, strict=True) if v is not None] for row in cells
    ]
    of_contract = {c: [held.row[c]] * n for c in ("contract_id", "instrument_type", "currency")}
    own = {d: columns[d] for d in DIMENSION_COLUMNS}
    maps = pa.array(attributes, ADDED.field("attributes").type)
    made = pa.table({**own, **of_contract, "quantity": quantity, "attributes": maps})
    return made.select(ADDED.names).cast(ADDED)
