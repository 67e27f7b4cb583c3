"""Files of other systems as rows of text: commas, tabs, semicolons or blanks between cells, lines about the file above the header."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from lake.errors import BadInput, Issue
from lake.landing.decoded import CANNOT_UNPACK, Bound, open_decoded, read_parquet
from lake.landing.positions_file import as_text
from lake.landing.rows import csv_rows

# as `service.encoding` writes what an answer rests on above its rows
_ABOUT = re.compile(r"^# [^,;\t]*: ")
_MARKS = (",", "\t", ";")
_MOST_ISSUES = 100

TextRow = dict[str, str]


def read_delimited(path: Path, what: str) -> tuple[list[str], list[tuple[int, TextRow]]]:
    """The names of the header and each row with its line number; a row holds its trimmed cells, those that are not empty.

    The `#` before a header is no part of it. Raises `BadInput` for a file that is not there or no table, with every uneven line.
    """
    if not path.is_file():
        raise BadInput(f"There is no {what} {path}.")
    if path.suffix.lower() == ".parquet":
        table = read_parquet(path)
        columns = [as_text(name, table[name]).to_pylist() for name in table.column_names]
        cells = [[c or "" for c in row] for row in zip(*columns, strict=True)]
        return _rows(path, [(1, table.column_names), *enumerate(cells, 2)])
    try:
        with open_decoded(path) as stream:
            text = stream.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is not text in UTF-8; a spreadsheet writes it as `CSV UTF-8`.") from error
    except CANNOT_UNPACK as error:
        raise BadInput(f"{path.name} cannot be read: {error}") from error
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if line.strip() and not _ABOUT.match(line)), 0)
    header = lines[first] if lines else ""
    mark = max(_MARKS, key=header.count)
    if not header.count(mark):
        split: list[tuple[int, list[str]]] = [(i, line.split()) for i, line in enumerate(lines[first:], first + 1)]
    else:
        Bound(path).add_cells(text.count(mark) + len(lines))
        split = [(first + n, cells) for n, cells in csv_rows(path.name, lines[first:], mark)]
    return _rows(path, split)


def _rows(path: Path, lines: list[tuple[int, list[str]]]) -> tuple[list[str], list[tuple[int, TextRow]]]:
    if not lines:
        raise BadInput(f"{path.name} is empty; expected a header and rows.")
    names = [name.strip().lstrip("#").strip() for name in lines[0][1]]
    issues = [Issue(n, f"Column {n!r} stands twice in the header.") for n, k in Counter(names).items() if k > 1]
    rows = []
    for number, cells in lines[1:]:
        trimmed = [c.strip() for c in cells]
        if not any(trimmed):
            continue  # a blank line is no row
        if len(cells) != len(names):
            issues.append(
                Issue(f"line {number}", f"{len(cells)} cells where the header has {len(names)}", ",".join(cells)[:80])
            )
            continue
        rows.append((number, {n: c for n, c in zip(names, trimmed, strict=True) if c}))
    refuse(path, issues)
    if not rows:
        raise BadInput(f"{path.name} has a header and no rows.")
    return names, rows


def refuse(path: Path, issues: list[Issue]) -> None:
    """Raises `BadInput` with all faults of a file, where there are any."""
    if issues:
        shown = "; ".join(f"{i.pointer}: {i.message}" + (f" (given {i.value})" if i.value else "") for i in issues[:5])
        more = f" and {len(issues) - 5:,} more" if len(issues) > 5 else ""
        raise BadInput(f"{path.name} was not loaded: {shown}{more}.", issues=issues[:_MOST_ISSUES])
