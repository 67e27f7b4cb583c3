"""Reads a positions file, CSV or Parquet, into text: trimmed cells, null where empty, each row with its number.

Both formats become the same text, so that everything behind this module treats them alike.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from lake.arrays import Ints
from lake.errors import BadInput, Issue, unknown
from lake.landing.mapping import REJECT, FileMapping, Kind, mapped
from lake.landing.decoded import CANNOT_UNPACK, MOST_UNEVEN, held, open_decoded, read_parquet
from lake.landing.rows import check_commas, csv_rows
from lake.landing.sheet import read_sheet
from lake.schemas import DIMENSION_COLUMNS

ATTRIBUTE = "attribute."
ACTION = "action"
REQUIRED = ("positions_date", "quantity", *DIMENSION_COLUMNS, "instrument_type")
NOT_A_NUMBER = "NaN"
_KINDS: Mapping[str, Kind] = {"positions_date": "date", "quantity": "number"}
_BLOCK = 1 << 24  # bytes parsed at a time; no line is longer


@dataclass(frozen=True)
class PositionsFile:
    """The file as text: trimmed cells, null where empty.

    rows : number of each row, (n,); the header is row 1, in Parquet too. terms : the term columns it has.
    ragged : (row number, text, reason) of the lines whose number of cells is not the header's. faults : (rows, column, cells,
    reason) of cells that were faults before they were read as positions. own : where the file has columns of its own, which of
    them a column is made of. cells : the columns as the file has them.
    """

    columns: Mapping[str, pa.Array]
    rows: Ints
    terms: tuple[str, ...]
    ragged: tuple[tuple[int, str, str], ...]
    cells: Mapping[str, pa.Array]
    mapping: FileMapping | None = None
    own: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[tuple[Ints, str, pa.Array, str], ...] = ()

    @property
    def attributes(self) -> list[str]:
        return sorted(c for c in self.columns if c.startswith(ATTRIBUTE))

    @property
    def read(self) -> int:
        return len(self.rows) + len(self.ragged)


def flags(array: pa.Array) -> npt.NDArray[np.bool_]:
    """A boolean array without nulls, as NumPy has it."""
    values: npt.NDArray[np.bool_] = array.to_numpy(zero_copy_only=False)
    return values


def read_positions_file(
    path: Path,
    terms: Collection[str],
    required: Sequence[str] = REQUIRED,
    mapping: FileMapping | None = None,
    further: Collection[str] = (),
) -> PositionsFile:
    """The file, with `terms` the term columns that may stand in it and `further` other ones; raises `BadInput` when it is unusable
    as a whole.

    Columns of a positions file that are not `required` may be missing: they are then empty. With a mapping, `terms` says of what
    kind each is.
    """
    if not path.is_file():
        raise BadInput(f"There is no positions file {path}.")
    if mapping is not None:
        sheet = read_sheet(path, mapping.dialect)
        done = mapped(sheet, mapping, {**_KINDS, **(terms if isinstance(terms, Mapping) else {})})
        _check_columns(path.name, [*done.columns], (*terms, *further), required, done.issues)
        read = PositionsFile(
            done.columns, done.lines, (), sheet.uneven, done.cells, mapping, done.own, tuple(done.faults)
        )
        return _completed(path.name, read, terms)
    ragged: list[tuple[int, str, str]] = []
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        table = read_csv(path, ragged)
    elif name.endswith(".parquet"):
        table = read_parquet(path)
    else:
        raise BadInput(f"A positions file ends in .csv, .csv.gz or .parquet, but {path.name} does not.")
    return positions_rows(path.name, table, terms, required, ragged, further)


def positions_rows(
    name: str,
    table: pa.Table,
    terms: Collection[str],
    required: Sequence[str] = REQUIRED,
    ragged: Sequence[tuple[int, str, str]] = (),
    further: Collection[str] = (),
) -> PositionsFile:
    """As `read_positions_file`, of a table that was read already; `name` says where it came from."""
    _check_columns(name, table.column_names, (*terms, *further), required)
    columns = {n: as_text(n, table[n], n == "quantity") for n in table.column_names if not n.startswith(REJECT)}
    taken = np.array([number for number, _, _ in ragged], dtype=np.int64)
    rows = np.delete(np.arange(2, 2 + table.num_rows + len(taken)), taken - 2)
    blank = np.ones(table.num_rows, dtype=bool)
    for column in columns.values():
        blank &= flags(pc.fill_null(pc.equal(column, NOT_A_NUMBER), True))
    if blank.any():  # a blank line is no row
        keep = pa.array(~blank)
        columns, rows = {n: c.filter(keep) for n, c in columns.items()}, rows[~blank]
    return _completed(name, PositionsFile(columns, rows, (), tuple(ragged), columns), terms)


def _completed(name: str, file: PositionsFile, terms: Collection[str]) -> PositionsFile:
    """The file with an empty column for each that it may lack; raises `BadInput` where it has no rows."""
    if not file.read:
        raise BadInput(f"{name} has a header and no rows.")
    empty = {n: pa.nulls(len(file.rows), pa.string()) for n in REQUIRED if n not in file.columns}
    return replace(file, columns={**file.columns, **empty}, terms=tuple(t for t in terms if t in file.columns))


def read_csv(path: Path, ragged: list[tuple[int, str, str]]) -> pa.Table:
    def on_ragged(line: pcsv.InvalidRow) -> str:
        reason = f"{line.actual_columns} cells where the header has {line.expected_columns}; quote cells with commas"
        ragged.append((line.number, line.text, reason))
        return "skip" if len(ragged) <= MOST_UNEVEN else "error"

    try:
        with open_decoded(path) as stream:
            text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
            first = text.readline(_BLOCK)
            check_commas(path.name, first)
            names = next(csv_rows(path.name, itertools.chain([first], text)), (1, []))[1]
        with (
            open_decoded(path) as stream,
            pcsv.open_csv(
                stream,
                # one thread, because only then rows are numbered
                read_options=pcsv.ReadOptions(use_threads=False, block_size=_BLOCK),
                parse_options=pcsv.ParseOptions(
                    newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=on_ragged
                ),
                convert_options=pcsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
                ),
            ) as batches,
        ):
            return held(batches, batches.schema, path)
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is not text in UTF-8; a spreadsheet writes it as `CSV UTF-8`.") from error
    except (pa.ArrowInvalid, *CANNOT_UNPACK) as error:
        raise BadInput(f"{path.name} is not a CSV file in UTF-8 with commas and one header line: {error}") from error


def _check_columns(
    file: str, names: Sequence[str], terms: Collection[str], required: Sequence[str], faults: Sequence[Issue] = ()
) -> None:
    """Raises `BadInput` with all faults of the columns, those told by the mapping first."""
    valid = [*REQUIRED, *terms]
    issues = [*faults]
    for name in names:
        if name in valid or name.startswith(REJECT) or (name.startswith(ATTRIBUTE) and name != ATTRIBUTE):
            continue
        issues += unknown("column", name, [*valid, f"{ATTRIBUTE}{name}"], pointer=name).issues
    issues += [
        Issue(name, f"Column {name!r} is missing; every positions file has it.")
        for name in (
            ("positions_date", "trade") if ACTION in names else required
        )  # of a trade to remove no more is needed
        if name not in names
    ]
    issues += [Issue(n, f"Column {n!r} stands twice in the header.") for n in sorted(set(names)) if names.count(n) > 1]
    if issues:
        raise BadInput(
            f"{file} was not loaded: " + " ".join(i.message for i in issues[:20]),
            issues=issues,
        )


def as_text(name: str, column: pa.ChunkedArray, number: bool = False) -> pa.Array:
    """The cells as trimmed text, null where empty; numbers in the shortest form that reads back to the same bits.

    A NaN is how pandas writes an empty cell; where a `number` is required it is told as what it is.
    """
    array = column.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_nested(array.type):
        values = array.to_pylist(maps_as_pydicts="strict")
        array = pa.array([None if v is None else json.dumps(v, default=str) for v in values], pa.string())
    not_a_number = pc.is_nan(array) if pa.types.is_floating(array.type) else pa.scalar(False)
    try:
        text = pc.if_else(not_a_number, NOT_A_NUMBER if number else None, pc.cast(array, pa.string()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadInput(f"Column {name!r} has the type {array.type}, which cannot be read as text: {error}") from error
    if pa.types.is_timestamp(array.type):
        text = pc.replace_substring_regex(text, r" 00:00:00(\.0+)?(Z|[+-]\d{4})?$", "")
    text = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(text, ""), None, text)
