"""Control characters of names, which a terminal would obey, are refused where they come in and shown where a lake holds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_lake import book_csv

from lake.committer import Committer
from lake.errors import BadInput, Issue
from lake.landing.actual_pnl import ingest_pnl
from lake.landing.hierarchies import ingest_hierarchies
from lake.landing.rows import NO_NAME
from lake.tables import Lake
from scenarios.market.landing_catalogue import ingest_market, load_catalogue
from service.rendering.display import print_error, print_json, print_pairs, print_table, printable, say, text
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


def test_hierarchies_with_control_characters_are_refused(work_lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "tree.csv"
    header = "hierarchy,level,member,parent_level,parent,effective_from,effective_to"
    file.write_text(f"{header}\nhouse,desk,Rates,division,Fixed{BELL},2020-01-01,\n")
    with Committer(work_lake, "test") as committer, pytest.raises(BadInput, match=NO_NAME) as refused:
        ingest_hierarchies(committer, file)
    assert refused.value.issues[0].pointer == "tree.csv, line 2, column parent"
    assert "\x1b" not in str(refused.value.issues)


def test_actual_pnl_with_control_characters_is_refused(work_lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "pnl.csv"
    file.write_text(f"date,desk,pnl,currency\n2020-03-16,Rates{BELL},1.5,USD\n")
    with Committer(work_lake, "test") as committer, pytest.raises(BadInput, match=NO_NAME) as refused:
        ingest_pnl(committer, file)
    assert refused.value.issues[0].pointer == "row 2, column desk"


def test_risk_factors_with_control_characters_are_refused(work_lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "shares.csv").write_text("Date,A\n2020-03-16,1.5\n")
    (tmp_path / "own.toml").write_text(
        'name = "own"\n[source.shares]\nfile = "shares.csv"\nlayout = "wide"\n'
        '[source.shares.factor]\nid = "EQ:{column}"\ntype = "equity_price"\nname = "{name}"\ncurrency = "USD"\n'
        '[source.shares.columns]\nA = { name = "A\\u001b]0;x\\u0007" }\n'
    )
    with Committer(work_lake, "test") as committer, pytest.raises(BadInput, match=NO_NAME) as refused:
        ingest_market(committer, tmp_path, load_catalogue(tmp_path / "own.toml"))
    assert "\x1b" not in refused.value.message


def test_json_of_an_old_lake_is_escaped_and_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"desk": f"Rates{BELL}\x9b31m"})
    shown = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)
    assert json.loads(shown) == {"desk": f"Rates{BELL}\x9b31m"}
