"""The widgets of OpenBB Workspace: as its reference of widgets.json and apps.json has them, and every one has the rows of its question."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, Literal

import pytest
from flask.testing import FlaskClient
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from small_lake import MONDAY, base

from aggregation.questions import QUESTIONS
from service.api.app import create_app
from service.choices import inputs_of
from service.config import Settings
from service.encoding import MEDIA_TYPES
from service.rendering.answers import PICTURES

# ruff: noqa: N815 - as OpenBB has the names
ORIGIN = "https://pro.openbb.co"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Option(Strict):
    label: str
    value: str


class Param(Strict):
    """https://docs.openbb.co/workspace/developers/json-specs/widgets-json-reference, with the attributes that are used."""

    paramName: str
    label: str
    description: str
    type: Literal["date", "text", "number", "boolean"]
    value: str | int | float | bool | None
    show: bool
    options: list[Option] | None = None
    multiSelect: bool = False
    multiple: bool = False


class Column(Strict):
    field: str
    headerName: str
    cellDataType: Literal["text", "number", "boolean", "date", "dateString", "object"]
    chartDataType: Literal["category", "series", "time", "excluded"]
    pinned: Literal["left", "right"]


class ChartView(Strict):
    enabled: bool
    chartType: Literal["line", "column"]


class Table(Strict):
    showAll: bool
    enableAdvanced: bool
    enableCharts: bool
    formatterFn: Literal["none"]
    columnsDefs: list[Column]
    chartView: ChartView | None = None


class Data(Strict):
    table: Table


class Grid(Strict):
    w: int = Field(ge=1, le=40)
    h: int = Field(ge=1, le=100)


class Tool(Strict):
    mcp_server: str
    tool_id: str


class Widget(Strict):
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    endpoint: str
    category: str
    subCategory: str
    type: Literal["table", "markdown"]
    gridData: Grid
    source: list[str]
    runButton: bool
    refetchInterval: Literal[False]
    params: list[Param]
    data: Data | None = None
    mcp_tool: Tool | None = None


class Place(Strict):
    i: str
    x: int = Field(ge=0, lt=40)
    y: int = Field(ge=0)
    w: int = Field(ge=1, le=40)
    h: int = Field(ge=1, le=100)


class Tab(Strict):
    id: str
    name: str
    layout: list[Place]


class Group(Strict):
    name: str
    type: Literal["param", "endpointParam"]
    paramName: str
    widgetIds: list[str]
    defaultValue: str


class App(Strict):
    name: str
    description: str
    img: str
    allowCustomization: bool
    tabs: dict[str, Tab]
    groups: list[Group]
    prompts: list[str]


@pytest.fixture(scope="module")
def asking(answering_lake: Path) -> FlaskClient:
    return create_app(Settings(lake=answering_lake, cors_origins=f"{ORIGIN}/, https://other.example")).test_client()


