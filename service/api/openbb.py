"""OpenBB Workspace: every question as a widget, made from QUESTIONS.

`/widgets.json` and `/apps.json` say which widgets there are, and what a reader may choose; `/api/v1/openbb/NAME` has the rows of a
question as a flat list, and `/basis` below it what they rest on. A page of the origins in VARLAKE_CORS_ORIGINS may ask; no other may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flask import Blueprint, Flask, Response, request
from pydantic import BaseModel, ConfigDict, Field, RootModel

from aggregation import questions
from lake.errors import NotFound, unknown
from service.api.access import check_asked
from service.api.context import PREFIX, context, session
from service.api.document import blueprint
from service.api.questions import answered
from service.api.requests import Parameters
from service.api.responses import json_answer
from service.choices import DATES, Input, choices, example_of, first_day, first_values, in_addresses, inputs_of
from service.encoding import about_answer, context_lines, flat, to_rows
from service.parameters import assemble
from service.rendering.answers import PICTURES

api = blueprint("openbb", __name__, __doc__)
files = Blueprint("openbb-files", __name__)

SERVER = "varlake"  # what the MCP server is called, whose tools are these questions
_ROUTE = f"{PREFIX}/openbb/"
_MARK = "|"  # between texts that may hold commas
_WIDTH, _TABLE, _BASIS = 40, 14, 6  # of the dashboard's grid, which is 40 wide
_TITLES = {
    "risk": "Risk",
    "contributions": "Contributions",
    "change": "Change",
    "whatif": "What-if",
    "stress": "Stress",
    "backtest": "Backtest",
}


class QuestionPath(Parameters):
    question: str = Field(description="name of the question")


class WidgetParameters(Parameters):
    """The parameters of the question; of one that takes several, separated by commas, or by | where they are texts that may hold commas."""

    model_config = ConfigDict(frozen=True, extra="allow")
    called: ClassVar[str] = "question"


class Rows(RootModel[list[dict[str, Any]]]):
    """The rows of an answer."""


class Basis(RootModel[str]):
    """What an answer rests on, as Markdown."""


@api.get("/openbb/<question>", responses={200: Rows})
def openbb_rows(path: QuestionPath, query: WidgetParameters) -> Response:
    """The rows of a question's answer as a flat list, for a table widget."""
    return json_answer(to_rows(flat(_asked(path.question).rows)))


@api.get("/openbb/<question>/basis", responses={200: Basis})
def openbb_basis(path: QuestionPath, query: WidgetParameters) -> Response:
    """What that answer rests on: question, total, coverage, notes and receipt, for a Markdown widget."""
    answer = _asked(path.question)
    about = about_answer(answer)
    about["receipt"] = answer.receipt["receipt_digest"]
    said: dict[str, Any] = {
        k: about[k] for k in ("notes", "coverage", "total", "receipt", "question", "units") if k in about
    }
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in context_lines(said)]
    return json_answer("\n".join(["| | |", "|---|---|", *rows]))


@files.get("/widgets.json")
def widgets() -> Response:
    """Every question as a table with its parameters, and what it rests on."""
    lists = choices(session())
    found: dict[str, Any] = {}
    for name in in_addresses():
        params = [_param(name, given, lists) for given in inputs_of(name) or ()]
        found[_id(name)] = _widget(name, params)
        found[_id(f"{name}/basis")] = _basis_widget(name, params)
    return json_answer(found)


