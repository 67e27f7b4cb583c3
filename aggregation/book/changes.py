"""Changes of a book: positions removed, scaled and added; and the book that results, without a copy of what stays.

Removals come first, then the scalings of what is left, one after the other, then the additions. A trade may so be replaced:
removed, and added again under its own id with other terms or quantity.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from aggregation.book.book import Book, PositionColumn
from aggregation.book.filters import select
from aggregation.dimensions import ATTRIBUTE
from aggregation.types import Amount, Filter
from lake.arrays import Bools, Codes, Floats, Ints
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, Conflict, Issue, unknown
from lake.landing.numbers import MOST
from lake.schemas import CONTRACTS, DIMENSION_COLUMNS, POSITIONS

ADD, SCALE, REMOVE = 1, 0, -1  # what a change does to the number of positions
_FEW = 256  # values looked up one by one; more of them are hashed and sorted
_NEAR = 1000  # trades on either side that the nearest names are taken from

# the columns of a hypothetical position: as in `positions`, without the date
ADDED = pa.schema([f for f in POSITIONS.schema.remove_metadata() if f.name != "positions_date"])


class Scaling(BaseModel):
    """Quantities of the positions that pass all filters, times `factor`; without a filter of all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: tuple[Filter, ...] = Field((), description="filters, all of which must hold; none for the whole book")
    factor: Amount = Field(description="what quantities are multiplied by: 0.5 halves, -1 turns round")

    def __str__(self) -> str:
        return f"{';'.join(map(str, self.where))}*{self.factor:g}"


