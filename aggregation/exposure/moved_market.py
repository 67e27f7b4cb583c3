"""Exposures in the markets of scenarios: on paths that set out from them, or to first order by the drivers of the paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from aggregation.exposure.cva import set_figures
from aggregation.exposure.cva_query import OpenedCva
from aggregation.exposure.default_curves import BASIS_POINT
from aggregation.exposure.moved_paths import Movable, moved_model, opened_on
from aggregation.kernels import cva
from lake.arrays import Floats
from scenarios.types import YIELDS, RiskFactor, ScenarioSet
from valuation.market.path_model import Driver, PathModel

_RELATIVE = 0.01


def market_profiles(opened: OpenedCva, scenarios: ScenarioSet) -> Iterator[Floats]:
    """Expected discounted exposures (n_sets, n_dates) in each scenario, the book valued on paths from its market."""
    movable = Movable(opened)
    rows = [(f.risk_factor_id, i) for f, i in zip(scenarios.index.factors, range(len(scenarios.base)), strict=True)]
    known = [(name, i) for name, i in rows if name in movable.model.index.row]
    levels = np.asarray(scenarios.levels)
    for s in range(scenarios.n_scenarios):
        there = {name: float(levels[i, s]) for name, i in known if levels[i, s] != scenarios.base[i]}
        model = moved_model(movable.model, there)
        yield set_figures(opened_on(opened, movable.moved(model, movable.affected(model)))).positive


def market_slopes(opened: OpenedCva, scenarios: ScenarioSet, weights: Mapping[str, Floats], base: Floats) -> Floats:
    """First-order change of CVA of every netting set in every scenario, (n_sets, n_scenarios).

    weights : of the base curves by counterparty, (n_dates, 1); base : CVA of every set. A driver moves by the mean move of the factors it
    stands for, rates and spreads by their difference, all else by their ratio.
    """
    movable = Movable(opened)
    levels = np.asarray(scenarios.levels)
    change = np.zeros((len(base), scenarios.n_scenarios))
    for driver in movable.model.drivers:
        bumped, size = _bumped(movable.model, driver)
        moves = _mean_moves(scenarios, levels, driver, bumped)
        if not bumped or not moves.any():
            continue
        model = moved_model(movable.model, bumped)
        rows = movable.affected(model)
        if not len(rows):
            continue
        profile = set_figures(opened_on(opened, movable.moved(model, rows))).positive
        moved = np.array(
            [
                cva.weighted_sum(weights[c], profile[s])[0] if c is not None and c in weights else 0.0
                for s, c in enumerate(opened.sets.counterparties)
            ]
        )
        change += ((moved - base) / size)[:, None] * moves
    return change


def _bumped(model: PathModel, driver: Driver) -> tuple[dict[str, float], float]:
    """Levels with a small move of everything a driver stands for, and its size."""
    level = dict(zip(model.index.row, model.base.tolist(), strict=True))
    found = {}
    for f in model.index.factors:
        if (how := _stands_for(driver, f)) == "absolute":
            found[f.risk_factor_id] = level[f.risk_factor_id] + BASIS_POINT
        elif how == "relative":
            found[f.risk_factor_id] = level[f.risk_factor_id] * (1.0 + _RELATIVE)
        elif how == "inverse":
            found[f.risk_factor_id] = level[f.risk_factor_id] / (1.0 + _RELATIVE)
    return found, BASIS_POINT if driver.kind in ("rate", "credit") else _RELATIVE


def _stands_for(driver: Driver, f: RiskFactor) -> str:
    """How a factor moves with a driver: absolute, relative, inverse; empty for not."""
    if driver.kind == "rate":
        return "absolute" if f.type in YIELDS and f.currency == driver.name else ""
    if driver.kind == "credit":
        return "absolute" if driver.name in (f.curve, f.risk_factor_id) else ""
    if driver.kind == "fx":
        if f.type != "fx_rate" or driver.name not in (f.risk_factor_id[-6:-3], f.risk_factor_id[-3:]):
            return ""
        return "relative" if f.risk_factor_id[-6:-3] == driver.name else "inverse"
    return "relative" if f.risk_factor_id == driver.name else ""


def _mean_moves(scenarios: ScenarioSet, levels: Floats, driver: Driver, bumped: Mapping[str, float]) -> Floats:
    """The mean move in each scenario, (n_scenarios,), of the factors of a driver that the scenarios know."""
    found = []
    for name in sorted(bumped):
        if name not in scenarios.index.row:
            continue
        i = scenarios.index.row[name]
        how = _stands_for(driver, scenarios.index.factors[i])
        base = scenarios.base[i]
        if how == "absolute":
            found.append(levels[i] - base)
        else:
            found.append(levels[i] / base - 1.0 if how == "relative" else base / levels[i] - 1.0)
    if not found:
        return np.zeros(scenarios.n_scenarios)
    total = np.zeros(scenarios.n_scenarios)
    for row in found:
        total += row
    return total / len(found)
