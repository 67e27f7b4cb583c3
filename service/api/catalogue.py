"""What this installation knows: dimensions, measures, estimators, instruments, scenario methods."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Literal, cast

from flask import Response, request
from pydantic import BaseModel, Field

from aggregation.dimensions import DIMENSIONS
from aggregation.kernels.tail import ESTIMATORS
from aggregation.measures import MEASURES
from aggregation.questions import QUESTIONS
from scenarios.generators import GENERATORS
from service.api import models
from service.api.context import session
from service.api.document import blueprint
from service.api.requests import Parameters, TableParameters
from service.api.responses import file_answer, json_answer, offers, rows_answer, tabular
from service.choices import choices
from service.encoding import to_json
from service.excel import ADDRESS, template
from service.ingests import INGESTS, OWN_MACHINE, Ingest, companions
from service.parameters import Parameter, fits_address, parameters_of, value_schema
from service.rendering.answers import PICTURES
from valuation.catalogue import INSTRUMENTS, pricer_version

api = blueprint("catalogue", __name__, __doc__)


@api.get("/questions", responses={200: models.AllQuestions})
def all_questions() -> Response:
    """Everything that can be asked, with its parameters: what a form, a sheet or an agent is made from."""
    return json_answer({"rows": _questions()})


@functools.cache
def _questions() -> list[dict[str, Any]]:
    models_of = {name: cast("type[BaseModel]", entry.question.query) for name, entry in QUESTIONS.items()}
    return [
        {
            "name": name,
            "meaning": entry.meaning,
            "group": entry.place.partition(".")[0],
            "parameters": [_described(p) for p in parameters_of(models_of[name])],
            "in_address": fits_address(models_of[name]),
            "drawn": name in PICTURES,
            "example": dict(entry.question.example),
        }
        for name, entry in QUESTIONS.items()
    ]


@api.get("/ingests", responses={200: models.AllIngests})
def all_ingests() -> Response:
    """Every kind of file that can be brought in, with its options: what the form of an upload is made from."""
    return json_answer({"rows": [_of_ingest(name, kind) for name, kind in INGESTS.items()]})


def _of_ingest(name: str, kind: Ingest) -> dict[str, Any]:
    beside = companions(kind.options)
    options = [p for p in parameters_of(kind.options) if OWN_MACHINE not in p.field.metadata]
    return {
        "name": name,
        "meaning": kind.meaning,
        "files": kind.files,
        "route": kind.route,
        "suggested": kind.suggest is not None,
        "kept": list(kind.shipped()),
        "options": [{**_described(p), "beside": p.name in beside} for p in options],
    }


def _described(p: Parameter) -> dict[str, Any]:
    """A parameter as a field of a form: its type is that of one value, where it takes several."""
    one = value_schema(p)
    default = None if p.field.is_required() else p.field.get_default(call_default_factory=True)
    return {
        "name": p.name,
        "path": list(p.path),
        "kind": p.kind,
        "required": p.required,
        "default": default,
        "description": p.description,
        "type": one.get("type", "object" if p.kind in ("objects", "pairs") else "string"),
        "format": one.get("format"),
        "choices": [str(v) for v in one["enum"]] if "enum" in one else None,
    }


class TemplateParameters(Parameters):
    format: Literal["xlsx"] | None = Field(None, description="the one format that it has")
    address: str | None = Field(
        None,
        pattern=ADDRESS,
        description="where varlake answers whoever opens the workbook; default the address that was asked",
    )


@api.get("/dimensions", responses={200: models.Dimensions})
@tabular
def dimensions(query: TableParameters) -> Response:
    """The dimensions to group and filter by."""
    rows = [{"name": d.name, "column": d.column, "meaning": d.meaning} for d in DIMENSIONS.values()]
    return rows_answer(rows, "dimensions")


@api.get("/choices", responses={200: models.Choices})
def choices_of_lake(query: Parameters) -> Response:
    """What the lake has for the parameters of questions: the dates of books, newest first, the dimensions of the newest, scenario sets."""
    return json_answer(choices(session()))


@api.get("/excel-template", responses={200: models.Answer})
@offers("xlsx")
def excel_template(query: TemplateParameters) -> Response:
    """A workbook with a sheet of parameters, from which formulas make the address of every question, and text to paste into Power Query."""
    made = template(query.address or request.host_url, choices(session()))
    return file_answer(made, name="varlake-template")


@api.get("/measures", responses={200: models.Measures})
@tabular
def measures(query: TableParameters) -> Response:
    """The risk measures, with unit and source."""
    names = ("name", "meaning", "unit", "source", "needs_level", "additive")
    return rows_answer([{n: getattr(m, n) for n in names} for m in MEASURES.values()], "measures")


@api.get("/estimators", responses={200: models.Estimators})
@tabular
def estimators(query: TableParameters) -> Response:
    """The ways to read a quantile from scenarios."""
    return rows_answer([{"name": name, "meaning": e.meaning} for name, e in ESTIMATORS.items()], "estimators")


@api.get("/instruments", responses={200: models.Instruments})
@tabular
def instruments(query: TableParameters) -> Response:
    """The instrument types, each with its terms."""
    rows = [
        {
            "instrument_type": name,
            "description": inspect.getdoc(module) or "",
            "version": pricer_version(name),
            "terms": _parameters(module.Terms),
        }
        for name, module in INSTRUMENTS.items()
    ]
    return rows_answer(rows, "instruments")


@api.get("/scenario-methods", responses={200: models.ScenarioMethods})
@tabular
def scenario_methods(query: TableParameters) -> Response:
    """The ways to make scenarios, each with its parameters."""
    rows = [
        {
            "method": name,
            "meaning": g.meaning,
            # method and market date stand in the request beside the parameters
            "parameters": [p for p in _parameters(g.definition) if p["name"] not in ("method", "market_date")],
        }
        for name, g in GENERATORS.items()
    ]
    return rows_answer(rows, "scenario-methods")


def _parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The fields of a model, as a user fills them in."""
    schema = model.model_json_schema()
    return [
        {
            "name": name,
            "type": _json_type(prop, schema.get("$defs", {})),
            "required": name in schema.get("required", ()),
            "default": to_json(prop["default"]) if "default" in prop else None,
            "description": prop.get("description", ""),
        }
        for name, prop in schema["properties"].items()
    ]


def _json_type(prop: dict[str, Any], definitions: dict[str, Any]) -> str:
    """The type in words: string (date), "call" or "put", array of object, ..."""
    if "$ref" in prop:
        return _json_type(definitions[prop["$ref"].rpartition("/")[2]], definitions)
    for choice in ("anyOf", "oneOf"):
        if choice in prop:
            return " or ".join(dict.fromkeys(_json_type(p, definitions) for p in prop[choice]))
    if "const" in prop or "enum" in prop:
        return " or ".join(map(to_json, prop.get("enum", [prop.get("const")])))
    if prop.get("type") == "array" and "items" in prop:
        return f"array of {_json_type(prop['items'], definitions)}"
    return f"{prop.get('type', 'any')} ({prop['format']})" if "format" in prop else str(prop.get("type", "any"))
