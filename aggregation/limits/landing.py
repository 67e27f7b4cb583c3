"""Limits of VaR, ES and loss in: by node, effective-dated. A file with a fault is refused whole."""

from __future__ import annotations

from pathlib import Path

from aggregation.book.filters import parse_filters
from aggregation.kernels.estimators import exact_level
from lake.committer import Committer
from lake.errors import BadInput
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

MEASURES = ("var", "es", "loss")
_NEEDED = LandedField(required=True)


def ingest_var_limits(committer: Committer, path: str | Path, *, mapping: FileMapping | None = None) -> ReferenceReport:
    """Loads a file of limits (docs/limits.md); the history of each limit of the file becomes exactly the file's rows.

    Raises `BadInput` with every fault by row: a node that is none, an unknown measure, a var or es without a level or a loss with one, a
    horizon or an amount out of bounds, a warning that is no share, days that overlap.
    """
    return ingest_effective(committer, path, _LIMITS, mapping=mapping)


def _check(landed: LandedRows, row: Row) -> None:
    line, node, level, measure = (row[n] for n in ("line", "node", "level", "measure"))
    if node is not None and (why := _fault_of_node(node)):
        landed.fault(line, "node", why, node)
    if measure in ("var", "es") and level is None:
        landed.fault(line, "level", f"level is empty; a limit of {measure} has one, such as 0.99")
    elif measure == "loss" and level is not None:
        landed.fault(line, "level", "a loss has no level; leave it empty", level)
    elif level is not None:
        try:
            exact_level(level)
        except ValueError as error:
            landed.fault(line, "level", str(error).rstrip("."), level)


def _fault_of_node(text: str) -> str | None:
    """Why the text names no node; None where it does."""
    expected = (
        "expected dimension=member, several joined by ;, such as desk=Rates;book=B1, or nothing for everything held"
    )
    try:
        filters = parse_filters(text)
    except BadInput:
        return expected
    plain = all(f.values and None not in f.values and not f.exclude for f in filters)
    named = [f.dimension for f in filters]
    return None if plain and len(set(named)) == len(named) else expected


_LIMITS = EffectiveFile(
    "var_limits",
    "limits of VaR, ES and loss",
    {
        "limit": _NEEDED,
        **DATES,
        "node": LandedField(),
        "measure": LandedField(required=True, allowed=MEASURES),
        "level": LandedField(),
        "horizon_days": LandedField("whole", least=1, most=250),
        "amount": LandedField("number", required=True, least=0),
        "currency": LandedField("currency", required=True),
        "warning": LandedField("number", least=0, most=1),
    },
    item="limit",
    check=_check,
)
