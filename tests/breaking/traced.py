"""File calls of a command, as strace sees them: listed, and one of them failed or made the last one."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
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


def inject(command: Sequence[str], lake: Path, call: str, fault: str, when: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with a fault, such as `signal=KILL` or `error=EIO`, at one call, such as `3`, or from it on, `3+`."""
    arguments = [need_strace(), "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    arguments += ["-e", f"inject={call}:{fault}:when={when}", *command]
    return subprocess.run(arguments, capture_output=True, text=True, env=environment(lake), timeout=120, check=False)
