"""A grid of stresses as a matrix and as a heat map, against shares and their price on paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import answer, varlake
from small_lake import MONDAY, SCENARIOS, build_lake

from lake.tables import Lake
from scenarios.store import find_scenario_set, load_scenario_set

SHARES = ("--as-of", MONDAY, "--where", "desk=Equities", "--where", "trade=T00000-0")  # 1,000 of AAA, in dollars
GRID = "grid(equity -20%..+20% step 10%, fx[EURUSD] -5%..+5% step 5%)"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = build_lake(tmp_path_factory.mktemp("matrix") / "lake")
    done = varlake("value", "--as-of", MONDAY, "-p", f"scenarios={SCENARIOS}", lake=made.path)
    assert done.returncode == 0, done.stderr
    return made


def price(lake: Lake) -> float:
    market = load_scenario_set(lake, find_scenario_set(lake, f"historical-{SCENARIOS}", MONDAY).scenario_set_id)
    return float(market.base[market.index.row["EQ:AAA"]])


def test_the_first_axis_is_down_and_the_second_across(lake: Lake) -> None:
    done = varlake("stress", *SHARES, "--by", "desk", "--scenario", GRID, "--value", lake=lake.path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["desk", "positions", "base_value"]
    at = lines.index("equity down, fx[EURUSD] across, gains positive")
    assert lines[at + 1].split() == ["desk", "-5%", "+0%", "+5%"]
    value = 1000 * price(lake)
    for k, move in enumerate((-20, -10, 0, 10, 20)):
        for group, line in (("Equities", lines[at + 2 + k]), ("Total", lines[at + 7 + k])):
            name, amount, *figures = line.split()
            assert (name, amount) == (group, f"{move:+d}%")
            assert [float(f.replace(",", "")) for f in figures] == pytest.approx([value * move / 100] * 3, abs=0.5)
    assert len(lines) == at + 12
    short = varlake("stress", *SHARES, "--scenario", GRID, "--units", "thousand", lake=lake.path).stdout.splitlines()
    assert short[-7] == "equity down, fx[EURUSD] across, gains positive (money in thousands)"
    given = answer("stress", *SHARES, "--by", "desk", "--scenario", GRID, lake=lake.path)
    assert [c for c in given["rows"][0] if c.startswith("pnl_")][1] == "pnl_equity -20%, fx[EURUSD] +0%"


def test_scenarios_that_are_no_grid_of_two_axes_stay_columns(lake: Lake, tmp_path: Path) -> None:
    ladder = "grid(equity -20%..+20% step 20%)"
    done = varlake("stress", *SHARES, "--scenario", ladder, "--value", lake=lake.path)
    assert done.stdout.splitlines()[1].split("  ")[-3:] == ["equity -20%", "equity +0%", "equity +20%"]
    for scenario in (ladder, "equity -20%"):
        varlake("stress", *SHARES, "--scenario", scenario, "--value", lake=lake.path)
        drawn = varlake("stress", *SHARES, "--scenario", scenario, "--plot", tmp_path / "no.svg", lake=lake.path)
        assert drawn.returncode == 2
        assert "it is of a grid of two axes, such as grid(" in drawn.stderr
    assert not (tmp_path / "no.svg").exists()


def test_the_heat_map_has_the_figures_and_the_axes(lake: Lake, tmp_path: Path) -> None:
    steep = GRID.replace("20%", "90%").replace("10%", "90%")
    file = tmp_path / "grid.svg"
    done = varlake("stress", "--as-of", MONDAY, "--scenario", steep, "--value", "--plot", file, lake=lake.path)
    assert done.returncode == 0, done.stderr
    drawn = file.read_text(encoding="utf-8")
    given = answer("stress", "--as-of", MONDAY, "--scenario", steep, lake=lake.path)["total"]
    for label in (">equity<", ">fx[EURUSD]<", ">-90%<", ">+5%<", "P&amp;L, USD, gains positive"):
        assert label in drawn
    figures = [v for k, v in given.items() if k.startswith("pnl_")]
    assert len(figures) == 9
    for figure in figures:
        assert f">{figure:,.0f}<" in drawn
