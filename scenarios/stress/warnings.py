"""What is possible but looks wrong: told beside a scenario, never refused."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from lake.arrays import Floats
from lake.errors import Issue
from scenarios.market.base_market import BaseMarket
from scenarios.stress import model as m
from scenarios.stress.amounts import listed
from scenarios.stress.apply import AppliedScenario
from scenarios.stress.language import step_text
from scenarios.stress.select import BESIDE, Universe
from scenarios.types import FactorIndex, RiskClass, tenor_years

_PERIOD = 0.5  # years between the coupons of a par bond
_FLAT = 1e-12


def warnings(document: m.Document, market: BaseMarket, outcomes: list[AppliedScenario]) -> list[Issue]:
    """Signs that turn, curves that open an arbitrage, and wordings often meant otherwise."""
    found = left_out(document, Universe(market.index, market.excluded))
    for i, (scenario, outcome) in enumerate(zip(document.scenarios, outcomes, strict=True)):
        pointer = f"/scenarios/{i}"
        for j, step in enumerate(scenario.steps):
            if isinstance(step, m.Shift) and step.unit == "%" and step.select.risk_class in ("rate", "credit"):
                found.append(
                    Issue(
                        f"{pointer}/steps/{j}",
                        f"{step_text(step)} moves by a share of the level: 2% becomes {2 * (1 + step.value / 100):g}%. "
                        f"For percentage points write {step.value:+g}pt.",
                    )
                )
        found += [Issue(pointer, text) for text in _signs(market, outcome) + _curves(market, outcome)]
        found += [Issue(pointer, f"{i}: {reason}") for i, reason in outcome.absent.items()]
    return found


def left_out(document: m.Document, universe: Universe, moved: Collection[str] = ()) -> list[Issue]:
    """Factors of a class that its moves leave, since they are not what its word says, but for those that `moved`."""
    found = []
    for i, scenario in enumerate(document.scenarios):
        for j, step in enumerate(scenario.steps):
            selectors = [axis.select for axis in step.axes] if isinstance(step, m.Grid) else []
            if isinstance(step, m.Shift | m.Multiply | m.Assign | m.Curve):
                selectors = [step.select]
            left = [f for s in selectors for f in universe.left_out(s) if f.risk_factor_id not in moved]
            if left:
                word = BESIDE[left[0].type]
                quoted = " in percent of a level" if word == "vol" else ""
                said = (
                    f"{step_text(step)} leaves out what is no {word}{quoted}: {listed(left)}. Select it by type, "
                    f"{' or '.join(sorted({f.type for f in left}))}, to move it."
                )
                found.append(Issue(f"/scenarios/{i}/steps/{j}", said))
    return found


def _signs(market: BaseMarket, outcome: AppliedScenario) -> list[str]:
    return [
        f"{f.risk_factor_id} turns from {market.base[r]:g} to {outcome.levels[r].min():g}."
        for r, f in enumerate(market.index.factors)
        if f.risk_class in (RiskClass.COMMODITY, RiskClass.CREDIT)
        and market.base[r] > 0
        and (outcome.levels[r] <= 0).any()
    ]


def curve_names(index: FactorIndex) -> list[str]:
    return sorted({f.curve for f in index.factors if f.curve is not None})


def _curves(market: BaseMarket, outcome: AppliedScenario) -> list[str]:
    texts = []
    for name in curve_names(market.index):
        pillars = market.index.curve(name)
        rows = [market.index.row[p.risk_factor_id] for p in pillars]
        moved = [r in outcome.named for r in rows]
        if not any(moved) or {p.type for p in pillars} not in ({"par_yield"}, {"zero_rate"}):
            continue
        times = np.array([tenor_years(p.pillar or "") for p in pillars])
        par = pillars[0].type == "par_yield"
        before = discount_factors(times, market.base[rows][:, None], par)
        after = discount_factors(times, outcome.levels[rows], par)
        if (none := ~(after > 0)).any():
            node = int(np.argmax(none.any(axis=0)))
            first = pillars[int(np.argmax(none[:, node]))].pillar
            texts.append(f"Curve {name} has no positive discount factor from {first} on in {outcome.labels[node]}.")
        elif _rises(after).any() and not _rises(before).any():
            k, node = (int(x[0]) for x in np.nonzero(_rises(after)))
            start = pillars[k - 1].pillar if k else "today"
            texts.append(
                f"Curve {name} gets a negative forward rate from {start} to {pillars[k].pillar} in {outcome.labels[node]}."
            )
    return texts


def _rises(discounts: Floats) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    start = np.vstack([np.ones(discounts.shape[1]), discounts[:-1]])
    return discounts > start * (1 + _FLAT)


def discount_factors(times: Floats, rates: Floats, par: bool) -> Floats:
    """Discount factors at the pillars, (n_pillars, n_nodes); not positive, or NaN, where the rates allow none.

    Zero rates are continuously compounded. Par yields are of semi-annual bonds, interpolated linearly between the pillars:
    DF_k = (1 - y_k/2 (DF_1 + ... + DF_k-1)) / (1 + y_k/2); up to half a year DF = 1 / (1 + yT), to a year
    DF = 1 / ((1 + y/2)(1 + y(T - 1/2))).
    """
    if not par:
        zero: Floats = np.exp(-times[:, None] * rates)
        return zero
    out = np.empty_like(rates)
    annuity = np.zeros(rates.shape[1])
    grid = _PERIOD * np.arange(1, math.ceil(times[-1] / _PERIOD - 1e-9) + 1)
    at_grid = np.empty((len(grid), rates.shape[1]))
    for k, t in enumerate(grid):
        right = int(np.clip(np.searchsorted(times, t), 1, len(times) - 1)) if len(times) > 1 else 0
        left = max(right - 1, 0)
        share = np.clip((t - times[left]) / (times[right] - times[left]), 0.0, 1.0) if right else 0.0
        y = rates[left] + share * (rates[right] - rates[left])
        at_grid[k] = (1 - y * _PERIOD * annuity) / (1 + y * _PERIOD)
        at_grid[k][~(at_grid[k] > 0)] = np.nan
        annuity += at_grid[k]
    for p, t in enumerate(times):
        y = rates[p]
        if t < 2 * _PERIOD - 1e-9:
            out[p] = 1 / ((1 + y * min(t, _PERIOD)) * (1 + y * max(t - _PERIOD, 0.0)))
        else:
            k = t / _PERIOD - 1
            low = math.floor(k + 1e-9)
            weight = k - low if k - low > 1e-9 else 0.0
            out[p] = at_grid[low] if weight == 0 else at_grid[low] ** (1 - weight) * at_grid[low + 1] ** weight
    return out
