"""The look of a scenario set: its rows against plain percentiles, its picture a real file."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from support import factor

from lake.errors import BadInput
from scenarios.types import FactorIndex, ScenarioSet
from service.rendering import scenario_picture


@pytest.fixture
def drawn() -> ScenarioSet:
    index = FactorIndex.of(
        [
            factor("EQ:A", "equity_price"),
            factor("EQ:B", "equity_price"),
            factor("YC:USD:1Y", "zero_rate", curve="USD", pillar="1Y"),
        ]
    )
    base = np.array([100.0, 50.0, 0.02])
    noise = np.random.default_rng(1).standard_normal((3, 200))
    levels = np.vstack([100 * (1 + 0.02 * noise[0]), np.full(200, 50.0), 0.02 + 0.001 * noise[2]])
    return ScenarioSet(
        "id",
        "drawn",
        "historical",
        dt.date(2020, 3, 16),
        {},
        index,
        tuple(map(str, range(200))),
        base,
        levels,
        np.array([True, False, True]),
    )


def test_rows_are_the_percentiles_of_the_moves(drawn: ScenarioSet) -> None:
    rows = scenario_picture.rows_of(drawn)
    assert [r["risk_factor"] for r in rows] == [
        "EQ:A",
        "YC:USD:1Y",
    ]  # the unshocked factor is not there, the widest is first
    moves = drawn.levels[0] - 100.0
    assert rows[0]["p1_%"] == round(float(np.percentile(moves, 1)), 3)
    assert rows[0]["most_%"] == round(float(moves.max()), 3)
    rates = 100 * (drawn.levels[2] - 0.02)
    assert rows[1]["median_%"] == round(float(np.median(rates)), 3)
    assert len(rows[0]["spread"]) == 12


@pytest.mark.parametrize(("ending", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_picture_is_a_file_of_its_kind(drawn: ScenarioSet, tmp_path: Path, ending: str, begins: bytes) -> None:
    assert scenario_picture.plot_scenario_set(drawn, tmp_path / f"set.{ending}").read_bytes().startswith(begins)


def test_other_endings_and_empty_sets_are_refused(drawn: ScenarioSet, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="svg"):
        scenario_picture.plot_scenario_set(drawn, tmp_path / "set.sgv")
    object.__setattr__(drawn, "shocked", np.zeros(3, dtype=bool))
    with pytest.raises(BadInput, match="nothing to draw"):
        scenario_picture.plot_scenario_set(drawn, tmp_path / "set.svg")
