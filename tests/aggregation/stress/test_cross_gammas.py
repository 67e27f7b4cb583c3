"""Cross gammas against closed forms and parallel moves, and what they explain of caps on a bootstrapped curve."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import EXAMPLES, INDEX
from scipy import stats
from small_lake import MONDAY, build_lake, request
from support import factor

from aggregation import questions
from aggregation.contributions.sensitivities import pairs_read
from aggregation.opened.opened_lake import VectorCache
from aggregation.session import Session, reading
from lake.committer import Committer
from lake.tables import Lake
from scenarios.store import find_scenario_set, load_scenario_set
from scenarios.types import FactorIndex, ScenarioSet
from valuation.batch import value_batch
from valuation.books.contracts import contracts_held
from valuation.market.scenario_market import ScenarioMarket
from valuation.sets.requests import run_valuation
from valuation.types import Contract

CURVE = [dataclasses.replace(f, source="test") for f in INDEX.factors if f.curve == "USD_SOFR"]
CAP = {
    **{k: str(v) for k, v in EXAMPLES["cap_floor"][0].items() if k not in ("fixings", "shift", "projection_curve")},
    "instrument_type": "cap_floor",
    "start": "2020-06-16",
    "maturity": "2028-06-16",
    "strike": "0.035",
    "discount_curve": "USD_SOFR",
    "volatility": "IV:CAP",
}


def asked(lake: Lake, name: str, **given: object) -> Any:
    return questions.ask(reading(lake), name, questions.read(name, {"as_of": MONDAY, **given}))


@pytest.fixture(scope="module")
def caps(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A cap of eight years on a curve bootstrapped from six quotes, whose pillars move each by itself."""
    factors = [*CURVE, factor("IV:CAP", "implied_vol", attributes=(("asset", "USD_SOFR"),))]
    made = build_lake(tmp_path_factory.mktemp("caps") / "lake", factors=factors, held=[("Caps", 1e6, CAP)])
    with Committer(made, "test") as committer:
        run_valuation(committer, request(MONDAY), spark=lambda: None)  # type: ignore[arg-type,return-value]
        session = Session(made, VectorCache(made), committer)
        for name, given in (("taylor", {}), ("greeks", {"greeks": ["pv01", "vega", "cross_gamma"]})):
            questions.value(session, name, questions.read(name, {"as_of": MONDAY, **given}))
    return made


def test_cross_terms_explain_what_pillars_moving_by_themselves_leave_of_a_cap(caps: Lake) -> None:
    left = {g: asked(caps, "taylor", gamma=g).total.to_pylist()[0] for g in ("none", "diagonal", "full")}
    gap = {g: r["largest_gap"] / abs(r["full"]) for g, r in left.items()}
    unexplained = {g: abs(r["unexplained"] / r["full"]) for g, r in left.items()}
    assert gap["full"] < 0.15 * gap["diagonal"] < 0.15 * gap["none"]
    assert unexplained["full"] < 0.5 * unexplained["diagonal"] < 0.5 * unexplained["none"]


def test_the_gamma_of_a_curve_is_that_of_a_parallel_move(caps: Lake) -> None:
    rows = asked(caps, "greeks", greeks=["pv01", "cross_gamma"]).total.to_pylist()
    (curve,) = [r for r in rows if r["greek"] == "pv01"]
    assert curve["factors"] == len(CURVE)
    made = bumped_set(caps)
    moved = made.base[:, None] + np.array([[1e-4, -1e-4]]) * np.array(
        [[f.curve == "USD_SOFR"] for f in made.index.factors]
    )
    contracts = Contract.of(contracts_held(caps.snapshot(), [MONDAY], MONDAY))
    up, down = value_batch(contracts, ScenarioMarket(MONDAY, made.index, made.base, moved)).pnl[0] * 1e6
    assert curve["value"] == pytest.approx((up - down) / 2, rel=1e-3)
    assert curve["gamma"] == pytest.approx(up + down, rel=1e-3)
    assert asked(caps, "greeks", greeks=["pv01"]).total.to_pylist()[0]["gamma"] is None
    pillars = asked(caps, "greeks", greeks=["cross_gamma"], per="factor").total.to_pylist()
    assert {r["bump"] for r in pillars} == {"1bp x 1bp", "0.1 points x 1bp"}
    own = sum(r["gamma"] for r in asked(caps, "greeks", greeks=["pv01"], per="factor").total.to_pylist())
    between = sum(r["value"] for r in pillars if r["risk_class"] == "rates")
    assert curve["gamma"] == pytest.approx(own + 2 * between, rel=1e-12)