@files.get("/apps.json")
def apps() -> Response:
    """One app: a tab a subject, each question above what it rests on; days are chosen once for all."""
    lists = choices(session())
    tabs: dict[str, Any] = {}
    for name in in_addresses():
        subject = _subject(name)
        layout = tabs.setdefault(subject, {"id": subject, "name": _TITLES.get(subject, subject), "layout": []})[
            "layout"
        ]
        top = (_TABLE + _BASIS) * (len(layout) // 2)
        layout.append({"i": _id(name), "x": 0, "y": top, "w": _WIDTH, "h": _TABLE})
        layout.append({"i": _id(f"{name}/basis"), "x": 0, "y": top + _TABLE, "w": _WIDTH, "h": _BASIS})
    days: dict[str, list[str]] = {}
    for name in in_addresses():
        for given in inputs_of(name) or ():
            if given.of == DATES and given.required:
                days.setdefault(given.name, []).extend((_id(name), _id(f"{name}/basis")))
    groups = [
        {
            "name": f"Group {i}",
            "type": "param",
            "paramName": day,
            "widgetIds": ids,
            "defaultValue": first_day(day, lists),
        }
        for i, (day, ids) in enumerate(days.items(), start=1)
    ]
    app = {
        "name": SERVER,
        "description": "Value-at-Risk on demand: any day, any dimension, what changed, what if. Every answer says what it rests on.",
        "img": "",
        "allowCustomization": True,
        "tabs": tabs,
        "groups": groups,
        "prompts": [questions.QUESTIONS[n].meaning for n in in_addresses()][:5],
    }
    return json_answer([app])


def allow_origins(app: Flask) -> None:
    """Lets pages of the origins that the settings name read the widgets; never with a cookie."""

    def allow(response: Response) -> Response:
        if not request.path.startswith((_ROUTE, "/widgets.json", "/apps.json")):
            return response
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is not None and origin in context().settings.origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Allow-Methods"] = "GET"
        return response

    app.after_request(allow)


def _id(name: str) -> str:
    """As the workspace makes it of the endpoint."""
    return f"{_ROUTE[1:]}{name}".replace("/", "_")


def _subject(name: str) -> str:
    return questions.QUESTIONS[name].place.partition(".")[0]


def _widget(name: str, params: list[dict[str, Any]]) -> dict[str, Any]:
    pictured = name in PICTURES
    dimensions = [v for p in params if p["paramName"] in ("by", "rows") for v in str(p["value"] or "").split(",") if v]
    table: dict[str, Any] = {
        "showAll": True,  # what an answer has besides depends on what is asked
        "enableAdvanced": True,
        "enableCharts": True,
        "formatterFn": "none",
        "columnsDefs": [
            {"field": d, "headerName": d, "cellDataType": "text", "chartDataType": "category", "pinned": "left"}
            for d in dict.fromkeys(dimensions)
        ],
    }
    if pictured:
        table["chartView"] = {
            "enabled": False,
            "chartType": "line" if {"from", "to"} <= {p["paramName"] for p in params} else "column",
        }
    return {
        **_described(name, questions.QUESTIONS[name].meaning),
        "endpoint": f"{_ROUTE[1:]}{name}",
        "type": "table",
        "gridData": {"w": _WIDTH, "h": _TABLE},
        "data": {"table": table},
        "params": params,
        "mcp_tool": {"mcp_server": SERVER, "tool_id": name},
    }


def _basis_widget(name: str, params: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **_described(f"{name}: basis", f"What the answer to {name} rests on: coverage, notes, receipt."),
        "endpoint": f"{_ROUTE[1:]}{name}/basis",
        "type": "markdown",
        "gridData": {"w": _WIDTH, "h": _BASIS},
        "params": params,
    }


def _described(title: str, meaning: str) -> dict[str, Any]:
    subject = _subject(title.partition(":")[0])
    return {
        "name": title,
        "description": meaning,
        "category": "varlake",
        "subCategory": _TITLES.get(subject, subject),
        "source": ["varlake"],
        "runButton": True,  # a question is asked when all its parameters are as wanted
        "refetchInterval": False,
    }


def _param(name: str, given: Input, lists: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A parameter of a widget: what is chosen from a list is, and what is required has a value."""
    example = example_of(name).get(given.name, ())
    values = first_values(given, example, lists) or given.default
    if (
        example
        and given.of != DATES
        and (given.required or set(example) <= set(given.options or lists.get(given.of, ())))
    ):
        values = example
    mark = _MARK if given.labels else ","
    found: dict[str, Any] = {
        "paramName": given.name,
        "label": given.name,
        "description": f"{given.description}; several separated by {_MARK}" if given.labels else given.description,
        "type": given.kind,
        "value": mark.join(values) or None,
        "show": True,
    }
    options = given.options or (tuple(lists.get(given.of, ())) if given.kind != "date" or given.required else ())
    if options:
        found |= {"type": "text", "options": [{"label": o, "value": o} for o in options]}
    if given.several and not given.labels:
        found |= {"multiSelect": True} if options else {"type": "text", "multiple": True}
    elif given.kind == "boolean":
        found["value"] = values == ("true",)
    elif given.kind == "number" and values:
        number = float(values[0])
        found["value"] = int(number) if number.is_integer() else number
    return found


def _asked(name: str) -> Any:
    """The answer to the question of this request."""
    inputs = inputs_of(name) if name in questions.QUESTIONS else None
    if inputs is None:
        raise unknown("question with a widget", name, in_addresses(), pointer="/question", error=NotFound)
    known = {i.name: i for i in inputs}
    given: dict[str, Any] = {}
    for key, texts in request.args.lists():
        if key not in known:
            raise unknown("parameter", key, known, pointer=f"/{key}")
        mark = _MARK if known[key].labels else ","
        values = [
            part.strip()
            for text in texts
            for part in (text.split(mark) if known[key].several else [text])
            if part.strip()
        ]
        if values:
            given[key] = values if known[key].several else values[-1]
    model: type[BaseModel] = questions.question(name).query
    query = questions.read(name, assemble(model, given))
    check_asked(query)
    return answered(name, query, session())


def _cell(value: Any) -> str:
    """A text in a cell of a Markdown table."""
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
