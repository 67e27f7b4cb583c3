"""Kernel: a move between two levels, and the same move applied to another level.

| shift type | move                     | applied                |
|------------|--------------------------|------------------------|
| relative   | (later+d)/(earlier+d) - 1| (base+d) (1+move) - d  |
| log        | ln((later+d)/(earlier+d))| (base+d) exp(move) - d |
| absolute   | later - earlier          | base + move            |

d is the displacement, zero unless given. A relative or log shift with a displacement lies between the plain one (d = 0) and the
absolute one (d large), and is defined for every level above -d: so it can serve rates and prices that go negative.

Each pair is an exact inverse: applying a factor's own move to the earlier level gives the later one (to rounding).
A ratio to a level that is not above -d is no return (WTI closed at -36.98 on 2020-04-20): such a move is NaN, never a number.
"""

from __future__ import annotations

import numpy as np

from lake.arrays import Floats


def move(shift_type: str, earlier: Floats, later: Floats, displacement: float = 0.0) -> Floats:
    """The move from `earlier` to `later` (any shapes that broadcast); NaN where either is missing or it is undefined."""
    if shift_type == "absolute":
        return later - earlier
    start, end = earlier + displacement, later + displacement
    with np.errstate(divide="ignore", invalid="ignore"):
        if shift_type == "relative":
            return np.where(start > 0, end / start - 1.0, np.nan)
        if shift_type == "log":
            return np.where((start > 0) & (end > 0), np.log(end / start), np.nan)
    raise ValueError(f"Expected shift type relative, log or absolute, but received {shift_type!r}")


def apply(shift_type: str, base: Floats, moves: Floats, displacement: float = 0.0) -> Floats:
    """The level after `moves` from `base` (any shapes that broadcast); NaN where a ratio has no base above -displacement."""
    if shift_type == "absolute":
        return base + moves
    start = np.where(base + displacement > 0, base + displacement, np.nan)
    if shift_type == "relative":
        return start * (1.0 + moves) - displacement
    if shift_type == "log":
        return start * np.exp(moves) - displacement
    raise ValueError(f"Expected shift type relative, log or absolute, but received {shift_type!r}")
