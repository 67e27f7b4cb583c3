"""How plausible a scenario is: its distance under a stated covariance, each move in its own history, and days like it.

The distance is Mahalanobis' over the factors that move, the others left free: sqrt(m' C^-1 m), C the covariance of the moves.
For normal moves its square is chi-squared with as many degrees of freedom as factors move.

.. [B] T. Breuer, M. Jandačka, K. Rheinberger, M. Summer, "How to find plausible, severe, and useful stress scenarios",
   International Journal of Central Banking 5(3), 2009.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field
from scipy.special import chdtr

from lake.arrays import Bools, Floats
from lake.errors import BadInput, unknown
from lake.tables import Snapshot
from scenarios.market.history import load_history
from scenarios.market.moves import FactorMoves, measure
from scenarios.plausibility.move_law import LawRules, MoveLaw, first_day, given_the_others, law, solve
from scenarios.stress.warnings import curve_names, discount_factors
from scenarios.types import POSITIVE_TYPES, RiskClass, ScenarioSet, tenor_years

SURPRISE = 3.0  # standard errors from what the other moves imply, beyond which a turned sign is told
_WHITENED_CELLS = 4_000_000  # historical moves whitened at once: 32 MB


class PlausibilityRules(LawRules):
    """Parameters of a plausibility score."""

    nearest: int = Field(5, ge=0, le=50, description="number of nearest historical days to name")


@dataclass(frozen=True)
class FactorMove:
    """One move of a scenario, in the unit of its shift.

    deviations : move over the factor's standard deviation. percentile : share of the factor's own past moves that are smaller,
    ties by half, of `past_moves` moves. expected : the move that the scenario's other moves imply; surprise : how many of its
    standard errors the move lies from that.
    """

    risk_factor_id: str
    base: float
    level: float
    shift_type: str
    move: float
    deviations: float
    percentile: float
    past_moves: int
    expected: float
    surprise: float


@dataclass(frozen=True)
class NearDay:
    """A historical day: its Mahalanobis distance from the scenario, its own from no move at all, and the cosine of the angle
    between the two moves, 1 for the same direction."""

    day: str
    distance: float
    own_distance: float
    similarity: float


@dataclass(frozen=True)
class Plausibility:
    """The score of one scenario.

    distance : Mahalanobis, over `moved` factors. nearer : share of normal moves that are nearer to no move than this one.
    warnings : signs, curves and directions that look wrong. unscored : moved factors that are not in the distance, and why.
    days_compared, days_left_out : past days with, and without, a move of every moved factor.
    """

    label: str
    covariance: str
    distance: float
    moved: int
    nearer: float
    factors: tuple[FactorMove, ...]
    nearest: tuple[NearDay, ...]
    days_compared: int
    days_left_out: int
    warnings: tuple[str, ...]
    unscored: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def score(
    snapshot: Snapshot, scenario_set: ScenarioSet, rules: PlausibilityRules, labels: Sequence[str] = ()
) -> list[Plausibility]:
    """Scores the named scenarios of a set, all when none is named. Each is taken as a move over the rules' horizon.

    The market date of the rules is the set's. Raises `BadInput` for unknown labels, and where correlations are singular.
    """
    if rules.market_date != scenario_set.market_date:
        raise BadInput(
            f"The scenario set is of {scenario_set.market_date}, but the rules have market date {rules.market_date}; give the former."
        )
    column = {label: i for i, label in enumerate(scenario_set.labels)}
    for label in labels:
        if label not in column:
            raise unknown("scenario", label, column)
    found = law(snapshot, rules)
    history = load_history(snapshot, rules.calendar, first_day(snapshot), rules.market_date)
    past = measure(history, rules.with_log_prices(), rules.horizon_days)
    return [_score(scenario_set, column[x], found, past, rules) for x in labels or scenario_set.labels]


def _score(
    scenario_set: ScenarioSet, column: int, law: MoveLaw, past: FactorMoves, rules: PlausibilityRules
) -> Plausibility:
    label, factors = scenario_set.labels[column], scenario_set.index.factors
    levels = scenario_set.levels[:, column : column + 1][:, 0]
    rows: list[int] = []
    after: list[float] = []
    unscored: dict[str, str] = {}
    for f, base, level in zip(factors, scenario_set.base, levels, strict=True):
        if level == base:
            continue
        row = law.index.row.get(f.risk_factor_id)
        if row is None:
            unscored[f.risk_factor_id] = law.window.excluded.get(f.risk_factor_id, "not in the market history")
        elif law.deviation[row] == 0:
            unscored[f.risk_factor_id] = "it never moved in the window"
        elif not np.isfinite(law.moves([row], np.array([[level]]))).all():
            unscored[f.risk_factor_id] = f"a {law.shift[row].shift_type} move to {level:g} is not defined"
        else:
            rows.append(row)
            after.append(level)
    warnings = _warnings(scenario_set, levels)
    if not rows:
        return Plausibility(label, law.described, 0.0, 0, 0.0, (), (), 0, 0, tuple(warnings), unscored)
    moves = law.moves(rows, np.array(after)[:, None])[:, 0]
    z = moves / law.deviation[rows]
    root = law.root(rows)
    whitened = solve(root, z[:, None])[:, 0]
    squared = float((whitened * whitened).sum())
    expected, error = given_the_others(root, z)
    columns = [past.index.row[law.index.factors[r].risk_factor_id] for r in rows]
    history_moves = np.where(past.closed[:, columns], np.nan, past.moves[:, columns])
    below = (history_moves < moves).sum(axis=0) + 0.5 * (history_moves == moves).sum(axis=0)
    counts = np.isfinite(history_moves).sum(axis=0)
    judged = tuple(
        FactorMove(
            risk_factor_id=law.index.factors[r].risk_factor_id,
            base=float(law.base[r]),
            level=float(after[i]),
            shift_type=law.shift[r].shift_type.value,
            move=float(moves[i]),
            deviations=float(z[i]),
            percentile=float(below[i] / counts[i]),
            past_moves=int(counts[i]),
            expected=float(expected[i] * law.deviation[r]),
            surprise=float((z[i] - expected[i]) / error[i]),
        )
        for i, r in enumerate(rows)
    )
    warnings += [
        f"{f.risk_factor_id} moves by {f.move:+.4g}, where the other moves imply {f.expected:+.4g}."
        for f in judged
        if abs(f.surprise) > SURPRISE and f.expected * f.move < 0
    ]
    complete_days = np.asarray(np.isfinite(past.moves[:, columns]).all(axis=1))
    return Plausibility(
        label=label,
        covariance=law.described,
        distance=float(np.sqrt(squared)),
        moved=len(rows),
        nearer=float(chdtr(len(rows), squared)),
        factors=judged,
        nearest=_nearest(past, complete_days, columns, law.deviation[rows], root, whitened, rules.nearest),
        days_compared=int(complete_days.sum()),
        days_left_out=int((~complete_days).sum()),
        warnings=tuple(warnings),
        unscored=unscored,
    )


def _nearest(
    past: FactorMoves, there: Bools, columns: list[int], deviation: Floats, root: Floats, scenario: Floats, wanted: int
) -> tuple[NearDay, ...]:
    """The days nearest to a whitened scenario (k,), nearest first."""
    days = np.flatnonzero(there)
    distance, own, dot = np.empty(len(days)), np.empty(len(days)), np.empty(len(days))
    step = max(1, _WHITENED_CELLS // len(columns))
    for first in range(0, len(days) if wanted else 0, step):
        part = slice(first, first + step)
        day = solve(root, np.ascontiguousarray((past.moves[days[part]][:, columns] / deviation).T))
        distance[part] = ((day - scenario[:, None]) ** 2).sum(axis=0)
        own[part] = (day * day).sum(axis=0)
        dot[part] = (day * scenario[:, None]).sum(axis=0)
    size = np.sqrt((scenario * scenario).sum())
    return tuple(
        NearDay(
            str(past.days[days[i]]),
            float(np.sqrt(distance[i])),
            float(np.sqrt(own[i])),
            float(dot[i] / (size * np.sqrt(own[i]))) if own[i] > 0 else 0.0,
        )
        for i in np.argsort(distance, kind="stable")[:wanted].tolist()
    )


def _warnings(scenario_set: ScenarioSet, levels: Floats) -> list[str]:
    """Levels (n_factors,) whose sign, or whose curve, no market could show, where the base shows none of it."""
    found = []
    index, base = scenario_set.index, scenario_set.base
    for f, before, level in zip(index.factors, base, levels, strict=True):
        never_negative = f.type in POSITIVE_TYPES or f.risk_class in (RiskClass.CREDIT, RiskClass.COMMODITY)
        if never_negative and before > 0 and level <= 0:
            found.append(f"{f.risk_factor_id} turns from {before:g} to {level:g}.")
    for name in curve_names(index):
        pillars = index.curve(name)
        if {p.type for p in pillars} not in ({"par_yield"}, {"zero_rate"}):
            continue
        rows = [index.row[p.risk_factor_id] for p in pillars]
        times = np.array([tenor_years(p.pillar or "") for p in pillars])
        curves = discount_factors(times, np.stack([base[rows], levels[rows]], axis=1), pillars[0].type == "par_yield")
        rising = np.diff(np.vstack([np.ones(2), curves]), axis=0) > 1e-12
        if not (curves[:, 1] > 0).all():
            found.append(f"Curve {name} has a discount factor that is not positive.")
        elif rising[:, 1].any() and not rising[:, 0].any():
            found.append(
                f"Curve {name} gets a negative forward rate, up to {pillars[int(np.argmax(rising[:, 1]))].pillar}."
            )
    return found
