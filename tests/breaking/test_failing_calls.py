"""Every kind of file call of a writer failed, once and for good: a plain error or a whole result, and a re-run completes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import NOT_TRIED, TALLY, break_all, spread, tries
from forked import Command
from kinds import ON_PIPES, Kind, calls_by_kind, chosen, roles
from operations import Broken, copied, state
from traced import READS, WRITES, Injected, inject, traced
from writing_commands import OPERATIONS

pytestmark = [pytest.mark.breaking, pytest.mark.timeout(7200)]
AS_A_SHELL = ("market", "branch")  # of these some are started so: what that adds is the same for all
# calls with which Python finds its modules, too: as a shell starts it, it could not say a word
SHARED = (*ON_PIPES, "openat", "pread64", "newfstatat", "statx", "getdents64")
UNEXPECTED = 70  # the exit code of an error that nobody has put in words
AGAIN = 3  # times that a fault is given until it meets the kind of call that it is for: threads share their work as they like


class Fault(NamedTuple):
    """An error of a call, at one such as `3` or from it on, `3+`. kind : of a forked command; path : on which alone calls are counted."""

    kind: Kind | None
    call: str
    error: str
    when: str
    path: str | None = None

    def told(self) -> str:
        kind, path = self.kind, "" if self.path is None else f" on {self.path or 'the lake'}"
        started = "as a shell starts it" if kind is None else f"of {kind.role} at {' '.join(kind.place)}"
        return f"{self.call} {self.when}{path}, {started}, fails with {self.error}"


class Plan(NamedTuple):
    """What is tried of each operation; and of each kind of call whether it was hit, and always held. lake : where the copies lie, one
    after the other: the names in a cache follow from that of the lake."""

    lake: Path
    faults: dict[str, list[Fault]]
    held: dict[Kind, bool]


@pytest.fixture(scope="module")
def plan(lakes: dict[str, Path], files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    lake = tmp_path_factory.mktemp("kinds") / "lake"
    kinds = calls_by_kind(lakes, files, lake)
    every: dict[str, list[Fault]] = defaultdict(list)
    for kind, occurrence in chosen(kinds):
        for error, when in occurrence.faults():
            every[occurrence.operation].append(Fault(kind, kind.call, error, when, occurrence.path))
    n = sum(map(len, every.values()))
    faults = {name: spread(those, math.ceil(len(those) * tries("calls") / n), 2) for name, those in every.items()}
    held: dict[Kind, bool] = {}
    yield Plan(lake, faults, held)
    calls = sum(map(len, kinds.values()))
    TALLY[f"kinds of file calls, {len(kinds):,} of {calls:,} calls, which {n:,} faults try"].update(
        tried=len(held), held=sum(held.values())
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_file_call_that_fails_ends_in_words_and_loses_nothing(
    name: str, plan: Plan, prepared: Callable[[str], Broken], tmp_path: Path
) -> None:
    broken = prepared(name)
    as_a_shell = (
        [] if name not in AS_A_SHELL else spread(_as_a_shell(broken, tmp_path / "traced"), tries("calls") // 40, 2)
    )

    def trial(fault: Fault) -> str | None:
        for _ in range(1 if fault.kind is None else AGAIN):
            with copied(broken.start, plan.lake) as lake:
                wrong = _fail(broken, fault, lake)
            if wrong != NOT_TRIED:
                break
        else:
            return NOT_TRIED
        if fault.kind is not None:
            plan.held[fault.kind] = plan.held.get(fault.kind, True) and wrong is None
        return wrong and f"{name}, {fault.told()}: {wrong}"

    break_all(f"failing calls of {name}", trial, [*as_a_shell, *plan.faults[name]], at_once=1)


def _as_a_shell(broken: Broken, folder: Path) -> list[Fault]:
    with copied(broken.start, folder) as lake:
        command = Command(broken.arguments, lake, shell=True)
        calls = traced(command, lake, folder.with_name("calls"), (*WRITES, *READS))
    return [
        Fault(None, call, error, f"{nth}{more}")
        for call, nth in sorted({(c.name, c.nth) for c in calls})
        for error in (("EIO", "ENOSPC") if call in WRITES else ("EIO",))
        for more in (("",) if call in SHARED else ("", "+"))
    ]


def _fail(broken: Broken, fault: Fault, lake: Path) -> str | None:
    """What is wrong after a fault in a command on a copy of its lake; NOT_TRIED where it met no call of its kind."""
    before = state(lake)
    command = Command(broken.arguments, lake, shell=fault.kind is None, named=True)
    notes = lake.with_name(f"{lake.name}.calls")
    done = inject(command, lake, notes, fault.call, f"error={fault.error}", fault.when, fault.path)
    if not done.hit or (fault.kind is not None and all(roles(c) != fault.kind.role for c in done.hit)):
        return NOT_TRIED
    if done.elsewhere and fault.call in ON_PIPES:
        return NOT_TRIED  # its threads may wait for each other for good, which no disk makes them do
    if not _in_words(done):
        return f"exit {done.returncode}, {done.said[-600:]}"
    if done.returncode and state(lake) == before:
        return None  # run again, it would do what it does on any copy
    return broken.fault(lake, done.returncode == 0)


def _in_words(done: Injected) -> bool:
    return done.returncode in range(128) and done.returncode != UNEXPECTED and "Traceback" not in done.said
