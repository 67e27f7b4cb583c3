"""What tests and their fixtures take of a core, which a busy machine does not change as it changes seconds.

    make test ARGS='-p cpu_times' VARLAKE_TEST_TIMES=build/times.jsonl
    .venv/bin/python tests/cpu_times.py build/times.jsonl

Processor time of the process and of the processes that it has waited for: a server or a browser counts where it is ended.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

LEAST = 0.2  # seconds of a fixture that is worth a line
SHOWN = 40


@contextmanager
def measured(kind: str, name: str, least: float = 0.0) -> Iterator[None]:
    """Writes a line when the work has ended; short enough that those of several processes do not mix."""
    before, started = sum(os.times()[:4]), time.monotonic()
    try:
        yield
    finally:
        taken = sum(os.times()[:4]) - before
        if taken >= least and (file := os.environ.get("VARLAKE_TEST_TIMES")):
            line = json.dumps([kind, name, round(taken, 3), round(time.monotonic() - started, 3)])
            with Path(file).open("a") as out:
                out.write(f"{line}\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with measured("test", item.nodeid):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Iterator[None]:
    with measured("fixture", f"{fixturedef.argname} of {fixturedef.baseid or 'tests'}", LEAST):
        return (yield)


def totals(lines: list[list[Any]]) -> dict[str, list[tuple[str, float, int]]]:
    """Core-seconds and how often, the most first: by file, by test without its parameters, and by fixture, which the tests contain."""
    names: dict[str, Callable[[str, str], str | None]] = {
        "file": lambda kind, name: name.partition("::")[0] if kind == "test" else None,
        "test": lambda kind, name: name.partition("[")[0] if kind == "test" else None,
        "fixture": lambda kind, name: name if kind == "fixture" else None,
    }
    found = {}
    for what, of in names.items():
        taken: Counter[str] = Counter()
        often: Counter[str] = Counter()
        for kind, name, cpu, _ in lines:
            if (key := of(kind, name)) is not None:
                taken[key] += cpu
                often[key] += 1
        found[what] = [(key, cpu, often[key]) for key, cpu in taken.most_common()]
    return found


if __name__ == "__main__":
    lines = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    print(f"{sum(x[2] for x in lines if x[0] == 'test'):,.0f} core-seconds in all")
    for what, rows in totals(lines).items():
        print(f"\n{'core-s':>8} {'times':>6}  {what}")
        for key, cpu, n in rows[:SHOWN]:
            print(f"{cpu:8.1f} {n:6}  {key}")
