"""Files of other systems as rows of text: commas, tabs, semicolons or blanks between cells, lines about the file above the header."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from lake.errors import BadInput, Issue
from lake.landing.decoded import open_decoded
from lake.landing.rows import refuse
from lake.landing.sheet import Dialect, Sheet, read_sheet, sheet_by, typed_endings

# as `service.encoding` writes what an answer rests on above its rows
_ABOUT = re.compile(r"^# [^,;\t]*: ")
_MARKS = (",", "\t", ";")

TextRow = dict[str, str]


def read_delimited(path: Path, what: str) -> tuple[list[str], list[tuple[int, TextRow]]]:
    """The names of the header and each row with its line number; a row holds its trimmed cells, those that are not empty.

    The `#` before a header is no part of it. Raises `BadInput` for a file that is not there or no table, with every uneven line.
    """
    if not path.is_file():
        raise BadInput(f"There is no {what} {path}.")
    return _rows(path, sheet_by(_sheet, path))


def _sheet(path: Path) -> Sheet:
    with open_decoded(path) as (name, stream):
        if name.lower().endswith(typed_endings()):
            return read_sheet(path)
        try:
            lines = stream.read().decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise BadInput(f"{path.name} is not text in UTF-8; a spreadsheet writes it as `CSV UTF-8`.") from error
    first = next((i for i, line in enumerate(lines) if line.strip() and not _ABOUT.match(line)), 0)
    header = lines[first] if lines else ""
    mark = max(_MARKS, key=header.count)
    if not header.strip():
        raise BadInput(f"{path.name} is empty; expected a header and rows.")
    if header.count(mark):
        return read_sheet(path, Dialect(delimiter=mark, skip_rows=first))
    return _between_blanks(path.name, lines[first:], first + 1)


def _between_blanks(name: str, lines: list[str], first: int) -> Sheet:
    """Lines whose cells stand between blanks."""
    header, *rows = [line.split() for line in lines]
    numbered = [(number, row) for number, row in enumerate(rows, first + 1) if row]
    fit = [(number, row) for number, row in numbered if len(row) == len(header)]
    uneven = [
        (number, " ".join(row), f"{len(row)} cells where the header has {len(header)}")
        for number, row in numbered
        if len(row) != len(header)
    ]
    cells = pa.table({str(i): pa.array([row[i] for _, row in fit], pa.string()) for i in range(len(header))})
    return Sheet(name, header, cells, np.array([number for number, _ in fit], dtype=np.int64), tuple(uneven))


def _rows(path: Path, sheet: Sheet) -> tuple[list[str], list[tuple[int, TextRow]]]:
    names = [name.lstrip("#").strip() for name in sheet.header]
    issues = [Issue(n, f"Column {n!r} stands twice in the header.") for n, k in Counter(names).items() if k > 1]
    issues += [Issue(f"line {number}", reason, text[:80]) for number, text, reason in sheet.uneven]
    refuse(path.name, issues)
    if not len(sheet.lines):
        raise BadInput(f"{path.name} has a header and no rows.")
    rows = zip(*(column.to_pylist() for column in sheet.cells.columns), strict=True)
    filled = [{n: c for n, c in zip(names, row, strict=True) if c} for row in rows]
    return names, list(zip(sheet.lines.tolist(), filled, strict=True))
