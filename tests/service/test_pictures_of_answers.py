"""The picture of every question: its title in words, what stands at its foot, its axes, and the figures of the answer in its bars."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import varlake
from drawings import label_boxes, overlapping, texts_of
from small_lake import FACTORS, FRIDAY, MONDAY, SCENARIOS, base, build_lake, no_spark, request

from aggregation import questions
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.tables import Lake
from service.rendering import answers
from service.rendering.answers import PICTURES
from service.rendering.figure import SYNTHETIC
from valuation.sets.requests import run_valuation

STANDARD = f"{SCENARIOS} scenarios of historical-{SCENARIOS} (historical, 1 day, 20"
OWN = ("pnl-explain", "ladder", "stress", "exposure")  # rest on other scenarios or none
# question to what is asked of it for its picture
MORE: dict[str, dict[str, Any]] = {
    "limit-hedge": {"limit": 6000.0},
    "stress": {"scenario": "grid(equity -20%..+20% step 10%, vol -5pt..+10pt step 5pt)"},
}
MONEY = re.compile(r"(P&L, |99% ES, )?USD(, in millions)?, (gains|losses|owed to us) positive( \(.*\))?")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Of its factors the share of EQ:BBB alone is synthetic; beside the standard there is a set of ten days."""
    factors = [replace(f, synthetic=f.risk_factor_id == "EQ:BBB") for f in FACTORS]
    made = build_lake(tmp_path_factory.mktemp("pictures") / "lake", factors=factors)
    ten = {"parameters": {"scenarios": SCENARIOS, "horizon_days": 10}, "name": "ten-days"}
    with Committer(made, "test") as committer:
        for asked in (request(FRIDAY), request(MONDAY), request(MONDAY, scenarios=ten)):
            run_valuation(committer, asked, spark=no_spark)  # type: ignore[arg-type]
        for name in ("ladder", "stress", "parametric", "exposure"):
            asked = questions.read(name, {**base(name), **MORE.get(name, {})})
            questions.value(Session(made, reading(made).cache, committer), name, asked)
    return made


def drawn(lake: Lake, name: str, folder: Path, **more: Any) -> tuple[Any, Path]:
    session, query = reading(lake), questions.read(name, {**base(name), **more})
    result = questions.ask(session, name, query)
    return result, answers.draw(name, result, query, folder / "a.svg", session)


# question to the start of its title
TITLES = {
    "var": "99% VaR by desk",
    "pnl": "P&L by scenario",
    "drill": "Contributions to 99% ES, trades 1 to 2 of 2, 1 without a figure",
    "series": "99% VaR by desk, day by day",
    "contributions": "Contributions to 99% ES by desk and book, scenario form",
    "parametric": "Parametric 99% VaR, delta-normal components by desk",
    "explain": "Why 99% VaR changed, by cause",
    "drivers": "What drives the change of 99% VaR",
    "pnl-explain": "Change of value by cause",
    "what-if": "What-if: 99% VaR before and after",
    "parameter-sensitivity": "99% VaR and ES by their parameters",
    "limit-hedge": "The way of 97.5% ES under its limit",
    "backtest": "VaR of 2020-03-13 to 2020-03-13 against P&L of 2020-03-16 to 2020-03-16",
    "stress": "P&L over moves of equity and vol",
    "ladder": "P&L over moves of equity and vol",
    "exposure": "95% PFE by counterparty over time",
}


FEW = ("var", "backtest", "ladder")  # bars, a line, a grid


@pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in PICTURES])
def test_title_foot_and_axes(name: str, lake: Lake, tmp_path: Path, figures: list[Any]) -> None:
    result, _ = drawn(lake, name, tmp_path, **MORE.get(name, {}))
    (figure,) = figures
    title, about = figure.get_suptitle().splitlines()[:2]
    assert title.startswith(TITLES[name])
    days = (FRIDAY, MONDAY) if "from" in result.receipt["question"] else (MONDAY,)
    assert about == f"{' to '.join(map(str, days))} in USD"
    foot = figure.get_supxlabel()
    where = "; ".join(base(name).get("where", ())) or "all"
    assert f"Positions of {FRIDAY if name == 'backtest' else ' to '.join(map(str, days))}: {where}" in foot
    assert f"Receipt {result.receipt['receipt_digest'][:12]}" in foot
    assert (STANDARD in foot or f"{STANDARD[:-5]})" in foot) == (name not in OWN)
    # the share of EQ:BBB is of the desk Equities
    assert (SYNTHETIC in foot) == (where == "all")
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            assert not overlapping(label_boxes(figure, axis))
    labels = {axis.get_label_text() for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)}
    assert any(map(MONEY.fullmatch, labels)), labels
    assert not [t for t in texts_of(figure) if t != foot and re.search(r"\de[+-]?\d|\b(var|es)_0", t)]


def widths(axes: Any) -> list[float]:
    return [b.get_width() for b in axes.patches]


def heights(axes: Any) -> list[float]:
    return [b.get_height() for b in axes.patches]


BARS: dict[str, Callable[[Any], list[float]]] = {
    "var": lambda r: [*r.rows["var_0.99"].to_pylist(), r.total["var_0.99"]],
    "drill": lambda r: [v for v in r.rows["contribution"].to_pylist() if v is not None],
    "contributions": lambda r: sorted((v for v in r.rows["component"].to_pylist() if v is not None), reverse=True),
    "parametric": lambda r: sorted(
        (v["component"] for v in r.rows.to_pylist() if v["component"] is not None), reverse=True
    ),
    "drivers": lambda r: [*(d.figures["change"] for d in r.drivers), r.rest["change"]],
}


@pytest.mark.parametrize("name", BARS)
def test_the_bars_are_the_figures_of_the_answer(name: str, lake: Lake, tmp_path: Path, figures: list[Any]) -> None:
    result, _ = drawn(lake, name, tmp_path)
    assert widths(figures[0].axes[0]) == pytest.approx(BARS[name](result), rel=1e-12)


@pytest.mark.parametrize("name", ["explain", "what-if", "pnl-explain"])
def test_the_steps_of_a_waterfall_lead_to_its_end(name: str, lake: Lake, tmp_path: Path, figures: list[Any]) -> None:
    result, _ = drawn(lake, name, tmp_path)
    sizes = heights(figures[0].axes[0])
    if name == "pnl-explain":
        (end, *steps), start = sizes, 0.0
        assert end == pytest.approx(result.total["change"])
    else:
        start, end, *steps = sizes
        found = result.before if name == "explain" else result.total["var_0.99_before"]
        assert start == pytest.approx(found)
    assert start + sum(steps) == pytest.approx(end, abs=1e-6)
    assert all(abs(s) > 0 for s in steps)


@pytest.mark.parametrize("bins", [None, 7, 20])
def test_the_bins_asked_for_are_the_bins_drawn(
    bins: int | None, lake: Lake, tmp_path: Path, figures: list[Any]
) -> None:
    result, _ = drawn(lake, "pnl", tmp_path, by=[], worst=None, histogram=bins)
    counts = heights(figures[0].axes[0])
    assert len(counts) == (bins or 50)
    assert sum(counts) == SCENARIOS
    if bins:
        assert counts == result.rows["count"].to_pylist()
    assert figures[0].axes[0].get_ylabel() == "scenarios"


def test_the_cells_of_a_heat_map_are_the_rungs(lake: Lake, tmp_path: Path, figures: list[Any]) -> None:
    result, _ = drawn(lake, "ladder", tmp_path)
    cells = {t.get_position(): t.get_text() for t in figures[0].axes[0].texts}
    down, across = (sorted(set(result.total[axis].to_pylist())) for axis in ("first", "second"))
    for rung in result.total.to_pylist():
        at = (across.index(rung["second"]), down.index(rung["first"]))
        assert float(cells[at].replace(",", "")) == pytest.approx(rung["pnl"], abs=0.5)
    assert figures[0].axes[0].get_ylabel() == "equity"


