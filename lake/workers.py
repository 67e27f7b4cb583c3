"""The threads of the reduce: shared by all questions of the process, as many as there are cores."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lake.progress import allowance
from lake.runtime.machine import usable_cores

S = TypeVar("S")
T = TypeVar("T")
_STANDS_BACK = 15  # how nice the threads of heavy work are to others


@functools.cache
def _pool(threads: int, heavy: bool) -> ThreadPoolExecutor:
    """Heavy work has threads of its own: nothing light queues behind it, and the system runs what is light first."""
    return ThreadPoolExecutor(threads, "heavy" if heavy else "reduce", _stand_back if heavy else None)


def _stand_back() -> None:
    with contextlib.suppress(OSError):  # on Linux a thread's own; elsewhere it is of the process, and refused
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _STANDS_BACK)


def each(work: Callable[[S], T], items: Sequence[S], threads: int | None = None) -> list[T]:
    """`work` of every item, in their order; `threads` defaults to the usable cores. The first error is raised.

    Raises `Stopped` between two items where the allowance of whoever asks has ended.
    """
    allowed = allowance()
    threads = threads or usable_cores()

    def heeding(item: S) -> T:
        allowed.heed()
        return work(item)

    if not allowed.heavy and (threads == 1 or len(items) < 2):
        return [heeding(i) for i in items]
    return list(_pool(threads, allowed.heavy).map(heeding, items))
