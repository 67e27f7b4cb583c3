"""Kernel: the exact distribution of a delta-gamma loss, a quadratic form of normal moves: quantile, shortfall, components.

With x normal of covariance `sigma` the loss is -(delta'x + x'gamma x / 2). In the directions in which it is a sum of independent terms,
Q = sum_j (l_j z_j^2 / 2 + b_j z_j), its cumulant generating function is K(s) = sum_j (-log(1 - s l_j) + s^2 b_j^2 / (1 - s l_j)) / 2 and

    P(Q > q) = 1/(2 pi i) integral of exp(K(s) - s q) / s ds

over any line right of 0 and left of the first 1 / l_j. All singularities are real, so the line is bent into a hyperbola through its
saddle point, on which the integrand falls doubly exponentially and the trapezoid rule is exact to rounding.

Sources: Imhof (1961), Computing the distribution of quadratic forms in normal variables, for the inversion; Rice (1980), Distribution of
quadratic forms in normal random variables, for the path; Rouvinez (1997), Going Greek with VaR, for the use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aggregation.kernels.fixed_sums import product, row_dots
from lake.arrays import Floats
from lake.compiled import compiled

MOST_FACTORS = 700  # that move by themselves: some seconds
_SLOPE = 0.5  # of the hyperbola's arms; below 1 a normal part falls along them too
_STEP, _REACH = 0.02, 14.0  # of the trapezoid rule
_EVERY, _HUGE = 8, 600.0  # points looked at to choose a path, and an exponent on it that is too large
_NEGLIGIBLE = 1e-14  # squared pivot of a correlation, and an element of the rotated matrix, that are rounding
Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class QuadraticForm:
    """The loss as sum_j (curvature_j z_j^2 / 2 + slope_j z_j) of independent standard normals z, with moves x = loadings z.

    slope, curvature : (k,); loadings : (n_factors, k).
    """

    slope: Floats
    curvature: Floats
    loadings: Floats


@dataclass(frozen=True)
class Tail:
    """VaR or ES of the loss, and the moves behind it: their mean (n_factors,) and second moments (n_factors, n_factors), given that the
    loss is the VaR, or beyond it."""

    value: float
    mean: Floats
    second: Floats


def quadratic_form(delta: Floats, gamma: Floats, sigma: Floats) -> QuadraticForm | None:
    """The loss of delta (n,), gamma (n, n) under sigma (n, n), positive semi-definite; None beyond `MOST_FACTORS`."""
    root = _root(sigma)
    if root.shape[1] > MOST_FACTORS:
        return None
    curvature, turn = _eigen(-product(np.ascontiguousarray(root.T), product(gamma, root)))
    loadings = product(root, turn)
    return QuadraticForm(-row_dots(np.ascontiguousarray(loadings.T), delta[None]), curvature, loadings)


def exact_tail(form: QuadraticForm, measure: str, level: float) -> Tail:
    """`measure` : var or es, losses positive. A loss that does not vary has zeros."""
    beyond = 1.0 - level
    sd = math.sqrt(float((form.curvature**2 / 2 + form.slope**2).sum()))
    n = len(form.loadings)
    if sd == 0.0:
        return Tail(0.0, np.zeros(n), np.zeros((n, n)))
    var = _quantile(form, beyond, float(form.curvature.sum()) / 2, sd)
    s, weight = _path(form, var)
    if measure == "es":
        value = var + float((weight / s**2).imag.sum()) / beyond
        weight = weight / s
    else:
        value = var
    weight = weight / weight.imag.sum()
    over = 1.0 - s[:, None] * form.curvature
    given = s[:, None] * form.slope / over
    left = np.ascontiguousarray((weight[:, None] * given).T)
    z = left.imag.sum(axis=1)
    zz = product(left.real.copy(), given.imag.copy()) + product(left.imag.copy(), given.real.copy())
    zz[np.diag_indices(len(z))] += (weight[:, None] / over).imag.sum(axis=0)
    second = product(product(form.loadings, zz), np.ascontiguousarray(form.loadings.T))
    return Tail(value, row_dots(form.loadings, z[None]), second)


def probability_beyond(form: QuadraticForm, loss: float) -> float:
    """The probability of a loss greater than `loss`, within about 1e-13."""
    if not (
        form.slope[form.curvature == 0.0] != 0.0
    ).any():  # the loss has an end where all its directions curve one way
        if loss >= _turn(form) and (form.curvature <= 0.0).all():
            return 0.0
        if loss <= _turn(form) and (form.curvature >= 0.0).all():
            return 1.0
    s, weight = _path(form, loss)
    return min(1.0, max(0.0, float((weight / s).imag.sum())))


def _turn(form: QuadraticForm) -> float:
    """The loss where all curved directions turn."""
    curved = form.curvature != 0.0
    return -float((form.slope[curved] ** 2 / form.curvature[curved]).sum()) / 2


def _quantile(form: QuadraticForm, beyond: float, mean: float, sd: float) -> float:
    from scipy.optimize import brentq  # noqa: PLC0415 - time that most questions need not

    def excess(z: float) -> float:
        return probability_beyond(form, mean + z * sd) - beyond

    low, high = _beyond(excess, -1.0, lambda p: p > 0.0), _beyond(excess, 1.0, lambda p: p < 0.0)
    return float(mean + sd * brentq(excess, low, high, xtol=1e-13, rtol=1e-14))


def _beyond(excess: Callable[[float], float], z: float, found: Callable[[float], bool]) -> float:
    while not found(excess(z)):
        z *= 2.0
    return z


def _path(form: QuadraticForm, q: float) -> tuple[Complex, Complex]:
    """Points s on the upper half of the path, (m,), and exp(K(s) - s q) ds / pi at each: an integral is the imaginary part of a sum."""
    b2, curve = form.slope**2, form.curvature
    largest = float(curve.max(initial=0.0))
    c = _saddle(b2, curve, q, 1.0 / largest if largest > 0.0 else math.inf)
    over = 1.0 - c * curve
    width = 1.0 / math.sqrt(1.0 / c**2 + float((curve**2 / over**2 / 2 + b2 / over**3).sum()))

    def along(side: float, v: Floats) -> tuple[Complex, Complex, Complex]:
        """Points, their derivative, and the exponent less the one at the saddle."""
        s = c + width * (side * (np.cosh(v) - 1.0) + 1j * np.sinh(v))
        over_s = 1.0 - s[:, None] * curve
        k = (s[:, None] ** 2 * b2 / over_s - np.log(over_s)).sum(axis=1) / 2 - s * q
        return s, width * (side * np.sinh(v) + 1j * np.cosh(v)), k

    def size(side: float) -> float:
        _, slope, k = along(side, v[::_EVERY])
        return float((np.exp(np.minimum((k - k[0]).real, _HUGE)) * np.abs(slope)).sum())

    v = np.arange(0.0, _REACH, _STEP)
    # to the right or the left, or straight: the integral is the same, and right or left may rise before it falls
    s, slope, k = along(min((_SLOPE, -_SLOPE, 0.0), key=size), v)
    weight = np.exp(k) * slope * (_STEP / math.pi)
    weight[0] /= 2
    kept = np.abs(weight) > 1e-20 * np.abs(weight).max()
    return s[kept], weight[kept]


def _saddle(b2: Floats, curve: Floats, q: float, most: float) -> float:
    """The s in (0, most) where K(s) - s q - log s is least."""

    def slope(s: float) -> float:
        over = 1.0 - s * curve
        return float((curve / over / 2 + b2 * s * (1.0 - s * curve / 2) / over**2).sum()) - q - 1.0 / s

    low, high = 0.0, 1.0 / math.sqrt(float((curve**2 / 2 + b2).sum()))
    high = min(high, most / 2)
    while slope(high) < 0.0 and high < 1e100:
        low, high = high, min(2.0 * high, (high + most) / 2)
    for _ in range(60):  # any point of the line will do: the least one makes the terms smallest
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0.0 else (low, middle)
    return (low + high) / 2


def _root(sigma: Floats) -> Floats:
    """L (n, k) with L L' = sigma, of as many columns as factors move by themselves."""
    sd = np.sqrt(np.maximum(np.diagonal(sigma), 0.0))
    scale = np.divide(1.0, sd, out=np.zeros(len(sd)), where=sd > 0.0)
    return np.ascontiguousarray(sd[:, None] * _pivoted(sigma * scale[:, None] * scale, _NEGLIGIBLE * len(sd)))


