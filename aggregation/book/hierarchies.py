"""Effective-dated hierarchies: the levels above a dimension, as columns of a book like any other.

The parents that hold on the positions date are looked up once a member and taken by the codes of the positions, so a level
costs no valuation and hardly any time. What has no parent is in the member `unassigned` of the level, never dropped.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book, PositionColumn, encode
from aggregation.dimensions import CONTRACT, CONTRACT_COLUMNS, DIMENSIONS
from aggregation.measures import MEASURES
from lake.arrays import Codes
from lake.canonical import canonical_json, digest
from lake.schemas import HIERARCHIES, UNASSIGNED

# columns of answers, which no level may be called
RESERVED = (
    *DIMENSIONS,
    *CONTRACT_COLUMNS,
    CONTRACT,
    *MEASURES,
    *(
        "positions",
        "covered",
        "failed",
        "missing",
        "substituted",
        "status",
        "base_value",
        "level",
        "bound",
        "unbounded",
    ),
    *(
        "positions_date",
        "contract_id",
        "quantity",
        "terms",
        "reason",
        "change",
        "horizon",
        "day",
        "value",
        "cash",
        "pnl",
    ),
)

_Links = dict[str, tuple[str, dict[str, str]]]  # level to the level above, and member to parent


def with_levels(book: Book, rows: pa.Table) -> Book:
    """The book with a column for every level of `rows` (of the table hierarchies) as it is on the positions date."""
    of_hierarchy = effective(rows, book.positions_date)
    columns = dict(book.columns)
    for links in of_hierarchy.values():
        uppers = {upper for upper, _ in links.values()}
        level = next(name for name in links if name not in uppers)
        # an attribute no trade has
        nobody = PositionColumn(np.zeros(book.n_positions, np.int32), pa.nulls(1, pa.string()))
        column = columns.get(level, nobody)
        while level in links:
            upper, parent_of = links[level]
            column = columns[upper] = _above(column, parent_of)
            level = upper
    digests = {name: _digest(rows, name, book.positions_date) for name in of_hierarchy}
    return dataclasses.replace(book, columns=columns, hierarchies=digests)


def effective(rows: pa.Table, day: dt.date) -> Mapping[str, _Links]:
    """Hierarchy to its levels, with the parents that hold on the day; levels without any are there too."""
    found: dict[str, _Links] = defaultdict(dict)
    for r in rows.to_pylist():
        _, parent_of = found[r["hierarchy"]].setdefault(r["level"], (r["parent_level"], {}))
        if _holds(r, day):
            parent_of[r["member"]] = r["parent"]
    return found


def _holds(row: Mapping[str, Any], day: dt.date) -> bool:
    return bool(row["effective_from"] <= day and (row["effective_to"] is None or day <= row["effective_to"]))


def _above(column: PositionColumn, parent_of: Mapping[str, str]) -> PositionColumn:
    place = pc.index_in(column.members, pa.array(list(parent_of), pa.string()))
    parents = pc.fill_null(pa.array(list(parent_of.values()), pa.string()).take(place), UNASSIGNED)
    code, members = encode(parents)
    codes: Codes = code[column.codes]
    held = np.zeros(len(members), dtype=np.bool_)
    held[codes] = True
    if held.all():
        return PositionColumn(codes, members)
    dense = np.cumsum(held, dtype=np.int32) - np.int32(1)  # members of parents that no position has are no members
    return PositionColumn(dense[codes], members.filter(pa.array(held)))


def _digest(rows: pa.Table, hierarchy: str, day: dt.date) -> str:
    """Digest of the parents that hold on the day: the same for any history that says the same of that day."""
    holding = sorted(
        [r[c] for c in HIERARCHIES.schema.names[:5]]
        for r in rows.to_pylist()
        if r["hierarchy"] == hierarchy and _holds(r, day)
    )
    return digest(canonical_json(holding))
