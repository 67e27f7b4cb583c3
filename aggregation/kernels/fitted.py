"""Kernel: VaR and expected shortfall of a distribution given the P&L's own moments, and the standard error of a VaR.

P&L, levels and weights as in `aggregation.kernels.tail`; measures have its four parameters. Moments are those of the scenarios by their
probabilities. A variance with divisor n - 1 is that with n over 1 - 1/n, with weights over 1 - sum p^2.
"""

from __future__ import annotations

import math

import numpy as np

from aggregation.kernels.delta_normal import normal_multiplier
from aggregation.kernels.estimators import order_statistic_resampled, var_rank
from aggregation.kernels.tail import Level, NotDefined, moments, probabilities
from aggregation.kernels.tail_walk import values_of_ranks
from lake.arrays import Floats


def normal(pnl: Floats, level: Level, weights: Floats | None, estimator: str, *, kind: str, sample: bool) -> Floats:
    """Normal VaR, z sd - mean, or ES (`kind` es), sd phi(z) / (1 - level) - mean; sd with divisor n - 1 for `sample`, else n.

    Sources: Jorion, Value at Risk, 3rd edition, ch. 5; for ES McNeil, Frey and Embrechts, Quantitative Risk Management, ch. 2.
    """
    mean, deviation, *_ = moments(pnl, weights)
    return np.asarray(_multiple(pnl.shape[1], level, weights, kind, sample) * deviation - mean)


def normal_weights(
    pnl: Floats, level: Level, weights: Floats | None, estimator: str, *, kind: str, sample: bool
) -> Floats:
    """w, (n_groups, n_scenarios), with the figure of `normal` = -sum_s w_s P&L_s: p_s (1 - c (x_s - mean) / sd), c its deviations."""
    mean, deviation, *_ = moments(pnl, weights)
    multiple = _multiple(pnl.shape[1], level, weights, kind, sample)
    slope = np.divide(multiple, deviation, out=np.zeros(len(pnl)), where=deviation > 0)
    return np.asarray(probabilities(pnl.shape[1], weights) * (1 - slope[:, None] * (pnl - mean[:, None])))


def _multiple(n: int, level: Level, weights: Floats | None, kind: str, sample: bool) -> float:
    assert level is not None
    return normal_multiplier(kind, float(level)) * (_sample_factor(n, weights) if sample else 1.0)


def _sample_factor(n: int, weights: Floats | None) -> float:
    """What turns a deviation with divisor n into one with n - 1."""
    lost = 1.0 / n if weights is None else math.fsum(probabilities(n, weights) ** 2)
    if lost >= 1.0:
        raise NotDefined(
            "One scenario has no standard deviation with divisor n - 1; ask for the measure with divisor n."
        )
    return math.sqrt(1.0 / (1.0 - lost))


def modified_var(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """-(mean + h sd) with the Cornish-Fisher quantile h at z, the normal quantile of 1 - level; sd with divisor n.

    h = z + (z^2 - 1) S/6 + (z^3 - 3z) K/24 - (2z^3 - 5z) S^2/36, S the skewness and K the excess kurtosis. NaN where h falls as z rises: a
    higher level would have a smaller loss. Sources: Cornish and Fisher (1937); Favre and Galeano (2002), Mean-modified Value-at-Risk
    optimization with hedge funds; domain: Maillard (2012).
    """
    mean, deviation, h, *_ = _cornish_fisher(pnl, level, weights)
    return np.asarray(0.0 - (mean + h * deviation))


def modified_es(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Mean loss beyond the modified VaR under the Edgeworth density of the same moments; the modified VaR at least, and NaN with it.

    sd phi(h) / (1 - level) (1 + h^3 S/6 + (h^4 - 2h^2 - 1) K/24 + (h^6 - 9h^4 + 9h^2 + 3) S^2/72) - mean.
    Source: Boudt, Peterson and Croux (2008), Estimation and decomposition of downside risk for portfolios with non-normal returns.
    """
    assert level is not None
    mean, deviation, h, s, k = _cornish_fisher(pnl, level, weights)
    # one by one: the bits of an exponential of an array may depend on its length
    density = np.array([math.exp(-x * x / 2) for x in h.tolist()]) / math.sqrt(2 * math.pi)
    g = h * h
    terms = 1 + g * h * s / 6 + (g * g - 2 * g - 1) * k / 24 + (g * g * g - 9 * g * g + 9 * g + 3) * (s * s) / 72
    return np.asarray(np.maximum(density * terms / float(1 - level), 0.0 - h) * deviation - mean)


def _cornish_fisher(pnl: Floats, level: Level, weights: Floats | None) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Mean, deviation, quantile in deviations, skewness and excess kurtosis of each row."""
    assert level is not None
    mean, deviation, skew, kurtosis = moments(pnl, weights)
    s, k = (np.where(np.isnan(x), 0.0, x) for x in (skew, kurtosis))  # what does not vary has neither
    z = 0.0 - normal_multiplier("var", float(level))
    h = z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * (s * s) / 36
    slope = 1 + z * s / 3 + (z**2 - 1) * k / 8 - (6 * z**2 - 5) * (s * s) / 36
    return mean, deviation, np.where(slope > 0, h, np.nan), s, k


def standard_error(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Standard deviation of the order-statistic VaR over all resamples of the scenarios, exactly and without drawing any.

    Source: Hutson and Ernst (2000), The exact bootstrap mean and variance of an L-estimator, JRSS B 62(1). Refused for other estimators
    and for weights.
    """
    assert level is not None
    if weights is not None or estimator != "order_statistic":
        raise NotDefined(
            "The exact standard error is that of the estimator order_statistic on equally weighted scenarios; "
            "var_standard_error_normal is defined for all."
        )
    chances = order_statistic_resampled(pnl.shape[1], var_rank(pnl.shape[1], level))
    worst = 0.0 - np.sort(np.partition(pnl, len(chances) - 1, axis=1)[:, : len(chances)], axis=1)
    away = (worst - values_of_ranks(pnl, chances)[:, None]) ** 2 * chances
    return np.asarray(np.sqrt(np.add.accumulate(away, axis=1)[:, -1]))


def standard_error_normal(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """sqrt(level (1 - level) / n) / f, f the density of a normal distribution of the P&L's deviation at the quantile.

    With weights n is 1 / sum p^2. Sources: Kendall and Stuart, The Advanced Theory of Statistics; Hull, the historical simulation chapter.
    """
    assert level is not None
    a, n = float(level), 1.0 / math.fsum(probabilities(pnl.shape[1], weights) ** 2)
    deviation = moments(pnl, weights)[1] * _sample_factor(pnl.shape[1], weights)
    # the density at the quantile is phi(z) / sd, and phi(z) that of the expected shortfall
    return np.asarray(deviation * (math.sqrt(a * (1 - a) / n) / (normal_multiplier("es", a) * float(1 - level))))
