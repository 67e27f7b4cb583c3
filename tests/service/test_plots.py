"""Pictures are files of the format asked for, hold what was given, and are the same file when drawn again."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lake.errors import BadInput
from service.rendering import pictures
from service.rendering.figure import marked

DATES = [dt.date(2020, 3, d) for d in (12, 13, 16)]
DRAWN: dict[str, Callable[[Path], Path]] = {
    "time_line": lambda p: pictures.time_line(
        p, DATES, {"VaR": [1.0, None, 3.0]}, title="Rates", unit="USD", dots={"exceptions": (DATES[2:], [3.5])}
    ),
    "histogram": lambda p: pictures.histogram(p, np.arange(100.0), title="Rates", unit="USD", marks={"VaR 0.99": -3.0}),
    "waterfall": lambda p: pictures.waterfall(
        p,
        ("13 March", 100.0),
        [("new", 20.0), ("closed", -7.5), ("nothing", 0.0), ("nothing else", -1e-10)],
        ("16 March", 112.5),
        title="Rates",
        unit="USD",
    ),
    "contribution_bars": lambda p: pictures.contribution_bars(
        p, ["Rates", "FX"], [10.0, -2.0], title="by desk", unit="USD", intervals=[(8.0, 13.0), (-4.0, 1.0)]
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_ending_decides_the_format_and_the_same_picture_is_the_same_file(name: str, tmp_path: Path) -> None:
    svg = [DRAWN[name](tmp_path / f"{i}.svg").read_bytes() for i in range(2)]
    assert svg[0] == svg[1]
    assert DRAWN[name](tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert ("Rates" if name != "contribution_bars" else "FX").encode() in svg[0]


def test_a_waterfall_leaves_out_what_is_zero(tmp_path: Path) -> None:
    text = DRAWN["waterfall"](tmp_path / "a.svg").read_text()
    assert "+20" in text
    assert "nothing" not in text


@pytest.mark.parametrize("place", ["a.bmp", "no/such/folder.png"])
def test_where_it_cannot_be_written_is_said(place: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="picture"):
        DRAWN["histogram"](tmp_path / place)


def test_small_steps_of_a_large_whole_are_seen_and_the_cut_axis_is_said(tmp_path: Path) -> None:
    path = pictures.waterfall(
        tmp_path / "a.svg", ("before", 1000.0), [("new", 5.0)], ("after", 1005.0), title="t", unit="USD"
    )
    assert "does not begin at zero" in path.read_text()
    assert (
        "does not begin at zero"
        not in pictures.waterfall(
            path, ("before", 10.0), [("new", -9.0)], ("after", 1.0), title="t", unit="USD"
        ).read_text()
    )


def test_an_axis_of_money_has_its_figures_in_full(tmp_path: Path) -> None:
    path = pictures.histogram(tmp_path / "a.svg", np.arange(11) * 1e7 - 5e7, title="t", unit="USD", bins=4)
    text = path.read_text()
    assert "20,000,000" in text
    assert "1e7" not in text


def test_long_names_leave_room_for_the_bars(tmp_path: Path) -> None:
    name = "portfolio=Government Bonds Relative Value and attribute.counterparty_rating=B without 1"
    path = pictures.contribution_bars(tmp_path / "a.svg", [name, "rest"], [1.0, -1.0], title="t", unit="USD")
    texts = re.findall(r"<text[^>]*>([^<]*)<", path.read_text())
    assert " ".join(t for t in texts if len(t) > 3 and t in name) == name
    assert max(map(len, texts)) <= 36


def test_a_waterfall_from_nothing_begins_with_its_first_step(tmp_path: Path) -> None:
    path = pictures.waterfall(
        tmp_path / "a.svg", None, [("new", 5.0), ("fx", -7.0)], ("change", -2.0), title="t", unit="USD"
    )
    texts = re.findall(r"<text[^>]*>([^<]*)<", path.read_text())
    assert [t for t in texts if t in ("new", "fx", "change")] == ["new", "fx", "change"]
    assert "+5" in texts


def test_a_limit_is_drawn_and_named_and_lies_on_the_axis(tmp_path: Path) -> None:
    path = pictures.waterfall(
        tmp_path / "a.svg", ("before", 100.0), [("sold", -60.0)], ("after", 40.0), title="t", unit="USD", limit=50.0
    )
    assert "limit 50" in path.read_text()


def test_a_picture_says_what_it_is_marked_with(tmp_path: Path) -> None:
    with marked("synthetic"):
        assert "synthetic" in DRAWN["histogram"](tmp_path / "a.svg").read_text()
    assert "synthetic" not in DRAWN["histogram"](tmp_path / "a.svg").read_text()
