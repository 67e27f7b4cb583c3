"""GENERATORS "predictive": a few core shocks, and for every other factor the move to be expected with them.

Kupiec, P. (1998), "Stress testing in a value at risk framework", Journal of Derivatives 6(1): the conditional expectation
of the other factors under the covariance that VaR uses, instead of leaving them where they are.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from lake.errors import BadInput, validated
from lake.tables import Snapshot
from scenarios.plausibility.move_law import LawRules, MoveLaw, conditional, law
from scenarios.stress import generate as stress
from scenarios.stress.language import parse_where
from scenarios.stress.model import Selector
from scenarios.stress.select import Universe
from scenarios.types import ScenarioSet


class PredictiveDefinition(LawRules):
    """Parameters of predictive stress."""

    method: Literal["predictive"] = "predictive"
    text: str = Field(description="the core shocks in the stress language; several scenarios may stand in it")
    fixed: tuple[str, ...] = Field(
        (), description="selectors of factors that stay at their base, such as rate[ccy=JPY] or credit"
    )
    fixed_inform: bool = Field(
        False,
        description="whether the others are expected given that the fixed factors stay, or as if nothing were known of them",
    )


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the core shocks imply: `core` as generated, `fixed` (n,), and of all factors of the law the levels (n, n_scenarios).

    expected, error : (n, n_scenarios) moves in the unit of each factor's shift and their standard errors; a core or fixed
    factor has no error.
    """

    law: MoveLaw
    core: ScenarioSet
    fixed: np.ndarray[Any, np.dtype[np.bool_]]
    expected: Floats
    error: Floats
    levels: Floats


def predict(snapshot: Snapshot, definition: PredictiveDefinition, name: str) -> Prediction:
    """The expected move of every factor given the core shocks, and its standard error.

    A core shock is a factor that the text moves, in that scenario. Raises `BadInput` as the stress language does, for a core
    factor that is also fixed or has too little history, and where the core factors' correlations are singular.
    """
    core = stress.generate(
        snapshot,
        stress.StressDefinition(
            market_date=definition.market_date,
            calendar=definition.calendar,
            max_held_days=definition.max_held_days,
            text=definition.text,
            document=None,
        ),
        name,
    )
    found = law(snapshot, definition)
    n = len(found.index.factors)
    fixed = np.zeros(n, dtype=bool)
    universe = Universe(found.index, found.window.excluded)
    for text in definition.fixed:
        fixed[list(universe.select(_selector(text)))] = True
    expected, error = np.zeros((n, core.n_scenarios)), np.zeros((n, core.n_scenarios))
    levels = np.empty_like(expected)
    for s in range(core.n_scenarios):
        given, after = _given(core, s, found, fixed)
        levels[given, s] = after
        moves = found.moves(given, after[:, None])[:, 0]
        expected[given, s] = moves
        known = given + np.flatnonzero(fixed).tolist() if definition.fixed_inform else given
        known = [r for r in known if found.deviation[r] > 0 or r in given]
        root = found.root(known)
        z = np.append(moves / found.deviation[given], np.zeros(len(known) - len(given)))
        implied, uncertain = conditional(found.correlation, root, known, z[:, None])
        others = np.ones(n, dtype=bool)
        others[given] = False
        others &= ~fixed
        expected[others, s] = (implied[:, 0] * found.deviation)[others]
        error[others, s] = (uncertain * found.deviation)[others]
        levels[others, s] = found.levels(expected[:, s : s + 1])[others, 0]
        levels[fixed, s] = found.base[fixed]
    return Prediction(found, core, fixed, expected, error, levels)


def generate(snapshot: Snapshot, definition: PredictiveDefinition, name: str) -> ScenarioSet:
    """The scenario set of the definition: core shocks as the text says, fixed factors at base, all others as expected.

    Each factor's expected move and standard error stand in `fitted`, the covariance in `calibration`. A factor without enough
    history is excluded and listed, as in historical simulation.
    """
    p = predict(snapshot, definition, name)
    w = p.law.window
    made = w.moves.scenario_set(
        w.kept,
        p.levels,
        name=name,
        method=definition.method,
        market_date=definition.market_date,
        definition=definition.model_dump(mode="json"),
        labels=p.core.labels,
        horizon_days=definition.horizon_days,
        excluded={**p.core.excluded, **w.excluded},
        dropped=w.dropped,
        proxied=w.moves.proxied(w.rows, w.kept, "days"),
        fitted={f.risk_factor_id: _told(p, r) for r, f in enumerate(p.law.index.factors)},
        calibration={"covariance": p.law.described},
    )
    return dataclasses.replace(made, shocked=(p.levels != p.law.base[:, None]).any(axis=1))


def _selector(text: str) -> Selector:
    word, bracket, where = text.strip().partition("[")
    if bracket and not where.endswith("]"):
        raise BadInput(f"The selector {text!r} was given; expected class[conditions], such as rate[ccy=JPY].")
    return validated(Selector, {"class": word.strip(), "where": parse_where(where[:-1])}, f"selector {text!r}")


def _given(
    core: ScenarioSet, scenario: int, found: MoveLaw, fixed: np.ndarray[Any, np.dtype[np.bool_]]
) -> tuple[list[int], Floats]:
    """Rows of the law, and levels, of the factors that a scenario moves."""
    rows, levels = [], []
    for f, base, level in zip(
        core.index.factors, core.base, core.levels[:, scenario : scenario + 1][:, 0], strict=True
    ):
        if level == base:
            continue
        row = found.index.row.get(f.risk_factor_id)
        if row is None:
            reason = found.window.excluded.get(f.risk_factor_id, "no history")
            raise BadInput(
                f"{f.risk_factor_id} is a core shock, but its moves are not known: {reason}. Take a shorter window."
            )
        if fixed[row]:
            raise BadInput(f"{f.risk_factor_id} is both a core shock and fixed; say one of the two.")
        rows.append(row)
        levels.append(level)
    if not rows:
        raise BadInput(f"Scenario {core.labels[scenario]} moves no factor, so nothing can be expected with it.")
    return rows, np.array(levels)


def _told(p: Prediction, row: int) -> str:
    if p.fixed[row]:
        return "fixed at its base"
    return "; ".join(
        f"{label}: " + (f"given {e:+.6g}" if s == 0 else f"expected {e:+.6g}, standard error {s:.3g}")
        for label, e, s in zip(p.core.labels, p.expected[row], p.error[row], strict=True)
    )