def bumped_set(lake: Lake) -> ScenarioSet:
    return load_scenario_set(lake, find_scenario_set(lake, "bumps", MONDAY).scenario_set_id)


def test_the_cross_gamma_of_spot_and_volatility_is_the_vanna_of_black_and_scholes(bumped_lake: Path) -> None:
    lake = Lake.open(bumped_lake)
    row = next(
        r for r in asked(lake, "greeks", greeks=["cross_gamma"], where=["desk=Options"]).total.to_pylist()
        if r["of"] in ("EQ:AAA x IV:AAA", "IV:AAA x EQ:AAA")
    )  # fmt: skip
    made = bumped_set(lake)
    level = {f: float(made.base[r]) for f, r in made.index.row.items()}
    time = 277 / 365
    market = ScenarioMarket(MONDAY, made.index, made.base, made.base[:, None])
    growth = 1.0 / float(market.discount("USD", np.array([time]))[0, 0])
    spot, sigma = level["EQ:AAA"], level["IV:AAA"]
    d1 = math.log(spot * growth / 100) / (sigma * math.sqrt(time)) + 0.5 * sigma * math.sqrt(time)
    vanna = -stats.norm.pdf(d1) * (d1 - sigma * math.sqrt(time)) / sigma
    assert row["value"] == pytest.approx(100 * vanna * 0.01 * spot * 0.01, rel=1e-4)
    assert (row["move"], row["bump"], row["gamma"]) == ("+1% x +1 point", "0.1% x 0.1 points", None)


def test_a_share_in_euros_has_the_cross_gamma_of_price_and_rate(bumped_lake: Path) -> None:
    lake = Lake.open(bumped_lake)
    (row,) = asked(lake, "greeks", greeks=["cross_gamma"], where=["trade=T00000-1"]).total.to_pylist()
    delta = {r["of"]: r["value"] for r in asked(lake, "greeks", where=["trade=T00000-1"]).total.to_pylist()}
    assert row["of"] == "EQ:BBB x FX:EURUSD"
    assert row["value"] == pytest.approx(0.01 * delta["EQ:BBB"], rel=1e-8)
    spot = asked(lake, "greeks", greeks=["cross_gamma"], where=["trade=T00000-1"], translation="spot").total
    assert spot.num_rows == 0


def test_cross_gammas_within_a_row_are_not_left_out_without_a_word(caps: Lake) -> None:
    """Of a class all pairs of pillars are in its gamma, which is another row: where that is not asked for, a note says so."""
    alone = asked(caps, "greeks", greeks=["cross_gamma"], per="class")
    assert {r["risk_class"] for r in alone.total.to_pylist()} == {"volatility x rates"}
    assert any(n.startswith("Cross gammas of two factors of one row") and "ask for pv01" in n for n in alone.notes)
    both = asked(caps, "greeks", greeks=["pv01", "cross_gamma"], per="class")
    assert not any("of one row" in n for n in both.notes)


def test_pairs_are_those_that_contracts_read_together_the_most_read_first() -> None:
    kinds = {"EQ:A": "equity_price", "EQ:B": "equity_price", "FX:EURUSD": "fx_rate", "IV:A": "implied_vol"}
    index = FactorIndex.of(factor(f, kind) for f, kind in kinds.items())
    reads = [("USD", ("IV:A", "EQ:A")), ("EUR", ("EQ:B",)), ("EUR", ("EQ:B",)), ("GBP", ("EQ:A", "EQ:B"))]
    assert pairs_read(reads, index, "USD") == [("EQ:B", "FX:EURUSD"), ("EQ:A", "IV:A")]
    assert pairs_read([("EUR", ("EQ:A",))], index, "EUR") == []


def test_pairs_beyond_the_bound_are_told(caps: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregation.contributions.sensitivities.MOST_PAIRS", 3)
    plan = questions.plan(reading(caps), "taylor", questions.read("taylor", {"as_of": MONDAY}))
    assert plan.valuations[-1][2].scenario_set.n_scenarios == 6
    assert not plan.ready
