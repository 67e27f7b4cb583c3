"""Amounts and their units on levels. A unit that does not suit a factor is an error, never a guess.

| factors                       | moved by            | set to, compared with    |
|-------------------------------|---------------------|--------------------------|
| rates, spreads, volatilities,
| recoveries                    | %, bp, pt           | %, bp, pt, or a plain 0  |
| shares, commodities, FX       | %, their currency   | plain or their currency  |
| equity indices                | %, points           | plain or points          |

% moves the level by a share of itself; for a rate of 2%, +1% gives 2.02%, and +1pt or +100bp gives 3%. Of an interest-rate
future the rate is moved that it quotes: +100bp takes a point off its price.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lake.arrays import Bools, Floats
from lake.errors import BadInput, Issue
from lake.words import first_of
from scenarios.stress.language import amount_text
from scenarios.types import FACTOR_TYPES, RiskFactor

_FUTURE = "rate_future"  # quoted as 100 less a rate in percent: what is said of it is said of that rate
FRACTIONS = (*(name for name, kind in FACTOR_TYPES.items() if kind.unit.startswith("fraction")), _FUTURE)
_PER_UNIT = {"%": 100.0, "pt": 100.0, "bp": 10_000.0}  # of a level that is a fraction a year
_SHOWN = 3


def listed(factors: Sequence[RiskFactor]) -> str:
    """The ids, the first few by name."""
    return first_of((f.risk_factor_id for f in factors), _SHOWN)


def own_unit(factor: RiskFactor) -> str:
    """The absolute unit of a factor that is no fraction: index points, else its currency."""
    return "points" if factor.type == "index_level" else factor.currency


def as_rates(factors: Sequence[RiskFactor], levels: Floats) -> Floats:
    """Levels (n_factors, n_nodes), those of futures as the rates that they quote."""
    return np.where(_futures(factors), (100.0 - levels) / 100.0, levels)


def as_quotes(factors: Sequence[RiskFactor], rates: Floats) -> Floats:
    """The inverse of `as_rates`."""
    return np.where(_futures(factors), 100.0 - 100.0 * rates, rates)


def _futures(factors: Sequence[RiskFactor]) -> Bools:
    return np.array([f.type == _FUTURE for f in factors])[:, None]


def _moved(factors: Sequence[RiskFactor], levels: Floats, move: Callable[[Floats], Floats]) -> Floats:
    """Levels after a move of what they are or quote; a future that does not move keeps its bits."""
    rates = as_rates(factors, levels)
    moved = move(rates)
    return np.where(_futures(factors), levels - 100.0 * (moved - rates), moved)


def check_units(factors: Sequence[RiskFactor], unit: str, allowed_too: tuple[str, ...], what: str) -> None:
    """Raises `BadInput` unless the unit suits every factor."""
    for f in factors:
        allowed = ("%", "bp", "pt") if f.type in FRACTIONS else (*allowed_too, own_unit(f))
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
    check_units(factors, unit, ("%",), what)
    if unit == "%":
        check_levels_positive(factors, as_rates(factors, levels), what)
        return _moved(factors, levels, lambda old: old * (1.0 + value / 100.0))
    return _moved(factors, levels, lambda old: old + value / _PER_UNIT.get(unit, 1.0))


def multiplied(factors: Sequence[RiskFactor], levels: Floats, value: float) -> Floats:
    """Levels times `value`, which is positive. Raises `BadInput` where a level is not."""
    check_levels_positive(factors, as_rates(factors, levels), f"x{value:g}")
    return _moved(factors, levels, lambda old: old * value)


def level_of(factors: Sequence[RiskFactor], value: float, unit: str) -> float:
    """The level a value with a unit means for these factors, of a future its rate; raises `BadInput` when the unit does not suit one.

    A rate, spread or volatility without a unit is refused: 2.5 may be 2.5% or 250%.
    """
    if value == 0 and not unit:
        return 0.0
    check_units(factors, unit, ("",), f"The level {value:g}{unit}")
    fractions = {f.type in FRACTIONS for f in factors}
    return value / _PER_UNIT[unit] if fractions == {True} else value
