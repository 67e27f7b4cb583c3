"""GENERATORS "rebased": the moves of one stored scenario set on the base levels of another.

The intermediate valuations of an attribution path are made of it: yesterday's scenarios on today's market, and the
other way round; and those of a live day, whose base is the market data of the day so far. A move is read off the source's
own base by the shift its definition names for the factor (`scenarios.kernels.shifts`) and applied to the other base, so
that a set rebased onto its own base is itself, to rounding.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lake.arrays import Floats
from lake.errors import BadInput
from lake.tables import Snapshot
from scenarios.kernels import shifts
from scenarios.market.base_market import load_base
from scenarios.market.moves import MoveRules
from scenarios.simulated.simulated_levels import SimulatedLevels
from scenarios.store import find_scenario_set, load_on_market, load_stored
from scenarios.types import FactorIndex, GeneratedLevels, RiskFactor, ScenarioSet


class RebasedDefinition(BaseModel):
    """Parameters of carrying a stored scenario set over to another market."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["rebased"] = "rebased"
    market_date: dt.date = Field(description="market date of the base")
    scenario_set: str = Field(description="id or name of the stored set whose moves are taken")
    base_set: str | None = Field(
        None,
        description="id or name of the stored set of the market date whose base levels are taken; default the market data of that date, "
        "by the calendar of the source",
    )


@dataclass(frozen=True)
class NewBase:
    """The levels that moves are put onto. base : (n_factors,) in the order of `index`; excluded, held : as in a ScenarioSet."""

    name: str
    market_date: dt.date
    index: FactorIndex
    base: Floats
    excluded: Mapping[str, str]
    held: Mapping[str, str]
    market_data_version: int | None
    of_book: bool = False


def generate(snapshot: Snapshot, definition: RebasedDefinition, name: str) -> ScenarioSet:
    """The set of the definition: labels, weights and horizon of the source, base of the other set or of the market data.

    A factor that only the base has stays there, unshocked. One that only the source has, or whose move has no
    meaning from the new base, is excluded and says why. Raises `BadInput` for rolled markets and where nothing is left.
    """
    source = load_stored(snapshot, find_scenario_set(snapshot, definition.scenario_set))
    if definition.base_set is None:
        found = load_base(snapshot, definition.market_date, *base_rules(source))
        base = NewBase(MARKET_DATA, *(getattr(found, f.name) for f in dataclasses.fields(NewBase)[1:-1]))
        return rebase(source, base, name)
    market = load_on_market(snapshot, definition.base_set, definition.market_date)
    if market.roll is not None:
        raise _rolled(market)
    base = NewBase(
        market.name,
        market.market_date,
        market.index,
        market.base,
        {},
        market.held,
        market.market_data_version,
        market.of_book,
    )
    return rebase(source, base, name, market.scenario_set_id)


MARKET_DATA = "the market data"  # by name, where a base is of no set


def base_rules(source: ScenarioSet) -> tuple[str, int]:
    """The calendar of the source, and for how many of its business days the last level of a factor is held."""
    told, fields = _origin(source), MoveRules.model_fields
    calendar, days = (told.get(name, fields[name].default) for name in ("calendar", "max_held_days"))
    return calendar, days


def _origin(source: ScenarioSet) -> Mapping[str, Any]:
    """The definition by which the moves of the set were first made."""
    found: Mapping[str, Any] = source.definition.get("source_definition", source.definition)
    return found


def _rolled(s: ScenarioSet) -> BadInput:
    assert s.roll is not None
    return BadInput(f"The market of {s.name} is rolled to {s.roll.to}; only sets of their own date are rebased.")


