"""Weights by rank of every estimator, and weights by scenario of every measure that is a sum over scenarios."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.stats import mstats

from aggregation.kernels.estimators import (
    ESTIMATORS,
    harrell_davis,
    kernel_bandwidth,
    kernel_weights,
    rank_weights,
    shortfall_ranks,
)
from aggregation.measures import MEASURES, AskedMeasure, asked_measures
from aggregation.types import RiskQuery
from lake.errors import BadInput

LEVELS = [Fraction(a) for a in ("0.5", "0.9", "0.975", "0.99", "0.9999")]


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("n", [1, 2, 10, 250, 1000, 20_000])
def test_weights_sum_to_one_and_are_kept(name: str, n: int) -> None:
    for level in LEVELS:
        weights = rank_weights(name, n, level)
        assert 1 <= len(weights) <= n
        assert weights.sum() == pytest.approx(1.0, rel=1e-12)
        assert (weights >= 0).all()
        assert not weights.flags.writeable
        assert weights is rank_weights(name, n, level)


@pytest.mark.parametrize("kind", [2, 5, 6, 7, 8, 9])
@given(st.integers(1, 60), st.integers(1, 999))
def test_these_types_are_the_same_on_losses_and_on_pnl(kind: int, n: int, level: int) -> None:
    on_losses, on_pnl = (rank_weights(f"hf{kind}{side}", n, Fraction(level, 1000)) for side in ("", "_pnl"))
    assert on_losses.tolist() == on_pnl.tolist()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.sampled_from(["0.5", "0.9", "0.95", "0.99"]))
def test_harrell_davis_against_scipy(losses: list[float], level: str) -> None:
    weights = harrell_davis(len(losses), Fraction(level))
    worst = np.sort(losses)[::-1][: len(weights)]
    expected = float(mstats.hdquantiles(losses, [float(level)])[0])
    assert float(weights @ worst) == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_what_is_left_out_of_all_ranks_is_nothing() -> None:
    """Of a million ranks some ten thousand hold all the weight that a sum of one can show."""
    weights = rank_weights("harrell_davis", 1_000_000, Fraction(99, 100))
    assert len(weights) < 12_000
    assert stats.beta.cdf(1 - len(weights) / 1e6, 1_000_001 * 0.99, 1_000_001 * 0.01) < 1e-18


class TestKernel:
    def test_weights_are_integrals_of_the_kernel(self) -> None:
        n, level, h = 40, Fraction(9, 10), 0.03
        law = stats.norm(0.9, h)
        whole = integrate.quad(law.pdf, 0, 1, points=[0.9])[0]
        for rank, weight in enumerate(kernel_weights(n, level, h), start=1):
            mass = integrate.quad(law.pdf, (n - rank) / n, (n + 1 - rank) / n)[0]
            assert weight == pytest.approx(mass / whole, rel=1e-8, abs=1e-12)

    @given(st.integers(2, 300), st.integers(1, 99))
    def test_with_no_bandwidth_it_is_the_empirical_quantile(self, n: int, percent: int) -> None:
        level = Fraction(percent, 100)
        losses = np.random.default_rng(n).standard_normal(n)
        last, part = divmod(n * level, 1)
        at = [last - 1, last] if part == 0 else [last]  # at a step the mean of both neighbours
        weights = kernel_weights(n, level, 1e-13)
        found = float(weights @ np.sort(losses)[::-1][: len(weights)])
        assert found == pytest.approx(np.sort(losses)[at].mean())

    def test_the_bandwidth_is_the_best_for_a_normal_law(self) -> None:
        """((Q'/Q'')^2 / (sqrt(pi) n))^(1/3), the derivatives of the normal quantile taken numerically."""
        for level, n in ((0.9, 1000), (0.99, 1000), (0.8, 500)):
            e = 1e-4
            below, at, above = stats.norm.ppf([level - e, level, level + e])
            first, second = (above - below) / (2 * e), (above - 2 * at + below) / e**2
            best = ((first / second) ** 2 / (math.sqrt(math.pi) * n)) ** (1 / 3)
            assert kernel_bandwidth(n, Fraction(str(level))) == pytest.approx(best, rel=1e-3)

    def test_it_stays_inside_the_sample(self) -> None:
        assert kernel_bandwidth(500, Fraction(99, 100)) == pytest.approx(0.005)
        assert kernel_bandwidth(100, Fraction(1, 2)) == 0.25
        for level in (Fraction(1, 10), Fraction(9, 10)):  # symmetric
            assert kernel_bandwidth(10_000, level) == pytest.approx(kernel_bandwidth(10_000, 1 - level))


def test_estimators_over_all_ranks_vary_less() -> None:
    """What they are for: in samples of 250 normal losses the 99% quantile has a smaller deviation than the order statistic's."""
    pnl = np.random.default_rng(1).standard_normal((4000, 250))
    var = MEASURES["var"].function
    spread = {e: var(pnl, Fraction(99, 100), None, e).std() for e in ("hf1", "harrell_davis", "kernel")}
    assert spread["harrell_davis"] < 0.95 * spread["hf1"]
    assert spread["kernel"] < 0.97 * spread["hf1"]


def test_shares_of_a_shortfall() -> None:
    parts, k = shortfall_ranks(250, Fraction(975, 1000))
    assert (parts.tolist(), k) == ([1.0] * 6 + [0.25], 6.25)
    assert shortfall_ranks(500, Fraction(99, 100))[0].tolist() == [1.0] * 5
    assert shortfall_ranks(10, Fraction(99, 100))[0].tolist() == [0.1]


def columns(**more: object) -> list[AskedMeasure]:
    return asked_measures(RiskQuery.model_validate({"as_of": "2020-03-16", **more}))


class TestAsked:
    @pytest.mark.parametrize("tail", ["loss", "gain"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_weights_by_scenario_give_every_figure_back(self, tail: str, weighted: bool) -> None:
        rng = np.random.default_rng(2)
        pnl, weights = rng.standard_normal((6, 90)).round(1), rng.random(90) if weighted else None
        for estimator in (e for e in ESTIMATORS.values() if e.weighted or not weighted):
            names = [m.name for m in MEASURES.values() if m.tail_weights is not None]
            for a in columns(measures=names, levels=("0.9", "0.95"), estimator=estimator.name, tail=tail):
                w = a.tail_weights(pnl, weights)
                np.testing.assert_allclose(-(w * pnl).sum(axis=1), a.values(pnl, weights), rtol=1e-10, atol=1e-12)
                parts = rng.standard_normal(pnl.shape)
                whole = -(w * parts).sum(axis=1) - (w * (pnl - parts)).sum(axis=1)
                np.testing.assert_allclose(whole, a.values(pnl, weights), rtol=1e-9, atol=1e-10)

    def test_scaled_weights_give_the_scaled_figure(self) -> None:
        pnl = np.random.default_rng(3).standard_normal((2, 50))
        (a,) = columns(measures=("es",), scale_to_days=9)
        assert a.name == "es_0.99_9d"
        over = a.over(1)
        np.testing.assert_allclose(over.values(pnl, None), 3 * a.values(pnl, None))
        np.testing.assert_allclose(-(over.tail_weights(pnl, None) * pnl).sum(axis=1), over.values(pnl, None))

    def test_names_say_what_is_not_the_default(self) -> None:
        asked = columns(
            measures=("var", "mean", "volatility", "exceedance"),
            levels=("0.990", "0.975"),
            thresholds=(1e6, 0.5, -2.0),
            tail="gain",
        )
        assert [a.name for a in asked] == [
            *("var_0.99_gain", "var_0.975_gain", "mean", "volatility"),
            *("exceedance_1000000_gain", "exceedance_0.5_gain", "exceedance_-2_gain"),
        ]
        assert [a.level for a in asked[:3]] == [Fraction(99, 100), Fraction(39, 40), None]
        assert [a.name for a in columns(measures=("var", "volatility"), scale_to_days=10)] == [
            "var_0.99_10d",
            "volatility_10d",
        ]

    def test_what_has_no_meaning_is_refused(self) -> None:
        with pytest.raises(BadInput, match="give a threshold"):
            columns(measures=("exceedance",))
        with pytest.raises(BadInput, match=r"mean does not grow .* var, es, es_beyond, .*, volatility can be scaled"):
            columns(measures=("mean",), scale_to_days=10)
        with pytest.raises(BadInput, match="volatility is no sum over scenarios"):
            columns(measures=("volatility",))[0].tail_weights(np.zeros((1, 5)), None)
        with pytest.raises(BadInput, match=r"es_beyond_0\.99: No scenario of 5 ranks worse"):
            columns(measures=("es_beyond",))[0].values(np.zeros((1, 5)), None)
        with pytest.raises(BadInput, match="expected a fraction between 0 and 1"):
            columns(interval="95%")
