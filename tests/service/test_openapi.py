"""The OpenAPI document is true: generated requests, good and bad, meet no server error and nothing the document lacks."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    positive_data_acceptance,
)
from small_lake import MONDAY, SCENARIOS, SHOCK, base, no_spark
from users import bearer, with_users

from aggregation import questions
from aggregation.dimensions import CONTRACT_COLUMNS, DIMENSIONS
from aggregation.opened.opened_lake import VectorCache
from aggregation.questions import QUESTIONS
from aggregation.session import Session
from aggregation.whatif.save_branch import BranchRequest, save_branch
from lake.committer import Committer
from lake.progress import silent
from lake.tables import Lake
from scenarios.requests import ScenarioSetRequest, run_scenario_set
from service.access.principal import LOCAL
from service.api.app import create_app
from service.api.context import EXTENSION, Context
from service.api.responses import PICTURES
from service.api.shapes import shape_of
from service.config import Settings
from service.encoding import to_json
from service.jobs import STANDARD, VALUATION, JobTable, Proposal
from service.saved_views import NewView, SavedViews
from valuation.books.orders import ingest_orders
from valuation.sets.requests import ValuationRequest

# of each operation; `make api-fuzz` sends more, and all in every role
EXAMPLES = int(os.environ.get("VARLAKE_EXAMPLES", "3"))
# a schema has an example of every field, and the requests made of them are a hundred for some questions: those are for `make api-fuzz`
MANY = "VARLAKE_EXAMPLES" in os.environ
PHASES = [phase for phase in Phase if MANY or phase is not Phase.explicit]
quick = settings(suppress_health_check=list(HealthCheck), deadline=None, phases=PHASES)
app = create_app(Settings(lake=Path("the fixture gives it")))
SHARES = {"instrument_type": "cash_equity", "quantity": 5, "terms": {"currency": "USD", "underlying": "EQ:AAA"}}
ORDERS = f"""order_id,executed_at,side,symbol,quantity,currency,portfolio,client,account,desk,book,legal_entity,counterparty
A,{MONDAY}T10:00:00Z,buy,EQ:AAA,100,USD,Growth,House,H-1,US,EQ-1,Bank,Broker
"""
held: dict[str, str] = {}  # ids the lake of the fixture holds
answers: dict[str, Any] = {}  # of the lake, by question


def document_of(app: Any, **generation: Any) -> Any:
    always = {"deterministic": True, "max-examples": EXAMPLES, "allow-extra-parameters": False}
    refusals = ["400", "403", "404", "405", "406", "409", "413", "415", "422"]  # 413: what is too long may be too large
    checks = {"negative_data_rejection": {"expected-statuses": refusals}}
    config = SchemathesisConfig.from_dict({"generation": {**always, **generation}, "checks": checks})
    return schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)


# the routes of all questions are made by one function: the plan and the job of a few stand for those of all
ELSEWHERE = r"/api/v1/(?!(?:compare|stress|limit-hedge)/)[a-z-]+/(?:plan|value)$"
# files are no data that can be drawn: test_api_uploads.py and test_mappings.py send them
UPLOADS = "^(bring|suggest)_"
# a user that is added ends single-user mode, and nobody would be let in
USERS = "^(add|change|remove)_user$"
any_request = document_of(app).exclude(path_regex=ELSEWHERE).exclude(operation_id_regex=f"{UPLOADS}|{USERS}")
good_request = (
    document_of(app, mode="positive")
    .exclude(path_regex=ELSEWHERE)
    .exclude(operation_id_regex=f"{UPLOADS}|{USERS}|_(token|session)$|^user$")  # of which there are none
    # whose law of moves is longer than the lake, and sensitivities, are in no address
    .exclude(path=["/api/v1/reverse-stress", "/api/v1/sa-cva"], method="GET")
)


app_with_users = create_app(Settings(lake=Path("the fixture gives it"), requests_a_minute=1_000_000))
in_roles = document_of(app_with_users)
if not MANY:
    in_roles = in_roles.include(operation_id_regex="(^me|users?|tokens?|sessions?)$")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Of the users of a lake that holds nothing."""
    path = Lake.create(tmp_path_factory.mktemp("roles") / "lake").path
    app_with_users.extensions[EXTENSION] = Context(Settings(lake=path))
    return with_users(path)[1]