@pytest.fixture(scope="module")
def widgets(asking: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = asking.get("/widgets.json").get_json()
    return found


def of(widgets: dict[str, Any], name: str) -> Any:
    return next(w for w in widgets.values() if w["endpoint"] == f"api/v1/openbb/{name}")


def sent(name: str, question: dict[str, Any]) -> dict[str, str]:
    """The parameters as the workspace sends them: several values in one, and what is not filled in as nothing."""
    marks = {i.name: "|" if i.labels else "," for i in inputs_of(name) or ()}
    given = {k: marks[k].join(map(str, v)) if isinstance(v, list | tuple) else str(v) for k, v in question.items()}
    return {**dict.fromkeys(marks, ""), **given}


def test_every_question_that_an_address_can_ask_has_a_widget_as_the_reference_has_it(widgets: dict[str, Any]) -> None:
    TypeAdapter(dict[str, Widget]).validate_python(widgets)
    asked = [name for name in QUESTIONS if inputs_of(name) is not None]
    tables = {w["endpoint"].removeprefix("api/v1/openbb/"): w for w in widgets.values() if w["type"] == "table"}
    assert list(tables) == asked
    for name, widget in tables.items():
        assert widget["description"] == QUESTIONS[name].meaning
        assert [p["paramName"] for p in widget["params"]] == [i.name for i in inputs_of(name) or ()]
        assert ("chartView" in widget["data"]["table"]) == (name in PICTURES)
        assert of(widgets, f"{name}/basis")["params"] == widget["params"]
    for key, widget in widgets.items():
        assert key == widget["endpoint"].replace("/", "_")


def test_what_may_be_chosen_is_of_the_lake(widgets: dict[str, Any]) -> None:
    params = {p["paramName"]: p for p in of(widgets, "var")["params"]}
    assert [o["value"] for o in params["as_of"]["options"]] == ["2020-03-16", "2020-03-13"]
    assert params["as_of"]["value"] == "2020-03-16"
    assert "attribute.rating" in [o["value"] for o in params["by"]["options"]]
    assert params["by"]["multiSelect"]
    assert (params["measures"]["value"], params["subtotals"]["value"]) == ("var,es", False)
    assert "historical-30" in [o["value"] for o in params["scenario_set"]["options"]]
    assert {p["paramName"]: p["value"] for p in of(widgets, "compare")["params"]}["from"] == "2020-03-13"
    assert [c["field"] for c in of(widgets, "var")["data"]["table"]["columnsDefs"]] == ["desk"]


# the law of moves of the reverse stress is longer than the lake, and is no address's, nor are sensitivities
NOT_BY_ADDRESS = ("reverse-stress", "sa-cva")


@pytest.mark.parametrize("name", [n for n in QUESTIONS if inputs_of(n) is not None and n not in NOT_BY_ADDRESS])
def test_a_widget_has_the_figures_of_its_question_in_flat_rows(name: str, asking: FlaskClient) -> None:
    question = {k: v for k, v in base(name).items() if k in {i.name for i in inputs_of(name) or ()}}
    answer = asking.get(f"/api/v1/openbb/{name}", query_string=sent(name, question))
    assert answer.status_code == 200, answer.get_json()
    rows = answer.get_json()
    csv = asking.post(f"/api/v1/{name}", json=question, headers={"Accept": MEDIA_TYPES["csv"]})
    assert len(csv.get_data(as_text=True).splitlines()) == 1 + len(rows)
    said = asking.post(f"/api/v1/{name}", json=question).get_json()
    if "rows" in said:
        assert rows == [
            {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in r.items()} for r in said["rows"]
        ]
    assert not any(isinstance(v, dict | list) for row in rows for v in row.values())
    basis = asking.get(f"/api/v1/openbb/{name}/basis", query_string=sent(name, question)).get_json()
    assert f"| receipt | {said['receipt']['receipt_digest']} |" in basis
    assert basis.count("| notes |") == len(said["notes"])


def test_the_widgets_answer_as_they_first_stand(widgets: dict[str, Any], asking: FlaskClient) -> None:
    for name in ("var", "pivot", "series", "compare", "scenario-pnl", "backtest-counts"):
        widget = of(widgets, name)
        given = {p["paramName"]: "" if p["value"] is None else p["value"] for p in widget["params"]}
        answer = asking.get(f"/{widget['endpoint']}", query_string=given)
        assert answer.status_code == 200, (name, answer.get_json())
        columns = answer.get_json()[0]
        assert all(c["field"] in columns for c in widget["data"]["table"]["columnsDefs"])


def test_the_app_places_every_widget_once_and_days_are_chosen_together(
    widgets: dict[str, Any], asking: FlaskClient
) -> None:
    (app,) = [App.model_validate(a) for a in asking.get("/apps.json").get_json()]
    placed = [p.i for tab in app.tabs.values() for p in tab.layout]
    assert sorted(placed) == sorted(widgets)
    for tab in app.tabs.values():
        ends = [(p.y, p.y + p.h) for p in tab.layout]
        assert all(one[1] <= two[0] for one, two in itertools.pairwise(ends))
    days = {g.paramName: g for g in app.groups}
    assert {n: g.defaultValue for n, g in days.items()} == {
        "as_of": "2020-03-16",
        "from": "2020-03-13",
        "to": "2020-03-16",
    }
    for group in app.groups:
        assert all(group.paramName in [p["paramName"] for p in widgets[i]["params"]] for i in group.widgetIds)


def test_what_is_wrong_is_told_with_what_is_valid(asking: FlaskClient) -> None:
    unknown = asking.get("/api/v1/openbb/vra")
    assert (unknown.status_code, unknown.get_json()["errors"][0]["allowed"]) == (404, ["var", "cva"])
    refused = asking.get(f"/api/v1/openbb/var?as_of={MONDAY}&bye=desk")
    assert (refused.status_code, refused.get_json()["errors"][0]["allowed"]) == (422, ["by"])
    assert asking.get("/api/v1/openbb/limit-hedge").status_code == 404
    missing = asking.get("/api/v1/openbb/var?as_of=")
    assert (missing.status_code, missing.get_json()["errors"][0]["pointer"]) == (422, "/as_of")


def test_only_pages_of_the_origins_that_are_set_may_read_the_widgets(asking: FlaskClient, client: FlaskClient) -> None:
    allowed = "Access-Control-Allow-Origin"
    for path in ("/widgets.json", "/apps.json", f"/api/v1/openbb/var?as_of={MONDAY}"):
        answer = asking.get(path, headers={"Origin": ORIGIN})
        assert (answer.headers[allowed], "Origin" in answer.headers["Vary"]) == (ORIGIN, True)
        assert "Access-Control-Allow-Credentials" not in answer.headers
        asked_first = asking.options(path, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "GET"})
        assert asked_first.status_code == 200
        assert "Authorization" in asked_first.headers["Access-Control-Allow-Headers"]
        assert allowed not in asking.get(path, headers={"Origin": "https://elsewhere.example"}).headers
        assert allowed not in client.get(path, headers={"Origin": ORIGIN}).headers  # without the setting
    assert allowed not in asking.get(f"/api/v1/var?as_of={MONDAY}", headers={"Origin": ORIGIN}).headers
