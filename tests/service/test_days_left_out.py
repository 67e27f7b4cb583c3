"""What a person is told of days that are no scenario, and of markets that were closed in the tail: by answers, receipts and plans.

The cases are those that were reported, by files and commands; expected figures are worked out by hand beside them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import answer, varlake

from lake.schemas import DIMENSION_COLUMNS

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09")
A = ("80", "80.8", "80", "88", "88", "88.88", "88")
B = ("79", "79.8", "79", "", "87", "87.88", "87")  # a blank on 2024-01-04
SET = ("--method", "historical", "-p", "window_start=2024-01-02", "-p", "calendar=weekdays")
LEFT_OUT = "2 days are left out of the scenarios: 2024-01-04, 2024-01-05 (no one-day move for EQ:b)."


def source(name: str) -> str:
    return (
        f'[source.{name}]\nfile = "{name}.csv"\nlayout = "series"\n'
        f'[source.{name}.factor]\nid = "EQ:{name}"\ntype = "equity_price"\ncurrency = "USD"\n'
    )


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def bring(lake: Path, series: dict[str, tuple[str | None, ...]], quantities: dict[str, int]) -> None:
    """Prices, a file a share, and a book of shares; None is a day that the file does not list."""
    folder = lake.parent
    for name, values in series.items():
        rows = [f"{d},{v}\n" for d, v in zip(DAYS, values, strict=True) if v is not None]
        (folder / f"{name}.csv").write_text("day,close\n" + "".join(rows))
    (folder / "own.toml").write_text('name = "own"\n' + "".join(map(source, series)))
    others = [d for d in DIMENSION_COLUMNS if d not in ("trade", "desk")]
    book = f"positions_date,trade,quantity,desk,{','.join(others)},instrument_type,currency,underlying\n"
    same = ",".join("x" for _ in others)
    book += "".join(f"{DAYS[-1]},{n},{q},D,{same},cash_equity,USD,EQ:{n}\n" for n, q in quantities.items())
    (folder / "book.csv").write_text(book)
    for command in (
        ("ingest", "market", folder, "--catalogue", folder / "own.toml"),
        ("ingest", "positions", folder / "book.csv"),
    ):
        done = varlake(*command, lake=lake)
        assert done.returncode == 0, done.stderr


def test_a_hedge_over_a_blank_cell(lake: Path) -> None:
    bring(lake, {"a": A, "b": B}, {"a": 1000, "b": -1000})
    planned = answer("value", "--as-of", DAYS[-1], *SET, "--plan", lake=lake)
    assert list(planned["dropped_days"]) == ["2024-01-04", "2024-01-05"]
    assert f"Note: {LEFT_OUT}" in varlake("value", "--as-of", DAYS[-1], *SET, "--plan", lake=lake).stderr
    assert varlake("value", "--as-of", DAYS[-1], *SET, lake=lake).returncode == 0
    found = answer("var", "--as-of", DAYS[-1], lake=lake)
    assert found["coverage"]["status"] == "complete"
    # the four moves that both made; the worst is 1000 (88 (80 / 80.8 - 1) - 87 (79 / 79.8 - 1))
    moves = [(80.8 / 80, 79.8 / 79), (80 / 80.8, 79 / 79.8), (88.88 / 88, 87.88 / 87), (88 / 88.88, 87 / 87.88)]
    worst = -min(1000 * (88 * (a - 1) - 87 * (b - 1)) for a, b in moves)
    assert found["total"]["var_0.99"] == pytest.approx(worst, abs=1e-8)
    assert worst < 2
    assert LEFT_OUT in found["notes"]
    assert found["receipt"]["dropped_days"] == dict.fromkeys(("2024-01-04", "2024-01-05"), "no one-day move for EQ:b")


@pytest.mark.parametrize(
    "question",
    [
        ("var", "--by", "desk"),
        ("scenario-pnl", "--by", "desk"),
        ("drill", "--where", "desk=D"),
        ("contributions", "--by", "trade"),
        ("what-if", "--remove", "trade=b"),
        ("pivot", "--row", "desk", "--column", "trade"),
    ],
)
def test_every_answer_names_the_days_and_who_caused_them(lake: Path, question: tuple[str, ...]) -> None:
    bring(lake, {"a": A, "b": B}, {"a": 1000, "b": -1000})
    assert varlake("value", "--as-of", DAYS[-1], *SET, lake=lake).returncode == 0
    name, *rest = question
    done = varlake(name, "--as-of", DAYS[-1], *rest, "--json", lake=lake)
    assert done.returncode == 0, done.stderr
    assert LEFT_OUT in done.stdout


def test_two_points_and_a_series_name_them_once(lake: Path) -> None:
    bring(lake, {"a": A, "b": B}, {"a": 1000, "b": -1000})
    book = (lake.parent / "book.csv").read_text()
    (lake.parent / "before.csv").write_text(book.replace(DAYS[-1], DAYS[-2]))
    assert varlake("ingest", "positions", lake.parent / "before.csv", lake=lake).returncode == 0
    for day in DAYS[-2:]:
        assert varlake("value", "--as-of", day, *SET, lake=lake).returncode == 0
    compared = answer("compare", "--from", DAYS[-2], "--to", DAYS[-1], lake=lake)
    assert compared["notes"].count(LEFT_OUT) == 1
    for question in ("explain", "drivers"):
        assert answer(question, "--from", DAYS[-2], "--to", DAYS[-1], lake=lake)["notes"].count(LEFT_OUT) == 1, question
    series = answer("series", "--from", DAYS[-2], "--to", DAYS[-1], "--calendar", "books", lake=lake)
    assert series["notes"].count(LEFT_OUT) == 1


def test_a_tail_that_rests_on_a_closed_market_says_so(lake: Path) -> None:
    unlisted = tuple(v or None for v in B)
    bring(lake, {"a": A, "b": unlisted}, {"a": 1000, "b": -1000})
    assert varlake("value", "--as-of", DAYS[-1], *SET, lake=lake).returncode == 0
    # b moves alone on 2024-01-05, from 79 to 87: the hedge loses 1000 * 87 * 8 / 79
    note = "1 of the 1 scenario in the tail of the total has a market closed"
    found = answer("var", "--as-of", DAYS[-1], "--tail", "gain", lake=lake)
    assert found["total"]["var_0.99_gain"] == pytest.approx(8800, rel=1e-12)
    assert f"{note}: 2024-01-04 (unchanged: b (1 factor))." in found["notes"]
    # the day after, with the worst loss, both were open
    loss = answer("var", "--as-of", DAYS[-1], lake=lake)
    assert loss["total"]["var_0.99"] == pytest.approx(1000 * 87 * 8 / 79, rel=1e-12)
    assert not any("closed" in n for n in loss["notes"])
    for question in (("drill", "--measure", "es"), ("contributions", "--by", "trade", "--measure", "es")):
        told = answer(question[0], "--as-of", DAYS[-1], "--tail", "gain", *question[1:], lake=lake)
        assert any(n.startswith(note) for n in told["notes"]), question


def test_a_tail_that_rests_on_a_closed_market_says_so_on_several_days_too(lake: Path) -> None:
    """The same hedge turned round, so that its loss is that of 2024-01-04, on the last two days."""
    bring(lake, {"a": A, "b": tuple(v or None for v in B)}, {"a": -1000, "b": 1000})
    book = (lake.parent / "book.csv").read_text()
    (lake.parent / "before.csv").write_text(book.replace(DAYS[-1], DAYS[-2]))
    assert varlake("ingest", "positions", lake.parent / "before.csv", lake=lake).returncode == 0
    for day in DAYS[-2:]:
        assert varlake("value", "--as-of", day, *SET, lake=lake).returncode == 0
    ends = ("--from", DAYS[-2], "--to", DAYS[-1])
    says = "1 of the 1 scenario in the tail of the total has a market closed: 2024-01-04 (unchanged: b (1 factor))."
    assert [n for n in answer("compare", *ends, lake=lake)["notes"] if "closed" in n] == [
        f"On {d}: {says}" for d in DAYS[-2:]
    ]
    explained = [n for n in answer("explain", *ends, lake=lake)["notes"] if "closed" in n]
    assert [n.startswith("At ") and n.endswith(says) for n in explained] == [True, True]
    for question, on, count in (("series", DAYS[-1], 2), ("backtest", DAYS[-2], 1)):
        told = answer(question, *ends, "--calendar", "books", lake=lake)["notes"]
        assert [n for n in told if "closed" in n] == [
            f"On {count} days a market is closed in the tail; on {on}: {says}"
        ]


def test_an_index_with_a_common_holiday(lake: Path) -> None:
    """100, 98, 99, 95, 90 on five weekdays and a day between on which nothing was observed: four scenarios."""
    bring(lake, {"a": ("100", "98", None, "99", "95", "90", None)}, {"a": 1})
    done = varlake("value", "--as-of", "2024-01-08", *SET, "--positions-date", DAYS[-1], lake=lake)
    assert done.returncode == 0, done.stderr
    found = answer("scenario-pnl", "--as-of", "2024-01-08", "--positions-date", DAYS[-1], lake=lake)
    assert "1 day is left out of the scenarios: 2024-01-03 (every market was closed)." in found["notes"]
    assert found["receipt"]["scenario_count"] == 4
