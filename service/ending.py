"""How commands and processes end in time: with a signal, with what started them, and with all that they have started."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

FOLLOWED = "--followed"  # on the command line of a process that ends with the one that started it
GRACE_SECONDS = 1.2  # for work to end by itself, before its process is left: what was asked to end has ended within 2 s
_CHILD_SECONDS = 0.3  # for Java to delete its temporary files


class Signalled(BaseException):
    """A command was stopped by the signal `number`. Click would turn a `KeyboardInterrupt` into exit code 1."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def at_signals(
    told: Callable[[int], None],
    handler: Callable[[int], None] = lambda _: None,
    numbers: Sequence[int] = (signal.SIGINT, signal.SIGTERM),
) -> Iterator[None]:
    """At a signal a thread calls `told`, at once, and the main thread `handler`, as soon as it can.

    Python handles a signal between two of its own instructions, and there is none while a kernel is compiled or Java starts.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    awaked = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda n, _: handler(n)) for number in numbers}

    def listen() -> None:
        while got := os.read(reading, 1):
            if got[0] in numbers:
                told(got[0])
        os.close(reading)

    threading.Thread(target=listen, name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(awaked)
        for number, former in before.items():
            signal.signal(number, former)
        os.close(writing)


def follow_parent() -> None:
    """Ends this process, the leader of a group, with the one that holds the other end of its standard input."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS + 1)  # by then it has stopped in order, or never will
    os.killpg(0, signal.SIGKILL)


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
