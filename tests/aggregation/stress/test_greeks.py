"""Sensitivities of the book by stored bumps, against closed forms, the parametric question's own differences, and the book on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_lake import MONDAY, SCENARIOS, build_lake, request

from aggregation import questions
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.errors import BadInput, NotValued
from lake.tables import Lake
from scenarios.generators import generate
from scenarios.store import find_scenario_set, load_scenario_set
from valuation.sets.requests import run_valuation

SHARE = {"as_of": MONDAY, "where": ["desk=Equities", "trade=T00000-0"]}  # 1,000 of AAA, in dollars


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = build_lake(tmp_path_factory.mktemp("greeks") / "lake")
    with Committer(made, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=lambda: None)  # type: ignore[arg-type,return-value]
        for name, given in (("greeks", {"as_of": MONDAY}), ("taylor", {"as_of": MONDAY})):
            questions.value(Session(made, VectorCache(made), committer), name, questions.read(name, given))
    return made


def asked(lake: Lake, name: str, **given: object):
    return questions.ask(reading(lake), name, questions.read(name, given))


def test_a_share_gains_a_hundredth_of_its_value_for_a_percent_and_has_no_gamma(lake: Lake) -> None:
    (row,) = asked(lake, "greeks", **SHARE).total.to_pylist()
    market = load_scenario_set(lake, find_scenario_set(lake, f"historical-{SCENARIOS}", MONDAY).scenario_set_id)
    price = market.base[market.index.row["EQ:AAA"]]
    assert (row["greek"], row["risk_class"], row["of"], row["move"], row["factors"]) == (
        "delta",
        "equity",
        "EQ:AAA",
        "+1%",
        1,
    )
    assert row["value"] == pytest.approx(1000 * price / 100, rel=1e-10)
    assert row["gamma"] == 0.0


def test_they_add_up_over_any_dimension_and_curves_are_the_sum_of_their_pillars(lake: Lake) -> None:
    total = {(r["greek"], r["of"]): r["value"] for r in asked(lake, "greeks", as_of=MONDAY).total.to_pylist()}
    by_trade: dict[tuple[str, str], list[float]] = {}
    for r in asked(lake, "greeks", as_of=MONDAY, by=["trade"]).rows.to_pylist():
        by_trade.setdefault((r["greek"], r["of"]), []).append(r["value"])
    assert total.keys() == by_trade.keys()
    size = {k: sum(map(abs, v)) for k, v in by_trade.items()}
    for key, value in total.items():
        assert value == pytest.approx(math.fsum(by_trade[key]), abs=1e-9 * size[key])
    pillars = [r for r in asked(lake, "greeks", as_of=MONDAY, per="factor").total.to_pylist() if r["greek"] == "pv01"]
    assert len(pillars) == 2
    assert total["pv01", "USD"] == pytest.approx(
        math.fsum(r["value"] for r in pillars if r["of"].startswith("YC:USD")), rel=1e-12
    )


def test_deltas_are_those_of_the_differences_that_parametric_makes(lake: Lake) -> None:
    """Another code path: bumps of other sizes, in the currency of the answer, nothing stored."""
    rows = {r["of"]: r for r in asked(lake, "greeks", as_of=MONDAY, per="factor").total.to_pylist()}
    crif = asked(lake, "crif", as_of=MONDAY).rows.to_pylist()
    shares: dict[str, float] = {}
    for r in crif:
        if r["RiskType"] == "Risk_Equity":
            shares[f"EQ:{r['Qualifier']}"] = shares.get(f"EQ:{r['Qualifier']}", 0.0) + r["Amount"]
    assert shares
    for factor, amount in shares.items():
        assert rows[factor]["value"] == pytest.approx(amount, rel=1e-3)
        assert rows[factor]["move"] == "+1%"


def test_theta_is_the_roll_forward_of_a_day(lake: Lake) -> None:
    rolled = asked(lake, "roll-forward", as_of=MONDAY, by=["desk"], horizons=["1D"], market="constant").rows.to_pylist()
    thetas = asked(lake, "greeks", as_of=MONDAY, by=["desk"], greeks=["theta"]).rows.to_pylist()
    assert [(r["desk"], r["value"]) for r in thetas] == [(r["desk"], r["pnl"]) for r in rolled if r["pnl"] is not None]
    assert {r["greek"] for r in thetas} == {"theta"}


def test_they_are_found_again_by_every_question_and_valued_once(lake: Lake) -> None:
    plan = questions.plan(reading(lake), "greeks", questions.read("greeks", {"as_of": MONDAY, "by": ["book"]}))
    assert plan.ready
    with pytest.raises(NotValued):
        asked(lake, "greeks", as_of="2020-03-13")
    sets = {name: asked(lake, name, as_of=MONDAY).receipt["valuation_set_id"] for name in ("var", "greeks", "taylor")}
    assert sets["var"] == sets["taylor"] != sets["greeks"]  # a set of bumps answers nothing that does not name it


def test_an_unknown_sensitivity_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="vega"):
        questions.read("greeks", {"as_of": MONDAY, "greeks": ["vegga"]})


def test_the_bumps_move_one_factor_each_by_its_size(lake: Lake) -> None:
    made = generate(lake.snapshot(), "bumps", {"market_date": MONDAY, "rate": 0.0002}, "b")
    assert made.n_scenarios == 2 * len(made.base)
    moves = np.asarray(made.levels) - made.base[:, None]
    assert (np.count_nonzero(moves, axis=0) == 1).all()
    row = made.index.row["YC:USD:5Y"]
    assert made.labels[2 * row] == "YC:USD:5Y up"
    np.testing.assert_allclose(moves[row, [2 * row, 2 * row + 1]], [0.0002, -0.0002], atol=1e-12)
    assert not made.sample


def test_taylor_explains_shares_wholly_and_leaves_the_rest_of_options_unexplained(lake: Lake) -> None:
    (row,) = asked(lake, "taylor", **SHARE).total.to_pylist()
    assert row["taylor"] == pytest.approx(row["full"], rel=1e-8)
    assert row["unexplained"] == row["largest_gap"] == 0.0
    assert row["correlation"] == pytest.approx(1.0, abs=1e-12)
    rows = asked(lake, "taylor", as_of=MONDAY, by=["desk"]).rows.to_pylist()
    first = {r["desk"]: r for r in asked(lake, "taylor", as_of=MONDAY, by=["desk"], gamma="none").rows.to_pylist()}
    var = {r["desk"]: r["var_0.99"] for r in asked(lake, "var", as_of=MONDAY, by=["desk"]).rows.to_pylist()}
    for r in rows:
        assert r["full"] == var[r["desk"]]
        assert r["unexplained"] in (0.0, r["full"] - r["taylor"])
        assert r["largest_gap"] <= first[r["desk"]]["largest_gap"] * (1 + 1e-9)
    assert any(r["largest_gap"] < 0.5 * first[r["desk"]]["largest_gap"] for r in rows)