class Removal(BaseModel):
    """The positions that pass all filters are taken out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: tuple[Filter, ...] = Field(min_length=1, description="filters, all of which must hold")

    def __str__(self) -> str:
        return ";".join(map(str, self.where))


@dataclass(frozen=True)
class Changes:
    """What is done to a book. `added` has the columns of `ADDED`, `contracts` the rows of its contracts.

    replace : the book is emptied first, so that `added` is the whole of it.
    """

    remove: tuple[Removal, ...] = ()
    scale: tuple[Scaling, ...] = ()
    added: pa.Table = field(default_factory=ADDED.empty_table)
    contracts: pa.Table = field(default_factory=CONTRACTS.schema.remove_metadata().empty_table)
    replace: bool = False

    def __post_init__(self) -> None:
        if not (self.remove or self.scale or self.replace or self.added.num_rows):
            raise BadInput("No change was given; add, remove or scale at least one position.")
        if self.replace and (self.remove or self.scale):
            raise BadInput(
                "A book that is replaced as a whole has nothing left to remove or scale; give one or the other."
            )

    @property
    def rules(self) -> dict[str, Any]:
        """What is done to the positions that are there, as JSON values."""
        return {
            "replace": self.replace,
            "remove": [r.model_dump(mode="json", exclude_defaults=True) for r in self.remove],
            "scale": [s.model_dump(mode="json", exclude_defaults=True) for s in self.scale],
        }

    def digest(self) -> str:
        """Names the changes: the same changes have the same digest, in whatever order the additions came."""
        rows = sorted(canonical_json(r) for r in self.added.to_pylist(maps_as_pydicts="strict"))
        return digest(canonical_json(self.rules), *rows)


@dataclass(frozen=True)
class Edits:
    """Changes as they fall on the positions of a book, a row a position and change, by change and then position.

    rows : positions of the book. quantity : what their quantity changes by. item : number of the change, removals first,
    then scalings. kind : REMOVE or SCALE. left : (n_positions,) quantities afterwards; alive : those that stay.
    """

    rows: Ints
    quantity: Floats
    item: Codes
    kind: npt.NDArray[np.int8]
    left: Floats
    alive: Bools


def edit(book: Book, changes: Changes) -> Edits:
    """The changes upon the book; raises `BadInput` for what is not in it, `Conflict` for an added trade that is."""
    left, alive = book.quantity, np.ones(book.n_positions, dtype=np.bool_)
    rows: list[Ints] = []
    quantity: list[Floats] = []
    kinds: list[int] = []
    if changes.replace:
        rows.append(np.arange(book.n_positions))
        quantity.append(-book.quantity)
        kinds.append(REMOVE)
        alive[:] = False
    for i, removal in enumerate(changes.remove):
        hit = positions_of(book, removal.where, f"remove/{i}")
        hit = hit[alive[hit]]
        rows.append(hit)
        quantity.append(-book.quantity[hit])
        kinds.append(REMOVE)
        alive[hit] = False
    for i, scaling in enumerate(changes.scale):
        hit = positions_of(book, scaling.where, f"scale/{i}")
        hit = hit[alive[hit]]
        if left is book.quantity:
            left = book.quantity.copy()
        rows.append(hit)
        quantity.append(left[hit] * (scaling.factor - 1.0))
        kinds.append(SCALE)
        left[hit] *= scaling.factor
        if not (np.abs(left[hit]) <= MOST).all():
            message = f"The factor {scaling.factor:g} leads to quantities beyond {MOST:g}; give a smaller one."
            raise BadInput(message, issues=(Issue(f"scale/{i}/factor", message, f"{scaling.factor:g}"),))
    _refuse_taken(book, changes.added["trade"], alive)
    sizes = [len(r) for r in rows]
    return Edits(
        np.concatenate([*rows, np.empty(0, np.int64)]),
        np.concatenate([*quantity, np.empty(0)]),
        np.repeat(np.arange(len(rows), dtype=np.int32), sizes),
        np.repeat(np.array(kinds, dtype=np.int8), sizes),
        left,
        alive,
    )


def positions_of(book: Book, where: Sequence[Filter], pointer: str) -> Ints:
    """The positions that pass all filters, ascending. Trades by id are looked up: a million ids are too many to hash for each change."""
    f = where[0] if len(where) == 1 else None
    if f is not None and f.dimension == "trade" and f.values and None not in f.values and not f.exclude:
        return np.flatnonzero(_of_trades(book, pa.array(f.values, pa.string()), pointer))
    return np.flatnonzero(select(book, where, f"{pointer}/where"))


def _of_trades(book: Book, trades: pa.Array, pointer: str | None) -> Bools:
    """The positions of these trades; raises `BadInput` for unknown ones where there is a pointer."""
    column = book.columns["trade"]
    places, found = find(column.members, trades)
    if pointer is not None and not found.all():
        lacking = int(np.argmin(found))
        near = column.members.slice(max(0, int(places[lacking]) - _NEAR), 2 * _NEAR).drop_null().to_pylist()
        raise unknown(f"trade on {book.positions_date}", str(trades[lacking]), near, pointer=pointer)
    chosen = np.zeros(len(column.members), dtype=np.bool_)
    chosen[places[found]] = True
    return chosen[column.codes] if found.any() else np.zeros(book.n_positions, dtype=np.bool_)


def _refuse_taken(book: Book, trades: pa.ChunkedArray, alive: Bools) -> None:
    taken = np.flatnonzero(_of_trades(book, trades.combine_chunks(), None) & alive)
    if len(taken):
        column = book.columns["trade"]
        names = column.members.take(pa.array(column.codes[taken[:5]])).to_pylist()
        message = (
            f"{len(taken)} of the trades to add are in the book of {book.positions_date} already, such as "
            f"{', '.join(names)}. Give them other ids, or remove the old ones in the same change."
        )
        raise Conflict(message, issues=(Issue("add", message, names[0]),))


def find(members: pa.Array, values: pa.Array) -> tuple[Ints, Bools]:
    """Place of each value among the sorted members (a null last), and whether it is there; else where it would stand."""
    n = len(members) - (1 if len(members) and not members[-1].is_valid else 0)
    if len(values) <= _FEW:
        positions = np.array([_bisect(members, n, v) for v in values.to_pylist()], dtype=np.int64)
        present = [
            p < n and members[p].as_py() == v for p, v in zip(positions.tolist(), values.to_pylist(), strict=True)
        ]
        return positions, np.array(present, dtype=np.bool_)
    index = pc.index_in(values, members.slice(0, n))
    present = index.is_valid().to_numpy(zero_copy_only=False)
    both = pa.concat_arrays([members.slice(0, n), values])
    order = pc.sort_indices(both).to_numpy().astype(np.int64)
    before = np.empty(len(both), dtype=np.int64)
    before[order] = np.cumsum(order < n)  # members up to and with each
    return np.where(present, pc.fill_null(index, 0).to_numpy(), before[n:]), present


def _bisect(members: pa.Array, n: int, value: str) -> int:
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if members[middle].as_py() < value:
            low = middle + 1
        else:
            high = middle
    return low


class _Merged:
    """Sorted members with further values in their places; a null stands last."""

    def __init__(self, members: pa.Array, values: pa.Array) -> None:
        self._members = members
        self._values = values
        distinct = values.unique().drop_null()
        distinct = distinct.take(pc.sort_indices(distinct))
        places, found = find(members, distinct)
        self._fresh = distinct.filter(pa.array(~found))
        self._before = places[~found]  # each fresh value stands before this member
        self._distinct = distinct
        self._codes = np.empty(len(distinct) + 1, dtype=np.int32)
        self._codes[:-1][found] = self.old(places[found].astype(np.int32))
        self._codes[:-1][~found] = self._before + np.arange(len(self._fresh))
        self._has_null = bool(len(members) and not members[-1].is_valid)
        self._codes[-1] = len(members) - self._has_null + len(self._fresh)

    def old(self, codes: Codes) -> Codes:
        """Codes of the members, as they are among all."""
        if not len(self._before):
            return codes
        return (codes + np.searchsorted(self._before, codes, side="right")).astype(np.int32)

    def added(self) -> Codes:
        """Codes of the further values."""
        places = pc.fill_null(pc.index_in(self._values, self._distinct), len(self._distinct))
        return np.asarray(self._codes[places.to_numpy()])

    def members(self) -> pa.Array:
        null = pa.nulls(1, self._members.type)
        more = [null] if self._values.null_count and not self._has_null else []
        if not len(self._fresh):
            return pa.concat_arrays([self._members, *more]) if more else self._members
        bounds = [0, *self._before.tolist(), len(self._members)]
        pieces: list[pa.Array] = []
        for i in range(len(bounds) - 1):
            pieces.append(self._members.slice(bounds[i], bounds[i + 1] - bounds[i]))
            if i < len(self._fresh):
                pieces.append(self._fresh.slice(i, 1))
        return pa.concat_arrays([*pieces, *more])


class _DerivedColumns(Mapping[str, PositionColumn]):
    """Columns of a derived book, each made when it is first asked for: most questions need one or two."""

    def __init__(self, book: Book, rows: Ints, added: pa.Table) -> None:
        self._book, self._rows, self._added = book, rows, added
        self._order: Ints | None = None
        self._made: dict[str, PositionColumn] = {}
        keys = pc.unique(added["attributes"].combine_chunks().keys).to_pylist()
        # levels of hierarchies are no columns of positions: who derives a book looks them up anew
        own = [n for n in book.columns if n in added.column_names or n.startswith(ATTRIBUTE)]
        self._names = list(dict.fromkeys((*own, *(f"{ATTRIBUTE}{k}" for k in sorted(keys)))))

    def ordered(self, order: Ints) -> _DerivedColumns:
        self._order = order
        return self

    def _values(self, name: str) -> pa.Array:
        if name.startswith(ATTRIBUTE):
            maps = self._added["attributes"].combine_chunks()
            return pc.map_lookup(maps, name.removeprefix(ATTRIBUTE), "first")
        return self._added[name].combine_chunks()

    def codes(self, name: str) -> tuple[_Merged, Codes]:
        """Codes of the rows kept and then of those added, in that order."""
        old = self._book.columns.get(name)
        members = old.members if old is not None else pa.nulls(1, pa.string())
        merged = _Merged(members, self._values(name))
        codes = old.codes[self._rows] if old is not None else np.zeros(len(self._rows), dtype=np.int32)
        return merged, np.concatenate([merged.old(codes), merged.added()])

    def __getitem__(self, name: str) -> PositionColumn:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            assert self._order is not None
            merged, codes = self.codes(name)
            self._made[name] = PositionColumn(
                np.ascontiguousarray(codes[self._order], dtype=np.int32), merged.members()
            )
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def derive(book: Book, rows: Ints, quantity: Floats, added: pa.Table, files: tuple[str, ...]) -> tuple[Book, Ints]:
    """A book of some positions of another with other quantities, and of added ones; and the order they stand in.

    rows, quantity : (k,) positions of `book`, and what they hold now. The order (k + n_added,) gives, for each position of
    the new book, its place among the rows followed by the additions. Members of the old book stay members of the new.
    """
    of_row = np.searchsorted(book.starts, rows, side="right") - 1
    used, contract = np.unique(of_row, return_inverse=True)
    merged = _Merged(book.contract_ids.take(pa.array(used)), added["contract_id"].combine_chunks())
    contract = np.concatenate([merged.old(contract.astype(np.int32)), merged.added()])
    columns = _DerivedColumns(book, rows, added)
    order = np.lexsort((columns.codes("trade")[1], contract))
    contract_ids = merged.members()
    starts = np.concatenate([[0], np.cumsum(np.bincount(contract, minlength=len(contract_ids)))]).astype(np.int64)
    quantities = np.concatenate([quantity, added["quantity"].to_numpy()])[order]
    derived = Book(book.positions_date, files, contract_ids, starts, quantities, columns.ordered(order))
    return derived, order


def changed_book(book: Book, changes: Changes, name: str) -> Book:
    """The book with the changes applied; `name` stands for them among the book's files."""
    edits = edit(book, changes)
    rows = np.flatnonzero(edits.alive)
    if not len(rows) + changes.added.num_rows:
        raise BadInput(f"Nothing is left of the book of {book.positions_date} after these changes.")
    return derive(book, rows, edits.left[rows], changes.added, (*book.files, name))[0]


