"""Kernel: CVA and DVA from exposures on paths and survival curves.

    CVA = LGD_c sum_k P(c defaults in (t_{k-1}, t_k], before us) * (E_{k-1} + E_k) / 2,    E_k = E[D_k max(V_k - C_k, 0)]

with the exposure of an interval as the mean of its two ends, so that every date has one weight: half the probability of the interval before
it and half of the one after. CVA is then a sum over dates and paths that is linear in the exposures, and whatever follows (contributions,
incremental CVA, sensitivities to spreads) uses the same weights. CVA and DVA are positive amounts: a cost and a gain.
Sources: D. Brigo, M. Morini and A. Pallavicini, *Counterparty Credit Risk, Collateral and Funding* (2013), chapters 4 and 10; J. Gregory,
*The xVA Challenge* (2015), chapter 14.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from lake.arrays import Codes, Floats
from lake.compiled import compiled

_LEAST, _MOST = 1e-300, 1.0 - 1e-16  # probabilities that have a normal quantile


def default_probabilities(log_survival: Floats) -> Floats:
    """Probability of default in each interval, (n_dates - 1, n_states), from log survival on the dates, (n_dates, n_states), the first
    being
    today's, 0. Survival must not rise: a negative probability raises `ValueError`."""
    survived = np.exp(log_survival)
    found: Floats = -np.diff(survived, axis=0)
    if (found < -1e-14).any():
        raise ValueError("Expected survival that falls with time, but it rises between two dates.")
    return np.maximum(found, 0.0)


def first_default(log_survival: Floats, log_survival_other: Floats) -> Floats:
    """Probability that one defaults in each interval, and before the other, (n_dates - 1, n_states), the two being independent.

    Hazard rates are constant in an interval: with a and b the falls of log survival there, a / (a + b) of the probability that either
    defaults. Both ways it adds up to that probability.
    """
    a, b = (-np.diff(logs, axis=0) for logs in (log_survival, log_survival_other))
    either = default_probabilities(log_survival + log_survival_other)
    both = a + b
    share: Floats = np.where(both > 0.0, a / np.where(both > 0.0, both, 1.0), 0.0)
    return share * either


def date_weights(probabilities: Floats) -> Floats:
    """Weight of each date, (n_dates, ...), from the default probabilities of the intervals between them, (n_dates - 1, ...)."""
    out = np.zeros((len(probabilities) + 1, *probabilities.shape[1:]))
    out[:-1] += 0.5 * probabilities
    out[1:] += 0.5 * probabilities
    return out


def weighted_sum(weights: Floats, profile: Floats) -> Floats:
    """sum_k weights_k profile_k over the dates, in their order, (n_states,): weights (n_dates, n_states), profile (n_dates,)."""
    out = np.zeros(weights.shape[1:])
    for k in range(len(profile)):
        out += weights[k] * profile[k]
    return out


def copula_scores(levels: Floats) -> Floats:
    """Standard normal scores of the levels of a factor on the paths of one date, (n_paths,), by rank; equal levels have their mean rank's.

    A factor that does not vary has scores of 0.
    """
    n = levels.size
    order = np.argsort(levels, kind="stable")
    ordered = levels[order]
    first = np.searchsorted(ordered, levels, side="left")
    last = np.searchsorted(ordered, levels, side="right")
    scores: Floats = ndtri((first + last) / (2.0 * n))
    return scores


def wrong_way_weights(scores: Floats, correlation: float, before: float, after: float) -> Floats:
    """How much likelier a default between two dates is on each path than on average, (n_paths,), mean 1.

    The time of default and the factor are joined by a Gaussian copula, date by date: P(default by t | z) =
    Phi((Phi^-1(F) - rho z) / sqrt(1 - rho^2)) with the factor's score z and rho = -correlation, so that with a positive correlation
    default is likelier where the factor is high. before, after : default probabilities by the two ends. The probability over all paths
    stays as the survival curve says. Source: D. Rosen and D. Saunders, CVA the wrong way, *Journal of Risk Management in Financial
    Institutions* 5 (2012).
    """
    if after <= before or correlation == 0.0:
        return np.ones(scores.size)
    scale = np.sqrt(1.0 - correlation * correlation)
    low, high = (ndtri(min(max(p, _LEAST), _MOST)) for p in (before, after))
    upper = ndtr((high + correlation * scores) / scale)
    lower = ndtr((low + correlation * scores) / scale) if before > 0.0 else np.zeros(scores.size)
    chance = upper - lower
    mean = chance.sum() / chance.size
    if not mean > 0.0:
        return np.ones(scores.size)
    weights: Floats = chance / mean
    return weights


