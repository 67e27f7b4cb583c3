"""Writers killed at every file call, and at any moment: nothing acknowledged is lost, nothing is torn, a re-run completes."""

from __future__ import annotations

import itertools
import random
import subprocess
from pathlib import Path

import pytest
from conftest import break_all, spread, tries
from operations import OPERATIONS, Broken, copied, environment, polled
from traced import WRITES, inject, trace

from service.ingests import INGESTS

pytestmark = [pytest.mark.breaking, pytest.mark.timeout(3600)]


def test_whatever_can_be_brought_in_is_killed() -> None:
    assert INGESTS.keys() <= OPERATIONS.keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_any_point_it_completes_when_run_again(
    name: str, lakes: dict[str, Path], files: Path, tmp_path: Path
) -> None:
    broken, number = Broken.prepare(name, lakes, files, tmp_path), itertools.count()
    with copied(broken.start, tmp_path / "traced") as lake:
        calls = trace(broken.command, lake, tmp_path / "calls", WRITES)
    share, draws = tries("kills") // len(OPERATIONS) + 1, random.Random(1)
    kills: list[tuple[str, float]] = [*spread(calls, share, 1)]
    kills += [("", draws.uniform(0.3, 1.05) * broken.seconds) for _ in range(share - len(kills))]

    def trial(kill: tuple[str, float]) -> str | None:
        call, point = kill
        at = next(number)
        with copied(broken.start, tmp_path / f"lake{at}") as lake:
            with polled(lake, (broken.before, broken.complete)) as seen:
                if call:
                    notes = tmp_path / f"calls{at}"
                    acknowledged = inject(broken.command, lake, notes, call, "signal=KILL", str(point)).returncode == 0
                else:
                    acknowledged = _done_within(point, broken.command, lake)
            fault = next(iter(seen), None) or broken.fault(lake, acknowledged)
        return fault and f"{name} killed at {call or 'second'} {point}: {fault}"

    break_all(f"kills of {name}", trial, kills)


def _done_within(seconds: float, command: list[str], lake: Path) -> bool:
    """Whether it was done and had said so before it was killed."""
    with subprocess.Popen(
        command, env=environment(lake), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            return False
