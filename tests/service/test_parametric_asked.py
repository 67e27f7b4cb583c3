"""Parametric VaR of a real book: sensitivities against closed forms, figures against SciPy, command and route."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import answer, varlake
from flask.testing import FlaskClient
from scipy import stats
from small_lake import MONDAY

from aggregation.contributions.parametric import ParametricQuery, ParametricResult, plan_parametric, run_parametric
from aggregation.opened.opened_lake import VectorCache
from aggregation.types import Filter
from lake.tables import Lake
from scenarios.store import find_scenario_set, load_scenario_set
from scenarios.types import ScenarioSet

EQUITIES = (Filter(dimension="desk", values=("Equities",)),)
URL = f"/api/v1/parametric?as_of={MONDAY}&by=desk"


@pytest.fixture(scope="module")
def lake(valued_lake: Path) -> Lake:
    return Lake.open(valued_lake)


@pytest.fixture(scope="module")
def market(lake: Lake) -> ScenarioSet:
    row = find_scenario_set(lake, "historical-30", MONDAY)
    return load_scenario_set(lake, row.scenario_set_id)


def ask(lake: Lake, **more: object) -> ParametricResult:
    return run_parametric(lake, ParametricQuery.model_validate({"as_of": MONDAY, **more}), cache=VectorCache(lake))


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

    def test_beside_the_historical_figure(self, lake: Lake, valued_lake: Path) -> None:
        told = answer("var", "--as-of", MONDAY, "--where", "desk=Equities", "--measure", "var", lake=valued_lake)
        assert ask(lake, where=EQUITIES).total["historical"] == told["total"]["var_0.99"]


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
        assert any("contracts have no value" in note for note in found.notes)

    def test_without_gamma(self, lake: Lake) -> None:
        found = ask(lake, gamma="none")
        assert found.total["cornish_fisher"] is None
        assert found.factors["gamma"].null_count == found.factors.num_rows


class TestAsked:
    def test_command(self, valued_lake: Path, tmp_path: Path) -> None:
        file = tmp_path / "bars.svg"
        done = varlake("parametric", "--as-of", MONDAY, "--by", "desk", "--plot", file, lake=valued_lake)
        assert done.returncode == 0, done.stderr
        for word in ("delta-normal", "historical, same scenarios", "EQ:AAA", "Total", "cornish fisher"):
            assert word in done.stdout
        assert "Options" in file.read_text()
        assert varlake("parametric", "--as-of", MONDAY, "--plot", file, lake=valued_lake).returncode == 0
        assert "EQ:AAA" in file.read_text()

    def test_plan_values_nothing(self, lake: Lake, valued_lake: Path) -> None:
        planned = answer("parametric", "--as-of", MONDAY, "--plan", lake=valued_lake)
        assert planned["valuations"] == planned["contracts"] * (planned["states"] + 1)
        assert planned == plan_parametric(lake, ParametricQuery(as_of=MONDAY))

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            (("--level", "2"), "between 0 and 1"),
            (("--measure", "worst"), "es"),
            (("--gamma", "all"), "diagonal"),
            (("--by", "dessk"), "desk"),
        ],
    )
    def test_what_is_wrong_is_told(self, valued_lake: Path, more: tuple[str, ...], says: str) -> None:
        done = varlake("parametric", "--as-of", MONDAY, *more, lake=valued_lake)
        assert done.returncode == 2
        assert says in done.stderr

    def test_nothing_valued_is_no_figure(self, valued_lake: Path) -> None:
        found = answer("parametric", "--as-of", MONDAY, "--where", "trade=T00000-3", lake=valued_lake)
        assert found["coverage"]["status"] == "invalid"
        assert set(found["total"].values()) == {None}
        assert "matured" in found["failures"][0]["message"]

    def test_route(self, client: FlaskClient, valued_lake: Path) -> None:
        got = client.get(URL).get_json()
        told = answer("parametric", "--as-of", MONDAY, "--by", "desk", lake=valued_lake)
        assert got["rows"] == told["rows"]
        assert got["factors"] == told["factors"]
        body = {"as_of": str(MONDAY), "by": ["desk"]}
        posted = client.post("/api/v1/parametric", data=json.dumps(body), content_type="application/json")
        assert posted.get_json()["total"] == got["total"]
        assert client.get(f"{URL}&gamma=other").status_code == 422
        assert b"component" in client.get(f"{URL}&format=csv").data

    def test_too_much_for_a_client_that_waits(self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("service.api.contributions.MOST_VALUATIONS", 10)
        got = client.get(URL)
        assert got.status_code == 422
        assert "more than the 10" in got.get_json()["detail"]
