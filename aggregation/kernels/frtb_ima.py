"""Kernel: arithmetic of the internal models of market risk (MAR31 to MAR33): cascade, stress ratio, IMCC, SES, price test, capital.

Arrays in, arrays out; losses, ES and capital positive. All parameters are arguments, none is known here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from lake.arrays import Floats, Ints

SesFormula = Literal["three_roots", "one_root"]


def cascade_roots(lengths: Sequence[int], base: int) -> Floats:
    """sqrt((LH_j - LH_{j-1}) / T), with LH_0 = 0, by liquidity horizon in ascending order (MAR33.4); the first is 1 where LH_1 = T."""
    steps = np.diff(np.array([0, *lengths], dtype=np.float64))
    return np.sqrt(steps / base)


def liquidity_adjusted(es: Floats, roots: Floats) -> Floats:
    """ES over liquidity horizons: sqrt(sum_j (ES_j root_j)^2) (MAR33.4); es (..., n_horizons), roots (n_horizons,).

    An ES that is a gain, which a one-sided set of moves may give, counts as none: its square would be a loss.
    """
    terms = np.square(np.maximum(es, 0.0) * roots)
    total = np.zeros(es.shape[:-1])
    for j in range(es.shape[-1]):  # in the order of horizons, whatever the shape
        total = total + terms[..., j]
    return np.sqrt(total)


def liquidity_adjusted_slopes(es: Floats, roots: Floats) -> Floats:
    """Derivatives of `liquidity_adjusted` by each ES (n_horizons,): ES_j root_j^2 / total; zeros where the total is."""
    total = float(liquidity_adjusted(es, roots))
    return np.zeros(es.shape) if total == 0.0 else np.maximum(es, 0.0) * np.square(roots) / total


def stress_ratio(full_current: Floats, reduced_current: Floats, floor: float) -> Floats:
    """max(ES_FC / ES_RC, floor) (MAR33.6); NaN where the reduced set has no risk and the full one has: it cannot be scaled."""
    fc, rc = np.broadcast_arrays(np.asarray(full_current, float), np.asarray(reduced_current, float))
    ratio = np.divide(fc, rc, out=np.where(fc > 0.0, np.nan, floor), where=rc > 0.0)
    return np.where(np.isnan(ratio), np.nan, np.maximum(ratio, floor))


def stressed(reduced_stressed: Floats, full_current: Floats, reduced_current: Floats, floor: float) -> Floats:
    """ES_RS max(ES_FC / ES_RC, floor) (MAR33.5)."""
    return np.asarray(reduced_stressed * stress_ratio(full_current, reduced_current, floor))


def stressed_slopes(rs: float, fc: float, rc: float, floor: float) -> tuple[float, float, float]:
    """Derivatives of `stressed` by ES_RS, ES_FC and ES_RC. Where the floor binds, or nothing is to be scaled, only ES_RS counts."""
    if rc <= 0.0 or fc / rc <= floor:
        return floor, 0.0, 0.0
    return fc / rc, rs / rc, -rs * fc / (rc * rc)


def imcc(unconstrained: Floats, by_class: Floats, share: float) -> Floats:
    """share IMCC(C) + (1 - share) sum_i IMCC(C_i) (MAR33.15); by_class (..., n_classes)."""
    total = np.zeros(by_class.shape[:-1])
    for i in range(by_class.shape[-1]):
        total = total + by_class[..., i]
    return np.asarray(share * unconstrained + (1.0 - share) * total)


def stressed_capital(credit: Floats, equity: Floats, other: Floats, correlation: float, formula: SesFormula) -> Floats:
    """SES of non-modellable factors (MAR33.17); each (..., n_factors): idiosyncratic credit, idiosyncratic equity, all others.

    three_roots : sqrt(sum credit^2) + sqrt(sum equity^2) + sqrt((rho sum)^2 + (1 - rho^2) sum of squares). one_root : all three sums
    under one root.
    """
    squares = [_last_sum(np.square(x)) for x in (credit, equity, other)]
    systematic = np.square(correlation * _last_sum(other)) + (1.0 - correlation**2) * squares[2]
    if formula == "one_root":
        return np.sqrt(squares[0] + squares[1] + systematic)
    return np.asarray(np.sqrt(squares[0]) + np.sqrt(squares[1]) + np.sqrt(systematic))


def _last_sum(values: Floats) -> Floats:
    total = np.zeros(values.shape[:-1])
    for i in range(values.shape[-1]):
        total = total + values[..., i]
    return total


@dataclass(frozen=True)
class PriceTest:
    """The risk factor eligibility test of one bucket (MAR31.13). observations : days with a real price in the year. fewest : of them in
    the emptiest period. frequent, numerous : whether the first and the second criterion hold."""

    observations: int
    fewest: int
    frequent: bool
    numerous: bool

    @property
    def passed(self) -> bool:
        return self.frequent or self.numerous


def price_test(
    days: Ints, first: int, last: int, *, least: int, period: int, least_in_period: int, enough: int
) -> PriceTest:
    """The test over the days `first` to `last`, both included, as numbers of days; `days` of real prices, in any order, repeats count once.

    frequent : at least `least` in the year, and no `period` days with fewer than `least_in_period`. numerous : at least `enough`.
    """
    observed = np.unique(days)
    observed = observed[(observed >= first) & (observed <= last)]
    begins = np.arange(first, max(first, last - period + 1) + 1)
    inside = np.searchsorted(observed, begins + period) - np.searchsorted(observed, begins)
    fewest, n = int(inside.min()), len(observed)
    return PriceTest(n, fewest, n >= least and fewest >= least_in_period, n >= enough)


def bucket_of(value: float, edges: Sequence[float]) -> int:
    """The bucket of a maturity or delta: lower edges belong to it, upper edges to the next (MAR31.16); the last has no upper edge
    of its own. Raises `ValueError` below the first edge."""
    if not value >= edges[0]:
        raise ValueError(f"{value!r} lies below the first edge {edges[0]!r}")
    return min(int(np.searchsorted(np.array(edges), value, side="right")) - 1, len(edges) - 1)


@dataclass(frozen=True)
class PnlComparison:
    """Spearman's correlation of ranks, ties at their average rank, and the largest distance of the two empirical laws, which move in
    steps of 1 / n: 0.004 on 250 days (MAR32.34 to 32.41). None where a series does not vary."""

    days: int
    spearman: float | None
    distance: float | None
    p_value: float | None


def compare_pnl(theoretical: Floats, hypothetical: Floats) -> PnlComparison:
    """Both (n_days,), of the same days."""
    n = len(theoretical)
    if n < 2 or np.ptp(theoretical) == 0.0 or np.ptp(hypothetical) == 0.0:
        return PnlComparison(n, None, None, None)
    ranks = [stats.rankdata(x) - (n + 1) / 2 for x in (theoretical, hypothetical)]
    # averages of whole ranks are halves: the sums are exact
    cross, one, two = (math.fsum(a * b) for a, b in ((ranks[0], ranks[1]), (ranks[0],) * 2, (ranks[1],) * 2))
    both = np.sort(np.concatenate([theoretical, hypothetical]))
    counts = [np.searchsorted(np.sort(x), both, side="right") for x in (theoretical, hypothetical)]
    distance = int(np.abs(counts[0] - counts[1]).max()) / n
    return PnlComparison(
        n, cross / math.sqrt(one * two), distance, float(stats.kstwobign.sf(math.sqrt(n / 2) * distance))
    )


def own_funds(latest_imcc: float, latest_ses: float, mean_imcc: float, mean_ses: float, multiplier: float) -> float:
    """C_A = max(IMCC + SES of the day before; m_c average IMCC + average SES) (MAR33.41)."""
    return max(latest_imcc + latest_ses, multiplier * mean_imcc + mean_ses)


def amber_surcharge(sa_amber: float, sa_eligible: float, sa: float, ima: float, share: float) -> tuple[float, float]:
    """k and the surcharge k max(0, SA - IMA) of desks in the amber zone (MAR33.45); k = share SA_amber / SA_(green and amber)."""
    k = 0.0 if sa_eligible == 0.0 else share * sa_amber / sa_eligible
    return k, k * max(0.0, sa - ima)


def total_capital(ima: float, surcharge: float, unapproved: float, sa_all: float, sa_eligible: float) -> float:
    """min(IMA + surcharge + C_U; SA of all desks) + max(0; IMA - SA of the eligible desks) (MAR33.43)."""
    return min(ima + surcharge + unapproved, sa_all) + max(0.0, ima - sa_eligible)
