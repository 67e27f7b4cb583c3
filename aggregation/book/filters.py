"""Filters: which positions a question is about.

Every condition is decided once a member and then taken by the codes of the positions, so a million positions cost no more
than one look-up each. Bounds compare as what they look like: numbers as numbers, ISO dates as dates, anything else as
text by code point; all members then have to be of that kind, since "10" is before "9" as text.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aggregation.book.book import Book
from aggregation.types import Filter
from lake.arrays import Bools
from lake.errors import BadInput, Issue, unknown

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_COMPARED = 2000  # members looked at for the nearest names


def select(book: Book, where: Sequence[Filter], pointer: str = "where") -> Bools:
    """The positions that pass every filter; raises `BadInput`, at the filter that stands at `pointer`, for unknown members
    and when none is left."""
    keep = np.ones(book.n_positions, dtype=np.bool_)
    for i, f in enumerate(where):
        column = book.column(f.dimension, f"{pointer}/{i}")
        chosen = _chosen(f, column.members, book.positions_date, f"{pointer}/{i}")
        keep &= (~chosen if f.exclude else chosen)[column.codes]
        if not keep.any():
            passed = ", ".join(map(str, where[: i + 1]))
            message = f"No position of {book.positions_date} passes {passed}; loosen a filter: {f} left none."
            raise BadInput(message, issues=(Issue(f"{pointer}/{i}", message, str(f)),))
    return keep


def parse_filters(text: str) -> tuple[Filter, ...]:
    """Filters that all hold, such as `desk=Rates;book=B1`."""
    return tuple(Filter.parse(part) for part in text.split(";"))


def _chosen(f: Filter, members: pa.Array, day: dt.date, pointer: str) -> Bools:
    """Which of the members meet the condition of the filter, whether it keeps or excludes them."""
    if f.values:
        return _listed(f, members, day, pointer)
    if f.patterns:
        return _matching(f, members, day, pointer)
    return _within(f, members, day, pointer)


def _listed(f: Filter, members: pa.Array, day: dt.date, pointer: str) -> Bools:
    chosen = np.zeros(len(members), dtype=np.bool_)
    if None in f.values:
        chosen |= members.is_null().to_numpy(zero_copy_only=False)
    named = [v for v in f.values if v is not None]
    codes = pc.index_in(pa.array(named, members.type), members)
    if codes.null_count:
        value = named[codes.is_null().index(True).as_py()]
        raise unknown(f"{f.dimension} on {day}", value, _around(value, members), pointer=pointer)
    chosen[codes.to_numpy()] = True
    return chosen


def _matching(f: Filter, members: pa.Array, day: dt.date, pointer: str) -> Bools:
    chosen = np.zeros(len(members), dtype=np.bool_)
    for pattern in f.patterns:
        like = re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%").replace("?", "_")
        matched = pc.fill_null(pc.match_like(members, like), False).to_numpy(zero_copy_only=False)
        if not matched.any():
            raise unknown(
                f"pattern of {f.dimension} on {day}", pattern, _around(pattern.strip("*?"), members), pointer=pointer
            )
        chosen |= matched
    return chosen


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "at_least": np.greater_equal,
    "at_most": np.less_equal,
    "above": np.greater,
    "below": np.less,
}


def _within(f: Filter, members: pa.Array, day: dt.date, pointer: str) -> Bools:
    there = members.drop_null().to_pylist()
    bounds = f.bounds
    kind = _kind_of(bounds.values())
    key = _KINDS[kind]
    keys = [key(m) for m in there]
    if None in keys or (kind == "text" and there and _kind_of(there) != "text"):
        odd = there[keys.index(None)] if None in keys else there[0]
        message = (
            f"{f} compares by {kind}, and the member {odd!r} of {f.dimension} on {day} is of another kind. Give bounds that "
            "are all numbers, all dates or all text, as the members are, or name members or a pattern."
        )
        raise BadInput(message, issues=(Issue(pointer, message, str(f)),))
    chosen = np.zeros(len(members), dtype=np.bool_)
    ordered = np.array(keys, dtype=object)
    inside = np.ones(len(there), dtype=np.bool_)
    for name, bound in bounds.items():
        inside &= _COMPARE[name](ordered, key(bound)).astype(np.bool_)
    chosen[: len(there)] = inside  # a null member stands last, and lies within no bounds
    return chosen


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if len(text) == len("2020-03-16") else None
    except ValueError:
        return None


_KINDS: dict[str, Callable[[str], Any]] = {"number": _number, "date": _date, "text": lambda text: text}


def _kind_of(texts: Collection[str]) -> str:
    """What all of the texts are: number, date or else text."""
    return next(kind for kind, read in _KINDS.items() if all(read(t) is not None for t in texts))


def _around(value: str, members: pa.Array) -> list[str]:
    """The members; of very many, those next to the value in sorting order, since each is compared letter by letter."""
    members = members.drop_null()
    place = pc.sum(pc.less(members, value), min_count=0).as_py()
    found: list[str] = members.slice(max(0, place - _COMPARED // 2), _COMPARED).to_pylist()
    return found


def page_of_positions(book: Book, where: Sequence[Filter], after: str | None, limit: int) -> tuple[pa.Table, bool]:
    """The positions that pass every filter, sorted by trade: at most `limit` of those after the trade `after`.

    The columns are positions_date, contract_id, quantity and every dimension of the book. The second value says whether
    more follow. Raises `BadInput` as `select` does.
    """
    chosen = np.flatnonzero(select(book, where))
    trade = book.columns["trade"]
    codes = trade.codes[chosen]
    if after is not None:
        first = int(pc.sum(pc.less_equal(trade.members, after)).as_py() or 0)
        chosen = chosen[codes >= first]
        codes = trade.codes[chosen]
    # a trade stands once in a book, so its code orders the page
    page = chosen[np.argsort(codes)[:limit]]
    contract = np.searchsorted(book.starts, page, side="right") - 1
    columns = {
        "positions_date": pa.array([book.positions_date] * len(page), pa.date32()),
        "contract_id": book.contract_ids.take(pa.array(contract)),
        "quantity": book.quantity[page],
        **{name: c.members.take(pa.array(c.codes[page])) for name, c in book.columns.items()},
    }
    return pa.table(columns), len(chosen) > limit
