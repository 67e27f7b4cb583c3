"""The web process: the application under gunicorn's threads. Run by `service.processes.serve` as `python -m service.processes.web`.

One worker, so that all threads share the mapped vectors and their index; never preloaded, and no Spark in this process.
"""

from __future__ import annotations

import sys
from typing import Any

from flask_openapi3.openapi import OpenAPI
from gunicorn import glogging
from gunicorn.app.base import BaseApplication

from service.api.app import create_app
from service.config import Settings
from service.process import run_process

REQUEST_SECONDS = 300  # a worker that does not even turn its event loop for this long is replaced


class _Logs(glogging.Logger):  # type: ignore[misc]
    """Gunicorn's own messages go where all logs go; requests are logged by the application."""

    def setup(self, cfg: Any) -> None:
        self.error_log.propagate = True


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        given = [a.partition("=")[2] for a in sys.argv if a.startswith("--socket=")]  # by `serve`, which keeps it
        values: dict[str, Any] = {
            "bind": f"fd://{given[0]}" if given else f"{host}:{settings.port}",
            "worker_class": "gthread",
            "workers": 1,
            "threads": settings.threads,
            "timeout": REQUEST_SECONDS,
            "graceful_timeout": 30,
            "keepalive": 75,
            "preload_app": False,
            "proc_name": "varlake web",
            "limit_request_line": 8190,  # a query with many filters is long
            "logger_class": _Logs,
            "control_socket_disable": True,
        }
        for name, value in values.items():
            if name in self.cfg.settings:  # older releases have no control socket
                self.cfg.set(name, value)

    def load(self) -> OpenAPI:
        return create_app(self._settings)


if __name__ == "__main__":
    sys.exit(run_process(lambda settings: _Gunicorn(settings).run()))
