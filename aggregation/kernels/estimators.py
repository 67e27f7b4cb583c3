"""Kernel: exact ranks, and the estimators that read a quantile from equally likely scenarios.

An estimator is a weight for each loss by its rank, worst first; the weights sum to 1. Ranks are exact, because
`(1 - 0.99) * 500` is 5.000000000000004 in binary and its ceiling would be 6.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import numpy as np

from lake.arrays import Floats

Position = tuple[int, Fraction]

_DECIMALS = 20  # of a level: more than any double prints
_NEGLIGIBLE = 1e-18  # weight of all further ranks together: below the rounding of a sum of 1


def exact_level(level: str | float | Decimal | Fraction) -> Fraction:
    """The level as the decimal it was written as: 0.99 is 99/100. Raises `ValueError` outside (0, 1)."""
    if isinstance(level, Fraction):
        exact = level
    else:
        try:
            written = Decimal(str(level))
            # a text such as 1e-999999999 is not worth the memory of its exact value
            sound = 0 < written < 1 and int(written.as_tuple().exponent) >= -_DECIMALS
        except InvalidOperation:
            sound = False
        exact = Fraction(written) if sound else Fraction(0)
    if not 0 < exact < 1:
        raise ValueError(
            f"The level {level!r} was given; expected a fraction between 0 and 1, such as {_meant(level)}."
        )
    return exact


def _meant(level: object) -> str:
    """The fraction that a percentage stands for; 0.99 for anything else."""
    try:
        percent = Decimal(str(level).rstrip("% "))
    except InvalidOperation:
        return "0.99"
    return str((percent / 100).normalize()) if percent.is_finite() and 50 <= percent < 100 else "0.99"


def var_rank(n: int, level: Fraction) -> int:
    """Rank of the default VaR among n losses, worst first: k = ceil(n (1 - level)), exactly."""
    return math.ceil(n * (1 - level))


# --- Hyndman and Fan: the p-quantile of x_1 <= ... <= x_n is (1 - g) x_j + g x_(j+1) ----------------------------------
# Hyndman and Fan (1996), Sample quantiles in statistical packages, The American Statistician 50(4), 361-365.


def _step(n: int, p: Fraction) -> Position:
    return math.ceil(n * p) - 1, Fraction(1)


def _mean_at_step(n: int, p: Fraction) -> Position:
    return math.floor(n * p), Fraction(1, 2) if (n * p).denominator == 1 else Fraction(1)


def _nearest_even(n: int, p: Fraction) -> Position:
    h = n * p - Fraction(1, 2)
    j = math.floor(h)
    return j, Fraction(0 if h == j and j % 2 == 0 else 1)


def _linear(a: Fraction, b: Fraction) -> Callable[[int, Fraction], Position]:
    """Position (n + a) p + b on straight lines between the order statistics."""

    def position(n: int, p: Fraction) -> Position:
        h = (n + a) * p + b
        return math.floor(h), h - math.floor(h)

    return position


_ZERO, _HALF, _THIRD = Fraction(0), Fraction(1, 2), Fraction(1, 3)
_HYNDMAN_FAN: dict[int, tuple[Callable[[int, Fraction], Position], str]] = {
    1: (_step, "inverse of the empirical distribution function"),
    2: (_mean_at_step, "as type 1, with the mean of both neighbours at a step"),
    3: (_nearest_even, "the nearest order statistic, the even one of two (SAS definition 2)"),
    4: (_linear(_ZERO, _ZERO), "linear interpolation of the empirical distribution function"),
    5: (_linear(_ZERO, _HALF), "linear between the mid-points of the steps (Hazen)"),
    6: (_linear(Fraction(1), _ZERO), "position (n + 1) p (Weibull; NIST)"),
    7: (_linear(Fraction(-1), Fraction(1)), "position (n - 1) p + 1 (spreadsheets, R and NumPy by default)"),
    8: (_linear(_THIRD, _THIRD), "position (n + 1/3) p + 1/3, nearly median-unbiased"),
    9: (_linear(Fraction(1, 4), Fraction(3, 8)), "position (n + 1/4) p + 3/8, nearly unbiased for normal samples"),
}


def _at_ranks(n: int, position: Position, *, ascending: bool) -> Floats:
    """Weights by rank from a position among the order statistics; it ends where the sample ends.

    ascending : the order statistics are losses, of which the last is the worst; else P&L, of which the first is.
    """
    j, upper = position
    places = [min(max(i, 1), n) for i in (j, j + 1)]
    ranks = [n + 1 - i if ascending else i for i in places]
    weights = np.zeros(max(ranks))
    if ranks[0] == ranks[1]:
        weights[ranks[0] - 1] = 1.0
    else:
        for rank, weight in zip(ranks, (1 - upper, upper), strict=True):
            weights[rank - 1] = float(weight)
    return np.trim_zeros(weights, "b")


# --- all ranks -------------------------------------------------------------------------------------------------------


def harrell_davis(n: int, level: Fraction) -> Floats:
    """Weights of Harrell and Davis (1982), A new distribution-free quantile estimator, Biometrika 69(3), 635-640.

    The i-th of n ascending losses has I_(i/n)(a, b) - I_((i-1)/n)(a, b), I the regularised incomplete beta function,
    a = (n + 1) level, b = (n + 1) (1 - level).
    """
    from scipy import special  # noqa: PLC0415 - 0.3 s that most questions need not

    a, b = float((n + 1) * level), float((n + 1) * (1 - level))
    # worst first: the r worst together have 1 - I_(1-r/n)(a, b) = I_(r/n)(b, a)
    share = np.arange(n + 1) / n
    return _differences(special.betainc(b, a, share), special.betaincc(b, a, share))


def order_statistic_resampled(n: int, rank: int) -> Floats:
    """Chance, by rank, that a loss is the one of `rank`, worst first, in a resample of n losses drawn from n with replacement.

    It ranks among the r worst where at least `rank` of the n draws do: I_(r/n)(rank, n - rank + 1). Hutson and Ernst (2000).
    """
    from scipy import special  # noqa: PLC0415 - 0.3 s that most questions need not

    share = np.arange(n + 1) / n
    return _differences(special.betainc(rank, n - rank + 1, share), special.betaincc(rank, n - rank + 1, share))


def kernel_bandwidth(n: int, level: Fraction) -> float:
    """The rule of Sheather and Marron (1990) for a Gaussian kernel, with a normal distribution for the unknown one.

    (Q'/Q'')^2 = (phi(z)/z)^2 at z, the normal quantile of the level; the bandwidth is ((phi(z)/z)^2 / (sqrt(pi) n))^(1/3),
    and half the distance from the level to the nearer of 0 and 1 at most, so that the kernel lies inside.
    """
    from scipy import special  # noqa: PLC0415 - 0.3 s that most questions need not

    p = float(level)
    z = abs(float(special.ndtri(p)))
    most = 0.5 * min(p, 1.0 - p)
    if z == 0.0:
        return most
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return min(most, math.cbrt((density / z) ** 2 / (math.sqrt(math.pi) * n)))


def kernel_weights(n: int, level: Fraction, bandwidth: float) -> Floats:
    """Weights of the kernel quantile estimator, Gaussian kernel, scaled to sum 1 because the kernel ends at 0 and 1.

    The i-th of n ascending losses has the mass of a normal distribution of mean `level` and deviation `bandwidth` between
    (i-1)/n and i/n. As the bandwidth goes to 0 this becomes the empirical quantile, Hyndman and Fan's type 2.
    Source: Sheather and Marron (1990), Kernel quantile estimators, JASA 85(410), 410-416.
    """
    from scipy import special  # noqa: PLC0415 - 0.3 s that most questions need not

    z = (np.arange(n + 1) / n - float(1 - level)) / bandwidth
    inside = special.ndtr(z[-1]) - special.ndtr(z[0])
    return _differences(special.ndtr(z) / inside, special.ndtr(-z) / inside)


def _differences(below: Floats, above: Floats) -> Floats:
    """Weights by rank from what the ranks up to each have together, and what all further ones have.

    Each is taken where it is small and its differences are exact; ranks after which nothing is left that a sum of 1 could
    show are dropped.
    """
    weights = np.where(below[1:] < 0.5, np.diff(below), -np.diff(above))
    kept = int(np.count_nonzero(above[:-1] - above[-1] > _NEGLIGIBLE))
    return np.asarray(weights[: max(1, kept)])


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimator:
    """How the VaR is read. `ranks(n, level)` gives the weights of the worst losses, worst first, (m,), m <= n.

    weighted : it is also defined for scenarios with weights.
    """

    name: str
    meaning: str
    ranks: Callable[[int, Fraction], Floats]
    weighted: bool = False


def _on_losses(kind: int) -> Callable[[int, Fraction], Floats]:
    return lambda n, level: _at_ranks(n, _HYNDMAN_FAN[kind][0](n, level), ascending=True)


def _on_pnl(kind: int) -> Callable[[int, Fraction], Floats]:
    return lambda n, level: _at_ranks(n, _HYNDMAN_FAN[kind][0](n, 1 - level), ascending=False)


ESTIMATORS: dict[str, Estimator] = {
    e.name: e
    for e in (
        Estimator(
            "order_statistic",
            "the k-th worst loss, k = ceil(n (1 - level)); Hull. It is Hyndman-Fan type 1 on the P&L.",
            _on_pnl(1),
            weighted=True,
        ),
        *(
            Estimator(f"hf{k}", f"Hyndman-Fan type {k} on losses: {v[1]}.", _on_losses(k), weighted=k in (4, 7))
            for k, v in _HYNDMAN_FAN.items()
        ),
        *(
            Estimator(
                f"hf{k}_pnl",
                f"Hyndman-Fan type {k} on P&L, whose quantile at 1 - level changes its sign: {v[1]}.",
                _on_pnl(k),
                weighted=k in (4, 7),
            )
            for k, v in _HYNDMAN_FAN.items()
        ),
        Estimator(
            "harrell_davis",
            "mean of all losses, weighted by the chance that the quantile falls on them; Harrell and Davis (1982).",
            harrell_davis,
        ),
        Estimator(
            "kernel",
            "mean of all losses under a Gaussian kernel at the level, bandwidth by the normal reference of Sheather and Marron (1990).",
            lambda n, level: kernel_weights(n, level, kernel_bandwidth(n, level)),
        ),
        Estimator(
            "brw_half_weight",
            "half of each scenario's weight on either side of its loss, linear in between; for equal weights hf5. "
            "Boudoukh, Richardson and Whitelaw (1998), The best of both worlds, Risk 11(5).",
            _on_losses(5),
            weighted=True,
        ),
        Estimator(
            "weighted_linear",
            "linear interpolation of the losses over their cumulated weights, worst first; hf4_pnl by its other name.",
            lambda n, level: _at_ranks(n, _linear(_ZERO, Fraction(1))(n, level), ascending=True),
            weighted=True,
        ),
    )
}


@functools.lru_cache(maxsize=1024)
def rank_weights(estimator: str, n: int, level: Fraction) -> Floats:
    """The estimator's weights of the worst of n losses, worst first; read-only."""
    weights = ESTIMATORS[estimator].ranks(n, level)
    weights.flags.writeable = False
    return weights


@functools.lru_cache(maxsize=1024)
def shortfall_ranks(n: int, level: Fraction) -> tuple[Floats, float]:
    """Expected shortfall as parts of the worst losses, worst first, and what to divide their sum by: k = n (1 - level).

    All of the floor(k) worst, and of the next the fraction that is left. Acerbi and Tasche (2002).
    """
    k = n * (1 - level)
    parts = np.ones(math.ceil(k))
    parts[-1] = float(k - (len(parts) - 1))
    parts.flags.writeable = False
    return parts, float(k)
