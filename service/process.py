"""What the web and the engine process have in common: settings from the environment, logs as JSON lines, errors in words."""

from __future__ import annotations

import ipaddress
import logging
import sys
import threading
from collections.abc import Callable

import structlog

from lake.errors import VarlakeError, of_disk
from service.config import Settings, check_level
from service.ending import FOLLOWED, follow_parent


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
        threading.Thread(target=follow_parent, name="parent-watcher", daemon=True).start()
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


def is_loopback(host: str) -> bool:
    """True where only this machine can reach the address."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_address(host: str) -> bool:
    """True for an address in digits, false for a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
