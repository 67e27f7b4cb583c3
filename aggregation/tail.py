"""Kernel: exact ranks, quantiles, tail means and moments of scenario P&L.

P&L comes in as float64 of shape (n_groups, n_scenarios), gains positive. Losses go out positive, shape (n_groups,).
Losses are ranked worst first, ties by scenario index; ranks are exact, because `(1 - 0.99) * 500` is
5.000000000000004 in binary and its ceiling would be 6. Sums run in a fixed order, so that the same P&L always gives the
same bits.

Weighted scenarios carry probabilities `weights` of shape (n_scenarios,), non-negative; they are scaled to sum 1. A
scenario of weight zero is not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from aggregation.compiled import compiled

Floats = npt.NDArray[np.float64]
Level = Fraction | None
Ranks = tuple[tuple[int, Fraction], ...]

# Cumulated weights are sums of rounded doubles: one that misses 1 - level by less than this has reached it.
WEIGHT_TOLERANCE = 1e-12
_DECIMALS = 20  # of a level: more than any double prints


class NotDefined(ValueError):
    """The measure has no value for these scenarios, this level or this estimator."""


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
        raise ValueError(f"The level {level!r} was given; expected a fraction between 0 and 1, such as 0.99.")
    return exact


def var_rank(n: int, level: Fraction) -> int:
    """Rank of the default VaR among n losses, worst first: k = ceil(n (1 - level)), exactly."""
    return math.ceil(n * (1 - level))


# --- estimators: (n, level) -> ((rank, weight), ...), ranks worst first, weights summing to 1 ------------------------


def order_statistic(n: int, level: Fraction) -> Ranks:
    """The k-th worst loss, k = ceil(n (1 - level)); Hull. It is Hyndman-Fan type 1 applied to the P&L."""
    return ((var_rank(n, level), Fraction(1)),)


def _between(n: int, j: int, upper: Fraction) -> Ranks:
    """(1 - upper) x_j + upper x_(j+1) of the ascending losses x_1..x_n; ends where the sample ends."""
    low, high = (n + 1 - min(max(i, 1), n) for i in (j, j + 1))
    if upper == 1 or low == high:
        return ((high, Fraction(1)),)
    return ((low, Fraction(1)),) if upper == 0 else ((high, upper), (low, 1 - upper))


def _interpolated(n: int, position: Fraction) -> Ranks:
    j = math.floor(position)
    return _between(n, j, position - j)


def hf1(n: int, level: Fraction) -> Ranks:
    """Hyndman-Fan type 1 on losses: inverse of the empirical distribution function."""
    return _between(n, math.ceil(n * level) - 1, Fraction(1))


def hf2(n: int, level: Fraction) -> Ranks:
    """Hyndman-Fan type 2 on losses: as type 1, with the mean of both neighbours at a step."""
    h = n * level
    return _between(n, math.floor(h), Fraction(1, 2) if h.denominator == 1 else Fraction(1))


def hf3(n: int, level: Fraction) -> Ranks:
    """Hyndman-Fan type 3 on losses: the nearest order statistic, the even one of two (SAS definition 2)."""
    h = n * level - Fraction(1, 2)
    j = math.floor(h)
    return _between(n, j, Fraction(0 if h == j and j % 2 == 0 else 1))


def hf4(n: int, level: Fraction) -> Ranks:
    """Hyndman-Fan type 4 on losses: linear interpolation of the empirical distribution function."""
    return _interpolated(n, n * level)


def hf5(n: int, level: Fraction) -> Ranks:
    """Hyndman-Fan type 5 on losses: linear between the mid-points of the steps (Hazen)."""
    return _interpolated(n, n * level + Fraction(1, 2))


def hf6(n: int, level: Fraction) -> Ranks:
    """Hyndman-Fan type 6 on losses: position (n + 1) level (Weibull; NIST)."""
    return _interpolated(n, (n + 1) * level)


def hf7(n: int, level: Fraction) -> Ranks:
    """Hyndman-Fan type 7 on losses: position (n - 1) level + 1 (spreadsheets, R and NumPy by default)."""
    return _interpolated(n, (n - 1) * level + 1)


def hf8(n: int, level: Fraction) -> Ranks:
    """Hyndman-Fan type 8 on losses: position (n + 1/3) level + 1/3, nearly median-unbiased."""
    return _interpolated(n, (n + Fraction(1, 3)) * level + Fraction(1, 3))


def hf9(n: int, level: Fraction) -> Ranks:
    """Hyndman-Fan type 9 on losses: position (n + 1/4) level + 3/8, nearly unbiased for normal losses."""
    return _interpolated(n, (n + Fraction(1, 4)) * level + Fraction(3, 8))


def brw_half_weight(n: int, level: Fraction) -> Ranks:
    """Half of each scenario's weight on either side of its loss, linear in between; defined for weights (for equal ones: hf5).

    Boudoukh, Richardson and Whitelaw (1998), The best of both worlds, Risk 11(5).
    """
    return hf5(n, level)


def weighted_linear(n: int, level: Fraction) -> Ranks:
    """Linear interpolation of the losses over their cumulated weights, worst first; defined for weights."""
    return _interpolated(n, n * level + 1)


# Hyndman and Fan (1996), Sample quantiles in statistical packages, The American Statistician 50(4), 361-365.
ESTIMATORS: dict[str, Callable[[int, Fraction], Ranks]] = {
    f.__name__: f
    for f in (order_statistic, hf1, hf2, hf3, hf4, hf5, hf6, hf7, hf8, hf9, brw_half_weight, weighted_linear)
}


# --- measures: all have the same four parameters, so that one table can hold them ------------------------------------


def value_at_risk(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """The loss that is exceeded with probability 1 - level, read by the estimator.

    With weights: losses are taken worst first until their weights reach 1 - level (reaching it exactly counts); the loss
    that reaches it is the VaR. Of the interpolating estimators brw_half_weight and weighted_linear take weights, the others
    are refused.
    Source: Hull, *Risk Management and Financial Institutions*, historical simulation chapter.
    """
    assert level is not None
    if weights is None:
        return _combine(pnl, ESTIMATORS[estimator](pnl.shape[1], level))
    if estimator in ("brw_half_weight", "weighted_linear"):
        pnl = _contiguous(pnl)
        order = np.argsort(pnl, axis=1, kind="stable")
        probabilities = _probabilities(pnl.shape[1], weights)
        return np.asarray(
            _weighted_quantile(pnl, order, probabilities, float(1 - level), estimator == "brw_half_weight")
        )
    if estimator != "order_statistic":
        raise NotDefined(
            f"The estimator {estimator} is defined for equally weighted scenarios, and this scenario set carries weights; "
            "use order_statistic, brw_half_weight or weighted_linear."
        )
    return _weighted(pnl, weights, level)[0]


def expected_shortfall(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Mean of the worst 1 - level of the distribution; the last loss enters with the fraction that is left.

    With k = n (1 - level) and losses worst first: (L_1 + ... + L_m + (k - m) L_(m+1)) / k, m = floor(k).
    Source: Acerbi and Tasche (2002), On the coherence of expected shortfall. It does not depend on the estimator.
    """
    assert level is not None
    if weights is not None:
        return _weighted(pnl, weights, level)[1]
    k = pnl.shape[1] * (1 - level)
    whole = math.floor(k)
    last: Ranks = ((whole + 1, k - whole),) if k > whole else ()
    return _combine(pnl, (*((r, Fraction(1)) for r in range(1, whole + 1)), *last), divisor=k)


