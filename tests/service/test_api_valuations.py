"""Plans, jobs and the way from a request to a sealed valuation set."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from small_lake import BOOK, FRIDAY, MONDAY, SCENARIOS, no_spark, request
from werkzeug.test import TestResponse

from lake.committer import Committer
from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings
from service.jobs import JobTable
from valuation.sets.requests import ValuationRequest, run_valuation

BODY = request().model_dump(mode="json")
CONTRACTS = len(BOOK)


@pytest.fixture
def working(work_lake: Lake) -> FlaskClient:
    """A client of a lake that may be written to, with nothing valued."""
    return create_app(Settings(lake=work_lake.path)).test_client()


def test_a_plan_says_what_is_wanted_present_and_missing_and_runs_nothing(working: FlaskClient, work_lake: Lake) -> None:
    before = work_lake.snapshot().versions
    answer = working.post("/api/v1/valuations/plan", json=BODY)
    plan = answer.get_json()
    assert answer.status_code == 200, plan
    counts = {k: plan[k] for k in ("wanted", "present", "missing", "cannot_be_valued", "scenarios", "already_sealed")}
    assert counts == {
        "wanted": CONTRACTS,
        "present": 0,
        "missing": CONTRACTS - 1,
        "cannot_be_valued": 1,
        "scenarios": SCENARIOS,
        "already_sealed": False,
    }
    assert plan["expected_core_seconds"] >= 0
    assert sum(c["missing"] for c in plan["by_instrument_type"].values()) == CONTRACTS - 1
    assert work_lake.snapshot().versions == before
    assert working.get("/api/v1/jobs").get_json()["rows"] == []


def test_a_plan_of_what_is_valued_has_nothing_missing(valued_lake: Path, tmp_path: Path) -> None:
    lake = Lake.open(shutil.copytree(valued_lake, tmp_path / "lake"))
    client = create_app(Settings(lake=lake.path)).test_client()
    plan = client.post("/api/v1/valuations/plan", json=BODY).get_json()
    assert (plan["present"], plan["missing"], plan["already_sealed"]) == (CONTRACTS - 1, 0, True)
    assert plan["valuation_set"] in {r["valuation_set_id"] for r in lake.read("valuation_sets").to_pylist()}


def submitted(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 202, answer.get_data(as_text=True)
    job: dict[str, Any] = answer.get_json()
    assert answer.headers["Location"] == f"/api/v1/jobs/{job['job_id']}"
    return job


def test_a_valuation_becomes_a_job_that_can_be_followed_listed_and_cancelled(working: FlaskClient) -> None:
    job = submitted(working.post("/api/v1/valuations", json=BODY))
    assert (job["state"], job["kind"], job["attempts"], job["request"]) == ("queued", "valuation", 0, BODY)
    assert job["progress"] == {"stage": None, "done": 0, "total": 0}
    assert submitted(working.post("/api/v1/valuations", json=BODY)) == job
    other = submitted(working.post("/api/v1/valuations", json={**BODY, "risk_classes": ["equity"]}))
    assert working.get(f"/api/v1/jobs/{job['job_id']}").get_json() == job
    assert working.get("/api/v1/jobs").get_json() == {"rows": [other, job], "next_cursor": None}

    cancelled = working.delete(f"/api/v1/jobs/{job['job_id']}")
    assert (cancelled.status_code, cancelled.get_json()["state"]) == (200, "cancelled")
    assert [r["job_id"] for r in working.get("/api/v1/jobs?state=queued").get_json()["rows"]] == [other["job_id"]]
    assert submitted(working.post("/api/v1/valuations", json=BODY))["job_id"] != job["job_id"]


def test_defaults_spelled_out_are_the_same_job(working: FlaskClient) -> None:
    short = submitted(working.post("/api/v1/valuations", json={"as_of": str(MONDAY)}))
    spelled = ValuationRequest(as_of=MONDAY).model_dump(mode="json")
    assert submitted(working.post("/api/v1/valuations", json=spelled))["job_id"] == short["job_id"]


def test_jobs_come_in_pages(working: FlaskClient) -> None:
    ids = [
        submitted(working.post("/api/v1/valuations", json={"as_of": f"2020-03-{day:02}"}))["job_id"]
        for day in range(1, 6)
    ]
    seen: list[str] = []
    cursor = ""
    while True:
        page = working.get(f"/api/v1/jobs?limit=2{cursor}").get_json()
        seen += [r["job_id"] for r in page["rows"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ids[::-1]


def test_a_job_that_ended_tells_its_result_or_its_problem_and_cannot_be_cancelled(
    working: FlaskClient, work_lake: Lake
) -> None:
    table = JobTable.of(work_lake)
    done = submitted(working.post("/api/v1/valuations", json=BODY))
    table.claim()
    with Committer(work_lake, "test") as committer:
        table.finish(done["job_id"], run_valuation(committer, request(), spark=no_spark).to_dict())  # type: ignore[arg-type]
    answer = working.get(f"/api/v1/jobs/{done['job_id']}").get_json()
    assert answer["state"] == "done"
    assert (
        answer["result"]["this_run"].items()
        >= {
            "valued": CONTRACTS - 1,
            "reused": 0,
            "failed": 1,
        }.items()
    )
    assert answer["result"]["why_failed"].startswith("1 matured: ")
    assert answer["result"]["why_failed"].endswith("Take it out of the positions.")
    sealed = working.get(f"/api/v1/valuation-sets/{answer['result']['valuation_set_id']}").get_json()
    assert {k: answer["result"][k] for k in sealed} == sealed
    refused = working.delete(f"/api/v1/jobs/{done['job_id']}")
    assert (refused.status_code, refused.get_json()["title"]) == (409, "Not possible now")


def test_one_job_more_than_may_wait_is_429_and_says_when_to_ask_again(work_lake: Lake) -> None:
    client = create_app(Settings(lake=work_lake.path, jobs_waiting=1)).test_client()
    submitted(client.post("/api/v1/valuations", json=BODY))
    submitted(client.post("/api/v1/valuations", json=BODY))  # the same job
    refused = client.post("/api/v1/valuations", json=BODY | {"positions_dates": [str(FRIDAY)]})
    assert (refused.status_code, refused.get_json()["type"]) == (429, "urn:varlake:problem:busy")
    assert int(refused.headers["Retry-After"]) > 0
    assert "VARLAKE_JOBS_WAITING" in refused.get_json()["detail"]
