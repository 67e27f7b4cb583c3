"""File calls of a command, as strace sees them: listed, and one of them failed or made the last one."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from forked import Command

# calls that change what is on disk, and those that read it
WRITES = (
    "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "link", "linkat",
    "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat",
)  # fmt: skip
READS = ("openat", "read", "pread64", "newfstatat", "statx", "getdents64", "flock")
_CALL = re.compile(r"^(\d+) +(\w+)\(")


def need_strace() -> str:
    """The program, or the test is skipped and says why."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed; with it file calls are failed one by one (Debian: package strace)")
    return found


class Traced(NamedTuple):
    """What a command did while strace looked on. lines : the calls, with their thread; returncode : None where it never ended."""

    lines: list[str]
    returncode: int | None
    said: str


def _traced(command: Command, notes: Path, calls: Sequence[str], *more: str, seconds: float = 60) -> Traced:
    """Lets a command go with strace attached to it: all counts begin there."""
    arguments = [need_strace(), "-f", "-y", "-o", str(notes), "-e", f"trace={','.join(calls)}", *more]
    with subprocess.Popen([*arguments, "-p", str(command.pid)], stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        if "attached" not in attached:
            command.go(0)
            raise AssertionError(f"strace is not attached: {attached}")
        code = command.go(seconds)
        tracer.communicate(timeout=60)
    return Traced(notes.read_text(errors="replace").splitlines(), code, command.said())


def trace(command: Command, lake: Path, notes: Path, calls: Sequence[str]) -> list[tuple[str, int]]:
    """The calls that the command makes on files of the lake: name, and which one it is of that name in its thread."""
    done = _traced(command, notes, calls)
    assert done.returncode == 0, done.said
    seen: Counter[tuple[str, str]] = Counter()
    found = set()
    for line in done.lines:
        if match := _CALL.match(line):
            seen[match.groups()] += 1  # type: ignore[index]
            if str(lake) in line:
                found.add((match[2], seen[match[1], match[2]]))
    return sorted(found)


class Injected(NamedTuple):
    """What a command did with a fault. hit : whether a call on a file of the lake had it; returncode : None where it never ended."""

    hit: bool
    returncode: int | None
    said: str


def inject(command: Command, lake: Path, notes: Path, call: str, fault: str, when: str) -> Injected:
    """Lets a command go with a fault, such as `signal=KILL` or `error=EIO`, at one call, such as `3`, or from it on, `3+`.

    The count is of each thread, and a thread that waits for another makes such calls too.
    """
    done = _traced(command, notes, (call,), "-e", f"inject={call}:{fault}:when={when}")
    return Injected(any("(INJECTED)" in line and str(lake) in line for line in done.lines), done.returncode, done.said)
