"""Sampling error: how far a figure would move had the scenarios been drawn again.

Every answer about one scenario set uses the same resamples, and a difference uses the same on both sides, so that what the
sides share cancels. The seed follows from the names of the sets: the same question gives the same interval.

A statistic that is a sum over scenarios with tail weights, such as a contribution, is resampled by
`resampled_weights(...) @ P&L of the part`, with the sign of the weights.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from aggregation.kernels import bootstrap
from aggregation.kernels.tail import NotDefined
from aggregation.kernels.tail_walk import values_of_ranks
from aggregation.measures import AskedMeasure
from aggregation.opened.inputs import Inputs
from lake.arrays import Codes, Floats, Ints
from lake.canonical import digest
from lake.errors import BadInput
from lake.progress import allowance
from scenarios.types import ScenarioDetails

RESAMPLES, FEWEST = 1000, 200
SECONDS_A_RANK = 5e-9  # of a core, to rank the P&L of a group in one scenario
# of a core, for one resample: to read a figure, and for each loss it reads from the worst one on
SECONDS_A_FIGURE, SECONDS_A_LOSS = 6e-8, 6e-10
MOST_DRAWS = 20_000_000  # scenarios drawn in all, as long as that leaves FEWEST resamples; and held at once


@dataclass(frozen=True)
class Resamples:
    """`count` resamples of n scenarios. `block` : length of the runs they are drawn in.

    pair : labels of the scenarios of both sides of a difference, and which side this is, 0 or 1.
    """

    n: int
    count: int
    seed: int
    block: int = 1
    pair: tuple[tuple[str, ...], tuple[str, ...], int] | None = None

    def blocks(self) -> Iterator[Codes]:
        """The counts, (some, n) at a time; the whole at once where that is small."""
        step = max(1, MOST_DRAWS // self.n)
        if self.count <= step:
            yield self.counts
        else:
            for first in range(0, self.count, step):
                yield self._drawn(first, min(step, self.count - first))

    def _drawn(self, first: int, count: int) -> Codes:
        if self.pair is None:
            return bootstrap.bootstrap_counts(self.n, count, self.seed, self.block, first)
        one, two, side = self.pair
        return bootstrap.paired_counts(one, two, count, self.seed, self.block, first)[side]

    @functools.cached_property
    def counts(self) -> Codes:
        """How often each scenario is drawn, (count, n)."""
        return self._drawn(0, self.count)

    def to_dict(self) -> dict[str, Any]:
        """For a receipt: enough to draw them again."""
        return {"resamples": self.count, "seed": self.seed, "block_scenarios": self.block, "generator": "PCG64"}


def resamples_of(inputs: Inputs) -> Resamples:
    """The resamples of the scenarios of a question; raises `BadInput` for chosen scenarios, which are no sample."""
    check_sample(inputs)
    return drawn_from(inputs.scenarios, inputs.n_scenarios)


def drawn_from(scenarios: ScenarioDetails, n: int) -> Resamples:
    """The resamples of a set of n scenarios."""
    return Resamples(n, _count(n), _seed(scenarios.scenario_set_id), dependence(scenarios, n))


def paired_resamples(one: Inputs, two: Inputs) -> tuple[Resamples, Resamples]:
    """One resample for both sides of a difference: a scenario that both have, by its label, is drawn as often on each."""
    sets = tuple(i.scenarios.scenario_set_id for i in (one, two))
    if sets[0] == sets[1]:
        same = resamples_of(one)
        return same, same
    for side in (one, two):
        check_sample(side)
    block, seed = max(dependence(s.scenarios, s.n_scenarios) for s in (one, two)), _seed(*sets)
    count = _count(max(one.n_scenarios, two.n_scenarios))
    labels = _labels(one), _labels(two)
    first, second = (Resamples(len(labels[side]), count, seed, block, (*labels, side)) for side in (0, 1))
    return first, second


def check_sample(inputs: Inputs) -> None:
    """Raises `BadInput` for scenarios that were chosen and not drawn: they have no sampling error."""
    if not inputs.valuation_set.sample:
        raise BadInput(
            f"Scenario set {inputs.valuation_set.scenario_set_name} holds chosen scenarios, which are no sample and have no "
            "sampling error; ask without an interval, or name a set that is a sample."
        )


def dependence(scenarios: ScenarioDetails, n: int) -> int:
    """How many neighbouring ones of n scenarios share days: 1 where none do."""
    overlap = scenarios.method == "historical" and scenarios.definition.get("overlapping", True)
    return max(1, min(scenarios.horizon_days or 1, n)) if overlap else 1


def _labels(inputs: Inputs) -> tuple[str, ...]:
    # labels of very many generated scenarios are not stored: they are their numbers
    return tuple(inputs.scenarios.labels or map(str, range(inputs.n_scenarios)))


def _count(n: int) -> int:
    return min(RESAMPLES, max(FEWEST, MOST_DRAWS // n))


def _seed(*scenario_sets: str) -> int:
    return int(digest("resample", *scenario_sets)[:8], 16)


# --- figures under the resamples -------------------------------------------------------------------------------------


def resampled(asked: AskedMeasure, pnl: Floats, weights: Floats | None, resamples: Resamples) -> Floats:
    """The figure of each group under each resample, (n_groups, count), from P&L (n_groups, n_scenarios)."""
    seen = asked.seen(pnl)
    return np.concatenate([_resampled(asked, seen, weights, c) for c in resamples.blocks()], axis=1) * asked.scale


def _resampled(asked: AskedMeasure, pnl: Floats, weights: Floats | None, counts: Codes) -> Floats:
    m, n = asked.measure, pnl.shape[1]
    try:
        if m.counts:
            figures = [
                m.function(pnl[:, d], asked.argument, w, asked.estimator) for d, w in _written_out(counts, weights)
            ]
            return np.stack(figures, axis=1)
        if m.reading is None:
            drawn = counts * (np.ones(n) if weights is None else weights)
            return bootstrap.resampled_figure(functools.partial(_heeding, asked), pnl, drawn)
        reading = m.reading(n, asked.argument, weights is not None, asked.estimator)
    except NotDefined as error:
        raise BadInput(f"{asked.name}: {error}") from None
    if isinstance(reading, tuple):
        return bootstrap.resampled_ranks(pnl, counts, *reading)
    assert weights is not None
    assert asked.level is not None
    return bootstrap.resampled_walk(pnl, counts, weights, asked.level, reading)


def _heeding(asked: AskedMeasure, pnl: Floats, weights: Floats) -> Floats:
    allowance().heed()  # a thousand resamples of a block of groups take seconds
    figures: Floats = asked.measure.function(pnl, asked.argument, weights, asked.estimator)
    return figures


def _written_out(counts: Codes, weights: Floats | None) -> Iterator[tuple[Ints, Floats | None]]:
    """The scenarios of each resample, as often as they were drawn, and their weights."""
    for row in counts:
        allowance().heed()
        drawn = np.repeat(np.arange(row.size), row)
        yield drawn, None if weights is None else weights[drawn]


def resampled_weights(asked: AskedMeasure, pnl: Floats, weights: Floats | None, resamples: Resamples) -> Floats:
    """What each scenario counts under each resample, (count, n_scenarios), for the P&L of one group, (n_scenarios,).

    The figure under resample r is -sum_s w_rs P&L_s, and so is the part of it that any part of the P&L has. Raises
    `BadInput` for a measure that is no sum over scenarios.
    """
    asked.tail_weights(pnl[None], weights)  # refuses what has none
    found = _weights(asked, asked.seen(pnl[None])[0], weights, resamples.counts)
    by = (-1.0 if asked.tail == "gain" else 1.0) * asked.scale
    return found * (by * asked.measure.scaling(pnl[None]) if asked.measure.scaling else by)


def _weights(asked: AskedMeasure, pnl: Floats, weights: Floats | None, counts: Codes) -> Floats:
    m, n = asked.measure, pnl.size
    if m.counts:
        rows = []
        for d, w in _written_out(counts, weights):
            counted = m.tail_weights(pnl[None, d], asked.argument, w, asked.estimator)[0]
            rows.append(np.bincount(d, weights=counted, minlength=n))
        return np.stack(rows).astype(np.float64)
    if m.reading is None:
        drawn = counts * (np.ones(n) if weights is None else weights)
        return np.concatenate([m.tail_weights(pnl[None], asked.argument, row, asked.estimator) for row in drawn])
    reading = m.reading(n, asked.argument, weights is not None, asked.estimator)
    if isinstance(reading, tuple):
        return bootstrap.rank_weights_of_resamples(pnl, counts, *reading)
    assert weights is not None
    assert asked.level is not None
    return bootstrap.walk_weights_of_resamples(pnl, counts, weights, asked.level, reading)


# --- intervals -------------------------------------------------------------------------------------------------------


def interval(
    asked: AskedMeasure, pnl: Floats, weights: Floats | None, confidence: Fraction, resamples: Resamples
) -> tuple[Floats, Floats]:
    """Low and high end of the sampling interval of each group's figure, (n_groups,) each; NaN where it is open.

    Of independent, equally likely scenarios: for the VaR that is an order statistic the exact ranks of the binomial
    distribution, for an exceedance probability Clopper and Pearson's. For all else the middle of the resamples. A measure whose sampling
    error resamples do not tell (the worst loss) has none, which is NaN twice.
    """
    if not asked.measure.sampled:
        none = np.full(len(pnl), np.nan)
        return none, none
    exact = exact_kind(asked, weighted=weights is not None, block=resamples.block)
    n = pnl.shape[1]
    if exact == "ranks":
        assert asked.level is not None
        low, high = (_loss_at(asked.seen(pnl), rank) for rank in bootstrap.order_interval(n, asked.level, confidence))
        return low * asked.scale, high * asked.scale
    if exact == "proportion":
        return bootstrap.proportion_interval(np.rint(asked.values(pnl, None) * n), n, confidence)
    return bootstrap.percentile_interval(resampled(asked, pnl, weights, resamples), confidence)


def exact_kind(asked: AskedMeasure, *, weighted: bool, block: int) -> str | None:
    """`ranks` or `proportion` where the interval follows from the binomial distribution; None where it is resampled."""
    if weighted or block > 1:
        return None
    if asked.measure.name == "var" and asked.estimator == "order_statistic":
        return "ranks"
    return "proportion" if asked.measure.name == "exceedance" else None


def interval_seconds(asked: AskedMeasure, weighted: bool, resamples: Resamples) -> float:
    """Seconds of a core that the interval of one group is expected to take, beyond the ranking of its P&L."""
    m, n = asked.measure, resamples.n
    if not m.sampled or exact_kind(asked, weighted=weighted, block=resamples.block):
        return 0.0
    if m.reading is None or m.counts:
        return resamples.count * n * SECONDS_A_RANK / 2
    with contextlib.suppress(NotDefined):  # said when it is measured
        if isinstance(reading := m.reading(n, asked.argument, weighted, asked.estimator), tuple):
            n = len(reading[0])
    return resamples.count * (SECONDS_A_FIGURE + SECONDS_A_LOSS * n)


def _loss_at(pnl: Floats, rank: int | None) -> Floats:
    if rank is None:
        return np.full(len(pnl), np.nan)
    return values_of_ranks(pnl, np.eye(1, rank, rank - 1)[0])


def difference_interval(
    asked: AskedMeasure,
    one: tuple[Floats, Floats | None],
    two: tuple[Floats, Floats | None],
    pair: tuple[Resamples, Resamples],
    confidence: Fraction,
) -> tuple[Floats, Floats]:
    """Low and high end, (n_groups,), of the second figure minus the first, each side given as its P&L and weights.

    `pair` is of `paired_resamples`: both sides are measured under the same resample.
    """
    before, after = (resampled(asked, pnl, w, r) for (pnl, w), r in zip((one, two), pair, strict=True))
    return bootstrap.percentile_interval(after - before, confidence)


def within_error(low: float, high: float) -> bool:
    """Whether a change is within sampling error: its interval holds zero, or is open."""
    return not (low > 0.0 or high < 0.0)


def change_in_words(change: float, low: float, high: float, confidence: Fraction) -> str:
    """What may be said of a change, given its interval."""
    percent = f"{float(100 * confidence):g}%"
    if within_error(low, high):
        return f"within sampling error: the {percent} interval of the change holds zero"
    return f"{'a rise' if change > 0 else 'a fall'} beyond sampling error at {percent}"


def interval_notes(
    asked: Sequence[AskedMeasure], inputs: Inputs, confidence: Fraction, resamples: Resamples
) -> Iterator[str]:
    """What a reader must know of the intervals: how they are made, where they are open, and what weakens them."""
    n, weights, percent = inputs.n_scenarios, inputs.weights, f"{float(confidence):.15g}"
    kinds = {a.name: exact_kind(a, weighted=weights is not None, block=resamples.block) for a in asked}
    if any(kind is None and a.measure.sampled for a, kind in zip(asked, kinds.values(), strict=True)):
        runs = f" in runs of {resamples.block}" if resamples.block > 1 else ""
        yield (
            f"Intervals at {percent} by {resamples.count:,} resamples of the {n:,} scenarios{runs}, seed {resamples.seed}. No "
            "resample knows a loss worse than the worst scenario: in the far tail they are too narrow."
        )
    for a in asked:
        if kinds[a.name] == "ranks" and a.level is not None:
            low, high = bootstrap.order_interval(n, a.level, confidence)
            if high is None:
                beyond = bootstrap.beyond_worst(n, a.level)
                yield (
                    f"{a.name}_high does not exist: {n:,} scenarios are too few, the true figure lies beyond the worst of them with "
                    f"probability {beyond:.1%}."
                )
            if low is None:
                yield f"{a.name}_low does not exist: {n:,} scenarios are too few."
        if not a.measure.sampled:
            yield f"{a.name} has no interval: resamples say nothing of an extreme."
    if resamples.block > 1:
        yield (
            f"The moves of {resamples.block} days overlap: {n:,} scenarios tell about as much as {max(1, n // resamples.block):,} "
            "independent ones."
        )
    if weights is not None:
        yield f"The weights leave as much as {bootstrap.effective_count(weights):,.0f} equally likely scenarios would tell."
    if (kind := inputs.scenarios.definition.get("sampling", "random")) != "random":
        yield f"The scenarios were drawn as {kind} and not independently: the intervals are those of independent ones."
