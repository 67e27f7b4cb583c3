"""The OpenAPI document is true: generated requests, good and bad, meet no server error and nothing the document lacks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import allow_header_conformance, positive_data_acceptance
from small_lake import FRIDAY, MONDAY, SCENARIOS, no_spark

from aggregation.dimensions import CONTRACT_COLUMNS, DIMENSIONS
from aggregation.measures import MEASURES
from aggregation.opened.opened_lake import VectorCache
from aggregation.whatif.save_branch import BranchRequest, save_branch
from lake.committer import Committer
from lake.tables import Lake
from scenarios.requests import ScenarioSetRequest, run_scenario_set
from service.api.app import create_app
from service.api.context import EXTENSION, Context
from service.config import Settings
from service.jobs import VALUATION, JobTable
from valuation.sets.requests import ValuationRequest

quick = settings(suppress_health_check=list(HealthCheck), deadline=None)
app = create_app(Settings(lake=Path("the fixture gives it")))
SHARES = {"instrument_type": "cash_equity", "quantity": 5, "terms": {"currency": "USD", "underlying": "EQ:AAA"}}
SHOCK = "equity -20%; vol +10pt"
held: dict[str, str] = {}  # ids the lake of the fixture holds


def document_of(app: Any, **generation: Any) -> Any:
    always = {"deterministic": True, "max-examples": 20, "allow-extra-parameters": False}
    config = SchemathesisConfig.from_dict({"generation": {**always, **generation}})
    return schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)


any_request = document_of(app)
good_request = document_of(app, mode="positive")


@pytest.fixture(scope="module", autouse=True)
def lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A lake that takes the jobs the requests submit; the last test cancels some of them."""
    copied = Lake.open(shutil.copytree(valued_lake, tmp_path_factory.mktemp("openapi") / "lake"))
    app.extensions[EXTENSION] = Context(Settings(lake=copied.path))
    held["scenario-sets"] = copied.read("scenario_sets")["scenario_set_id"][0].as_py()
    bespoke = ScenarioSetRequest(as_of=MONDAY, method="stress", parameters={"text": SHOCK}, name="bespoke")
    with Committer(copied, "test") as committer:
        run_scenario_set(committer, bespoke, progress=lambda stage, done, total: None)
    held["bespoke"] = "bespoke"
    held["valuation-sets"] = copied.read("valuation_sets")["valuation_set_id"][0].as_py()
    with Committer(copied, "test") as committer:
        asked = BranchRequest.model_validate({"name": "held", "as_of": MONDAY, "add": [SHARES]})
        save_branch(committer, asked, cache=VectorCache(copied), spark=no_spark)  # type: ignore[arg-type]
    held["branches"] = "held"
    held["jobs"] = JobTable.of(copied).submit(VALUATION, {"as_of": str(MONDAY)})[0].job_id


def name_what_the_lake_holds(case: schemathesis.Case) -> None:
    """Puts names of the lake where the request has random ones, so that it reaches what lies behind the names."""
    for name in case.path_parameters or {}:
        kind = case.path.split("/")[3]
        case.path_parameters[name] = held["bespoke" if case.path.endswith("/export") else kind]
    query = case.query or {}
    for name in {"one", "two"} & query.keys():
        query[name] = held["scenario-sets"]
    for gone in (
        "cursor",
        "scenarios",
        "branch",
        "scenario_set",
        "valuation_set",
        "positions_date",
        "source",
        "market_date",
    ):
        query.pop(gone, None)
    for day in ("as_of", "date", "from", "to"):
        if day in query:
            query[day] = str(MONDAY)
    if case.path.endswith(("/backtests", "/series")):
        query["from"], query["calendar"] = str(FRIDAY), "books"
    if "where" in query:
        query["where"] = ["desk=Options", "attribute.rating!=BBB"][: len(query["where"])]
    question(query)
    if isinstance(case.body, dict):
        if "from" in case.body:  # only like questions are compared
            case.body["to"] = dict(case.body["from"])
        if "members" in case.body:
            case.body["members"] = {}
        for body in (case.body["from"], case.body["to"]) if "from" in case.body else (case.body,):
            name_in_body(case, body)


