"""File calls of a command, as strace sees them: listed, and one of them failed or made the last one."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
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
_CALL = re.compile(r"^(\d+) +(\d+)\.(\d{9}) (\w+)\(")


def need_strace() -> str:
    """The program, or the test is skipped and says why."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed; with it file calls are failed one by one (Debian: package strace)")
    return found


class Call(NamedTuple):
    """A call on files of a lake. thread, moment : of its entry, in nanoseconds; nth : of all calls of that name in its thread; paths :
    the files, relative to the lake; failed : whether the fault was given to it."""

    thread: int
    moment: int
    name: str
    nth: int
    paths: tuple[str, ...]
    failed: bool


class Traced(NamedTuple):
    """What a command did while strace looked on, and returned; the code is None where it never ended."""

    calls: list[Call]
    returncode: int | None
    said: str


def _traced(command: Command, lake: Path, notes: Path, names: Sequence[str], *more: str, seconds: float = 60) -> Traced:
    """Lets a command go with strace attached to it: all counts begin there."""
    arguments = [need_strace(), "-f", "-y", "--absolute-timestamps=format:unix,precision:ns", "-o", str(notes)]
    arguments += ["-e", f"trace={','.join(names)}", *more, "-p", str(command.pid)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = []
        for line in iter(tracer.stderr.readline, ""):  # how it reads a path comes first
            said.append(line)
            if "attached" in line:
                break
        else:
            command.go(0)
            raise AssertionError(f"strace is not attached: {''.join(said)}")
        code = command.go(seconds)
        tracer.communicate(timeout=60)
    return Traced(calls_in(notes.read_text(errors="replace").splitlines(), lake), code, command.said())


def calls_in(lines: Iterable[str], lake: Path) -> list[Call]:
    """The calls on files of a lake among the lines of strace."""
    of_lake = re.compile(rf'[<"]{re.escape(str(lake))}(?:/([^">]*))?[>"]')
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for line in lines:
        if match := _CALL.match(line):
            thread, seconds, part, name = match.groups()
            seen[thread, name] += 1
            if paths := of_lake.findall(line):
                failed = "(INJECTED)" in line
                found.append(
                    Call(
                        int(thread), int(seconds + part), name, seen[thread, name], tuple(dict.fromkeys(paths)), failed
                    )
                )
    return found


def traced(command: Command, lake: Path, notes: Path, names: Sequence[str]) -> list[Call]:
    """The calls of these names that the command makes on files of the lake, in their order."""
    done = _traced(command, lake, notes, names)
    assert done.returncode == 0, done.said
    return done.calls


class Injected(NamedTuple):
    """What a command did with a fault. hit : the calls on files of the lake that had it; elsewhere : how many others had it, on pipes
    between its threads for one; returncode : None where it never ended."""

    hit: list[Call]
    elsewhere: int
    returncode: int | None
    said: str


def inject(
    command: Command, lake: Path, notes: Path, call: str, fault: str, when: str, path: str | None = None
) -> Injected:
    """Lets a command go with a fault, such as `signal=KILL` or `error=EIO`, at one call, such as `3`, or from it on, `3+`.

    path : of a file in the lake, on which alone calls are counted and fail; else all calls count. The count is of each thread, and a
    thread that waits for another makes such calls too.
    """
    only = () if path is None else ("-P", f"{lake}/{path}" if path else str(lake))
    done = _traced(command, lake, notes, (call,), *only, "-e", f"inject={call}:{fault}:when={when}")
    hit = [c for c in done.calls if c.failed]
    return Injected(hit, notes.read_text(errors="replace").count("(INJECTED)") - len(hit), done.returncode, done.said)
