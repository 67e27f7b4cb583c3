"""Figures from moments, conventions of expected shortfall and standard errors, against SciPy, published values and enumeration."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, stats

from aggregation.kernels.tail import NotDefined
from aggregation.measures import MEASURES
from lake.arrays import Floats

P975, P99 = Fraction(975, 1000), Fraction(99, 100)


def figure(name: str, pnl: Floats, level: Fraction | None, weights: Floats | None = None, estimator: str = "") -> float:
    return float(MEASURES[name].function(np.atleast_2d(pnl), level, weights, estimator or "order_statistic")[0])


def skewed(seed: int = 1, n: int = 500) -> Floats:
    """P&L with a longer losing tail."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(0.3, 2.0, n) - 0.6 * rng.gamma(2.0, 1.0, n))


class TestExpectedShortfall:
    def test_three_means_of_250_losses(self) -> None:
        """Losses 1 to 250 at 97.5%: six and a quarter of them, seven, and six."""
        pnl = -np.arange(1.0, 251.0)
        assert figure("es", pnl, P975) == pytest.approx(247.36)
        assert figure("es_worst_k", pnl, P975) == 247.0
        assert figure("es_beyond", pnl, P975) == 247.5
        assert figure("es_at_or_beyond", pnl, P975) == 247.0
        # beyond 251 x 0.975 = 244.725: six
        assert figure("es_at_or_beyond", pnl, P975, estimator="hf6") == pytest.approx(247.5)

    def test_ties_at_the_var_all_count(self) -> None:
        pnl = -np.array([9.0, 5.0, 5.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
        assert figure("es_worst_k", pnl, Fraction(8, 10)) == 7.0
        assert figure("es_at_or_beyond", pnl, Fraction(8, 10)) == 6.0
        for estimator in ("hf7", "hf5", "hf8_pnl"):  # between equal losses, to the last bit
            assert figure("es_at_or_beyond", pnl * 0.1, Fraction(8, 10), estimator=estimator) == pytest.approx(0.6)

    def test_with_weights_by_hand(self) -> None:
        """1 - level 0.3 is reached by the second loss: (0.2 x 8 + 0.3 x 6) / 0.5."""
        pnl, weights = -np.array([8.0, 6.0, 6.0, 1.0]), np.array([0.2, 0.3, 0.1, 0.4])
        assert figure("es_worst_k", pnl, Fraction(7, 10), weights) == pytest.approx(3.4 / 0.5)
        assert figure("es_at_or_beyond", pnl, Fraction(7, 10), weights) == pytest.approx(4.0 / 0.6)


class TestNormal:
    @pytest.mark.parametrize(("ending", "ddof"), [("", 1), ("_n", 0)])
    def test_against_scipy(self, ending: str, ddof: int) -> None:
        pnl = skewed()
        law = stats.norm(-pnl.mean(), pnl.std(ddof=ddof))
        var = law.ppf(0.99)
        assert figure(f"var_normal{ending}", pnl, P99) == pytest.approx(var, rel=1e-12)
        beyond = law.expect(lambda x: x, lb=var) / 0.01
        assert figure(f"es_normal{ending}", pnl, P99) == pytest.approx(beyond, rel=1e-8)

    def test_hull_by_model_building(self) -> None:
        """Variance 8,761.83 of the four-index portfolio, in $000, divisor n: sd 93.60, VaR 217,757; with n - 1 217,975."""
        sign = np.tile([1.0, -1.0], 250)
        pnl = math.sqrt(8761.83) * sign
        assert round(1000 * figure("var_normal_n", pnl, P99)) == pytest.approx(217_757, abs=1)
        assert round(1000 * figure("var_normal", pnl, P99)) == pytest.approx(217_975, abs=1)

    def test_with_weights_a_scenario_of_twice_the_weight_is_two_of_them(self) -> None:
        pnl = skewed(2, 60)
        counts = np.random.default_rng(3).integers(1, 4, 60)
        again = np.repeat(pnl, counts)
        for name in ("var_normal_n", "es_normal_n", "var_modified", "es_modified", "kurtosis"):
            level = P99 if MEASURES[name].needs_level else None
            assert figure(name, pnl, level, counts * 0.1) == pytest.approx(figure(name, again, level), rel=1e-10)


class TestModified:
    @pytest.mark.parametrize("level", [0.95, 0.975, 0.99])
    def test_by_scipys_moments_and_the_integral_of_the_edgeworth_density(self, level: float) -> None:
        pnl = skewed()
        m, sd, s, k = pnl.mean(), pnl.std(), stats.skew(pnl), stats.kurtosis(pnl)
        z = stats.norm.ppf(1 - level)
        h = z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36
        exact = Fraction(str(level))
        assert figure("var_modified", pnl, exact) == pytest.approx(-(m + h * sd), rel=1e-12)
        he3, he4, he6 = (np.polynomial.hermite_e.HermiteE.basis(d) for d in (3, 4, 6))

        def density(x: float) -> float:
            return float(stats.norm.pdf(x) * (1 + s / 6 * he3(x) + k / 24 * he4(x) + s * s / 72 * he6(x)))

        beyond = integrate.quad(lambda x: x * density(x), -np.inf, h)[0] / (1 - level)
        assert beyond < h
        assert figure("es_modified", pnl, exact) == pytest.approx(-(m + beyond * sd), rel=1e-8)

    def test_moments_of_a_normal_distribution_change_nothing(self) -> None:
        """Three points with the probabilities 1/6, 2/3, 1/6 at -sqrt(3), 0, sqrt(3) have the normal distribution's first five moments."""
        pnl, weights = math.sqrt(3) * np.array([-1.0, 0.0, 1.0]), np.array([1.0, 4.0, 1.0])
        for kind in ("var", "es"):
            modified = figure(f"{kind}_modified", pnl, P99, weights)
            assert modified == pytest.approx(figure(f"{kind}_normal_n", pnl, P99, weights), rel=1e-12)

    def test_not_defined_where_a_higher_level_had_a_smaller_loss(self) -> None:
        """One loss in 500: skewness -22.3, kurtosis 495.0; the slope 1 + zS/3 + (z^2 - 1)K/8 - (6z^2 - 5)S^2/36 is negative at 99%."""
        pnl = np.append(np.zeros(499), -1.0)
        assert np.isnan(figure("var_modified", pnl, P99))
        assert np.isnan(figure("es_modified", pnl, P99))

    def test_kurtosis(self) -> None:
        pnl = skewed()
        assert figure("kurtosis", pnl, None) == pytest.approx(stats.kurtosis(pnl), rel=1e-11)


class TestStandardError:
    @pytest.mark.parametrize("level", ["0.5", "0.7", "0.9"])
    def test_over_all_resamples_there_are(self, level: str) -> None:
        """Of six losses there are 6^6 resamples; the standard deviation of their k-th worst."""
        losses = np.array([7.0, 5.0, 4.5, 2.0, 2.0, -1.0])
        rank = math.ceil(6 * (1 - Fraction(level)))
        all_of_them = [sorted(draw, reverse=True)[rank - 1] for draw in itertools.product(losses.tolist(), repeat=6)]
        assert figure("var_standard_error", -losses, Fraction(level)) == pytest.approx(np.std(all_of_them), rel=1e-12)

    def test_hull(self) -> None:
        """500 losses with standard deviation 10, 99%: 1.67, and 25 - 1.96 to 25 + 1.96 of them is 21.7 to 28.3."""
        pnl = 10.0 * math.sqrt(499 / 500) * np.tile([1.0, -1.0], 250)
        error = figure("var_standard_error_normal", pnl, P99)
        assert round(error, 2) == 1.67
        assert (round(25 - 1.96 * error, 1), round(25 + 1.96 * error, 1)) == (21.7, 28.3)

    def test_of_normal_losses_both_are_about_the_spread_of_samples(self) -> None:
        samples = np.random.default_rng(5).standard_normal((4000, 250))
        spread = float(MEASURES["var"].function(samples, Fraction(9, 10), None, "order_statistic").std())
        for name in ("var_standard_error", "var_standard_error_normal"):
            assert MEASURES[name].function(
                samples[:400], Fraction(9, 10), None, "order_statistic"
            ).mean() == pytest.approx(spread, rel=0.06)

    def test_where_it_is_not_defined(self) -> None:
        for weights, estimator in ((np.ones(9), "order_statistic"), (None, "hf7")):
            with pytest.raises(NotDefined, match="var_standard_error_normal is defined for all"):
                MEASURES["var_standard_error"].function(np.zeros((1, 9)), P99, weights, estimator)
