"""The units that market files are in, and which of them a level that is hardly meant as it stands is likely in."""

from __future__ import annotations

import math

from scenarios.types import FACTOR_TYPES

# by the word of a catalogue: what a value is multiplied by
UNITS = {"percent": 0.01, "basis points": 0.0001, "volatility points": 0.01, "pence": 0.01, "cents": 0.01}
# what a level is about: it tells which unit a file is in
_ABOUT = {
    "implied_vol": 0.2,
    "normal_vol": 0.008,
    "recovery_rate": 0.4,
    "basis_spread": 0.001,
    "cds_spread": 0.01,
    "credit_spread": 0.01,
    "hazard_rate": 0.01,
}


def likely_unit(kind: str, level: float) -> tuple[str, float] | None:
    """The unit that a level is in which is hardly meant as a fraction, and what a value in it is multiplied by.

    None for a type that is no fraction, and where no unit makes the level plausible.
    """
    made = FACTOR_TYPES[kind]
    if not made.unit.startswith("fraction"):
        return None
    of = ("volatility points", "basis points") if kind == "implied_vol" else ("percent", "basis points")
    low, high = made.plausible
    fitting = [unit for unit in of if low <= level * UNITS[unit] <= high and level]
    if not fitting:
        return None
    best = min(fitting, key=lambda u: abs(math.log(abs(level) * UNITS[u] / _ABOUT.get(kind, 0.03))))
    return best, UNITS[best]
