"""The threads of the reduce: shared by all questions of the process, as many as there are cores."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lake.progress import allowance, allowed
from lake.runtime.machine import usable_cores

S = TypeVar("S")
T = TypeVar("T")
_STANDS_BACK = 15  # how nice the threads of heavy work are to others
_thread = threading.local()


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
    return list(one_by_one(work, items, threads))


def one_by_one(work: Callable[[S], T], items: Sequence[S], threads: int | None = None) -> Iterator[T]:
    """As `each`, every result as soon as it and those before it are there."""
    asked = allowance()
    threads = threads or usable_cores()

    def heeding(item: S) -> T:
        asked.heed()
        with allowed(asked):  # what the work itself calls heeds it too
            return work(item)

    def in_thread(item: S) -> T:
        _thread.working = True
        return heeding(item)

    # work within work stays in its thread: it would wait for a thread of its own pool
    if getattr(_thread, "working", False) or (not asked.heavy and (threads == 1 or len(items) < 2)):
        return map(heeding, items)
    return _pool(threads, asked.heavy).map(in_thread, items)
