"""What a lake holds before and after a command that is broken, to compare."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from forked import Command, forked
from writing_commands import OPERATIONS

from lake.audit_check import ActFilter, recorded_acts, verify_trail
from lake.schemas import TABLES
from lake.tables import Lake

# columns that say when a row was made, from what, and at what cost: no two runs share them
OF_A_RUN = (
    *("run_id", "created_at", "loaded_at", "sealed_at", "table_versions", "valued", "reused"),
    *("cost_us", "pricing_seconds", "elapsed_seconds"),
)
Contents = dict[str, Counter[str]]
State = dict[Path, tuple[int, int, int]]


@contextlib.contextmanager
def copied(lake: Path, folder: Path) -> Iterator[Path]:
    """A copy of a lake, as good as the lake itself; removed afterwards."""
    shutil.copytree(lake, folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def state(lake: Path) -> State:
    """Each file and folder of a lake, and what changes when it is written to."""
    found = ((path, path.lstat()) for path in (lake, *lake.rglob("*")))
    return {path: (at.st_ino, at.st_mtime_ns, at.st_size) for path, at in found}


def contents(path: Path) -> Contents:
    """Every row of every table, without what belongs to the run that wrote it. Every file is read."""
    lake = Lake.open(path)
    return {name: rows(lake, name) for name in TABLES}


def rows(lake: Lake, name: str) -> Counter[str]:
    table = lake.read(name)
    return Counter(map(repr, table.select([c for c in table.column_names if c not in OF_A_RUN]).to_pylist()))


@dataclass(frozen=True)
class Broken:
    """One operation to be broken many times, on copies of the lake it starts from.

    seconds : how long it takes, forked and as a shell starts it.
    """

    name: str
    start: Path
    arguments: list[str]
    before: Contents
    complete: Contents
    seconds: dict[bool, float]

    @classmethod
    def prepare(cls, name: str, lakes: Mapping[str, Path], files: Path, folder: Path) -> Broken:
        """Runs it whole: first as a shell does, which compiles what it needs, so that all later runs make the same calls."""
        start = lakes[OPERATIONS[name].start]
        arguments = [a.format(files=files) for a in OPERATIONS[name].arguments]
        seconds, wholes = {}, []
        for shell in (True, True, False):
            with copied(start, folder / "whole") as lake:
                command = Command(arguments, lake, shell=shell)
                began = time.monotonic()
                assert command.go() == 0, command.said()
                seconds[shell] = time.monotonic() - began
                wholes.append(forked(contents, lake))
        before, complete = forked(contents, start), wholes[-1]
        assert lost(complete, before), "the operation writes nothing"
        assert all(w == complete for w in wholes), "a forked command does not write what one does that a shell starts"
        return cls(name, start, arguments, before, complete, seconds)

    def fault(self, lake: Path, acknowledged: bool) -> str | None:
        """What is wrong with a lake on which the command was broken, and then is run again; None where nothing is."""
        if wrong := forked(_broken, lake, self.before, self.complete, acknowledged):
            return wrong
        again = Command(self.arguments, lake)
        if (code := again.go()) != 0:
            return f"run again it exits with {code} and says {again.said()!r}"
        return forked(_incomplete, lake, self.complete)


def _broken(lake: Path, before: Contents, complete: Contents, acknowledged: bool) -> str | None:
    """What is wrong with a lake on which a command was broken."""
    found = contents(lake)
    if not (trail := verify_trail(Lake.open(lake))).holds:
        return f"the audit trail does not hold: {trail.fault}"
    if missing := lost(before, found):
        return f"rows lost from {missing}"
    if strange := lost(found, complete):
        return f"rows in {strange} that no whole run writes"
    return "it exited 0 and had not written all" if acknowledged and found != complete else None


def _incomplete(lake: Path, complete: Contents) -> str | None:
    """What is wrong with a lake on which a broken command was run again."""
    trail = verify_trail(Lake.open(lake))
    if trail.fault or recorded_acts(Lake.open(lake).trail, ActFilter(outcome="open")):
        return f"run again the audit trail has an open act, or does not hold: {trail.fault}"
    return None if contents(lake) == complete else "run again it is not what a whole run makes"


def read_over_and_over(there: Connection, lake: Path, whole: Sequence[Contents]) -> None:
    """Reads each table whenever its log has changed, and one more in turn, until told to stop; sends what was wrong: an error, or rows
    that no lake of `whole` has."""
    logs = {name: lake / name / "_delta_log" for name in TABLES}
    wrong: list[str] = []
    seen = {name: _changed(log) for name, log in logs.items()}
    turns = itertools.cycle(TABLES)
    there.send("ready")
    while not there.poll(0.01):
        changed = {name: _changed(log) for name, log in logs.items()}
        for name in dict.fromkeys([*(n for n in TABLES if changed[n] != seen[n]), next(turns)]):
            try:
                found = rows(Lake.open(lake), name)
            except Exception as error:  # a reader is never refused because of a writer
                wrong.append(f"a reader met {type(error).__name__}: {error}")
                continue
            if not any(not found - other[name] for other in whole):
                wrong.append(f"a reader saw rows of {name} that no whole run writes")
        seen = changed
    there.send(wrong)


def _changed(folder: Path) -> int | None:
    """When a file came into a folder, or went; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return folder.stat().st_mtime_ns
    return None


def lost(before: Contents, after: Contents) -> list[str]:
    """The tables in which rows of `before` are not in `after`."""
    return [name for name in before if before[name] - after[name]]