def test_a_limit_is_a_line_across(lake: Lake, tmp_path: Path, figures: list[Any]) -> None:
    drawn(lake, "limit-hedge", tmp_path, limit=6000.0)
    assert "limit 6,000" in set(texts_of(figures[0]))
    assert [6000.0, 6000.0] in [list(line.get_ydata()) for line in figures[0].axes[0].lines]


def test_scenarios_that_are_not_the_standard_stand_below_the_title(
    lake: Lake, tmp_path: Path, figures: list[Any]
) -> None:
    drawn(lake, "var", tmp_path, by=[], scenario_set="ten-days")
    said = " ".join(figures[0].get_suptitle().split())
    assert f"{SCENARIOS} scenarios of ten-days (historical, 10 days, 20" in said
    assert f"not the standard historical-{SCENARIOS}" in said
    assert "ten-days" not in figures[0].get_supxlabel()


def test_what_is_not_covered_is_said(lake: Lake, tmp_path: Path, figures: list[Any]) -> None:
    drawn(lake, "pnl", tmp_path)
    assert "3 of 4 positions covered (partial)" in figures[0].get_supxlabel()


@pytest.mark.parametrize("name", ["var", "contributions", "parametric"])
def test_a_member_without_a_figure_is_counted(name: str, lake: Lake, tmp_path: Path, figures: list[Any]) -> None:
    drawn(lake, name, tmp_path, by=["trade"], where=[], **({"top": None} if name == "contributions" else {}))
    assert ", 1 without a figure" in figures[0].get_suptitle()
    assert "T00000-3" not in set(texts_of(figures[0]))


def test_nothing_covered_is_an_error_and_no_picture(lake: Lake, tmp_path: Path) -> None:
    for name in ("var", "pnl", "drill", "contributions"):
        asked = (name, "--as-of", MONDAY, "--where", "trade=T00000-3", "--plot", tmp_path / "a.svg")
        done = varlake(*asked, *(("--by", "desk") if name == "contributions" else ()), lake=lake.path)
        assert done.returncode == 2, name
        assert "nothing to draw" in done.stderr, name
    assert not (tmp_path / "a.svg").exists()


def test_a_preview_draws_what_moves_and_marks_it(lake: Lake, tmp_path: Path, figures: list[Any]) -> None:
    for text in ("vol +10pt", "rate +10bp", "equity -10%; rate +10bp"):
        done = varlake("scenarios", "preview", text, "--as-of", MONDAY, "--plot", tmp_path / "a.png", lake=lake.path)
        assert done.returncode == 0, done.stderr
    assert [len(f.axes) for f in figures] == [1, 1, 2]
    assert [SYNTHETIC in f.get_supxlabel() for f in figures] == [False, False, True]
    assert figures[0].get_suptitle().splitlines()[1:] == ["vol +10pt", f"on the market of {MONDAY}"]


def test_a_set_is_drawn_by_its_days(lake: Lake, tmp_path: Path, figures: list[Any]) -> None:
    asked = ("scenarios", "show", f"historical-{SCENARIOS}", "--as-of", MONDAY)
    done = varlake(*asked, "--plot", tmp_path / "a.pdf", lake=lake.path)
    assert done.returncode == 0, done.stderr
    ranges, lines = figures[0].axes
    assert lines.get_xticklabels()[0].get_text() == str(MONDAY)
    assert {len(line.get_xdata()) for line in lines.lines} == {SCENARIOS}
    assert f"{SCENARIOS} scenarios of historical-{SCENARIOS} (historical, 1 day, 20" in figures[0].get_suptitle()
    assert SYNTHETIC in figures[0].get_supxlabel()
    for axes in (ranges, lines):
        assert not overlapping(label_boxes(figures[0], axes.xaxis))


def test_a_lake_without_synthetic_data_has_no_mark(valued_lake: Path, tmp_path: Path, figures: list[Any]) -> None:
    shutil.copytree(valued_lake, tmp_path / "lake")
    drawn(Lake.open(tmp_path / "lake"), "var", tmp_path)
    assert SYNTHETIC not in figures[0].get_supxlabel()
