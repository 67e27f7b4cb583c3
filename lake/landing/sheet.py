"""One reader of the files that people have: header and cells as text, whatever the format. Enter at `read_sheet`.

The ending of the name says the format: Parquet, a workbook, R data, or else text with a delimiter; `.gz` and `.zip` around it are
undone. Nothing is interpreted: what a cell means is said by whoever asked for the file.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import dataclasses
import datetime as dt
import gzip
import io
import itertools
import json
import lzma
import re
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lake.arrays import Ints
from lake.errors import BadInput, VarlakeError, unknown
from lake.landing.child import in_child, one_in_child
from lake.landing.decoded import (
    CANNOT_UNPACK,
    MOST_UNEVEN,
    PYTHON_VALUE,
    Bound,
    NotSmall,
    counting,
    held,
    open_decoded,
    read_parquet,
    small,
    small_only,
)
from lake.landing.numbers import doubles
from lake.landing.rows import SAVE, check_delimiter, csv_rows, mark_name

NOT_A_NUMBER = "NaN"
MOST_COLUMNS = 16_384  # as many as a workbook has
SMALL = 8 << 20  # bytes that a text may hold once decoded to be decoded in the process itself
_LINE = "line"  # beside the columns "0", "1", ...
_UNEVEN = ("line", "text", "reason")
_BLOCK = 1 << 24  # bytes parsed at a time; no line is longer
_CELL_OF_WORKBOOK = re.compile(rb'<c\b[^>]*?\br="([A-Z]{1,3})([0-9]{1,7})"')
# marks between thousands, each with the others that look like it
_SPACES, _APOSTROPHES = " \u00a0\u2009\u202f", "'\u2019"


class Dialect(BaseModel):
    """How the cells of a file are told apart and its numbers are written; what a format does not have is passed over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: str = Field(",", min_length=1, max_length=1, description="character between the cells of a line")
    quote: str = Field(
        '"', max_length=1, description="character around a cell that holds the delimiter; empty for none"
    )
    encoding: str = Field("utf-8", description="encoding of the text, by the names of Python's codecs: cp1252, utf-16")
    skip_rows: int = Field(0, ge=0, description="title lines before the header")
    sheet: str | None = Field(None, description="sheet of a workbook; the first when absent")
    member: str | None = Field(None, description="file in a zip archive; may be absent where there is one")
    object: str | None = Field(None, description="object of an R file; may be absent where there is one")
    decimal: Literal[".", ","] = Field(".", description="decimal mark of numbers")
    thousands: Literal["", ",", ".", " ", "'"] = Field("", description="mark between thousands; empty for none")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)  # codecs that are no text, such as zip, are refused here too
            return codecs.lookup(value).name
        except LookupError:
            raise ValueError(unknown("encoding", value, ("utf-8", "utf-16", "cp1252", "latin-1")).message) from None

    @model_validator(mode="after")
    def _marks_differ(self) -> Dialect:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; name the mark of each")
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.quote!r}; name the mark of each")
        return self

    def numbers(self, text: pa.Array, percent: str | None = "e-2") -> tuple[pa.Array, pa.Array]:
        """Trimmed texts as `plain` gives them, and their doubles, null where a text is no number.

        A minus after a number, or parentheses around it, are its sign. `percent` stands in place of a percent sign; where it is None a
        number with one is none.
        """
        plain = self.plain(text)
        found = doubles(plain)
        if found.null_count > plain.null_count:  # files of plain numbers are passed over once
            signed = pc.replace_substring_regex(text, "^\u2212|\u2212$", "-")
            signed = pc.replace_substring_regex(signed, r"^\(([^+-]+)\)$", r"-\1")
            signed = pc.replace_substring_regex(signed, r"^([^+-]+)-$", r"-\1")
            marked = pc.match_substring_regex(signed, r"[0-9.,]\s?%$")
            signed = self.plain(pc.if_else(marked, pc.replace_substring_regex(signed, r"\s?%$", ""), signed))
            of_percent = None if percent is None else pc.binary_join_element_wise(signed, percent, "")
            plain = pc.if_else(found.is_valid(), plain, pc.if_else(marked, of_percent, signed))
            found = doubles(plain)
        return plain, found

    def plain(self, text: pa.Array) -> pa.Array:
        """Trimmed texts of numbers with a decimal point and no thousands marks; what was no number is none afterwards.

        Thousands marks count only between groups of digits, so that `1,5` is never fifteen.
        """
        if self.thousands:
            alike = {" ": _SPACES, "'": _APOSTROPHES}.get(self.thousands, re.escape(self.thousands))
            grouped = (
                rf"^[+-]?[0-9]{{1,3}}([{alike}][0-9]{{2,3}})*[{alike}][0-9]{{3}}({re.escape(self.decimal)}[0-9]*)?$"
            )
            without = pc.replace_substring_regex(text, f"[{alike}]", "")
            text = pc.if_else(pc.match_substring_regex(text, grouped), without, text)
        if self.decimal != ".":  # a point is no decimal mark then
            text = pc.replace_substring(pc.replace_substring(text, ".", "?"), self.decimal, ".")
        return text


