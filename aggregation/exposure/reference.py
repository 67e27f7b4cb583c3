"""Counterparties, agreements and classifications as they are on a day."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.dataset as ds

from lake.errors import NotFound, nearest
from lake.tables import Lake, Snapshot


@dataclass(frozen=True)
class Counterparty:
    """A row of the table `counterparties`. pd, lgd, recovery : fractions; sales in million EUR; None where not given."""

    counterparty: str
    effective_from: dt.date
    effective_to: dt.date | None
    sector: str
    rating: str
    region: str | None
    group: str | None
    credit_class: str | None
    pd: float | None
    lgd: float | None
    sales_million_eur: float | None
    large_financial: bool
    credit_curve: str | None
    recovery: float | None


@dataclass(frozen=True)
class Agreement:
    """A row of the table `agreements`; amounts in `currency`. margin_period_days, margin_frequency_days : None where not margined."""

    agreement: str
    counterparty: str
    legal_entity: str
    effective_from: dt.date
    effective_to: dt.date | None
    instrument_types: tuple[str, ...] | None
    netting: bool
    margined: bool
    two_way: bool
    threshold: float
    threshold_own: float
    minimum_transfer_amount: float
    independent_amount: float
    initial_margin: float
    currency: str
    margin_period_days: int | None
    margin_frequency_days: int | None
    disputed: bool

    def covers(self, instrument_type: str) -> bool:
        return self.instrument_types is None or instrument_type in self.instrument_types

    def converted(self, currency: str, rate: float) -> Agreement:
        """With its amounts in another currency; rate : price of one unit of its own in that currency."""
        amounts = ("threshold", "threshold_own", "minimum_transfer_amount", "independent_amount", "initial_margin")
        changed: dict[str, Any] = {name: getattr(self, name) * rate for name in amounts}
        return dataclasses.replace(self, currency=currency, **changed)


@dataclass(frozen=True)
class Classification:
    """A row of the table `classifications`; what a kind has none of is None."""

    name: str
    effective_from: dt.date
    effective_to: dt.date | None
    kind: str
    sector: str | None
    rating: str | None
    capitalisation: str | None
    economy: str | None
    commodity_group: str | None
    commodity_type: str | None
    seniority: str | None
    covered: bool


Entry = TypeVar("Entry")


@dataclass(frozen=True)
class ReferenceData(Mapping[str, Entry], Generic[Entry]):
    """Rows that hold on a day, by name: a dict that says what to do about a name it has not.

    what : what a row is of, such as counterparty. table : where it is brought in.
    """

    as_of: dt.date
    what: str
    table: str
    rows: Mapping[str, Entry]

    def __getitem__(self, name: str) -> Entry:
        return self.rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def lacking(self, name: str) -> str:
        """In words that there is no row of this name, and what to do: the reason of a row that cannot be computed."""
        near = f" Nearest of them: {', '.join(nearest(name, self.rows))}." if self.rows else ""
        return (
            f"No row of {self.what} {name!r} in the table {self.table} holds on {self.as_of}; "
            f"bring it in with `varlake ingest {self.table}`.{near}"
        )

    def require(self, name: str) -> Entry:
        """The row; raises `NotFound` that names it, with the nearest."""
        if name not in self.rows:
            raise NotFound(self.lacking(name))
        return self.rows[name]


def counterparties_of(at: Lake | Snapshot, as_of: dt.date) -> ReferenceData[Counterparty]:
    """The counterparties on a day, by name."""
    rows = {r["counterparty"]: Counterparty(**r) for r in _holding(at, "counterparties", as_of)}
    return ReferenceData(as_of, "counterparty", "counterparties", rows)


def agreements_of(at: Lake | Snapshot, as_of: dt.date) -> ReferenceData[Agreement]:
    """The agreements on a day, by id."""
    rows = {}
    for r in _holding(at, "agreements", as_of):
        types = r.pop("instrument_types")
        rows[r["agreement"]] = Agreement(instrument_types=None if types is None else tuple(types), **r)
    return ReferenceData(as_of, "agreement", "agreements", rows)


def classifications_of(at: Lake | Snapshot, as_of: dt.date) -> ReferenceData[Classification]:
    """The classifications on a day, by name: risk factor ids, credit curves, issuers, currencies."""
    rows = {r["name"]: Classification(**r) for r in _holding(at, "classifications", as_of)}
    return ReferenceData(as_of, "classification", "classifications", rows)


def _holding(at: Lake | Snapshot, table: str, as_of: dt.date) -> list[dict[str, Any]]:
    day = pa.scalar(as_of, pa.date32())
    ends = ds.field("effective_to")
    rows = at.read(table, where=(ds.field("effective_from") <= day) & (ends.is_null() | (ends >= day)))
    found: list[dict[str, Any]] = rows.to_pylist()
    return found
