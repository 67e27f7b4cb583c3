"""The routes of every question, made from QUESTIONS.

`/var` answers, `/var/plan` says what would be valued first and what that takes, `/var/value` queues the job that values it and
answers. Each is a GET with parameters, where the question fits into an address, and a POST with the question as its body.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from flask import Response, g, request
from pydantic import BaseModel, Field, WithJsonSchema, create_model
from pydantic.fields import FieldInfo

from aggregation import questions
from aggregation.kept_receipts import kept_versions
from aggregation.session import Session
from lake.errors import BadInput, Issue, NotFound, NotValued
from lake.schemas import TABLES
from lake.tables import NEVER_WRITTEN, Lake
from service.api.access import charge, check_asked
from service.api.context import PREFIX, context, session
from service.api.document import blueprint
from service.api.models import Answer, JobAnswer, ValuationPlanAnswer
from service.api.requests import Body, TableParameters
from service.api.responses import PICTURES as PICTURE_KINDS
from service.api.responses import Format, Picture, drawable, json_answer, picture_answer, table_answer, tabular
from service.api.shapes import shape_of
from service.api.valuations import accepted
from service.encoding import about_answer
from service.jobs import QUESTION
from service.parameters import Parameter, assemble, fits_address, once, parameters_of
from service.rendering.answers import PICTURES, drawn

api = blueprint("questions", __name__, __doc__)


class PlannedValuation(Answer):
    """A valuation the question rests on, and what of it is missing."""

    for_: str = Field(alias="for", description="what it is for")
    request: dict[str, Any] = Field(description="body of POST /valuations that makes it")
    plan: ValuationPlanAnswer


class PlanAnswer(Answer):
    """What is valued before the answer, and what that takes."""

    ready: bool = Field(description="nothing has to be valued first")
    expected_core_seconds: float = Field(description="of what is missing, and of what is priced for the answer alone")
    core_seconds_range: list[float] = Field(description="what that lies between: two figures")
    answer_core_seconds: float | None = Field(
        description="of the answer itself, at the most; null where that is not known before something is valued"
    )
    measured: bool = Field(description="earlier runs of that size on this lake say so; else shipped figures do")
    valuations: list[PlannedValuation]
    about: dict[str, Any] = Field(description="further figures of this question")
    newer_market_data: list[dict[str, Any]] = Field(
        description="bodies of POST /valuations that would take market data which these scenarios do not know; empty for none"
    )


class _QuestionParameters(TableParameters):
    called: ClassVar[str] = "question"


class _QuestionBody(Body):
    called: ClassVar[str] = "question"


class _Page(BaseModel):
    cursor: str | None = Field(
        None, pattern="^[A-Za-z0-9_-]{8,}$", description="next_cursor of the page before; wins over first"
    )


def _in_pages(model: type[BaseModel]) -> bool:
    return {"first", "limit"} <= model.model_fields.keys() and model.model_fields["first"].annotation is int


def _field(p: Parameter) -> tuple[Any, FieldInfo]:
    """The parameter of an address: texts where the question has models."""
    default = ... if p.required else p.field.get_default(call_default_factory=True)
    described: dict[str, Any] = {"alias": p.name, "description": p.description}
    if p.form is None:
        return p.field.annotation, FieldInfo.merge_field_infos(p.field, Field(**described))
    text = Annotated[str, WithJsonSchema(p.form.schema())]
    if p.kind == "labels":
        return tuple[text, ...], Field(default, **described)
    return (text if p.required else text | None), Field(None if default == {} else default, **described)


def _parameters_model(name: str, model: type[BaseModel]) -> type[BaseModel] | None:
    """The model of a question's address; None where it holds what no address can."""
    if not fits_address(model):
        return None
    fields: dict[str, Any] = {
        f"{p.name}_" if p.name == "from" else p.name: _field(p) for p in parameters_of(model) if p.in_address
    }
    if name in PICTURES:
        described = TableParameters.model_fields["format"].description
        fields["format"] = (Format | Picture | None, Field(None, description=described))
    bases = (_Page, _QuestionParameters) if _in_pages(model) else _QuestionParameters
    return create_model(f"{_camel(name)}Parameters", __base__=bases, __doc__=model.__doc__, **fields)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _given(model: type[BaseModel], asked: BaseModel) -> Mapping[str, Any]:
    """The question of an address."""
    names = {(f.alias or n): n for n, f in type(asked).model_fields.items()}
    given = {alias: getattr(asked, n) for alias, n in names.items() if n in asked.model_fields_set}
    return assemble(model, {k: v for k, v in given.items() if k not in ("format", "cursor")})


def _answer(name: str, query: Any, cursor: str | None) -> Response:
    lake = context().lake
    if cursor is not None:
        versions, first = _start(lake, cursor)
        lake, query = lake.at(versions), query.model_copy(update={"first": first})
    result = answered(name, query, session(lake))
    if g.format in PICTURE_KINDS:
        try:
            data = drawn(name, result, query, g.format, session(lake))
        except BadInput as error:  # the question is sound, and its answer has no picture
            raise NotFound(error.message) from None
        return picture_answer(data, result.receipt, name=name)
    following = _following(result) if _in_pages(type(query)) else None
    pages = {"next_cursor": following} if _in_pages(type(query)) else {}
    return table_answer(
        result.rows,
        lambda: {**result.to_dict(), **pages},
        name=name,
        metadata=lambda: {**about_answer(result), **pages},
        next_page=_address(following) if following and request.method == "GET" else None,
        identity=result.receipt["receipt_digest"],
    )


