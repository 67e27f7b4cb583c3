"""Monte Carlo: paths drawn from a law calibrated to the latest history, each onto today's levels.

| distribution | daily moves                                                                                      |
|--------------|--------------------------------------------------------------------------------------------------|
| normal       | multivariate normal with the calibrated covariance                                               |
| student_t    | multivariate Student-t with that covariance: one chi-square for all factors, so tails come together |
| t_copula     | each factor's own empirical distribution, joined by a t copula [MFE]_                            |
| bootstrap    | the moves of a past day, or of several following days, all factors together [K]_                 |

.. [MFE] A. McNeil, R. Frey, P. Embrechts, *Quantitative Risk Management* (2nd ed. 2015), sections 7.3 and 7.5.
.. [K] H. R. Künsch, "The jackknife and the bootstrap for general stationary observations", Annals of Statistics 17 (1989).
"""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from scipy.special import stdtrit

from lake.arrays import Bools, Floats
from lake.errors import BadInput
from lake.tables import Snapshot
from lake.words import in_text
from scenarios.kernels.covariance import (
    Covariance,
    Estimator,
    Repair,
    estimate,
    principal_components,
    repair,
    triangular_loadings,
)
from scenarios.kernels.random_blocks import Sampling
from scenarios.market.calendars import CALENDAR_START, MEANING
from scenarios.market.covariances import load_covariance
from scenarios.market.history import MarketHistory, load_history
from scenarios.market.moves import (
    ALL_CLOSED,
    FactorMoves,
    MaxDropped,
    MoveRules,
    droppable,
    exclude_costly,
    span_name,
    without_idle_days,
)
from scenarios.simulated.given_covariance import given_covariance
from scenarios.simulated.simulated_levels import Distribution, Process, SimulatedLevels
from scenarios.types import FactorIndex, ScenarioSet, ShiftType

MAX_SCENARIOS = 1_000_000
MAX_HORIZON = 260  # business days: a year
MIN_DAYS = 20
_DEFAULT_FREEDOM = 5.0
_FREEDOM = ("student_t", "t_copula")


