"""The web application. A view parses its request, calls the package that knows, and answers; no JVM is ever started here."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import structlog
from flask import Response, current_app, g, request
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from lake.canonical import refuse_nested
from lake.tables import code_version
from service import errors
from service.access.secrets import redacted
from service.api import (
    access,
    audit,
    branches,
    catalogue,
    document,
    health,
    limits,
    live,
    market_values,
    openbb,
    proposals,
    questions,
    releases,
    replay,
    scenarios,
    shown,
    sign_in,
    standard,
    uploads,
    users,
    valuations,
    views,
    web_pages,
)
from service.api.context import EXTENSION, Context, context
from service.api.headers import secure
from service.api.models import Problem
from service.api.responses import choose_format, read_by
from service.config import Settings
from service.encoding import MEDIA_TYPES
from service.errors import (
    MAX_LINE_BYTES,
    AddressTooLong,
    Malformed,
    MisdirectedRequest,
    UnsupportedMediaType,
    request_id,
)
from service.process import is_address, is_loopback

MAX_BODY_BYTES = 1 << 20

_log = structlog.get_logger("varlake.web")


def create_app(settings: Settings) -> OpenAPI:
    """The application for a lake; the lake may come later. Reads no settings but the ones given."""
    app = OpenAPI(
        __name__,
        info=Info(
            title="varlake",
            version=code_version(),
            description="On-demand Value-at-Risk: value contracts once, net positions at query time. "
            "Gains are positive in P&L, losses are positive in VaR and ES.",
        ),
        security_schemes=document.SECURITY,
        doc_ui=False,
        validation_error_model=Problem,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.extensions[EXTENSION] = Context(settings)
    errors.register(app)
    app.before_request(_begin)
    limits.limit_requests(app, settings, access.charge)
    app.before_request(_refuse_other_names)
    access.guard(app, settings)
    app.before_request(_read_headers)
    app.after_request(_end)
    for blueprint in (
        health.api,
        questions.api,
        replay.api,
        catalogue.api,
        uploads.api,  # those of data with them
        scenarios.api,
        valuations.api,
        branches.api,
        standard.api,
        market_values.api,
        releases.api,
        live.api,
        views.api,
        users.api,
        proposals.api,
        audit.api,
        openbb.api,
        shown.api,
    ):
        app.register_api(blueprint)
    sign_in.prepare(app)
    app.register_blueprint(web_pages.pages)  # with the page of the routes
    app.register_blueprint(openbb.files)
    openbb.allow_origins(app)
    return app


def _begin() -> None:
    g.started = time.perf_counter()


def _refuse_other_names() -> None:
    """A page of another site whose name points at this machine gets no answer (DNS rebinding).

    Addresses are no names: whoever asks for one has asked for this machine.
    """
    try:
        asked = urlsplit(f"//{request.headers.get('Host', 'localhost')}").hostname or ""
    except ValueError:
        asked = ""
    settings = context().settings
    by_address = not is_loopback(settings.host) and is_address(asked)
    if not (is_loopback(asked) or by_address or asked in (settings.host.lower(), *settings.hosts)):
        raise MisdirectedRequest(
            f"This service does not answer to the name {asked!r}, but to localhost and to those of the setting "
            f"VARLAKE_ALLOWED_HOSTS: {', '.join(settings.hosts) or 'none is set'}."
        )


def _read_headers() -> None:
    if (length := len(request.environ.get("REQUEST_URI") or request.full_path)) > MAX_LINE_BYTES:
        raise AddressTooLong(
            f"The address has {length:,} bytes and {MAX_LINE_BYTES:,} are read; send the question as the body of a POST."
        )
    with_body = request.method in ("POST", "PUT", "PATCH") and request.url_rule is not None
    types = read_by(current_app.view_functions.get(request.endpoint or ""))
    if with_body and request.mimetype not in types:
        raise UnsupportedMediaType(
            f"The body is {request.mimetype or 'of no stated media type'}; send Content-Type: {' or '.join(types)}."
        )
    if with_body and request.mimetype == MEDIA_TYPES["json"]:
        try:
            refuse_nested(request.get_data())
        except ValueError as error:
            raise Malformed(f"The body cannot be read: {error}.") from None
    choose_format()


def _end(response: Response) -> Response:
    response.headers["X-Request-ID"] = request_id()
    secure(response)
    if "Allow" in response.headers:
        response.headers["Allow"] = errors.allowed(response.allow)
    _log.info(
        "request",
        request_id=request_id(),
        method=request.method,
        path=redacted(request.path),
        user=g.principal.name if "principal" in g else None,
        address=request.remote_addr,
        status=response.status_code,
        ms=round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1),
        bytes=response.calculate_content_length(),
    )
    return response
