"""Sampling error against samples written out, SciPy, laws that are known, and through the public query."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position
from scipy import stats

from aggregation.kernels.bootstrap import (
    bootstrap_counts,
    effective_count,
    order_interval,
    paired_counts,
    percentile_interval,
    proportion_interval,
)
from aggregation.kernels.estimators import ESTIMATORS
from aggregation.measures import MEASURES, AskedMeasure, asked_measures
from aggregation.opened.inputs import open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import run_query
from aggregation.risk.sampling_error import (
    Resamples,
    change_in_words,
    difference_interval,
    interval,
    paired_resamples,
    resampled,
    resampled_weights,
    within_error,
)
from aggregation.types import RiskQuery, Tail
from lake.arrays import Floats
from lake.errors import BadInput
from lake.tables import Lake

P95 = Fraction(95, 100)
WEIGHTED = [e for e in ESTIMATORS.values() if e.weighted]


def asked(
    name: str, argument: str | None = None, estimator: str = "order_statistic", tail: Tail = "loss"
) -> AskedMeasure:
    return AskedMeasure(name, MEASURES[name], None if argument is None else Fraction(argument), estimator, tail)


CASES = [
    *(asked("var", "0.9", e) for e in ESTIMATORS),
    asked("es", "0.9"),
    asked("es_beyond", "0.9"),
    asked("es_worst_k", "0.9"),
    asked("es_at_or_beyond", "0.9"),
    asked("es_at_or_beyond", "0.9", "hf7"),
    *(asked(f"{kind}_{law}", "0.9") for kind in ("var", "es") for law in ("normal", "normal_n", "modified")),
    asked("kurtosis"),
    asked("var_own_volatility", "0.9", "hf6"),
    asked("es_own_volatility", "0.9"),
    asked("var_gpd", "0.9"),
    asked("es_gpd", "0.9"),
    asked("gpd_shape"),
    asked("exceedance_gpd", "2"),
    asked("var_standard_error", "0.9"),
    asked("var_standard_error_normal", "0.9"),
    asked("mean"),
    asked("volatility"),
    asked("skewness"),
    asked("exceedance", "1"),
]


def named(a: AskedMeasure) -> str:
    return f"{a.name}-{a.estimator}"


class TestFiguresOfResamples:
    """A resample is the sample with each scenario written as often as it was drawn."""

    @pytest.mark.parametrize("case", CASES, ids=named)
    @pytest.mark.parametrize("tail", ["loss", "gain"])
    def test_are_those_of_the_sample_written_out(self, case: AskedMeasure, tail: Tail) -> None:
        case = replace(case, tail=tail if case.measure.of_tail else "loss", scale=2.0)
        pnl = np.random.default_rng(1).standard_normal((3, 57)).round(1)  # rounded: ties
        draws = Resamples(57, 40, seed=3)
        # what is scaled is scaled first, in the order of its days
        of_scaled = replace(case, tail="loss", measure=replace(case.measure, scaling=None))
        written_out = [of_scaled.values(np.repeat(case.seen(pnl), row, axis=1), None) for row in draws.counts]
        np.testing.assert_allclose(resampled(case, pnl, None, draws).T, written_out, rtol=1e-11, atol=1e-13)

    @pytest.mark.parametrize("estimator", WEIGHTED, ids=lambda e: e.name)
    @pytest.mark.parametrize("name", ["var", "es", "volatility"])
    def test_of_weighted_scenarios_carry_the_weights_along(self, name: str, estimator: Any) -> None:
        rng = np.random.default_rng(2)
        case = asked(name, "0.9" if name != "volatility" else None, estimator.name)
        pnl, weights, draws = rng.standard_normal((3, 57)), rng.random(57), Resamples(57, 40, seed=3)
        written_out = [case.values(np.repeat(pnl, row, axis=1), np.repeat(weights, row)) for row in draws.counts]
        np.testing.assert_allclose(resampled(case, pnl, weights, draws).T, written_out, rtol=1e-11, atol=1e-13)

    @pytest.mark.parametrize(
        ("case", "weighted"),
        [
            pytest.param(c, weighted, id=f"{named(c)}-{'weighted' if weighted else 'equal'}")
            for c in (*CASES, asked("worst"))
            for weighted in (False, True)
            if c.measure.tail_weights is not None and (not weighted or ESTIMATORS[c.estimator].weighted)
        ],
    )
    @pytest.mark.parametrize("tail", ["loss", "gain"])
    def test_weights_by_scenario_give_the_figure_and_its_parts(
        self, case: AskedMeasure, weighted: bool, tail: Tail
    ) -> None:
        case = replace(case, tail=tail if case.measure.of_tail else "loss", scale=3.0)
        rng = np.random.default_rng(4)
        parts, draws = rng.standard_normal((5, 57)), Resamples(57, 40, seed=3)
        weights = rng.random(57) if weighted else None
        w = resampled_weights(case, parts.sum(axis=0), weights, draws)
        whole = resampled(case, parts.sum(axis=0)[None], weights, draws)[0]
        np.testing.assert_allclose(-(w @ parts.T).sum(axis=1), whole, rtol=1e-10, atol=1e-12)
        assert (w[(draws.counts == 0) & ~np.isnan(whole)[:, None]] == 0).all()  # what was not drawn counts nothing

    def test_what_is_no_sum_over_scenarios_has_none(self) -> None:
        with pytest.raises(
            BadInput, match=r"volatility is no sum over scenarios.*var, es, es_beyond, es_worst_k, .*, mean, worst have"
        ):
            resampled_weights(asked("volatility"), np.zeros(9), None, Resamples(9, 2, 1))


class TestDrawing:
    def test_as_many_are_drawn_as_there_are_and_always_the_same(self) -> None:
        counts = bootstrap_counts(31, 2000, seed=5)
        assert (counts.sum(axis=1) == 31).all()
        assert (counts == bootstrap_counts(31, 2000, seed=5)).all()
        assert (counts[7:9] == bootstrap_counts(31, 2, seed=5, first=7)).all()
        assert (counts != bootstrap_counts(31, 2000, seed=6)).any()
        # binomial: mean 1, variance 1 - 1/n
        np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.1)
        assert counts.var(axis=0).mean() == pytest.approx(1 - 1 / 31, rel=0.05)

    def test_runs_of_neighbours(self) -> None:
        counts = bootstrap_counts(40, 1, seed=1, block=40)
        assert (counts == 1).all()  # one circular run is the sample itself
        counts = bootstrap_counts(40, 3000, seed=1, block=5)
        assert (counts.sum(axis=1) == 40).all()
        together = np.corrcoef(counts[:, 3], counts[:, 4])[0, 1]
        assert together == pytest.approx(4 / 5, abs=0.05)
        # of 8 runs, each holds a scenario with probability 1/8: covariance -8/64 over variance 8 (1/8) (7/8)
        assert np.corrcoef(counts[:, 3], counts[:, 20])[0, 1] == pytest.approx(-1 / 7, abs=0.05)

    def test_in_portions_they_are_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = Resamples(50, 30, seed=2)
        assert len(list(whole.blocks())) == 1
        monkeypatch.setattr("aggregation.risk.sampling_error.MOST_DRAWS", 350)
        portions = list(Resamples(50, 30, seed=2).blocks())
        assert [len(p) for p in portions] == [7, 7, 7, 7, 2]
        assert (np.concatenate(portions) == whole.counts).all()
        labels = tuple(f"d{i}" for i in range(60))
        for side in (0, 1):
            pair = Resamples(50 + 4 * side, 30, 2, pair=(labels[:50], labels[-54:], side))
            assert (np.concatenate(list(pair.blocks())) == pair.counts).all()

    def test_both_sides_draw_the_scenarios_they_share_alike(self) -> None:
        one, two = [f"d{i}" for i in range(10)], [f"d{i}" for i in range(3, 13)]
        a, b = paired_counts(one, two, 200, seed=9)
        assert (a[:, 3:] == b[:, :7]).all()
        assert (a[:, :3] == b[:, 7:]).all()  # those that left against those that entered
        assert (a == bootstrap_counts(10, 200, seed=9)).all()

    @pytest.mark.parametrize(("first", "second"), [(40, 55), (55, 40)])
    def test_sets_of_different_size(self, first: int, second: int) -> None:
        labels = [f"d{i}" for i in range(60)]
        a, b = paired_counts(labels[:first], labels[-second:], 4000, seed=9)
        for counts, n in ((a, first), (b, second)):
            assert (counts.sum(axis=1) == n).all()
            np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.1)
            assert counts.var(axis=0).mean() == pytest.approx(1 - 1 / n, rel=0.1)
        shared = np.corrcoef(a[:, first - 1], b[:, labels[-second:].index(labels[first - 1])])[0, 1]
        assert shared > 0.5


class TestIntervals:
    def test_exact_ranks_cover_as_often_as_they_say(self) -> None:
        """The true quantile lies inside 98.0% of the time for 500 normal losses at 0.99."""
        rng = np.random.default_rng(0)
        pnl = rng.standard_normal((4000, 500))
        low, high = interval(asked("var", "0.99"), pnl, None, P95, Resamples(500, 1, 1))
        truth = stats.norm.ppf(0.99)
        assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(0.980, abs=0.008)

    def test_exact_ranks_against_the_binomial_distribution(self) -> None:
        for n in (1, 5, 59, 250, 377):
            for level in ("0.05", "0.5", "0.9", "0.99"):
                p, b = float(level), stats.binom(n, float(level))
                low, high = order_interval(n, Fraction(level), P95)
                r = next((r for r in range(n, 0, -1) if b.cdf(r - 1) <= 0.025), None)
                s = next((s for s in range(1, n + 1) if b.cdf(s - 1) >= 0.975), None)
                assert (low, high) == (None if r is None else n + 1 - r, None if s is None else n + 1 - s), (n, p)

    def test_resampled_ends_against_scipy(self) -> None:
        sample = np.random.default_rng(5).standard_t(5, 300)
        for case, function in ((asked("mean"), np.mean), (asked("volatility"), np.std)):
            found = interval(case, sample[None], None, P95, Resamples(300, 4000, 11))
            other = stats.bootstrap(
                (sample,), function, n_resamples=4000, confidence_level=0.95, method="percentile", rng=7
            ).confidence_interval
            width = other.high - other.low
            assert np.ravel(found) == pytest.approx([other.low, other.high], abs=0.06 * width)

    def test_error_of_a_quantile(self) -> None:
        """Hull: 500 normal losses of deviation 10, 99%: standard error sqrt(0.01 x 0.99 / 500) / 0.0027 = 1.67."""
        pnl = 10 * np.random.default_rng(6).standard_normal((60, 500))
        spread = resampled(asked("var", "0.99", "harrell_davis"), pnl, None, Resamples(500, 200, 1)).std(axis=1)
        assert spread.mean() == pytest.approx(1.67, rel=0.15)

    def test_es_covers_its_true_value_most_of_the_time(self) -> None:
        rng = np.random.default_rng(7)
        pnl = rng.standard_normal((400, 1000))
        low, high = interval(asked("es", "0.975"), pnl, None, P95, Resamples(1000, 300, 1))
        truth = stats.norm.pdf(stats.norm.ppf(0.975)) / 0.025
        covered = np.mean((low <= truth) & (truth <= high))
        assert 0.85 < covered < 0.97  # resamples of a far tail are somewhat too narrow, as the note says

    def test_probabilities_against_scipy(self) -> None:
        for hits in (0, 3, 200, 250):
            low, high = proportion_interval(np.array([float(hits)]), 250, P95)
            known = stats.binomtest(hits, 250).proportion_ci(0.95, "exact")
            assert (low[0], high[0]) == pytest.approx((known.low, known.high), rel=1e-9)

    def test_percentiles_leave_out_what_has_no_figure(self) -> None:
        figures = np.array([[1.0, np.nan, 2.0, 3.0], [np.nan] * 4])
        low, high = percentile_interval(figures, Fraction(1, 2))
        assert (low[0], high[0]) == (1.5, 2.5)
        assert np.isnan([low[1], high[1]]).all()

    def test_weights_leave_fewer_scenarios(self) -> None:
        assert effective_count(np.full(8, 3.0)) == pytest.approx(8)
        assert effective_count(np.array([1.0, 0.0, 0.0])) == 1
        weights = 0.98 ** np.arange(500)
        assert effective_count(weights) == pytest.approx((1 + 0.98) / (1 - 0.98), rel=1e-3)


class TestDifferences:
    def test_what_the_sides_share_cancels(self) -> None:
        rng = np.random.default_rng(8)
        one = rng.standard_t(4, (1, 400))
        same = Resamples(400, 500, 3)
        es = asked("es", "0.975")
        low, high = difference_interval(es, (one, None), (one, None), (same, same), P95)
        assert low[0] == high[0] == 0.0
        low, high = difference_interval(es, (one, None), (one + 0.5, None), (same, same), P95)
        assert (low[0], high[0]) == pytest.approx((-0.5, -0.5))
        assert not within_error(low[0], high[0])
        other = Resamples(400, 500, 4)
        low, high = difference_interval(es, (one, None), (one + 0.1, None), (same, other), P95)
        assert within_error(low[0], high[0])  # which it is not when the resamples are shared

    def test_in_words(self) -> None:
        assert change_in_words(3.0, -1.0, 7.0, P95).startswith("within sampling error")
        assert change_in_words(3.0, 1.0, 7.0, P95) == "a rise beyond sampling error at 95%"
        assert change_in_words(3.0, 1.0, 7.0, Fraction("0.995")).endswith("at 99.5%")
        assert change_in_words(-3.0, -7.0, -1.0, P95) == "a fall beyond sampling error at 95%"
        assert within_error(-1.0, math.nan)
        assert not within_error(1.0, math.nan)


# --- through the query -----------------------------------------------------------------------------------------------


def vectors(n: int = 300) -> dict[str, tuple[str, float, Floats]]:
    rng = np.random.default_rng(12)
    return {c: ("USD", 100.0, rng.standard_t(4, n) * 1000) for c in ("one", "two")}


def lake_of(folder: Path, **valued: Any) -> Lake:
    rows = [position("t1", "one", 2.0, desk="A"), position("t2", "two", -1.0, desk="B")]
    return make_lake(folder, Valued(vectors(), **valued), rows)


def ask(**more: Any) -> RiskQuery:
    return RiskQuery(as_of=DAY, **{"by": ("desk",), "interval": "0.9", **more})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake_of(tmp_path_factory.mktemp("sampling"))


class TestQuery:
    def test_every_figure_has_its_ends_beside_it(self, lake: Lake) -> None:
        query = ask(measures=("var", "es", "volatility", "exceedance"), thresholds=(1500,))
        found = run_query(lake, query)
        names = [a.name for a in asked_measures(query)]
        assert [c for c in found.rows.column_names if c.startswith(tuple(names))] == [
            c for n in names for c in (n, f"{n}_low", f"{n}_high")
        ]
        for row in [*found.rows.to_pylist(), found.total]:
            for name in names:
                assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
                assert row[f"{name}_low"] < row[f"{name}_high"]
        assert "var_0.99_low_standalone_sum" not in found.total

    def test_they_change_no_figure_and_are_the_same_again(self, lake: Lake) -> None:
        plain, once, again = (run_query(lake, q) for q in (ask(interval=None), ask(), ask()))
        assert once.rows.equals(again.rows)
        assert once.receipt["result_digest"] == again.receipt["result_digest"]
        assert once.rows.select(plain.rows.column_names).equals(plain.rows)
        one_thread = run_query(lake, ask(), threads=1)
        assert one_thread.rows.equals(once.rows)

    def test_the_receipt_says_how_they_were_drawn(self, lake: Lake) -> None:
        told = run_query(lake, ask(measures=("es",))).receipt["interval"]
        assert told["confidence"] == "0.9"
        inputs = open_inputs(VectorCache(lake), ask())
        pnl = inputs.vectors.rows[:, : inputs.n_scenarios] * np.array([2.0, -1.0])[:, None]
        draws = Resamples(300, told["resamples"], told["seed"], told["block_scenarios"])
        low, high = interval(asked("es", "0.99"), pnl, None, Fraction(9, 10), draws)
        found = run_query(lake, ask(measures=("es",))).rows
        np.testing.assert_allclose(found["es_0.99_low"].to_numpy(), low)
        np.testing.assert_allclose(found["es_0.99_high"].to_numpy(), high)
        assert run_query(lake, ask(interval=None)).receipt["interval"] is None

    def test_the_gain_tail_and_a_scaled_figure_have_theirs(self, lake: Lake) -> None:
        plain = run_query(lake, ask(measures=("var", "es"), tail="gain")).total
        scaled = run_query(lake, ask(measures=("var", "es"), tail="gain", scale_to_days=4)).total
        for name in ("var_0.99_gain", "es_0.99_gain"):
            for end in ("", "_low", "_high"):
                assert scaled[f"{name}_4d{end}"] == pytest.approx(2 * plain[f"{name}{end}"])

    def test_overlapping_moves_are_drawn_in_runs_and_that_is_said(self, tmp_path: Path) -> None:
        found = run_query(lake_of(tmp_path, horizon_days=10), ask())
        assert found.receipt["interval"]["block_scenarios"] == 10
        assert any("300 scenarios tell about as much as 30 independent ones" in n for n in found.notes)
        assert any("in runs of 10" in n for n in found.notes)

    def test_weights_are_said_and_resampled(self, tmp_path: Path) -> None:
        weights = 0.99 ** np.arange(300)
        found = run_query(lake_of(tmp_path, weights=weights / weights.sum()), ask(measures=("var", "es")))
        few = effective_count(weights)
        assert any(f"as much as {few:,.0f} equally likely scenarios" in n for n in found.notes)
        assert found.total["var_0.99_low"] < found.total["var_0.99"] <= found.total["var_0.99_high"]

    def test_the_worst_loss_has_none_and_says_so(self, lake: Lake) -> None:
        found = run_query(lake, ask(measures=("worst",)))
        assert found.rows["worst_low"].null_count == found.rows["worst_high"].null_count == 2
        assert "worst has no interval: resamples say nothing of an extreme." in found.notes

    @pytest.mark.parametrize("confidence", ["95", "0", "1", "much"])
    def test_a_confidence_outside_the_unit_interval_is_refused(self, lake: Lake, confidence: str) -> None:
        with pytest.raises(BadInput, match="expected a fraction between 0 and 1"):
            run_query(lake, ask(interval=confidence))

    def test_two_sets_are_drawn_alike_where_they_share_scenarios(self, lake: Lake, tmp_path: Path) -> None:
        here = open_inputs(VectorCache(lake), ask())
        one, two = paired_resamples(here, here)
        assert one is two
        shorter = make_lake(
            tmp_path,
            Valued({c: (k, b, p[:250]) for c, (k, b, p) in vectors().items()}),
            [position("t1", "one", 2.0, desk="A")],
        )
        one, two = paired_resamples(here, open_inputs(VectorCache(shorter), ask()))
        assert (one.n, two.n, one.count == two.count, one.seed == two.seed) == (300, 250, True, True)
        assert np.corrcoef(one.counts[:, 100], two.counts[:, 100])[0, 1] > 0.5  # both label it s0100
