"""Hedges of CVA in: bought credit default swaps that the rules on CVA risk recognise. Whole or not at all."""

from __future__ import annotations

from pathlib import Path

from lake.committer import Committer
from lake.landing.effective_rows import (
    DATES,
    EffectiveFile,
    LandedField,
    LandedRows,
    ReferenceReport,
    Row,
    ingest_effective,
    unknown_counterparties,
)
from lake.landing.mapping import FileMapping
from lake.landing.reference_values import RATINGS, SECTORS

KINDS = ("single_name", "index")
REFERENCE_TYPES = ("direct", "related", "sector_region")

_TEXT, _NEEDED = LandedField(), LandedField(required=True)
_OF_NAMES = ("counterparty", "reference_type")


def ingest_cva_hedges(committer: Committer, path: str | Path, *, mapping: FileMapping | None = None) -> ReferenceReport:
    """Loads a file of hedges (docs/cva.md); the history of each becomes exactly the file's rows.

    Raises `BadInput` with every fault by row: an unknown kind, sector or rating, a single name without its counterparty, an index with one.
    """
    return ingest_effective(committer, path, _HEDGES, mapping=mapping)


def _check(landed: LandedRows, row: Row) -> None:
    """What a hedge of a name needs, and one on an index has none of."""
    line, kind = row["line"], row["kind"]
    for name in _OF_NAMES if kind in KINDS else ():
        if kind == "single_name" and row[name] is None:
            told = {i.pointer for _, i in landed.issues}
            if f"row {line}, column {landed.own.get(name, name)}" not in told:
                landed.fault(line, name, f"{name} is empty; a hedge of a single name has one")
        if kind == "index" and row[name] is not None:
            landed.fault(line, name, "is of a single name, and the hedge is an index; leave it empty", row[name])
    if row["notional"] == 0.0:
        landed.fault(line, "notional", "hedges nothing; expected a number other than 0", row["notional"])


_HEDGES = EffectiveFile(
    "cva_hedges",
    "hedges of CVA",
    {
        "hedge": _NEEDED,
        **DATES,
        "kind": LandedField(required=True, allowed=KINDS),
        "counterparty": _TEXT,
        "legal_entity": _TEXT,
        "reference": _NEEDED,
        "reference_type": LandedField(allowed=REFERENCE_TYPES),
        "sector": LandedField(required=True, allowed=SECTORS),
        "rating": LandedField(required=True, allowed=RATINGS),
        "maturity": LandedField("date", required=True),
        "notional": LandedField("number", required=True),
        "currency": LandedField("currency", required=True),
    },
    item="hedge",
    check=_check,
    noted=unknown_counterparties,
)
