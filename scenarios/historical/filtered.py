"""Filtered historical simulation: past days' surprises, at today's volatility.

Barone-Adesi, Giannopoulos & Vosper (1999), "VaR without correlations for portfolios of derivative securities", Journal of Futures
Markets 19(5). Every factor's moves are divided by their GARCH(1,1) volatility; a scenario draws a past date for each day of the horizon,
takes that date's standardised moves of *all* factors, and lets each factor's volatility run on from today's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from lake.tables import Snapshot
from scenarios.historical.historical import HistoricalDefinition, WindowRules, select
from scenarios.kernels.weighting import ewma_variance
from scenarios.types import ScenarioSet

# The optimiser stops on either side of the unit root by the last bits of its library: this near to it is not stationary.
MOST_PERSISTENT = 0.9999
FALLBACK_DECAY = 0.94  # RiskMetrics' daily factor, where no GARCH model can be fitted
FALLBACK_SEED_DAYS = 75


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


@dataclass(frozen=True)
class Garch:
    """var[t+1] = omega + alpha move[t]^2 + beta var[t], mean zero.

    variance : (n_days + 1,) one-day forecasts, each made the day before; the last is today's. All zero for moves that are all zero.
    """

    omega: float
    alpha: float
    beta: float
    variance: Floats
    text: str


def fit(moves: Floats) -> Garch:
    """The model of one factor's moves (n_days,), by quasi maximum likelihood in the `arch` library.

    Where the fit does not converge, or has no finite variance, an exponentially weighted average stands in and the text says so.
    """
    from arch.univariate import arch_model  # noqa: PLC0415 - a second to import, and only this method needs it

    scale = float(np.sqrt((moves * moves).mean()))
    if scale == 0.0:
        return Garch(0.0, 0.0, 0.0, np.zeros(len(moves) + 1), "no volatility: the level never moved")
    y = moves / scale
    result = arch_model(y, mean="Zero", vol="GARCH", p=1, q=1, rescale=False).fit(disp="off", show_warning=False)
    omega, alpha, beta = (float(v) for v in result.params)
    variance = np.append(np.asarray(result.conditional_volatility) ** 2, 0.0)
    variance[-1] = omega + alpha * y[-1] ** 2 + beta * variance[-2]
    if (
        result.convergence_flag == 0
        and alpha + beta < MOST_PERSISTENT
        and np.isfinite(variance).all()
        and (variance > 0).all()
    ):
        omega, variance = omega * scale**2, variance * scale**2
        return Garch(omega, alpha, beta, variance, f"GARCH(1,1): omega {omega:.3g}, alpha {alpha:.3g}, beta {beta:.3g}")
    text = f"exponentially weighted volatility, decay {FALLBACK_DECAY}: no stationary GARCH(1,1) was found"
    variance = ewma_variance(moves[:, None], FALLBACK_DECAY, FALLBACK_SEED_DAYS)[:, 0]
    return Garch(0.0, 1 - FALLBACK_DECAY, FALLBACK_DECAY, variance, text)


def generate(snapshot: Snapshot, definition: FilteredDefinition, name: str) -> ScenarioSet:
    """The scenario set of the definition; factors and days are left out, held and proxied as in historical simulation.

    On a day its market was closed a factor has no surprise: it is left out of the fit, and a scenario that draws the day leaves level and
    volatility as they are. Prices move by log unless stated otherwise.
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
        model = fit(moves[is_open])
        fitted[w.moves.index.factors[j].risk_factor_id] = model.text
        surprises = np.zeros(len(moves))
        surprises[is_open] = standardise(moves[is_open], model.variance[:-1])
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


def standardise(moves: Floats, variance: Floats) -> Floats:
    """Moves (n_days,) over the volatility forecast before each; 0 where a level never moved."""
    out = np.zeros(len(moves))
    np.divide(moves, np.sqrt(variance), out=out, where=variance > 0)
    return out