class MonteCarloDefinition(BaseModel):
    """Parameters of Monte Carlo simulation, calibrated on the latest business days up to the market date."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["monte_carlo"] = "monte_carlo"
    market_date: dt.date = Field(description="date of the base levels; the last move of the calibration may end on it")
    scenarios: int = Field(10_000, ge=1, le=MAX_SCENARIOS, description="number of paths; each has a scenario a horizon")
    seed: int = Field(1, ge=0, lt=2**63, description="the same seed gives the same scenarios")
    distribution: Distribution = Field("normal", description="law of the daily moves")
    degrees_of_freedom: float | None = Field(
        None, gt=2, le=1000, description="of student_t and t_copula (default 5); smaller is fatter tails"
    )
    horizons: tuple[int, ...] = Field(
        (1,),
        min_length=1,
        description="business days each path is looked at, ascending; several give T1, T2, ... (0 is T0)",
    )
    window: int = Field(500, ge=MIN_DAYS, le=7500, description="business days of moves the calibration reads")
    covariance: Estimator = Field("sample", description="estimator of covariances (t_copula: of correlations)")
    covariance_matrix: str | None = Field(
        None,
        min_length=1,
        description="name of a covariance of the lake that is used in place of an estimate; of normal and student_t",
    )
    decay: float | None = Field(
        None, gt=0, lt=1, description="of ewma: weight of a day relative to the next (default 0.94)"
    )
    repair: Repair = Field("clip", description="what to do with a singular or indefinite correlation matrix")
    components: int | None = Field(None, ge=1, description="keep only this many principal components")
    explained_share: float | None = Field(
        None, gt=0, le=1, description="keep the fewest principal components that explain this share of variance"
    )
    drift: Literal["zero", "sample"] = Field("zero", description="mean of the moves: none, or that of the window")
    returns: Literal["log", "as_typed"] = Field(
        "log",
        description="log: prices, rates of exchange and volatilities move by log return; as_typed: as in historical",
    )
    block_days: int = Field(1, ge=1, le=60, description="of bootstrap: days drawn together, in their order")
    sampling: Sampling = Field("random", description="random, antithetic pairs, or scrambled Sobol points")
    calendar: str = Field("XNYS", description=MEANING)
    max_missing: float = Field(
        0.25, ge=0, lt=1, description="a factor without a one-day move on more than this share of days is excluded"
    )
    max_dropped: MaxDropped = 0.01
    max_held_days: int = Field(
        3, ge=0, le=10, description="business days a factor's last level may be held for the base, visibly"
    )

    @field_validator("horizons", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> MonteCarloDefinition:
        horizons = self.horizons
        if any(b <= a for a, b in itertools.pairwise(horizons)) or horizons[0] < 0 or horizons[-1] == 0:
            raise ValueError(
                f"horizons must be business days in ascending order, the last above 0, not {in_text(horizons)}"
            )
        if horizons[-1] > MAX_HORIZON:
            raise ValueError(f"the longest horizon is {MAX_HORIZON} business days, not {horizons[-1]}")
        if self.scenarios * len(horizons) > MAX_SCENARIOS:
            raise ValueError(
                f"{self.scenarios:,} paths at {len(horizons)} horizons are {self.scenarios * len(horizons):,} scenarios; "
                f"at most {MAX_SCENARIOS:,}"
            )
        if self.sampling == "antithetic" and self.scenarios % 2:
            raise ValueError(
                f"antithetic paths come in pairs; ask for an even number of scenarios, not {self.scenarios}"
            )
        if self.components is not None and self.explained_share is not None:
            raise ValueError("give components or explained_share, not both")
        without = "only a {} has {}; leave it out, or choose that"
        if self.degrees_of_freedom is not None and self.distribution not in _FREEDOM:
            raise ValueError(without.format("student_t or t_copula distribution", "degrees_of_freedom"))
        if self.block_days > 1 and self.distribution != "bootstrap":
            raise ValueError(without.format("bootstrap", "block_days"))
        if self.decay is not None and self.covariance != "ewma":
            raise ValueError(without.format("covariance of ewma", "decay"))
        if self.covariance_matrix is not None:
            if self.distribution not in ("normal", "student_t"):
                raise ValueError(without.format("normal or student_t distribution", "a covariance_matrix"))
            if self.covariance != "sample":
                raise ValueError("give covariance or covariance_matrix, not both: one is an estimator, one its result")
        if self.distribution == "bootstrap":
            if self.sampling == "antithetic":
                raise ValueError("a bootstrap has no antithetic paths; use sampling random or sobol")
            given = {"covariance", "repair", "components", "explained_share"} & self.model_fields_set
            changed = sorted(f for f in given if getattr(self, f) != type(self).model_fields[f].default)
            if changed:
                raise ValueError(f"a bootstrap draws days and has no covariance; leave {', '.join(changed)} out")
        return self

    @property
    def process(self) -> Process:
        freedom = self.degrees_of_freedom or _DEFAULT_FREEDOM
        return Process(
            distribution=self.distribution,
            paths=self.scenarios,
            horizons=self.horizons,
            sampling=self.sampling,
            seed=self.seed,
            degrees_of_freedom=freedom if self.distribution in _FREEDOM else None,
            block_days=self.block_days,
        )


@dataclass(frozen=True)
class CalibrationWindow:
    """What a calibration reads: moves (n_days, n_factors) of the factors in `index`, oldest first, all finite.

    base : (n_factors,) today's levels; the rest as in a ScenarioSet.
    """

    index: FactorIndex
    base: Floats
    shift_types: tuple[str, ...]
    moves: Floats
    excluded: dict[str, str]
    held: dict[str, str]
    dropped: dict[str, str]
    proxied: dict[str, str] = field(default_factory=dict)


def generate(snapshot: Snapshot, definition: MonteCarloDefinition, name: str) -> ScenarioSet:
    """The scenario set of the definition, its levels generated when they are read.

    A factor without enough moves in the window, or without a level at the market date, is excluded and listed; one whose missing moves a
    proxy stands in for is listed as proxied. A day on which any factor of the set has no move, or any market was closed, is left out of the
    calibration and listed. Raises `NotFound` or `BadInput` when
    nothing is left to calibrate on, or when the correlations are singular and not to be repaired.
    """
    first = definition.market_date - dt.timedelta(days=round(definition.window * 1.75) + 30)
    history = load_history(snapshot, definition.calendar, max(first, CALENDAR_START), definition.market_date)
    window, given = _window(history, definition), None
    if definition.covariance_matrix is not None:
        stored = load_covariance(snapshot, definition.covariance_matrix)
        window, given = given_covariance(stored, window)
    levels, calibration = calibrate(window, definition, given)
    if definition.covariance_matrix is not None:
        calibration["covariance_matrix"] = f"{stored.name}, of {stored.file}"
    several = len(definition.horizons) > 1
    return ScenarioSet(
        scenario_set_id="",
        name=name,
        method=definition.method,
        market_date=definition.market_date,
        definition=definition.model_dump(mode="json"),
        index=window.index,
        labels=levels.labels,
        base=window.base,
        levels=levels,
        shocked=np.ones(len(window.base), dtype=bool),
        horizon_days=definition.horizons[-1],
        horizons=definition.horizons if several else (),
        sample=not several,  # a mixture of horizons has no VaR of its own
        seed=definition.seed,
        excluded=window.excluded,
        held=window.held,
        dropped=window.dropped,
        proxied=window.proxied,
        calibration=calibration,
        market_data_version=history.market_data_version,
    )


def _rules(definition: MonteCarloDefinition) -> MoveRules:
    """How moves are measured. By log, prices, rates of exchange and volatilities stay positive; a commodity price can be negative."""
    shared = {k: getattr(definition, k) for k in ("market_date", "calendar", "max_held_days")}
    rules = MoveRules(**shared, gaps="drop")  # a calibration has no use for the move of a market that was closed
    return rules.with_log_prices() if definition.returns == "log" else rules


def _window(history: MarketHistory, definition: MonteCarloDefinition) -> CalibrationWindow:
    rules, n = _rules(definition), definition.window
    excluded: dict[str, str] = {}

    def choose(measured: FactorMoves) -> tuple[Bools, tuple[FactorMoves, Bools, Bools]]:
        factors = measured.index.factors
        there = len(measured.days) - int(np.isfinite(measured.levels).any(axis=1).argmax())
        if there < n:
            raise BadInput(
                f"A window of {n} business days up to {definition.market_date} was asked for; the history has "
                f"{there} moves. Ask for a shorter window, or bring in more history."
            )
        window = np.arange(len(measured.days)) >= len(measured.days) - n
        moves = measured.fill(window, rules)
        excluded.update({**moves.excluded, **excluded})
        for f, rule, level in zip(factors, moves.rules, moves.base, strict=True):
            if rule.shift_type != ShiftType.ABSOLUTE and level <= 0:
                excluded[f.risk_factor_id] = f"its level {level:g} is not above zero: no {rule.shift_type} move applies"
        days, has_move = moves.days[window], np.isfinite(moves.moves[window])
        for factor, observed in zip(factors, has_move.sum(axis=0).tolist(), strict=True):
            if 1 - observed / n > definition.max_missing:
                excluded.setdefault(
                    factor.risk_factor_id, f"one-day moves on only {observed} of the latest {n} business days"
                )
        kept = np.array([f.risk_factor_id not in excluded for f in factors])
        holes = ~(has_move | moves.closed[window])
        excluded.update(exclude_costly(factors, holes, kept, days, droppable(definition.max_dropped, n), span_name(1)))
        return kept, (moves, window, has_move)

    history, kept, (moves, window, has_move), idle = without_idle_days(history, rules, choose)
    factors, days = moves.index.factors, moves.days[window]
    if not kept.any():
        first = "; ".join(f"{k}: {v}" for k, v in list(excluded.items())[:3])
        raise BadInput(f"No risk factor is left to calibrate on up to {definition.market_date}: {first}.")
    rows = np.flatnonzero(window)
    full = has_move[:, kept].all(axis=1)
    if full.sum() < MIN_DAYS:
        raise BadInput(
            f"Only {int(full.sum())} of the {n} business days up to {definition.market_date} have a move of all "
            f"{int(kept.sum())} risk factors; a calibration needs at least {MIN_DAYS}. Lower max_missing, so that the "
            "factors with the most holes are excluded, or take a longer window."
        )
    lost = {str(d): ALL_CLOSED for d in idle[idle >= days[0]]}
    lost |= {str(moves.days[i]): moves.lacking(i, kept, span_name(1)) for i in rows[~full].tolist()}
    return CalibrationWindow(
        index=FactorIndex(tuple(f for f, k in zip(factors, kept, strict=True) if k)),
        base=moves.base[kept],
        shift_types=tuple(str(r.shift_type) for r, k in zip(moves.rules, kept, strict=True) if k),
        moves=np.ascontiguousarray(moves.moves[rows[full]][:, kept]),
        excluded=excluded,
        held={k: v for k, v in moves.held.items() if k not in excluded},
        dropped={day: f"not in the calibration: {why}" for day, why in lost.items()},
        proxied=moves.proxied(rows[full], kept, "days"),
    )


def calibrate(
    window: CalibrationWindow, definition: MonteCarloDefinition, given: Covariance | None = None
) -> tuple[SimulatedLevels, dict[str, str]]:
    """The levels of the definition calibrated on the window, and what the calibration found. given : in place of its covariance."""
    moves = window.moves
    n_days, n = moves.shape
    found = {"days": f"{n_days} of {definition.window} in the window"}
    if n_days < definition.block_days:
        raise BadInput(f"Blocks of {definition.block_days} days were asked for; the window has {n_days} full days.")
    mean = moves.mean(axis=0)
    # a factor that never moved has a move of exactly zero, not the rounding of its mean
    mean = np.where(np.ptp(moves, axis=0) > 0, mean, moves[0])
    drift = mean if definition.drift == "sample" else np.zeros(n)
    drawn = np.zeros((n, 0))
    if definition.distribution in ("bootstrap", "t_copula"):
        drawn = np.ascontiguousarray((moves - mean).T)
    if definition.distribution == "bootstrap":
        loadings = np.zeros((n, 0))
    else:
        sample = moves
        if definition.distribution == "t_copula":
            drawn.sort(axis=1)
            sample = _pseudo_observations(moves, definition.process.degrees_of_freedom)
        estimated = given or estimate(sample, definition.covariance, definition.decay or 0.94)
        loadings = _loadings(estimated, definition, found)
    return SimulatedLevels(definition.process, window.base, window.shift_types, drift, loadings, drawn), found


def _pseudo_observations(moves: Floats, degrees_of_freedom: float | None) -> Floats:
    """Each factor's moves by rank on the t scale: what the correlations of a t copula are estimated on, whatever the
    margins. Moves that never change have rank scores of zero."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import, and only the t copula needs it

    scores: Floats = stdtrit(degrees_of_freedom, rankdata(moves, axis=0) / (len(moves) + 1))
    return np.where(np.ptp(moves, axis=0) > 0, scores, 0.0)


