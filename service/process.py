"""What the web and the engine process have in common: settings from the environment, logs as JSON lines, errors in words."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from lake.errors import VarlakeError, of_disk
from service.config import Settings, check_level

FOLLOWED = "--followed"  # on the command line of a process that ends with the one that started it
GRACE_SECONDS = 1.4  # for work to end by itself, before its process is left: what was asked to end has ended within 2 s
_CHILD_SECONDS = 0.3  # for Java to delete its temporary files


def configure_logs(level: str) -> None:
    """Logs of ours and of libraries go to stderr, one JSON object a line. Raises `BadInput` for an unknown level."""
    check_level(level)
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    of_libraries = logging.StreamHandler(sys.stderr)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[of_libraries], force=True)


def run_process(body: Callable[[Settings], None]) -> int:
    """Runs the body of a process; returns its exit code: 2 for an error a user can mend, told in words."""
    settings = Settings()
    if FOLLOWED in sys.argv:
        threading.Thread(target=_follow_parent, name="parent-watcher", daemon=True).start()
    try:
        configure_logs(settings.log_level)
        body(settings)
    except Exception as error:
        told = error if isinstance(error, VarlakeError) else of_disk(error)
        if told is None:
            raise
        structlog.get_logger("varlake").error(told.message)
        return 2
    return 0


def _follow_parent() -> None:
    """Ends this process, the leader of a group, with the one that holds the other end of its standard input."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS + 1)  # by then it has stopped in order, or never will
    os.killpg(0, signal.SIGKILL)


def at_signals(told: Callable[[int], None], handler: Callable[[int], None] = lambda _: None) -> None:
    """At SIGINT and SIGTERM a thread calls `told`, at once, and the main thread `handler`, as soon as it can.

    Python handles a signal between two of its own instructions, and there is none while a kernel is compiled or Java starts.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        signal.signal(number, lambda n, _: handler(n))

    def listen() -> None:
        while got := os.read(reading, 1):
            if got[0] in numbers:
                told(got[0])

    threading.Thread(target=listen, name="signals", daemon=True).start()


def end_descendants() -> None:
    """Ends the processes that this one has started, and theirs: Java and Spark's workers. Without /proc they see it go, and end."""
    found = set(_descendants(os.getpid()))
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        end = time.monotonic() + _CHILD_SECONDS
        while (found := {p for p in found if _lives(p)}) and time.monotonic() < end:
            time.sleep(0.02)


def _descendants(pid: int) -> Iterable[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            for child in map(int, children.read_text().split()):
                yield child
                yield from _descendants(child)


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def is_loopback(host: str) -> bool:
    """True where only this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
