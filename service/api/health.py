"""Is the service up: the lake, the engine, the versions."""

from __future__ import annotations

import platform
from importlib.metadata import version

from flask import Response

from lake.errors import NotFound, NotReady
from lake.tables import code_version
from service.api import models
from service.api.context import context
from service.api.document import blueprint
from service.api.requests import Parameters
from service.api.responses import json_answer

api = blueprint("health", __name__, __doc__)

VERSIONS = {
    "varlake": code_version(),
    "python": platform.python_version(),
    **{name: version(name) for name in ("deltalake", "numba", "numpy", "pyarrow")},
}


@api.get("/health", responses={200: models.Health})
def health(query: Parameters) -> Response:
    """200 while queries can be answered, 503 while there is no lake. Without an engine valuations wait."""
    try:
        lake = context().lake
    except NotFound as error:
        raise NotReady(error.message) from None
    engine = context().jobs.engine()
    alive = engine is not None and engine.alive
    return json_answer(
        {
            "status": "ok" if alive else "no engine",
            "lake": str(lake.path),
            "tables": lake.snapshot().versions,
            "engine": {
                "alive": alive,
                "process": None if engine is None else engine.process,
                "started_at": None if engine is None else engine.started_at,
                "heartbeat_at": None if engine is None else engine.heartbeat_at,
            },
            "versions": VERSIONS,
        }
    )