def answered(name: str, query: BaseModel, reading: Session) -> Any:
    """The answer; raises `NotValued` that says how it is valued over HTTP."""
    try:
        return questions.ask(reading, name, query)
    except NotValued as error:
        route = f"POST {PREFIX}/{name}"
        way = f"{route}/plan says what that takes, {route}/value has it valued."
        raise error.here(way) if questions.question(name).value else error from None


def _following(result: Any) -> str | None:
    """The cursor of the next page: what this one read, and where it ended."""
    following = result.query.first + len(result.rows)
    if following >= result.count:
        return None
    receipt = result.receipt
    # of whoever sees a part of the book the versions are kept under the digest of the receipt
    pinned = receipt["receipt_digest"] if "entitlement" in receipt else receipt["table_versions"]
    text = json.dumps([pinned, following])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _address(cursor: str) -> str:
    arguments = [(k, v) for k, v in request.args.items(multi=True) if k != "cursor"]
    return f"{request.path}?{urlencode([*arguments, ('cursor', cursor)])}"


def _start(lake: Lake, cursor: str) -> tuple[Mapping[str, int], int]:
    """Versions to read and the row to begin with; raises `BadInput` for a cursor that no page gave."""
    try:
        versions, first = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if lake.reader:
            versions = kept_versions(lake, versions)
        known = all(n in TABLES and NEVER_WRITTEN <= int(v) <= lake.version(n) for n, v in versions.items())
        if known and (versions or not lake.reader) and isinstance(first, int) and first > 0:
            return versions, first
    except (binascii.Error, ValueError, TypeError, AttributeError):
        pass
    message = "This is not a cursor of a page. Leave it out for the first page, then give the next_cursor of each page."
    raise BadInput(message, issues=(Issue("/cursor", message, cursor[:80]),))


def _plan(name: str, query: BaseModel) -> Response:
    return json_answer(questions.plan(session(), name, query).to_dict())


def _value(name: str, query: BaseModel) -> Response:
    reading = session()
    query = questions.settled(reading, query)
    # what cannot be planned is refused at once, and is no job
    charge(questions.plan(reading, name, query).cost.seconds)
    # what was not said stays unsaid: the standard stands for it when the job runs
    asked = query.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return accepted(context().submit(QUESTION, {"question": name, "query": asked}))


def _add(name: str) -> None:
    """The routes of a question."""
    entry, question = questions.QUESTIONS[name], questions.question(name)
    model: type[BaseModel] = question.query
    shape = shape_of(name)
    paged = _in_pages(model)
    if paged:
        following = Field(description="the parameter cursor of the next page; null on the last")
        shape = create_model(f"{_camel(name)}Page", __base__=shape, next_cursor=(str | None, following))
    body_model = type(
        f"{_camel(name)}Body", (_QuestionBody, *((_Page,) if paged else ()), model), {"__doc__": model.__doc__}
    )
    parameters = _parameters_model(name, model)

    def of_body(body: Any) -> Any:
        return model(**{name: getattr(body, name) for name in body.model_fields_set & model.model_fields.keys()})

    def hang(
        method: str, path: str, suffix: str, doc: str, shapes: Mapping[int, Any], run: Callable[..., Response]
    ) -> None:
        """Adds one route; its operation's id is the name of its view."""
        given, kind = ("query", parameters) if method == "get" else ("body", body_model)

        def view(**arguments: Any) -> Response:
            asked = arguments[given]
            for p in parameters_of(model) if method == "get" else ():
                if p.kind == "one" and p.name in request.args:
                    once(p, request.args.getlist(p.name), p.name)
            query = questions.read(name, _given(model, asked)) if method == "get" else of_body(asked)
            check_asked(query)
            return run(query, getattr(asked, "cursor", None))

        view.__name__ = operation_id(name, suffix)
        view.__doc__ = doc
        view.__annotations__ = {given: kind, "return": Response}
        view.__signature__ = _signature(given, kind)  # type: ignore[attr-defined]
        formats = drawable if name in PICTURES else tabular
        getattr(api, method)(path, responses=dict(shapes))(formats(view) if shapes is answers else view)

    answers: Mapping[int, Any] = {200: shape}
    plans: Mapping[int, Any] = {200: PlanAnswer}
    for method in ("get", "post") if parameters is not None else ("post",):
        more = "" if method == "get" else "_body"
        as_body = "" if method == "get" else "\n\n    The same question as a JSON body."
        hang(
            method,
            f"/{name}",
            more,
            f"{entry.meaning}{as_body}",
            answers,
            lambda query, cursor: _answer(name, query, cursor),
        )
        what = f"What is valued before {name} is answered, and what that takes; values nothing."
        hang(method, f"/{name}/plan", f"_plan{more}", what, plans, lambda query, _: _plan(name, query))
    job = f"Queue the job that values what {name} lacks and then answers; the result of the job is the answer."
    hang("post", f"/{name}/value", "_value", job, {202: JobAnswer}, lambda query, _: _value(name, query))


def operation_id(name: str, suffix: str) -> str:
    """The id of an operation of a question; the plan of `capital` is not the question `capital-plan`."""
    own = name.replace("-", "_")
    taken = f"{own}{suffix.removesuffix('_body')}".replace("_", "-")
    return f"{own}_asked{suffix}" if taken != name and taken in questions.QUESTIONS else own + suffix


def _signature(name: str, kind: Any) -> Any:
    parameter = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind)
    return inspect.Signature([parameter], return_annotation=Response)


for _name in questions.QUESTIONS:
    _add(_name)
