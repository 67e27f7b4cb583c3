"""A covariance of the lake in place of the one that Monte Carlo would estimate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lake.errors import BadInput, Issue
from lake.words import first_of
from scenarios.kernels.covariance import Covariance
from scenarios.market.covariances import StoredCovariance
from scenarios.types import FactorIndex, ShiftType

if TYPE_CHECKING:
    from scenarios.simulated.monte_carlo import CalibrationWindow


def given_covariance(stored: StoredCovariance, window: CalibrationWindow) -> tuple[CalibrationWindow, Covariance]:
    """The window with the factors alone that the matrix has too, those without it excluded, and the covariance of a day's moves.

    The matrix is divided by its horizon in days. Raises `BadInput` for one in bumps of sensitivities, one with a factor that is measured
    otherwise than it is simulated here, and where no factor is left.
    """
    if stored.unit != "1":
        raise BadInput(
            f"The covariance {stored.name} is in bumps of sensitivities, which are no moves of levels; bring in one of moves."
        )
    place = {f: i for i, f in enumerate(stored.factors)}
    ids = [f.risk_factor_id for f in window.index.factors]
    kept = np.array([i in place for i in ids], dtype=bool)
    if not kept.any():
        raise BadInput(
            f"The covariance {stored.name} has none of the risk factors with a market: it has {first_of(stored.factors, 3)}."
        )
    at = np.array([place[i] for i, k in zip(ids, kept, strict=True) if k])
    shifts = [s for s, k in zip(window.shift_types, kept, strict=True) if k]
    issues = []
    for i, shift in zip(at.tolist(), shifts, strict=True):
        measured, simulated = stored.moves[i], "absolute" if shift == ShiftType.ABSOLUTE else "relative"
        if measured not in (None, simulated):
            issues.append(Issue(stored.factors[i], f"its moves are {measured} in the covariance, and {simulated} here"))
    if issues:
        told = first_of((f"{i.pointer}: {i.message}" for i in issues), 3)
        raise BadInput(f"The covariance {stored.name} measures moves otherwise. {told}.", issues=issues)
    missing = {i: f"not in the covariance {stored.name}" for i, k in zip(ids, kept, strict=True) if not k}
    daily = stored.covariance[np.ix_(at, at)] / stored.horizon_days
    deviation = np.sqrt(np.diagonal(daily))
    inverse = np.divide(1.0, deviation, out=np.zeros(len(at)), where=deviation > 0)
    correlation = daily * inverse[:, None] * inverse
    np.fill_diagonal(correlation, 1.0)
    narrowed = replace(
        window,
        index=FactorIndex(tuple(f for f, k in zip(window.index.factors, kept, strict=True) if k)),
        base=window.base[kept],
        shift_types=tuple(shifts),
        moves=np.ascontiguousarray(window.moves[:, kept]),
        excluded={**window.excluded, **missing},
        held={f: day for f, day in window.held.items() if f not in missing},
        proxied={f: why for f, why in window.proxied.items() if f not in missing},
    )
    return narrowed, Covariance(deviation, correlation)
