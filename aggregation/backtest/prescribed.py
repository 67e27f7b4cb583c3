"""What is prescribed for backtests: zones, multipliers, limits of desks, attribution. The numbers stand in the regime's data alone.

A backtest asks of no regime: it takes the Basel standard. `desk-eligibility` takes any, with the same numbers where they are the same.
"""

from __future__ import annotations

import datetime as dt
import functools

from aggregation.kernels.backtest_statistics import TrafficLightRules, Zone
from aggregation.regimes.ima_parameters import ImaParameters, ima_parameters
from aggregation.regimes.regimes import regime_of

_REGIME = "basel@2023"


@functools.cache
def _prescribed() -> ImaParameters:
    return ima_parameters(regime_of(_REGIME, dt.date.max, None))


@functools.cache
def traffic_light_rules() -> TrafficLightRules:
    """Of the traffic light (MAR32.5 to 32.9)."""
    rules = _prescribed().backtesting
    return TrafficLightRules(
        rules.amber_from,
        rules.red_from,
        rules.days,
        float(rules.bank_level),
        rules.plus_factors,
        rules.multipliers,
    )


def desk_limit(level: float, days: int) -> int | None:
    """Exceptions at a level that a desk may have in so many days at most (MAR32.18); None where none is prescribed."""
    rules = _prescribed().backtesting
    limits = {float(text): limit for text, limit in rules.desk_limits.items()}
    return limits.get(level) if days == rules.days else None


def attribution_zone(spearman: float, distance: float) -> Zone:
    """The zone of P&L attribution (MAR32.42)."""
    return _prescribed().attribution.zone(spearman, distance)
