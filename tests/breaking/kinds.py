"""File calls by their kind: the same call, made by the same place of the product on a file of the same role.

The writing commands make some 20,000 calls on files of a lake, most of them in loops over tables, files and polls. One that fails is
met by the code that made it, so each kind is tried where it is first met, and those that write also where it is last met and once
between, over all commands.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from forked import Command
from operations import copied
from places import Places, Stack
from traced import READS, WRITES, Call, traced
from writing_commands import OPERATIONS

from lake.schemas import TABLES

DEPTH = 4  # lines of the product that name a place: what makes a call, and the three that called it
# no two runs give these names, digests of data files among them where rows say when they were made
_OWN = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4,})*|\d+")
# made on more than files: these fail for good only by the name of the file, else a process could not speak to its own threads
ON_PIPES = ("write", "read")


class Kind(NamedTuple):
    """A call such as `fsync`; the role of the file, such as `TABLE/_delta_log/*.json`; the lines of the product, the caller first."""

    call: str
    role: str
    place: Stack


class Occurrence(NamedTuple):
    """A call of an operation: which one it is of its name in its thread, of those on a file, relative to the lake, where it has a name
    that every run gives it, else of all."""

    operation: str
    call: str
    nth: int
    path: str | None

    def faults(self) -> list[tuple[str, str]]:
        """The errors that it may have, each with when: once, and from then on."""
        once = self.path is None and self.call in ON_PIPES
        errors = ("EIO", "ENOSPC") if self.call in WRITES else ("EIO",)
        return [(error, f"{self.nth}{more}") for error in errors for more in (("",) if once else ("", "+"))]


def role(path: str) -> str:
    """What a file of a lake is, without the names of its table, its partition, and of this one file."""
    parts = [p for p in path.split("/") if "=" not in p]
    return "/".join(_OWN.sub("*", re.sub(rf"^({'|'.join(TABLES)})(?=\.|$)", "TABLE", p)) for p in parts) or "the lake"


def roles(call: Call) -> str:
    """Those of all files that a call names."""
    return " to ".join(dict.fromkeys(map(role, call.paths)))


def calls_by_kind(
    lakes: Mapping[str, Path], files: Path, lake: Path, names: Iterable[str] = OPERATIONS
) -> dict[Kind, list[Occurrence]]:
    """The calls that operations make on files of a lake, in their order. lake : where a copy of the lake lies meanwhile; the names in its
    cache follow from its own."""
    found: dict[Kind, list[Occurrence]] = defaultdict(list)
    for name in names:
        arguments, start = [a.format(files=files) for a in OPERATIONS[name].arguments], lakes[OPERATIONS[name].start]
        runs = []
        for _ in range(2):
            with copied(start, lake):
                runs.append(_watched(arguments, lake))
        for kind, occurrence in calls_of(name, *runs):
            found[kind].append(occurrence)
    return dict(found)


def calls_of(
    operation: str, first: Sequence[tuple[Call, Stack]], second: Sequence[tuple[Call, Stack]]
) -> Iterator[tuple[Kind, Occurrence]]:
    """The calls of the second of two runs. A path that both have has every run."""
    lasting = {path for call, _ in first for path in call.paths} & {path for call, _ in second for path in call.paths}
    counts: Counter[tuple[int, str, str]] = Counter()
    for call, place in second:
        for path in call.paths:
            counts[call.thread, call.name, path] += 1
        told = (
            call.paths[:1] if call.name == "rename" else call.paths[::-1]
        )  # strace finds a renaming by its first path alone
        path = next((p for p in told if p in lasting), None)
        nth = call.nth if path is None else counts[call.thread, call.name, path]
        yield Kind(call.name, roles(call), place), Occurrence(operation, call.name, nth, path)


def _watched(arguments: Sequence[str], lake: Path) -> list[tuple[Call, Stack]]:
    noted = lake.with_name(f"{lake.name}.places")
    command = Command(arguments, lake, places=noted, named=True)
    calls = traced(command, lake, lake.with_name(f"{lake.name}.calls"), (*WRITES, *READS))
    places = Places(noted)
    return [(call, places.at(call.moment, call.thread)[-DEPTH:]) for call in calls]


def chosen(kinds: Mapping[Kind, Sequence[Occurrence]], seed: int = 2) -> list[tuple[Kind, Occurrence]]:
    """Which occurrences of each kind are tried: the first; and of calls that write the last, and one between."""
    draws, found = random.Random(seed), []
    for kind, those in sorted(kinds.items()):
        between = those[1:-1]
        more = [draws.choice(between)] if between else []
        tried = [those[0], *more, those[-1]] if kind.call in WRITES else those[:1]
        found += [(kind, occurrence) for occurrence in dict.fromkeys(tried)]
    return found
