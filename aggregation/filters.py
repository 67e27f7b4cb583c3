"""Filters: which positions a question is about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book import Book
from aggregation.dimensions import check_dimension
from aggregation.types import Filter
from aggregation.vectors import Bools
from lake.errors import BadInput, unknown

_COMPARED = 2000  # members looked at for the nearest names


def select(book: Book, where: Sequence[Filter]) -> Bools:
    """The positions that pass every filter; raises `BadInput` for unknown members and when none is left."""
    keep = np.ones(book.n_positions, dtype=np.bool_)
    for i, f in enumerate(where):
        pointer = f"where/{i}"
        column = book.columns[check_dimension(f.dimension, book.attributes, pointer)]
        codes = pc.index_in(pa.array(f.values, column.members.type), column.members)
        if codes.null_count:
            value = next(v for v, c in zip(f.values, codes.to_pylist(), strict=True) if c is None)
            raise unknown(
                f"{f.dimension} on {book.positions_date}", value, _around(value, column.members), pointer=pointer
            )
        chosen = np.zeros(len(column.members), dtype=np.bool_)
        chosen[codes.to_numpy()] = True
        keep &= (~chosen if f.exclude else chosen)[column.codes]
        if not keep.any():
            passed = ", ".join(_text(g) for g in where[: i + 1])
            raise BadInput(f"No position of {book.positions_date} passes {passed}; loosen a filter.")
    return keep


def _around(value: str, members: pa.Array) -> list[str]:
    """The members; of very many, those next to the value in sorting order, since each is compared letter by letter."""
    members = members.drop_null()
    place = pc.sum(pc.less(members, value), min_count=0).as_py()
    found: list[str] = members.slice(max(0, place - _COMPARED // 2), _COMPARED).to_pylist()
    return found


def _text(f: Filter) -> str:
    return f"{f.dimension}{'!=' if f.exclude else '='}{','.join(f.values)}"
