"""GENERATORS "regulatory_bumps": the market moved as rules on sensitivities prescribe, one scenario a move.

First every risk factor but exchange rates up, in the order of the index, by the prescribed shift of its kind; then every currency up
against all others, so that each exchange rate it is in moves and the market stays free of arbitrage; then the given shocks, each up and
down: several factors together, as curvature asks for. A contract is valued where something that it reads moves.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lake.arrays import Floats
from lake.errors import BadInput, unknown
from lake.tables import Snapshot
from scenarios.market.base_market import load_base
from scenarios.stress.generate import BaseDefinition
from scenarios.types import FactorIndex, RiskClass, RiskFactor, ScenarioSet, ShiftType

UP, DOWN = "up", "down"


class Shock(BaseModel):
    """Factors that move together, or all exchange rates of a currency, up and down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="name of the shock, which its scenarios are called by")
    factors: tuple[str, ...] = Field((), description="ids of the risk factors that move")
    currency: str | None = Field(None, description="currency that moves against all others, in place of factors")
    size: float = Field(gt=0, lt=1, description="how far, as a fraction: of the level, or added to it")
    relative: bool = Field(description="whether the size is of the level; else it is added to it")
    least: float | None = Field(
        None, description="level that an absolute move down stops at, or at the base where that is lower; default none"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.factors) == (self.currency is not None):
            raise ValueError(f"the shock {self.name} has either factors or a currency")
        return self


class RegulatoryBumpsDefinition(BaseDefinition):
    """How far each kind of risk factor is moved, and which are moved together."""

    method: Literal["regulatory_bumps"] = "regulatory_bumps"
    rate: float = Field(0.0001, gt=0, le=0.01, description="of interest rates and inflation, added to the level")
    spread: float = Field(0.0001, gt=0, le=0.01, description="of credit spreads and recoveries, added to the level")
    price: float = Field(0.01, gt=0, le=0.1, description="of prices and currencies, a fraction of the level")
    volatility: float = Field(0.01, gt=0, le=0.1, description="of volatilities, a fraction of the level")
    shocks: tuple[Shock, ...] = Field((), description="shocks of several factors together, each up and down")


def generate(snapshot: Snapshot, definition: RegulatoryBumpsDefinition, name: str) -> ScenarioSet:
    """The set of the definition; raises `NotFound` for a date without a market, `BadInput` for an unknown factor or currency."""
    market = load_base(snapshot, definition.market_date, definition.calendar, definition.max_held_days)
    labels, levels = moved(market.index, market.base, definition)
    return ScenarioSet(
        scenario_set_id="",
        name=name,
        method=definition.method,
        market_date=market.market_date,
        definition=definition.model_dump(mode="json"),
        index=market.index,
        labels=labels,
        base=market.base,
        levels=levels,
        shocked=np.ones(len(market.base), dtype=np.bool_),
        excluded=market.excluded,
        held=market.held,
        market_data_version=market.market_data_version,
    )


def currencies(index: FactorIndex) -> list[str]:
    """Those with an exchange rate, sorted."""
    return sorted({c for f in index.factors if f.type == "fx_rate" for c in pair_of(f)})


def pair_of(factor: RiskFactor) -> tuple[str, str]:
    """Base and quote currency of an exchange rate."""
    return factor.risk_factor_id[-6:-3], factor.risk_factor_id[-3:]


def factor_label(factor_id: str) -> str:
    """What the scenario of a factor is called."""
    return f"{factor_id} {UP}"


def currency_label(currency: str) -> str:
    """What the scenario of a currency is called."""
    return f"currency {currency} {UP}"


def shock_labels(name: str) -> tuple[str, str]:
    """What the two scenarios of a shock are called."""
    return f"{name} {UP}", f"{name} {DOWN}"


def moved(index: FactorIndex, base: Floats, definition: RegulatoryBumpsDefinition) -> tuple[tuple[str, ...], Floats]:
    """Labels of the scenarios, and levels (n_factors, n_scenarios)."""
    labels: list[str] = []
    columns: list[Floats] = []

    def add(label: str, column: Floats) -> None:
        labels.append(label)
        columns.append(column)

    for row, (factor, level) in enumerate(zip(index.factors, base.tolist(), strict=True)):
        if factor.type != "fx_rate":
            column = base.copy()
            column[row] = level + prescribed_shift(factor, level, definition)
            add(factor_label(factor.risk_factor_id), column)
    for currency in currencies(index):
        add(currency_label(currency), _currency_moved(index, base, currency, 1.0 + definition.price))
    for shock in definition.shocks:
        for label, way in zip(shock_labels(shock.name), (1.0, -1.0), strict=True):
            add(label, _shocked(index, base, shock, way))
    return tuple(labels), np.stack(columns, axis=1) if columns else np.empty((len(base), 0))


def prescribed_shift(factor: RiskFactor, level: float, definition: RegulatoryBumpsDefinition) -> float:
    """How far a factor moves up, in its own level; a future on a rate falls as the rate rises."""
    if factor.type == "rate_future":
        return -100.0 * definition.rate
    if factor.risk_class is RiskClass.VOLATILITY:
        return level * definition.volatility
    if factor.shift_type is not ShiftType.ABSOLUTE:
        return abs(level) * definition.price or definition.price
    return definition.spread if factor.risk_class is RiskClass.CREDIT else definition.rate


def _currency_moved(index: FactorIndex, base: Floats, currency: str, by: float) -> Floats:
    """Levels with the currency worth `by` times as much in every other one."""
    if currency not in currencies(index):
        raise unknown("currency with an exchange rate", currency, currencies(index))
    column = base.copy()
    for row, factor in enumerate(index.factors):
        if factor.type == "fx_rate" and currency in pair_of(factor):
            column[row] = base[row] * by if pair_of(factor)[0] == currency else base[row] / by
    return column


def _shocked(index: FactorIndex, base: Floats, shock: Shock, way: float) -> Floats:
    if shock.currency is not None:
        if not shock.relative:
            raise BadInput(
                f"The shock {shock.name} is of the currency {shock.currency}, which moves relatively; say so."
            )
        return _currency_moved(index, base, shock.currency, 1.0 + way * shock.size)
    column = base.copy()
    for factor_id in shock.factors:
        if factor_id not in index.row:
            raise unknown("risk factor", factor_id, index.row)
        row = index.row[factor_id]
        future = index.factors[row].type == "rate_future"
        size = abs(base[row]) * shock.size if shock.relative else shock.size * (-100.0 if future else 1.0)
        column[row] = base[row] + way * size
        if shock.least is not None and not future:
            column[row] = max(column[row], min(shock.least, base[row]))
    return column
