"""Sampling intervals of the causes of a change: how far each would move had the scenarios been drawn again.

A scenario that both points have is drawn as often for either, so that what they share does not blur their difference. Every
resample is ranked anew and explained anew.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from aggregation.change.sides import Comparison, Side
from aggregation.kernels import change_effects as effects
from aggregation.kernels.bootstrap import percentile_interval
from aggregation.kernels.change_effects import CAUSES
from aggregation.kernels.fixed_sums import dot, row_dots
from aggregation.risk.sampling_error import paired_resamples
from lake.arrays import Floats, Ints
from lake.runtime.machine import usable_cores
from lake.workers import each

_BY_QUANTITY = ("new", "closed", "amended", "transferred", "coverage")


def cause_intervals(
    comparison: Comparison, confidence: Fraction, threads: int | None = None
) -> dict[str, tuple[float, float]]:
    """Ends of the interval of each cause, and of the change; the same question gives the same bits.

    Raises `BadInput` for chosen scenarios, which are no sample.
    """
    low, high = percentile_interval(resampled_causes(comparison, threads).T, confidence)
    return {n: (float(a), float(b)) for n, a, b in zip((*CAUSES, "change"), low, high, strict=True)}


def resampled_causes(comparison: Comparison, threads: int | None = None) -> Floats:
    """The causes and, last, the change in each resample, shape (n_resamples, len(CAUSES) + 1)."""
    one, two = (r.counts for r in paired_resamples(*(s.inputs for s in comparison.sides)))
    parts = _cause_pnl(comparison, threads)
    return np.array(
        each(lambda drawn: _explained(comparison, parts, *drawn), list(zip(one, two, strict=True)), threads)
    )


def _cause_pnl(comparison: Comparison, threads: int | None) -> Floats:
    """The parts of P&L after minus before by cause in every common scenario, rows as in `effects.cause_pnl`."""
    before, after, _ = comparison.kernel
    quantities = effects.cause_quantities(*comparison.held, *comparison.valued, len(comparison.pairing.contract_ids))
    places = np.array([comparison.common.before, comparison.common.after])
    out = np.zeros((len(_BY_QUANTITY) + 2, places.shape[1]))
    bounds = np.linspace(0, places.shape[1], (threads or usable_cores()) + 1).astype(int).tolist()
    each(
        lambda part: effects.cause_pnl(before, after, places, quantities, part[0], part[1], out),
        list(itertools.pairwise(bounds)),
        threads,
    )
    return out


def _explained(comparison: Comparison, parts: Floats, *counts: npt.NDArray[np.int32]) -> Floats:
    """Causes and change of one resample; `counts` says how often each scenario of either point is drawn."""
    common = (comparison.common.before, comparison.common.after)
    drawn: Ints = np.repeat(np.arange(len(common[0])), counts[0][common[0]])
    mean, change = np.zeros(len(drawn)), np.zeros(len(drawn))
    window, totals, middle = [], [], np.zeros(len(drawn))
    for k, side in enumerate(comparison.sides):
        all_drawn = np.repeat(np.arange(len(side.pnl)), counts[k])
        common_drawn: Ints = common[k][drawn].astype(np.int64)
        weights, common_weights = _weights(comparison, side, all_drawn), _weights(comparison, side, common_drawn)
        value, value_common = -dot(weights, side.pnl[all_drawn]), -dot(common_weights, side.pnl[common_drawn])
        totals.append(value)
        window.append(value_common - value if k == 0 else value - value_common)
        mean += 0.5 * common_weights
        change += common_weights if k else -common_weights
        middle += 0.5 * side.pnl[common_drawn]
    moved = -row_dots(parts.take(drawn, axis=1), mean[None])
    by_cause = dict(zip((*_BY_QUANTITY, "revaluation", "currency"), moved, strict=True))
    by_cause |= {"left": window[0], "entered": window[1], "tail": -dot(change, middle)}
    return np.array([*(by_cause[c] for c in CAUSES), totals[1] - totals[0]])


def _weights(comparison: Comparison, side: Side, drawn: Ints) -> Floats:
    """What each drawn scenario of a side counts in the measure; zero where nothing is held or drawn."""
    weights = side.inputs.weights
    weights = None if weights is None else weights[drawn]
    if not side.holds or not len(drawn) or (weights is not None and not weights.any()):
        return np.zeros(len(drawn))
    found: Floats = comparison.asked.tail_weights(side.pnl[None, drawn], weights)[0]
    return found
