"""The return distribution that plausibility, predictive and reverse stress share: a covariance of a stated window.

Moves are taken as jointly elliptical around zero: then distances are Mahalanobis' and expectations linear in what is given.
Prices move by log unless stated otherwise, so that no expected move carries one below zero. Sums run in a fixed order,
without BLAS.

.. [A] T. W. Anderson, *An Introduction to Multivariate Statistical Analysis* (3rd ed. 2003), section 2.5: the conditional
   distribution of the partitioned normal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow.compute as pc
from pydantic import Field, model_validator

from lake.arrays import Floats
from lake.compiled import compiled
from lake.errors import BadInput
from lake.tables import Snapshot
from lake.words import first_of
from scenarios.historical.historical import HistoricalDefinition, HistoricalWindow, WindowRules, select
from scenarios.kernels import shifts
from scenarios.kernels.covariance import Estimator, Repair, estimate, repair, triangular_loadings
from scenarios.market.calendars import CALENDAR_START
from scenarios.market.moves import ShiftRule, span_name
from scenarios.types import FactorIndex


class LawRules(WindowRules):
    """Parameters of the law: which moves it is measured on, and how."""

    window: int = Field(500, ge=20, le=7500, description="latest full business days the covariance is measured on")
    horizon_days: int = Field(1, ge=1, le=60, description="business days a move spans; longer ones overlap")
    covariance: Estimator = Field("ledoit_wolf", description="estimator of the covariance")
    decay: float | None = Field(
        None, gt=0, lt=1, description="of ewma: weight of a day relative to the next (default 0.94)"
    )
    repair: Repair = Field("refuse", description="what to do where the correlations in question are singular")

    @model_validator(mode="after")
    def _decay_of_ewma(self) -> Self:
        if self.decay is not None and self.covariance != "ewma":
            raise ValueError("only a covariance of ewma has a decay; leave it out, or choose that")
        return self


@dataclass(frozen=True)
class MoveLaw:
    """Covariance of the moves of the factors in `index`.

    base : (n,) levels at the market date. shift : (n,) how each factor's moves are measured. deviation : (n,), in the unit of
    those moves; 0 for a factor that never moved. correlation : (n, n). window : the moves it was measured on.
    described : the covariance in words, to be shown beside every figure.
    """

    index: FactorIndex
    base: Floats
    shift: tuple[ShiftRule, ...]
    deviation: Floats
    correlation: Floats
    window: HistoricalWindow
    horizon_days: int
    how_to_repair: Repair
    described: str

    def moves(self, rows: Sequence[int], levels: Floats) -> Floats:
        """Moves from the base to `levels` (len(rows), n_scenarios)."""
        return np.stack(
            [
                shifts.move(self.shift[r].shift_type, self.base[r], level, self.shift[r].displacement)
                for r, level in zip(rows, levels, strict=True)
            ]
        )

    def levels(self, moves: Floats) -> Floats:
        """Levels of all factors after `moves` (n, n_scenarios)."""
        return np.stack(
            [
                shifts.apply(s.shift_type, b, m, s.displacement)
                for s, b, m in zip(self.shift, self.base, moves, strict=True)
            ]
        )

    def root(self, rows: Sequence[int]) -> Floats:
        """Lower-triangular root of the correlations of some factors; raises `BadInput` where they are singular."""
        still = [self.index.factors[r].risk_factor_id for r in rows if self.deviation[r] == 0]
        if still:
            raise BadInput(
                f"{first_of(still)} never moved in the {self.described}, so no move of it can be judged. "
                "Take a longer window, or leave it out."
            )
        return triangular_loadings(repair(self.correlation[np.ix_(rows, rows)], self.how_to_repair).correlation)


def law(snapshot: Snapshot, rules: LawRules) -> MoveLaw:
    """The return distribution by the rules at their market date; raises as `historical.select` does when history is too short."""
    rules = rules.with_log_prices()
    shared = {k: getattr(rules, k) for k in WindowRules.model_fields}
    w = select(snapshot, HistoricalDefinition(**shared, scenarios=rules.window, horizon_days=rules.horizon_days))
    columns = np.flatnonzero(w.kept)
    found = estimate(w.moves.moves[np.ix_(w.rows, columns)], rules.covariance, rules.decay or 0.94)
    shrunk = "" if found.shrinkage is None else f", shrinkage {found.shrinkage:.3g}"
    return MoveLaw(
        FactorIndex(tuple(w.moves.index.factors[j] for j in columns)),
        w.moves.base[columns],
        tuple(w.moves.rules[j] for j in columns),
        found.deviation,
        found.correlation,
        w,
        rules.horizon_days,
        rules.repair,
        f"{rules.covariance} covariance{shrunk} of {len(w.rows)} {span_name(rules.horizon_days)} moves to {w.labels[-1]}",
    )


def first_day(snapshot: Snapshot) -> dt.date:
    """The first day of the market history, no earlier than calendars reach."""
    first = pc.min(snapshot.read("market_data", ["as_of_date"])["as_of_date"]).as_py()
    return max(first or CALENDAR_START, CALENDAR_START)


@compiled
def solve(lower: Floats, right: Floats) -> Floats:
    """X with lower X = right, for a lower-triangular (k, k) and right (k, m), by forward substitution."""
    out = right.copy()
    for i in range(len(lower)):
        for j in range(i):
            for m in range(out.shape[1]):
                out[i, m] -= lower[i, j] * out[j, m]
        for m in range(out.shape[1]):
            out[i, m] /= lower[i, i]
    return out


def conditional(correlation: Floats, root: Floats, given: Sequence[int], values: Floats) -> tuple[Floats, Floats]:
    """Expectation (n, m) and standard error (n,) of all factors where those `given` have the `values` (k, m) [A]_.

    In units of each factor's deviation; `root` is that of the given factors' correlations. A given factor keeps its value
    and has no error.
    """
    weights = solve(root, np.ascontiguousarray(correlation[given]))
    whitened = solve(root, np.ascontiguousarray(values))
    expected = np.zeros((len(correlation), values.shape[1]))
    for w, y in zip(weights, whitened, strict=True):  # one factor after the other: a fixed order
        expected += np.outer(w, y)
    error = np.sqrt(np.maximum(1.0 - (weights * weights).sum(axis=0), 0.0))
    expected[given], error[given] = values, 0.0
    return expected, error


def given_the_others(root: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Expectation (k,) of each value given all others, and its standard error (k,), in units of deviation.

    With P the inverse of the correlations: error_i = P_ii^-1/2 and value_i - expectation_i = (P value)_i / P_ii [A]_.
    """
    inverse = solve(root, np.eye(len(root)))
    pulled = (inverse * solve(root, values[:, None])).sum(axis=0)
    precision = (inverse * inverse).sum(axis=0)
    return values - pulled / precision, 1.0 / np.sqrt(precision)
