"""The web process: the application under waitress. Run by `service.processes.serve` as `python -m service.processes.web`.

One process, so that all threads share the mapped vectors and their index; no Spark in it. One thread reads every request and sends
every answer, however slowly its client writes or reads, so that the threads that answer never wait for a client.
"""

from __future__ import annotations

import logging
import resource
import signal
import socket
import sys
import threading
import time
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask
from waitress.utilities import RequestHeaderFieldsTooLarge

from service.api.app import MAX_BODY_BYTES, create_app
from service.config import Settings
from service.encoding import to_json
from service.errors import MAX_HEADER_BYTES, PROBLEM_TYPE, new_error_id, problem
from service.process import run_process

IDLE_SECONDS = 75  # without a byte: a connection kept open between requests, or an answer that is not read
REQUEST_SECONDS = 30  # within which a request has come, headers and body
SLOWEST = 100_000  # bytes a second: a body of files has a second more for so many
ANSWER_SECONDS = 300  # within which an answer has been taken
STOP_SECONDS = 30  # for requests being answered when the process is stopped
CONNECTIONS = 1000
_FORWARDED = {
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
}  # by the proxy: of whom, at which name, by TLS
_BUFFERED = 1 << 40  # bytes of an answer a thread hands over without waiting for the client; larger ones lie on disk


class _Request(HTTPRequestParser):  # type: ignore[misc]
    """A request as it comes, and since when."""

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.began = time.time()


class _Refusal(ErrorTask):  # type: ignore[misc]
    """What is no request is answered with a problem detail, as everything else that fails."""

    def execute(self) -> None:
        error = self.request.error
        detail = f"{error.body}."
        if isinstance(error, RequestHeaderFieldsTooLarge):
            detail = f"The headers are larger than the {MAX_HEADER_BYTES} bytes that are read."
        body = to_json(problem(error.code, error.reason, detail, instance="", error_id=new_error_id())).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", PROBLEM_TYPE))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Request
    error_task_class = _Refusal
    answered = 0.0

    def service(self) -> None:
        super().service()
        self.answered = time.time()

    def overdue(self, now: float) -> bool:
        """Whether its request, or the taking of its answer, lasts longer than it may, though a byte comes now and then."""
        request = self.request
        slow = request is not None and now - request.began > REQUEST_SECONDS + request.body_bytes_received / SLOWEST
        return slow or (bool(self.total_outbufs_len) and not self.requests and now - self.answered > ANSWER_SECONDS)


class WebServer(TcpWSGIServer):  # type: ignore[misc]
    """Waitress with a bound on every stage of a request, and an end in good order."""

    channel_class = _Channel

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            if channel.overdue(now):
                channel.will_close = True

    def serve(self, stop: threading.Event) -> None:
        """Answers until `stop`, and then what has been asked already, for `STOP_SECONDS` at most."""
        while not stop.is_set():
            self._turn(1.0)
        self.accepting = False
        end = time.monotonic() + STOP_SECONDS
        while time.monotonic() < end and any(c.requests or c.total_outbufs_len for c in self.active_channels.values()):
            self._turn(0.1)
        self.task_dispatcher.shutdown(timeout=1)

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)


def web_server(settings: Settings, listener: socket.socket | None = None) -> WebServer:
    """The server of the settings, which listens already; at `listener` where one is given."""
    # a file for each connection, and as many again for what they read
    connections = min(CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
    where: dict[str, Any] = {"sockets": [listener]} if listener else {"host": settings.host, "port": settings.port}
    limits = Adjustments(
        **where,
        threads=settings.threads,
        ident=None,
        backlog=2048,
        connection_limit=connections,
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=1,
        channel_request_lookahead=1,  # a client that has gone is noticed while it is being answered
        max_request_header_size=MAX_HEADER_BYTES,
        max_request_body_size=max(MAX_BODY_BYTES, settings.upload_mib << 20) + 1,
        outbuf_high_watermark=_BUFFERED,
        log_socket_errors=False,
        clear_untrusted_proxy_headers=True,
        **(
            {"trusted_proxy": settings.trusted_proxy, "trusted_proxy_headers": _FORWARDED}
            if settings.trusted_proxy
            else {}
        ),
    )
    info = (listener.family, listener.type, listener.proto, listener.getsockname()) if listener else limits.listen[0]
    return WebServer(create_app(settings), _sock=listener, adj=limits, sockinfo=info, bind_socket=listener is None)


def _run(settings: Settings) -> None:
    given = [int(a.partition("=")[2]) for a in sys.argv if a.startswith("--socket=")]  # by `serve`, which keeps it
    server = web_server(settings, socket.socket(fileno=given[0]) if given else None)
    stop = threading.Event()

    def end(*_: Any) -> None:
        stop.set()
        server.pull_trigger()

    # a light request takes some milliseconds in several turns; with Python's own 5 ms each turn may wait as long for a heavy one
    sys.setswitchinterval(0.001)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # that requests wait for a thread is no fault
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    server.serve(stop)


if __name__ == "__main__":
    sys.exit(run_process(_run))
