"""File calls of a command, as strace sees them: listed, and one of them failed or made the last one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from operations import environment

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


def trace(command: Sequence[str], lake: Path, notes: Path, calls: Sequence[str]) -> list[tuple[str, int]]:
    """The calls that the command makes on files of the lake: name, and which one it is of that name in its thread."""
    arguments = [need_strace(), "-f", "-y", "-qq", "-o", str(notes), "-e", f"trace={','.join(calls)}", *command]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment(lake), timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    seen: Counter[tuple[str, str]] = Counter()
    found = set()
    for line in notes.read_text(errors="replace").splitlines():
        if match := _CALL.match(line):
            seen[match.groups()] += 1  # type: ignore[index]
            if str(lake) in line:
                found.add((match[2], seen[match[1], match[2]]))
    return sorted(found)


@dataclass(frozen=True)
class Injected:
    """What a command did with a fault. hit : whether a call on a file of the lake had it; returncode : None where it never ended."""

    hit: bool
    returncode: int | None
    stderr: str


def inject(command: Sequence[str], lake: Path, notes: Path, call: str, fault: str, when: str) -> Injected:
    """Runs the command with a fault, such as `signal=KILL` or `error=EIO`, at one call, such as `3`, or from it on, `3+`.

    The count is of each thread, and a thread that waits for another makes such calls too.
    """
    arguments = [need_strace(), "-f", "-y", "-qq", "-o", str(notes), "-e", f"trace={call}"]
    arguments += ["-e", f"inject={call}:{fault}:when={when}", *command]
    with subprocess.Popen(
        arguments,
        env=environment(lake),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said = process.communicate(timeout=60)[1]
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, code = process.communicate()[1], None
    hit = any("(INJECTED)" in line and str(lake) in line for line in notes.read_text(errors="replace").splitlines())
    return Injected(hit, code, said)