@dataclass(frozen=True)
class Sheet:
    """A file as text.

    header : names of the columns, trimmed; they may repeat or be empty.
    cells : columns "0", "1", ... of trimmed text, null where empty; blank rows are left out.
    lines : line of each row, (n,), from 1 at the top of the file; a row counts once however many line breaks its cells have.
    uneven : (line, text, reason) of the lines whose number of cells is not the header's. left : their cells where they have any,
    as a table like `cells`. notes : what is not kept of the file as it was read.
    canonical : its columns are those of varlake already. A mapping then changes some of them, and all stay beside what is made of them;
    one that no row fills in is empty, not missing.
    """

    name: str
    header: list[str]
    cells: pa.Table
    lines: Ints
    uneven: tuple[tuple[int, str, str], ...] = ()
    left: pa.Table | None = None
    notes: tuple[str, ...] = ()
    canonical: bool = False

    def column(self, at: int) -> pa.Array:
        """The column as one array."""
        return self.cells.column(at).combine_chunks()


def read_sheet(path: Path, dialect: Dialect | None = None, numbers: Collection[str] = ()) -> Sheet:
    """The file as text: numbers in the shortest form that reads back to the same bits, dates as YYYY-MM-DD.

    A NaN of a typed format is how pandas and R write an empty cell; in the columns `numbers` it is told as what it is. Raises
    `NotFound`, or `BadInput` where the file is unusable as a whole.
    """
    return sheet_by(_read, path, dialect or Dialect(), tuple(numbers))


def sheet_by(read: Callable[..., Sheet], path: Path, *args: Any) -> Sheet:
    """The sheet that `read(path, *args)`, a function of a module, gives: in this process where the file is text and small, and so
    can neither take much nor meet a library that fails over it; in a child otherwise."""
    with _in_process(path) as here:
        if here:
            return read(path, *args)
    cells, uneven = in_child(_tables, path, read, *args)
    name, header, notes = json.loads(cells.schema.metadata[b"sheet"])
    rows = zip(*(uneven[column].to_pylist() for column in _UNEVEN), strict=True)
    left = uneven.drop_columns([*_UNEVEN])
    return Sheet(
        name,
        header,
        cells.drop_columns([_LINE]),
        cells[_LINE].to_numpy(),
        tuple(rows),
        left if left.num_columns else None,
        tuple(notes),
    )


def first_bytes(path: Path, size: int, member: str | None = None) -> tuple[str, bytes]:
    """Name and first bytes of what the file holds; raises as `read_sheet`."""
    with _in_process(path) as here:
        if here:
            return _first_bytes(path, size, member)
    table = one_in_child(_first_table, path, size, member)
    return table[0][0].as_py(), table[1][0].as_py()


def _first_bytes(path: Path, size: int, member: str | None) -> tuple[str, bytes]:
    with open_decoded(path, member) as (name, stream):
        return name, stream.read(size)


def _first_table(path: Path, size: int, member: str | None) -> Iterator[pa.Table]:
    name, data = _first_bytes(path, size, member)
    yield pa.table({"name": [name], "data": [data]})