def rebase(source: ScenarioSet, market: NewBase, name: str, base_set: str | None = None) -> ScenarioSet:
    """The moves of the source on the levels of `market`, as `generate` says; `base_set` is the id of the set that has them."""
    if source.roll is not None:
        raise _rolled(source)
    excluded = {f: why for f, why in source.excluded.items() if f not in market.index.row}
    factors, levels = _carried(source, market, excluded)
    if not factors:
        raise BadInput(f"{market.name} of {market.market_date} has no level for any factor of {source.name}.")
    index = FactorIndex.of(factors)
    places = np.array([market.index.row[f.risk_factor_id] for f in index.factors])
    shocked = np.array([_shocked(source, f) for f in index.factors], dtype=np.bool_)
    definition = RebasedDefinition(
        market_date=market.market_date, scenario_set=source.scenario_set_id, base_set=base_set
    )
    return dataclasses.replace(
        source,
        scenario_set_id="",
        name=name,
        method=definition.method,
        market_date=market.market_date,
        definition={**definition.model_dump(mode="json"), "source_definition": dict(_origin(source))},
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
    source: ScenarioSet, market: NewBase, excluded: dict[str, str]
) -> tuple[list[RiskFactor], Floats | GeneratedLevels]:
    """The factors of the new set, in the order of an index, and their levels; fills `excluded`."""
    for f in source.index.factors:
        if f.risk_factor_id not in market.index.row:
            why = f"no level in {market.name} of {market.market_date}"
            excluded[f.risk_factor_id] = market.excluded.get(f.risk_factor_id, why)
    if isinstance(source.levels, SimulatedLevels):
        return _recalibrated(source, market, source.levels)
    factors, rows = [], []
    for f in FactorIndex.of(market.index.factors).factors:
        base = market.base[market.index.row[f.risk_factor_id]]
        moved = carried_levels(source, f, base)
        if not np.isfinite(moved).all():
            kind, _ = shift_of(f, shift_rules(source))
            was = source.base[source.index.row[f.risk_factor_id]]
            excluded[f.risk_factor_id] = f"a {kind} move has no meaning between {was:g} and {base:g}"
            continue
        factors.append(f)
        rows.append(moved)
    return factors, np.array(rows)


def carried_levels(source: ScenarioSet, factor: RiskFactor, base: float) -> Floats:
    """Levels of one factor, (n_scenarios,): its moves in the source, of stored levels, on another base; the base where the source does not
    move it, and not finite where its move has no meaning from there."""
    if not _shocked(source, factor):
        return np.full(source.n_scenarios, base)
    row, levels = source.index.row[factor.risk_factor_id], np.asarray(source.levels)
    kind, displacement = shift_of(factor, shift_rules(source))
    moves = shifts.move(kind, source.base[row], levels[row], displacement)
    return np.asarray(shifts.apply(kind, np.asarray(base, np.float64), moves, displacement))


def shift_rules(source: ScenarioSet) -> dict[str, Any]:
    """By which shift the source measured its moves, by factor id or type, as its own or its origin's definition names them."""
    rules: dict[str, Any] = _origin(source).get("shifts") or {}
    return rules


def shift_of(factor: RiskFactor, rules: dict[str, Any]) -> tuple[str, float]:
    """Shift and displacement of a factor, as the source measured its moves; an id goes before a type."""
    rule = rules.get(factor.risk_factor_id) or rules.get(factor.type)
    return (factor.shift_type, 0.0) if rule is None else (rule["shift_type"], float(rule.get("displacement", 0.0)))


def _recalibrated(
    source: ScenarioSet, market: NewBase, levels: SimulatedLevels
) -> tuple[list[RiskFactor], SimulatedLevels]:
    """The same draws and the same law on another base."""
    factors = [f for f in source.index.factors if f.risk_factor_id in market.index.row]
    rows = [source.index.row[f.risk_factor_id] for f in factors]
    base = np.array([market.base[market.index.row[f.risk_factor_id]] for f in factors])
    kinds = tuple(levels.shift_types[r] for r in rows)
    return factors, SimulatedLevels(
        levels.process, base, kinds, levels.drift[rows], levels.loadings[rows], levels.moves[rows]
    )
