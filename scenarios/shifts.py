"""Kernel: a move between two levels, and the same move applied to another level.

| shift type | move             | applied          |
|------------|------------------|------------------|
| relative   | later/earlier - 1| base (1 + move)  |
| log        | ln(later/earlier)| base exp(move)   |
| absolute   | later - earlier  | base + move      |

Each pair is an exact inverse: applying a factor's own move to the earlier level gives the later one (to rounding).
A ratio to a level that is not positive is no return (WTI closed at -36.98 on 2020-04-20): such a move is NaN, never a number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def move(shift_type: str, earlier: Floats, later: Floats) -> Floats:
    """The move from `earlier` to `later` (any shapes that broadcast); NaN where either is missing or it is undefined."""
    if shift_type == "absolute":
        return later - earlier
    with np.errstate(divide="ignore", invalid="ignore"):
        if shift_type == "relative":
            return np.where(earlier > 0, later / earlier - 1.0, np.nan)
        if shift_type == "log":
            return np.where((earlier > 0) & (later > 0), np.log(later / earlier), np.nan)
    raise ValueError(f"Expected shift type relative, log or absolute, but received {shift_type!r}")


def apply(shift_type: str, base: Floats, moves: Floats) -> Floats:
    """The level after `moves` from `base` (any shapes that broadcast)."""
    if shift_type == "absolute":
        return base + moves
    if shift_type == "relative":
        return base * (1.0 + moves)
    if shift_type == "log":
        return base * np.exp(moves)
    raise ValueError(f"Expected shift type relative, log or absolute, but received {shift_type!r}")
