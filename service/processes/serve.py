"""Starts the web and the engine as processes of their own, passes signals on, and ends when one of them does.

They share nothing but the lake and its job table. Processes, not forks: nothing may fork once Spark has started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import structlog

from lake.errors import BadInput
from service.config import Settings
from service.process import is_loopback

STOP_SECONDS = 40  # enough for the engine's batches at hand, and for requests being answered
_log = structlog.get_logger("varlake.serve")


def main(settings: Settings, *, web_only: bool = False, insecure: bool = False) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code: 0 then, 1 when a process ended by itself.

    Raises `BadInput` for an address other machines reach, unless `insecure`: there is no log-in yet.
    """
    if not is_loopback(settings.host) and not insecure:
        raise BadInput(
            f"The address {settings.host} can be reached from other machines, and there is no log-in yet: who reaches it "
            "reads everything. Listen on 127.0.0.1, or give --insecure where a proxy or a network keeps others out."
        )
    if settings.port == 0:
        settings = settings.model_copy(update={"port": _free_port(settings.host)})
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())

    names = ("web",) if web_only else ("engine", "web")
    processes = {name: _start(name, settings) for name in names}
    announced = False
    try:
        while not stop.wait(0.2):
            ended = {name: p.returncode for name, p in processes.items() if p.poll() is not None}
            if ended:
                _log.error("a process ended by itself, so all do", ended=ended)
                return 1
            if not announced and _answers(settings):
                announced = True
                sys.stdout.write(f"varlake answers at {_url(settings)}\n")
                sys.stdout.flush()
        return 0
    finally:
        _stop(processes)


def _start(name: str, settings: Settings) -> subprocess.Popen[bytes]:
    given = {f"VARLAKE_{k.upper()}": str(v) for k, v in settings.model_dump().items() if v is not None}
    # a session of its own: a Ctrl-C reaches this process alone, which then stops the others in good order
    return subprocess.Popen(
        [sys.executable, "-m", f"service.processes.{name}"], env={**os.environ, **given}, start_new_session=True
    )


def _stop(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    for process in processes.values():
        if process.poll() is None:
            process.terminate()
    for name, process in processes.items():
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _log.error("a process did not stop in time and is killed", process=name, seconds=STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):  # what it has started goes with it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _url(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/"


def _answers(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(_url(settings) + "api/v1/health", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True  # also "there is no lake yet" is an answer
    except OSError:
        return False


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port
