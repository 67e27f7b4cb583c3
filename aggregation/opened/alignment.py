"""A book against the vectors of a valuation set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book
from aggregation.opened.vectors import Vectors
from lake.arrays import Codes

COVERED, FAILED, MISSING = 0, 1, 2


@dataclass(frozen=True)
class Alignment:
    """A book against a valuation set, by contract of the book.

    row : row of the contract in the vectors, -1 where it has none. state : COVERED, FAILED or MISSING. order : the covered
    contracts by currency, then contract id.
    """

    row: Codes
    state: npt.NDArray[np.int8]
    order: Codes


def align(book: Book, vectors: Vectors) -> Alignment:
    """Finds the book's contracts among the vectors and the failures; what has failed has no vector to be used."""
    failed = _places(book.contract_ids, vectors.failures.column("contract_id")) >= 0
    row = np.where(failed, np.int32(-1), _places(book.contract_ids, vectors.contract_ids))
    state = np.where(row >= 0, COVERED, np.where(failed, FAILED, MISSING)).astype(np.int8)
    covered = np.flatnonzero(row >= 0)
    order = covered[np.argsort(vectors.currency[row[covered]], kind="stable")]
    return Alignment(row, state, order.astype(np.int32))


def _places(wanted: pa.Array, among: pa.Array) -> Codes:
    """Place of each wanted value among the others, -1 where it is not."""
    return np.asarray(pc.fill_null(pc.index_in(wanted, among), -1).to_numpy(), dtype=np.int32)
