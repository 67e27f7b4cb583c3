"""Filtered historical simulation: past days' surprises, at today's volatility.

Barone-Adesi, Giannopoulos & Vosper (1999), "VaR without correlations for portfolios of derivative securities", Journal of Futures
Markets 19(5). Every factor's moves are divided by their GARCH(1,1) volatility; a scenario draws a past date for each day of the horizon,
takes that date's standardised moves of *all* factors, and lets each factor's volatility run on from today's.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from lake.tables import Snapshot
from scenarios.historical.garch import fit
from scenarios.historical.historical import HistoricalDefinition, WindowRules, select
from scenarios.types import ScenarioSet


class FilteredDefinition(WindowRules):
    """Parameters of filtered historical simulation."""

    method: Literal["filtered"] = "filtered"
    scenarios: int = Field(1000, ge=1, le=100_000, description="number of scenarios")
    window: int = Field(
        1000,
        ge=100,
        le=5000,
        description="latest full business days, on which volatility is fitted and from which days are drawn",
    )
    horizon_days: int = Field(1, ge=1, le=250, description="business days a scenario spans, simulated day by day")
    seed: int = Field(1, ge=0, lt=2**63, description="seed of the drawn dates")


def generate(snapshot: Snapshot, definition: FilteredDefinition, name: str) -> ScenarioSet:
    """The scenario set of the definition; factors and days are left out, held and proxied as in historical simulation.

    On a day its market was closed a factor has no surprise: it is left out of the fit, and a scenario that draws the day leaves level and
    volatility as they are. A factor that moved out of a calm keeps its moves as they were, and is listed. Prices move by log unless stated
    otherwise.
    """
    definition = definition.with_log_prices()
    shared = {k: getattr(definition, k) for k in WindowRules.model_fields}
    w = select(snapshot, HistoricalDefinition(**shared, scenarios=definition.window))
    draws = np.random.Generator(np.random.Philox(definition.seed)).integers(
        len(w.rows), size=(definition.horizon_days, definition.scenarios)
    )
    columns = np.flatnonzero(w.kept).tolist()
    levels: Floats = np.empty((len(columns), definition.scenarios))
    fitted = {}
    for i, j in enumerate(columns):
        is_open = ~w.moves.closed[w.rows, j]
        moves = w.moves.moves[w.rows, j]
        model = fit(moves[is_open], w.moves.days[w.rows][is_open])
        fitted[w.moves.index.factors[j].risk_factor_id] = model.text
        surprises = np.zeros(len(moves))
        surprises[is_open] = moves[is_open] / np.sqrt(model.variance[:-1])
        level = np.full(definition.scenarios, w.moves.base[j])
        variance = np.full(definition.scenarios, model.variance[-1])
        for drawn in draws:
            step = np.sqrt(variance) * surprises[drawn]
            level = w.moves.apply(j, level, step)
            after = model.omega + model.alpha * step * step + model.beta * variance
            variance = np.where(is_open[drawn], after, variance)
        levels[i] = level
    width = len(str(definition.scenarios))
    return w.moves.scenario_set(
        w.kept,
        levels,
        name=name,
        method=definition.method,
        market_date=definition.market_date,
        definition=definition.model_dump(mode="json"),
        labels=tuple(f"f{s + 1:0{width}d}" for s in range(definition.scenarios)),
        horizon_days=definition.horizon_days,
        seed=definition.seed,
        excluded=w.excluded,
        dropped=w.dropped,
        proxied=w.moves.proxied(w.rows, w.kept, "days"),
        fitted=fitted,
    )
