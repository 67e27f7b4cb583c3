"""How long work tells how far it is, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable

from lake.errors import Conflict

Progress = Callable[[str, int, int], None]  # a stage, and how much of how much of it is done


def silent(stage: str, done: int, total: int) -> None:
    """Tells nobody how far the work is."""


class Cancelled(Conflict):
    """The run was cancelled; what was committed before stays and is reused by the next run."""

    title = "Cancelled"
