"""Is the service up: the lake, the engine, the versions."""

from __future__ import annotations

import platform
from importlib.metadata import version

from flask import Response

from lake.errors import NotFound, NotReady, VarlakeError
from lake.storage import not_writable
from lake.tables import code_version
from service.api import models
from service.api.context import context
from service.api.document import blueprint
from service.api.requests import Parameters
from service.api.responses import json_answer
from service.jobs import ENGINE, damaged_tables

api = blueprint("health", __name__, __doc__)

VERSIONS = {
    "varlake": code_version(),
    "python": platform.python_version(),
    **{name: version(name) for name in ("deltalake", "numba", "numpy", "pyarrow")},
}


@api.get("/health", responses={200: models.Health})
def health(query: Parameters) -> Response:
    """200 while queries can be answered, 503 while there is no lake. Without an engine valuations wait.

    A disk that is full or may not be written, and a job table that was damaged, are told in `notes`.
    """
    try:
        lake = context().lake
    except NotFound as error:
        raise NotReady(error.message) from None
    jobs, notes = context().jobs, []
    unwritable = not_writable(lake.state)
    if unwritable is not None:
        notes.append(unwritable.message)
    try:
        engine = jobs.engine()
    except VarlakeError as error:
        engine = None
        notes.append(error.message)
    if aside := jobs.set_aside():
        notes.append(damaged_tables(aside))
    # an engine that cannot write its heartbeat still holds the lake
    alive = (engine is not None and engine.alive) or (lake.written_by() or "").startswith(ENGINE)
    return json_answer(
        {
            "status": "no engine" if not alive else "no writing" if unwritable else "ok",
            "notes": notes,
            "lake": str(lake.path),
            "tables": lake.snapshot().named,
            "engine": {
                "alive": alive,
                "process": None if engine is None else engine.process,
                "started_at": None if engine is None else engine.started_at,
                "heartbeat_at": None if engine is None else engine.heartbeat_at,
            },
            "versions": VERSIONS,
        }
    )
