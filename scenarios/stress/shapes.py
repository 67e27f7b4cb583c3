"""Curve shapes: amounts at a few pillars to amounts at every pillar of a curve."""

from __future__ import annotations

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput, unknown
from scenarios.stress.model import Curve, tenor_range
from scenarios.types import RiskFactor, tenor_years

_SAME_TIME = 1e-9  # years


def curve_amounts(step: Curve, pillars: tuple[RiskFactor, ...]) -> tuple[tuple[int, ...], Floats]:
    """Which of the pillars of one curve move, and by how much in the step's unit.

    A bucket moves the pillars it names and no other. Every other shape is linear in time (years, as `tenor_years`) between
    its knots and flat outside them. Raises `BadInput` when a bucket names a pillar the curve does not have.
    """
    years = np.array([tenor_years(p.pillar or "") for p in pillars])
    values = np.array([k.value for k in step.knots])
    if step.shape != "bucket":
        return tuple(range(len(pillars))), np.interp(years, [tenor_range(k.at)[0] for k in step.knots], values)
    moved: dict[int, float] = {}
    for knot in step.knots:
        first, last = tenor_range(knot.at)
        inside = np.flatnonzero((years >= first - _SAME_TIME) & (years <= last + _SAME_TIME)).tolist()
        if not inside:
            raise unknown(f"pillar of curve {pillars[0].curve}", knot.at, (p.pillar or "" for p in pillars))
        moved |= dict.fromkeys(inside, knot.value)
    rows = tuple(sorted(moved))
    return rows, np.array([moved[r] for r in rows])


def by_curve(factors: tuple[RiskFactor, ...], rows: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The selected rows by curve; raises `BadInput` when one is no pillar of a curve."""
    curves: dict[str, list[int]] = {}
    for row in rows:
        f = factors[row]
        if f.curve is None or f.pillar is None:
            raise BadInput(f"{f.risk_factor_id} is no pillar of a curve and takes no shape.")
        curves.setdefault(f.curve, []).append(row)
    return {c: tuple(r) for c, r in curves.items()}
