"""Groups of the selected positions, numbered in the order of their members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aggregation.book.book import Book
from aggregation.opened.alignment import Alignment
from lake.arrays import Bools, Codes, Ints
from lake.compiled import compiled, is_worth_loading
from lake.errors import BadInput

# seconds of a core, to number the group of a position, or to count it, in NumPy
SECONDS_A_POSITION = 1e-8
_DENSE = 1 << 22  # group codes below this are counted in a table; above, they are sorted


@dataclass(frozen=True)
class Groups:
    """The groups of the selected positions, sorted by their members, nulls last.

    group : (n_positions,) group of each position of the book, -1 where it is filtered out. keys : a row a group.
    """

    group: Codes
    keys: pa.Table
    n: int


def group_by(book: Book, by: Sequence[str], keep: Bools) -> Groups:
    """Groups the selected positions; one group of all when `by` is empty."""
    columns = [book.column(name) for name in by]
    if len(set(by)) < len(by):
        raise BadInput(f"A dimension is named twice: {', '.join(by)}.")
    # the first one's codes as they are: of a million positions a product with nothing takes as long as numbering them
    code = columns[0].codes.astype(np.int64) if columns else np.zeros(book.n_positions, dtype=np.int64)
    size = len(columns[0].members) if columns else 1
    for column in columns[1:]:
        if size * len(column.members) > _DENSE:
            code, size = _close_gaps(code)
        code = code * len(column.members) + column.codes
        size *= len(column.members)
    if size > _DENSE:
        code, size = _close_gaps(code)
    number = _number if is_worth_loading(len(code) * SECONDS_A_POSITION) else _number_in_numpy
    group, example = number(code, keep, size)
    keys = {name: c.members.take(pa.array(c.codes[example])) for name, c in zip(by, columns, strict=True)}
    return Groups(group, pa.table(keys), len(example))


def _close_gaps(code: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """The codes renumbered in their order, and how many there are."""
    distinct, dense = np.unique(code, return_inverse=True)
    return dense, len(distinct)


def coverage(book: Book, groups: Groups, alignment: Alignment) -> npt.NDArray[np.int64]:
    """Counts of positions that are covered, failed and missing, shape (n_groups, 3)."""
    if is_worth_loading(book.n_positions * SECONDS_A_POSITION):
        return _coverage(book.starts, groups.group, alignment.state, groups.n)
    at = 3 * groups.group + np.repeat(alignment.state, np.diff(book.starts))
    return np.bincount(at[groups.group >= 0], minlength=3 * groups.n).reshape(groups.n, 3)


@compiled
def _number(code: npt.NDArray[np.int64], keep: Bools, size: int) -> tuple[Codes, Ints]:
    """Numbers the codes that are kept, without gaps and in their order; and a position of each."""
    seen = np.full(size, -1, dtype=np.int64)
    for p in range(code.size - 1, -1, -1):
        if keep[p]:
            seen[code[p]] = p
    number = np.empty(size, dtype=np.int32)
    example = np.empty(size, dtype=np.int64)
    n = 0
    for c in range(size):
        if seen[c] >= 0:
            number[c] = n
            example[n] = seen[c]
            n += 1
    group = np.empty(code.size, dtype=np.int32)
    for p in range(code.size):
        group[p] = number[code[p]] if keep[p] else -1
    return group, example[:n]


def _number_in_numpy(code: npt.NDArray[np.int64], keep: Bools, size: int) -> tuple[Codes, Ints]:
    """As `_number`."""
    seen = np.full(size, -1)
    kept = np.flatnonzero(keep)[::-1]
    seen[code[kept]] = kept  # of several, the last one given stays
    number = np.cumsum(seen >= 0, dtype=np.int32) - np.int32(1)
    return np.where(keep, number[code], np.int32(-1)), seen[seen >= 0]


@compiled
def _coverage(starts: Ints, group: Codes, state: npt.NDArray[np.int8], n_groups: int) -> npt.NDArray[np.int64]:
    counts = np.zeros((n_groups, 3), dtype=np.int64)
    for c in range(state.size):
        for p in range(starts[c], starts[c + 1]):
            if group[p] >= 0:
                counts[group[p], state[c]] += 1
    return counts
