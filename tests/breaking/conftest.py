"""What the break tests share: lakes to be copied and broken, and the count of what was tried and what held."""

from __future__ import annotations

import functools
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from operations import Broken
from writing_commands import write_files

from lake.runtime.machine import usable_cores

Item = TypeVar("Item")
NOT_TRIED = "not tried"
TALLY: dict[str, Counter[str]] = defaultdict(Counter)
# how many of each kind are tried, spread evenly over all that could be
TRIES = {"kills": 1000, "flips": 1000, "calls": 400}


def tries(kind: str) -> int:
    """`VARLAKE_BREAK_SHARE=0.1` tries a tenth; `VARLAKE_KILLS`, `VARLAKE_FLIPS` and `VARLAKE_CALLS` are how many are tried."""
    if asked := os.environ.get(f"VARLAKE_{kind.upper()}"):
        return int(asked)
    return max(1, round(TRIES[kind] * float(os.environ.get("VARLAKE_BREAK_SHARE", 1))))


def spread(items: Sequence[Item], count: int, seed: int) -> list[Item]:
    """So many of the items, in a random order that every run shares; all of them where there are fewer."""
    return random.Random(seed).sample(list(items), min(count, len(items)))


def break_all(
    title: str, trial: Callable[[Item], str | None], items: Iterable[Item], at_once: int | None = None
) -> None:
    """Tries every item, as many at once as there are cores. A trial returns what is wrong, None where it held, or NOT_TRIED."""
    with ThreadPoolExecutor(at_once or usable_cores()) as pool:
        faults = []
        for wrong in pool.map(trial, items):
            if wrong == NOT_TRIED:
                continue
            TALLY[title]["tried"] += 1
            TALLY[title]["held"] += wrong is None
            faults += [] if wrong is None else [wrong]
    assert TALLY[title]["tried"], f"{title}: nothing was tried"
    assert not faults, f"{len(faults)} of {TALLY[title]['tried']} did not hold:\n" + "\n".join(faults[:20])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for title, counts in TALLY.items():
        terminalreporter.write_line(f"{title}: {counts['tried']:,} tried, {counts['held']:,} held")


@pytest.fixture(scope="session")
def lakes(bare_lake: Path, valued_lake: Path) -> dict[str, Path]:
    return {"bare": bare_lake, "valued": valued_lake}


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def prepared(lakes: dict[str, Path], files: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Broken]:
    """An operation by its name, run whole once a session."""
    return functools.cache(lambda name: Broken.prepare(name, lakes, files, tmp_path_factory.mktemp("whole")))
