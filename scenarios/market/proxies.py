"""Proxies: a factor's missing moves as beta times the moves of another factor.

Beta is the least-squares slope of the factor's own moves on the proxy's, over the latest days on which both have one. The fitted
mean is left out, so that a proxy that stands still moves nothing; and so is the residual, so a proxied factor moves less than it
would have: R2 says by how much (its variance is R2 times the true one).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from lake.arrays import Bools, Floats
from lake.errors import BadInput
from scenarios.types import FactorIndex, RiskFactor


class DeclaredProxy(BaseModel):
    """The factor that stands in for another; its beta is estimated unless stated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: str = Field(description="risk factor id of the proxy")
    beta: float | None = Field(
        None,
        allow_inf_nan=False,
        description="move of the factor for one unit of the proxy's move; estimated when absent",
    )


class ProxyRules(BaseModel):
    """What may stand in for a factor's missing moves, and how its beta is estimated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    declared: dict[str, DeclaredProxy] = Field(
        default_factory=dict, description="risk factor id to its proxy; goes before an automatic one"
    )
    auto: bool = Field(
        True,
        description="look for a proxy by itself: of the same curve, or of the same class and sector, or an index of the class",
    )
    window: int = Field(500, ge=20, le=5000, description="business days up to the latest that beta is estimated on")
    min_observations: int = Field(60, ge=20, description="common moves that an estimate needs at least")
    min_r2: float = Field(
        0.25, ge=0, le=1, description="share of variance that an automatic proxy must explain at least"
    )


@dataclass(frozen=True)
class Proxy:
    """Column of the proxy in the moves, its beta and the fit; `r2` and `observations` are None for a stated beta."""

    column: int
    beta: float
    r2: float | None = None
    observations: int | None = None

    def describe(self, factor_id: str, index: FactorIndex, used: str) -> str:
        """Such as "EQ:FB by IDX:SPX, beta 1.12, R2 0.35 on 190 moves, 310 of 500 scenarios"."""
        fit = "as stated" if self.r2 is None else f"R2 {self.r2:.2f} on {self.observations} moves"
        proxy = index.factors[self.column].risk_factor_id
        return f"{factor_id} by {proxy}, beta {self.beta:.4g}, {fit}, {used}"


def regress(own: Floats, proxies: Floats) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Least-squares slopes of `own` (n_days,) on each of `proxies` (n_days, n_proxies) with a constant, R2, and days used.

    A day counts where both are finite. Slope and R2 are 0 where either never moves.
    """
    both = np.isfinite(own)[:, None] & np.isfinite(proxies)
    n = both.sum(axis=0)
    y, x = (np.where(both, v, 0.0) for v in (own[:, None], proxies))
    y, x = (np.where(both, v - v.sum(axis=0) / np.maximum(n, 1), 0.0) for v in (y, x))
    xx, yy, xy = (x * x).sum(axis=0), (y * y).sum(axis=0), (x * y).sum(axis=0)
    slope, r2 = np.zeros(len(n)), np.zeros(len(n))
    moved = (xx > 0) & (yy > 0)
    np.divide(xy, xx, out=slope, where=moved)
    np.divide(xy * slope, yy, out=r2, where=moved)
    return slope, r2, n


def choose(moves: Floats, index: FactorIndex, column: int, needed: Bools, rules: ProxyRules) -> Proxy | None:
    """The proxy of one factor; None when none is fit to stand in.

    moves : (n_days, n_factors), NaN where a factor was not observed to move. needed : (n_days,) days to be filled. Of the automatic
    candidates that explain enough, the one that has a move on most needed days is taken, then the one with the highest R2.
    Raises `BadInput` for a declared proxy that does not exist or has too little history.
    """
    recent = moves[-rules.window :]
    factor = index.factors[column]
    if declared := rules.declared.get(factor.risk_factor_id):
        at = index.row[declared.factor]
        if declared.beta is not None:
            return Proxy(at, declared.beta)
        proxy = _estimate(recent, column, at)
        if proxy.observations is not None and proxy.observations < rules.min_observations:
            raise BadInput(
                f"{factor.risk_factor_id} has {proxy.observations} moves in common with its proxy {declared.factor} in the latest "
                f"{len(recent)} business days; beta needs {rules.min_observations}. State the beta, widen the window, or ask for fewer."
            )
        return proxy
    if not rules.auto:
        return None
    able = [i for i, f in enumerate(index.factors) if i != column and _may_stand_in(f, factor)]
    fills = np.isfinite(moves[needed][:, able]).sum(axis=0)
    _, r2, n = regress(recent[:, column], recent[:, able])
    fit = (fills > 0) & (n >= rules.min_observations) & (r2 >= rules.min_r2)
    if not fit.any():
        return None
    best = max(np.flatnonzero(fit).tolist(), key=lambda i: (fills[i], r2[i], -i))
    return _estimate(recent, column, able[best])


def _estimate(moves: Floats, column: int, at: int) -> Proxy:
    """The proxy by regression; alone, so that its bits do not depend on what else there is to choose from."""
    slope, r2, n = regress(moves[:, column], moves[:, [at]])
    return Proxy(at, float(slope[0]), float(r2[0]), int(n[0]))


def _may_stand_in(candidate: RiskFactor, factor: RiskFactor) -> bool:
    """A pillar for a pillar of its curve; else a factor of the same class that has the same sector or, as an index, none."""
    if factor.risk_class is not candidate.risk_class or factor.curve != candidate.curve:
        return False
    return dict(candidate.attributes).get("sector") in (dict(factor.attributes).get("sector"), None)
