"""Files of rows: what every door for CSV says of a file that is separated by something else than commas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lake.errors import BadInput
from lake.landing.actual_pnl import ingest_pnl
from lake.landing.dated_values import FileOptions, read_source
from lake.landing.hierarchies import ingest_hierarchies
from lake.landing.positions_file import read_positions_file
from lake.landing.rows import read_rows

# a function that reads the file, and the header it expects; no committer is used before the header is read
DOORS: dict[str, tuple[Callable[[Path], object], str]] = {
    "market": (lambda path: read_source(path, FileOptions(layout="wide")), "Date,AAPL,KO"),
    "market with a title": (lambda path: read_source(path, FileOptions(layout="wide", skip_rows=1)), "Prices\nDate,A"),
    "positions": (lambda path: read_positions_file(path, ("currency",)), "positions_date,quantity,trade"),
    "pnl": (lambda path: ingest_pnl(None, path), "date,pnl,currency"),  # type: ignore[arg-type]
    "hierarchy": (lambda path: ingest_hierarchies(None, path), "hierarchy,level,member"),  # type: ignore[arg-type]
    "rows": (lambda path: read_rows(str(path)), "trade,quantity"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("mark", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_a_file_without_commas_is_told_about_its_separator(tmp_path: Path, door: str, mark: str, word: str) -> None:
    read, header = DOORS[door]
    path = tmp_path / "file.csv"
    path.write_text("\ufeff" + header.replace(",", mark) + "\n" + mark.join(["1,5"] * len(header.split(","))) + "\n")
    with pytest.raises(BadInput, match=f"^file.csv has {word} between its columns, and commas are expected"):
        read(path)


@pytest.mark.parametrize("door", DOORS)
def test_a_file_that_is_no_csv_is_told_so(tmp_path: Path, door: str) -> None:
    read, header = DOORS[door]
    path = tmp_path / "file.csv"
    path.write_text(header.replace("\n", "\n" + "x" * (1 << 18)).replace(",", "x" * (1 << 18)) + "\n1\n")
    with pytest.raises(BadInput, match=r"^file\.csv is not CSV with commas: field larger than field limit"):
        read(path)


def test_a_semicolon_in_a_name_is_no_separator(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text('"Date; close","A;B;C"\n2020-03-16,1\n')
    assert read_source(path, FileOptions(layout="wide")).columns == ("A;B;C",)
