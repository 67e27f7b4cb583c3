"""Hedges of CVA as they are held on a day: rows of the table `cva_hedges`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.dataset as ds

from lake.tables import Lake, Snapshot


@dataclass(frozen=True)
class CvaHedge:
    """A bought credit default swap, on a name or an index; a negative notional is protection sold.

    kind : single_name or index. counterparty : whose spread it hedges, None of an index. reference : what it is written on.
    reference_type :
    direct, related or sector_region, None of an index. sector, rating : of the reference.
    """

    hedge: str
    effective_from: dt.date
    effective_to: dt.date | None
    kind: str
    counterparty: str | None
    legal_entity: str | None
    reference: str
    reference_type: str | None
    sector: str
    rating: str
    maturity: dt.date
    notional: float
    currency: str


def hedges_of(at: Lake | Snapshot, as_of: dt.date) -> tuple[CvaHedge, ...]:
    """The hedges that are held on a day, by name."""
    day = pa.scalar(as_of, pa.date32())
    ends = ds.field("effective_to")
    rows = at.read("cva_hedges", where=(ds.field("effective_from") <= day) & (ends.is_null() | (ends >= day)))
    return tuple(sorted((CvaHedge(**r) for r in rows.to_pylist()), key=lambda h: h.hedge))
