"""VaR by risk class and stressed VaR: valued when accepted, against revaluations of single shares and against windows of moves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import answer, refused, varlake
from flask.testing import FlaskClient
from small_lake import MONDAY

from aggregation.contributions.risk_classes import requests
from aggregation.opened.opened_lake import VectorCache
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.tables import Lake
from scenarios.store import find_scenario_set, load_scenario_set
from service.api.app import create_app
from service.config import Settings
from service.jobs import QUESTION
from valuation.sets.requests import run_valuation

EQUITIES = ("--where", "desk=Equities")


@pytest.fixture(scope="module")
def lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake.open(shutil.copytree(valued_lake, tmp_path_factory.mktemp("classes") / "lake"))


class TestRiskClasses:
    def test_nothing_is_valued_before_it_is_accepted(self, lake: Lake) -> None:
        said = refused("risk-classes", "--as-of", MONDAY, lake=lake.path)
        assert "Not valued alone yet" in said
        assert "--value" in said
        told = answer("risk-classes", "--as-of", MONDAY, "--plan", lake=lake.path)
        planned = {v["for"]: v["plan"] for v in told["valuations"]}
        assert not told["ready"]
        assert set(planned) <= {"equity", "fx", "rates", "volatility"}
        assert not any(p["already_sealed"] for p in planned.values())
        # the share in euro and the option read their own classes alone: the rest is there without pricing
        assert planned["equity"]["missing"] > 0

    def test_each_class_is_the_loss_from_its_own_moves(self, lake: Lake) -> None:
        found = answer("risk-classes", "--as-of", MONDAY, *EQUITIES, "--value", "--level", "0.9", lake=lake.path)
        market = load_scenario_set(lake, find_scenario_set(lake, "historical-30", MONDAY)["scenario_set_id"])
        level = {f: (market.base[r], np.asarray(market.levels[r])) for f, r in market.index.row.items()}
        (a0, a), (b0, b), (x0, x) = (level[f] for f in ("EQ:AAA", "EQ:BBB", "FX:EURUSD"))
        alone = {
            "equity": 1000.0 * (a - a0) - 200.0 * (b - b0) * x0,
            "fx": -200.0 * b0 * (x - x0),
            "all": 1000.0 * (a - a0) - 200.0 * (b * x - b0 * x0),
        }
        for c, pnl in alone.items():
            losses = np.sort(-pnl)[::-1]
            assert found["totals"][c]["var_0.9"] == pytest.approx(losses[2], rel=1e-9)
            assert found["totals"][c]["es_0.9"] == pytest.approx(losses[:3].mean(), rel=1e-9)
        zero = set(found["totals"]) - set(alone)
        assert all(found["totals"][c]["var_0.9"] == 0.0 for c in zero)
        wanted = sum(t["var_0.9"] for c, t in found["totals"].items() if c != "all") - found["totals"]["all"]["var_0.9"]
        assert found["diversification"]["var_0.9"] == pytest.approx(wanted, rel=1e-12)

    def test_it_reads_as_a_table_and_replays(self, lake: Lake, tmp_path: Path) -> None:
        done = varlake("risk-classes", "--as-of", MONDAY, "--by", "desk", "--value", lake=lake.path)
        assert done.returncode == 0, done.stderr
        for word in ("each shocked alone", "equity", "Options", "sum of the classes minus all"):
            assert word in done.stdout
        assert "do not add up" in done.stderr
        # the plain question still answers with every class shocked
        plain = answer("var", "--as-of", MONDAY, lake=lake.path)
        assert len(plain["receipt"]["risk_classes"]) > 1
        file = tmp_path / "answer.json"
        file.write_text(json.dumps(answer("risk-classes", "--as-of", MONDAY, lake=lake.path)))
        assert varlake("replay", file, lake=lake.path).returncode == 0

    def test_a_set_of_one_class_cannot_be_split(self, lake: Lake) -> None:
        varlake("risk-classes", "--as-of", MONDAY, "--value", lake=lake.path)
        one = next(iter(requests(VectorCache(lake), RiskQuery(as_of=MONDAY)).values()))
        with Committer(lake, "test") as committer:
            sealed = run_valuation(committer, one, spark=lambda: None)  # type: ignore[arg-type,return-value]
        assert "alone" in refused(
            "risk-classes", "--as-of", MONDAY, "--valuation-set", sealed["valuation_set_id"], lake=lake.path
        )

    def test_route(self, valued_lake: Path, tmp_path: Path) -> None:
        own = Lake.open(shutil.copytree(valued_lake, tmp_path / "lake"))
        client: FlaskClient = create_app(Settings(lake=own.path)).test_client()

        def post(more: str = "") -> tuple[int, dict]:
            body = {"as_of": str(MONDAY), "by": ["desk"], "measures": ["var"]}
            got = client.post(f"/api/v1/risk-classes{more}", data=json.dumps(body), content_type="application/json")
            return got.status_code, got.get_json()

        status, problem = post()
        assert (status, problem["type"]) == (404, "urn:varlake:problem:not-valued")
        planned = post("/plan")[1]["valuations"]
        assert {v["for"]: v["request"]["risk_classes"] for v in planned} == {v["for"]: [v["for"]] for v in planned}
        status, job = post("/value")
        assert (status, job["kind"]) == (202, QUESTION)
        assert post("/value")[1] == job  # asked again, the same job
        assert job["request"]["question"] == "risk-classes"
        assert varlake("risk-classes", "--as-of", MONDAY, "--value", lake=own.path).returncode == 0
        status, found = post()
        assert status == 200
        told = answer("risk-classes", "--as-of", MONDAY, "--by", "desk", "--measure", "var", lake=own.path)
        assert found["rows"] == told["rows"]
        assert found["diversification"] == told["diversification"]


class TestStressed:
    def test_a_period_given(self, lake: Lake) -> None:
        found = answer(
            *("stressed-var", "--as-of", MONDAY, "--period", "2020-01-06:2020-02-14", "--level", "0.9", *EQUITIES),
            "--value",
            lake=lake.path,
        )
        market = load_scenario_set(
            lake, find_scenario_set(lake, "stressed-2020-01-06-2020-02-14", MONDAY)["scenario_set_id"]
        )
        level = {f: (market.base[r], np.asarray(market.levels[r])) for f, r in market.index.row.items()}
        (a0, a), (b0, b), (x0, x) = (level[f] for f in ("EQ:AAA", "EQ:BBB", "FX:EURUSD"))
        losses = np.sort(-(1000.0 * (a - a0) - 200.0 * (b * x - b0 * x0)))[::-1]
        k = -(-len(losses) // 10)
        assert market.labels[0] >= "2020-01-06"
        assert market.labels[-1] <= "2020-02-14"
        assert found["total"]["var_0.9_to"] == pytest.approx(losses[k - 1], rel=1e-9)
        now = answer("var", "--as-of", MONDAY, "--level", "0.9", *EQUITIES, lake=lake.path)
        # the stressed set answers only when it is named
        assert now["receipt"]["scenario_set_name"] == "historical-30"
        assert found["total"]["var_0.9_from"] == now["total"]["var_0.9"]
        named = ("--scenario-set", "stressed-2020-01-06-2020-02-14", "--by", "trade")
        split = answer("contributions", "--as-of", MONDAY, *named, "--level", "0.9", *EQUITIES, lake=lake.path)
        assert sum(r["component"] for r in split["rows"]) == split["total"]["component"]

    def test_the_worst_window_is_searched(self, lake: Lake) -> None:
        asked = ("--as-of", MONDAY, "--length", 25, *EQUITIES)
        asked = (*asked, "--measure", "es", "--level", "0.9")
        planned = answer("stressed-var", *asked, "--plan", lake=lake.path)
        assert planned["valuations"][-1]["for"] == f"all moves of the history on {MONDAY}"
        assert "--value" in refused("stressed-var", *asked, lake=lake.path)
        found = answer("stressed-var", *asked, "--value", lake=lake.path)
        searched = answer("stress-period", *asked, lake=lake.path)
        assert found["period"] == {
            "first": searched["worst"]["first"],
            "last": searched["worst"]["last"],
            "searched": True,
        }
        assert found["total"]["es_0.9_to"] == pytest.approx(searched["worst"]["value"], rel=1e-9)
        assert found["before"]["receipt"]["scenario_set_name"] == "historical-30"

    def test_plan_and_table(self, lake: Lake) -> None:
        planned = answer(
            "stressed-var", "--as-of", MONDAY, "--period", "2020-01-06:2020-01-20", "--plan", lake=lake.path
        )
        wanted = planned["valuations"][-1]
        assert wanted["for"] == f"the moves of 2020-01-06 to 2020-01-20 on {MONDAY}"
        assert wanted["request"]["scenarios"]["name"] == "stressed-2020-01-06-2020-01-20"
        done = varlake(
            "stressed-var",
            "--as-of",
            MONDAY,
            "--period",
            "2020-01-06:2020-01-20",
            "--by",
            "desk",
            "--value",
            lake=lake.path,
        )
        assert done.returncode == 0, done.stderr
        assert "Stress period 2020-01-06 to 2020-01-20 (as given)" in done.stderr

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            (("--period", "lehmann"), "lehman"),
            (("--period", "2020-02-14:2020-01-06"), "first must not lie after last"),
            (("--measure", "worst"), "searched by var or es"),
            (("--length", "3"), "length"),
        ],
    )
    def test_what_is_wrong_is_told(self, lake: Lake, more: tuple[str, ...], says: str) -> None:
        assert says in refused("stressed-var", "--as-of", MONDAY, *more, lake=lake.path)
