"""What the last questions made, kept for the next ones while it fits."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from lake.disk_cache import Kept

T = TypeVar("T")


ANSWER_BYTES = 512 << 20


@dataclass(frozen=True)
class Remembered:
    """A memoised value with strong references to its key objects, so that their `id()` cannot be reused."""

    made: Any
    read: tuple[object, ...]
    nbytes: int


# Selections, exchange rates and group P&L of the last questions, of all lakes of the process
answers = Kept(1024, ANSWER_BYTES, operator.attrgetter("nbytes"))


def recalled(kind: Hashable, read: tuple[object, ...]) -> Any | None:
    """What `remembered` has kept from the very objects in `read`, None where nothing is."""
    kept: Remembered | None = answers.found((kind, *map(id, read)))
    return None if kept is None else kept.made


def remembered(kind: Hashable, read: tuple[object, ...], make: Callable[[], T], size: Callable[[T], int]) -> T:
    """What `make` gives from the very objects in `read`, none of which may change; kept while the last ones fit."""

    def made() -> Remembered:
        value = make()
        return Remembered(value, read, size(value))

    return cast(T, answers.get((kind, *map(id, read)), made).made)
