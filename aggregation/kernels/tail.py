"""Kernel: quantiles, tail means and moments of scenario P&L, and what each scenario counts in them.

P&L comes in as float64 of shape (n_groups, n_scenarios), gains positive. Losses go out positive, shape (n_groups,).
Losses are ranked worst first, ties by scenario index; ranks are exact (`aggregation.kernels.estimators`). Sums run in a fixed
order, so that the same P&L always gives the same bits.

Weighted scenarios carry probabilities `weights` of shape (n_scenarios,), non-negative; they are scaled to sum 1. A
scenario of weight zero is not there.

The gain tail is not here: it is the same measure of -P&L.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from aggregation.kernels.estimators import ESTIMATORS, exact_level, rank_weights, shortfall_ranks, var_rank
from aggregation.kernels.fixed_sums import ROUNDING
from aggregation.kernels.tail_walk import (
    BEYOND,
    SHORTFALL,
    WALKS,
    WHOLE,
    values_of_ranks,
    weighted_values,
    weighted_weights,
    weights_of_ranks,
)
from lake.arrays import Floats
from lake.compiled import compiled

__all__ = ["ESTIMATORS", "Floats", "Level", "NotDefined", "exact_level", "rank_weights", "shortfall_ranks", "var_rank"]

Level = Fraction | None

# parts of the worst losses, worst first, and what to divide their sum by; or, for weighted scenarios, a walk over them
RankReading = tuple[Floats, float] | int


class NotDefined(ValueError):
    """The measure has no value for these scenarios, this level or this estimator."""


# --- readings: how a measure reads n ranked scenarios -----------------------------------------------------------------


def var_reading(n: int, level: Level, weighted: bool, estimator: str) -> RankReading:
    """By the estimator; raises `NotDefined` for one that is made for equal weights where there are others."""
    assert level is not None
    if not weighted:
        return rank_weights(estimator, n, level), 1.0
    if estimator not in WALKS:
        raise NotDefined(
            f"The estimator {estimator} is defined for equally weighted scenarios, and this scenario set carries weights; "
            f"use {', '.join(WALKS)}."
        )
    return WALKS[estimator]


def es_reading(n: int, level: Level, weighted: bool, estimator: str) -> RankReading:
    """The worst 1 - level, of the last loss the part that is left."""
    assert level is not None
    return SHORTFALL if weighted else shortfall_ranks(n, level)


def whole_reading(n: int, level: Level, weighted: bool, estimator: str) -> RankReading:
    """All losses down to the order statistic, the last as a whole."""
    assert level is not None
    k = var_rank(n, level)
    return WHOLE if weighted else (np.ones(k), float(k))


def beyond_reading(n: int, level: Level, weighted: bool, estimator: str) -> RankReading:
    """What ranks worse than the order statistic; raises `NotDefined` where nothing does."""
    assert level is not None
    if weighted:
        return BEYOND
    beyond = var_rank(n, level) - 1
    if beyond == 0:
        raise _nothing_beyond(n, level)
    return np.ones(beyond), float(beyond)


# --- measures: all have the same four parameters, so that one table can hold them ------------------------------------


def value_at_risk(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """The loss that is exceeded with probability 1 - level, read by the estimator.

    With weights: losses are taken worst first until their weights reach 1 - level (reaching it exactly counts); the loss
    that reaches it is the VaR. Of the other estimators brw_half_weight and weighted_linear take weights, the rest is
    refused with `NotDefined`.
    Source: Hull, *Risk Management and Financial Institutions*, historical simulation chapter.
    """
    return _read(pnl, level, weights, var_reading(pnl.shape[1], level, weights is not None, estimator))


def expected_shortfall(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Mean of the worst 1 - level of the distribution; the last loss enters with the fraction that is left.

    With k = n (1 - level) and losses worst first: (L_1 + ... + L_m + (k - m) L_(m+1)) / k, m = floor(k).
    Source: Acerbi and Tasche (2002), On the coherence of expected shortfall. It does not depend on the estimator.
    """
    return _read(pnl, level, weights, es_reading(pnl.shape[1], level, weights is not None, estimator))


