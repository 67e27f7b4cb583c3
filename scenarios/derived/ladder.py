"""GENERATORS "ladder": a grid of moves of one or two factors or classes, and on each rung the moves of another set.

The first scenarios are the rungs themselves, in the order of the grid. With `moves` each rung is followed, after all rungs, by the
scenarios of that set put onto the rung's levels: the P&L of a rung's scenario minus that of the rung is the P&L there. So one
valuation gives P&L, slopes and risk on every rung, for any part of the book.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from lake.errors import BadInput
from lake.tables import Snapshot
from scenarios.derived.rebased import shift_of, shift_rules
from scenarios.kernels import shifts
from scenarios.store import find_scenario_set, load_stored
from scenarios.stress.generate import GridDefinition, generate_grid
from scenarios.types import FactorIndex, ScenarioSet

MOST_LEVELS = 100_000_000  # levels of factors times scenarios that are made at once: 0.8 GB
SEPARATOR = " | "  # between the label of a rung and that of a scenario on it


class LadderDefinition(GridDefinition):
    """The axes of the ladder, and the set whose moves are put onto every rung."""

    method: Literal["ladder"] = "ladder"  # type: ignore[assignment]
    axes: tuple[str, ...] = Field(
        min_length=1, max_length=2, description="moves in the stress language, such as equity -20%..+20% step 10%"
    )
    moves: str | None = Field(None, description="id or name of a stored set whose moves are put onto every rung")


def generate(snapshot: Snapshot, definition: LadderDefinition, name: str) -> ScenarioSet:
    """The set of the definition. A factor whose move has no meaning from a rung is excluded and says why.

    Raises `BadInput` as a grid does, and for more levels than are made at once.
    """
    rungs = generate_grid(snapshot, GridDefinition(**definition.model_dump(exclude={"method", "moves"})), name)
    ladder = dataclasses.replace(
        rungs,
        method=definition.method,
        definition={**rungs.definition, "method": definition.method, "moves": None},
    )
    if definition.moves is None:
        return ladder
    source = load_stored(snapshot, find_scenario_set(snapshot, definition.moves))
    if source.roll is not None or source.horizons:
        raise BadInput(f"The moves of {source.name} span several dates; name a set whose scenarios span one horizon.")
    n, size = rungs.n_scenarios, len(rungs.index.factors) * rungs.n_scenarios * (1 + source.n_scenarios)
    if size > MOST_LEVELS:
        raise BadInput(
            f"{n:,} rungs with {source.n_scenarios:,} scenarios on each are {size:,} levels, more than {MOST_LEVELS:,}; "
            "ask for fewer rungs, or a smaller set of moves."
        )
    rules = shift_rules(source)
    at = np.asarray(rungs.levels)
    moved = np.asarray(source.levels)
    excluded = dict(rungs.excluded)
    keep, rows = [], []
    for row, factor in enumerate(rungs.index.factors):
        rung_levels: Floats = np.repeat(at[row], source.n_scenarios)
        source_row = source.index.row.get(factor.risk_factor_id)
        if source_row is not None and source.shocked[source_row]:
            kind, displacement = shift_of(factor, rules)
            moves = np.tile(shifts.move(kind, source.base[source_row], moved[source_row], displacement), n)
            rung_levels = shifts.apply(kind, rung_levels, moves, displacement)
        if not np.isfinite(rung_levels).all():
            excluded[factor.risk_factor_id] = f"a move of {source.name} has no meaning from one of the rungs"
            continue
        keep.append(row)
        rows.append(np.concatenate([at[row], rung_levels]))
    levels = np.array(rows)
    weights = None
    if source.weights is not None:
        weights = np.concatenate([np.zeros(n), np.tile(source.weights, n) / n])
    return dataclasses.replace(
        ladder,
        definition={**ladder.definition, "moves": source.scenario_set_id},
        index=FactorIndex(tuple(rungs.index.factors[r] for r in keep)),
        base=rungs.base[keep],
        levels=levels,
        shocked=(levels != rungs.base[keep][:, None]).any(axis=1),
        labels=(*rungs.labels, *(f"{rung}{SEPARATOR}{s}" for rung in rungs.labels for s in source.labels)),
        weights=weights,
        excluded=excluded,
        of_book=source.of_book,
    )
