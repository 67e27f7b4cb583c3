"""The volatility of one factor's moves: GARCH(1,1), fitted by quasi maximum likelihood in the `arch` library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lake.arrays import Dates, Floats
from scenarios.kernels.weighting import ewma_variance, why_unscaled
from scenarios.types import NOT_SCALED

# The optimiser stops on either side of the unit root by the last bits of its library: this near to it is not stationary.
MOST_PERSISTENT = 0.9999
FALLBACK_DECAY = 0.94  # RiskMetrics' daily factor, where no GARCH model can be fitted
FALLBACK_SEED_DAYS = 75


@dataclass(frozen=True)
class Garch:
    """var[t+1] = omega + alpha move[t]^2 + beta var[t], mean zero.

    variance : (n_days + 1,) one-day forecasts, each made the day before; the last is today's. All one, and so kept, for moves that
    cannot be scaled.
    """

    omega: float
    alpha: float
    beta: float
    variance: Floats
    text: str


def fit(moves: Floats, days: Dates) -> Garch:
    """The model of one factor's moves (n_days,), which end on `days`.

    Where the fit does not converge, or has no finite variance, an exponentially weighted average stands in; a factor with a move that no
    forecast tells of is not scaled. The text says so.
    """
    from arch.univariate import arch_model  # noqa: PLC0415 - a second to import, and only these methods need it

    scale = float(np.sqrt((moves * moves).mean())) if len(moves) else 0.0
    if scale == 0.0:
        return _unscaled(moves, "no volatility: the level never moved")
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
        text = f"GARCH(1,1): omega {omega:.3g}, alpha {alpha:.3g}, beta {beta:.3g}"
    else:
        omega, alpha, beta = 0.0, 1 - FALLBACK_DECAY, FALLBACK_DECAY
        text = f"exponentially weighted volatility, decay {FALLBACK_DECAY}: no stationary GARCH(1,1) was found"
        variance = ewma_variance(moves[:, None], FALLBACK_DECAY, FALLBACK_SEED_DAYS)[:, 0]
    why = why_unscaled(moves, variance[:-1], days, len(moves))
    return Garch(omega, alpha, beta, variance, text) if why is None else _unscaled(moves, NOT_SCALED + why)


def _unscaled(moves: Floats, text: str) -> Garch:
    return Garch(0.0, 0.0, 1.0, np.ones(len(moves) + 1), text)