@compiled
def incremental(kept: Floats, added: Floats, factor: Floats, negative: bool) -> tuple[float, float]:
    """sum over dates and paths of factor max(V, 0) / n, before and after `added` joins a netting set.

    kept, added : (n_dates, n_paths) net of collateral, in one currency; factor : weight times discount, (n_dates, n_paths). `negative` : of
    the negative part.
    """
    n_dates, n = kept.shape
    before, after = 0.0, 0.0
    for k in range(n_dates):
        for j in range(n):
            f = factor[k, j]
            v = kept[k, j]
            w = v + added[k, j]
            if negative:
                v, w = -v, -w
            if v > 0.0:
                before += f * v
            if w > 0.0:
                after += f * w
    return before / n, after / n


def standard_error(by_path: Floats, paired: bool = False) -> float:
    """Of the mean over paths, (n_paths,); `paired` : antithetic paths 2i and 2i + 1, whose means are independent."""
    x = 0.5 * (by_path[0::2] + by_path[1::2]) if paired else by_path
    n = x.size
    if n < 2:
        return float("nan")
    centred = x - x.sum() / n
    return float(np.sqrt((centred * centred).sum() / (n - 1) / n))


@compiled
def set_profiles(
    positive: Floats,
    negative: Floats,
    discount: Floats,
    weights: Floats,
    weight_of: Codes,
    group_of: Codes,
    slopes: Floats,
    up: Floats,
    down: Floats,
    by_path: Floats,
) -> None:
    """Adds one date of netting sets: discounted expected exposures, and what each path adds to the figures of each group.

    positive, negative : (n_sets, n_paths) what we and they lose in a default, neither below zero; discount : (n_paths,); weights :
    (n_weights, n_paths) of the counterparty's default on the paths, that of set s being weight_of[s]. group_of : (n_sets,) -1 for none.
    slopes : (n_sets, 4) what CVA, CVA to first default, DVA, DVA to first default count of this date. Filled: up, down (n_sets,), the
    expected discounted exposures; added to : by_path (n_groups + 1, 4, n_paths), the total last.
    """
    n_sets, n = positive.shape
    for s in range(n_sets):
        total, total_down = 0.0, 0.0
        g, w, a = group_of[s], weights[weight_of[s]], slopes[s]
        for j in range(n):
            x = w[j] * discount[j] * positive[s, j]
            y = discount[j] * negative[s, j]
            total += x
            total_down += y
            by_path[-1, 0, j] += a[0] * x
            by_path[-1, 1, j] += a[1] * x
            by_path[-1, 2, j] += a[2] * y
            by_path[-1, 3, j] += a[3] * y
            if g >= 0:
                by_path[g, 0, j] += a[0] * x
                by_path[g, 1, j] += a[1] * x
                by_path[g, 2, j] += a[2] * y
                by_path[g, 3, j] += a[3] * y
        up[s], down[s] = total / n, total_down / n


@compiled
def slopes_on_paths(
    positive: Floats, negative: Floats, discount: Floats, weights: Floats, weight_of: Codes
) -> tuple[Floats, Floats]:
    """What a unit of value counts on each path of the discounted exposures of its netting set, (n_sets, n_paths) each (Euler).

    Where there is exposure that is the discount, with its weight; for the negative exposure minus the discount. What collateral
    takes away is what the contracts together have more than the exposure: no contract owns it (M. Pykhtin and D. Rosen, Pricing
    counterparty
    risk at the trade level and CVA allocations, *Journal of Credit Risk* 6 (2010), section 3).
    """
    n_sets, n = positive.shape
    up, down = np.zeros((n_sets, n)), np.zeros((n_sets, n))
    for s in range(n_sets):
        w = weights[weight_of[s]]
        for j in range(n):
            if positive[s, j] > 0.0:
                up[s, j] = w[j] * discount[j]
            if negative[s, j] > 0.0:
                down[s, j] = -discount[j]
    return up, down


@compiled
def entry_profiles(
    of_set: Codes,
    row: Codes,
    quantity: Floats,
    currency: Codes,
    values: Floats,
    fx: Floats,
    up: Floats,
    down: Floats,
    out: Floats,
) -> None:
    """What each contract of each netting set contributes to its expected exposures at one date, (n_entries, 2), filled.

    of_set, row, quantity, currency : (n_entries,) netting set, contract, net units, row of fx. values : (n_contracts, n_paths) of a
    unit; fx :
    (n_currencies, n_paths); up, down : as `slopes_on_paths` gives them.
    """
    n = values.shape[1]
    for i in range(of_set.size):
        s, r, c = of_set[i], row[i], currency[i]
        a, b = 0.0, 0.0
        for j in range(n):
            x = fx[c, j] * values[r, j]
            a += up[s, j] * x
            b += down[s, j] * x
        out[i, 0], out[i, 1] = quantity[i] * a / n, quantity[i] * b / n
