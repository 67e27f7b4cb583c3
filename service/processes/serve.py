"""Starts the web and the engine as processes of their own, starts either again when it dies, and passes signals on.

They share nothing but the lake and its job table, and end with this process, however it ends. Processes, not forks: nothing may
fork once Spark has started.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import structlog

from lake.errors import BadInput, Conflict
from lake.tables import Lake
from service.access.store import AccessStore, alone
from service.config import Settings
from service.ending import FOLLOWED, at_signals

STOP_SECONDS = 40  # enough for requests being answered; the engine takes less
MOST_DEATHS = 6  # of one process in a row, before it is given up
BACK_OFF = 0.5  # seconds before the first new start; twice as long before each that follows
STEADY_SECONDS = 60.0  # a process that ran for so long dies for the first time
ORPHAN_SECONDS = 5.0  # for processes of a `serve` that was killed to end
_log = structlog.get_logger("varlake.serve")


def main(settings: Settings, *, web_only: bool = False) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code: 0 then, 1 when a process could not be kept alive.

    A process that dies is started again, the other goes on. The engine is given up after `MOST_DEATHS`: questions are answered
    then, and jobs wait. `serve` ends when the web is given up, or when a process tells at its first start what a user must mend.

    Raises `Conflict` where another process listens at the address; `BadInput` for what is set up for others while there are no
    users.
    """
    if not alone(settings) and not AccessStore.of(settings).has_users():
        raise BadInput(
            f"The service is set up for others (address {settings.host}, VARLAKE_TRUSTED_PROXY, VARLAKE_ACCESS), and there are no "
            "users: who reaches it could do everything. Add users first, `varlake users add NAME --role admin`, or listen on "
            "127.0.0.1 without these settings."
        )
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with at_signals(lambda _: stop.set(), numbers=signals), _listening(settings) as listener:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        if not web_only:
            _within(ORPHAN_SECONDS, lambda: Lake(settings.lake).written_by() is None)
        children = [_Child(name, settings, listener) for name in (("web",) if web_only else ("engine", "web"))]
        try:
            return _supervise(children, settings, stop)
        finally:
            _stop(children)


def _supervise(children: list[_Child], settings: Settings, stop: threading.Event) -> int:
    code = 0
    threading.Thread(target=_announce, args=(settings,), name="announcer", daemon=True).start()
    while not stop.wait(0.2):
        for child in children:
            if child.given_up or child.lives():
                continue
            _log.critical("a process is given up", process=child.name, exit_code=child.code, deaths=child.deaths)
            code, child.given_up = 1, True
            if child.name == "web" or child.refused:
                return code
    return code


def _announce(settings: Settings) -> None:
    """Says where the web answers, once it does."""
    while not _answers(settings):
        time.sleep(0.2)
    sys.stdout.write(f"varlake answers at {address(settings)}\n")
    sys.stdout.flush()


class _Child:
    """One of the processes, and how often it has died."""

    def __init__(self, name: str, settings: Settings, listener: socket.socket) -> None:
        self.name = name
        self.deaths = 0
        self.code: int | None = None
        self.given_up = False
        self.refused = False  # its first start, in words
        self._settings, self._listener = settings, listener
        self._starts, self._again = 0, 0.0  # how often it was started, when it is again
        self._start()

    def _start(self) -> None:
        given = {f"VARLAKE_{k.upper()}": str(v) for k, v in self._settings.model_dump().items() if v is not None}
        socket_of = {"web": self._listener.fileno()}.get(self.name)
        # a session of its own: a Ctrl-C reaches this process alone, which then stops the others in good order
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", f"service.processes.{self.name}", FOLLOWED),
                *([] if socket_of is None else [f"--socket={socket_of}"]),
            ],
            env={**os.environ, **given},
            start_new_session=True,
            stdin=subprocess.PIPE,  # closed by the system when this process ends, however it does
            pass_fds=() if socket_of is None else (socket_of,),
        )
        self._started, self._starts, self.code = time.monotonic(), self._starts + 1, None

    def lives(self) -> bool:
        """Whether it runs, or is started again; False once it is beyond help."""
        now = time.monotonic()
        if self.code is None:
            self.code = self.process.poll()
            if self.code is None:
                return True
            self.end_group()
            steady = now - self._started >= STEADY_SECONDS
            self.refused = self.code == 2 and self._starts == 1 and not steady
            self.deaths = 1 if steady else self.deaths + 1
            self._again = now + BACK_OFF * 2 ** (self.deaths - 1)
            _log.error("a process ended by itself", process=self.name, exit_code=self.code, deaths=self.deaths)
        if self.refused or self.deaths >= MOST_DEATHS:
            return False
        if now >= self._again:
            self._start()
        return True

    def end_group(self) -> None:
        """What it has started goes with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def _stop(children: list[_Child]) -> None:
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    for child in children:
        try:
            child.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _log.error("a process did not stop in time and is killed", process=child.name, seconds=STOP_SECONDS)
        child.end_group()
        child.process.wait()


def _listening(settings: Settings) -> socket.socket:
    """The socket of the web, kept while it is started again: nobody else's answer is taken for ours, and no client is refused."""
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def bound() -> bool:
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                listener.close()
                raise BadInput(f"The address {settings.host}, port {settings.port}, cannot be used: {error}.") from None
            return False
        return True

    if not _within(ORPHAN_SECONDS, bound):
        listener.close()
        raise Conflict(
            f"Port {settings.port} of {settings.host} is taken by another process, perhaps another `varlake serve`. Stop that "
            "one, or give another with --port (0 takes a free one)."
        )
    listener.listen(2048)
    return listener


def _within(seconds: float, done: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not (there := done()) and time.monotonic() < end:
        time.sleep(0.1)
    return there


def address(settings: Settings) -> str:
    """Where a browser of this machine finds the web."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/"


def _answers(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(
            address(settings) + "api/v1/health", timeout=60
        ):  # the system holds it until the web is there
            return True
    except urllib.error.HTTPError:
        return True  # also "there is no lake yet" is an answer
    except OSError:
        return False
