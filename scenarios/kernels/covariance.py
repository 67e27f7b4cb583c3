"""Covariance of moves: estimators, repair to positive semi-definite, and the loadings that scenarios are drawn with.

Everything is worked on correlations, with the standard deviations kept apart: rates move by basis points and stocks by
percents, and neither a repair nor a shrinkage may favour one for its unit. Estimators and Cholesky sum in a fixed order
of their own, so that a calibration has the same bits on every machine; eigenvectors, used by repairs and principal
components only, come from LAPACK.

.. [LW] O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
   Multivariate Analysis 88 (2004) 365-411.
.. [H] N. J. Higham, "Computing the nearest correlation matrix - a problem from finance", IMA Journal of Numerical
   Analysis 22 (2002) 329-343.
.. [RM] J.P. Morgan/Reuters, "RiskMetrics - Technical Document" (1996), ch. 5: decay 0.94 for daily moves, mean zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lake.arrays import Floats
from lake.compiled import compiled
from lake.errors import BadInput

Estimator = Literal["sample", "ewma", "ledoit_wolf"]
Repair = Literal["clip", "higham", "refuse"]

EIGENVALUE_FLOOR = 1e-8  # of a repaired correlation matrix; a squared Cholesky pivot below it counts as singular


@dataclass(frozen=True)
class Covariance:
    """Standard deviations (n,) and correlations (n, n); a factor that never moved has deviation 0 and correlation 0.

    shrinkage : weight of the identity in the Ledoit-Wolf estimate, else None.
    """

    deviation: Floats
    correlation: Floats
    shrinkage: float | None = None


@dataclass(frozen=True)
class Repaired:
    """A correlation matrix without negative eigenvalues and what it took: the least eigenvalue before, and the largest
    change of any correlation (0 when nothing had to be done)."""

    correlation: Floats
    least_eigenvalue: float
    largest_change: float


@compiled
def _cross_products(x: Floats, weights: Floats) -> Floats:
    """Sums over observations of w x x', (n, n); observations are added in their order."""
    n_obs, n = x.shape
    total = np.zeros((n, n))
    for t in range(n_obs):
        for a in range(n):
            scaled = weights[t] * x[t, a]
            for b in range(n):
                total[a, b] += scaled * x[t, b]
    return 0.5 * (total + total.T)


@compiled
def _cholesky(matrix: Floats, floor: float) -> tuple[Floats, bool]:
    """Upper factor U with U'U = matrix, and whether every squared pivot was above `floor`."""
    u = matrix.copy()
    n = len(u)
    for j in range(n):
        if not u[j, j] > floor:
            return u, False
        pivot = np.sqrt(u[j, j])
        for b in range(j, n):
            u[j, b] /= pivot
        for a in range(j + 1, n):
            u[a, j] = 0.0
            factor = u[j, a]
            for b in range(a, n):
                u[a, b] -= factor * u[j, b]
    return u, True


def estimate(moves: Floats, estimator: Estimator, decay: float = 0.94) -> Covariance:
    """Covariance of `moves` (n_observations, n_factors), oldest first, all finite.

    sample : around the mean, divided by n - 1. ewma : around zero, weights decay**age normalised to sum 1 [RM]_.
    ledoit_wolf : sample (divided by n) of the standardised moves, shrunk to the identity [LW]_.
    """
    n_obs, n = moves.shape
    if n_obs < 2:
        raise BadInput(f"A covariance needs at least 2 observations, but received {n_obs}.")
    if estimator == "ewma":
        weights = decay ** np.arange(n_obs - 1, -1, -1, dtype=np.float64)
        centred, weights = moves, weights / weights.sum()
    else:
        centred = moves - moves.mean(axis=0)
        weights = np.full(n_obs, 1.0 / (n_obs - 1 if estimator == "sample" else n_obs))
    # a constant column leaves rounding noise around its mean; it did not move
    centred = np.where(np.ptp(moves, axis=0) > 0, centred, moves if estimator == "ewma" else 0.0)
    covariance = _cross_products(np.ascontiguousarray(centred), weights)
    deviation = np.sqrt(np.diagonal(covariance))
    moved = deviation > 0
    inverse = np.divide(1.0, deviation, out=np.zeros(n), where=moved)
    correlation = covariance * np.outer(inverse, inverse)
    shrinkage = None
    if estimator == "ledoit_wolf" and moved.any():
        shrinkage = ledoit_wolf_shrinkage((centred * inverse)[:, moved], correlation[np.ix_(moved, moved)])
        correlation *= 1.0 - shrinkage
    np.fill_diagonal(correlation, 1.0)
    return Covariance(deviation, correlation, shrinkage)


