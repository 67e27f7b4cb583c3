"""Every failure as a problem detail (RFC 9457, application/problem+json), always with the same keys."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.exceptions import NotFound as NoRoute
from werkzeug.routing import RoutingException

from lake.errors import MOST_ISSUES, Issue, VarlakeError, close, of_disk
from service.encoding import to_json

PROBLEM_TYPE = "application/problem+json"
MAX_LINE_BYTES = 8190  # of an address: a query with many filters is long
MAX_HEADER_BYTES = 64 << 10  # of the address and all headers
_log = structlog.get_logger("varlake.errors")


class NotAcceptable(VarlakeError):
    """None of the formats the client accepts is offered."""

    status = 406
    title = "Format not offered"


class UnsupportedMediaType(VarlakeError):
    """The body is not of the one media type that is read."""

    status = 415
    title = "Media type not read"


class Malformed(VarlakeError):
    """The body is no JSON."""

    status = 400
    title = "The body is no JSON"


class AddressTooLong(VarlakeError):
    """The address is longer than what is read."""

    status = 414
    title = "The address is too long"


class MisdirectedRequest(VarlakeError):
    """The request was sent to another name than this service's."""

    status = 421
    title = "Not the service asked for"


def new_error_id() -> str:
    return secrets.token_hex(8)


def request_id() -> str:
    """The id of this request: the client's X-Request-ID where it gives a decent one. A failure's error id is the same."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else new_error_id()
    found: str = g.request_id
    return found


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    type: str = "about:blank",
    instance: str,
    error_id: str,
    issues: Sequence[Issue] = (),
) -> dict[str, Any]:
    """A problem detail. `error_id` also stands in the log; `errors` names each fault: where, what, what is allowed."""
    return {
        "type": type,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "error_id": error_id,
        "errors": [
            {"pointer": _pointer(i), "message": i.message, "value": i.value, "allowed": list(i.allowed)} for i in issues
        ],
    }


def _pointer(issue: Issue) -> str:
    """A JSON pointer (RFC 6901), also to a query parameter; empty for the whole."""
    name = issue.pointer.strip("/")
    return f"/{name}" if name else ""


def problem_of(error: Exception, instance: str, error_id: str) -> dict[str, Any]:
    """The problem detail of any exception; of an unexpected one the user learns only the id, and the log holds the rest."""
    error = (not isinstance(error, VarlakeError) and of_disk(error)) or error
    if isinstance(error, VarlakeError):
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()
        kind = f"urn:varlake:problem:{name}"
        cut = f" The first {MOST_ISSUES} are listed." if len(error.issues) > MOST_ISSUES else ""
        return problem(
            error.status,
            error.title,
            f"{error.message}{cut}",
            type=kind,
            instance=instance,
            error_id=error_id,
            issues=error.issues[:MOST_ISSUES],
        )
    _log.error("unexpected", error_id=error_id, instance=instance, kind=type(error).__name__, exc_info=error)
    detail = f"An unexpected error happened. It is in the log under the id {error_id}; give this id when you report it."
    return problem(500, "Internal Server Error", detail, instance=instance, error_id=error_id)


def register(app: Flask) -> None:
    """Turns every exception of a request into a problem."""
    app.register_error_handler(Exception, _handle)


def _handle(error: Exception) -> Response | HTTPException:
    if isinstance(error, RoutingException):  # a redirect, no failure
        return error  # type: ignore[return-value]
    if not isinstance(error, HTTPException):
        answer = respond(problem_of(error, request.path, request_id()))
        if (seconds := getattr(error, "retry_seconds", None)) is not None:
            answer.headers["Retry-After"] = str(seconds)
        return answer
    status = error.code or 500
    detail = _detail(error)
    answer = respond(problem(status, error.name, detail, instance=request.path, error_id=request_id()))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        answer.headers["Allow"] = allowed(error.valid_methods)
    return answer


def allowed(methods: Iterable[str]) -> str:
    """The methods of the path asked for as the OpenAPI document has them, of `methods`, which routing found.

    HEAD and OPTIONS, which every path answers, are not listed; nor those of a path with a parameter that would take this one.
    """
    own = {m for rule in current_app.url_map.iter_rules() if rule.rule == request.path for m in rule.methods or ()}
    return ", ".join(sorted((own or set(methods)) - {"HEAD", "OPTIONS"}))


def _detail(error: HTTPException) -> str:
    if isinstance(error, NoRoute):
        near = close(request.path, (rule.rule for rule in current_app.url_map.iter_rules()))
        instead = f"Nearest: {', '.join(near)}." if near else "/openapi.json lists all."
        return f"There is no {request.path} here. {instead}"
    if isinstance(error, MethodNotAllowed):
        return f"{request.method} is not possible on {request.path}; allowed: {allowed(error.valid_methods or ())}."
    if isinstance(error, RequestEntityTooLarge):
        return f"The body is larger than the {request.max_content_length} bytes that are read."
    return error.description or error.name


def respond(body: dict[str, Any]) -> Response:
    return Response(to_json(body), status=body["status"], content_type=PROBLEM_TYPE)
