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

from lake.arrays import Bools, Codes, Floats, Ints
from lake.compiled import compiled

_LEAST, _MOST = 1e-300, 1.0 - 1e-16  # probabilities that have a normal quantile


def default_probabilities(log_survival: Floats) -> Floats:
    """Probability of default in each interval, (n_dates - 1, n_states), from log survival on the dates, (n_dates, n_states), the first being
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
def add_exposure(
    exposure: Floats, discount: Floats, weights: Floats, by_path: Floats, profile: Floats, negative: bool
) -> None:
    """Adds one date of a netting set: weights_j D_j E_j / n to `profile` (1,), and to `by_path` (n_paths,) the same undivided.

    exposure : (n_paths,) signed, of which the positive part counts, or with `negative` minus the negative part.
    """
    total, n = 0.0, exposure.size
    for j in range(n):
        e = -exposure[j] if negative else exposure[j]
        if e > 0.0:
            x = weights[j] * discount[j] * e
            by_path[j] += x
            total += x
    profile[0] += total / n


@compiled
def expected_on(values: Floats, factor: Floats, where: Bools) -> Floats:
    """sum_j factor_j values_ij over the paths that count, over n, (n_rows,): values (n_rows, n_paths), factor, where (n_paths,).

    With the exposures' own paths it is what each trade contributes to an expected exposure (Euler): added in the order of the paths.
    """
    n_rows, n = values.shape
    out = np.empty(n_rows)
    for i in range(n_rows):
        total = 0.0
        for j in range(n):
            if where[j]:
                total += factor[j] * values[i, j]
        out[i] = total / n
    return out


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
    exposure: Floats,
    discount: Floats,
    weights: Floats,
    weight_of: Codes,
    group_of: Codes,
    slopes: Floats,
    positive: Floats,
    negative: Floats,
    by_path: Floats,
) -> None:
    """Adds one date of all netting sets: discounted expected exposures, and what each path adds to the figures of each group.

    exposure : (n_sets, n_paths) net of collateral; discount : (n_paths,); weights : (n_weights, n_paths) of default on the paths, that of
    set s being weight_of[s]; it counts for the positive part. group_of : (n_sets,) -1 for none. slopes : (n_sets, 4) of CVA, CVA to first
    default, DVA, DVA to first default at this date. Filled: positive, negative (n_sets,), both positive numbers; added to : by_path
    (n_groups + 1, 4, n_paths), the total last.
    """
    n_sets, n = exposure.shape
    for s in range(n_sets):
        up, down = 0.0, 0.0
        g = group_of[s]
        w = weights[weight_of[s]]
        for j in range(n):
            e = exposure[s, j]
            if e > 0.0:
                x = w[j] * discount[j] * e
                up += x
                for m in range(2):
                    by_path[-1, m, j] += slopes[s, m] * x
                    if g >= 0:
                        by_path[g, m, j] += slopes[s, m] * x
            elif e < 0.0:
                x = -discount[j] * e
                down += x
                for m in range(2, 4):
                    by_path[-1, m, j] += slopes[s, m] * x
                    if g >= 0:
                        by_path[g, m, j] += slopes[s, m] * x
        positive[s], negative[s] = up / n, down / n


@compiled
def entry_profiles(
    starts: Ints,
    row: Codes,
    quantity: Floats,
    currency: Codes,
    values: Floats,
    converted: Floats,
    netted: Floats,
    exposure: Floats,
    weights: Floats,
    weight_of: Codes,
    positive: Floats,
    negative: Floats,
) -> None:
    """What each contract of each netting set contributes to its expected exposures at one date (Euler), (n_entries,), filled.

    Entries starts[s] to starts[s + 1] are of set s: contract, quantity. values : (n_contracts, n_paths) of a unit; currency :
    (n_contracts,); converted : (n_currencies, n_paths) discount times exchange rate; netted : (n_sets, n_paths) before collateral. Where collateral
    changes an exposure, a contract has the share that it has of the value before: E v_i / V (M. Pykhtin and D. Rosen, Pricing counterparty
    risk at the trade level and CVA allocations, *Journal of Credit Risk* 6 (2010)). On paths where V has not the sign of E, collateral alone
    makes the exposure, and no contract has a part of it.
    """
    n_sets, n = exposure.shape
    share = np.empty(n)
    for s in range(n_sets):
        w = weights[weight_of[s]]
        for j in range(n):
            e, v = exposure[s, j], netted[s, j]
            share[j] = e / v if e * v > 0.0 else 0.0
            if e > 0.0:
                share[j] *= w[j]
        for i in range(starts[s], starts[s + 1]):
            r = row[i]
            c = currency[r]
            up, down = 0.0, 0.0
            for j in range(n):
                x = share[j] * converted[c, j] * values[r, j]
                if exposure[s, j] > 0.0:
                    up += x
                else:
                    down -= x
            positive[i], negative[i] = quantity[i] * up / n, quantity[i] * down / n


@compiled
def net_values(
    starts: Ints, row: Codes, quantity: Floats, currency: Codes, values: Floats, fx: Floats, out: Floats
) -> None:
    """Value of each netting set on each path, (n_sets, n_paths), filled: entries and values as in `entry_profiles`, in the order of entries."""
    n_sets, n = out.shape
    for s in range(n_sets):
        total = out[s]
        for j in range(n):
            total[j] = 0.0
        for i in range(starts[s], starts[s + 1]):
            r, q = row[i], quantity[i]
            c = currency[r]
            for j in range(n):
                total[j] += q * fx[c, j] * values[r, j]