def name_in_body(case: schemathesis.Case, body: dict[str, Any]) -> None:
    if "as_of" in body:
        for gone in (
            "cursor",
            "scenarios",
            "scenario_set",
            "valuation_set",
            "positions_date",
            "market_date",
            "branch",
            "branches",
            "upon",
        ):
            body.pop(gone, None)
        if case.path in ("/api/v1/what-if", "/api/v1/branches"):
            change_the_book(body)
        body["as_of"] = str(MONDAY)
        for several in ("positions_dates", "risk_classes"):
            if several in body:
                body[several] = [str(MONDAY) if several == "positions_dates" else "equity"] * len(body[several])
        if case.path.startswith("/api/v1/scenario-sets/"):
            for gone in ("text", "document", "csv", "law", "plausibility"):
                body.pop(gone, None)
            body["text"] = SHOCK
        if case.path == "/api/v1/way-back":
            body["moves"] = [{"trade": "T00000-2", "cost": 1}]
        if "scenario" in body:
            body["scenario"] = SHOCK
        if case.path == "/api/v1/scenario-sets":
            body |= {"method": "stress", "parameters": {"text": SHOCK}}
        if case.path.startswith("/api/v1/valuations"):  # the lake's history is shorter than the default window
            body["scenarios"] = {"parameters": {"scenarios": SCENARIOS}}
        if "where" in body:
            body["where"] = [{"dimension": "desk", "values": ["Options"]}] * min(1, len(body["where"]))
        question(body)
        if case.path == "/api/v1/way-back":
            body |= {"limit": 1e6, "where": [], "estimator": "order_statistic", "tail": "loss", "scale_to_days": None}


def change_the_book(body: dict[str, Any]) -> None:
    body |= {"add": [SHARES] * min(1, len(body.get("add", ()))), "replace": False}
    for several in ("remove", "scale"):
        changes = body.get(several, ())
        body[several] = [{**c, "where": [{"dimension": "desk", "values": ["Options"]}]} for c in changes][:1]
    if not (body["add"] or body["remove"]):
        body["scale"] = [{"factor": 0.5}]


def question(asked: dict[str, Any]) -> None:
    if "by" in asked:
        known = (*DIMENSIONS, *CONTRACT_COLUMNS)
        asked["by"] = list(dict.fromkeys(b if b in known else "attribute.rating" for b in asked["by"]))
    if "over" in asked:  # the dimensions that drivers are sought in
        asked["over"] = ["desk", "attribute.rating"][: len(asked["over"])]
    if "rows" in asked:  # of a cross table
        asked |= {"rows": ["desk"], "columns": ["attribute.rating", "client"][: len(asked["columns"])]}
    asked.pop("sort", None)
    if not asked.get("by") and "rows" not in asked:  # a layout is of groups
        asked.pop("subtotals", None)
        asked.pop("limit", None)
    if "currency" in asked:
        asked["currency"] = "EUR"
    if "measures" in asked:  # of 30 scenarios none is beyond the VaR at 0.99
        asked["measures"] = ["es" if m == "es_beyond" else m for m in asked["measures"]]
        if "exceedance" in asked["measures"]:
            asked["thresholds"] = [100.0]
        if "scale_to_days" in asked:  # not every measure has a meaning over other days
            asked["measures"] = ["var" if not MEASURES[m].scales else m for m in asked["measures"]]


@any_request.parametrize()
@quick
def test_whatever_is_sent_is_answered_as_documented(case: schemathesis.Case) -> None:
    # a name may be unknown to the lake and still be of the right form; the next test gives known ones
    excluded = [positive_data_acceptance]
    if case.path in ("/api/v1/scenario-sets/preview", "/api/v1/scenario-sets/check"):
        # GET is allowed there too, as of any set by that name: /scenario-sets/{set_id}
        excluded.append(allow_header_conformance)
    case.call_and_validate(excluded_checks=excluded)


@good_request.parametrize()
@quick
def test_good_requests_are_accepted_and_answered_as_documented(case: schemathesis.Case) -> None:
    name_what_the_lake_holds(case)
    answer = case.call_and_validate()
    assert answer.status_code < 400 or case.method == "DELETE"


def test_the_document_holds_every_route_and_nothing_else() -> None:
    spec = app.test_client().get("/openapi.json").get_json()
    assert spec["openapi"] == "3.1.0"
    documented = {(method.upper(), path) for path, item in spec["paths"].items() for method in item}
    routes = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert documented == routes
    operations = [o for item in spec["paths"].values() for o in item.values()]
    assert all(o["summary"].endswith(".") for o in operations)
    assert "<br" not in str(spec)
    assert len({o["operationId"] for o in operations}) == len(operations)
    parameters = [p for o in operations for p in o.get("parameters", ())]
    assert all(p.get("description") for p in parameters)


def test_every_parameter_and_status_is_on_the_page_of_the_api() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    spec = app.test_client().get("/openapi.json").get_json()
    for item in spec["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                where = f"{{{parameter['name']}}}" if parameter["in"] == "path" else f"`{parameter['name']}`"
                assert where in page or f"?{parameter['name']}=" in page, parameter["name"]
            for status in operation["responses"]:
                assert f"| {status} |" in page or status in ("200", "202", "304"), status
    for field in ValuationRequest.model_fields:
        assert f"| `{field}` |" in page


def test_the_page_of_routes_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    for path in ("/", "/docs"):
        page = client.get(path, headers={"Accept": "text/html"}).get_data(as_text=True)
        assert "/api/v1/var" in page
        assert "://" not in page
        assert "<script" not in page
        assert "src=" not in page
