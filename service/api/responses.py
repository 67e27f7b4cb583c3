"""Answers in the format asked for, by `?format=` or else by Accept; with an ETag, so that asking again can cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import quote, urlencode

import pyarrow as pa
from flask import Response, current_app, g, request

from lake.canonical import digest
from lake.progress import allowance
from service.api.context import context
from service.api.limits import check_size, expected_bytes
from service.encoding import FILES, MEDIA_TYPES, to_csv, to_json, to_rows
from service.errors import PROBLEM_TYPE, NotAcceptable

Format = Literal["json", "csv", "arrow", "parquet", "xlsx"]  # of tables
Picture = Literal["svg", "png", "pdf"]
PICTURES = get_args(
    Picture
)  # given to whoever asks for one alone: a browser accepts pictures with whatever it asks for
PAGES = "pages"  # the blueprint of what is read by a person or a program as it is
View = TypeVar("View", bound=Callable[..., Response])


def offers(*formats: str) -> Callable[[View], View]:
    """Marks a view that offers these formats, the first by default; to stand below the route."""

    def mark(view: View) -> View:
        view.offers = formats  # type: ignore[attr-defined]
        return view

    return mark


tabular, drawable = offers(*get_args(Format)), offers(*get_args(Format), *PICTURES)


def reads(*types: str) -> Callable[[View], View]:
    """Marks a view whose body is of one of these media types and no JSON; to stand below the route."""

    def mark(view: View) -> View:
        view.reads = types  # type: ignore[attr-defined]
        return view

    return mark


def read_by(view: Callable[..., Any] | None) -> tuple[str, ...]:
    types: tuple[str, ...] = getattr(view, "reads", (MEDIA_TYPES["json"],))
    return types


def offered(view: Callable[..., Any]) -> tuple[str, ...]:
    formats: tuple[str, ...] = getattr(view, "offers", ("json",))
    return formats


def choose_format() -> None:
    """Decides the format before the view runs; raises `NotAcceptable` when the client accepts none of those offered."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or request.blueprint == PAGES:
        return
    asked = request.args.get("format")
    if asked in offered(view):
        g.format = asked
        return
    one = len(request.accept_mimetypes) == 1
    types = {MEDIA_TYPES[f]: f for f in offered(view) if one or f not in PICTURES}
    best = request.accept_mimetypes.best_match(list(types)) if request.accept_mimetypes else next(iter(types))
    if best is None:
        raise NotAcceptable(
            f"The Accept header {request.headers.get('Accept')!r} names no format of this answer; "
            f"it comes as {', '.join(types)} (and errors as {PROBLEM_TYPE})."
        )
    g.format = types[best]


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return _conditional(Response(to_json(body), status, headers, content_type=MEDIA_TYPES["json"]))


def text_answer(body: str, *, name: str) -> Response:
    """A text that is already in the format of this request."""
    answer = Response(body, content_type=MEDIA_TYPES[g.format] + ("" if g.format == "json" else "; charset=utf-8"))
    # letters that are no Latin ones may stand in no header; RFC 6266 has another parameter for them
    filename = f"{name}.{'txt' if g.format == 'text' else g.format}"
    named = {"filename": filename} if filename.isascii() else {"filename*": f"UTF-8''{quote(filename, safe='')}"}
    answer.headers.set("Content-Disposition", "attachment", **named)
    answer.vary.add("Accept")
    return _conditional(answer)


def table_answer(
    table: pa.Table,
    body: Callable[[], Mapping[str, Any]],
    *,
    name: str,
    metadata: Callable[[], Mapping[str, Any]],
    next_page: str | None = None,
    identity: Any = None,
) -> Response:
    """The table in the format of this request: as JSON `body`, as CSV its rows, else its rows with `metadata` beside.

    `next_page` is the address of the next page, given as a Link header. `identity` stands for the content in the ETag,
    where the bytes hold something that does not matter, such as timings.
    """
    kind: str = g.format
    allowance().heed()
    check_size(expected_bytes(table.num_rows, table.nbytes, table.column_names, kind), context().settings)
    if kind == "json":
        answer = Response(to_json(body()), content_type=MEDIA_TYPES[kind])
    elif kind == "csv":
        answer = Response(to_csv(table), content_type=f"{MEDIA_TYPES[kind]}; charset=utf-8; header=present")
    else:
        answer = Response(FILES[kind](table, metadata()), content_type=MEDIA_TYPES[kind])
    if kind != "json":
        answer.headers.set("Content-Disposition", "attachment", filename=f"{name}.{kind}")
    answer.vary.add("Accept")
    if next_page is not None:
        answer.headers["Link"] = f'<{next_page}>; rel="next"'
    return _conditional(answer, None if identity is None else digest(kind, to_json(identity)))


def file_answer(data: bytes, *, name: str) -> Response:
    """A file that is already in the format of this request."""
    answer = Response(data, content_type=MEDIA_TYPES[g.format])
    answer.headers.set("Content-Disposition", "attachment", filename=f"{name}.{g.format}")
    answer.vary.add("Accept")
    return _conditional(answer)


def picture_answer(data: bytes, receipt: Mapping[str, Any], *, name: str) -> Response:
    """A picture in the format of this request; the header Varlake-Answer says of which answer, by its digest."""
    answer = Response(data, content_type=MEDIA_TYPES[g.format])
    answer.headers.set("Content-Disposition", "inline", filename=f"{name}.{g.format}")
    answer.headers["Varlake-Answer"] = receipt["answer_digest"]
    answer.vary.add("Accept")
    return _conditional(answer, digest(g.format, to_json(receipt["receipt_digest"])))


def rows_answer(rows: list[dict[str, Any]], name: str) -> Response:
    """A short list that is never empty and always whole."""
    return page_answer(pa.Table.from_pylist(rows), name)


def page_answer(table: pa.Table, name: str, next_cursor: str | None = None) -> Response:
    """A page of a list, with the cursor of the next one."""
    following = None
    if next_cursor is not None:
        arguments = [(k, v) for k, v in request.args.items(multi=True) if k != "cursor"]
        following = f"{request.path}?{urlencode([*arguments, ('cursor', next_cursor)])}"
    return table_answer(
        table,
        lambda: {"rows": to_rows(table), "next_cursor": next_cursor},
        name=name,
        metadata=lambda: {"next_cursor": next_cursor},
        next_page=following,
    )


def _conditional(answer: Response, identity: str | None = None) -> Response:
    """304 where the client holds this content already; it must ask each time, since a date's answer may be revalued."""
    check_size(answer.calculate_content_length() or 0, context().settings)
    answer.headers.setdefault("Cache-Control", "private, no-cache")
    if request.method in ("GET", "HEAD") and answer.status_code == 200:
        data = answer.get_data()
        answer.set_etag(identity or digest(data), weak=identity is not None)
        answer.make_conditional(request)
    return answer