def mean_beyond(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Mean of the losses ranked strictly worse than the order-statistic VaR: of the k - 1 worst of n.

    Source: the older editions of Hull. It does not depend on the estimator. Refused where nothing ranks worse.
    """
    values = _read(pnl, level, weights, beyond_reading(pnl.shape[1], level, weights is not None, estimator))
    if np.isnan(values).any():
        raise _nothing_beyond(pnl.shape[1], level)
    return values


def mean(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Mean P&L over the scenarios; gains are positive."""
    return moments(pnl, weights)[0]


def volatility(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Standard deviation of the P&L over the scenarios: mean removed, divisor n (Hull), not n - 1."""
    return moments(pnl, weights)[1]


def skewness(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Third central moment over the cubed standard deviation, both with divisor n (Fisher and Pearson's g1).

    Negative where the losing tail is the longer one. NaN where the P&L does not vary.
    """
    return moments(pnl, weights)[2]


def kurtosis(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Fourth central moment over the squared variance, both with divisor n, minus the 3 of a normal distribution (Fisher's g2).

    NaN where the P&L does not vary.
    """
    return moments(pnl, weights)[3]


def worst_loss(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """The greatest loss of any scenario; negative when every scenario gains."""
    present = pnl if weights is None else pnl[:, weights > 0]
    return np.asarray(0.0 - present.min(axis=1))


def mean_of_worst(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Mean of the k worst losses, k = ceil(n (1 - level)); with weights of all losses up to and with the one that reaches 1 - level."""
    return _read(pnl, level, weights, whole_reading(pnl.shape[1], level, weights is not None, estimator))


def mean_at_or_beyond(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Mean of the losses at or beyond the VaR of the estimator: of all that are as great, ties among them."""
    counted = at_or_beyond_weights(pnl, level, weights, estimator)
    return np.asarray(0.0 - np.add.accumulate(np.where(counted > 0, counted * pnl, 0.0), axis=1)[:, -1])


def exceedance(pnl: Floats, threshold: Level, weights: Floats | None, estimator: str) -> Floats:
    """Probability that the loss is greater than `threshold`, strictly, in the currency of the P&L."""
    assert threshold is not None
    beyond = pnl < -float(threshold)
    if weights is None:
        return np.asarray(np.count_nonzero(beyond, axis=1) / pnl.shape[1])
    return _mass(beyond, probabilities(pnl.shape[1], weights))


# --- tail weights: what each scenario counts in a measure; measure = -sum_s w_s P&L_s ---------------------------------


def var_weights(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Weight of each scenario in each group's VaR, shape (n_groups, n_scenarios): VaR = -sum_s w_s P&L_s, sum_s w_s = 1.

    Of scenarios with equal P&L the first in scenario order ranks worse, as everywhere: that is the rule for ties.
    """
    return _read_weights(pnl, level, weights, var_reading(pnl.shape[1], level, weights is not None, estimator))


def es_weights(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Weight of each scenario in each group's ES: its share of the worst 1 - level; the last one with the part left."""
    return _read_weights(pnl, level, weights, es_reading(pnl.shape[1], level, weights is not None, estimator))


def whole_weights(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Weight of each scenario in the mean of the k worst losses."""
    return _read_weights(pnl, level, weights, whole_reading(pnl.shape[1], level, weights is not None, estimator))


def at_or_beyond_weights(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Weight of each scenario in the mean of the losses at or beyond the VaR: its probability over theirs together."""
    var = value_at_risk(pnl, level, weights, estimator)
    least = var - ROUNDING * np.abs(var)  # an interpolation between equal losses may miss them by rounding
    p = np.where(0.0 - pnl >= least[:, None], probabilities(pnl.shape[1], weights), 0.0)
    return np.asarray(p / np.add.accumulate(p, axis=1)[:, -1:])


def beyond_weights(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Weight of each scenario in the mean of the losses beyond the VaR; refused where nothing ranks worse."""
    found = _read_weights(pnl, level, weights, beyond_reading(pnl.shape[1], level, weights is not None, estimator))
    if not found.any(axis=1).all():
        raise _nothing_beyond(pnl.shape[1], level)
    return found


def mean_weights(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Minus the probability of each scenario: the mean is a gain."""
    return np.broadcast_to(-probabilities(pnl.shape[1], weights), pnl.shape)


def worst_weights(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """One at the worst scenario that has a probability."""
    out = np.zeros(pnl.shape)
    present = pnl if weights is None else np.where(weights > 0, pnl, np.inf)
    out[np.arange(len(pnl)), present.argmin(axis=1)] = 1.0
    return out


# --- arrays in, arrays out -------------------------------------------------------------------------------------------


def _read(pnl: Floats, level: Level, weights: Floats | None, reading: RankReading) -> Floats:
    if isinstance(reading, tuple):
        return values_of_ranks(pnl, *reading)
    assert level is not None
    assert weights is not None
    return weighted_values(pnl, weights, level, reading)


def _read_weights(pnl: Floats, level: Level, weights: Floats | None, reading: RankReading) -> Floats:
    if isinstance(reading, tuple):
        return weights_of_ranks(pnl, *reading)
    assert level is not None
    assert weights is not None
    return weighted_weights(pnl, weights, level, reading)


def _nothing_beyond(n: int, level: Level) -> NotDefined:
    assert level is not None
    return NotDefined(
        f"No scenario of {n} ranks worse than the VaR at level {float(level):g}, so that the mean beyond it is "
        "not defined; use es, a lower level or more scenarios."
    )


def _contiguous(pnl: Floats) -> Floats:
    return np.ascontiguousarray(pnl, dtype=np.float64)


def probabilities(n: int, weights: Floats | None) -> Floats:
    """The weights scaled to sum 1; equal ones for None."""
    return np.full(n, 1.0 / n) if weights is None else weights / math.fsum(weights)


def _mass(where: np.typing.NDArray[np.bool_], probabilities: Floats) -> Floats:
    """Sum of the probabilities of the marked scenarios of each row, added in scenario order."""
    return np.asarray(np.add.accumulate(np.where(where, probabilities, 0.0), axis=1)[:, -1])


def moments(pnl: Floats, weights: Floats | None) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, standard deviation, skewness and excess kurtosis of each row, divisor n; the last two NaN where it does not vary."""
    found: tuple[Floats, Floats, Floats, Floats] = _moments(_contiguous(pnl), probabilities(pnl.shape[1], weights))
    return found


@compiled
def _moments(pnl: Floats, probabilities: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Summed in scenario order."""
    n_groups, n = pnl.shape
    means, deviations, skews, kurtoses = np.empty(n_groups), np.empty(n_groups), np.empty(n_groups), np.empty(n_groups)
    for g in range(n_groups):
        total = 0.0
        for s in range(n):
            total += probabilities[s] * pnl[g, s]
        squares = 0.0
        cubes = 0.0
        fourths = 0.0
        least, most = np.inf, -np.inf
        for s in range(n):
            away = pnl[g, s] - total
            squares += probabilities[s] * away**2
            cubes += probabilities[s] * away**3
            fourths += probabilities[s] * away**4
            if probabilities[s] > 0.0:
                least, most = min(least, pnl[g, s]), max(most, pnl[g, s])
        means[g] = total
        deviations[g] = math.sqrt(squares)
        # a constant P&L may miss its own mean by rounding, and would be given a skewness of noise
        varies = least < most and squares > 0.0
        skews[g] = cubes / (squares * deviations[g]) if varies else np.nan
        kurtoses[g] = fourths / (squares * squares) - 3.0 if varies else np.nan
    return means, deviations, skews, kurtoses