def mean_beyond(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Mean of the losses ranked strictly worse than the order-statistic VaR: of the k - 1 worst of n.

    Source: the older editions of Hull. It does not depend on the estimator. Refused where nothing ranks worse.
    """
    assert level is not None
    if weights is None:
        beyond = var_rank(pnl.shape[1], level) - 1
        if beyond > 0:
            return _combine(pnl, tuple((r, Fraction(1)) for r in range(1, beyond + 1)), divisor=Fraction(beyond))
    else:
        values = _weighted(pnl, weights, level)[2]
        if not np.isnan(values).any():
            return values
    raise NotDefined(
        f"No scenario of {pnl.shape[1]} ranks worse than the VaR at level {float(level):g}, so that the mean beyond it is "
        "not defined; use es, a lower level or more scenarios."
    )


def mean(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Mean P&L over the scenarios; gains are positive."""
    return _moments(_contiguous(pnl), _probabilities(pnl.shape[1], weights))[0]


def volatility(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Standard deviation of the P&L over the scenarios: mean removed, divisor n (Hull), not n - 1."""
    return _moments(_contiguous(pnl), _probabilities(pnl.shape[1], weights))[1]


def worst_loss(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """The greatest loss of any scenario; negative when every scenario gains."""
    present = pnl if weights is None else pnl[:, weights > 0]
    return np.asarray(0.0 - present.min(axis=1))


# --- tail weights: what each scenario counts in a measure; measure = -sum_s w_s P&L_s ---------------------------------


def var_weights(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Weight of each scenario in each group's VaR, shape (n_groups, n_scenarios): VaR = -sum_s w_s P&L_s, sum_s w_s = 1.

    Of scenarios with equal P&L the first in scenario order ranks worse, as everywhere: that is the rule for ties.
    """
    assert level is not None
    if weights is None:
        return _spread(pnl, ESTIMATORS[estimator](pnl.shape[1], level))
    if estimator != "order_statistic":
        raise NotDefined(
            f"Contributions to VaR are defined for weighted scenarios with order_statistic, and {estimator} was asked for."
        )
    order = np.argsort(_contiguous(pnl), axis=1, kind="stable")
    return np.asarray(_weighted_shares(order, _probabilities(pnl.shape[1], weights), float(1 - level))[0])


def es_weights(pnl: Floats, level: Level, weights: Floats | None, estimator: str) -> Floats:
    """Weight of each scenario in each group's ES: its share of the worst 1 - level; the last one with the part left."""
    assert level is not None
    n = pnl.shape[1]
    if weights is None:
        k = n * (1 - level)
        whole = math.floor(k)
        last: Ranks = ((whole + 1, k - whole),) if k > whole else ()
        return _spread(pnl, (*((r, Fraction(1)) for r in range(1, whole + 1)), *last), divisor=k)
    order = np.argsort(_contiguous(pnl), axis=1, kind="stable")
    return np.asarray(_weighted_shares(order, _probabilities(n, weights), float(1 - level))[1])


# --- arrays in, arrays out -------------------------------------------------------------------------------------------


def _contiguous(pnl: Floats) -> Floats:
    return np.ascontiguousarray(pnl, dtype=np.float64)


def _probabilities(n: int, weights: Floats | None) -> Floats:
    """The weights scaled to sum 1; equal ones for None."""
    return np.full(n, 1.0 / n) if weights is None else weights / math.fsum(weights)


def _combine(pnl: Floats, ranks: Ranks, divisor: Fraction = Fraction(1)) -> Floats:
    """Sum of weight times the loss of that rank, over `divisor`; added in the order of the ranks given."""
    k = max(r for r, _ in ranks)
    # a selection gives the same values as a sort; 0 - x, because a loss of minus zero is no news
    worst = 0.0 - np.sort(np.partition(pnl, k - 1, axis=1)[:, :k], axis=1)
    total = np.zeros(len(pnl))
    for rank, weight in ranks:
        total += float(weight) * worst[:, rank - 1]
    return total / float(divisor)


def _spread(pnl: Floats, ranks: Ranks, divisor: Fraction = Fraction(1)) -> Floats:
    """The weight of each rank, at the scenario that has it; ties by scenario index."""
    order = np.argsort(_contiguous(pnl), axis=1, kind="stable")
    out = np.zeros(pnl.shape)
    for rank, weight in ranks:
        out[np.arange(len(pnl)), order[:, rank - 1]] += float(weight) / float(divisor)
    return out


@compiled
def _weighted_shares(order: npt.NDArray[np.int64], weights: Floats, mass: float) -> tuple[Floats, Floats]:
    """Weights by scenario in the VaR and in the ES of each row that `order` sorts; see `_weighted_tail`."""
    n_groups, n = order.shape
    var, es = np.zeros((n_groups, n)), np.zeros((n_groups, n))
    for g in range(n_groups):
        reached = 0.0
        last = 0
        for i in range(n):
            s = order[g, i]
            if weights[s] == 0.0:
                continue
            last = s
            if reached + weights[s] >= mass - WEIGHT_TOLERANCE:
                break
            es[g, s] = weights[s] / mass
            reached += weights[s]
        var[g, last] = 1.0
        es[g, last] += (mass - reached) / mass
    return var, es


def _weighted(pnl: Floats, weights: Floats, level: Fraction) -> tuple[Floats, Floats, Floats]:
    pnl = _contiguous(pnl)
    order = np.argsort(pnl, axis=1, kind="stable")  # stable: ties by scenario index
    return _weighted_tail(pnl, order, _probabilities(pnl.shape[1], weights), float(1 - level))


@compiled
def _weighted_tail(
    pnl: Floats, order: npt.NDArray[np.int64], weights: Floats, mass: float
) -> tuple[Floats, Floats, Floats]:
    """VaR, ES and the mean beyond VaR (NaN where nothing is) of each row; `order` sorts it, least P&L first."""
    n_groups, n = pnl.shape
    var, es, beyond = np.empty(n_groups), np.empty(n_groups), np.empty(n_groups)
    for g in range(n_groups):
        reached = 0.0
        weighted = 0.0
        loss = 0.0
        for i in range(n):
            s = order[g, i]
            if weights[s] == 0.0:
                continue
            loss = 0.0 - pnl[g, s]
            if reached + weights[s] >= mass - WEIGHT_TOLERANCE:
                break
            reached += weights[s]
            weighted += weights[s] * loss
        var[g] = loss
        es[g] = (weighted + (mass - reached) * loss) / mass
        beyond[g] = weighted / reached if reached > 0.0 else np.nan
    return var, es, beyond


@compiled
def _weighted_quantile(pnl: Floats, order: npt.NDArray[np.int64], weights: Floats, mass: float, half: bool) -> Floats:
    """Each row's loss at cumulated weight `mass`, worst first, on straight lines between points; flat beyond the ends.

    half: the points are (weight before a loss plus half its own, the loss) and, between two losses, (weight before, their
    mean); else (weight up to and with a loss, the loss).
    """
    n_groups, n = pnl.shape
    out = np.empty(n_groups)
    for g in range(n_groups):
        reached = 0.0  # weight of the losses before this one
        at = 0.0  # the last point
        value = np.nan
        loss = 0.0
        for i in range(n):
            s = order[g, i]
            w = weights[s]
            if w == 0.0:
                continue
            before, loss = loss, 0.0 - pnl[g, s]
            if half and reached > 0.0:
                middle = 0.5 * before + 0.5 * loss
                if mass <= reached:
                    loss = value + (middle - value) * (mass - at) / (reached - at)
                    break
                at, value = reached, middle
            point = reached + (0.5 * w if half else w)
            if mass <= point:
                if reached > 0.0:
                    loss = value + (loss - value) * (mass - at) / (point - at)
                break
            at, value = point, loss
            reached += w
        out[g] = loss
    return out


@compiled
def _moments(pnl: Floats, probabilities: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each row, summed in scenario order."""
    n_groups, n = pnl.shape
    means, deviations = np.empty(n_groups), np.empty(n_groups)
    for g in range(n_groups):
        total = 0.0
        for s in range(n):
            total += probabilities[s] * pnl[g, s]
        squares = 0.0
        for s in range(n):
            squares += probabilities[s] * (pnl[g, s] - total) ** 2
        means[g] = total
        deviations[g] = math.sqrt(squares)
    return means, deviations
