"""Files brought in over HTTP: the body is a file, or several as multipart/form-data; each request is a job, or a dry run."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path, PurePosixPath
from typing import IO, Any

from flask import Response, request
from pydantic import Field, create_model

from lake.committer import DryRun, new_run_id
from lake.errors import BadInput, Issue, unknown, validated
from lake.landing.actual_pnl import PnLReport
from lake.landing.hierarchies import HierarchiesReport
from lake.landing.positions import PositionsReport
from lake.storage import make_folder, sync
from scenarios.market.landing_catalogue import MarketIngestReport, shipped_catalogues
from service.api import data, models
from service.api.context import context
from service.api.requests import Parameters
from service.api.responses import json_answer, reads
from service.api.shapes import shape
from service.api.valuations import accepted
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


class ReplacingUploadParameters(UploadParameters):
    replace_dates: bool = Field(False, description="the dates in a file become exactly the file")


class PositionsUploadParameters(ReplacingUploadParameters):
    force: bool = Field(False, description="replace dates even by the usable part of a file with unusable rows")
    accept_unknown_factors: bool = Field(False, description="load contracts too whose risk factors no market data has")


class MarketUploadParameters(UploadParameters):
    catalogue: str = Field(
        description="name of the catalogue: of a file of this request, or of one that comes with varlake"
    )
    accept_levels: bool = Field(False, description="load levels that are hardly meant, such as a volatility of 20")


def _reports(kind: type) -> Any:
    return create_model(
        f"DryRunOf{kind.__name__}",
        __base__=models.Answer,
        what=(str, Field(description="market, positions, pnl or hierarchy")),
        reports=(list[shape(kind)], Field(description="what the ingest would do, a report a file")),  # type: ignore[arg-type, misc]
    )


@api.post("/positions", responses={200: _reports(PositionsReport), 202: models.JobAnswer})
@_takes_files
def bring_positions(query: PositionsUploadParameters) -> Response:
    """Queue the ingest of files of positions; unusable rows are listed in the report, the others load."""
    return _ingested("positions", query)


@api.post("/actual-pnl", responses={200: _reports(PnLReport), 202: models.JobAnswer})
@_takes_files
def bring_actual_pnl(query: ReplacingUploadParameters) -> Response:
    """Queue the ingest of files of actual P&L; a file with a fault is refused whole."""
    return _ingested("pnl", query)


@api.post("/hierarchies", responses={200: _reports(HierarchiesReport), 202: models.JobAnswer})
@_takes_files
def bring_hierarchies(query: UploadParameters) -> Response:
    """Queue the ingest of files of hierarchies; each hierarchy becomes exactly its file."""
    return _ingested("hierarchy", query)


@api.post("/market-data", responses={200: _reports(MarketIngestReport), 202: models.JobAnswer})
@_takes_files
def bring_market_data(query: MarketUploadParameters) -> Response:
    """Queue the ingest of market files, as a catalogue describes them; all of them load, or none."""
    return _ingested("market", query)


def _ingested(what: str, query: UploadParameters) -> Response:
    """The report of a dry run, or the job that brings in the files of this request."""
    here = context()
    request.max_content_length = here.settings.upload_mib << 20
    lake, table = here.lake, here.jobs
    remove_left_uploads(lake, table, time.time() - _LEFT_SECONDS)
    options = query.model_dump(exclude={"name", "dry_run"})
    run = new_run_id()
    folder = upload_folder(lake, run)
    try:
        files = _received(folder, query.name)
        if what == "market":
            options["catalogue"] = _catalogue(options["catalogue"], files)
            files = [LandedFile(name="upload", path=str(folder))]
        wanted = validated(IngestRequest, {"what": what, "files": files, "run": run, **options}, "upload")
        if query.dry_run:
            return json_answer(ingest(DryRun(lake), wanted))
        return accepted(table.submit(INGEST, wanted.model_dump(mode="json"))[0])
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


def _catalogue(name: str, files: list[LandedFile]) -> str:
    """Where the catalogue lies, or the name of a shipped one; never another file of this machine."""
    paths = {file.name: file.path for file in files}
    if name not in paths and name not in shipped_catalogues():
        raise unknown("catalogue", name, (*paths, *shipped_catalogues()), pointer="/catalogue")
    return paths.get(name, name)
