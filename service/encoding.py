"""Answers as bytes: JSON, CSV, Arrow, Parquet and Excel.

Numbers are written so that they read back to the same bits. What is not finite has no place in an answer: JSON refuses it.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from aggregation.answer import plain
from aggregation.units import units_of
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
_FIRST_YEAR, _WHOLE = (
    1901,
    10**15,
)  # earlier days Excel does not count as the calendar does; larger whole numbers lose digits there
_NUMBER_FORMATS = {  # by unit; that of a currency names it
    "fraction": "0.00%",
    "count": "#,##0",
    "number": "General",
    "date": "yyyy-mm-dd",
    "UTC": "yyyy-mm-dd hh:mm:ss",
}


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


def flat(table: pa.Table) -> pa.Table:
    """The table with nested values and instants as texts."""
    return pa.table([_text(c) for c in table.columns], names=table.column_names)


def harmless(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts a spreadsheet would run as a formula, with an apostrophe before them."""
    return pc.if_else(pc.match_substring_regex(text, _FORMULA), pc.binary_join_element_wise("'", text, ""), text)


def to_csv(table: pa.Table) -> bytes:
    """CSV (RFC 4180) with a header row; missing values are empty.

    Texts that begin with = + - @, a tab or a carriage return get an apostrophe; numbers, also negative ones, stay numbers.
    """
    columns = [
        harmless(c) if pa.types.is_string(c.type) or pa.types.is_large_string(c.type) else c
        for c in flat(table).columns
    ]
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

    Figures are numbers with every bit, in the format of their unit (`about["units"]`); days and instants, in UTC, are dates. Texts are
    texts, whatever they begin with, also when a cell is edited; the second sheet says how many are too long for a cell. Raises
    `BadInput` for more rows or columns than a sheet holds.
    """
    import xlsxwriter  # noqa: PLC0415 - for those who ask for it

    if table.num_rows >= _SHEET_ROWS or table.num_columns > _SHEET_COLUMNS:
        raise BadInput(
            f"{table.num_rows:,} rows of {table.num_columns:,} columns were asked for in Excel; a sheet holds {_SHEET_ROWS - 1:,} "
            f"rows of {_SHEET_COLUMNS:,} columns. Ask for CSV or Parquet, or for fewer."
        )
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink, {"in_memory": True}) as book:
        book.set_properties({"created": dt.datetime(2000, 1, 1)})
        sheet = Sheet(book, "Answer")
        units = about.get("units", {})
        for j, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
            sheet.column(j, name, column, units.get(name))
        sheet.finish()
        context = Sheet(book, "Context")
        lines = list(context_lines(about))
        context.column(0, "name", pa.chunked_array([pa.array([n for n, _ in lines], pa.string())]))
        context.head(1, "value", 80)
        for i, (_, value) in enumerate(lines, start=1):
            context.cell(i, 1, value)
        if cut := sheet.cut + context.cut:
            what = "texts are longer than a cell holds, and cut; CSV and JSON have them whole"
            context.cell(len(lines) + 1, 0, "cut")
            context.cell(len(lines) + 1, 1, f"{cut:,} {what}")
        context.finish()
    return sink.getvalue()


class _Exact(float):
    """A number that is written with every bit: XlsxWriter asks for 16 digits, and some need 17."""

    def __format__(self, wanted: str) -> str:
        return repr(float(self))


class Sheet:
    """A sheet of a workbook: a header that stays and filters, and cells that are what they seem."""

    def __init__(self, book: Any, name: str) -> None:
        self.cut = 0
        self.sheet = book.add_worksheet(name)
        self._book = book
        self._formats: dict[Any, Any] = {}
        self._columns = self._last = 0

    def format(self, **properties: Any) -> Any:
        """A format of the workbook, made once."""
        key = tuple(sorted(properties.items()))
        if properties and key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats.get(key)

    def head(self, column: int, name: str, width: int) -> None:
        """The header of a column and its width in characters."""
        self.cell(0, column, name, bold=True, bottom=1)
        self.sheet.set_column(column, column, min(max(len(name) + 3, width), 80))
        self._columns = max(self._columns, column + 1)

    def column(self, at: int, name: str, values: pa.ChunkedArray, unit: str | None = None) -> None:
        """A header and the values below it, in the format of the unit."""
        code, kind = _NUMBER_FORMATS.get(unit or "", ""), values.type
        if unit and not code:
            code = f"[${unit}] #,##0.00"
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            code = _NUMBER_FORMATS["UTC" if pa.types.is_timestamp(kind) else "date"]
        elif pa.types.is_nested(kind) or pa.types.is_dictionary(kind):
            values = _text(values)
        plain = values.to_pylist()
        self.head(at, name, max((len(_seen(v, code)) for v in plain), default=0) + 1)
        shown = {"num_format": code} if code else {}
        for i, value in enumerate(plain, start=1):
            self.cell(i, at, value, **shown)

    def cell(self, row: int, column: int, value: Any, **properties: Any) -> None:
        """One cell; a missing value is an empty one."""
        self._last = max(self._last, row)
        if isinstance(value, dt.datetime):
            value = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        if isinstance(value, dt.date) and value.year < _FIRST_YEAR:
            value = value.isoformat()
        if isinstance(value, str):
            if re.match(_FORMULA, value):
                properties["quote_prefix"] = True
            self.cut += len(value) > _CELL
            self.sheet.write_string(row, column, value[:_CELL], self.format(**properties))
        elif isinstance(value, float):
            self.sheet.write_number(row, column, _Exact(value), self.format(**properties))
        elif isinstance(value, int) and abs(value) > _WHOLE:
            self.sheet.write_string(row, column, str(value), self.format(**properties))
        elif value is not None:
            self.sheet.write(row, column, value, self.format(**properties))

    def finish(self) -> None:
        """The header stays in sight, on paper too, and filters the rows."""
        self.sheet.freeze_panes(1, 0)
        self.sheet.repeat_rows(0)
        self.sheet.set_landscape()
        self.sheet.fit_to_pages(1, 0)
        if self._columns:
            self.sheet.autofilter(0, 0, self._last, self._columns - 1)


def _seen(value: Any, code: str) -> str:
    """About what a cell shows, for the width of its column."""
    if isinstance(value, float):
        return f"{value:,.2f}{code[2:5]} " if "#,##0.00" in code else f"{value:.10g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def to_annotated_csv(table: pa.Table, about: Mapping[str, Any]) -> bytes:
    """CSV as `to_csv` gives it, behind a line `# name: value` for everything in `about`."""
    lines = "".join(f"# {name}: {value}\r\n" for name, value in context_lines(about))
    return lines.encode() + to_csv(table)


def context_lines(about: Mapping[str, Any]) -> Iterator[tuple[str, str | int | float]]:
    """What stands beside the rows, a line each: of a mapping one for every entry that says something."""
    for name, value in without_tables(about).items():
        inside = value.items() if isinstance(value, Mapping) else [("", value)]
        if name == "notes":
            inside = [("", note) for note in value]
        for key, found in inside:
            if found not in (None, [], {}, ""):
                yield f"{name}.{key}".rstrip("."), found if isinstance(found, str | int | float) else to_json(found)


def without_tables(about: Mapping[str, Any]) -> dict[str, Any]:
    """What stands beside the rows of an answer, of answers among it all but their rows."""

    def brief(value: Any) -> Any:
        return {k: brief(v) for k, v in value.items() if k != "rows"} if isinstance(value, Mapping) else value

    return {name: brief(value) for name, value in about.items()}


def about_answer(answer: Any) -> dict[str, Any]:
    """What stands beside the rows of an answer: the question, the total, what it rests on, the units of the columns."""
    about: dict[str, Any] = {"question": answer.receipt["question"]}
    for name in ("measure", "before", "after", "total", "coverage", "receipt", "notes"):
        value: Any = getattr(answer, name, None)
        if hasattr(value, "to_dict"):
            value = value.to_dict()
        if isinstance(value, tuple | pa.Table):  # such as the coverage of each of several points
            value = plain(value)
        if isinstance(value, str | float | Mapping | list):
            about[name] = value
    about["units"] = units_of(answer.rows.schema, about["question"])
    return about


# how the rows of an answer, and what stands beside them, are written to a file
FILES: Mapping[str, Callable[[pa.Table, Mapping[str, Any]], bytes]] = {
    "csv": to_annotated_csv,
    "xlsx": to_xlsx,
    "arrow": to_arrow,
    "parquet": to_parquet,
}
