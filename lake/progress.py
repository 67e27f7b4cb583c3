"""How long work tells how far it is, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lake.errors import Conflict

if TYPE_CHECKING:
    pass


Progress = Callable[[str, int, int], None]


class Cancelled(Conflict):
    """The run was cancelled; what was committed before stays and is reused by the next run."""

    title = "Cancelled"
