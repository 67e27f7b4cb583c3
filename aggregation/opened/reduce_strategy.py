"""Where the product is done: in this process, streamed through it, or on Spark. The bits are the same; the choice is by size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Reduce = Literal["auto", "in-process", "streamed", "spark"]


@dataclass(frozen=True)
class ReduceChoice:
    """How vectors are passed over, why, and how many bytes of them may be in memory at once."""

    reduce: Literal["in-process", "streamed", "spark"]
    because: str
    memory_bytes: float = math.inf

    def to_dict(self) -> dict[str, str]:
        return {"reduce": self.reduce, "because": self.because}


def choose_reduce(asked: Reduce, size: int, memory_bytes: float, *, on_spark: bool) -> ReduceChoice:
    """The choice for vectors of `size` bytes of which `memory_bytes` may be in memory; `on_spark` where a cluster is there.

    `auto` takes the simplest that is allowed: all in memory, else Spark where it has more than this machine, else streamed.
    Streamed passes over half of the vectors at a time where all of them are allowed in memory.
    """
    there = f"{_amount(size)} of vectors"
    if asked == "in-process":
        return ReduceChoice("in-process", f"{there}; in-process was asked for")
    if asked == "spark":
        return ReduceChoice("spark", f"{there}; Spark was asked for")
    if asked == "streamed":
        return ReduceChoice("streamed", f"{there}; streamed was asked for", min(memory_bytes, size / 2))
    if size <= memory_bytes:
        allowed = (
            "without a limit of memory" if memory_bytes == math.inf else f"{_amount(memory_bytes)} allowed in memory"
        )
        return ReduceChoice("in-process", f"{there}, {allowed}", memory_bytes)
    beyond = f"{there}, {_amount(memory_bytes)} allowed in memory"
    if on_spark:
        return ReduceChoice("spark", f"{beyond}, and a Spark cluster is set up")
    return ReduceChoice("streamed", beyond, memory_bytes)


def _amount(size: float) -> str:
    for unit, least in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if size >= least:
            return f"{size / least:,.2f} {unit}"
    return f"{size:,.0f} bytes"
