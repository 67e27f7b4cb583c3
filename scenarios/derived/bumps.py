"""GENERATORS "bumps": every risk factor up and down by a small stated size, one at a time; or pairs of them, both at a time.

The P&L of these scenarios are sensitivities: stored, added up over any dimension and explained like any other P&L, since differences
of values add up as values do. Factors stand in the order of the index, pairs as they are given, each with two scenarios, up and down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from lake.errors import unknown
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
    pairs: tuple[tuple[str, str], ...] = Field(
        (), description="pairs of risk factors, each moved together, for cross gammas; default every factor alone"
    )


def generate(snapshot: Snapshot, definition: BumpsDefinition, name: str) -> ScenarioSet:
    """The set of the definition; raises `NotFound` for a date without a market, `BadInput` for an unknown factor of a pair."""
    market = load_base(snapshot, definition.market_date, definition.calendar, definition.max_held_days)
    row = market.index.row
    for factor in {f for pair in definition.pairs for f in pair} - row.keys():
        raise unknown("risk factor", factor, row)
    moved = [(f,) for f in row] if not definition.pairs else list(definition.pairs)
    size = bump_sizes(market.index, market.base, definition.model_dump())
    levels = np.repeat(market.base[:, None], 2 * len(moved), axis=1)
    for place in range(len(moved[0])):  # one at a time, or both of a pair
        rows, first = np.array([row[m[place]] for m in moved]), 2 * np.arange(len(moved))
        levels[rows, first] += size[rows]
        levels[rows, first + 1] -= size[rows]
    return ScenarioSet(
        scenario_set_id="",
        name=name,
        method=definition.method,
        market_date=market.market_date,
        definition=definition.model_dump(mode="json"),
        index=market.index,
        labels=tuple(f"{' and '.join(m)} {way}" for m in moved for way in (UP, DOWN)),
        base=market.base,
        levels=levels,
        shocked=np.ones(len(row), dtype=np.bool_),
        excluded=market.excluded,
        held=market.held,
        market_data_version=market.market_data_version,
    )


def bump_sizes(index: FactorIndex, base: Floats, definition: Mapping[str, Any]) -> Floats:
    """How far each factor is moved, (n_factors,), in its own level."""
    made = []
    for factor, level in zip(index.factors, base.tolist(), strict=True):
        kind = _KIND.get(factor.type) or _kind(factor)
        size = float(definition[kind])
        made.append(
            (abs(level) * size or size) if kind == "price" else size * (100.0 if factor.type == "rate_future" else 1.0)
        )
    return np.array(made)


def bump_in_words(factor: RiskFactor, definition: Mapping[str, Any]) -> str:
    """How far a factor is moved, such as 0.1% or 1bp, up and down."""
    kind = _KIND.get(factor.type) or _kind(factor)
    size = float(definition[kind])
    return {"price": f"{size * 100:g}%", "rate": f"{size * 1e4:g}bp", "volatility": f"{size * 100:g} points"}[kind]


# a normal volatility of a rate is some hundred times smaller than a lognormal one, that of a price is of the size of the price
_KIND = {"normal_vol": "rate", "normal_price_vol": "price"}


def _kind(factor: RiskFactor) -> str:
    if factor.risk_class is RiskClass.VOLATILITY:
        return "volatility"
    return "rate" if factor.shift_type is ShiftType.ABSOLUTE or factor.type == "rate_future" else "price"
