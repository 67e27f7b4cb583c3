"""Limits of exposure in: by node, measure and tenor, effective-dated. A file with a fault is refused whole."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
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
)
from lake.landing.mapping import FileMapping

MEASURES = ("pfe", "ee", "ead")
_TENOR = re.compile(r"[1-9]\d{0,3}[DWMY]")
_NEEDED = LandedField(required=True)


def ingest_exposure_limits(
    committer: Committer, path: str | Path, *, mapping: FileMapping | None = None
) -> ReferenceReport:
    """Loads a file of limits (docs/exposure.md); the history of each limit of the file becomes exactly the file's rows.

    Raises `BadInput` with every fault by row: an unknown measure, a pfe without a level or another measure with one, a level outside 0..1,
    a tenor that is none, an amount below zero, days that overlap.
    """
    return ingest_effective(committer, path, _LIMITS, mapping=mapping)


def _check(landed: LandedRows, row: Row) -> None:
    level, measure, until = row["level"], row["measure"], row["until"]
    if measure == "pfe" and level is None:
        landed.fault(row["line"], "level", "level is empty; a limit of pfe has one, such as 0.95")
    elif measure in ("ee", "ead") and level is not None:
        landed.fault(row["line"], "level", f"{measure} has no level; leave it empty", level)
    elif level is not None and not _is_level(level):
        landed.fault(row["line"], "level", "expected a fraction between 0 and 1, such as 0.95", level)
    if until is not None and not _TENOR.fullmatch(until):
        landed.fault(row["line"], "until", "expected a tenor, such as 10D, 6M or 1Y", until)
    elif until is not None and measure == "ead":
        landed.fault(row["line"], "until", "ead is of the first year; leave it empty", until)


def _is_level(text: str) -> bool:
    try:
        return 0 < Decimal(text) < 1 and len(text) <= 20
    except InvalidOperation:
        return False


_LIMITS = EffectiveFile(
    "exposure_limits",
    "exposure limits",
    {
        "limit": _NEEDED,
        **DATES,
        "dimension": _NEEDED,
        "member": _NEEDED,
        "measure": LandedField(required=True, allowed=MEASURES),
        "level": LandedField(),
        "until": LandedField(),
        "amount": LandedField("number", required=True, least=0),
        "currency": LandedField("currency", required=True),
    },
    item="limit",
    check=_check,
)