def describe(changes: Changes) -> list[dict[str, Any]]:
    """Each change in words, in the order of `Edits.item`, then each addition."""
    described = [{"kind": "remove", "what": "the whole book"}] if changes.replace else []
    described += [{"kind": "remove", "what": str(r)} for r in changes.remove]
    described += [{"kind": "scale", "what": str(s)} for s in changes.scale]
    described += [{"kind": "add", "what": t} for t in changes.added["trade"].to_pylist()]
    return described


def added_rows(changes: Changes) -> list[dict[str, Any]]:
    """The additions as a positions file in JSON has them: they read back to the same changes."""
    contracts = zip(*(changes.contracts[c].to_pylist() for c in ("contract_id", "terms")), strict=True)
    terms = {contract_id: json.loads(text) for contract_id, text in contracts}
    rows = []
    for row in changes.added.to_pylist(maps_as_pydicts="strict"):
        attributes = {f"{ATTRIBUTE}{k}": v for k, v in sorted((row["attributes"] or {}).items())}
        named = {d: row[d] for d in DIMENSION_COLUMNS if row[d] is not None}
        rows.append(
            {
                "trade": row["trade"],
                "quantity": row["quantity"],
                "instrument_type": row["instrument_type"],
                "terms": terms[row["contract_id"]],
                **{k: v for k, v in named.items() if k != "trade"},
                **attributes,
            }
        )
    return rows
