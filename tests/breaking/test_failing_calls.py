"""Every file call of a writer failed, once and for good: a plain error or a whole result, and a re-run completes."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from conftest import NOT_TRIED, break_all, spread, tries
from operations import OPERATIONS, Broken, copied
from traced import READS, WRITES, inject, trace

pytestmark = [pytest.mark.breaking, pytest.mark.timeout(3600)]
# calls that Python makes elsewhere too, to speak and to find its modules: these fail once, the others also for good
SHARED = ("write", "openat", "read", "pread64", "newfstatat", "statx", "getdents64")


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_file_call_that_fails_ends_in_words_and_loses_nothing(
    name: str, lakes: dict[str, Path], files: Path, tmp_path: Path
) -> None:
    broken, number = Broken.prepare(name, lakes, files, tmp_path), itertools.count()
    with copied(broken.start, tmp_path / "traced") as lake:
        calls = trace(broken.command, lake, tmp_path / "calls", (*WRITES, *READS))
    faults = [
        (call, error, f"{nth}{more}")
        for call, nth in calls
        for error in (("EIO", "ENOSPC") if call in WRITES else ("EIO",))
        for more in (("",) if call in SHARED else ("", "+"))
    ]

    def trial(which: tuple[str, str, str]) -> str | None:
        call, error, when = which
        at = next(number)
        with copied(broken.start, tmp_path / f"lake{at}") as lake:
            done = inject(broken.command, lake, tmp_path / f"calls{at}", call, f"error={error}", when)
            if not done.hit:
                return NOT_TRIED
            if done.returncode in range(128) and "Traceback" not in done.stderr:
                fault = broken.fault(lake, done.returncode == 0)
            else:
                fault = f"exit {done.returncode}, {done.stderr[-600:]}"
        return fault and f"{name}, {call} {when} fails with {error}: {fault}"

    break_all(f"failing calls of {name}", trial, spread(faults, tries("calls"), 2))
