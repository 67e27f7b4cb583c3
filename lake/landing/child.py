"""Files decoded in a process of its own, whose memory and time are limited: what a file does to its library stays there.

Enter at `in_child`. The process is started once and kept for the next file.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.child_process import WAIT, Child, ChildEnded, ChildFailed, ChildWaited, IdleChildren, Work, inside
from lake.errors import BadInput, VarlakeError

SETTING = "VARLAKE_DECODED_MIB"
DEFAULT_MIB = 1024  # as in service.config
TIMES = 8  # cells as columns take up to so many times their text: a plain file is never too large
SECONDS_SETTING = "VARLAKE_DECODE_SECONDS"
DEFAULT_SECONDS = 8  # as in service.config
_SECONDS_A_MIB = 5  # more for each MiB of the file: four times what R data, the slowest format, was measured to take
_COPIES = 3  # of what a file may hold, in memory at the same time: as it comes, as it is trimmed, as it is told
_MARGIN = 1 << 30  # bytes of the process itself and its libraries


def most_held(size: int) -> int:
    """Bytes that a file of this size may hold once decoded."""
    return max(int(os.environ.get(SETTING) or DEFAULT_MIB) << 20, TIMES * size)


_log = logging.getLogger(__name__)


def in_child(work: Work, path: Path, *args: Any) -> Iterator[pa.Table]:
    """The tables of `work(path, *args)`, a function of a module, each while the next is made; in a child it is simply called.

    Raises what the work raises, `BadInput` that names the file where it takes too much memory or time, ends its process or fails in
    any other way, and `Stopped` where nobody wants it any more. A file may take VARLAKE_DECODE_SECONDS of processor time and five
    for each MiB of its size, and memory for three times what it may hold (`Bound`) and 1 GiB.
    """
    if inside():
        yield from work(path, *args)
        return
    child, reusable = _children.take(), False
    try:
        yield from _of_file(child, work, path, args)
        reusable = True
    except VarlakeError as error:
        reusable = getattr(error, "told_by_child", False)
        raise
    finally:
        if reusable:
            _children.give_back(child)
        else:
            child.end()


def one_in_child(work: Work, path: Path, *args: Any) -> pa.Table:
    """As `in_child`, of work that gives one table."""
    (table,) = in_child(work, path, *args)
    return table


def _child() -> Child:
    return Child("lake.landing.sheet", "while a file is decoded")


_children = IdleChildren(lambda: _child())


def _of_file(child: Child, work: Work, path: Path, args: tuple[Any, ...]) -> Iterator[pa.Table]:
    seconds = int(os.environ.get(SECONDS_SETTING) or DEFAULT_SECONDS)
    size = path.stat().st_size if path.exists() else 0
    seconds += (_SECONDS_A_MIB * size) >> 20
    memory = _COPIES * most_held(size) + _MARGIN
    setting = {SETTING: os.environ.get(SETTING, "")}
    try:
        yield from child.tables(work, (path, *args), seconds, memory, WAIT * seconds, setting)
    except ChildFailed as error:
        _log.debug("%s was not decoded: %s", path, error.trace)
        why = error.message
        if error.memory:
            why = f"it needs more than the {memory >> 20:,} MiB of memory that it may take ({SETTING})"
        raise BadInput(f"{path.name} cannot be decoded: {why}. Nothing of it is loaded.") from None
    except ChildWaited:
        raise BadInput(
            f"{path.name} was not decoded in {WAIT * seconds:,.0f} s ({SECONDS_SETTING}); nothing of it is loaded."
        ) from None
    except ChildEnded as error:
        raise BadInput(_why_dead(path.name, error, seconds, memory)) from None


def _why_dead(name: str, ended: ChildEnded, seconds: int, memory: int) -> str:
    code = ended.code
    if code == -signal.SIGXCPU:
        reason = f"took more than the {seconds:,} s of processor time that it may take ({SECONDS_SETTING})"
    elif code == -signal.SIGKILL:
        reason = (
            f"was ended by the system or by somebody ({ended.how}), as it is where the memory of the machine is used up"
        )
    else:
        reason = (
            f"ended its process ({ended.how}): its library failed over it, or needed more than the {memory >> 20:,} MiB of memory that it "
            f"may take ({SETTING})"
        )
    return f"{name} cannot be decoded: this {reason}. Nothing of it is loaded; check what it holds, or divide it."
