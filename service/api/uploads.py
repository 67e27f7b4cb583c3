"""Files brought in over HTTP: the body is a file, or several as multipart/form-data; each request is a job, or a dry run."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from flask import Response, request
from pydantic import Field, create_model

from lake.committer import DryRun, new_run_id
from lake.errors import BadInput, Issue, unknown, validated
from lake.storage import make_folder, sync
from service.api import data, models
from service.api.context import context
from service.api.requests import Parameters
from service.api.responses import json_answer, reads
from service.api.shapes import shape
from service.api.valuations import accepted
from service.ingests import INGESTS, OWN_MACHINE, check_entitled, companions, from_settings, named
from service.jobs import INGEST
from service.work import IngestRequest, LandedFile, ingest, remove_left_uploads, upload_folder

# beside the GETs of the same paths: the framework keeps the methods of a path only within one blueprint
api = data.api

_FORMS = "multipart/form-data"
_ENDINGS = {  # of a file that is the body itself and has no name
    "text/csv": ".csv",
    "application/gzip": ".csv.gz",
    "application/vnd.apache.parquet": ".parquet",
    "application/octet-stream": "",
}
_LEFT_SECONDS = 24 * 3600  # then files without a job are removed
_takes_files = reads(*_ENDINGS, _FORMS)


class UploadParameters(Parameters):
    name: str | None = Field(
        None, description="name of the file that is the body; its ending says its form; default by media type"
    )
    dry_run: bool = Field(False, description="only read and check, and answer with the report; store nothing")


def _add(what: str) -> None:
    """The route of a kind of files, made from its entry of INGESTS."""
    kind = INGESTS[what]
    report = kind.report_class()
    fields: dict[str, Any] = {
        n: (f.annotation, f) for n, f in kind.options.model_fields.items() if OWN_MACHINE not in f.metadata
    }
    parameters = create_model(f"{report.__name__}UploadParameters", __base__=UploadParameters, **fields)
    tried = create_model(
        f"DryRunOf{report.__name__}",
        __base__=models.Answer,
        what=(str, Field(description="what the files hold")),
        reports=(list[shape(report)], Field(description="what the ingest would do, a report a file")),  # type: ignore[arg-type, misc]
    )

    def view(query: UploadParameters) -> Response:
        return _ingested(what, query)

    view.__name__ = f"bring_{kind.route[1:].replace('-', '_')}"
    view.__doc__ = f"Queue: {kind.meaning}"
    view.__annotations__["query"] = parameters
    api.post(kind.route, responses={200: tried, 202: models.JobAnswer})(_takes_files(view))
    if kind.suggest is not None:
        _add_suggestion(what)


class SuggestionParameters(Parameters):
    name: str | None = Field(None, description="name of the file that is the body; its ending says its form")


def _add_suggestion(what: str) -> None:
    kind = INGESTS[what]

    def suggest(query: SuggestionParameters) -> Response:
        request.max_content_length = context().settings.upload_mib << 20
        folder = upload_folder(context().lake, new_run_id())
        try:
            files = _received(folder, query.name)
            if len(files) > 1 and not kind.folder:
                raise BadInput(f"A mapping is suggested for one file, and the body holds {len(files)}.")
            return json_answer(named(str(kind.suggest))(folder if kind.folder else Path(files[0].path)).to_dict())
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    suggest.__name__ = f"suggest_{kind.route[1:].replace('-', '_')}"
    suggest.__doc__ = f"Guess how files of {what} are read, say what is doubtful, and show the first rows so."
    answer = models.SuggestedCatalogue if kind.folder else models.SuggestedMapping
    api.post(f"{kind.route}/suggestion", responses={200: answer})(_takes_files(suggest))


def _ingested(what: str, query: UploadParameters) -> Response:
    """The report of a dry run, or the job that brings in the files of this request."""
    here, kind = context(), INGESTS[what]
    request.max_content_length = here.settings.upload_mib << 20
    lake, table = here.lake, here.jobs
    check_entitled(what, lake)
    remove_left_uploads(lake, table, time.time() - _LEFT_SECONDS)
    options = query.model_dump(exclude={"name", "dry_run"})
    run = new_run_id()
    folder = upload_folder(lake, run)
    try:
        files = _received(folder, query.name)
        for option in companions(kind.options):
            if options[option] is not None:
                options[option] = _companion(option, options[option], files, kind.shipped())
        options |= {name: path for name, path in from_settings(kind, here.settings).items() if options[name] is None}
        if kind.folder:
            files = [LandedFile(name="upload", path=str(folder))]
        else:
            files = [file for file in files if file.path not in options.values()]
        wanted = validated(IngestRequest, {"what": what, "files": files, "run": run, "options": options}, "upload")
        if query.dry_run:
            return json_answer(ingest(DryRun(lake), wanted))
        return accepted(context().submit(INGEST, wanted.model_dump(mode="json")))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _received(folder: Path, name: str | None) -> list[LandedFile]:
    """The files of this request, safe on the disk."""
    if request.mimetype == _FORMS:
        if request.form:
            raise BadInput(f"{', '.join(request.form)}: no files. Parameters stand in the address, files in the body.")
        parts = [(part.filename or "", part.stream) for _, part in request.files.items(multi=True)]
    else:
        parts = [(name or f"upload{_ENDINGS[request.mimetype]}", request.stream)]
    if not parts:
        raise BadInput("The body holds no file.")
    return [LandedFile(name=name, path=str(_stored(folder, name, stream))) for name, stream in parts]


def _stored(folder: Path, name: str, stream: IO[bytes]) -> Path:
    inside = PurePosixPath(name)
    if not inside.parts or inside.is_absolute() or ".." in inside.parts or not name.isprintable() or len(name) > 100:
        message = f"{name[:100]!r} is no name of a file here; expected one such as positions-2020-03-16.csv."
        raise BadInput(message, issues=(Issue("/name", message, ascii(name[:100])),))
    path = folder / inside
    try:
        make_folder(path.parent)
        with path.open("xb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
    except (FileExistsError, NotADirectoryError):
        raise BadInput(f"The body holds two files named {name}; give each a name of its own.") from None
    sync(path.parent)
    return path


def _companion(option: str, name: str, files: list[LandedFile], shipped: Mapping[str, Any]) -> str:
    """Where a file that comes with the others lies, or the name of a shipped one; never another file of this machine."""
    paths = {file.name: file.path for file in files}
    if name not in paths and name not in shipped:
        raise unknown(option, name, (*paths, *shipped), pointer=f"/{option}")
    return paths.get(name, name)


for _what in INGESTS:
    _add(_what)