@compiled
def _pivoted(matrix: Floats, floor: float) -> Floats:
    """The columns of a Cholesky factor of a positive semi-definite matrix, the factor with most left to explain first."""
    n = len(matrix)
    left, root = np.diag(matrix).copy(), np.zeros((n, n))
    for k in range(n):
        p = int(np.argmax(left))
        if left[p] <= floor:
            return root[:, :k].copy()
        pivot = math.sqrt(left[p])
        for i in range(n):
            total = matrix[i, p]
            for j in range(k):
                total -= root[i, j] * root[p, j]
            root[i, k] = total / pivot if left[i] > 0.0 else 0.0
        for i in range(n):
            left[i] -= root[i, k] * root[i, k]
        left[p] = 0.0
    return root


@compiled
def _eigen(matrix: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues (n,) and eigenvectors, the columns of (n, n), of a symmetric matrix, by Jacobi's rotations in a fixed order."""
    a = (matrix + matrix.T) / 2
    n = len(a)
    turn = np.eye(n)  # by rows
    size = math.sqrt((a * a).sum())
    for _ in range(60):
        rotated = False
        for p in range(n - 1):
            for q in range(p + 1, n):
                if abs(a[p, q]) <= 1e-16 * size or a[p, q] == 0.0:
                    continue
                rotated = True
                theta = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
                t = 1.0 / (abs(theta) + math.sqrt(theta * theta + 1.0))
                t = t if theta >= 0.0 else -t
                c = 1.0 / math.sqrt(t * t + 1.0)
                s = t * c
                pp, qq = a[p, p] - t * a[p, q], a[q, q] + t * a[p, q]
                for k in range(n):
                    x, y = a[p, k], a[q, k]
                    a[p, k], a[q, k] = c * x - s * y, s * x + c * y
                    x, y = turn[p, k], turn[q, k]
                    turn[p, k], turn[q, k] = c * x - s * y, s * x + c * y
                for k in range(n):
                    a[k, p], a[k, q] = a[p, k], a[q, k]
                a[p, p], a[q, q], a[p, q], a[q, p] = pp, qq, 0.0, 0.0
        if not rotated:
            break
    return np.diag(a).copy(), turn.T.copy()