@contextlib.contextmanager
def _in_process(path: Path) -> Iterator[bool]:
    """Whether to try the file in this process; that ends without an error where the file holds too much for it."""
    named = PurePosixPath(path.name.lower().removesuffix(".gz")).suffix
    here = not path.exists() or (named not in _TYPED and path.stat().st_size <= SMALL)
    with small(SMALL), contextlib.suppress(NotSmall):
        yield here


def _tables(path: Path, read: Callable[..., Sheet], *args: Any) -> Iterator[pa.Table]:
    """A sheet as tables: its cells with their lines, its uneven lines."""
    sheet = read(path, *args)
    told = {"sheet": json.dumps([sheet.name, sheet.header, sheet.notes])}
    yield sheet.cells.append_column(_LINE, pa.array(sheet.lines)).replace_schema_metadata(told)
    columns = zip(*sheet.uneven, strict=True) if sheet.uneven else ([], [], [])
    left = {} if sheet.left is None else dict(zip(sheet.left.column_names, sheet.left.columns, strict=True))
    yield pa.table({**dict(zip(_UNEVEN, map(list, columns), strict=True)), **left})


def _read(path: Path, dialect: Dialect, numbers: Collection[str]) -> Sheet:
    with open_decoded(path, dialect.member) as (name, stream):
        read = _TYPED.get(PurePosixPath(name).suffix.lower())
        if read is not None and small_only():  # its library may take what no bound counts, or fail
            raise NotSmall
        if read is not None:
            return _without_blank(read(path, stream, dialect, numbers))
        header, ends = _header(path, stream, dialect)
    if ends:
        nothing = pa.table({str(i): pa.array([], pa.string()) for i in range(len(header))})
        return Sheet(path.name, header, nothing, np.array([], dtype=np.int64))
    with open_decoded(path, dialect.member) as (_, stream):
        return _without_blank(_text(path, stream, dialect, header))


def sheet_of(name: str, table: pa.Table, numbers: Collection[str] = ()) -> Sheet:
    """A table as `read_sheet` gives a file of it."""
    return _without_blank(_typed(name, table.column_names, table.columns, Dialect(), numbers))


def _without_blank(sheet: Sheet) -> Sheet:
    blank = np.ones(sheet.cells.num_rows, dtype=bool)
    for column in sheet.cells.columns:
        if not blank.any():
            return sheet
        blank &= pc.fill_null(pc.equal(column, NOT_A_NUMBER), True).to_numpy()
    return dataclasses.replace(sheet, cells=sheet.cells.filter(~blank), lines=sheet.lines[~blank])


# --- text -------------------------------------------------------------------------------------------------------------


def _header(path: Path, stream: IO[bytes], dialect: Dialect) -> tuple[list[str], bool]:
    """The names of the columns, and whether the file ends there."""
    encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
    text = io.TextIOWrapper(stream, encoding, newline="")
    try:
        for _ in range(dialect.skip_rows):
            text.readline(_BLOCK)
        first = text.readline(_BLOCK)
        check_delimiter(path.name, first, dialect.delimiter, f"{SAVE}, or declare its delimiter.")
        if first.count(dialect.delimiter) >= MOST_COLUMNS:
            raise BadInput(f"{path.name} has more than {MOST_COLUMNS:,} columns, which is the most that is read.")
        lines = csv_rows(path.name, itertools.chain([first], text), dialect.delimiter, dialect.quote)
        header = [name.strip() for name in next(lines, (1, []))[1]]
        ends = not text.readline(_BLOCK)
    except UnicodeError:
        raise _not_text(path, dialect) from None
    finally:
        text.detach()
    if not any(header):
        raise BadInput(f"{path.name} has no header in {dialect.encoding.upper()} on line {dialect.skip_rows + 1}.")
    return header, ends


def _not_text(path: Path, dialect: Dialect) -> BadInput:
    return BadInput(
        f"{path.name} is not text in {dialect.encoding.upper()}; a spreadsheet writes it as `CSV UTF-8`, and `encoding` names another."
    )


