"""Rows that somebody gives by hand: a JSON text, or a file in CSV, Parquet or JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lake.canonical import digest, from_json
from lake.errors import BadInput, Issue, counted
from lake.landing.decoded import PYTHON_VALUE, read_parquet
from lake.storage import write_durable
from lake.words import clause, first_of

# characters a terminal obeys, but for tabs and ends of lines; as Arrow writes it, and as Python does
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]"
_CONTROL = re.compile(CONTROL.replace("{9f}", "9f"))
NO_NAME = "holds control characters, which no name has"


def listed(issues: Sequence[Issue], *, values: bool = False) -> str:
    """The first faults in words, with the values that were given or without, and how many more there are."""
    given = ((i, f" (given {i.value})" if values and i.value else "") for i in issues)
    return first_of((f"{i.pointer}: {clause(i.message)}{value}" for i, value in given), between="; ")


def refuse(name: str, issues: Sequence[Issue]) -> None:
    """Raises `BadInput` with all faults of a file, where there are any."""
    if issues:
        raise BadInput(f"{name} was not loaded: {listed(issues, values=True)}.", issues=issues)


def refuse_whole(name: str, issues: Sequence[Issue]) -> None:
    """Raises `BadInput` with all faults of a file and their number, where there are any."""
    if issues:
        many = counted(len(issues), "fault")
        raise BadInput(f"{name} has {many}; nothing of it is loaded. {listed(issues, values=True)}.", issues=issues)


def write_faults(folder: Path, name: str, issues: Sequence[Issue]) -> Path:
    """A CSV file in the folder with all faults of a file of that name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("place", "value", "fault", "allowed"))
    writer.writerows((i.pointer, i.value, i.message, "; ".join(i.allowed)) for i in issues)
    data = text.getvalue().encode()
    path = folder / f"{name.partition('.')[0]}-{digest(data)[:8]}.faults.csv"
    write_durable(path, data, replace=True)
    return path


def refuse_columns(name: str, issues: Sequence[Issue]) -> None:
    """Raises `BadInput` with what is wrong with the columns of a file, where anything is."""
    if issues:
        raise BadInput(f"{name} was not loaded: " + " ".join(i.message for i in issues[:20]), issues=issues)


def is_no_name(text: str | None) -> bool:
    """Whether a terminal would obey some of it."""
    return text is not None and _CONTROL.search(text) is not None


def cell_place(path: Path, line: int, column: str | None = None) -> str:
    """What a fault of a file points at."""
    return f"{path.name}, line {line}" + (f", column {column}" if column else "")


SAVE = "Save it as CSV with commas, and with numbers that have a decimal point"
_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def check_delimiter(name: str, header: str, delimiter: str = ",", way: str = SAVE + ".") -> None:
    """Raises `BadInput` where another mark than the delimiter stands between the cells of a file's header line."""
    unquoted = re.sub('"[^"]*"', "", header)
    for mark, word in _MARKS.items():
        if unquoted.count(mark) > unquoted.count(delimiter):
            raise BadInput(f"{name} has {word} between its columns, and {mark_name(delimiter)} are expected. {way}")


def mark_name(delimiter: str) -> str:
    return _MARKS.get(delimiter, f"{delimiter!r}")


def csv_rows(
    name: str, lines: Iterable[str], delimiter: str = ",", quote: str = '"'
) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row; raises `BadInput` for what no CSV file holds, such as a cell without an end."""
    quoting: Any = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    read = csv.reader(lines, delimiter=delimiter, quotechar=quote or None, quoting=quoting)
    try:
        for cells in read:
            yield read.line_num, cells
    except csv.Error as error:
        raise BadInput(f"{name} is not CSV with {mark_name(delimiter)}: {error}.") from None


def read_rows(text: str) -> list[dict[str, Any]]:
    """Rows from a JSON text, an object or a list of them, or from a file of that name; empty cells are left out.

    Raises `BadInput` for a file that cannot be read and a text that is neither.
    """
    if text.lstrip()[:1] in ("{", "["):
        return _objects(text, "The text")
    path = Path(text)
    try:
        if path.suffix.lower() == ".parquet":
            path.stat()  # what is not there is told as of the other forms
            return [_filled(row) for row in read_parquet(path, PYTHON_VALUE).to_pylist()]
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BadInput(
            f"The file {path} cannot be read: {reason}. Give a CSV, Parquet or JSON file, or a JSON text."
        ) from None
    if path.suffix.lower() == ".json":
        return _objects(content, path.name)
    check_delimiter(path.name, content.partition("\n")[0])
    try:
        rows = []
        for number, row in enumerate(csv.DictReader(io.StringIO(content)), 2):
            if None in row:
                raise BadInput(f"{path.name}, row {number}: more cells than columns.")
            rows.append(_filled(row))  # at once: a short row below a wide header has all its empty cells only here
        return rows
    except csv.Error as error:
        raise BadInput(f"{path.name} is not CSV with commas: {error}.") from None


def _objects(text: str, what: str) -> list[dict[str, Any]]:
    try:
        found = from_json(text)
    except ValueError as error:
        raise BadInput(f"{what} is not JSON: {error}.") from None
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows):
        raise BadInput(f'{what} holds no objects; expected rows such as {{"quantity": 1, ...}}.')
    return rows


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    """The row without its empty cells."""
    return {str(k).strip(): v for k, v in row.items() if v is not None and not (isinstance(v, str) and not v.strip())}
