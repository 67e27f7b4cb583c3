"""What every way of making scenarios promises, run over the whole of GENERATORS."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import factor, new_lake, put_market, random_walks

from lake.committer import Committer
from lake.errors import BadInput
from lake.tables import Lake
from scenarios import generators, store
from scenarios.generators import GENERATORS
from scenarios.market.calendars import sessions
from scenarios.types import ScenarioSet

AS_OF = dt.date(2020, 3, 16)
FIRST = dt.date(2019, 6, 3)
FACTORS = [
    factor("EQ:A", "equity_price"),
    factor("FX:EURUSD", "fx_rate"),
    factor("YC:USD:10Y", "par_yield", curve="USD", pillar="10Y"),
    factor("IV:A", "implied_vol"),
    factor("CMD:WTI", "commodity_price"),
]

# Method to examples of its parameters, besides the market date; every method has at least one.
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "historical": [
        {"scenarios": 60},
        {"scenarios": 60, "age_decay": 0.98, "volatility_decay": 0.94},
        {"scenarios": 10, "horizon_days": 10, "overlapping": False, "gaps": "drop"},
        {"window_start": "2019-09-03", "window_end": "2020-01-31", "horizon_days": 5, "gaps": "proxy"},
        {"scenarios": 60, "shifts": {"par_yield": {"shift_type": "log", "displacement": 0.03}}},
    ],
    "filtered": [{"scenarios": 200, "window": 150}, {"scenarios": 50, "window": 150, "horizon_days": 10, "seed": 7}],
    "replay": [
        {"first": "2020-02-20", "last": "2020-03-16", "gaps": "drop"},
        {"first": "2019-10-01", "last": "2019-10-31", "mode": "cumulated"},
        {"first": "2019-10-01", "last": "2019-10-31", "mode": "path"},
    ],
    "monte_carlo": [
        {"scenarios": 1500, "window": 120},
        {"scenarios": 500, "window": 120, "distribution": "student_t", "horizons": [0, 1, 5], "sampling": "antithetic"},
        {"scenarios": 500, "window": 120, "distribution": "t_copula", "covariance": "ledoit_wolf", "horizons": [2]},
        {"scenarios": 500, "window": 120, "distribution": "bootstrap", "block_days": 3, "horizons": [1, 7]},
        {"scenarios": 512, "window": 120, "sampling": "sobol", "components": 3, "returns": "as_typed"},
    ],
    "stress": [
        {"text": "equity -20%; vol +10pt; fx[EURUSD] = 0.95; rate[USD] +100bp; assert fx < 1"},
        {"text": 'scenario "a": commodity[WTI] -30%\nscenario "b": include "a" x0.5; then equity -1%'},
    ],
    "regulatory_bumps": [
        {},
        {
            "rate": 0.001,
            "shocks": [
                {"name": "rates", "factors": ["YC:USD:10Y"], "size": 0.017, "relative": False, "least": 0.0001},
                {"name": "share", "factors": ["EQ:A"], "size": 0.5, "relative": True},
                {"name": "euro", "currency": "EUR", "size": 0.15, "relative": True},
            ],
        },
    ],
    "predictive": [
        {"text": "equity -20%", "window": 150},
        {
            "text": 'scenario "a": fx +5%\nscenario "b": rate +50bp',
            "window": 150,
            "fixed": ["vol"],
            "fixed_inform": True,
        },
        {"text": "commodity[WTI] -30%", "window": 150, "covariance": "ewma", "horizon_days": 5},
    ],
    "reweighted": [
        {"scenario_set": "stored", "age_decay": 0.97, "state": {"factor": "IV:A"}},
        {
            "scenario_set": "stored",
            "views": [
                {"kind": "mean", "factor": "EQ:A", "value": -0.002},
                {"kind": "volatility", "factor": "YC:USD:10Y", "relation": ">=", "value": 0.0006},
                {"kind": "rank", "factors": ["FX:EURUSD", "CMD:WTI"]},
                {"kind": "probability", "factor": "IV:A", "above": 0.01, "relation": ">=", "value": 0.25},
            ],
            "confidence": 0.8,
        },
        {"scenario_set": "simulated", "views": [{"kind": "mean", "factor": "EQ:A", "relation": "<=", "value": -0.001}]},
    ],
    "subset": [
        {"scenario_set": "stored", "risk_classes": ["equity", "fx"]},
        {"scenario_set": "simulated", "liquidity_horizon": 20},
    ],
    "rebased": [
        {"scenario_set": "stored", "base_set": "stored"},
        {"scenario_set": "simulated", "base_set": "stored"},
    ],
    "ladder": [
        {"axes": ["equity -20%..+20% step 10%", "vol -5pt..+5pt step 5pt"]},
        {"axes": ["equity -10%..+10% step 10%"], "moves": "stored"},
    ],
    "bumps": [{}, {"price": 0.01, "rate": 0.0005, "volatility": 0.01}],
    "grid": [{"axes": ["equity -20%..+20% step 5%", "vol -5pt..+5pt step 5pt"]}],
}
# Methods driven by history: where nothing ever moved, their scenarios move nothing.
DRIVEN_BY_HISTORY = {"historical", "filtered", "replay", "monte_carlo"}

CASES = [pytest.param(m, p, id=f"{m}-{i}") for m, examples in EXAMPLES.items() for i, p in enumerate(examples)]


def make(lake: Lake, method: str, parameters: Mapping[str, Any]) -> ScenarioSet:
    return generators.generate(lake.snapshot(), method, {"market_date": AS_OF, **parameters}, "test")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = new_lake(tmp_path_factory.mktemp("contract"))
    put_market(made, FACTORS, random_walks(FACTORS, FIRST, AS_OF))
    # re-weighting and narrowing start from sets that are there
    with Committer(made, "test") as committer:
        for name, method, parameters in (
            ("stored", "historical", {"scenarios": 60}),
            ("simulated", "monte_carlo", {"scenarios": 1500, "window": 120}),
        ):
            store.save_scenario_set(
                committer,
                generators.generate(made.snapshot(), method, {"market_date": AS_OF, **parameters}, name),
            )
    return made


@pytest.fixture(scope="module")
def still_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = new_lake(tmp_path_factory.mktemp("still"))
    days = [d.item() for d in sessions("XNYS", FIRST, AS_OF)]
    # 0.1 is not a binary fraction: a mean of 0.1s taken carelessly is not 0.1
    put_market(made, FACTORS, {f.risk_factor_id: dict.fromkeys(days, 0.1) for f in FACTORS})
    return made


def test_every_method_has_an_example() -> None:
    assert EXAMPLES.keys() == GENERATORS.keys()


@pytest.mark.parametrize(("method", "parameters"), CASES)
def test_same_inputs_give_the_same_bits(lake: Lake, method: str, parameters: dict[str, Any]) -> None:
    one, two = make(lake, method, parameters), make(lake, method, parameters)
    assert np.asarray(one.levels).tobytes() == np.asarray(two.levels).tobytes()
    assert store.scenario_set_digest(one) == store.scenario_set_digest(two)


@pytest.mark.parametrize(("method", "parameters"), CASES)
def test_labels_are_unique_and_levels_finite(lake: Lake, method: str, parameters: dict[str, Any]) -> None:
    made = make(lake, method, parameters)
    store.validate(made)
    levels = np.asarray(made.levels)
    assert levels.shape == (len(made.index.factors), made.n_scenarios)
    assert np.isfinite(levels).all()
    assert len(set(made.labels)) == made.n_scenarios > 0
    assert made.definition["method"] == made.method == method
    known = {f.risk_factor_id for f in FACTORS}
    assert {f.risk_factor_id for f in made.index.factors} | set(made.excluded) == known
    still = ~made.shocked
    np.testing.assert_array_equal(levels[still], np.repeat(made.base[still, None], made.n_scenarios, axis=1))


@pytest.mark.parametrize(("method", "parameters"), [c for c in CASES if c.values[0] in DRIVEN_BY_HISTORY])
def test_zero_history_gives_zero_shocks(still_lake: Lake, method: str, parameters: dict[str, Any]) -> None:
    made = make(still_lake, method, parameters)
    np.testing.assert_array_equal(np.asarray(made.levels), np.full((5, made.n_scenarios), 0.1))


@pytest.mark.parametrize(("method", "parameters"), CASES)
def test_stored_and_loaded_are_equal(tmp_path: Path, lake: Lake, method: str, parameters: dict[str, Any]) -> None:
    made = make(lake, method, parameters)
    elsewhere = new_lake(tmp_path)
    with Committer(elsewhere, "test") as committer:
        stored = store.save_scenario_set(committer, made)
        assert store.save_scenario_set(committer, made).version == stored.version == 1
    loaded = store.load_scenario_set(elsewhere, stored.scenario_set_id)
    assert np.asarray(loaded.levels).tobytes() == np.asarray(made.levels).tobytes()
    assert loaded.base.tobytes() == made.base.tobytes()
    for name in ("labels", "index", "definition", "method", "market_date", "horizon_days", "horizons", "seed"):
        assert getattr(loaded, name) == getattr(made, name), name
    for name in ("excluded", "held", "dropped", "proxied", "holidays", "fitted", "calibration", "market_data_version"):
        assert getattr(loaded, name) == getattr(made, name), name
    assert (loaded.weights is None) == (made.weights is None)
    assert store.scenario_set_digest(loaded) == stored.scenario_set_id


@pytest.mark.parametrize(("method", "parameters"), CASES)
def test_bad_input_stores_nothing(lake: Lake, method: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="no_such_parameter"):
        make(lake, method, {**parameters, "no_such_parameter": 1})
    with pytest.raises(BadInput, match="market_date"):
        make(lake, method, {**parameters, "market_date": "yesterday"})
    assert store.list_scenario_sets(lake)["name"].to_pylist() == ["stored", "simulated"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"labels": ("one",)}, "risk factors x 1 scenarios"),
        ({"base": np.ones(1)}, "base levels of"),
        ({"shocked": np.ones(1, dtype=np.bool_)}, "shocked flags of"),
        ({"weights": np.ones(1)}, "weights of"),
        ({"horizons": (1, 5), "horizon_days": 1}, "2 horizons, the last at 1 days"),
    ],
)
def test_a_set_whose_parts_do_not_agree_cannot_be_made(lake: Lake, wrong: dict[str, Any], words: str) -> None:
    made = make(lake, "historical", {"scenarios": 20})
    with pytest.raises(BadInput, match=words):
        dataclasses.replace(made, **wrong)
