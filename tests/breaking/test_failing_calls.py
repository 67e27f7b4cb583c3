"""Every file call of a writer failed, once and for good: a plain error or a whole result, and a re-run completes."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from conftest import NOT_TRIED, break_all, spread, tries
from forked import Command
from operations import Broken, copied
from traced import READS, WRITES, inject, trace
from writing_commands import OPERATIONS

pytestmark = [pytest.mark.breaking, pytest.mark.timeout(3600)]
AS_A_SHELL = 2  # of an operation; all others are forked
# calls that are made on more than files: for good, these fail where a process speaks to its threads and children, which no disk does
ON_PIPES = ("write", "read")
# and those with which Python finds its modules: as a shell starts it, it could not say a word
SHARED = (*ON_PIPES, "openat", "pread64", "newfstatat", "statx", "getdents64")


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_file_call_that_fails_ends_in_words_and_loses_nothing(
    name: str, lakes: dict[str, Path], files: Path, tmp_path: Path
) -> None:
    broken, number = Broken.prepare(name, lakes, files, tmp_path), itertools.count()
    tried: list[tuple[bool, str, str, str]] = []
    for shell, count in ((True, AS_A_SHELL), (False, tries("calls") // len(OPERATIONS) + 1)):
        with copied(broken.start, tmp_path / "traced") as lake:
            calls = trace(Command(broken.arguments, lake, shell=shell), lake, tmp_path / "calls", (*WRITES, *READS))
        faults = [
            (shell, call, error, f"{nth}{more}")
            for call, nth in calls
            for error in (("EIO", "ENOSPC") if call in WRITES else ("EIO",))
            for more in (("",) if call in (SHARED if shell else ON_PIPES) else ("", "+"))
        ]
        tried += spread(faults, count, 2)

    def trial(which: tuple[bool, str, str, str]) -> str | None:
        shell, call, error, when = which
        with copied(broken.start, tmp_path / f"lake{next(number)}") as lake:
            command = Command(broken.arguments, lake, shell=shell)
            done = inject(command, lake, lake.with_name(f"{lake.name}.calls"), call, f"error={error}", when)
            if not done.hit:
                return NOT_TRIED
            if done.returncode in range(128) and "Traceback" not in done.said:
                fault = broken.fault(lake, done.returncode == 0)
            else:
                fault = f"exit {done.returncode}, {done.said[-600:]}"
        started = "as a shell starts it" if shell else "forked"
        return fault and f"{name}, {started}, {call} {when} fails with {error}: {fault}"

    break_all(f"failing calls of {name}", trial, tried)
