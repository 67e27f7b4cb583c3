"""Control characters of names, which a terminal would obey, are refused where they come in and shown where a lake holds them."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_lake import book_csv

from lake.committer import Committer
from lake.errors import BadInput, Issue
from lake.tables import Lake
from service.rendering.display import print_error, print_pairs, print_table, printable, say, text
from valuation.books.positions import ingest_positions

BELL, LINE = "\x1b]0;x\x07", "a\tb\nc"


def test_names_with_control_characters_are_rejected_rows(work_lake: Lake, tmp_path: Path) -> None:
    header, first, *rest = book_csv().splitlines()
    desk = header.split(",").index("desk")
    cells = first.split(",")
    cells[desk] += BELL
    file = tmp_path / "book.csv"
    file.write_text("\n".join([header, ",".join(cells), *rest]))
    with Committer(work_lake, "test") as committer:
        report = ingest_positions(committer, file)
    assert report.rejected == 1
    (fault,) = report.rejections.to_pylist()
    assert (fault["column"], fault["reason"]) == ("desk", "holds control characters, which no name has")


def test_names_of_an_old_lake_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"desk": f"Rates{BELL}", f"attribute.{BELL}": 1.0}], title="by desk")
    print_pairs({f"desk{BELL}": f"Rates{BELL}"})
    print_error(BadInput(f"Unknown desk Rates{BELL}.", issues=(Issue("where", "Nearest", f"x{BELL}"),)))
    say(f"Rates{BELL}")
    shown = "".join(capsys.readouterr())
    assert "\x1b" not in shown
    assert shown.count("\\x1b]0;x\\x07") == 7


def test_control_characters_are_escaped_but_for_tabs_and_ends_of_lines() -> None:
    assert text(f"Rates{BELL}") == "Rates\\x1b]0;x\\x07"
    assert printable(LINE) == LINE
    assert printable("\x9b31m") == "\\x9b31m"
