"""Scenario sets made, looked at, checked, compared and exported over HTTP; P&L under scenarios, and stress tests."""

from __future__ import annotations

import csv
import io
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from flask.testing import FlaskClient
from small_lake import BOOK, FRIDAY, MONDAY, SCENARIOS

from aggregation.risk.query import run_scenarios
from aggregation.types import RiskQuery
from lake.tables import Lake
from scenarios.stress import forms, language
from service.api.app import create_app
from service.config import Settings
from service.processes.engine import run_engine

FALL = "equity -20%; vol +10pt; rate[ccy=USD] +100bp"
DAY = str(MONDAY)


@pytest.fixture
def working(work_lake: Lake) -> FlaskClient:
    """A client of a lake that may be written to, with nothing valued."""
    return create_app(Settings(lake=work_lake.path)).test_client()


@contextmanager
def engine_of(lake: Lake) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=run_engine, args=(Settings(lake=lake.path), stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def done(client: FlaskClient, answer: Any) -> dict[str, Any]:
    """The job of a 202 once the engine has ended it."""
    assert answer.status_code == 202, answer.get_data(as_text=True)
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.get_json()['job_id']}"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        job: dict[str, Any] = client.get(answer.headers["Location"]).get_json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError(job)


@pytest.fixture(scope="module")
def made_sets(bare_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bespoke sets and a historical one, made by the engine; to be copied."""
    lake = Lake.open(shutil.copytree(bare_lake, tmp_path_factory.mktemp("sets") / "lake"))
    client = create_app(Settings(lake=lake.path)).test_client()
    recipes = (
        ("stress", {"text": FALL}, "fall"),
        ("stress", {"text": "equity -10%; fx[EURUSD] -5%"}, "milder"),
        ("historical", {"scenarios": SCENARIOS}, "days"),
    )
    with engine_of(lake):
        for method, parameters, name in recipes:
            recipe = {"as_of": DAY, "method": method, "parameters": parameters, "name": name}
            made = done(client, client.post("/api/v1/scenario-sets", json=recipe))
            assert made["state"] == "done", made["problem"]
    return lake.path


@pytest.fixture
def sets_lake(made_sets: Path, tmp_path: Path) -> Lake:
    return Lake.open(shutil.copytree(made_sets, tmp_path / "sets"))


@pytest.fixture
def with_sets(sets_lake: Lake) -> FlaskClient:
    return create_app(Settings(lake=sets_lake.path)).test_client()


class TestScenarioPnl:
    def test_get_and_post_answer_as_the_package_does(self, client: FlaskClient, valued_lake: Path) -> None:
        query = RiskQuery(as_of=MONDAY, by=("desk",), currency="EUR")
        expected = run_scenarios(Lake.open(valued_lake), query)
        got = client.get(f"/api/v1/scenario-pnl?as_of={DAY}&by=desk&currency=EUR").get_json()
        posted = client.post("/api/v1/scenario-pnl", json={"as_of": DAY, "by": ["desk"], "currency": "EUR"}).get_json()
        assert got["rows"] == posted["rows"] == expected.rows.to_pylist()
        assert got["total"] == dict(expected.total)
        labels = [c for c in got["total"] if c.startswith("pnl_")]
        assert len(labels) == SCENARIOS
        for label in labels:
            assert got["total"][label] == pytest.approx(sum(r[label] for r in got["rows"]))

    def test_csv_and_arrow_hold_the_rows(self, client: FlaskClient) -> None:
        path = f"/api/v1/scenario-pnl?as_of={DAY}&by=desk&where=desk!=Options"
        rows = client.get(path).get_json()["rows"]
        assert [r["desk"] for r in rows] == ["Equities"]
        (read,) = csv.DictReader(io.StringIO(client.get(f"{path}&format=csv").get_data(as_text=True)))
        assert float(read["base_value"]) == rows[0]["base_value"]
        table = pa.ipc.open_stream(client.get(f"{path}&format=arrow").data).read_all()
        assert table.to_pylist() == rows
        assert json.loads(table.schema.metadata[b"receipt"])["scenario_count"] == SCENARIOS

    def test_the_etag_stands_for_the_numbers(self, client: FlaskClient) -> None:
        path = f"/api/v1/scenario-pnl?as_of={DAY}"
        tag = client.get(path).headers["ETag"]
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 304

    @pytest.mark.parametrize(
        ("parameters", "status", "words"),
        [
            (f"as_of={DAY}&by=dsek", 422, "desk"),
            (f"as_of={DAY}&measures=var", 422, "measures"),
            ("as_of=2020-03-12", 404, "2020-03-13"),
            (f"as_of={DAY}&valuation_set=none", 404, "valuation set"),
            ("", 422, "as_of"),
        ],
    )
    def test_errors_teach(self, client: FlaskClient, parameters: str, status: int, words: str) -> None:
        answer = client.get(f"/api/v1/scenario-pnl?{parameters}")
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
        assert words in answer.get_data(as_text=True)


class TestMaking:
    def test_a_set_is_made_by_the_engine_and_only_once(self, with_sets: FlaskClient, sets_lake: Lake) -> None:
        sets = with_sets.get("/api/v1/scenario-sets").get_json()["rows"]
        assert [(s["name"], s["version"]) for s in sets] == [("fall", 1), ("milder", 1), ("days", 1)]
        recipe = {"as_of": DAY, "method": "stress", "parameters": {"text": FALL}, "name": "fall"}
        with engine_of(sets_lake):
            again = done(with_sets, with_sets.post("/api/v1/scenario-sets", json=recipe))
            changed = {**recipe, "parameters": {"text": "equity -25%"}}
            other = done(with_sets, with_sets.post("/api/v1/scenario-sets", json=changed))
        assert again["kind"] == "scenario_set"
        assert (again["result"]["scenario_set_id"], again["result"]["version"]) == (sets[0]["scenario_set_id"], 1)
        assert (other["result"]["version"], other["result"]["scenarios"]) == (2, 1)
        assert len(with_sets.get("/api/v1/scenario-sets").get_json()["rows"]) == 4

    def test_a_recipe_that_is_wrong_by_itself_is_refused_at_once(self, working: FlaskClient) -> None:
        for recipe, words in (
            ({"method": "historcal"}, "historical"),
            ({"method": "stress", "parameters": {"txt": "equity -20%"}}, "text"),
            ({"method": "stress", "parameters": {}}, "text or document"),
        ):
            answer = working.post("/api/v1/scenario-sets", json={"as_of": DAY, **recipe})
            assert answer.status_code == 422
            assert words in answer.get_json()["detail"]
        assert working.get("/api/v1/jobs").get_json()["rows"] == []

    def test_what_the_market_lacks_fails_the_job_with_its_problem_and_stores_nothing(
        self, working: FlaskClient, work_lake: Lake
    ) -> None:
        recipe = {"as_of": DAY, "method": "stress", "parameters": {"text": "equity[AAB] -20%"}}
        with engine_of(work_lake):
            job = done(working, working.post("/api/v1/scenario-sets", json=recipe))
        assert (job["state"], job["problem"]["status"]) == ("failed", 422)
        assert "AAA" in job["problem"]["detail"]
        assert working.get("/api/v1/scenario-sets").get_json()["rows"] == []


class TestPreview:
    def test_the_three_forms_show_the_same(self, client: FlaskClient) -> None:
        document = language.parse(FALL)
        bodies = (
            {"text": FALL},
            {"document": json.loads(forms.to_json(document))},
            {"csv": forms.to_csv(document)},
        )
        shown = [client.post("/api/v1/scenario-sets/preview", json={"as_of": DAY, **b}).get_json() for b in bodies]
        assert shown[0] == shown[1] == shown[2]
        (scenario,) = shown[0]["scenarios"]
        factors = {f["risk_factor_id"]: f for f in scenario["factors"]}
        assert factors["EQ:AAA"]["level"] == pytest.approx(0.8 * factors["EQ:AAA"]["base"])
        assert factors["IV:AAA"]["level"] == pytest.approx(factors["IV:AAA"]["base"] + 0.10)
        assert factors["FX:EURUSD"]["status"] == "unchanged"
        for pillar in scenario["curves"]:
            assert pillar["level"] == pytest.approx(pillar["base"] + 0.01)

    def test_it_is_scored_where_that_is_asked_for(self, client: FlaskClient) -> None:
        def scored(text: str) -> Any:
            body = {"as_of": DAY, "text": text, "plausibility": True, "law": {"window": 40}}
            answer = client.post("/api/v1/scenario-sets/preview", json=body)
            assert answer.status_code == 200, answer.get_data(as_text=True)
            (score,) = answer.get_json()["plausibility"]
            return score

        near, far = scored("equity[AAA] -1%"), scored("equity[AAA] -20%")
        assert near["moved"] == far["moved"] == 1
        # of one factor the distance is its move over its standard deviation
        assert far["distance"] == pytest.approx(abs(far["factors"][0]["deviations"]))
        assert 0 < near["distance"] < far["distance"]
        plain = client.post("/api/v1/scenario-sets/preview", json={"as_of": DAY, "text": FALL}).get_json()
        assert plain["plausibility"] is None

    def test_a_law_that_is_none_is_refused(self, client: FlaskClient) -> None:
        body = {"as_of": DAY, "text": FALL, "plausibility": True, "law": {"windw": 40}}
        answer = client.post("/api/v1/scenario-sets/preview", json=body)
        assert answer.status_code == 422
        assert "window" in answer.get_json()["detail"]

    def test_nothing_is_stored(self, working: FlaskClient, work_lake: Lake) -> None:
        before = work_lake.snapshot().versions
        for what in ("preview", "check"):
            assert working.post(f"/api/v1/scenario-sets/{what}", json={"as_of": DAY, "text": FALL}).status_code == 200
        assert work_lake.snapshot().versions == before

    def test_a_fault_points_at_its_place(self, client: FlaskClient) -> None:
        answer = client.post("/api/v1/scenario-sets/preview", json={"as_of": DAY, "text": "equity[AAB] -20%"})
        (fault,) = answer.get_json()["errors"]
        assert answer.status_code == 422
        assert "EQ:AAA" in fault["allowed"] or "AAA" in fault["allowed"]


class TestCheck:
    def check(self, client: FlaskClient, **given: Any) -> dict[str, Any]:
        answer = client.post("/api/v1/scenario-sets/check", json={"as_of": DAY, **given})
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_json()

    def test_a_sound_scenario(self, client: FlaskClient) -> None:
        assert self.check(client, text=FALL) == {"ok": True, "faults": [], "failed": [], "warnings": []}

    def test_all_faults_at_once_in_every_form(self, client: FlaskClient) -> None:
        by_text = self.check(client, text="equity[AAB] -20%; rate[ccy=UDS] +100bp")
        assert not by_text["ok"]
        assert len(by_text["faults"]) == 2
        rows = "step,class,where,value,unit\nshift,equty,,-20,%\nshift,rate,ccy=USD,1,bananas\n"
        by_csv = self.check(client, csv=rows)
        assert [f["pointer"].partition(",")[0] for f in by_csv["faults"]] == ["row 2", "row 3"]
        assert "equity" in by_csv["faults"][0]["allowed"]
        by_document = self.check(client, document={"scenarios": [{"steps": [{"step": "shft"}]}]})
        assert not by_document["ok"]
        assert "shift" in by_document["faults"][0]["allowed"]

    @pytest.mark.parametrize(
        "given",
        [
            {"text": ""},
            {"text": "equity"},
            {"text": "equity -20%;" * 30_000},
            {"text": 'include "nowhere"'},
            {"text": "grid(equity -50%..+50% step 0.001%, vol -5pt..+5pt step 0.001pt)"},
            {"csv": ""},
            {"document": {}},
        ],
    )
    def test_what_is_no_scenario_is_a_fault(self, client: FlaskClient, given: dict[str, Any]) -> None:
        answer = self.check(client, **given)
        assert not answer["ok"]
        assert answer["faults"]

    def test_assertions_that_do_not_hold_are_told(self, client: FlaskClient) -> None:
        answer = self.check(client, text="equity -20%; assert equity[AAA] > 1000000 USD")
        assert not answer["ok"]
        assert answer["failed"] or answer["faults"]

    @pytest.mark.parametrize("given", [{}, {"text": FALL, "csv": "step\n"}])
    def test_exactly_one_form_is_taken(self, client: FlaskClient, given: dict[str, Any]) -> None:
        answer = client.post("/api/v1/scenario-sets/check", json={"as_of": DAY, **given})
        assert answer.status_code == 422
        assert "exactly one of text, document, csv" in answer.get_json()["detail"]


class TestCompletion:
    def test_names_of_the_market_with_what_they_mean(self, client: FlaskClient) -> None:
        asked = {"as_of": DAY, "text": "equity[cc", "at": 9}
        answer = client.post("/api/v1/scenario-sets/complete", json=asked).get_json()
        assert (answer["start"], answer["end"], answer["more"]) == (7, 9, 0)
        assert answer["proposals"][0]["text"] == "ccy="
        assert "USD" in answer["proposals"][0]["meaning"]

    def test_a_place_beyond_the_text_is_its_end(self, client: FlaskClient) -> None:
        answers = [
            client.post("/api/v1/scenario-sets/complete", json={"as_of": DAY, "text": "vo", "at": at}) for at in (2, 99)
        ]
        assert answers[0].get_json() == answers[1].get_json()
        assert [p["text"] for p in answers[0].get_json()["proposals"]] == ["vol"]


class TestExport:
    def test_the_three_forms_carry_the_same(self, with_sets: FlaskClient) -> None:
        path = "/api/v1/scenario-sets/fall/export"
        text, as_json, as_csv = (with_sets.get(f"{path}?format={f}") for f in ("text", "json", "csv"))
        assert [a.mimetype for a in (text, as_json, as_csv)] == ["text/plain", "application/json", "text/csv"]
        documents = (
            language.parse(text.get_data(as_text=True)),
            forms.from_json(as_json.get_data(as_text=True)),
            forms.from_csv(as_csv.get_data(as_text=True)),
        )
        assert documents == (language.parse(FALL),) * 3

    def test_accept_chooses_the_form_and_text_is_the_default(self, with_sets: FlaskClient) -> None:
        path = "/api/v1/scenario-sets/fall/export"
        assert with_sets.get(path).mimetype == "text/plain"
        assert with_sets.get(path, headers={"Accept": "text/csv"}).mimetype == "text/csv"
        assert with_sets.get(path, headers={"Accept": "image/png"}).status_code == 406

    def test_what_goes_out_comes_in_again_as_the_same_set(self, with_sets: FlaskClient, sets_lake: Lake) -> None:
        text = with_sets.get("/api/v1/scenario-sets/fall/export").get_data(as_text=True)
        recipe = {"as_of": DAY, "method": "stress", "parameters": {"text": text}, "name": "fall"}
        with engine_of(sets_lake):
            made = done(with_sets, with_sets.post("/api/v1/scenario-sets", json=recipe))
        fall = with_sets.get("/api/v1/scenario-sets/fall").get_json()
        assert made["result"]["scenario_set_id"] == fall["scenario_set_id"]

    def test_a_set_without_a_text_is_refused_and_an_unknown_one_not_found(self, with_sets: FlaskClient) -> None:
        refused = with_sets.get("/api/v1/scenario-sets/days/export")
        assert refused.status_code == 422
        assert "historical" in refused.get_json()["detail"]
        assert with_sets.get("/api/v1/scenario-sets/fal/export").status_code == 404


class TestDiff:
    def test_the_factors_that_differ(self, with_sets: FlaskClient) -> None:
        rows = with_sets.get("/api/v1/scenario-sets/diff?one=fall&two=milder").get_json()["rows"]
        by_factor = {r["risk_factor"]: r for r in rows}
        assert set(by_factor) == {"EQ:AAA", "EQ:BBB", "IV:AAA", "FX:EURUSD", "YC:USD:1M", "YC:USD:5Y"}
        share = by_factor["EQ:AAA"]
        assert (share["difference"], share["base_1"]) == ("levels", share["base_2"])
        assert share["level_1"] / share["base_1"] == pytest.approx(0.8)
        assert share["level_2"] / share["base_2"] == pytest.approx(0.9)

    def test_a_set_and_itself_do_not_differ(self, with_sets: FlaskClient) -> None:
        path = "/api/v1/scenario-sets/diff?one=fall&two=fall"
        assert with_sets.get(path).get_json()["rows"] == []
        (header,) = csv.reader(io.StringIO(with_sets.get(f"{path}&format=csv").get_data(as_text=True)))
        assert header == ["risk_factor", "difference", "base_1", "base_2", "scenario", "level_1", "level_2"]

    def test_sets_of_different_size_are_not_compared(self, with_sets: FlaskClient) -> None:
        answer = with_sets.get("/api/v1/scenario-sets/diff?one=fall&two=days")
        assert answer.status_code == 422
        assert str(SCENARIOS) in answer.get_json()["detail"]


class TestStress:
    def test_refused_then_a_job_and_then_the_answer_at_once(self, working: FlaskClient, work_lake: Lake) -> None:
        asked = {"as_of": DAY, "scenario": FALL, "by": ["desk"]}
        refused = working.post("/api/v1/stress", json=asked)
        assert (refused.status_code, refused.get_json()["title"]) == (404, "Not valued yet")
        assert "POST /api/v1/stress/value" in refused.get_json()["detail"]
        with engine_of(work_lake):
            job = done(working, working.post("/api/v1/stress/value", json=asked))
        assert (job["kind"], job["state"]) == ("question", "done")
        valued = job["result"]["receipt"]["valuation_set_id"]
        read = working.get(
            "/api/v1/scenario-pnl", query_string={"as_of": DAY, "by": "desk", "valuation_set": valued}
        ).get_json()
        at_once = working.post("/api/v1/stress", json=asked)
        assert at_once.status_code == 200
        assert at_once.get_json()["rows"] == read["rows"] == job["result"]["rows"]
        (pnl,) = (c for c in read["total"] if c.startswith("pnl_"))
        equities = next(r for r in read["rows"] if r["desk"] == "Equities")
        # two shares and nothing else: a fall of a fifth, in dollars at an unmoved exchange rate
        assert equities[pnl] == pytest.approx(-0.2 * equities["base_value"])
        assert read["total"]["failed"] == sum(1 for *_, terms in BOOK if terms.get("expiry", "9") < DAY)

    def test_another_book_is_valued_for_it(self, working: FlaskClient, work_lake: Lake) -> None:
        asked = {"as_of": DAY, "positions_date": str(FRIDAY), "scenario": FALL}
        (wanted,) = working.post("/api/v1/stress/plan", json=asked).get_json()["valuations"]
        assert wanted["request"]["positions_dates"] == [str(FRIDAY)]
        with engine_of(work_lake):
            assert done(working, working.post("/api/v1/stress/value", json=asked))["state"] == "done"
        answer = working.post("/api/v1/stress", json=asked).get_json()
        assert answer["receipt"]["positions_date"] == str(FRIDAY)
        assert answer["coverage"]["missing"] == 0

    def test_a_stored_set_is_found_by_name(self, with_sets: FlaskClient) -> None:
        plan = with_sets.get("/api/v1/stress/plan", query_string={"as_of": DAY, "scenario": "fall"}).get_json()
        fall = with_sets.get("/api/v1/scenario-sets/fall").get_json()
        (wanted,) = plan["valuations"]
        assert (wanted["for"], wanted["request"]["scenario_set"]) == ("fall", fall["scenario_set_id"])

    @pytest.mark.parametrize(
        ("asked", "status", "words"),
        [
            ({"scenario": "equity[AAB] -20%"}, 422, "AAA"),
            ({"scenario": "no-such-set"}, 404, "no-such-set"),
            ({"scenario": FALL, "as_of": "2020-03-12"}, 404, "2020-03-13"),
            ({"scenario": FALL, "measures": ["var"]}, 422, "measures"),
            ({}, 422, "scenario"),
        ],
    )
    def test_a_stress_that_cannot_be_run_is_no_job(
        self, working: FlaskClient, asked: dict[str, Any], status: int, words: str
    ) -> None:
        answer = working.post("/api/v1/stress", json={"as_of": DAY, **asked})
        assert answer.status_code == status, answer.get_data(as_text=True)
        assert words in answer.get_data(as_text=True)
        assert working.get("/api/v1/jobs").get_json()["rows"] == []
