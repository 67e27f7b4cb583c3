"""GENERATORS "rebased": the moves of one stored scenario set on the base levels of another.

The intermediate valuations of an attribution path are made of it: yesterday's scenarios on today's market, and the
other way round. A move is read off the source's own base by the shift its definition names for the factor
(`scenarios.kernels.shifts`) and applied to the other base, so that a set rebased onto its own base is itself, to
rounding.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lake.arrays import Floats
from lake.errors import BadInput
from lake.tables import Snapshot
from scenarios.kernels import shifts
from scenarios.simulated.simulated_levels import SimulatedLevels
from scenarios.store import find_scenario_set, load_on_market, load_stored
from scenarios.types import FactorIndex, GeneratedLevels, RiskFactor, ScenarioSet


class RebasedDefinition(BaseModel):
    """Parameters of carrying a stored scenario set over to another market."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["rebased"] = "rebased"
    market_date: dt.date = Field(description="market date of the base")
    scenario_set: str = Field(description="id or name of the stored set whose moves are taken")
    base_set: str = Field(description="id or name of the stored set of the market date whose base levels are taken")


def generate(snapshot: Snapshot, definition: RebasedDefinition, name: str) -> ScenarioSet:
    """The set of the definition: labels, weights and horizon of the source, base of the other set.

    A factor that only the other set has stays at its base, unshocked. One that only the source has, or whose move has no
    meaning from the new base, is excluded and says why. Raises `BadInput` for rolled markets and where nothing is left.
    """
    source = load_stored(snapshot, find_scenario_set(snapshot, definition.scenario_set))
    market = load_on_market(snapshot, definition.base_set, definition.market_date)
    for s in (source, market):
        if s.roll is not None:
            raise BadInput(f"The market of {s.name} is rolled to {s.roll.to}; only sets of their own date are rebased.")
    rules = shift_rules(source)
    excluded = {f: why for f, why in source.excluded.items() if f not in market.index.row}
    factors, levels = _carried(source, market, rules, excluded)
    if not factors:
        raise BadInput(f"{market.name} of {market.market_date} has no level for any factor of {source.name}.")
    index = FactorIndex.of(factors)
    places = np.array([market.index.row[f.risk_factor_id] for f in index.factors])
    shocked = np.array([_shocked(source, f) for f in index.factors], dtype=np.bool_)
    return dataclasses.replace(
        source,
        scenario_set_id="",
        name=name,
        method=definition.method,
        market_date=definition.market_date,
        definition={
            **definition.model_dump(mode="json"),
            "scenario_set": source.scenario_set_id,
            "base_set": market.scenario_set_id,
            "source_definition": source.definition.get("source_definition", dict(source.definition)),
        },
        index=index,
        base=market.base[places],
        levels=levels,
        shocked=shocked,
        excluded=excluded,
        held=dict(market.held),
        version=0,
        market_data_version=market.market_data_version,
        of_book=source.of_book or market.of_book,
    )


def _shocked(source: ScenarioSet, factor: RiskFactor) -> bool:
    row = source.index.row.get(factor.risk_factor_id)
    return row is not None and bool(source.shocked[row])


def _carried(
    source: ScenarioSet, market: ScenarioSet, rules: dict[str, Any], excluded: dict[str, str]
) -> tuple[list[RiskFactor], Floats | GeneratedLevels]:
    """The factors of the new set, in the order of an index, and their levels; fills `excluded`."""
    for f in source.index.factors:
        if f.risk_factor_id not in market.index.row:
            excluded[f.risk_factor_id] = f"no level in {market.name} of {market.market_date}"
    if isinstance(source.levels, SimulatedLevels):
        return _recalibrated(source, market, source.levels)
    factors, rows = [], []
    levels = np.asarray(source.levels)
    for f in FactorIndex.of(market.index.factors).factors:
        base = market.base[market.index.row[f.risk_factor_id]]
        row = source.index.row.get(f.risk_factor_id)
        if row is None:
            moved = np.full(source.n_scenarios, base)
        else:
            kind, displacement = shift_of(f, rules)
            moves = shifts.move(kind, source.base[row], levels[row], displacement)
            moved = shifts.apply(kind, base, moves, displacement)
            if not source.shocked[row]:
                moved = np.full(source.n_scenarios, base)
            elif not np.isfinite(moved).all():
                excluded[f.risk_factor_id] = f"a {kind} move has no meaning between {source.base[row]:g} and {base:g}"
                continue
        factors.append(f)
        rows.append(moved)
    return factors, np.array(rows)


def shift_rules(source: ScenarioSet) -> dict[str, Any]:
    """By which shift the source measured its moves, by factor id or type, as its own or its origin's definition names them."""
    rules: dict[str, Any] = source.definition.get("source_definition", source.definition).get("shifts") or {}
    return rules


def shift_of(factor: RiskFactor, rules: dict[str, Any]) -> tuple[str, float]:
    """Shift and displacement of a factor, as the source measured its moves; an id goes before a type."""
    rule = rules.get(factor.risk_factor_id) or rules.get(factor.type)
    return (factor.shift_type, 0.0) if rule is None else (rule["shift_type"], float(rule.get("displacement", 0.0)))


def _recalibrated(
    source: ScenarioSet, market: ScenarioSet, levels: SimulatedLevels
) -> tuple[list[RiskFactor], SimulatedLevels]:
    """The same draws and the same law on another base."""
    factors = [f for f in source.index.factors if f.risk_factor_id in market.index.row]
    rows = [source.index.row[f.risk_factor_id] for f in factors]
    base = np.array([market.base[market.index.row[f.risk_factor_id]] for f in factors])
    kinds = tuple(levels.shift_types[r] for r in rows)
    return factors, SimulatedLevels(
        levels.process, base, kinds, levels.drift[rows], levels.loadings[rows], levels.moves[rows]
    )
