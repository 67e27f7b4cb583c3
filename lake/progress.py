"""How long work tells how far it is, how it is stopped, and how much of this machine it may take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from lake.errors import Conflict, VarlakeError

Progress = Callable[[str, int, int], None]  # a stage, and how much of how much of it is done


def silent(stage: str, done: int, total: int) -> None:
    """Tells nobody how far the work is."""


class Cancelled(Conflict):
    """The run was cancelled; what was committed before stays and is reused by the next run."""

    title = "Cancelled"


def go_on(cancelled: threading.Event | None, work: str = "valuation") -> None:
    """Raises `Cancelled` once the work is to stop."""
    if cancelled is not None and cancelled.is_set():
        raise Cancelled(f"The {work} was cancelled; what it had committed stays, and is reused.")


class Stopped(VarlakeError):
    """The work took, or would take, more than whoever asks is allowed, or is asked for by nobody any more."""


class Allowance:
    """What the work at hand may take; of this class everything. A door that serves many at once has narrower ones."""

    heavy = False  # whether it stands back behind other work

    def heed(self) -> None:
        """Called between pieces of work; raises `Stopped` where no more is to be done."""

    def expect(self, core_seconds: Callable[[], float]) -> None:
        """Called before any work with what all of it takes at the most; raises `Stopped` where that is too much."""

    def spend(self, core_seconds: float) -> None:
        """Called before work that is expected to take so long; raises `Stopped` where that is too much."""

    def show(self, rows: int, columns: Sequence[str]) -> None:
        """Called before the rows of an answer are worked on, with how many there will be; raises where that is too much."""


_EVERYTHING = Allowance()
_allowance: ContextVar[Allowance] = ContextVar("allowance", default=_EVERYTHING)


def allowance() -> Allowance:
    """What the work of this thread may take."""
    return _allowance.get()


@contextmanager
def allowed(what: Allowance) -> Iterator[None]:
    """Work inside may take what is allowed."""
    before = _allowance.set(what)
    try:
        yield
    finally:
        _allowance.reset(before)
