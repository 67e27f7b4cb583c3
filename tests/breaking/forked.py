"""Fresh processes without the seconds of their start: each is forked from one that has imported everything and opened nothing.

A command waits, stopped, until whoever started it lets it go: meanwhile strace can be attached to it. Some are started as a shell
does, so that the start itself is tried as well.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

from places import watched

from service.cli.main import main

Value = TypeVar("Value")
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["preloaded"])
# the process that is forked looks there for modules; multiprocessing tells it of none
os.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
_STOPPED_AT_ONCE = 'kill -STOP $$; exec "$@"'


# to start a process looks how others have ended: two threads that do so at once read one end twice, and the second finds none
_LOCK = threading.Lock()


def _start(work: Callable[..., None], *arguments: object) -> Any:
    process = CONTEXT.Process(target=work, args=arguments)
    with _LOCK:
        process.start()
    return process


def _ended(process: Any, seconds: float | None = None) -> int | None:
    """Its exit code; None where it goes on after these seconds."""
    wait([process.sentinel], seconds)
    with _LOCK:
        code: int | None = process.exitcode
    return code


def forked(work: Callable[..., Value], *arguments: object) -> Value:
    """What a function of a module returns in a process of its own; raises `AssertionError` with the trace where it raises."""
    here, there = CONTEXT.Pipe()
    process = _start(_answer, there, work, arguments)
    there.close()
    try:
        value, trace = here.recv()
    except EOFError:
        raise AssertionError(f"{work.__name__} ended its process: exit code {_ended(process)}") from None
    _ended(process)
    assert trace is None, trace
    return value  # type: ignore[no-any-return]


def _answer(there: Connection, work: Callable[..., Any], arguments: Sequence[object]) -> None:
    _preloaded()
    try:
        there.send((work(*arguments), None))
    except BaseException:
        there.send((None, traceback.format_exc()))


class Command:
    """`varlake` with arguments, in a process that has stopped before it does anything.

    shell : started as a shell starts it. places : where a forked one writes the lines of the product that it came to, see `places`.
    named : a forked one gives its temporary files the same names in every run.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        lake: Path,
        *,
        shell: bool = False,
        places: Path | None = None,
        named: bool = False,
    ) -> None:
        self._said = lake.with_name(f"{lake.name}.said")
        self._process: Any
        if shell:
            varlake = [str(Path(sys.executable).with_name("varlake")), *arguments]
            with self._said.open("w") as said:
                self._process = subprocess.Popen(
                    ["sh", "-c", _STOPPED_AT_ONCE, "sh", *varlake],
                    env={**os.environ, "VARLAKE_LAKE": str(lake), "PYTHONDONTWRITEBYTECODE": "1"},
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                )
        else:
            self._process = _start(_run, arguments, lake, self._said, places, named)
        self.pid = int(self._process.pid)
        while _state(self.pid) != "T":
            assert self._ended(0) is None, f"it ended before it began: {self.said()}"
            time.sleep(0.001)

    def go(self, seconds: float = 120) -> int | None:
        """Exit code, negative where a signal ended it; None where it was killed after these seconds."""
        os.kill(self.pid, signal.SIGCONT)
        code = self._ended(seconds)
        if code is None:
            self._process.kill()
            self._ended(60)
        return code

    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def _ended(self, seconds: float) -> int | None:
        if isinstance(self._process, subprocess.Popen):
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(seconds)
            return None
        return _ended(self._process, seconds)


def _run(arguments: Sequence[str], lake: Path, said: Path, places: Path | None, named: bool) -> None:
    _preloaded()
    os.environ["VARLAKE_LAKE"] = str(lake)
    sys.argv = ["varlake", *arguments]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND), 2)
    if named:
        draws = random.Random(0)
        uuid.uuid4 = lambda: uuid.UUID(int=draws.getrandbits(128), version=4)
    os.kill(os.getpid(), signal.SIGSTOP)
    if places is None:
        main()
    else:
        with watched(places):
            main()


def _preloaded() -> None:
    """A module that the forked process could not import is left out without a word; and threads do not survive a fork."""
    assert "preloaded" in sys.modules, "nothing was imported before the fork"
    assert not sys.modules["preloaded"].STARTED, "threads were started before the fork"


def _state(pid: int) -> str:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    return ""


@contextlib.contextmanager
def beside(work: Callable[..., None], *arguments: object) -> Iterator[list[str]]:
    """Runs `work(there, *arguments)` in a process meanwhile. It says once that it is ready, goes on until there is something to read
    from `there`, and sends what it found."""
    found: list[str] = []
    here, there = CONTEXT.Pipe()
    process = _start(work, there, *arguments)
    there.close()
    here.recv()
    try:
        yield found
    finally:
        here.send("over")
        found.extend(here.recv())
        _ended(process)
