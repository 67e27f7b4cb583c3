"""Scenario weights by age, and moves scaled by volatility.

Boudoukh, Richardson & Whitelaw (1998), "The best of both worlds", Risk 11(5): a scenario's probability decays with its age.
Hull & White (1998), "Incorporating volatility updating into the historical simulation method", Journal of Risk 1(1): a move is
scaled by today's volatility over the volatility of its day.
J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, ch. 5: exponentially weighted volatility, mean zero.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lake.arrays import Dates, Floats

FEWEST_SURPRISES = 100  # of which one cannot be farther out than 10 times their volatility


def age_weights(ages: npt.NDArray[np.int64], decay: float) -> Floats:
    """Probabilities (n,) that fall by the factor `decay` with each business day of age, summing to 1.

    With ages 0 to n-1 this is decay^age (1 - decay) / (1 - decay^n); when days were dropped the rest is scaled up.
    """
    weights: Floats = decay ** (ages - ages.min()).astype(np.float64)
    weights /= weights.sum()
    return weights


def warm_up_days(decay: float, tolerance: float = 0.001) -> int:
    """Days after which the seed of an exponentially weighted average has lost all but `tolerance` of its weight."""
    return math.ceil(math.log(tolerance) / math.log(decay))


def ewma_variance(moves: Floats, decay: float, seed_days: int, *, centred: bool = False) -> Floats:
    """Variance forecasts (n_days + 1, n_factors) of moves (n_days, n_factors): row i is made before move i, from those before it.

    var[i+1] = decay var[i] + (1 - decay) move[i]^2, mean zero. A missing move (NaN) leaves the forecast as it is. The seed is the mean
    square of a factor's first `seed_days` moves, or their variance (`centred`: mean removed, divisor n - 1); for a factor without any move
    all is NaN.
    """
    squares = moves * moves
    there = np.isfinite(squares)
    early = there & (np.cumsum(there, axis=0) <= seed_days)
    counts = early.sum(axis=0)
    out = np.empty((len(moves) + 1, moves.shape[1]))
    with np.errstate(invalid="ignore"):
        counts = np.where(counts, counts, np.nan)
        mean = np.where(early, moves, 0.0).sum(axis=0) / counts if centred else 0.0
        out[0] = np.where(early, (moves - mean) ** 2, 0.0).sum(axis=0) / (counts - centred)
    for i in range(len(moves)):
        out[i + 1] = np.where(there[i], decay * out[i] + (1.0 - decay) * squares[i], out[i])
    return out


def volatility_scales(forecast: Floats, target: Floats) -> Floats:
    """What each move (n_days, n_factors) is multiplied by: the volatility scaled to over the one forecast before the move.

    forecast : (n_days, n_factors) variances. target : (n_factors,), usually today's forecast. 1 where the forecast before the move is
    zero, as for a level that never moved; whether a move can be scaled at all says `why_unscaled`.
    """
    ratio = np.ones_like(forecast)
    np.divide(target, forecast, out=ratio, where=forecast > 0)
    return np.sqrt(ratio)


def why_unscaled(moves: Floats, variance: Floats, days: Dates, sample: int) -> str | None:
    """Why a factor's moves (n,) cannot be scaled by the variance forecast before each, (n,); None where they can.

    Surprises, moves over their forecast volatility, have a mean square of 1, and of n numbers none has more than n times their mean
    square. A move farther out came out of a calm that does not foretell it: a peg let go, a suspended share. sample : n, the
    number of moves that the forecasts were estimated on.
    """
    beyond = moves * moves > max(sample, FEWEST_SURPRISES) * variance
    if not beyond.any():
        return None
    first = int(np.argmax(beyond))
    if variance[first] == 0:
        return f"no volatility before {days[first]}"
    times = abs(moves[first]) / math.sqrt(variance[first])
    return f"the move of {days[first]} is {times:,.0f} times the volatility forecast for it"
