"""Where in the product a process is, from moment to moment: what the file calls that strace sees are told apart by."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = f"{Path(__file__).resolve().parents[2]}/"
_PRODUCT = tuple(f"{ROOT}{package}/" for package in ("lake", "scenarios", "valuation", "aggregation", "service"))
Stack = tuple[str, ...]


@contextlib.contextmanager
def watched(path: Path) -> Iterator[None]:
    """Notes each line of the product that a thread of this process comes to meanwhile, with what called it, and writes that to a file."""
    watch = _Watch()
    threading.settrace(watch.called)
    sys.settrace(watch.called)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        watch.write(path)


class _Watch:
    def __init__(self) -> None:
        self._moments: list[tuple[int, int, int]] = []
        self._stacks: dict[tuple[tuple[Any, int], ...], int] = {}

    def called(self, frame: FrameType, _event: str, _argument: object) -> Any:
        return self._at if frame.f_code.co_filename.startswith(_PRODUCT) else None

    def _at(self, frame: FrameType, event: str, _argument: object) -> Any:
        # after a return, the line of the caller goes on
        at = frame.f_back if event == "return" else frame
        stack = []
        while at is not None:
            if at.f_code.co_filename.startswith(_PRODUCT):
                stack.append((at.f_code, at.f_lineno))
            at = at.f_back
        number = self._stacks.setdefault(tuple(stack), len(self._stacks))
        self._moments.append((time.time_ns(), threading.get_native_id(), number))
        return self._at

    def write(self, path: Path) -> None:
        stacks = [
            [f"{code.co_filename.removeprefix(ROOT)}:{code.co_qualname}:{line}" for code, line in reversed(stack)]
            for stack in list(self._stacks)  # threads that go on add to it
        ]
        path.write_text(json.dumps({"moments": self._moments, "stacks": stacks}))


class Places:
    """What a watch has noted, to be looked up by moment."""

    def __init__(self, path: Path) -> None:
        found = json.loads(path.read_text())
        self._stacks: list[Stack] = [tuple(s) for s in found["stacks"]]
        self._of: dict[int | None, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for moment, thread, stack in sorted(found["moments"]):
            for key in (thread, None):
                self._of[key][0].append(moment)
                self._of[key][1].append(stack)

    def at(self, moment: int, thread: int) -> Stack:
        """The line that the thread was at, its callers first; of a thread that is none of Python's, the line that any was at last, which
        waits for it. Nothing before the first line."""
        times, stacks = self._of[thread if thread in self._of else None]
        i = bisect_right(times, moment) - 1
        return self._stacks[stacks[i]] if i >= 0 else ()
