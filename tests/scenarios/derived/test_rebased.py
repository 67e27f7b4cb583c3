"""The moves of one set on the base of another: against moves applied by hand, and onto its own base."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from support import factor, new_lake, put_market, random_walks

from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from scenarios import generators, store
from scenarios.types import ScenarioSet

EARLY, LATE = dt.date(2020, 3, 13), dt.date(2020, 3, 16)
FACTORS = [
    factor("EQ:A", "equity_price"),
    factor("FX:EURUSD", "fx_rate"),
    factor("YC:USD:10Y", "par_yield", curve="USD", pillar="10Y"),
]
SHIFTS = {"par_yield": {"shift_type": "log", "displacement": 0.05}}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = new_lake(tmp_path_factory.mktemp("rebased"))
    put_market(made, FACTORS, random_walks(FACTORS, dt.date(2019, 6, 3), LATE))
    with Committer(made, "test") as committer:
        for name, day, parameters in (
            ("plain", EARLY, {"scenarios": 60}),
            ("plain", LATE, {"scenarios": 60}),
            ("displaced", EARLY, {"scenarios": 60, "shifts": SHIFTS}),
        ):
            found = generators.generate(made.snapshot(), "historical", {"market_date": day, **parameters}, name)
            store.save_scenario_set(committer, found)
    return made


def load(lake: Lake, name: str, day: dt.date) -> ScenarioSet:
    return store.load_scenario_set(lake, store.find_scenario_set(lake, name, day).scenario_set_id)


def rebased(lake: Lake, moves: ScenarioSet, base: ScenarioSet) -> ScenarioSet:
    parameters = {
        "market_date": base.market_date,
        "scenario_set": moves.scenario_set_id,
        "base_set": base.scenario_set_id,
    }
    return generators.generate(lake.snapshot(), "rebased", parameters, "test")


def test_yesterdays_moves_on_todays_levels(lake: Lake) -> None:
    old, new = load(lake, "plain", EARLY), load(lake, "plain", LATE)
    made = rebased(lake, old, new)
    ratio, shift = old.levels[:2] / old.base[:2, None], old.levels[2] - old.base[2]
    np.testing.assert_allclose(made.levels[:2], new.base[:2, None] * ratio, rtol=1e-14)
    np.testing.assert_allclose(made.levels[2], new.base[2] + shift, rtol=1e-14)
    assert made.labels == old.labels
    assert made.market_date == LATE
    assert made.base.tobytes() == new.base.tobytes()
    # of a plain historical set the moves of a day do not depend on the market they are applied to
    shared = [new.labels.index(x) for x in old.labels if x in new.labels]
    np.testing.assert_allclose(made.levels[:, 60 - len(shared) :], new.levels[:, shared], rtol=1e-12)


def test_a_displaced_shift_stays_displaced(lake: Lake) -> None:
    old, new = load(lake, "displaced", EARLY), load(lake, "plain", LATE)
    made = rebased(lake, old, new)
    expected = (new.base[2] + 0.05) * (old.levels[2] + 0.05) / (old.base[2] + 0.05) - 0.05
    np.testing.assert_allclose(made.levels[2], expected, rtol=1e-12)


def test_onto_its_own_base_a_set_is_itself(lake: Lake) -> None:
    old = load(lake, "displaced", EARLY)
    np.testing.assert_allclose(rebased(lake, old, old).levels, old.levels, rtol=1e-12)


def test_factors_of_one_set_only(tmp_path: Path) -> None:
    """What the new market lacks is excluded, with the reason; what the moves lack stays where it is."""
    lake = new_lake(tmp_path)
    more = [*FACTORS, factor("EQ:NEW", "equity_price"), factor("EQ:OLD", "equity_price")]
    walks = random_walks(more, dt.date(2019, 12, 2), LATE)
    walks["EQ:OLD"] = {d: v for d, v in walks["EQ:OLD"].items() if d < dt.date(2020, 3, 10)}
    walks["EQ:NEW"] = {d: v for d, v in walks["EQ:NEW"].items() if d > dt.date(2020, 3, 6)}
    put_market(lake, more, walks)
    sets = []
    with Committer(lake, "test") as committer:
        for day, parameters in (
            (dt.date(2020, 3, 9), {"scenarios": 20}),
            (LATE, {"window_start": "2020-03-11", "max_held_days": 0}),
        ):
            made = generators.generate(lake.snapshot(), "historical", {"market_date": day, **parameters}, "s")
            sets.append(store.save_scenario_set(committer, made))
    made = rebased(lake, *sets)
    assert set(made.index.row) == {*(f.risk_factor_id for f in FACTORS), "EQ:NEW"}
    assert made.excluded["EQ:OLD"] == "no level in s of 2020-03-16"
    row = made.index.row["EQ:NEW"]
    assert not made.shocked[row]
    assert set(made.levels[row]) == {made.base[row]}


def test_the_base_is_of_the_market_date(lake: Lake) -> None:
    old = load(lake, "plain", EARLY)
    parameters = {"market_date": LATE, "scenario_set": "plain", "base_set": old.scenario_set_id}
    with pytest.raises(BadInput, match="is of 2020-03-13, but market date 2020-03-16 was given"):
        generators.generate(lake.snapshot(), "rebased", parameters, "test")
