"""The web pages: one page and its parts, as `make web` made them; what a page shows it asks of the API."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from flask import Response, redirect, request, send_from_directory

from service.api.document import pages as pages  # registered with the views of both modules

BUILT = Path(str(files("service.web"))) / "built"
INDEX = BUILT / "index.html"
_YEAR = 31_536_000

_TYPES = {".js": "text/javascript", ".css": "text/css"}
_NOT_MADE = (
    "<!doctype html><html lang='en'><title>varlake</title><h1>The web pages are not made</h1><p>Run <code>make web</code> in the "
    "folder of the project, which needs a registry of npm packages, and load this page again. The <a href='/docs'>HTTP API</a> "
    "answers without them.</p>"
)


@pages.get("/")
def start() -> Response:
    """The pages, for whoever asks for the service by its address alone."""
    return redirect("/app/")  # type: ignore[return-value]


@pages.get("/app/")
@pages.get("/app/<path:page>")
def app(page: str = "") -> Response:
    """The one page, whatever of it is shown: its script reads the address."""
    answer = Response(INDEX.read_bytes() if INDEX.is_file() else _NOT_MADE, content_type="text/html; charset=utf-8")
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@pages.get("/app/assets/<name>")
def part(name: str) -> Response:
    """A part of the page, compressed where the browser takes that; its name changes with its content."""
    small = request.accept_encodings.quality("br") > 0 and (BUILT / "assets" / f"{name}.br").is_file()
    answer = send_from_directory(
        BUILT / "assets", f"{name}.br" if small else name, mimetype=_TYPES.get(Path(name).suffix)
    )
    if small:
        answer.headers["Content-Encoding"] = "br"
    answer.headers["Vary"] = "Accept-Encoding"
    answer.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
    return answer
