"""Re-weighted and narrowed sets: views hold on the set's own moves, weights against slow loops, vectors found again."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from support import factor, new_lake, put_contracts, put_market, random_walks

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.tables import Lake
from scenarios import generators
from scenarios.derived.subset import SubsetDefinition, liquidity_horizons, regulatory_horizon
from scenarios.store import load_scenario_set, save_scenario_set
from scenarios.types import FactorIndex, ScenarioSet
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan

AS_OF = dt.date(2020, 3, 16)
FACTORS = [
    factor("CMD:WTI", "commodity_price", attributes=(("sector", "Energy"),)),
    factor("CR:HY", "credit_spread", attributes=(("rating", "HY"),)),
    factor("EQ:A", "equity_price"),
    factor("EQ:B", "equity_price", attributes=(("cap", "small"),)),
    factor("FX:EURUSD", "fx_rate"),
    factor("IV:A", "implied_vol", attributes=(("asset", "EQ:A"),)),
    factor("YC:USD:10Y", "zero_rate", curve="USD", pillar="10Y"),
]
SERIES = random_walks(FACTORS, dt.date(2019, 6, 3), AS_OF)
DAYS = list(SERIES["EQ:A"])
N = 100


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = new_lake(tmp_path)
    put_market(made, FACTORS, SERIES)
    store(made, "history", "historical", scenarios=N)
    return made


def store(lake: Lake, name: str, method: str, **parameters: object) -> ScenarioSet:
    with Committer(lake, "test") as committer:
        return save_scenario_set(
            committer, generators.generate(lake.snapshot(), method, {"market_date": AS_OF, **parameters}, name)
        )


def make(lake: Lake, method: str = "reweighted", **parameters: object) -> ScenarioSet:
    parameters = {"market_date": AS_OF, "scenario_set": "history", **parameters}
    return generators.generate(lake.snapshot(), method, parameters, "test")


def moves(s: ScenarioSet, factor_id: str) -> np.ndarray:
    row = s.index.row[factor_id]
    return s.levels[row] - s.base[row] if factor_id.startswith(("YC", "CR")) else s.levels[row] / s.base[row] - 1


def test_views_hold_on_the_moves_of_the_set(lake: Lake) -> None:
    views = [
        {"kind": "mean", "factor": "EQ:A", "value": -0.003},
        {"kind": "volatility", "factor": "EQ:A", "value": 0.013},
        {"kind": "volatility", "factor": "YC:USD:10Y", "relation": ">=", "value": 0.0006},
        {"kind": "rank", "factors": ["FX:EURUSD", "CMD:WTI", "EQ:B"]},
        {"kind": "probability", "factor": "IV:A", "above": 0.005, "value": 0.4},
        {"kind": "probability", "scenarios": ["2020-03-16", "2020-03-13"], "relation": ">=", "value": 0.05},
    ]
    made = make(lake, views=views)
    p = made.weights
    assert p is not None
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert (p >= 0).all()
    a, y = moves(made, "EQ:A"), moves(made, "YC:USD:10Y")
    assert p @ a == pytest.approx(-0.003, abs=1e-9)
    assert np.sqrt(p @ a**2 - (p @ a) ** 2) == pytest.approx(0.013, abs=1e-8)
    assert np.sqrt(p @ y**2 - (p @ y) ** 2) >= 0.0006 - 1e-9
    assert p @ y == pytest.approx(y.mean(), abs=1e-10)  # its mean was not to change
    ranked = [p @ moves(made, i) for i in ("FX:EURUSD", "CMD:WTI", "EQ:B")]
    assert ranked[0] >= ranked[1] - 1e-9 >= ranked[2] - 2e-9
    assert p[moves(made, "IV:A") >= 0.005].sum() == pytest.approx(0.4, abs=1e-9)
    assert p[[-2, -1]].sum() >= 0.05 - 1e-9
    effective = float(made.calibration["effective_scenarios"].split()[0])
    assert effective == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-5)
    assert effective < N
    assert made.calibration["view 1"].endswith("-0.003 after")
    half = make(lake, views=views, confidence=0.5).weights
    np.testing.assert_allclose(half, 0.5 * p + 0.5 / N, rtol=1e-12)


def test_time_and_state_weights_are_those_of_a_slow_loop(lake: Lake) -> None:
    made = make(lake, age_decay=0.97, state={"factor": "IV:A", "target": 0.21, "bandwidth": 0.004})
    expected = []
    for label in made.labels:
        day = DAYS.index(dt.date.fromisoformat(label))
        state = SERIES["IV:A"][DAYS[day - 1]]  # known before the move began
        assert state is not None
        expected.append(0.97 ** (len(DAYS) - 1 - day) * np.exp(-0.5 * ((state - 0.21) / 0.004) ** 2))
    np.testing.assert_allclose(made.weights, np.array(expected) / np.sum(expected), rtol=1e-10)
    silverman = make(lake, state={"factor": "IV:A"}).calibration["state"]
    today = SERIES["IV:A"][AS_OF]
    states = [SERIES["IV:A"][DAYS[i - 1]] for i in range(len(DAYS) - N, len(DAYS))]
    assert silverman == f"IV:A near {today:g}, bandwidth {1.06 * np.std(states) * N**-0.2:.6g}"


def test_vectors_of_the_source_answer_for_the_reweighted_set(lake: Lake) -> None:
    contracts = put_contracts(lake, [("cash_equity", {"currency": "USD", "underlying": f"EQ:{x}"}) for x in "AB"])
    with Committer(lake, "test") as committer:
        plan = make_plan(lake.snapshot(), contracts, store_of(lake, "history"), AS_OF)
        run_plan(committer, plan, runner="in-process")
        made = save_scenario_set(committer, make(lake, age_decay=0.9))
        again = make_plan(lake.snapshot(), contracts, load_scenario_set(lake, made.scenario_set_id), AS_OF)
        assert (again.work.num_rows, again.members.num_rows) == (0, 2)
        assert again.valuation_set_id != plan.valuation_set_id
        run = run_plan(committer, again, runner="in-process")
        assert (run.this_run.valued, run.this_run.reused) == (0, 2)
        narrowed = save_scenario_set(committer, make(lake, "subset", liquidity_horizon=20))
        rest = make_plan(lake.snapshot(), contracts, load_scenario_set(lake, narrowed.scenario_set_id), AS_OF)
        # EQ:A is held and EQ:B moves as before: neither is priced again
        assert (rest.work.num_rows, rest.members.num_rows) == (0, 2)


def store_of(lake: Lake, name: str) -> ScenarioSet:
    rows = lake.read("scenario_sets", ["scenario_set_id", "name"]).to_pylist()
    return load_scenario_set(lake, next(r["scenario_set_id"] for r in rows if r["name"] == name))


def test_generated_sets_keep_their_recipe(lake: Lake) -> None:
    source = store(lake, "simulated", "monte_carlo", scenarios=3000, window=120)
    with Committer(lake, "test") as committer:
        views = [{"kind": "mean", "factor": "EQ:A", "value": -0.002}]
        once = save_scenario_set(committer, make(lake, scenario_set="simulated", views=views))
        narrowed = make(lake, "subset", scenario_set=once.scenario_set_id, risk_classes=["equity"])
        twice = load_scenario_set(lake, save_scenario_set(committer, narrowed).scenario_set_id)
    a, rate = twice.index.row["EQ:A"], twice.index.row["YC:USD:10Y"]
    np.testing.assert_array_equal(twice.levels[a], source.levels[a])
    np.testing.assert_array_equal(twice.levels[rate], np.full(3000, twice.base[rate]))
    assert twice.weights is not None
    assert twice.weights @ (twice.levels[a] / twice.base[a] - 1) == pytest.approx(-0.002, abs=1e-9)
    assert twice.definition["source_definition"]["method"] == "monte_carlo"


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"views": [{"kind": "mean", "factor": "EQ:A", "value": 0.5}]}, BadInput, "mean of EQ:A = 0.5 was asked"),
        (
            {
                "views": [
                    {"kind": "mean", "factor": "EQ:A", "relation": ">=", "value": 0.004},
                    {"kind": "mean", "factor": "EQ:A", "relation": "<=", "value": 0.003},
                ]
            },
            BadInput,
            "No probabilities satisfy the views",
        ),
        ({"views": [{"kind": "mean", "factor": "EQ:AA", "value": 0.0}]}, NotFound, "EQ:A"),
        ({"views": [{"kind": "probability", "scenarios": ["2020-03-15"], "value": 0.1}]}, BadInput, "Unknown scenario"),
        ({"views": [{"kind": "probability", "factor": "EQ:A", "above": 9, "value": 0.1}]}, BadInput, "No scenario has"),
        ({"views": [{"kind": "probability", "factor": "EQ:A", "value": 0.1}]}, BadInput, "above, below or both"),
        ({}, BadInput, "give age_decay, state or views"),
        ({"age_decay": 0.9, "confidence": 0.5}, BadInput, "confidence belongs to views"),
        ({"age_decay": 0.9, "scenario_set": "histroy"}, NotFound, "history"),
        ({"state": {"factor": "EQ:C"}}, NotFound, "EQ:A"),
    ],
)
def test_bad_views_are_told(lake: Lake, parameters: dict[str, object], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make(lake, **parameters)


def test_what_has_no_day_has_no_age(lake: Lake) -> None:
    store(lake, "stress", "stress", text="equity -20%")
    with pytest.raises(BadInput, match="labelled by the day"):
        make(lake, scenario_set="stress", age_decay=0.9)
    store(lake, "paths", "monte_carlo", scenarios=100, window=120, horizons=[1, 5])
    with pytest.raises(BadInput, match="several horizons"):
        make(lake, scenario_set="paths", views=[{"kind": "mean", "factor": "EQ:A", "value": 0.0}])


def test_liquidity_horizons_nest_and_classes_part(lake: Lake) -> None:
    source = store_of(lake, "history")
    assert [regulatory_horizon(f, source.index) for f in source.index.factors] == [20, 60, 10, 20, 10, 20, 10]
    before = np.ones(7, dtype=bool)
    for least, ids in ((10, 7), (20, 4), (40, 1), (60, 1)):
        made = make(lake, "subset", liquidity_horizon=least)
        assert int(made.shocked.sum()) == ids
        assert not (made.shocked & ~before).any()  # each lies in the one before
        np.testing.assert_array_equal(made.levels[made.shocked], source.levels[made.shocked])
        np.testing.assert_array_equal(
            made.levels[~made.shocked], np.repeat(source.base[~made.shocked, None], N, axis=1)
        )
        before = made.shocked
    with pytest.raises(BadInput, match="shocks no factor of the subset"):
        make(lake, "subset", liquidity_horizon=120)
    parts = [
        make(lake, "subset", risk_classes=[c]).shocked
        for c in ("equity", "rates", "fx", "commodity", "credit", "volatility")
    ]
    np.testing.assert_array_equal(np.sum(parts, axis=0), np.ones(7))
    with pytest.raises(BadInput, match="give risk_classes, factors, liquidity_horizon or several"):
        make(lake, "subset")


def test_declared_horizons_go_before_the_rule(lake: Lake) -> None:
    index: FactorIndex = store_of(lake, "history").index
    chosen = SubsetDefinition.model_validate(
        {
            "market_date": AS_OF,
            "scenario_set": "history",
            "liquidity_horizon": 20,
            "horizons": {"equity_price": 40, "EQ:B": 120},
        }
    )
    assert liquidity_horizons(index, chosen) == (20, 60, 40, 120, 10, 20, 10)
    with pytest.raises(BadInput, match="EQ:B"):
        make(lake, "subset", liquidity_horizon=20, horizons={"EQ:BB": 40})
    with pytest.raises(BadInput, match="expected a liquidity horizon of 10, 20, 40, 60, 120"):
        make(lake, "subset", liquidity_horizon=30)
    as_text = make(lake, "subset", liquidity_horizon="20", horizons={"EQ:B": "60"})
    assert as_text.definition["liquidity_horizon"] == 20


@pytest.mark.parametrize(
    ("kind", "currency", "attributes", "horizon"),
    [
        ("fx_rate", "TRY", {}, 10),
        ("par_yield", "NOK", {}, 20),
        ("credit_spread", "USD", {"issuer": "sovereign"}, 20),
        ("credit_spread", "USD", {"issuer": "sovereign", "rating": "HY"}, 40),
        ("credit_spread", "USD", {"rating": "IG"}, 40),
        ("commodity_price", "USD", {"sector": "Agriculture"}, 60),
        ("implied_vol", "USD", {"asset": "FX:EURUSD"}, 40),
        ("implied_vol", "USD", {"asset": "YC:USD:10Y"}, 60),
        ("implied_vol", "USD", {"asset": "IDX:SPX"}, 20),
    ],
)
def test_horizons_by_the_rule(kind: str, currency: str, attributes: dict[str, str], horizon: int) -> None:
    name = "FX:EURTRY" if kind == "fx_rate" else "X"
    f = factor(name, kind, currency, attributes=tuple(attributes.items()))
    assert regulatory_horizon(f, FactorIndex.of([f])) == horizon
