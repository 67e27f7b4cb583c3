"""The book of one date as arrays: positions sorted by contract, dimensions as codes into sorted members."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from aggregation.dimensions import ATTRIBUTE, CONTRACT, CONTRACT_COLUMNS, DIMENSIONS
from lake.arrays import Bools, Codes, Floats, Ints
from lake.canonical import canonical_json, digest
from lake.disk_cache import read_mapped, write_mapped
from lake.errors import NotFound, unknown
from lake.storage import check_data_file
from lake.tables import Lake, Snapshot
from lake.workers import each

_QUANTITY = "quantity"  # a column of the file that is no dimension
SEEN = "seen-"  # how the name of a part of the positions of a date begins, in place of the files they are in


@dataclass(frozen=True)
class PositionColumn:
    """A dimension of every position: `codes` (n_positions,) into `members`, sorted; a last member null means none."""

    codes: Codes
    members: pa.Array


@dataclass(frozen=True)
class Book:
    """The positions of one date, sorted by contract and within a contract by trade, whatever order they were stored in.

    contract_ids : distinct, sorted. starts : (n_contracts + 1,), positions starts[c] to starts[c + 1] hold contract c.
    quantity : (n_positions,) units, negative is short. files : names of the data files, which are their digests.
    hierarchies : name to the digest of the parents that hold on the date, of those whose levels are among the columns.
    said : the corporate actions that have been applied to it, where it is in the terms of another day.
    """

    positions_date: dt.date
    files: tuple[str, ...]
    contract_ids: pa.Array
    starts: Ints
    quantity: Floats
    columns: Mapping[str, PositionColumn]
    hierarchies: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    @property
    def n_positions(self) -> int:
        return len(self.quantity)

    def by_contract(self, keep: Bools) -> Ints:
        """How many positions of each contract are kept, (n_contracts,). keep : (n_positions,)."""
        return np.add.reduceat(keep.astype(np.int64), self.starts[:-1])

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(c.removeprefix(ATTRIBUTE) for c in self.columns if c.startswith(ATTRIBUTE))

    @functools.cached_property
    def contracts_digest(self) -> str:
        """Names the contracts and their order, whatever the positions and however the book was made."""
        return _digest_of(self.contract_ids)

    @functools.cached_property
    def trades_digest(self) -> str:
        """Names which trade holds which contract at which place; quantities and other columns are not in it."""
        trades = self.columns["trade"]
        return digest(self.contracts_digest, self.starts.tobytes(), trades.codes.tobytes(), _digest_of(trades.members))

    @functools.cached_property
    def _contracts(self) -> PositionColumn:
        codes = np.repeat(np.arange(len(self.contract_ids), dtype=np.int32), np.diff(self.starts))
        return PositionColumn(codes, self.contract_ids)

    def column(self, name: str, pointer: str = "by") -> PositionColumn:
        """The column of that name; raises `BadInput` with the nearest names that this book can be grouped by."""
        of_contracts = self.starts[-1] == self.n_positions  # rows of P&L are of none
        if name == CONTRACT and of_contracts:
            return self._contracts
        if name not in self.columns:
            names = (*self.columns, *((CONTRACT,) if of_contracts else ()))
            raise unknown("dimension", name, names, pointer=pointer)
        return self.columns[name]


def positions_files(at: Lake | Snapshot, positions_date: dt.date) -> list[Path]:
    """The data files of a date's book; raises `NotFound` with the nearest dates that have one."""
    files = at.data_files("positions", {"positions_date": [positions_date]})
    if not files:
        raise no_positions(at, positions_date)
    return files


def no_positions(at: Lake | Snapshot, positions_date: dt.date) -> NotFound:
    """What is told of a date without a book."""
    dates = set(at.rows_by("positions", "positions_date"))
    return NotFound(f"No positions on {positions_date}. {nearest_dates(positions_date, dates, 'with positions')}")


def nearest_dates(wanted: dt.date, there: set[dt.date], what: str) -> str:
    """A sentence with the few dates closest to the one wanted."""
    close = sorted(sorted(there, key=lambda d: (abs((d - wanted).days), d))[:5])
    return f"Nearest dates {what}: {', '.join(map(str, close))}." if close else f"There are no dates {what} yet."


