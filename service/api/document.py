"""The OpenAPI document, and a page of the routes that loads nothing from elsewhere."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, current_app, render_template_string
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from flask_openapi3.types import ParametersTuple
from flask_openapi3.utils import parse_parameters

from service.access.rights import RIGHTS
from service.api.access import needed
from service.api.context import PREFIX
from service.api.responses import PAGES, json_answer, offered, read_by
from service.encoding import MEDIA_TYPES
from service.errors import PROBLEM_TYPE

pages = Blueprint(PAGES, __name__)
_making = threading.Lock()
_made: dict[frozenset[str], dict[str, Any]] = {}  # by the views that they are of

_FAILURES = {
    400: "the request is malformed",
    401: "who asks is not known: no token or session, or one that has ended",
    403: "who asks may not do this; detail says who may",
    404: "the lake holds no such thing",
    406: "no format the client accepts is offered",
    409: "the state of the lake or the job forbids it",
    413: "the body is too large",
    415: "the body is of a media type that is not read",
    421: "sent to a name of another service",
    422: "a value is not valid; errors says which and what is",
    429: "too much is asked, or too many jobs wait; Retry-After says when to ask again",
    500: "unexpected; error_id stands in the log",
    503: "something needed is missing",
    507: "the disk is full",
}
_WITH_BODY = {409, 413, 415, 429}
_ETAG = {"ETag": {"description": "stands for the content; send it as If-None-Match", "schema": {"type": "string"}}}

# without users nothing of it is needed
SECURITY: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "a personal access token"},
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "a personal access token as the password; any user name",
    },
    "session": {"type": "apiKey", "in": "cookie", "name": "varlake", "description": "of a browser that is signed in"},
}

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
code{background:#8881;padding:.1em .3em}td{padding:.2em .8em .2em 0;vertical-align:top}
input,button{font:inherit;padding:.3em .6em}input{width:30rem;max-width:100%}label{display:block;margin:.8em 0 .2em}
[role=alert]{border-left:.3em solid #c33;padding-left:.8em}
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>varlake API</title>
<link rel="stylesheet" href="{{ url_for('.style') }}"></head>
<body><h1>varlake {{ version }}</h1>
<p>Every route, as described in the <a href="{{ url_for('.openapi') }}">OpenAPI document</a>.
<a href="{{ url_for('.sign_in') }}">Sign in or out</a></p>
{% for tag in tags %}<h2>{{ tag.name }}</h2><p>{{ tag.description }}</p><table>
{% for method, path, op in operations if tag.name in op.tags %}<tr><td><code>{{ method }}</code></td>
<td>{% if method == "GET" and "{" not in path %}<a href="{{ path }}">{{ path }}</a>{% else %}{{ path }}{% endif %}</td>
<td>{{ op.summary }}{% for p in op.parameters %}
<br><code>{{ p.name }}{{ "" if p.required else "?" }}</code> {{ p.description }}{% endfor %}</td></tr>
{% endfor %}</table>{% endfor %}</body></html>
"""


class _Routes(APIBlueprint):
    """Describes its routes once the document is asked for: the schemas of all questions take longer than the rest of a start."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._waiting: list[tuple[str, Callable[..., Any], dict[str, Any]]] = []

    def _collect_openapi_info(self, rule: str, func: Callable[..., Any], **told: Any) -> ParametersTuple:
        self._waiting.append((rule, func, told))
        return parse_parameters(func, doc_ui=False)

    def describe(self, app: OpenAPI) -> None:
        """Adds to the document of an application what it would have with its routes; several may have them."""
        for rule, func, told in self._waiting:
            super()._collect_openapi_info(rule, func, **told)
        self._waiting.clear()
        app.tags += [tag for tag in self.tags if tag not in app.tags]
        app.paths.update(self.paths)
        app.components_schemas.update(self.components_schemas)


def blueprint(name: str, module: str, description: str | None) -> APIBlueprint:
    """The routes of one module; an operation's id is the name of its view, which is unique in the API."""
    return _Routes(
        name,
        module,
        url_prefix=PREFIX,
        abp_tags=[Tag(name=name, description=description)],
        operation_id_callback=lambda *, name, path, method: name,
    )


@pages.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 document."""
    return json_answer(document(current_app))


@pages.get("/style.css")
def style() -> Response:
    """How the plain pages look."""
    return Response(_STYLE, content_type="text/css; charset=utf-8", headers={"Cache-Control": "max-age=3600"})


@pages.get("/docs")
def docs() -> str:
    """The routes for a person with a browser."""
    spec = document(current_app)
    operations = [(m.upper(), path, op) for path, item in spec["paths"].items() for m, op in item.items()]
    return render_template_string(_PAGE, version=spec["info"]["version"], tags=spec["tags"], operations=operations)


def document(app: Flask) -> dict[str, Any]:
    """The framework's document of the views, completed by what all of them share: formats, ETags, problems."""
    assert isinstance(app, OpenAPI)
    views = frozenset(app.view_functions)
    with _making:  # whoever asks meanwhile waits for it
        if views not in _made:
            _made[views] = _document(app)
        return _made[views]


def _document(app: OpenAPI) -> dict[str, Any]:
    for routes in app.blueprints.values():
        if isinstance(routes, _Routes):
            routes.describe(app)
    spec: dict[str, Any] = copy.deepcopy(app.api_doc)
    endpoints = {endpoint.rpartition(".")[2]: endpoint for endpoint in app.view_functions}
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            endpoint = endpoints[operation["operationId"]]
            need = needed(endpoint, path)
            rights = [need] if need in RIGHTS else []
            operation["security"] = [*({scheme: rights} for scheme in SECURITY), {}]
            _complete(method, operation, app.view_functions[endpoint])
    return spec


def _complete(method: str, operation: dict[str, Any], view: Callable[..., Any]) -> None:
    operation["description"] = operation.get("description", "").replace("<br/>", "\n").strip()
    responses = operation["responses"]
    if (types := read_by(view)) != (MEDIA_TYPES["json"],):
        file = {"type": "string", "format": "binary"}
        several = {"type": "object", "additionalProperties": {"type": "array", "items": file}}
        content = {t: {"schema": several if t.startswith("multipart/") else file} for t in types}
        operation["requestBody"] = {"required": True, "content": content}
    for status in [s for s in responses if s.startswith("2")]:
        content = responses[status]["content"]
        if "json" not in offered(view):
            content.clear()
        for name in offered(view):
            if name != "json":
                binary = {} if MEDIA_TYPES[name].startswith("text/") else {"format": "binary"}
                content[MEDIA_TYPES[name]] = {"schema": {"type": "string", **binary}}
        if method == "get":
            responses[status]["headers"] = _ETAG
            responses["304"] = {"description": "the client holds this content already", "headers": _ETAG}
        if status == "202":
            responses[status]["headers"] = {"Location": {"description": "the job", "schema": {"type": "string"}}}
    for status, meaning in _FAILURES.items():
        if "requestBody" in operation or method != "get" or status not in _WITH_BODY:
            responses[str(status)] = {
                "description": meaning,
                "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
