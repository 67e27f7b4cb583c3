"""Pictures are files of the format asked for, hold what was given in full and legibly, and are the same file when drawn again."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import label_boxes, overlapping, texts_of

from lake.errors import BadInput
from service.rendering import pictures
from service.rendering.figure import captioned, full

DATES = [dt.date(2020, 3, d) for d in (12, 13, 16)]
CUT = " (the axis does not begin at zero)"
LONG = [f"{i} portfolio=Government Bonds Relative Value {'and much more ' * 2}without 1" for i in range(30)]
SIZES = {"nothing": 0.0, "tiny": 3e-7, "small": 12.5, "large": 87_654_321.0, "huge": 1.25e12}
DRAWN: dict[str, Callable[..., Path]] = {
    "time_line": lambda p, names=("VaR",), size=3.0: pictures.time_line(
        p,
        DATES,
        {n: [size, None, -size] for n in names},
        title="Rates",
        unit="USD",
        dots={"exceptions": (DATES[2:], [size])},
    ),
    "histogram": lambda p, names=("VaR",), size=3.0: pictures.histogram(
        p,
        np.linspace(-size, size or 1.0, 11).tolist(),
        range(10),
        title="Rates",
        unit="USD",
        heights_are="scenarios",
        marks=dict.fromkeys(names, (size, -size)),
    ),
    "waterfall": lambda p, names=("closed",), size=20.0: pictures.waterfall(
        p,
        ("13 March", 5 * size),
        [("new", size), *((n, -size / 2) for n in names), ("nothing", 0.0), ("nothing else", -1e-10 * size)],
        ("16 March", 6 * size - len(names) * size / 2),
        title="Rates",
        unit="USD",
    ),
    "contribution_bars": lambda p, names=("FX", "Rates"), size=10.0: pictures.contribution_bars(
        p,
        names,
        [size * (-1) ** i for i in range(len(names))],
        title="by desk",
        unit="USD",
        intervals=[(-2 * size, 3 * size)] * len(names),
        whole=("rest", -size),
    ),
}


@pytest.mark.parametrize("name", [n if n == "histogram" else pytest.param(n, marks=pytest.mark.slow) for n in DRAWN])
def test_the_ending_decides_the_format_and_the_same_picture_is_the_same_file(name: str, tmp_path: Path) -> None:
    for ending, begins in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        one, two = (DRAWN[name](tmp_path / f"{i}.{ending}").read_bytes() for i in range(2))
        assert one == two
        assert one.startswith(begins)


@pytest.mark.parametrize(
    ("size", "names"),
    [
        *(
            pytest.param(size, ("A$B$ <&>",), id=kind, marks=[] if kind in ("tiny", "huge") else [pytest.mark.slow])
            for kind, size in SIZES.items()
        ),
        pytest.param(87_654_321.0, tuple(LONG), id="30 long names"),
    ],
)
@pytest.mark.parametrize("name", DRAWN)
def test_no_labels_touch_and_figures_have_no_exponent(
    name: str, size: float, names: tuple[str, ...], tmp_path: Path, figures: list[Any]
) -> None:
    if name in ("time_line", "histogram"):
        names = names[:10]
    DRAWN[name](tmp_path / "a.svg", names, size)
    (drawn,) = figures
    (axes,) = drawn.axes
    for axis in (axes.xaxis, axes.yaxis):
        assert not overlapping(label_boxes(drawn, axis))
    money = axes.xaxis if name in ("histogram", "contribution_bars") else axes.yaxis
    labels = [t.get_text() for t in money.get_ticklabels() if t.get_text()]
    assert len(labels) >= 2
    assert not [label for label in labels if not re.fullmatch(r"[-−]?[\d,]+(\.\d+)?", label)]
    assert money.get_label_text().removesuffix(CUT) == ("USD, in millions" if size == 1.25e12 else "USD")
    said = " ".join("".join(texts_of(drawn)).split())
    assert "".join(names[0].split()) in "".join(said.split()) or (name, size) == ("waterfall", 0.0)
    # what is drawn has room beside its labels
    assert axes.get_window_extent().width > 0.4 * drawn.bbox.width
    if legend := axes.get_legend():
        assert axes.get_window_extent().height > 0.5 * drawn.bbox.height
        assert drawn.bbox.y0 <= legend.get_window_extent().y0


def test_figures_in_full() -> None:
    assert [full(v) for v in (1e12, -2.5e9, 0.0000003, -0.0, 1234.5)] == [
        "1,000,000,000,000",
        "-2,500,000,000",
        "0.0000003",
        "0",
        "1,234.5",
    ]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("var_0.99", "99% VaR"),
        ("es_0.975_gain_10d", "97.5% ES of the gain tail, 10 days"),
        ("es_at_or_beyond_0.995", "99.5% ES at or beyond"),
        ("volatility", "volatility"),
        ("exceedance_1000000", "exceedance 1000000"),
    ],
)
def test_measures_in_words(column: str, words: str) -> None:
    assert pictures.in_words(column) == words


def test_dimensions_in_words() -> None:
    assert [pictures.by_words(by) for by in ((), ("desk",), ("legal_entity", "desk", "attribute.rating"))] == [
        "",
        " by desk",
        " by legal entity, desk and rating",
    ]


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


def test_a_histogram_draws_the_bins_it_is_given(tmp_path: Path, figures: list[Any]) -> None:
    DRAWN["histogram"](tmp_path / "a.svg")
    bars = figures[0].axes[0].patches
    assert [b.get_height() for b in bars] == list(range(10))
    assert [b.get_x() for b in bars] == np.linspace(-3, 3, 11)[:-1].tolist()


def test_a_day_between_two_gaps_is_seen(tmp_path: Path, figures: list[Any]) -> None:
    values = [1.0, None, 2.0, None, 3.0, 4.0]
    days = [dt.date(2020, 3, 2) + dt.timedelta(i) for i in range(6)]
    pictures.time_line(tmp_path / "a.svg", days, {"VaR": values}, title="t", unit="USD")
    line = figures[0].axes[0].lines[0]
    assert line.get_marker() == "."
    assert line.get_markevery() == [0, 2]


def test_days_are_named_and_the_last_among_them(tmp_path: Path, figures: list[Any]) -> None:
    days = [dt.date(2018, 3, 1) + dt.timedelta(i) for i in range(700)]
    pictures.time_line(tmp_path / "a.svg", days, {"VaR": [1.0] * 700}, title="t", unit="USD")
    named = [t.get_text() for t in figures[0].axes[0].get_xticklabels()]
    assert named[0] == str(days[-1])
    assert 3 <= len(named) <= 7
    assert set(named) <= set(map(str, days))


def test_the_rest_stands_apart_below_the_members(tmp_path: Path, figures: list[Any]) -> None:
    DRAWN["contribution_bars"](tmp_path / "a.svg")
    one, two, rest = figures[0].axes[0].patches
    assert [b.get_width() for b in (one, two, rest)] == [10.0, -10.0, -10.0]
    assert rest.get_facecolor() not in (one.get_facecolor(), two.get_facecolor())
    middles = [b.get_y() for b in (one, two, rest)]
    assert middles[1] - middles[2] > 1.5 * (middles[0] - middles[1])


@pytest.mark.parametrize("n", [0, 61])
def test_nothing_and_too_much_to_draw_are_said(n: int, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="to draw; expected 1 to 60"):
        pictures.contribution_bars(tmp_path / "a.svg", ["x"] * n, [1.0] * n, title="t", unit="USD")
    with pytest.raises(BadInput, match="nothing to draw"):
        pictures.time_line(tmp_path / "a.svg", DATES, {"VaR": [None] * 3}, title="t", unit="USD")


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


def test_what_stands_around_a_picture_is_on_it_and_overlaps_nothing(tmp_path: Path, figures: list[Any]) -> None:
    with captioned(["2020-03-16 in USD"], ["500 scenarios", f"Positions of 2020-03-16: {'desk=Rates; ' * 60}"]):
        DRAWN["contribution_bars"](tmp_path / "a.svg")
    DRAWN["contribution_bars"](tmp_path / "b.svg")
    one, two = figures
    assert one.get_suptitle() == "by desk\n2020-03-16 in USD"
    assert two.get_suptitle() == "by desk"
    lines = one.get_supxlabel().splitlines()
    assert lines[0] == "500 scenarios"
    assert len(lines) == 4  # a long text is cut
    assert lines[-1].endswith("...")
    one.draw_without_rendering()
    boxes = [t.get_window_extent() for t in (one._suptitle, one._supxlabel, one.axes[0].xaxis.label)]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(one.bbox.x0 <= b.x0 and b.x1 <= one.bbox.x1 for b in boxes)