def write_book(snapshot: Snapshot, positions_date: dt.date, folder: Path) -> None:
    """Writes the book of a date as Arrow files that `load_book` maps."""
    names = (*DIMENSIONS, *CONTRACT_COLUMNS)
    files, columns = positions_files(snapshot, positions_date), [*names, "contract_id", _QUANTITY, "attributes"]
    rows = _read(files, columns, snapshot.lake.seen("positions"))
    encoded = dict(zip(names, each(lambda name: encode(rows[name]), names), strict=True))
    attributes = rows["attributes"].combine_chunks()
    for key in sorted(pc.unique(attributes.keys).to_pylist()):
        encoded[f"{ATTRIBUTE}{key}"] = encode(pc.map_lookup(attributes, key, "first"))
    contract, contract_ids = encode(rows["contract_id"])
    trade, _ = encoded["trade"]
    by_trade = np.arange(len(trade)) if (trade[1:] >= trade[:-1]).all() else np.argsort(trade, kind="stable")
    order = by_trade[np.argsort(contract[by_trade], kind="stable")]
    positions = {
        name: pa.DictionaryArray.from_arrays(pa.array(codes[order]), members)
        for name, (codes, members) in encoded.items()
    }
    positions[_QUANTITY] = pa.array(rows["quantity"].to_numpy()[order])
    write_mapped(folder / "positions.arrow", positions)
    ends = np.searchsorted(contract[order], np.arange(len(contract_ids)), side="right")
    write_mapped(folder / "contracts.arrow", {"contract_id": contract_ids, "end": pa.array(ends)})


def unopened_book(snapshot: Snapshot, positions_date: dt.date, names: Sequence[str]) -> Book:
    """The positions of a date as they are stored, with these dimensions and no quantities: what it takes to count them by filters and
    groups, and much less than to open the book. names : at least one, of DIMENSIONS and CONTRACT_COLUMNS."""
    rows = _read(positions_files(snapshot, positions_date), list(names), snapshot.lake.seen("positions"))
    columns = dict(zip(names, each(lambda name: PositionColumn(*encode(rows[name])), names), strict=True))
    none = np.zeros(rows.num_rows)
    return Book(positions_date, (), pa.array([], pa.string()), np.zeros(1, np.int64), none, columns)


def contracts_held(snapshot: Snapshot, positions_date: dt.date) -> int:
    """How many contracts the positions of a date are of, counted without the book."""
    rows = _read(positions_files(snapshot, positions_date), ["contract_id"], snapshot.lake.seen("positions"))
    return len(encode(rows["contract_id"])[1])


def load_book(positions_date: dt.date, files: tuple[str, ...], folder: Path) -> Book:
    """Maps the files that `write_book` wrote. files : of a part of the positions none: the book is then named by what is in it."""
    contracts, positions = read_mapped(folder / "contracts.arrow"), read_mapped(folder / "positions.arrow")
    book = Book(
        positions_date=positions_date,
        files=files,
        contract_ids=contracts.column("contract_id"),
        starts=np.concatenate([[0], contracts.column("end").to_numpy()]).astype(np.int64),
        quantity=positions.column(_QUANTITY).to_numpy(),
        columns={
            name: PositionColumn(positions.column(name).indices.to_numpy(), positions.column(name).dictionary)
            for name in positions.schema.names
            if name != _QUANTITY
        },
    )
    return book if files else dataclasses.replace(book, files=(f"{SEEN}{_content(book)}",))


def _digest_of(texts: pa.Array) -> str:
    """Digest of an array as Arrow sends it: arrays that differ never share one."""
    return digest(memoryview(pa.record_batch([texts], ["text"]).serialize()))


def _content(book: Book) -> str:
    """Digest of all positions, in whichever files they are."""
    columns = ((n, canonical_json(c.members.to_pylist()), c.codes.tobytes()) for n, c in book.columns.items())
    held = (canonical_json(book.contract_ids.to_pylist()), book.starts.tobytes(), book.quantity.tobytes())
    return digest(*held, *(part for column in columns for part in column))


def _read(files: list[Path], columns: list[str], kept: ds.Expression | None) -> pa.Table:
    """Columns of positions files. Texts come as codes, as they are stored; those of trades, all different, as texts, and so do those of
    the rows that are `kept`, since the codes are those of all rows."""
    each(check_data_file, files)
    coded = [c for c in columns if kept is None and c not in ("trade", _QUANTITY, "attributes")]
    dataset = ds.dataset([str(f) for f in files], format=ds.ParquetFileFormat(dictionary_columns=coded))
    return dataset.to_table(columns=columns, filter=kept)


def encode(values: pa.Array | pa.ChunkedArray) -> tuple[Codes, pa.Array]:
    """Codes into the sorted distinct values; null is the last member, where there is one."""
    if isinstance(values, pa.ChunkedArray):
        values = values.unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(values.type):
        if not values.null_count and pc.all(pc.less(values[:-1], values[1:]), min_count=0).as_py():
            return np.arange(len(values), dtype=np.int32), values  # sorted and all different, as trades mostly are
        values = values.dictionary_encode()
    order = pc.sort_indices(values.dictionary)
    members = values.dictionary.take(order)
    place = np.empty(len(members) + 1, dtype=np.int32)
    place[order.to_numpy()] = np.arange(len(members), dtype=np.int32)
    place[-1] = len(members)
    if values.null_count:
        members = pa.concat_arrays([members, pa.nulls(1, members.type)])
    return place[pc.fill_null(values.indices, len(place) - 1).to_numpy()], members
