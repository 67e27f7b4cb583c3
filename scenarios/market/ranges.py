"""What market data a lake holds, by source: told from the tables, without reading a level."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from lake.tables import Lake

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("factors", pa.int64()),
        ("first", pa.date32()),
        ("last", pa.date32()),
        ("values", pa.int64()),
        ("not_used", pa.int64()),
    ]
)


def ranges_by_source(lake: Lake) -> pa.Table:
    """A row a source, by name, in the columns of SCHEMA; `not_used` counts what is held or marked missing."""
    rows = lake.read("market_data", ["source", "risk_factor_id", "as_of_date", "status"])
    unused = pc.is_in(rows["status"], pa.array(["held", "missing"]))
    found = (
        rows.append_column("unused", pc.cast(unused, pa.int64()))
        .group_by("source")
        .aggregate(
            [
                ("risk_factor_id", "count_distinct"),
                ("as_of_date", "min"),
                ("as_of_date", "max"),
                ("status", "count"),
                ("unused", "sum"),
            ]
        )
    )
    columns = [
        "source",
        "risk_factor_id_count_distinct",
        "as_of_date_min",
        "as_of_date_max",
        "status_count",
        "unused_sum",
    ]
    return found.select(columns).rename_columns(SCHEMA.names).cast(SCHEMA).sort_by("source")
