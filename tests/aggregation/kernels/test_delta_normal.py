"""Parametric VaR against published examples, to the printed digit, and against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from aggregation.kernels.delta_normal import (
    Moments,
    cornish_fisher,
    delta_gamma_moments,
    delta_normal,
    normal_multiplier,
)


def covariance(sd: list[float], rho: float) -> np.ndarray:
    return np.outer(sd, sd) * np.array([[1.0, rho], [rho, 1.0]])


class TestJorion:
    """Jorion, Value at Risk, chapter 7: $2 million in CAD and $1 million in EUR."""

    delta, sigma = np.diag([2e6, 1e6]), covariance([0.05, 0.12], 0.0)

    def test_the_printed_decomposition(self) -> None:
        found = delta_normal(self.delta, self.sigma, 1.65)
        assert round(found.sd) == 156_205
        assert round(found.value) == 257_738
        assert found.standalone.round().tolist() == [165_000, 198_000]
        assert found.marginal.round(4).tolist() == [0.0528, 0.1521]
        assert found.component.round().tolist() == [105_630, 152_108]
        assert (found.component / found.value).round(3).tolist() == [0.41, 0.59]
        assert found.incremental.round().tolist() == [59_738, 92_738]
        beta = found.marginal / found.value * 3e6
        assert beta.round(3).tolist() == [0.615, 1.770]

    def test_ten_thousand_more(self) -> None:
        before = delta_normal(self.delta, self.sigma, 1.65)
        after = delta_normal(np.diag([2.01e6, 1e6]), self.sigma, 1.65)
        assert round(before.marginal[0] * 10_000) == 528
        assert round(after.value) == 258_267
        assert round(after.value - before.value) == 529

    def test_with_the_exact_quantile(self) -> None:
        found = delta_normal(self.delta, self.sigma, normal_multiplier("var", 0.95))
        assert round(found.value) == 256_934
        assert found.component.round().tolist() == [105_301, 151_633]
        assert found.incremental.round().tolist() == [59_552, 92_449]


class TestOtherBooks:
    def test_five_million_each_of_francs_and_yen(self) -> None:
        z = normal_multiplier("var", 0.95)
        found = delta_normal(np.diag([5e6, 5e6]), covariance([0.10, 0.20], 0.3), z)
        assert round(found.sd / 10e6, 5) == 0.12450
        assert round(found.value / 1e6, 3) == 2.048
        assert round(found.marginal[0], 4) == 0.1057
        assert round(found.marginal[0] / found.value * 10e6, 4) == 0.5161

    @pytest.mark.parametrize(("rho", "sd", "var"), [(0.3, 220_227, 1_622_657), (0.7, 237_697, 1_751_379)])
    def test_hulls_microsoft_and_att(self, rho: float, sd: int, var: int) -> None:
        found = delta_normal(np.diag([10e6, 5e6]), covariance([0.02, 0.01], rho), 2.33 * np.sqrt(10))
        assert round(found.sd) == sd
        assert round(found.value) == var
        assert found.standalone.round().tolist() == [1_473_621, 368_405]
        if rho == 0.3:
            # the book subtracts the rounded figures
            assert found.standalone.round().sum() - round(found.value) == 219_369
            exact = delta_normal(np.diag([10e6, 5e6]), covariance([0.02, 0.01], rho), normal_multiplier("var", 0.99))
            assert round(exact.value * np.sqrt(10)) == 1_620_114

    def test_hulls_options_by_their_deltas(self) -> None:
        delta = np.array([[1_000.0 * 120, 0.0], [0.0, 20_000.0 * 30]])
        sigma = covariance([0.02, 0.01], 0.3)
        for z, var in ((1.65, 26_193), (1.645, 26_113), (normal_multiplier("var", 0.95), 26_111)):
            found = delta_normal(delta, sigma, z)
            assert round(found.sd) == 7_099
            assert abs(found.value * np.sqrt(5) - var) < 1  # 26,113 is 26,113.6 cut off

    def test_hulls_bond_mapped_to_three_zero_coupon_bonds(self) -> None:
        sd = np.array([0.0006, 0.0010, 0.0020])
        rho = np.array([[1.0, 0.9, 0.6], [0.9, 1.0, 0.7], [0.6, 0.7, 1.0]])
        found = delta_normal(np.array([[37_397.0, 331_382.0, 678_074.0]]), np.outer(sd, sd) * rho, 2.33)
        assert int(found.sd**2) == 2_628_518  # cut off: 2,628,518.7
        assert round(found.sd, 1) == 1_621.3
        assert round(found.value * np.sqrt(10)) == 11_946

    def test_riskmetrics_bund(self) -> None:
        """RiskMetrics Technical Document: DEM 140 million of a ten-year Bund at 1.40."""
        fx, bund, rho = 0.00565 * 1.65, 0.00605 * 1.65, -0.27
        found = delta_normal(np.diag([100e6, 100e6]), covariance([fx, bund], rho), 1.0)
        assert (found.standalone / 1e6).round(3).tolist() == [0.932, 0.998]
        assert round(found.value / 1e6, 3) == 1.168


class TestInvariants:
    @settings(deadline=None, max_examples=50)
    @given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 10_000))
    def test_parts_add_up_scale_and_permute(self, groups: int, factors: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        delta, moves = rng.normal(0, 1e6, (groups, factors)), rng.normal(0, 0.01, (3 * factors, factors))
        sigma = moves.T @ moves / len(moves)
        found = delta_normal(delta, sigma, 2.33)
        assert_allclose(found.component.sum(), found.value, rtol=1e-9)
        assert_allclose(found.factor_component.sum(), found.value, rtol=1e-9)
        assert (found.component <= found.standalone * (1 + 1e-9) + 1e-6).all()
        twice = delta_normal(-2 * delta, sigma, 2.33)
        assert_allclose(twice.component, 2 * found.component, rtol=1e-9, atol=1e-6)
        order = rng.permutation(groups)
        assert_allclose(delta_normal(delta[order], sigma, 2.33).component, found.component[order], rtol=1e-9, atol=1e-6)

    def test_the_component_is_the_derivative(self) -> None:
        rng = np.random.default_rng(5)
        delta, moves = rng.normal(0, 1e6, (3, 4)), rng.normal(0, 0.01, (50, 4))
        sigma = np.cov(moves.T)
        found = delta_normal(delta, sigma, 1.0)
        for g in range(3):
            up, down = (delta * np.where(np.arange(3) == g, 1 + h, 1.0)[:, None] for h in (1e-5, -1e-5))
            slope = (delta_normal(up, sigma, 1.0).value - delta_normal(down, sigma, 1.0).value) / 2e-5
            assert found.component[g] == pytest.approx(slope, rel=1e-7, abs=1e-3)

    def test_a_book_that_does_not_move(self) -> None:
        found = delta_normal(np.array([[1.0], [-1.0]]), np.array([[4.0]]), 2.0)
        assert (found.value, found.component.tolist(), found.incremental.tolist()) == (0.0, [0.0, 0.0], [-4.0, -4.0])

    @pytest.mark.parametrize("level", [0.95, 0.975, 0.99])
    def test_multipliers_are_those_of_the_normal_distribution(self, level: float) -> None:
        assert normal_multiplier("var", level) == pytest.approx(stats.norm.ppf(level), rel=1e-12)
        es = stats.norm.expect(lambda x: x, lb=stats.norm.ppf(level)) / (1 - level)
        assert normal_multiplier("es", level) == pytest.approx(es, rel=1e-8)


class TestDeltaGamma:
    def test_moments_against_the_chi_squared_distribution(self) -> None:
        """Independent factors: x g x / 2 + d x is a shifted non-central chi-squared in each."""
        rng = np.random.default_rng(6)
        d, g, s = rng.normal(0, 3, 4), rng.uniform(0.5, 2.0, 4), rng.uniform(0.1, 2.0, 4)
        found = delta_gamma_moments(d, np.diag(g), np.diag(s**2))
        scale, shift = g * s**2 / 2, -(d**2) / (2 * g)
        law = stats.ncx2(1, (d / (g * s)) ** 2)
        cumulants = [law.mean(), law.var(), law.stats("s") * law.var() ** 1.5, law.stats("k") * law.var() ** 2]
        k1, k2, k3, k4 = ((scale**i * cumulants[i - 1]).sum() for i in (1, 2, 3, 4))
        assert found.mean == pytest.approx(k1 + shift.sum(), rel=1e-9)
        assert found.variance == pytest.approx(k2, rel=1e-9)
        assert found.skewness == pytest.approx(k3 / k2**1.5, rel=1e-9)
        assert found.excess_kurtosis == pytest.approx(k4 / k2**2, rel=1e-9)

    def test_moments_do_not_depend_on_the_coordinates(self) -> None:
        rng = np.random.default_rng(7)
        a, d = rng.normal(0, 1, (3, 3)), rng.normal(0, 1, 3)
        g = rng.normal(0, 1, (3, 3))
        g = g + g.T
        sigma = a @ a.T
        one = delta_gamma_moments(d, g, sigma)
        two = delta_gamma_moments(a.T @ d, a.T @ g @ a, np.eye(3))
        assert_allclose(list(vars(one).values()), list(vars(two).values()), rtol=1e-9)

    def test_a_pure_gamma_is_flagged(self) -> None:
        """P&L = gamma u^2 / 2, gamma = -10,000: the exact 99% loss is 5,000 times the chi-squared quantile."""
        exact = 5_000 * stats.chi2.ppf(0.99, 1)
        assert round(exact, 2) == 33_174.48
        moments = delta_gamma_moments(np.zeros(1), np.array([[-10_000.0]]), np.eye(1))
        assert (moments.mean, moments.variance) == (-5_000.0, 5e7)
        z = normal_multiplier("var", 0.99)
        three, four = (cornish_fisher(moments, -z, terms=t) for t in (3, 4))
        assert round(-three.value, 1) == 36_156.1
        assert round(-four.value, 1) == 34_704.7
        wrong = cornish_fisher(moments, z)
        assert abs(wrong.value) == pytest.approx(4_707.882, abs=5e-4)
        assert not any(e.valid for e in (three, four, wrong))
        assert delta_normal(np.zeros((1, 1)), np.eye(1), z).value == 0.0

    def test_hulls_cornish_fisher(self) -> None:
        moments = Moments(-0.2, 2.2**2, -0.4, 0.0)
        found = cornish_fisher(moments, -2.33, terms=3)
        assert round((found.value + 0.2) / 2.2, 3) == -2.625
        assert round(found.value, 3) == -5.976
        assert found.valid
        assert round(-0.2 - 2.33 * 2.2, 3) == -5.326
        exact = cornish_fisher(moments, -normal_multiplier("var", 0.99), terms=3)
        assert round((exact.value + 0.2) / 2.2, 5) == -2.62047
        assert round(exact.value, 5) == -5.96504

    def test_near_normal_it_is_the_quantile(self) -> None:
        """A gamma distribution of large shape: the error falls with the shape, and the expansion is valid."""
        for shape, tolerance in ((50.0, 2e-3), (500.0, 1e-4)):
            law = stats.gamma(shape)
            moments = Moments(law.mean(), law.var(), float(law.stats("s")), float(law.stats("k")))
            for p in (0.01, 0.99):
                found = cornish_fisher(moments, stats.norm.ppf(p))
                assert found.valid
                assert found.value == pytest.approx(law.ppf(p), rel=tolerance)

    @settings(deadline=None, max_examples=100)
    @given(st.floats(-3, 3), st.floats(-1, 12), st.sampled_from([3, 4]), st.floats(0.5, 3))
    def test_valid_is_monotone_between_the_tails(self, skewness: float, kurtosis: float, terms: int, z: float) -> None:
        moments = Moments(0.0, 1.0, skewness, kurtosis)
        at = np.linspace(-z, z, 4001)
        w = at + (at**2 - 1) * skewness / 6
        if terms == 4:
            w += (at**3 - 3 * at) * kurtosis / 24 - (2 * at**3 - 5 * at) * skewness**2 / 36
        found, slopes = cornish_fisher(moments, z, terms=terms), np.diff(w) / np.diff(at)
        assert found.value == pytest.approx(w[-1], rel=1e-12, abs=1e-12)
        assert found.valid == bool((slopes > 0).all()) or abs(slopes).min() < 1e-2
