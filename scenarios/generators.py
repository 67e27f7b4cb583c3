"""GENERATORS: method name to its definition and function. The one place to add a way of making scenarios."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from lake.errors import BadInput, unknown, validated
from lake.tables import Snapshot
from scenarios.derived import bumps, ladder, rebased, regulatory_bumps, reweighted, subset
from scenarios.historical import filtered, historical, period_replay
from scenarios.plausibility import predictive
from scenarios.simulated import monte_carlo
from scenarios.stress import generate as stress
from scenarios.types import IMPORTED, ScenarioSet


@dataclass(frozen=True)
class Generator:
    """`definition` validates the parameters; `generate(snapshot, definition, name)` returns the set, not yet stored.

    `sample` says whether its scenarios are a sample of what may happen, so that VaR means something, or chosen ones;
    None where that follows from the set they are made of, or from their horizons.
    """

    meaning: str
    definition: type[BaseModel]
    generate: Callable[[Snapshot, Any, str], ScenarioSet]
    sample: bool | None = True


GENERATORS: dict[str, Generator] = {
    "historical": Generator(
        "past moves of the market, each onto today's levels; optionally weighted by age or scaled to today's volatility",
        historical.HistoricalDefinition,
        historical.generate,
    ),
    "filtered": Generator(
        "past days' surprises of all factors, drawn by date, at today's GARCH volatility",
        filtered.FilteredDefinition,
        filtered.generate,
    ),
    "replay": Generator(
        "the moves of a named period, such as march-2020, day by day or cumulated",
        period_replay.ReplayDefinition,
        period_replay.generate,
        sample=False,
    ),
    "monte_carlo": Generator(
        "paths drawn from a normal, Student-t or t-copula law, or from past days, calibrated to the latest history",
        monte_carlo.MonteCarloDefinition,
        monte_carlo.generate,
        sample=None,
    ),
    "stress": Generator(
        "bespoke scenarios in the stress language: shocks by selector, curve shapes, crosses, composites, assertions",
        stress.StressDefinition,
        stress.generate,
        sample=False,
    ),
    "grid": Generator(
        "every combination of a few ladders of shocks, such as spot by volatility",
        stress.GridDefinition,
        stress.generate_grid,
        sample=False,
    ),
    "ladder": Generator(
        "a grid of one or two ladders of shocks, and on each rung the moves of another set",
        ladder.LadderDefinition,
        ladder.generate,
        sample=False,
    ),
    "bumps": Generator(
        "every risk factor up and down by a small stated size, one at a time: sensitivities",
        bumps.BumpsDefinition,
        bumps.generate,
        sample=False,
    ),
    "regulatory_bumps": Generator(
        "every risk factor and currency moved as rules on sensitivities prescribe, and shocks of several together",
        regulatory_bumps.RegulatoryBumpsDefinition,
        regulatory_bumps.generate,
        sample=False,
    ),
    "predictive": Generator(
        "a few core shocks, and for every other factor the move to be expected with them",
        predictive.PredictiveDefinition,
        predictive.generate,
        sample=False,
    ),
    "reweighted": Generator(
        "an existing set under other probabilities: by age, by state of the market, by views (entropy pooling)",
        reweighted.ReweightedDefinition,
        reweighted.generate,
        sample=None,
    ),
    "subset": Generator(
        "an existing set that shocks only some risk classes, or only factors of a liquidity horizon and longer",
        subset.SubsetDefinition,
        subset.generate,
        sample=None,
    ),
    "rebased": Generator(
        "the moves of an existing set on the market of another: yesterday's scenarios on today's levels",
        rebased.RebasedDefinition,
        rebased.generate,
        sample=False,
    ),
}


def definition_of(method: str, parameters: Mapping[str, Any]) -> BaseModel:
    """The method's definition; raises `BadInput` for an unknown method or parameters it does not take."""
    if method == IMPORTED:
        raise BadInput(
            "Scenarios that came with P&L vectors cannot be made anew: they are known on the days for which vectors were brought in, "
            "and hold no market to value by. Bring the vectors of the day in (varlake ingest pnl-vectors), or name another set."
        )
    if method not in GENERATORS:
        raise unknown("scenario method", method, GENERATORS)
    return validated(
        GENERATORS[method].definition, {"method": method, **parameters}, f"definition of a {method} scenario set"
    )


def generate(snapshot: Snapshot, method: str, parameters: Mapping[str, Any], name: str) -> ScenarioSet:
    """A scenario set by method name; raises `BadInput` as `definition_of` does, and where the market lacks what it needs."""
    definition = definition_of(method, parameters)
    generator = GENERATORS[method]
    made = generator.generate(snapshot, definition, name)
    return made if generator.sample is None else dataclasses.replace(made, sample=generator.sample)
