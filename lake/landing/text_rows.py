"""A file as rows of text that are checked one by one: a file with a fault anywhere is refused whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.errors import BadInput, Issue, unknown
from lake.landing.positions_file import ATTRIBUTE
from lake.landing.rows import refuse_columns, refuse_whole
from lake.landing.sheet import read_sheet

Cells = dict[str, str | None]


@dataclass
class TextRows:
    """The rows of a file, each with its number (the header is row 1, in Parquet too): every column that may stand in it, trimmed,
    None where it is empty or absent. Faults are collected, and `raise_any` tells them all."""

    path: Path
    columns: tuple[str, ...]
    rows: list[tuple[int, Cells]]
    issues: list[Issue]

    def __iter__(self) -> Iterator[tuple[int, Cells]]:
        return iter(self.rows)

    def fault(self, number: int, column: str, message: str, value: str | None = None) -> None:
        self.issues.append(Issue(f"row {number}, column {column}", message, value))

    def raise_any(self) -> None:
        """Raises `BadInput` with every fault found so far, if any."""
        refuse_whole(self.path.name, self.issues)


def read_text_rows(
    path: Path, what: str, columns: Sequence[str], required: Collection[str], *, attributes: bool = False
) -> TextRows:
    """The file's rows; `required` columns must be there, and filled in unless who reads them says otherwise. `attributes` : any
    `attribute.<name>` may stand beside the columns. Raises `BadInput` for a file that cannot be read or has other columns."""
    sheet = read_sheet(path)
    names = sheet.header
    extra = [n for n in names if attributes and n.startswith(ATTRIBUTE) and n != ATTRIBUTE]
    issues = [i for n in names if n not in (*columns, *extra) for i in unknown("column", n, columns, pointer=n).issues]
    issues += [Issue(n, f"Column {n!r} is missing; a file of {what} has it.") for n in required if n not in names]
    issues += [Issue(n, f"Column {n!r} stands twice in the header.") for n, k in Counter(names).items() if k > 1]
    refuse_columns(path.name, issues)
    cells = {n: sheet.column(i).to_pylist() for i, n in enumerate(names)}
    absent: Cells = dict.fromkeys(columns)
    rows = [
        (number, {**absent, **dict(zip(cells, values, strict=True))})
        for number, values in zip(sheet.lines.tolist(), zip(*cells.values(), strict=True), strict=True)
    ]
    if not rows and not sheet.uneven:
        raise BadInput(f"{path.name} has a header and no rows.")
    faults = [Issue(f"row {number}", reason, line[:80]) for number, line, reason in sheet.uneven]
    return TextRows(path, (*columns, *sorted(extra)), rows, faults)
