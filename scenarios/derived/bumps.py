"""GENERATORS "bumps": every risk factor up and down by a small stated size, one at a time.

The P&L of these scenarios are sensitivities: stored, added up over any dimension and explained like any other P&L, since differences
of values add up as values do. Factors stand in the order of the index, each with two scenarios, up and down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from lake.tables import Snapshot
from scenarios.market.base_market import load_base
from scenarios.stress.generate import BaseDefinition
from scenarios.types import FactorIndex, RiskClass, RiskFactor, ScenarioSet, ShiftType

UP, DOWN = "up", "down"


class BumpsDefinition(BaseDefinition):
    """How far each risk factor is moved."""

    method: Literal["bumps"] = "bumps"
    price: float = Field(0.001, gt=0, le=0.1, description="of prices and exchange rates, a fraction of the level")
    rate: float = Field(0.0001, gt=0, le=0.01, description="of rates, spreads and recoveries, added to the level")
    volatility: float = Field(0.001, gt=0, le=0.05, description="of volatilities, added to the level")


def generate(snapshot: Snapshot, definition: BumpsDefinition, name: str) -> ScenarioSet:
    """The set of the definition; raises `NotFound` for a date without a market."""
    market = load_base(snapshot, definition.market_date, definition.calendar, definition.max_held_days)
    size = bump_sizes(market.index, market.base, definition.model_dump())
    n = len(size)
    levels = np.repeat(market.base[:, None], 2 * n, axis=1)
    rows = np.arange(n)
    levels[rows, 2 * rows] += size
    levels[rows, 2 * rows + 1] -= size
    return ScenarioSet(
        scenario_set_id="",
        name=name,
        method=definition.method,
        market_date=market.market_date,
        definition=definition.model_dump(mode="json"),
        index=market.index,
        labels=tuple(f"{f.risk_factor_id} {way}" for f in market.index.factors for way in (UP, DOWN)),
        base=market.base,
        levels=levels,
        shocked=np.ones(n, dtype=np.bool_),
        excluded=market.excluded,
        held=market.held,
        market_data_version=market.market_data_version,
    )


def bump_sizes(index: FactorIndex, base: Floats, definition: Mapping[str, Any]) -> Floats:
    """How far each factor is moved, (n_factors,), in its own level."""
    return np.array([_size(f, level, definition) for f, level in zip(index.factors, base.tolist(), strict=True)])


def _size(factor: RiskFactor, level: float, definition: Mapping[str, Any]) -> float:
    if factor.risk_class is RiskClass.VOLATILITY:
        # a normal volatility is some hundred times smaller than a lognormal one
        return float(definition["rate" if factor.type == "normal_vol" else "volatility"])
    if factor.type == "rate_future":
        return 100.0 * float(definition["rate"])
    if factor.shift_type is ShiftType.ABSOLUTE:
        return float(definition["rate"])
    return abs(level) * float(definition["price"]) or float(definition["price"])