def _text(path: Path, stream: IO[bytes], dialect: Dialect, header: list[str]) -> Sheet:
    uneven: list[tuple[int, str, str]] = []
    names = [str(i) for i in range(len(header))]  # headers may repeat or be empty

    def on_uneven(line: pcsv.InvalidRow) -> str:
        marks = mark_name(dialect.delimiter)
        reason = f"{line.actual_columns} cells where the header has {line.expected_columns}; quote cells with {marks}"
        uneven.append((line.number, line.text, reason))
        return "skip" if len(uneven) <= MOST_UNEVEN else "error"

    bound = Bound(path)

    def count(data: bytes) -> None:
        bound.add_cells(data.count(b"\n") * len(header))  # an empty line, too, becomes a cell of every column

    try:
        with pcsv.open_csv(
            counting(stream, count),
            # one thread, because only then rows are numbered
            pcsv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK,
                skip_rows=dialect.skip_rows,
                skip_rows_after_names=1,
                column_names=names,
                encoding=dialect.encoding,
            ),
            pcsv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote or False,
                newlines_in_values=bool(dialect.quote),
                ignore_empty_lines=False,
                invalid_row_handler=on_uneven,
            ),
            pcsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        ) as batches:
            cells = held(map(_trimmed, batches), batches.schema, path)
    except (pa.ArrowInvalid, UnicodeError) as error:
        if isinstance(error, UnicodeError) or "UTF8" in str(error):
            raise _not_text(path, dialect) from None
        if "straddling" in str(error):
            raise BadInput(
                f"{path.name} has a line of more than {_BLOCK >> 20} MiB, the longest that is read; see whether a cell begins with a "
                "quote and has none at its end."
            ) from None
        raise BadInput(f"{path.name} cannot be read as CSV: {error}.") from None
    first = dialect.skip_rows + 2
    lines = np.arange(first, first + cells.num_rows + len(uneven))
    taken = np.array([line for line, _, _ in uneven], dtype=np.int64)
    return Sheet(path.name, header, cells, np.delete(lines, taken - first), tuple(uneven))


