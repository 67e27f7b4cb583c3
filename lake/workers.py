"""The threads of the reduce: shared by all questions of the process, as many as there are cores."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lake.runtime.machine import usable_cores

S = TypeVar("S")
T = TypeVar("T")


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="reduce")


def each(work: Callable[[S], T], items: Sequence[S], threads: int | None = None) -> list[T]:
    """`work` of every item, in their order; `threads` defaults to the usable cores. The first error is raised."""
    threads = threads or usable_cores()
    if threads == 1 or len(items) < 2:
        return [work(i) for i in items]
    return list(_pool(threads).map(work, items))
