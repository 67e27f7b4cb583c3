"""Answers as bytes: JSON, CSV and Arrow.

Numbers are written so that they read back to the same bits. What is not finite has no place in an answer: JSON refuses it.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.ipc as ipc

# A spreadsheet runs a text that begins like this as a formula (OWASP, "CSV Injection")
_FORMULA = r"^[=+\-@\t\r]"


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def to_json(value: Any) -> str:
    """JSON in the order given; dates as YYYY-MM-DD, instants in UTC with Z. Raises `ValueError` for NaN and infinity."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False, default=_plain)


def to_rows(table: pa.Table) -> list[dict[str, Any]]:
    """A dictionary a row; map columns are dictionaries too."""
    rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return rows


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Nested values as JSON text, instants as ISO text; anything else as it is."""
    if pa.types.is_nested(column.type):
        values = column.to_pylist(maps_as_pydicts="strict") if pa.types.is_map(column.type) else column.to_pylist()
        return pa.chunked_array([pa.array([None if v is None else to_json(v) for v in values], pa.string())])
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column.cast(pa.timestamp("us", column.type.tz)), "%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def harmless(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts a spreadsheet would run as a formula, with an apostrophe before them."""
    return pc.if_else(pc.match_substring_regex(text, _FORMULA), pc.binary_join_element_wise("'", text, ""), text)


def to_csv(table: pa.Table) -> bytes:
    """CSV (RFC 4180) with a header row; missing values are empty.

    Texts that begin with = + - @, a tab or a carriage return get an apostrophe; numbers, also negative ones, stay numbers.
    """
    columns = [_text(c) for c in table.columns]
    columns = [harmless(c) if pa.types.is_string(c.type) or pa.types.is_large_string(c.type) else c for c in columns]
    names = harmless(pa.chunked_array([pa.array(table.column_names, pa.string())])).to_pylist()
    sink = io.BytesIO()
    pacsv.write_csv(pa.table(columns, names=names), sink, pacsv.WriteOptions(quoting_style="needed", eol="\r\n"))
    return sink.getvalue()


def to_arrow(table: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    """An Arrow IPC stream; `metadata` stands in the schema's metadata, each value as JSON text."""
    described = table.replace_schema_metadata({name: to_json(value) for name, value in metadata.items()})
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, described.schema) as writer:
        writer.write_table(described)
    data: bytes = sink.getvalue().to_pybytes()
    return data
