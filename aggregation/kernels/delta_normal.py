"""Kernel: parametric VaR and ES from sensitivities: delta-normal with its decomposition, delta-gamma by moments.

Moves of risk factors are normal with mean zero and covariance `sigma` over the horizon. P&L gains are positive, VaR and ES
losses positive, `level` a fraction. Source throughout: Jorion, *Value at Risk*, 3rd edition, chapters 7 and 10; Hull, *Risk Management
and Financial Institutions*, the model-building approach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aggregation.kernels.fixed_sums import dot, product, row_dots
from lake.arrays import Floats


def normal_multiplier(measure: str, level: float) -> float:
    """Standard deviations in a normal VaR or ES at the level: z, or phi(z) / (1 - level)."""
    from scipy.special import ndtri  # noqa: PLC0415 - 0.3 s that most questions need not

    z = float(ndtri(level))
    if measure == "var":
        return z
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / (1 - level)


@dataclass(frozen=True)
class DeltaNormal:
    """`value` = multiplier times sd of the whole, split two ways.

    By group, (n_groups,): standalone, component (adds up to value), incremental (value minus that without the group). By factor,
    (n_factors,): marginal (change of value per unit of delta), factor_component (adds up to value).
    """

    sd: float
    value: float
    standalone: Floats
    component: Floats
    incremental: Floats
    marginal: Floats
    factor_component: Floats


def delta_normal(delta: Floats, sigma: Floats, multiplier: float) -> DeltaNormal:
    """Delta-normal VaR or ES of groups with deltas (n_groups, n_factors), and its Euler decomposition.

    sigma : (n_factors, n_factors) covariance of the moves. `multiplier` : as `normal_multiplier` gives it, or a rounded z.
    Components are zero where the whole does not move.
    """
    whole = delta.sum(axis=0)
    with_whole = row_dots(sigma, whole[None])
    sd = _sd(whole, sigma)
    marginal = multiplier * with_whole / sd if sd > 0.0 else np.zeros(len(whole))
    return DeltaNormal(
        sd=sd,
        value=multiplier * sd,
        standalone=np.array([multiplier * _sd(d, sigma) for d in delta]),
        component=row_dots(delta, marginal[None]),
        incremental=np.array([multiplier * (sd - _sd(whole - d, sigma)) for d in delta]),
        marginal=marginal,
        factor_component=whole * marginal,
    )


def _sd(delta: Floats, sigma: Floats) -> float:
    # rounding can leave a hedged variance just below zero
    return math.sqrt(max(0.0, dot(delta, row_dots(sigma, delta[None]))))


@dataclass(frozen=True)
class Moments:
    """Mean, variance, and standardised third and fourth cumulants (skewness, excess kurtosis) of P&L."""

    mean: float
    variance: float
    skewness: float
    excess_kurtosis: float


def delta_gamma_moments(delta: Floats, gamma: Floats, sigma: Floats) -> Moments:
    """Moments of delta'x + x'gamma x / 2 for normal x, exactly, by the cumulants of a quadratic form.

    delta : (n_factors,); gamma, sigma : (n_factors, n_factors). mean = tr(G S) / 2; variance = d'S d + tr((G S)^2) / 2;
    k3 = 3 d'S G S d + tr((G S)^3); k4 = 12 d'S (G S)^2 d + 3 tr((G S)^4).
    Source: Mina and Ulmer (1999), Delta-gamma four ways.
    """
    gs = product(gamma, sigma)
    squared = product(gs, gs)
    sd = row_dots(sigma, delta[None])
    variance = float(dot(delta, sd) + np.trace(squared) / 2)
    if variance <= 0.0:
        return Moments(float(np.trace(gs) / 2), 0.0, 0.0, 0.0)
    gsd = row_dots(gamma, sd[None])
    third = float(3 * dot(sd, gsd) + np.trace(product(squared, gs)))
    fourth = float(12 * dot(sd, row_dots(gs, gsd[None])) + 3 * np.trace(product(squared, squared)))
    return Moments(float(np.trace(gs) / 2), variance, third / variance**1.5, fourth / variance**2)


@dataclass(frozen=True)
class Expansion:
    """A Cornish-Fisher quantile `value` of P&L, and whether it may be used.

    valid : between this quantile and its mirror image on the other side, greater probabilities have greater quantiles. Where they do
    not, the expansion is outside its domain and its value is not a quantile.
    """

    value: float
    valid: bool


def cornish_fisher(moments: Moments, z: float, *, terms: int = 4) -> Expansion:
    """The quantile of P&L at the normal quantile `z`, negative in the loss tail, by three or four moments.

    w = z + (z^2 - 1) S/6 + (z^3 - 3z) K/24 - (2z^3 - 5z) S^2/36, with K the excess kurtosis; the first two terms alone with
    `terms` = 3. Sources: Cornish and Fisher (1937); domain: Maillard (2012), A user's guide to the Cornish-Fisher expansion.
    """
    s, k = moments.skewness, moments.excess_kurtosis
    # w as a polynomial in z, least power first
    w = np.array([-s / 6, 1.0, s / 6, 0.0])
    if terms == 4:
        w += [0.0, -k / 8 + 5 * s * s / 36, 0.0, k / 24 - s * s / 18]
    slope = np.polynomial.Polynomial(w).deriv()
    where = [-abs(z), abs(z)]
    if slope.coef[-1] != 0.0 and len(slope.coef) == 3:
        turn = -slope.coef[1] / (2 * slope.coef[2])
        where += [turn] if abs(turn) < abs(z) else []
    valid = all(slope(x) > 0.0 for x in where)
    value = moments.mean + math.sqrt(moments.variance) * float(np.polynomial.Polynomial(w)(z))
    return Expansion(value, valid)
