"""Tables on a terminal: what is left out, in which order, what is said of it, and money in thousands and millions."""

from __future__ import annotations

import io
import os

import pytest

from lake.errors import BadInput, counted
from service.rendering import display, tables

ROWS = [
    {"desk": "Rates", "positions": 1200, "base_value": 1_234_567_890.0, "var_0.99": 31_343_880.0, "share": 0.25},
    {"desk": "Überseehandel 東京", "positions": 1, "base_value": None, "var_0.99": -4_499.0, "share": 0.75},
]
TOTAL = {"desk": "Total", "positions": 1201, "base_value": 1_234_567_890.0, "var_0.99": 31_339_381.0}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("COLUMNS", raising=False)
    return monkeypatch


def shown(capsys: pytest.CaptureFixture[str], **how: object) -> list[str]:
    display.print_table(ROWS, title="1 day in USD", last=TOTAL, **how)  # type: ignore[arg-type]
    return capsys.readouterr().out.splitlines()


FULL = """\
1 day in USD
desk                positions     base_value    var_0.99  share
Rates                   1,200  1,234,567,890  31,343,880   0.25
Überseehandel 東京          1              -      -4,499   0.75
Total                   1,201  1,234,567,890  31,339,381""".splitlines()


def test_a_file_has_every_column_however_wide(terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys) == FULL
    display.print_table([{f"column {i}": 1e6 + i for i in range(500)}])
    assert "1,000,499" in capsys.readouterr().out


def test_columns_that_do_not_fit_are_left_out_the_least_important_first_and_named(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setenv("COLUMNS", "63")
    assert shown(capsys) == FULL
    terminal.setenv("COLUMNS", "62")
    assert shown(capsys, first=("desk", "var_0.99", "share")) == [
        "1 day in USD",
        "desk                positions    var_0.99  share",
        "Rates                   1,200  31,343,880   0.25",
        "Überseehandel 東京          1      -4,499   0.75",
        "Total                   1,201  31,339,381",
        "Left out at a width of 62: base_value; a wider terminal, a",
        "file and --json have them.",
    ]
    terminal.setenv("COLUMNS", "40")
    assert shown(capsys, first=("desk", "var_0.99", "share"))[1] == "desk                  var_0.99  share"


def test_where_the_first_figure_does_not_fit_a_row_takes_a_line_for_each_column(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setenv("COLUMNS", "29")
    assert shown(capsys, first=("desk", "var_0.99"))[:13] == [
        "1 day in USD",
        "  desk        Rates",
        "  positions   1,200",
        "  base_value  1,234,567,890",
        "  var_0.99    31,343,880",
        "  share       0.25",
        "",
        "  desk        Überseehandel",
        "              東京",
        "  positions   1",
        "  base_value  -",
        "  var_0.99    -4,499",
        "  share       0.75",
    ]


def test_what_is_asked_for_is_shown_beside_each_other_or_below(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(*columns: str) -> list[str]:
        with display.layout(columns, "1", "--columns"):
            display.print_table(ROWS, last=TOTAL)
        return capsys.readouterr().out.splitlines()

    terminal.setenv("COLUMNS", "40")
    assert asked("share", "desk")[:2] == ["share  desk", " 0.25  Rates"]
    assert asked("all")[:3] == ["  desk        Rates", "  positions   1,200", "  base_value  1,234,567,890"]
    assert len(asked("all")) == 3 * 5 + 2
    with display.layout(["loss"], "1", "--columns"):
        display.print_table([{"day": "2020-03-16", "why": "in two\nlines", "loss": 5}])
        display.print_table(ROWS)
    assert capsys.readouterr().out.splitlines()[:3] == ["loss", "   5", "desk                positions  share"]
    terminal.setenv("COLUMNS", "63")
    assert asked("all") == FULL[1:]
    with display.layout(
        ["desk", "share", "reason"], "1", "--columns", {"reason"}
    ):  # that the table has and does not show
        display.print_table(ROWS, ("desk", "positions"), last=TOTAL)
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["desk", "share"]
    assert out[-1] == "No table has rows with reason today."
    with pytest.raises(BadInput, match=r"Unknown column 'var_0\.9'\. Nearest valid: var_0\.99") as error:
        asked("desk", "var_0.9")
    assert error.value.issues[0].pointer == "--columns"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("unit", "title", "figures"),
    [
        ("thousand", "1 day in USD (money in thousands)", ["1,234,567.9", "31,343.9", "-4.5", "31,339.4"]),
        ("million", "1 day in USD (money in millions)", ["1,234.57", "31.34", "0.00", "31.34"]),
    ],
)
def test_money_alone_is_in_the_unit_that_the_heading_names(
    unit: str, title: str, figures: list[str], terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with display.layout((), unit, "--columns"):
        display.print_table(ROWS, title="1 day in USD", last=TOTAL, money=("base_value", "var_0.99", "not there"))
        display.print_pairs({"loss": 1_500_000.0, "cost": 1_500_000.0, "reached": True}, money=("loss", "reached"))
        display.print_pairs({"deviations": 2.5}, title="no money")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == title
    assert lines[2].split() == ["Rates", "1,200", figures[0], figures[1], "0.25"]
    assert lines[3].split()[2:] == ["1", "-", figures[2], "0.75"]
    assert lines[4].split() == ["Total", "1,201", figures[0], figures[3]]
    loss = {"thousand": "1,500.0", "million": "1.50"}[unit]
    assert [line.split() for line in lines[5:]] == [
        ["(money", "in", f"{unit}s)"],
        ["loss", loss],
        ["cost", "1,500,000"],
        ["reached", "yes"],
        ["no", "money"],
        ["deviations", "2.5"],
    ]


def test_words_are_folded_between_words_and_a_file_has_them_as_they_are(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setenv("COLUMNS", "30")
    display.say("Note: the scenarios of 2018-03-21 carry weights.")
    display.print_pairs({"law": "covariance of 500 one-day moves to 2020-03-16"})
    told = capsys.readouterr()
    assert told.err == "Note: the scenarios of\n2018-03-21 carry weights.\n"
    assert told.out == "  law  covariance of 500\n       one-day moves to\n       2020-03-16\n"
    terminal.delenv("COLUMNS")
    display.say("x " * 300)
    assert capsys.readouterr().err == "x " * 300 + "\n"


def test_a_terminal_is_asked_for_its_width(terminal: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert display.line_width(io.StringIO()) is None
    terminal.setattr("shutil.get_terminal_size", lambda: os.terminal_size((93, 40)))
    assert display.line_width(Screen()) == 93


@pytest.mark.parametrize(
    ("n", "words", "said"),
    [
        (0, ("scenario",), "0 scenarios"),
        (1, ("scenario",), "1 scenario"),
        (2000, ("scenario",), "2,000 scenarios"),
        (1, ("day is", "days are"), "1 day is"),
        (3, ("day is", "days are"), "3 days are"),
    ],
)
def test_one_thing_is_counted_in_the_singular(n: int, words: tuple[str, ...], said: str) -> None:
    assert counted(n, *words) == said


def test_the_reason_of_a_fault_is_never_left_out(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setenv("COLUMNS", "60")
    fault = {
        "column": "quantity",
        "reason": "expected a finite number such as 1500 or -2.5",
        "rows": 24,
        "row": 12,
        "value": "x",
    }
    tables.show_faults([fault], "Unusable rows")
    assert f"  reason     {fault['reason']}" in capsys.readouterr().out.splitlines()
