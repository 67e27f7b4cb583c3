"""Every failure is a problem detail with the same keys, and tells what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient
from small_lake import MONDAY
from users import bearer, with_users
from werkzeug.test import TestResponse

from service.api.app import MAX_BODY_BYTES, create_app
from service.config import Settings

KEYS = {"type", "title", "status", "detail", "instance", "error_id", "errors"}
BAD = "urn:varlake:problem:bad-input"
GONE = "urn:varlake:problem:not-found"


def problem(answer: TestResponse, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert set(body) == KEYS
    assert body["status"] == status
    assert body["error_id"] == answer.headers["X-Request-ID"]
    assert all(set(e) == {"pointer", "message", "value", "allowed"} for e in body["errors"])
    return body


def post(client: FlaskClient, path: str, body: Any) -> TestResponse:
    return client.post(
        f"/api/v1/{path}", data=body if isinstance(body, str) else json.dumps(body), content_type="application/json"
    )


def test_a_route_that_does_not_exist_names_the_nearest(client: FlaskClient) -> None:
    body = problem(client.get("/api/v1/measure"), 404)
    assert "Nearest: /api/v1/measures" in body["detail"]
    assert (body["type"], body["instance"]) == ("about:blank", "/api/v1/measure")


def test_a_wrong_method_names_the_right_ones(client: FlaskClient) -> None:
    answer = client.put("/api/v1/jobs")
    assert "GET" in problem(answer, 405)["detail"]
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [
        ("scenario-sets/historical-31", GONE, "Nearest valid: historical-30"),
        ("scenario-sets/historical-30?market_date=2020-03-12", GONE, "it is for 2020-03-13, 2020-03-16"),
        ("valuation-sets/none", GONE, "Unknown valuation set 'none'"),
        ("valuation-sets/none/failures", GONE, "Unknown valuation set 'none'"),
        ("jobs/none", GONE, "There is no job 'none'"),
        ("positions?date=2020-03-15", GONE, "2020-03-13, 2020-03-16"),
    ],
)
def test_what_the_lake_does_not_hold_is_404_with_the_nearest(
    client: FlaskClient, path: str, kind: str, says: str
) -> None:
    body = problem(client.get(f"/api/v1/{path}"), 404)
    assert body["type"] == kind
    assert says in body["detail"]


@pytest.mark.parametrize(
    ("path", "pointer", "value", "allowed"),
    [
        ("measures?formt=csv", "/formt", "csv", "format"),
        ("measures?format=xml", "/format", "xml", None),
        ("risk-factors?limit=0", "/limit", "0", None),
        ("risk-factors?limit=many", "/limit", "many", None),
        ("risk-factors?limit=10001", "/limit", "10001", None),
        ("risk-factors?risk_class=weather", "/risk_class", "weather", None),
        ("risk-factors?cursor=bogus", "/cursor", "bogus", None),
        ("risk-factors?cursor=WzEyMzQ1NiwgIngiXQ", "/cursor", "WzEyMzQ1NiwgIngiXQ", None),
        ("positions", "/date", None, None),
        ("positions?date=16.03.2020", "/date", "16.03.2020", None),
        ("positions?date=0", "/date", "0", None),
        (f"positions?date={MONDAY}&where=desk", "/where/0", "desk", None),
        (f"positions?date={MONDAY}&where=desks=Options", "where", "desks", "desk"),
        (f"positions?date={MONDAY}&where=desk=Option", "where", "Option", "Options"),
        ("jobs?state=sleeping", "/state", "sleeping", None),
        ("jobs?cursor=-1", "/cursor", "-1", None),
    ],
)
def test_a_bad_parameter_is_422_and_points_at_it(
    client: FlaskClient, path: str, pointer: str, value: str | None, allowed: str | None
) -> None:
    body = problem(client.get(f"/api/v1/{path}"), 422)
    (fault,) = body["errors"]
    assert fault["pointer"].strip("/").split("/")[0] == pointer.strip("/").split("/")[0]
    if value is not None:
        assert fault["value"] == value
    if allowed is not None:
        assert fault["allowed"][0] == allowed


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/as_of"]),
        ({"as_of": 0}, ["/as_of"]),
        ({"as_of": "0"}, ["/as_of"]),
        ({"as_of": str(MONDAY), "runner": "hand", "risk_classes": "equity"}, ["/risk_classes", "/runner"]),
        ({"as_of": str(MONDAY), "positions_date": [str(MONDAY)]}, ["/positions_date"]),
        ({"as_of": str(MONDAY), "scenarios": {"name": "a b"}}, ["/scenarios/name"]),
        ([], [""]),
    ],
)
def test_a_bad_body_is_422_and_every_fault_is_named(client: FlaskClient, body: Any, pointers: list[str]) -> None:
    faults = problem(post(client, "valuations/plan", body), 422)["errors"]
    assert sorted(f["pointer"].rstrip("/") for f in faults) == pointers


def test_a_body_that_is_no_json_is_400(client: FlaskClient) -> None:
    for text in ("", "{", '{"as_of": "\\ud800"}', "nan"):
        assert problem(post(client, "valuations/plan", text), 400)["type"] == "urn:varlake:problem:malformed"


def test_a_body_of_another_media_type_is_415(client: FlaskClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        answer = client.post("/api/v1/valuations", data="{}", content_type=kind)
        assert "application/json" in problem(answer, 415)["detail"]


def test_a_body_too_large_is_413(client: FlaskClient) -> None:
    answer = post(client, "valuations/plan", " " * (MAX_BODY_BYTES + 1))
    assert str(MAX_BODY_BYTES) in problem(answer, 413)["detail"]


def test_a_format_that_is_not_offered_is_406(client: FlaskClient) -> None:
    assert "text/csv" in problem(client.get("/api/v1/measures", headers={"Accept": "text/html"}), 406)["detail"]
    body = {"as_of": str(MONDAY)}
    answer = client.post("/api/v1/valuations", json=body, headers={"Accept": "text/csv"})
    assert "application/json" in problem(answer, 406)["detail"]
    assert client.get("/api/v1/jobs").get_json()["rows"] == []  # refused before anything was queued
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert client.get("/api/v1/measures", headers={"Accept": browser}).content_type == "application/json"


def test_the_unexpected_is_500_with_an_id_that_stands_in_the_log_and_without_its_inside(
    valued_lake: Path, logs: list[structlog.typing.EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr("service.api.data.list_scenario_sets", broken)
    client = create_app(Settings(lake=valued_lake)).test_client()
    body = problem(client.get("/api/v1/scenario-sets", headers={"X-Request-ID": "from-the-client.1"}), 500)
    assert body["error_id"] == "from-the-client.1"
    assert "swordfish" not in json.dumps(body)
    (line,) = [line for line in logs if line["event"] == "unexpected"]
    assert line["error_id"] == "from-the-client.1"
    assert str(line["exc_info"]) == "the password is swordfish"


def test_a_request_id_that_is_not_decent_is_replaced(
    client: FlaskClient, logs: list[structlog.typing.EventDict]
) -> None:
    for given in ("a b", "x" * 65, '{"a":1}', "é"):
        answer = client.get("/api/v1/measures", headers={"X-Request-ID": given.encode().decode("latin-1")})
        assert answer.headers["X-Request-ID"] != given
        assert logs[-1]["request_id"] == answer.headers["X-Request-ID"]
    assert {"event", "method", "path", "status", "ms"} <= set(logs[-1])


def test_another_sites_name_for_this_machine_gets_no_answer(valued_lake: Path, tmp_path: Path) -> None:
    """DNS rebinding: a page of evil.example that resolves to this machine may read nothing."""
    client = create_app(Settings(lake=valued_lake)).test_client()
    for host in ("evil.example:8050", "evil.example", "[::1", "10.0.0.1", "localhost.evil.example"):
        problem(client.get("/api/v1/measures", headers={"Host": host}), 421)
    for host in ("localhost:8050", "127.0.0.1:8050", "[::1]:8050", "localhost"):
        assert client.get("/api/v1/measures", headers={"Host": host}).status_code == 200
    open_to_all = {"lake": valued_lake, "host": "0.0.0.0", "access": tmp_path / "users.sqlite"}
    own = bearer(with_users(valued_lake, access=open_to_all["access"])[1]["tom"])
    for settings in (Settings(**open_to_all), Settings(**open_to_all, allowed_hosts="var.bank.example, VAR")):
        client = create_app(settings).test_client()
        # a page cannot give an address of its own another meaning; names have to be allowed
        for host in ("10.0.0.1:8050", "127.0.0.1:8050", "localhost"):
            assert client.get("/api/v1/measures", headers={"Host": host, **own}).status_code == 200
        for host in ("var.bank.example", "var"):
            answer = client.get("/api/v1/measures", headers={"Host": host, **own})
            assert answer.status_code == (200 if settings.allowed_hosts else 421), answer.text
        assert (
            "VARLAKE_ALLOWED_HOSTS"
            in problem(client.get("/api/v1/measures", headers={"Host": "evil.example"}), 421)["detail"]
        )
