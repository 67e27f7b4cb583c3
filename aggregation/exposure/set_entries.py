"""Netting sets as sparse rows of contracts: what each holds net of each contract that has values on the paths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from aggregation.book.book import Book
from aggregation.exposure.netting_sets import NettingSets
from aggregation.exposure.path_values import PathValues
from lake.arrays import Codes, Floats, Ints


@dataclass(frozen=True)
class SetEntries:
    """Net units of each contract in each netting set.

    starts : (n_sets + 1,), entries starts[s] to starts[s + 1] are of set s, by contract; row : (n_entries,) contract, as in the path values;
    quantity : (n_entries,) net units. of_position : (n_kept,) entry of each kept position, -1 for one whose contract has no values. currency :
    (n_contracts,) code in `currencies` of each contract of the path values.
    """

    starts: Ints
    row: Codes
    quantity: Floats
    of_position: Ints
    currency: Codes
    currencies: tuple[str, ...]


def set_entries(book: Book, sets: NettingSets, paths: PathValues) -> SetEntries:
    """The entries of all netting sets; quantities of a contract are added in the order of trades."""
    found = pc.index_in(book.contract_ids, paths.contract_ids).fill_null(-1).to_numpy().astype(np.int64)
    contract = np.searchsorted(book.starts, sets.position, side="right") - 1
    row = found[contract]
    covered = np.flatnonzero(row >= 0)
    n_rows = max(len(paths.contract_ids), 1)
    key = sets.code[covered].astype(np.int64) * n_rows + row[covered]
    distinct, entry = np.unique(key, return_inverse=True)
    quantity = np.zeros(len(distinct))
    np.add.at(quantity, entry, book.quantity[sets.position[covered]])  # one after the other, as they stand in the book
    of_position = np.full(len(sets.position), -1)
    of_position[covered] = entry
    currencies = tuple(sorted(set(paths.currencies)))
    place = {c: i for i, c in enumerate(currencies)}
    return SetEntries(
        np.searchsorted(distinct // n_rows, np.arange(len(sets) + 1)).astype(np.int64),
        (distinct % n_rows).astype(np.int32),
        quantity,
        of_position,
        np.array([place[c] for c in paths.currencies], np.int32),
        currencies,
    )