def _loadings(estimated: Covariance, definition: MonteCarloDefinition, found: dict[str, str]) -> Floats:
    """Loadings (n_factors, k) of daily moves on common normals; notes what was estimated, repaired and explained."""
    correlation = estimated.correlation
    if estimated.shrinkage is not None:
        found["shrinkage"] = f"{estimated.shrinkage:.6g}"
    copula = definition.distribution == "t_copula"
    deviation = np.ones(len(correlation)) if copula else estimated.deviation
    if definition.components is None and definition.explained_share is None:
        repaired = repair(correlation, definition.repair)
        found["least_eigenvalue"] = f"{repaired.least_eigenvalue:.6g}"
        if repaired.largest_change > 0:
            found["repair"] = f"{definition.repair}: largest change of a correlation {repaired.largest_change:.3g}"
        return triangular_loadings(repaired.correlation) * deviation[:, None]
    loadings, share = principal_components(correlation, definition.components, definition.explained_share)
    kept = np.sqrt((loadings**2).sum(axis=1))
    found["components"] = f"{loadings.shape[1]} of {len(correlation)}"
    found["explained_share"] = f"{share:.6g}"
    found["least_explained_share_of_a_factor"] = f"{(kept**2).min():.6g}"
    if copula:  # the margins are given, so that the copula's normals must keep their variance
        loadings = loadings / np.where(kept > 0, kept, 1.0)[:, None]
    return loadings * deviation[:, None]