@pytest.fixture(scope="module", autouse=True)
def lake(answering_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake that takes the jobs the requests submit; the last test cancels some of them."""
    copied = Lake.open(shutil.copytree(answering_lake, tmp_path_factory.mktemp("openapi") / "lake"))
    app.extensions[EXTENSION] = Context(Settings(lake=copied.path, jobs_waiting=10_000_000))  # nobody takes them
    held["scenario-sets"] = copied.read("scenario_sets")["scenario_set_id"][0].as_py()
    bespoke = ScenarioSetRequest(as_of=MONDAY, method="stress", parameters={"text": SHOCK}, name="bespoke")
    with Committer(copied, "test") as committer:
        run_scenario_set(committer, bespoke, progress=silent)
    held["bespoke"] = "bespoke"
    held["valuation-sets"] = copied.read("valuation_sets")["valuation_set_id"][0].as_py()
    with Committer(copied, "test") as committer:
        asked = BranchRequest.model_validate({"name": "held", "as_of": MONDAY, "add": [SHARES]})
        save_branch(committer, asked, cache=VectorCache(copied), spark=no_spark)  # type: ignore[arg-type]
    held["branches"] = "held"
    held["openbb"] = "var"
    with Committer(copied, "test") as committer:
        session = Session(copied, VectorCache(copied), committer, no_spark)  # type: ignore[arg-type]
        for currency in ("USD", "EUR"):  # with the pairs of either currency, for full gammas
            crossed = {"as_of": MONDAY, "currency": currency, "greeks": ["cross_gamma"]}
            questions.value(session, "greeks", questions.read("greeks", crossed))
        answers["var"] = json.loads(
            to_json(questions.ask(session, "var", questions.read("var", base("var"))).to_dict())
        )
    orders = tmp_path_factory.mktemp("orders") / "orders.csv"
    orders.write_text(ORDERS)
    with Committer(copied, "test") as committer:
        ingest_orders(committer, orders)
    held["audit"] = "1"
    waiting = Proposal("ann", {}, dt.datetime.now(dt.UTC) + dt.timedelta(1))
    held["proposals"] = JobTable.of(copied).submit(STANDARD, {"currency": "EUR"}, proposal=waiting)[0].job_id
    held["jobs"] = JobTable.of(copied).submit(VALUATION, {"as_of": str(MONDAY)})[0].job_id
    return copied


# what a good request may change of its question whatever the lake holds, one field or several
FREE = ("format", "by", "currency", "tail", "levels", "interval", "per", "order", "bounds", "gamma", "mean", "over")

REFUSED = {  # and what some questions do not take, or not of every lake
    "limit-hedge": ("by", "tail", "interval"),
    "pivot": ("by",),
    "crif": ("by",),  # a file of CRIF is by trade and portfolio
    "drill": ("by", "interval"),
    "stressed-var": ("interval",),
    "exposure-drill": ("by",),
    "exposure-limits": ("by",),
    "cva-explain": ("by",),  # by netting set and what is of one
    "sa-cva": ("by", "currency"),  # sensitivities are given in dollars
    # their moves are valued in dollars
    **dict.fromkeys(("frtb-sa", "capital", "ima-capital", "capital-plan"), ("currency",)),
    "capital-compare": ("currency", "order"),  # all causes, each once
}


def good(name: str, generated: Mapping[str, Any], *, in_address: bool) -> dict[str, Any]:
    """The example with some of what was generated in its place."""
    asked = {k: v for k, v in base(name).items() if not (in_address and isinstance(v, dict))}
    free = {k: v for k, v in generated.items() if k in FREE and v is not None}
    for field in REFUSED.get(name, ()):
        free.pop(field, None)
    if "by" in free:
        known = (*DIMENSIONS, *CONTRACT_COLUMNS)
        free["by"] = list(dict.fromkeys(b if b in known else "attribute.rating" for b in free["by"]))
    if "over" in free:  # the dimensions that drivers are sought in
        free["over"] = ["desk", "attribute.rating"][: len(free["over"])]
    if "currency" in free:
        free["currency"] = "EUR"
    return {**asked, **free}


KNOWN = {  # what the lake of the fixture holds, by the route whose parameters name it
    "/api/v1/market/issues": {
        "factor": "EQ:AAA",
        "rule": "spike",
        "state": "held",
        "first": str(MONDAY),
        "last": str(MONDAY),
    },
    "/api/v1/audit/acts": {
        "actor": "local",
        "act": "write",
        "table": "positions",
        "first": str(MONDAY),
        "last": str(MONDAY),
    },
}


def name_what_the_lake_holds(case: schemathesis.Case) -> None:
    """Puts names of the lake where the request has random ones, so that it reaches what lies behind the names."""
    for name in case.path_parameters or {}:
        kind = case.path.split("/")[3]
        if kind == "views":  # the request before may have deleted it
            view = NewView(name="held", page="ask", address="question=var")
            held["views"] = SavedViews.of(Lake.open(app.extensions[EXTENSION].settings.lake)).save(view, LOCAL).view_id
            if isinstance(case.body, dict) and case.body.get("name"):
                case.body["name"] = "held"
        case.path_parameters[name] = held["bespoke" if case.path.endswith("/export") else kind]
    query = case.query or {}
    name = case.path.split("/")[3]
    if name in QUESTIONS:
        if isinstance(case.body, dict):
            case.body = good(name, case.body, in_address=False)
        else:
            case.query = good(name, query, in_address=True)
        return
    if name == "openbb":
        case.query = {"as_of": str(MONDAY)}
        return
    if case.path == "/api/v1/standards" and isinstance(case.body, dict):
        case.body = {"scenario_set": f"historical-{SCENARIOS}", "currency": "EUR", "desk": "Options"}
    if case.path == "/api/v1/market/acts" and isinstance(case.body, dict):
        case.body = {
            "act": "override",
            "factor": "EQ:AAA",
            "date": str(MONDAY),
            "value": 1.0,
            "reason": "seen",
            "author": "ann",
        }
    if case.path == "/api/v1/market/check" and isinstance(case.body, dict):
        case.body.pop("first", None)
    if case.path == "/api/v1/replay/now":
        case.body = {"receipt": answers["var"]["receipt"]}
    if case.path == "/api/v1/released-results" and isinstance(case.body, dict):
        case.body = {"answer": answers["var"], "released_by": "ann", "reason": "seen"}
    if case.path == "/api/v1/table" and isinstance(case.body, dict):
        case.body["columns"] = [f"column {i}" for i, _ in enumerate(case.body["columns"])]
        case.body["rows"] = [[1] * len(case.body["columns"]) for _ in case.body["rows"]]
    if case.path == "/api/v1/positions/netted" and isinstance(case.body, dict):
        case.body = {"as_of": f"{MONDAY}T18:00:00Z", "positions_date": str(MONDAY)}
        return
    if case.path == "/api/v1/covariances/intraday" and isinstance(case.body, dict):
        case.body = {"as_of": f"{MONDAY}T18:00:00Z", "matrix": "day"}
        return
    if case.path == "/api/v1/live/bands" and isinstance(case.body, dict):
        case.body["holds_from"] = f"{MONDAY}T18:00:00Z"
    if "risk_factor_id" in query and case.path == "/api/v1/market-data/history":
        query["risk_factor_id"] = "EQ:AAA"
    query.update({name: value for name, value in KNOWN.get(case.path, {}).items() if name in query})
    for one in {"one", "two", "scenario_set"} & query.keys():
        query[one] = held["scenario-sets"]
    for gone in ("cursor", "source", "market_date", "user"):
        query.pop(gone, None)
    for day in {"as_of", "date"} & query.keys():
        query[day] = str(MONDAY)
    if "trade" in query:
        query["trade"] = "T00000-0"
    if "where" in query:
        query["where"] = ["desk=Options", "attribute.rating!=BBB"][: len(query["where"])]
    if isinstance(case.body, dict) and "as_of" in case.body:
        name_in_body(case.path, case.body)


def name_in_body(path: str, body: dict[str, Any]) -> None:
    """Of what is no question: sets to make, valuations, branches."""
    for gone in ("scenario_set", "positions_date", "market_date", "branches", "upon"):
        body.pop(gone, None)
    body["as_of"] = str(MONDAY)
    for several in {"positions_dates", "risk_classes"} & body.keys():
        body[several] = [str(MONDAY) if several == "positions_dates" else "equity"] * len(body[several])
    if path.startswith("/api/v1/scenario-sets/"):
        for gone in ("text", "document", "csv", "law", "plausibility"):
            body.pop(gone, None)
        body["text"] = SHOCK
    if path == "/api/v1/scenario-sets":
        body |= {"method": "stress", "parameters": {"text": SHOCK}}
    if path.startswith("/api/v1/valuations"):  # the lake's history is shorter than the default window
        body["scenarios"] = {"parameters": {"scenarios": SCENARIOS}}
    if path == "/api/v1/branches":
        body |= {"add": [SHARES], "remove": [], "scale": ["desk=Options*0.5"], "replace": False}


@any_request.parametrize()
@quick
def test_whatever_is_sent_is_answered_as_documented(case: schemathesis.Case) -> None:
    # a name may be unknown to the lake and still be of the right form; the next test gives known ones
    excluded = [positive_data_acceptance]
    if case.path in {f"/api/v1/scenario-sets/{name}" for name in ("preview", "check", "complete")}:
        # GET is allowed there too, as of any set by that name: /scenario-sets/{set_id}
        excluded.append(allow_header_conformance)
    case.call_and_validate(excluded_checks=excluded)


@in_roles.parametrize()
@quick
def test_whatever_is_sent_in_any_role_is_answered_as_documented(
    case: schemathesis.Case, tokens: Mapping[str, str]
) -> None:
    for token in tokens.values():
        answer = case.call(headers=bearer(token))
        assert answer.status_code != 401
        case.validate_response(answer, excluded_checks=[positive_data_acceptance, allow_header_conformance])


@good_request.parametrize()
@quick
def test_good_requests_are_accepted_and_answered_as_documented(case: schemathesis.Case) -> None:
    name_what_the_lake_holds(case)
    answer = case.call_and_validate()
    # the question is sound, and not every answer of it can be drawn
    no_picture = answer.status_code == 404 and (case.query or {}).get("format") in PICTURES
    decided = case.path.startswith("/api/v1/proposals/") and answer.status_code == 409  # by an earlier request
    assert answer.status_code < 400 or case.method == "DELETE" or no_picture or decided, answer.text


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_example_of_a_question_is_planned_queued_and_answered(name: str, lake: Lake) -> None:
    client, body = app.test_client(), base(name)
    planned = client.post(f"/api/v1/{name}/plan", json=body)
    assert planned.status_code == 200, planned.get_json()
    assert planned.get_json().keys() == {
        *("ready", "expected_core_seconds", "core_seconds_range", "measured", "answer_core_seconds"),
        *("valuations", "about", "newer_market_data"),
    }
    before = lake.snapshot().versions
    queued = client.post(f"/api/v1/{name}/value", json=body)
    assert (queued.status_code, queued.get_json()["kind"]) == (202, "question"), queued.get_json()
    answered = client.post(f"/api/v1/{name}", json=body)
    assert answered.status_code == 200, answered.get_json()
    shape_of(name).model_validate({k: v for k, v in answered.get_json().items() if k != "next_cursor"})  # of pages
    receipt = answered.get_json()["receipt"]
    assert receipt["kind"] == name
    given = queued.get_json()["request"]["query"]  # what was not said stays unsaid until the job runs
    one, two = (questions.read(name, q).model_dump() for q in (given, receipt["question"]))
    assert one == two
    assert lake.snapshot().versions == before


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
    for path, item in spec["paths"].items():
        methods = {m.upper() for m in item}
        address = re.sub(r"{[^}]*}", "x", path)
        told = app.test_client().options(address)
        assert set(told.headers["Allow"].split(", ")) == methods, path
        refused = app.test_client().open(address, method="PROPFIND")
        assert (refused.status_code, set(refused.headers["Allow"].split(", "))) == (405, methods), path
    operations = [o for item in spec["paths"].values() for o in item.values()]
    assert all(o["summary"].endswith(".") for o in operations)
    assert "<br" not in str(spec)
    assert len({o["operationId"] for o in operations}) == len(operations)
    parameters = [p for o in operations for p in o.get("parameters", ())]
    assert all(p.get("description") for p in parameters)


def test_every_parameter_and_status_is_on_the_page_of_the_api() -> None:
    """Those of questions stand in tables made from them: tests/test_docs.py looks for them on the rendered page."""
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    spec = app.test_client().get("/openapi.json").get_json()
    for path, item in spec["paths"].items():
        of_question = path.removeprefix("/api/v1/").split("/")[0] in QUESTIONS
        for operation in item.values():
            for parameter in () if of_question else operation.get("parameters", ()):
                where = f"{{{parameter['name']}}}" if parameter["in"] == "path" else f"`{parameter['name']}`"
                assert where in page or f"?{parameter['name']}=" in page, parameter["name"]
            for status in operation["responses"]:
                assert f"| {status} |" in page or status in ("200", "202", "304"), status
    for field in ValuationRequest.model_fields:
        assert f"| `{field}` |" in page


def test_the_page_of_routes_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs", headers={"Accept": "text/html"}).get_data(as_text=True)
    assert "/api/v1/var" in page
    assert "://" not in page
    assert "<script" not in page
    assert "src=" not in page
