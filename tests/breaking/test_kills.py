"""Writers killed at every file call, and at any moment: nothing acknowledged is lost, nothing is torn, a re-run completes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import break_all, spread, tries
from forked import Command, beside
from operations import Broken, copied, read_over_and_over
from traced import WRITES, inject, traced
from writing_commands import OPERATIONS

from service.ingests import INGESTS

pytestmark = [pytest.mark.breaking, pytest.mark.timeout(3600)]
AS_A_SHELL = (
    2  # of the kills of an operation, as many again at a random time: what starts and imports is killed there too
)


def test_whatever_can_be_brought_in_is_killed() -> None:
    assert INGESTS.keys() <= OPERATIONS.keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_any_point_it_completes_when_run_again(
    name: str, prepared: Callable[[str], Broken], tmp_path: Path
) -> None:
    broken, number = prepared(name), itertools.count()
    share, draws = tries("kills") // len(OPERATIONS) + 1, random.Random(1)
    kills: list[tuple[bool, str, float]] = []
    for shell, count in ((True, min(AS_A_SHELL, share)), (False, max(share - 2 * AS_A_SHELL, 1))):
        with copied(broken.start, tmp_path / "traced") as lake:
            calls = traced(Command(broken.arguments, lake, shell=shell), lake, tmp_path / "calls", WRITES)
        kills += [(shell, call, nth) for call, nth in spread(sorted({(c.name, c.nth) for c in calls}), count, 1)]
    kills += [(True, "", draws.uniform(0.05, 1.05) * broken.seconds[True]) for _ in range(AS_A_SHELL)]
    kills += [(False, "", draws.uniform(0, 1.05) * broken.seconds[False]) for _ in range(share - len(kills))]

    def trial(kill: tuple[bool, str, float]) -> str | None:
        shell, call, point = kill
        with copied(broken.start, tmp_path / f"lake{next(number)}") as lake:
            with beside(read_over_and_over, lake, (broken.before, broken.complete)) as seen:
                command = Command(broken.arguments, lake, shell=shell)
                if call:
                    notes = lake.with_name(f"{lake.name}.calls")
                    code = inject(command, lake, notes, call, "signal=KILL", str(point)).returncode
                else:
                    code = command.go(point)
            fault = next(iter(seen), None) or broken.fault(lake, code == 0)
        started = "as a shell starts it" if shell else "forked"
        return fault and f"{name}, {started}, killed at {call or 'second'} {point}: {fault}"

    break_all(f"kills of {name}", trial, kills)
