"""Parametric VaR of a real book: sensitivities against closed forms, figures against SciPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from small_lake import MONDAY

from aggregation.contributions.parametric import ParametricQuery, ParametricResult, run_parametric
from aggregation.risk.query import run_query
from aggregation.session import reading
from aggregation.types import Filter, RiskQuery
from lake.tables import Lake
from scenarios.store import find_scenario_set, load_scenario_set
from scenarios.types import ScenarioSet

EQUITIES = (Filter(dimension="desk", values=("Equities",)),)


@pytest.fixture(scope="module")
def lake(bumped_lake: Path) -> Lake:
    return Lake.open(bumped_lake)


@pytest.fixture(scope="module")
def market(lake: Lake) -> ScenarioSet:
    row = find_scenario_set(lake, "historical-30", MONDAY)
    return load_scenario_set(lake, row.scenario_set_id)


def ask(lake: Lake, **more: object) -> ParametricResult:
    return run_parametric(reading(lake), ParametricQuery.model_validate({"as_of": MONDAY, **more}))


class TestLinearBook:
    """Shares: 1,000 of AAA in USD and -200 of BBB in EUR, whose deltas are known on paper."""

    def test_deltas_and_cross_gamma(self, lake: Lake, market: ScenarioSet) -> None:
        found = ask(lake, where=EQUITIES, gamma="full")
        level = {f: market.base[r] for f, r in market.index.row.items()}
        rows = {r["risk_factor"]: r for r in found.factors.to_pylist()}
        euro = -200.0 * level["EQ:BBB"] * level["FX:EURUSD"]
        assert rows["EQ:AAA"]["delta"] == pytest.approx(1000.0 * level["EQ:AAA"], rel=1e-9)
        assert rows["EQ:BBB"]["delta"] == pytest.approx(euro, rel=1e-9)
        assert rows["FX:EURUSD"]["delta"] == pytest.approx(euro, rel=1e-9)
        assert set(rows) == {"EQ:AAA", "EQ:BBB", "FX:EURUSD"}
        assert all(abs(r["gamma"]) < 1e-4 * abs(r["delta"]) for r in rows.values())
        # the value in dollars is price times rate: the cross gamma of relative moves is the delta itself
        moves = np.array([market.levels[market.index.row[f]] / level[f] - 1 for f in ("EQ:AAA", "EQ:BBB", "FX:EURUSD")])
        sigma = np.cov(moves, ddof=0)
        gs = np.array([[0.0, 0, 0], [0, 0, euro], [0, euro, 0]]) @ sigma
        assert found.total["mean"] == pytest.approx(np.trace(gs) / 2, rel=1e-5)

    def test_the_figure_is_the_normal_quantile(self, lake: Lake, market: ScenarioSet) -> None:
        level = {f: market.base[r] for f, r in market.index.row.items()}
        x = np.array([1000.0 * level["EQ:AAA"], *[-200.0 * level["EQ:BBB"] * level["FX:EURUSD"]] * 2])
        moves = np.array([market.levels[market.index.row[f]] / level[f] - 1 for f in ("EQ:AAA", "EQ:BBB", "FX:EURUSD")])
        pnl = x @ moves
        var = ask(lake, where=EQUITIES, level="0.975")
        assert var.total["component"] == pytest.approx(stats.norm.ppf(0.975) * pnl.std(), rel=1e-8)
        es = ask(lake, where=EQUITIES, level="0.975", measure="es")
        wanted = stats.norm.pdf(stats.norm.ppf(0.975)) / 0.025 * pnl.std()
        assert es.total["component"] == pytest.approx(wanted, rel=1e-8)
        zero = ask(lake, where=EQUITIES, level="0.975", mean="zero")
        assert zero.total["sd"] == pytest.approx(np.sqrt(np.mean(pnl**2)), rel=1e-8)

    def test_beside_the_historical_figure(self, lake: Lake) -> None:
        told = run_query(lake, RiskQuery(as_of=MONDAY, where=EQUITIES, measures=("var",)))
        assert ask(lake, where=EQUITIES).total["historical"] == told.total["var_0.99"]


class TestOptions:
    def test_groups_and_factors_add_up(self, lake: Lake) -> None:
        found = ask(lake, by=("desk",))
        rows = found.rows.to_pylist()
        total = found.total["component"]
        assert sum(r["component"] for r in rows if r["covered"]) == pytest.approx(total, rel=1e-12)
        assert sum(r["component"] for r in found.factors.to_pylist()) == pytest.approx(total, rel=1e-12)
        assert found.total["standalone_sum"] >= total

    def test_the_option_has_vega_and_gamma(self, lake: Lake, market: ScenarioSet) -> None:
        found = ask(lake, where=(Filter(dimension="desk", values=("Options",)),), gamma="full")
        rows = {r["risk_factor"]: r for r in found.factors.to_pylist()}
        assert rows["IV:AAA"]["delta"] > 0
        assert rows["EQ:AAA"]["gamma"] > 0
        assert found.total["skewness"] > 0  # long gamma: gains have the longer tail
        assert found.total["cornish_fisher"] < found.total["component"]

    def test_what_failed_is_named(self, lake: Lake) -> None:
        found = ask(lake, by=("desk",))
        assert found.coverage.status == "partial"
        assert found.coverage.failed == len(found.failures) == 1
        assert any("1 contract has no value and is in no figure" in note for note in found.notes)

    def test_without_gamma(self, lake: Lake) -> None:
        found = ask(lake, gamma="none")
        assert found.total["cornish_fisher"] is None
        assert found.factors["gamma"].null_count == found.factors.num_rows
