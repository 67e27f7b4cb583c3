"""The versions of a market value: what it was, when it was stored, by which file and run."""

from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa

from lake.errors import NotFound, unknown
from lake.tables import Lake
from lake.versions import row_versions

FILES = "files"  # note of a commit of market data: the file of each source, as JSON
COLUMNS = ("version", "stored_at", "change", "value_used", "value_received", "status", "rule", "source")


def value_versions(lake: Lake, risk_factor_id: str, date: dt.date) -> tuple[pa.Table, tuple[str, ...]]:
    """A row a version of the value of a risk factor on a date, oldest first, with notes on what is no longer in the lake.

    The columns are `COLUMNS` and `file`, `run_id`. Raises `NotFound` for a factor the lake does not have, or a date on which it never
    had a value.
    """
    factors = lake.read("risk_factors", ["risk_factor_id"])["risk_factor_id"].to_pylist()
    if risk_factor_id not in factors:
        raise unknown("risk factor", risk_factor_id, factors, error=NotFound)
    found = row_versions(lake, "market_data", {"risk_factor_id": [risk_factor_id], "as_of_date": [date]})
    if not found.rows.num_rows and not found.lost:
        raise NotFound(f"{risk_factor_id} never had a value on {date}, not even one marked missing.")
    rows = [
        {**{c: r[c] for c in COLUMNS}, "file": _file(r["about"], r["source"]), "run_id": r["run_id"]}
        for r in found.rows.to_pylist(maps_as_pydicts="strict")
    ]
    kept = found.rows.schema
    schema = pa.schema(
        [*(pa.field(c, kept.field(c).type) for c in COLUMNS), ("file", pa.string()), ("run_id", pa.string())]
    )
    lost = [f"The files of version {v} are no longer in the lake: what it held is not told." for v in found.lost]
    return pa.Table.from_pylist(rows, schema), tuple(lost)


def _file(about: dict[str, str], source: str) -> str | None:
    """The file a commit took the source from; None where it did not note one."""
    try:
        name = json.loads(about[FILES])[source]
    except (LookupError, ValueError, TypeError):
        return None
    return str(name)