def _trimmed(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([_trim(column) for column in batch.columns], schema=batch.schema)


def _trim(text: pa.Array) -> pa.Array:
    text = pc.utf8_trim_whitespace(text)
    empty = pc.equal(text, "")
    return pc.if_else(empty, None, text) if pc.any(empty).as_py() else text


# --- formats with types -----------------------------------------------------------------------------------------------


def _typed(
    name: str, header: Sequence[Any], columns: Iterable[Any], dialect: Dialect, numbers: Collection[str]
) -> Sheet:
    names = [str(n).strip() for n in header]
    texts = [as_text(n, column, n in numbers, dialect.decimal) for n, column in zip(names, columns, strict=True)]
    cells = pa.table({str(i): text for i, text in enumerate(texts)})
    return Sheet(name, names, cells, np.arange(2, 2 + cells.num_rows))


def as_text(name: str, column: Any, number: bool = False, decimal: str = ".") -> pa.Array:
    """An Arrow column as trimmed text, null where empty; NaN is empty, too, unless a `number` is required."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_nested(array.type):
        values = array.to_pylist(maps_as_pydicts="strict")
        array = pa.array([None if v is None else json.dumps(v, default=str) for v in values], pa.string())
    numeric = pa.types.is_floating(array.type) or pa.types.is_decimal(array.type)
    not_a_number = pc.is_nan(array) if pa.types.is_floating(array.type) else pa.scalar(False)
    try:
        text = pc.if_else(not_a_number, NOT_A_NUMBER if number else None, pc.cast(array, pa.string()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadInput(f"Column {name!r} has the type {array.type}, which cannot be read as text: {error}") from error
    if pa.types.is_timestamp(array.type):
        whole = pc.replace_substring_regex(text, r"\.0+(Z|[+-]\d{4})?$", r"\1")
        text = pc.replace_substring_regex(whole, r" 00:00:00(Z|[+-]\d{4})?$", "")
    if numeric and decimal != ".":
        text = pc.replace_substring(text, ".", decimal)
    return _trim(text)


def _parquet(path: Path, stream: IO[bytes], dialect: Dialect, numbers: Collection[str]) -> Sheet:
    packed = path.suffix.lower() != ".parquet"
    table = read_parquet(path, content=io.BytesIO(stream.read()) if packed else None)
    return _typed(path.name, table.column_names, table.columns, dialect, numbers)


@contextmanager
def _book(path: Path, data: bytes, bound: Bound) -> Iterator[Any]:
    from python_calamine import CalamineError, load_workbook  # noqa: PLC0415 - only where such a file is read

    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            _check_workbook(data, bound)
        book = load_workbook(io.BytesIO(data))
        if not book.sheet_names:
            raise BadInput(f"{path.name} has no sheet.")
        yield book
    except (CalamineError, *CANNOT_UNPACK) as error:
        raise BadInput(f"{path.name} is not a workbook that can be read: {error}.") from None


def workbook_heads(path: Path, member: str | None, rows: int) -> dict[str, tuple[int, list[list[str]]]]:
    """By sheet of a workbook, how many cells it has and the texts of its first rows; of another file nothing."""
    found: dict[str, tuple[int, list[list[str]]]] = json.loads(one_in_child(_heads, path, member, rows)[0][0].as_py())
    return found


def _heads(path: Path, member: str | None, rows: int) -> Iterator[pa.Table]:
    found: dict[str, tuple[int, list[list[str]]]] = {}
    with open_decoded(path, member) as (name, stream):
        data = stream.read() if _TYPED.get(PurePosixPath(name).suffix.lower()) is _workbook else None
    if data is not None:
        with _book(path, data, Bound(path)) as book:
            for name in book.sheet_names:
                page = book.get_sheet_by_name(name)
                first = page.to_python(skip_empty_area=False, nrows=rows)
                texts = [[_cell(v, ".") or "" for v in row] for row in first]
                found[name] = (page.total_height * page.total_width, texts)
    yield pa.table({"heads": [json.dumps(found)]})


def _workbook(path: Path, stream: IO[bytes], dialect: Dialect, numbers: Collection[str]) -> Sheet:
    bound = Bound(path)
    with _book(path, stream.read(), bound) as book:
        if dialect.sheet is not None and dialect.sheet not in book.sheet_names:
            raise unknown(f"sheet of {path.name}", dialect.sheet, book.sheet_names)
        page = book.get_sheet_by_name(dialect.sheet or book.sheet_names[0])
        bound.add(PYTHON_VALUE * page.total_height * page.total_width)
        rows = page.to_python(skip_empty_area=False)
    texts = [[_cell(value, dialect.decimal) for value in row] for row in rows[dialect.skip_rows :]]
    used = [i for i, column in enumerate(zip(*texts, strict=True)) if any(c is not None for c in column)]
    if not texts or not any(texts[0]):
        raise BadInput(f"{path.name} has no header on row {dialect.skip_rows + 1} of the sheet {page.name!r}.")
    header = [texts[0][i] or "" for i in used]
    sheet = _typed(
        path.name, header, (pa.array([row[i] for row in texts[1:]], pa.string()) for i in used), dialect, numbers
    )
    return dataclasses.replace(sheet, lines=sheet.lines + dialect.skip_rows)


def _check_workbook(data: bytes, bound: Bound) -> None:
    """Counts what a packed workbook holds, and the cells from its first to its last: all of them will be made."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            with archive.open(info) as part:
                content = counting(part, lambda data: bound.add(len(data))).read()
            row = column = 0
            if re.search(r"worksheets/[^/]*\.xml$", info.filename):
                for found in _CELL_OF_WORKBOOK.finditer(content):
                    row = max(row, int(found[2]))
                    column = max(column, int.from_bytes(found[1], "big"))
            letters = column.to_bytes(3, "big").lstrip(b"\0")
            width = sum((letter - 64) * 26**i for i, letter in enumerate(reversed(letters)))
            bound.add(PYTHON_VALUE // 4 * row * width)


def _cell(value: Any, decimal: str) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0").replace(".", decimal)
    if isinstance(value, dt.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    return str(value).strip() or None


def _r_data(path: Path, stream: IO[bytes], dialect: Dialect, numbers: Collection[str]) -> Sheet:
    from rdata.conversion import DEFAULT_CLASS_MAP, convert  # noqa: PLC0415 - only where such a file is read
    from rdata.parser import DEFAULT_ALTREP_MAP, parse_data  # noqa: PLC0415

    bound = Bound(path)
    # every number and text becomes an object of Python on the way
    data = counting(_r_unpacked(stream.read()), lambda part: bound.add(len(part) * PYTHON_VALUE // 16)).read()

    def expanded(make: Callable[[Any], Any], state: Any) -> Any:
        bound.add(8 * int(state.value[0]))  # a sequence is stored as its length and its ends
        return make(state)

    sequences = {n: partial(expanded, make) for n, make in DEFAULT_ALTREP_MAP.items() if n.startswith(b"compact")}
    classes: dict[str | bytes, Callable[..., Any]] = {
        "Date": _r_dates,
        "POSIXct": _r_times,
        "xts": _r_series,
        "zoo": _r_series,
    }
    kind = ".rds" if data[:5] not in (b"RDX2\n", b"RDX3\n", b"RDA2\n", b"RDA3\n") else ".rda"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other classes are read as what lies under them
            parsed = parse_data(data, altrep_constructor_dict={**DEFAULT_ALTREP_MAP, **sequences}, extension=kind)
            found = convert(parsed, {**DEFAULT_CLASS_MAP, **classes})
        frame = _frame(path, found if kind == ".rds" else _r_object(path, found, dialect.object))
        columns = [pa.array(frame.iloc[:, i]) for i in range(frame.shape[1])]
    except VarlakeError:
        raise
    except Exception as error:  # a parser of bytes that are not what they should be raises whatever it falls over
        raise BadInput(f"{path.name} is not R data that can be read: {error!r}.") from None
    return _typed(path.name, frame.columns, columns, dialect, numbers)


def _r_unpacked(data: bytes) -> IO[bytes]:
    """What R compressed, by its first bytes."""
    packed: dict[bytes, Callable[[Any], Any]] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
    unpack: Callable[[Any], Any] = packed.get(data[:2], lambda plain: plain)
    opened: IO[bytes] = unpack(io.BytesIO(data))
    return opened


def _r_object(path: Path, found: Mapping[str, Any], name: str | None) -> Any:
    if name is None and len(found) != 1:
        raise BadInput(f"{path.name} holds the objects {', '.join(found)}; say which with `object`.")
    if name is not None and name not in found:
        raise unknown(f"object of {path.name}", name, found)
    return found[name or next(iter(found))]


def _r_dates(days: Any, _: Any) -> Any:
    return pd.to_datetime(np.asarray(days, dtype=float), unit="D").to_numpy()


def _r_times(seconds: Any, _: Any) -> Any:
    return pd.to_datetime(np.asarray(seconds, dtype=float), unit="s").to_numpy()


def _r_series(values: Any, attributes: Any) -> pd.DataFrame:
    """A time series of xts or zoo, its index as first column; that of xts is in seconds."""
    index = np.asarray(attributes["index"])
    if "xts" in attributes["class"]:
        index = _r_times(index, None)
    matrix = np.asarray(values).reshape(len(index), -1)
    names = (attributes.get("dimnames") or (None, None))[1]
    frame = pd.DataFrame(matrix, columns=_named(matrix) if names is None else list(names))
    frame.insert(0, "index", index, allow_duplicates=True)
    return frame


def _named(matrix: Any) -> list[str]:
    """The names that R gives to columns without one."""
    return [f"V{i + 1}" for i in range(matrix.shape[1])]


def _frame(path: Path, found: Any) -> pd.DataFrame:
    """A data frame, or a matrix with its names; the names of rows, where they are texts, as first column."""
    if hasattr(found, "to_pandas"):
        found = found.to_pandas()
    if isinstance(found, np.ndarray) and found.ndim == 2:
        found = pd.DataFrame(found, columns=_named(found))
    if not isinstance(found, pd.DataFrame):
        raise BadInput(
            f"{path.name} holds a {type(found).__name__}; expected a data frame, a matrix or a time series of R."
        )
    if found.index.dtype.kind not in "iu":
        found = found.copy()
        found.insert(0, "row", [str(name) for name in found.index], allow_duplicates=True)
    return found


_TYPED: dict[str, Callable[[Path, IO[bytes], Dialect, Collection[str]], Sheet]] = {
    ".parquet": _parquet,
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"), _workbook),
    **dict.fromkeys((".rda", ".rdata", ".rds"), _r_data),
}


def typed_endings() -> tuple[str, ...]:
    """The endings of files that are no text."""
    return tuple(_TYPED)
