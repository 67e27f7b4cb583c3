"""Answers as bytes: JSON, CSV, Arrow, Parquet and Excel.

Numbers are written so that they read back to the same bits. What is not finite has no place in an answer: JSON refuses it.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from lake.errors import BadInput

# A spreadsheet runs a text that begins like this as a formula (OWASP, "CSV Injection")
_FORMULA = r"^[=+\-@\t\r]"
_AT_ONCE = 1000  # members of a list
# by the word that asks for it
MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "text": "text/plain",
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
}
_SHEET_ROWS, _SHEET_COLUMNS, _CELL = 1 << 20, 1 << 14, 32_767  # what Excel holds


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def to_json(value: Any) -> str:
    """JSON in the order given; dates as YYYY-MM-DD, instants in UTC with Z. Raises `ValueError` for NaN and infinity.

    A long list is written a portion at a time: other threads would wait until all of it is written.
    """
    if isinstance(value, dict) and any(isinstance(v, list) and len(v) > _AT_ONCE for v in value.values()):
        return "{" + ",".join(f"{to_json(str(k))}:{to_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list) and len(value) > _AT_ONCE:
        return "[" + ",".join(to_json(value[i : i + _AT_ONCE])[1:-1] for i in range(0, len(value), _AT_ONCE)) + "]"
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False, default=_plain)


def as_json(value: Any) -> Any:
    """The value as who reads its JSON has it."""
    return json.loads(to_json(value))


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


def to_arrow(table: pa.Table, about: Mapping[str, Any]) -> bytes:
    """An Arrow IPC stream; `about` stands in the schema's metadata, each value as JSON text."""
    described = _described(table, about)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, described.schema) as writer:
        writer.write_table(described)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def to_parquet(table: pa.Table, about: Mapping[str, Any]) -> bytes:
    """A Parquet file; `about` stands in the schema's metadata, each value as JSON text."""
    sink = io.BytesIO()
    pq.write_table(_described(table, about), sink)
    return sink.getvalue()


def _described(table: pa.Table, about: Mapping[str, Any]) -> pa.Table:
    return table.replace_schema_metadata({name: to_json(value) for name, value in about.items()})


def to_xlsx(table: pa.Table, about: Mapping[str, Any]) -> bytes:
    """An Excel workbook: the rows on the first sheet, `about` on the second, each value as JSON text where it is no plain one.

    Texts are texts, whatever they begin with. Excel keeps 15 to 16 digits of a number. Raises `BadInput` for more rows or
    columns than a sheet holds.
    """
    import xlsxwriter  # noqa: PLC0415 - for those who ask for it

    if table.num_rows >= _SHEET_ROWS or table.num_columns > _SHEET_COLUMNS:
        raise BadInput(
            f"{table.num_rows:,} rows of {table.num_columns:,} columns were asked for in Excel; a sheet holds {_SHEET_ROWS - 1:,} "
            f"rows of {_SHEET_COLUMNS:,} columns. Ask for CSV or Parquet, or for fewer."
        )
    sink = io.BytesIO()
    options = {"in_memory": True, "default_date_format": "yyyy-mm-dd"}
    with xlsxwriter.Workbook(sink, options) as book:
        book.set_properties({"created": dt.datetime(2000, 1, 1)})
        rows, context = book.add_worksheet("Answer"), book.add_worksheet("Context")
        bold = book.add_format({"bold": True})
        for j, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
            rows.write_string(0, j, name, bold)
            for i, value in enumerate(_text(column).to_pylist(), start=1):
                _write(rows, i, j, value)
        rows.freeze_panes(1, 0)
        rows.autofit(300)
        for i, (name, value) in enumerate(_lines(about)):
            context.write_string(i, 0, name, bold)
            _write(context, i, 1, value)
        context.autofit(300)
    return sink.getvalue()


def _write(sheet: Any, row: int, column: int, value: Any) -> None:
    """One cell; a missing value is an empty one."""
    if isinstance(value, str):
        sheet.write_string(row, column, value[:_CELL])
    elif value is not None:
        sheet.write(row, column, value)


def to_annotated_csv(table: pa.Table, about: Mapping[str, Any]) -> bytes:
    """CSV as `to_csv` gives it, behind a line `# name: value` for everything in `about`."""
    lines = "".join(f"# {name}: {value}\r\n" for name, value in _lines(about))
    return lines.encode() + to_csv(table)


def _lines(about: Mapping[str, Any]) -> Iterator[tuple[str, str | int | float]]:
    """What stands beside the rows, a line each: of a mapping one for every entry that says something."""
    for name, value in about.items():
        inside = value.items() if isinstance(value, Mapping) else [("", value)]
        if name == "notes":
            inside = [("", note) for note in value]
        for key, found in inside:
            if found not in (None, [], {}, ""):
                yield f"{name}.{key}".rstrip("."), found if isinstance(found, str | int | float) else to_json(found)


def about_answer(answer: Any) -> dict[str, Any]:
    """What stands beside the rows of an answer: the question, the total, what it rests on."""
    about: dict[str, Any] = {"question": answer.receipt["question"]}
    for name in ("measure", "before", "after", "total", "coverage", "receipt", "notes"):
        value: Any = getattr(answer, name, None)
        if hasattr(value, "to_dict"):
            value = value.to_dict()
        if isinstance(value, str | float | Mapping | list) or (isinstance(value, tuple) and name == "notes"):
            about[name] = value
    return about


# how the rows of an answer, and what stands beside them, are written to a file
FILES: Mapping[str, Callable[[pa.Table, Mapping[str, Any]], bytes]] = {
    "csv": to_annotated_csv,
    "xlsx": to_xlsx,
    "arrow": to_arrow,
    "parquet": to_parquet,
}
