"""Kernel: resamples of scenarios, figures under each, and the intervals that follow.

A resample draws as many scenarios as there are, with replacement; it is kept as how often each scenario was drawn,
counts of shape (n_resamples, n_scenarios). A scenario that carries a weight brings it along. Everything that is to be
compared is measured under the same resample: what is common to both sides then cancels.
Sources: Efron (1979), Bootstrap methods: another look at the jackknife, Annals of Statistics 7(1); for blocks Politis and Romano
(1992), A circular block-resampling procedure for stationary data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from aggregation.kernels.tail_walk import WEIGHT_TOLERANCE, heapify, sum_of, take, walk_tail
from lake.arrays import Codes, Floats, Ints
from lake.compiled import compiled


def bootstrap_counts(n: int, resamples: int, seed: int, block: int = 1, first: int = 0) -> Codes:
    """How often each of n scenarios is drawn, (resamples, n): n draws each, the same for the same numbers.

    block : scenarios are drawn in runs of this length, circularly, where neighbours are not independent. first : number of
    the first resample; a resample depends on its number and not on those before.
    """
    counts = np.empty((resamples, n), dtype=np.int32)
    for r in range(resamples):
        counts[r] = _counted(_drawn(n, seed, first + r, block), n)
    return counts


def paired_counts(
    labels_one: Sequence[str], labels_two: Sequence[str], resamples: int, seed: int, block: int = 1, first: int = 0
) -> tuple[Codes, Codes]:
    """One resample for two sets of scenarios: a scenario of both is drawn as often on either side.

    A scenario of one set alone stands against one that the other has alone, in their order: the one that left the window
    against the one that entered. By itself each side is what `bootstrap_counts` draws; where a set is larger, what it has
    over is drawn besides.
    """
    one, two = len(labels_one), len(labels_two)
    if one > two:
        return paired_counts(labels_two, labels_one, resamples, seed, block, first)[::-1]
    partner, over = _partners(labels_one, labels_two)
    counts = np.empty((resamples, one), dtype=np.int32), np.empty((resamples, two), dtype=np.int32)
    for r in range(resamples):
        drawn = _drawn(one, seed, first + r, block)
        counts[0][r] = _counted(drawn, one)
        mapped = partner[drawn]
        if len(over):
            more = _generator(seed, first + r, 1)
            mapped = np.concatenate([mapped, partner[more.integers(one, size=two - one)]])
            outside = more.random(two) < len(over) / two
            mapped[outside] = over[more.integers(len(over), size=int(outside.sum()))]
        counts[1][r] = _counted(mapped, two)
    return counts


def _generator(seed: int, resample: int, stream: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, resample, stream))))


def _drawn(n: int, seed: int, resample: int, block: int) -> Ints:
    starts = _generator(seed, resample).integers(n, size=-(-n // block))
    return np.asarray(((starts[:, None] + np.arange(block)) % n).ravel()[:n])


def _counted(drawn: Ints, n: int) -> Codes:
    return np.bincount(drawn, minlength=n).astype(np.int32)


def _partners(labels_one: Sequence[str], labels_two: Sequence[str]) -> tuple[Ints, Ints]:
    """The scenario of the larger set that stands against each of the smaller one, and those that stand against none."""
    place = {label: i for i, label in enumerate(labels_two)}
    partner = np.array([place.get(label, -1) for label in labels_one], dtype=np.int64)
    alone = np.setdiff1d(np.arange(len(labels_two)), partner)
    missing = np.flatnonzero(partner < 0)
    partner[missing] = alone[: len(missing)]
    return partner, alone[len(missing) :]


# --- figures under each resample -------------------------------------------------------------------------------------


def resampled_ranks(pnl: Floats, counts: Codes, parts: Floats, divisor: float) -> Floats:
    """Sum of `parts` times the worst losses of each resample over `divisor`: (n_groups, n_resamples)."""
    return np.asarray(_ranks(np.ascontiguousarray(pnl), counts, _cumulated(parts)) / divisor)


def resampled_walk(pnl: Floats, counts: Codes, weights: Floats, level: Fraction, walk: int) -> Floats:
    """What a walk over weighted scenarios (`aggregation.kernels.tail_walk`) finds in each resample: (n_groups, n_resamples)."""
    drawn = counts * weights
    return np.asarray(_walks(np.ascontiguousarray(pnl), drawn, weights, drawn.sum(axis=1), float(1 - level), walk))


def resampled_figure(function: Callable[[Floats, Floats], Floats], pnl: Floats, drawn: Floats) -> Floats:
    """Any figure that takes weighted scenarios, under each resample; `drawn` is counts times weights."""
    return np.stack([function(pnl, row) for row in drawn], axis=1)


def rank_weights_of_resamples(pnl: Floats, counts: Codes, parts: Floats, divisor: float) -> Floats:
    """What each scenario of one row counts under each resample, (n_resamples, n_scenarios)."""
    return np.asarray(_ranks_weights(np.ascontiguousarray(pnl), counts, _cumulated(parts)) / divisor)


def walk_weights_of_resamples(pnl: Floats, counts: Codes, weights: Floats, level: Fraction, walk: int) -> Floats:
    """The same for a walk over weighted scenarios; NaN where it finds nothing."""
    drawn = counts * weights
    return np.asarray(
        _walks_weights(np.ascontiguousarray(pnl), drawn, weights, drawn.sum(axis=1), float(1 - level), walk)
    )


def _cumulated(parts: Floats) -> Floats:
    return np.concatenate([[0.0], np.add.accumulate(parts)])


@compiled
def _ranks(pnl: Floats, counts: Codes, cumulated: Floats) -> Floats:
    n_groups, n = pnl.shape
    out = np.zeros((n_groups, len(counts)))
    heap = np.empty(n, dtype=np.int64)
    most = cumulated.size - 1
    for g in range(n_groups):
        heapify(pnl[g], heap)
        taken = 0
        for r in range(len(counts)):
            seen = 0
            rank = 0
            while seen < most:
                taken = take(pnl[g], heap, taken, rank)
                s = heap[n - 1 - rank]
                rank += 1
                if counts[r, s] > 0:
                    upto = min(seen + counts[r, s], most)
                    out[g, r] += (cumulated[upto] - cumulated[seen]) * (0.0 - pnl[g, s])
                    seen = upto
    return out


@compiled
def _ranks_weights(pnl: Floats, counts: Codes, cumulated: Floats) -> Floats:
    n = pnl.size
    out = np.zeros((len(counts), n))
    heap = np.empty(n, dtype=np.int64)
    most = cumulated.size - 1
    heapify(pnl, heap)
    taken = 0
    for r in range(len(counts)):
        seen = 0
        rank = 0
        while seen < most:
            taken = take(pnl, heap, taken, rank)
            s = heap[n - 1 - rank]
            rank += 1
            upto = min(seen + counts[r, s], most)
            out[r, s] = cumulated[upto] - cumulated[seen]
            seen = upto
    return out


@compiled
def _walks(pnl: Floats, drawn: Floats, single: Floats, totals: Floats, mass: float, walk: int) -> Floats:
    n_groups, n = pnl.shape
    out = np.empty((n_groups, len(drawn)))
    heap, where, share = np.empty(n, dtype=np.int64), np.empty(n + 2, dtype=np.int64), np.empty(n + 2)
    for g in range(n_groups):
        heapify(pnl[g], heap)
        taken = 0
        for r in range(len(drawn)):
            count, divisor, taken = walk_tail(
                pnl[g],
                heap,
                taken,
                drawn[r],
                single,
                mass * totals[r],
                WEIGHT_TOLERANCE * totals[r],
                walk,
                where,
                share,
            )
            out[g, r] = sum_of(pnl[g], where, share, count, divisor)
    return out


@compiled
def _walks_weights(pnl: Floats, drawn: Floats, single: Floats, totals: Floats, mass: float, walk: int) -> Floats:
    n = pnl.size
    out = np.zeros((len(drawn), n))
    heap, where, share = np.empty(n, dtype=np.int64), np.empty(n + 2, dtype=np.int64), np.empty(n + 2)
    heapify(pnl, heap)
    taken = 0
    for r in range(len(drawn)):
        count, divisor, taken = walk_tail(
            pnl, heap, taken, drawn[r], single, mass * totals[r], WEIGHT_TOLERANCE * totals[r], walk, where, share
        )
        if count == 0:
            out[r] = np.nan
        for i in range(count):
            out[r, where[i]] += share[i] / divisor
    return out


# --- intervals -------------------------------------------------------------------------------------------------------


def percentile_interval(figures: Floats, confidence: Fraction) -> tuple[Floats, Floats]:
    """The middle `confidence` of the figures under the resamples (last axis); resamples without a figure are left out."""
    outside = float(1 - confidence) / 2
    none = np.asarray(np.isnan(figures).all(axis=-1))
    known = np.where(none[..., None], 0.0, figures)
    quantile = np.nanquantile if np.isnan(known).any() else np.quantile
    low, high = np.where(none, np.nan, quantile(known, [outside, 1 - outside], axis=-1)) + 0.0  # no minus zero
    return low, high


def order_interval(n: int, level: Fraction, confidence: Fraction) -> tuple[int | None, int | None]:
    """Ranks, worst first, of the losses that hold the quantile between them with at least `confidence`: (low, high).

    Of the ascending losses X_1..X_n, P(X_r <= quantile <= X_s) = B(s - 1) - B(r - 1), B the binomial distribution of n trials
    at `level`; r is the greatest and s the least that leave at most half of 1 - confidence outside. None where that order
    statistic does not exist: the interval is open there.
    Source: David and Nagaraja, Order Statistics, 3rd edition, section 7.1.
    """
    from scipy import special  # noqa: PLC0415 - 0.3 s that most questions need not

    at_most = special.bdtr(np.arange(n + 1, dtype=np.float64), n, float(level))  # B(0) to B(n)
    outside = float(1 - confidence) / 2
    lower = int(np.count_nonzero(at_most <= outside))  # B(r - 1) <= outside; 0 where there is none
    upper = int(np.argmax(at_most >= 1 - outside)) + 1
    return (n + 1 - lower if lower else None), (n + 1 - upper if upper <= n else None)


def beyond_worst(n: int, level: Fraction) -> float:
    """Probability that the quantile lies beyond the worst of n losses."""
    return float(level) ** n


def proportion_interval(hits: Floats, n: int, confidence: Fraction) -> tuple[Floats, Floats]:
    """Exact interval of a probability of which n trials had `hits`; Clopper and Pearson (1934), Biometrika 26(4)."""
    from scipy import special  # noqa: PLC0415 - 0.3 s that most questions need not

    outside = float(1 - confidence) / 2
    low = np.where(hits > 0, special.betaincinv(np.maximum(hits, 1), n - hits + 1, outside), 0.0)
    high = np.where(hits < n, special.betaincinv(hits + 1, np.maximum(n - hits, 1), 1 - outside), 1.0)
    return low, high


def effective_count(weights: Floats) -> float:
    """How many equally likely scenarios tell as much: 1 / sum w^2 for weights of sum 1; Kish, Survey Sampling (1965)."""
    p = weights / math.fsum(weights)
    return 1.0 / float(np.sum(p * p))
