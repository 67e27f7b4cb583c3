"""How a command is stopped from outside: by Ctrl-C or SIGTERM, as an exception that no library takes for its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """A signal arrived. Click would turn a `KeyboardInterrupt` into exit code 1."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # as shells have it


@contextmanager
def stopped_by(*numbers: signal.Signals) -> Iterator[None]:
    """Raises `Stopped` where one of these signals arrives; signals reach the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
