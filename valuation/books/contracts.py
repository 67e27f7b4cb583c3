"""The contracts of the lake: those held on a date, and those of given ids."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.errors import NotFound, VarlakeError, counted
from lake.schemas import CONTRACTS
from lake.tables import Lake, Snapshot
from lake.words import first_of
from valuation.books.corporate_actions import derived_contracts, ids_in_terms_of
from valuation.instruments.fields import LISTED_YEARS
from valuation.types import Contract

_ENDING = f'"calendar":"({"|".join(LISTED_YEARS)})"'


def positions_dates(at: Lake | Snapshot) -> list[dt.date]:
    """Dates that hold a book, ascending."""
    return sorted(pc.unique(at.read("positions", ["positions_date"])["positions_date"]).to_pylist())


def contracts_held(at: Lake | Snapshot, dates: Sequence[dt.date], terms: dt.date | None = None) -> pa.Table:
    """The contracts held on any of the dates, sorted by contract id; raises `NotFound` for a date without a book.

    terms : the day of the market they are held against: each book is put into its terms where a corporate action lies between.
    """
    held = at.read("positions", ["positions_date", "contract_id"], ds.field("positions_date").isin(list(dates)))
    missing = sorted(set(dates) - set(pc.unique(held["positions_date"]).to_pylist()))
    if missing:
        there = positions_dates(at)
        near = sorted(there, key=lambda d: abs((d - missing[0]).days))[:5]
        hint = (
            f" Nearest dates with positions: {', '.join(map(str, sorted(near)))}." if near else " There are none yet."
        )
        raise NotFound(f"No positions on {', '.join(map(str, missing))}.{hint}")
    ids = pc.unique(held["contract_id"])
    if terms is None:
        return contracts_by_id(at, ids)
    wanted: set[str] = set()
    for date in dates:
        own = pc.unique(held.filter(pc.equal(held["positions_date"], pa.scalar(date)))["contract_id"])
        wanted |= ids_in_terms_of(at, own, date, terms)
    return contracts_by_id(at, pa.array(sorted(wanted), pa.string()))


def contracts_by_id(at: Lake | Snapshot, contract_ids: pa.Array) -> pa.Table:
    """The rows of these contracts, sorted by contract id; raises `NotFound` when the lake lacks one, and has none that a corporate action
    has made it of."""
    rows = at.read("contracts")
    rows = rows.filter(pc.is_in(rows["contract_id"], value_set=contract_ids))
    if rows.num_rows != len(contract_ids):
        lacking = set(contract_ids.to_pylist()) - set(rows["contract_id"].to_pylist())
        derived = derived_contracts(at, lacking)
        rows = pa.concat_tables([rows, pa.Table.from_pylist(list(derived.values()), schema=rows.schema)])
    if len(rows) != len(contract_ids):
        lacking -= derived.keys()
        raise NotFound(
            f"{counted(len(lacking), 'contract is', 'contracts are')} not in the lake: {first_of(sorted(lacking), 3)}."
        )
    return rows.sort_by("contract_id").select(CONTRACTS.schema.names)


def on_ending_calendars(at: Lake | Snapshot) -> list[Contract]:
    """The contracts whose terms name a calendar that does not list the holidays of all years."""
    there = pc.match_substring_regex(ds.field("terms"), _ENDING)
    return Contract.of(at.read("contracts", list(Contract._fields), there).sort_by("contract_id"))


def contract_notes(contracts: Iterable[Contract], valuation_date: dt.date) -> tuple[str, ...]:
    """What their terms say of a value on that date, each note once with the number of contracts it is about."""
    # with every instrument and QuantLib, which a question about stored vectors needs not
    from valuation.catalogue import terms_from_json  # noqa: PLC0415

    noted = re.compile(_ENDING)  # who alone gives notes: reading the terms of a million contracts takes a minute
    said: Counter[str] = Counter()
    for contract in set(contracts):
        if noted.search(contract.terms or ""):  # a book may hold what the lake has no contract of
            with contextlib.suppress(VarlakeError):  # terms that cannot be read are told where they are valued
                said.update(terms_from_json(contract.instrument_type, contract.terms).notes(valuation_date))
    return tuple(f"{note} Contracts with dates there: {n:,}." for note, n in sorted(said.items()))
