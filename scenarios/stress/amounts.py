"""Amounts and their units on levels. A unit that does not suit a factor is an error, never a guess.

| factors                       | moved by            | set to, compared with    |
|-------------------------------|---------------------|--------------------------|
| rates, spreads, volatilities  | %, bp, pt           | %, bp, pt, or a plain 0  |
| shares, commodities, FX       | %, their currency   | plain or their currency  |
| equity indices                | %, points           | plain or points          |

% moves the level by a share of itself; for a rate of 2%, +1% gives 2.02%, and +1pt or +100bp gives 3%.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lake.arrays import Floats
from lake.errors import BadInput, Issue
from scenarios.stress.language import amount_text
from scenarios.types import FACTOR_TYPES, RiskFactor

_FUTURE = "rate_future"  # moves by its rate, of which its price is 100 less
FRACTIONS = tuple(name for name, kind in FACTOR_TYPES.items() if kind.unit == "fraction a year")
_PER_UNIT = {"%": 100.0, "bp": 10_000.0, "pt": 100.0}  # of a level that is a fraction a year
_OF_A_RATE = tuple(_PER_UNIT)
_SHOWN = 3


def listed(factors: Sequence[RiskFactor]) -> str:
    """The ids, the first few by name."""
    more = f" and {len(factors) - _SHOWN} more" if len(factors) > _SHOWN else ""
    return ", ".join(f.risk_factor_id for f in factors[:_SHOWN]) + more


def own_unit(factor: RiskFactor) -> str:
    """The absolute unit of a factor that is no fraction: index points, else its currency."""
    return "points" if factor.type == "index_level" else factor.currency


def check_units(factors: Sequence[RiskFactor], unit: str, allowed_too: tuple[str, ...], what: str) -> None:
    """Raises `BadInput` unless the unit suits every factor."""
    for f in factors:
        allowed = _OF_A_RATE if f.type in FRACTIONS else (*allowed_too, own_unit(f))
        if unit not in allowed:
            names = ", ".join(repr(a) if a else "none" for a in allowed)
            message = f"{what}: the unit {unit or 'none'} does not suit {f.risk_factor_id} ({f.type}, {f.unit}). "
            raise BadInput(message + f"Expected: {names}.", issues=[Issue("change", message, unit, allowed)])


def check_levels_positive(factors: Sequence[RiskFactor], levels: Floats, what: str) -> None:
    """A share of a level that is not positive is no move (WTI closed at -36.98 on 2020-04-20)."""
    bad = np.flatnonzero((levels <= 0).any(axis=1)).tolist()
    if bad:
        f = factors[bad[0]]
        use = "bp or pt" if f.type in FRACTIONS else own_unit(f)
        raise BadInput(
            f"{what} moves by a share of the level, but {listed([factors[i] for i in bad])} is not positive "
            f"({levels[bad[0]].min():g}). Move it by {use}, or set it with `=`."
        )


def shifted(factors: Sequence[RiskFactor], levels: Floats, value: float | Floats, unit: str) -> Floats:
    """Levels (n_factors, n_nodes) moved by `value`: one number, (n_nodes,), or (n_factors, 1). Raises `BadInput`."""
    largest = float(np.max(np.abs(value)))
    what = amount_text(float(value), unit) if np.ndim(value) == 0 else f"A move of up to {largest:g}{unit}"
    if unit not in _OF_A_RATE:
        check_units(factors, unit, ("%",), what)
        return levels + value
    check_units([f for f in factors if f.type != _FUTURE], unit, ("%",), what)
    rates = _rates_of_futures(factors, levels)
    if unit == "%":
        check_levels_positive(factors, rates, what)
        rates = rates * (1.0 + value / 100.0)
    else:
        rates = rates + value / _PER_UNIT[unit]
    return _rates_of_futures(factors, rates, back=True)


def _rates_of_futures(factors: Sequence[RiskFactor], levels: Floats, *, back: bool = False) -> Floats:
    """The levels with the rate of each interest-rate future in place of its price, or back."""
    rows = [i for i, f in enumerate(factors) if f.type == _FUTURE]
    if not rows:
        return levels
    out = levels.copy()
    out[rows] = 100.0 - 100.0 * levels[rows] if back else (100.0 - levels[rows]) / 100.0
    return out


def multiplied(factors: Sequence[RiskFactor], levels: Floats, value: float) -> Floats:
    """Levels times `value`, which is positive. Raises `BadInput` where a level is not."""
    rates = _rates_of_futures(factors, levels)
    check_levels_positive(factors, rates, f"x{value:g}")
    return _rates_of_futures(factors, rates * value, back=True)


def level_of(factors: Sequence[RiskFactor], value: float, unit: str) -> float:
    """The level a value with a unit means for these factors; raises `BadInput` when the unit does not suit one.

    A rate, spread or volatility without a unit is refused: 2.5 may be 2.5% or 250%.
    """
    if value == 0 and not unit:
        return 0.0
    check_units(factors, unit, ("",), f"The level {value:g}{unit}")
    fractions = {f.type in FRACTIONS for f in factors}
    return value / _PER_UNIT[unit] if fractions == {True} else value
