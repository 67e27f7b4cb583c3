"""Reads a positions file into text by column: trimmed cells, null where empty, each row with its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.arrays import Ints
from lake.errors import BadInput, Issue, unknown
from lake.landing.sheet import Sheet, read_sheet, sheet_of
from lake.schemas import DIMENSION_COLUMNS

ATTRIBUTE = "attribute."
REJECT = "reject."  # the two columns a rejects file has more than its source; ignored, so that it loads once corrected
REQUIRED = ("positions_date", "quantity", *DIMENSION_COLUMNS, "instrument_type")


@dataclass(frozen=True)
class PositionsFile:
    """The file as text: trimmed cells, null where empty.

    rows : number of each row, (n,); the header is row 1, in Parquet too. terms : the term columns it has.
    ragged : (row number, text, reason) of the lines whose number of cells is not the header's.
    """

    columns: Mapping[str, pa.Array]
    rows: Ints
    terms: tuple[str, ...]
    ragged: tuple[tuple[int, str, str], ...]

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


def read_positions_file(path: Path, terms: tuple[str, ...], required: Sequence[str] = REQUIRED) -> PositionsFile:
    """The file, with `terms` the term columns that may stand in it; raises `BadInput` when it is unusable as a whole.

    Columns of a positions file that are not `required` may be missing: they are then empty.
    """
    if not path.is_file():
        raise BadInput(f"There is no positions file {path}.")
    return _positions(read_sheet(path, numbers=("quantity",)), terms, required)


def positions_rows(
    name: str, table: pa.Table, terms: tuple[str, ...], required: Sequence[str] = REQUIRED
) -> PositionsFile:
    """As `read_positions_file`, of a table that was read already; `name` says where it came from."""
    return _positions(sheet_of(name, table, ("quantity",)), terms, required)


def _positions(sheet: Sheet, terms: tuple[str, ...], required: Sequence[str]) -> PositionsFile:
    _check_columns(sheet.name, sheet.header, terms, required)
    if not len(sheet.lines) and not sheet.uneven:
        raise BadInput(f"{sheet.name} has a header and no rows.")
    columns = {n: sheet.column(i) for i, n in enumerate(sheet.header) if not n.startswith(REJECT)}
    columns |= {n: pa.nulls(len(sheet.lines), pa.string()) for n in REQUIRED if n not in columns}
    return PositionsFile(columns, sheet.lines, tuple(t for t in terms if t in columns), sheet.uneven)


def _check_columns(file: str, names: Sequence[str], terms: tuple[str, ...], required: Sequence[str]) -> None:
    valid = [*REQUIRED, *terms]
    issues: list[Issue] = []
    for name in names:
        if name in valid or name.startswith(REJECT) or (name.startswith(ATTRIBUTE) and name != ATTRIBUTE):
            continue
        issues += unknown("column", name, [*valid, f"{ATTRIBUTE}{name}"], pointer=name).issues
    issues += [
        Issue(name, f"Column {name!r} is missing; every positions file has it.")
        for name in required
        if name not in names
    ]
    issues += [Issue(n, f"Column {n!r} stands twice in the header.") for n in sorted(set(names)) if names.count(n) > 1]
    if issues:
        raise BadInput(
            f"{file} was not loaded: " + " ".join(i.message for i in issues[:20]),
            issues=issues,
        )