def ledoit_wolf_shrinkage(x: Floats, sample: Floats) -> float:
    """Weight of the scaled identity in [LW]_, for centred `x` (n_obs, n) with sample covariance x'x / n_obs."""
    n_obs, n = x.shape
    mean_variance = np.trace(sample) / n
    dispersion = (sample**2).sum() - n * mean_variance**2  # n d^2 of the paper
    if dispersion <= 0:
        return 0.0
    # sum over observations of |x x' - S|^2 = sum |x|^4 - n_obs |S|^2
    error = (((x**2).sum(axis=1) ** 2).sum() / n_obs - (sample**2).sum()) / n_obs
    return float(min(max(error, 0.0), dispersion) / dispersion)


def clip_eigenvalues(correlation: Floats, floor: float = EIGENVALUE_FLOOR) -> Floats:
    """The correlation matrix with eigenvalues raised to `floor` and rescaled to a unit diagonal."""
    values, vectors = np.linalg.eigh(correlation)
    return _unit_diagonal((vectors * np.maximum(values, floor)) @ vectors.T)


def nearest_correlation(matrix: Floats, tolerance: float = 1e-10, iterations: int = 1000) -> Floats:
    """The correlation matrix nearest to a symmetric one in the Frobenius norm, by alternating projections [H]_."""
    y, correction = matrix.copy(), np.zeros_like(matrix)
    for _ in range(iterations):
        r = y - correction
        values, vectors = np.linalg.eigh(r)
        x = (vectors * np.maximum(values, 0.0)) @ vectors.T
        correction = x - r
        previous, y = y, x.copy()
        np.fill_diagonal(y, 1.0)
        if np.abs(y - previous).max() <= tolerance:
            return _unit_diagonal(x)
    raise BadInput(
        f"The nearest correlation matrix was not found in {iterations} steps; use repair=clip, or covariance=ledoit_wolf."
    )


def _unit_diagonal(matrix: Floats) -> Floats:
    matrix = 0.5 * (matrix + matrix.T)
    root = np.sqrt(np.diagonal(matrix))
    matrix = matrix / np.outer(root, root)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def least_eigenvalue(correlation: Floats) -> float:
    """The smallest eigenvalue of a symmetric matrix: negative where it is of no moves at all."""
    return float(np.linalg.eigvalsh(correlation)[0])


def repair(correlation: Floats, how: Repair) -> Repaired:
    """The matrix itself when it is positive definite, else repaired; `BadInput` when it is not and `how` is refuse."""
    if _cholesky(correlation, EIGENVALUE_FLOOR)[1]:
        return Repaired(correlation, least_eigenvalue(correlation), 0.0)
    values = np.linalg.eigvalsh(correlation)
    least, singular = float(values[0]), int((values < EIGENVALUE_FLOOR).sum())
    if how == "refuse":
        raise BadInput(
            f"The correlation matrix of {len(correlation)} risk factors is singular: {singular} of its eigenvalues are below "
            f"{EIGENVALUE_FLOOR:g} (least {least:.3g}). Use a longer window, covariance=ledoit_wolf, principal components, "
            "or repair=clip or higham."
        )
    fixed = nearest_correlation(correlation) if how == "higham" else clip_eigenvalues(correlation)
    return Repaired(fixed, least, float(np.abs(fixed - correlation).max()))


def triangular_loadings(correlation: Floats) -> Floats:
    """Lower-triangular L with L L' = correlation, diagonal not negative; for singular matrices through eigenvalues."""
    upper, definite = _cholesky(correlation, EIGENVALUE_FLOOR)
    if not definite:
        values, vectors = np.linalg.eigh(correlation)
        upper = np.asarray(np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T, mode="r"))
        upper *= np.where(np.diagonal(upper) < 0, -1.0, 1.0)[:, None]
    return np.ascontiguousarray(upper.T)


def principal_components(correlation: Floats, count: int | None, share: float | None) -> tuple[Floats, float]:
    """Loadings (n, k) on the first k principal components and the share of variance they explain.

    k is `count`, or the fewest that explain `share`. A component's largest loading is positive.
    """
    values, vectors = np.linalg.eigh(correlation)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    explained = np.cumsum(values) / values.sum()
    if count is None:
        assert share is not None
        count = int(np.searchsorted(explained, share * (1 - 1e-12))) + 1
    if count > len(values):
        raise BadInput(f"{count} principal components were asked for, but there are only {len(values)} risk factors.")
    vectors = vectors[:, :count]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(count)]
    loadings = vectors * np.where(largest < 0, -1.0, 1.0) * np.sqrt(values[:count])
    return np.ascontiguousarray(loadings), float(explained[count - 1])
