"""Reads a positions file into text by column: trimmed cells, null where empty, each row with its number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lake.arrays import Ints
from lake.errors import BadInput, Issue, unknown
from lake.landing.mapping import REJECT, FileMapping, Kind, canonical
from lake.landing.rows import refuse_columns
from lake.landing.sheet import Sheet, read_sheet, sheet_of
from lake.schemas import DIMENSION_COLUMNS

ATTRIBUTE = "attribute."
ACTION = "action"
REQUIRED = ("positions_date", "quantity", *DIMENSION_COLUMNS, "instrument_type")
OF_TRADES = ("positions_date", "quantity", "trade", "instrument_type")  # what a file of trades says of each
UNASSIGNED = "unassigned"  # the dimensions of which a file of trades says nothing
KINDS: Mapping[str, Kind] = {"positions_date": "date", "quantity": "number"}


@dataclass(frozen=True)
class PositionsFile:
    """The file as text: trimmed cells, null where empty.

    rows : number of each row, (n,); the header is row 1, in Parquet too. terms : the term columns it has.
    ragged : (row number, text, reason) of the lines whose number of cells is not the header's. faults : (rows, column, cells,
    reason) of cells that were faults before they were read as positions. own : where the file has columns of its own, which of
    them a column is made of. cells : the columns as the file has them; left : those of the `ragged` lines, where they have any.
    """

    columns: Mapping[str, pa.Array]
    rows: Ints
    terms: tuple[str, ...]
    ragged: tuple[tuple[int, str, str], ...]
    cells: Mapping[str, pa.Array]
    mapping: FileMapping | None = None
    own: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[tuple[Ints, str, pa.Array, str], ...] = ()
    left: Mapping[str, pa.Array] = field(default_factory=dict)

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
    kinds: Mapping[str, Kind] = KINDS,
    further: Collection[str] = (),
    sheet: Sheet | None = None,
) -> PositionsFile:
    """The file, with `terms` the term columns that may stand in it; raises `BadInput` when it is unusable as a whole.

    Columns of a positions file that are not `required` may be missing: they are then empty. `mapping` says how a file with columns
    of its own is read, with the `kinds` of ours. `further` are columns that are no terms. `sheet` : what the file holds, where it was
    read already.
    """
    if not path.is_file():
        raise BadInput(f"There is no positions file {path}.")
    if sheet is None:
        sheet = read_sheet(path, None if mapping is None else mapping.dialect, numbers=("quantity",))
    return positions_of(sheet, terms, required, mapping, kinds, further)


def positions_rows(
    name: str, table: pa.Table, terms: Collection[str], required: Sequence[str] = REQUIRED
) -> PositionsFile:
    """As `read_positions_file`, of a table that was read already; `name` says where it came from."""
    return positions_of(sheet_of(name, table, ("quantity",)), terms, required)


def positions_of(
    sheet: Sheet,
    terms: Collection[str],
    required: Sequence[str] = REQUIRED,
    mapping: FileMapping | None = None,
    kinds: Mapping[str, Kind] = KINDS,
    further: Collection[str] = (),
) -> PositionsFile:
    """As `read_positions_file`, of a sheet."""
    done = canonical(sheet, mapping, kinds)
    _check_columns(
        sheet.name, sheet.header if mapping is None else [*done.columns], (*terms, *further), required, done.issues
    )
    if not len(sheet.lines) and not sheet.uneven:
        raise BadInput(f"{sheet.name} has a header and no rows.")
    absent = [n for n in REQUIRED if n not in done.columns]
    columns = done.columns | {n: pa.nulls(len(sheet.lines), pa.string()) for n in absent}
    cells, left = done.cells, {}
    if required == OF_TRADES:
        columns |= {n: pc.fill_null(columns[n], UNASSIGNED) for n in DIMENSION_COLUMNS if n not in OF_TRADES}
        cells = {**cells, **{n: columns[n] for n in absent}}  # rejected rows, once mended, are a positions file
    if sheet.left is not None:
        given = dict(zip(sheet.header, (c.combine_chunks() for c in sheet.left.columns), strict=True))
        unassigned = pa.array([UNASSIGNED] * len(sheet.uneven), pa.string())
        left = {n: given.get(n, unassigned) for n in cells}
    return PositionsFile(
        columns,
        sheet.lines,
        tuple(t for t in terms if t in columns),
        sheet.uneven,
        cells,
        mapping,
        done.own,
        tuple(done.faults),
        left,
    )


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
    refuse_columns(file, issues)
