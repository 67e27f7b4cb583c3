"""How long work tells how far it is, and how it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lake.errors import Conflict

Progress = Callable[[str, int, int], None]  # a stage, and how much of how much of it is done


def silent(stage: str, done: int, total: int) -> None:
    """Tells nobody how far the work is."""


class Cancelled(Conflict):
    """The run was cancelled; what was committed before stays and is reused by the next run."""

    title = "Cancelled"


def go_on(cancelled: threading.Event | None) -> None:
    """Raises `Cancelled` once the work is to stop."""
    if cancelled is not None and cancelled.is_set():
        raise Cancelled("The valuation was cancelled; what it had committed stays, and is reused.")
