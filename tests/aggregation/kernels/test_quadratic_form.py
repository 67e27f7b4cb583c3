"""The exact delta-gamma tail against closed forms of SciPy's distributions, published figures and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aggregation.kernels.delta_normal import delta_normal, normal_multiplier
from aggregation.kernels.quadratic_form import MOST_FACTORS, exact_tail, probability_beyond, quadratic_form
from lake.arrays import Floats


def tail(delta: list[float], gamma: Floats, sigma: Floats, measure: str = "var", level: float = 0.99) -> float:
    form = quadratic_form(np.array(delta), gamma, sigma)
    assert form is not None
    return exact_tail(form, measure, level).value


def test_no_curvature_is_the_normal_quantile() -> None:
    sigma = np.array([[0.0025, 0.0018], [0.0018, 0.0144]])
    delta = np.array([2e6, 1e6])
    sd = np.sqrt(delta @ sigma @ delta)
    for level in (0.9, 0.99, 0.9999):
        assert tail([2e6, 1e6], np.zeros((2, 2)), sigma, level=level) == pytest.approx(
            stats.norm.ppf(level) * sd, rel=1e-10
        )
        wanted = stats.norm.pdf(stats.norm.ppf(level)) / (1 - level) * sd
        assert tail([2e6, 1e6], np.zeros((2, 2)), sigma, "es", level) == pytest.approx(wanted, rel=1e-9)


def test_a_short_gamma_alone_is_a_chi_square() -> None:
    """99% loss of -10,000 u^2 / 2: 5,000 times the chi-square quantile of one degree, 33,174.48; in the other tail 0.785."""
    gamma = np.array([[-10_000.0]])
    assert tail([0.0], gamma, np.eye(1)) == pytest.approx(33_174.48, abs=0.005)
    assert tail([0.0], gamma, np.eye(1)) == pytest.approx(5_000 * stats.chi2.ppf(0.99, 1), rel=1e-10)
    assert tail([0.0], -gamma, np.eye(1)) == pytest.approx(-0.785, abs=0.001)
    assert tail([0.0], -gamma, np.eye(1)) == pytest.approx(-5_000 * stats.chi2.ppf(0.01, 1), rel=1e-9)


def test_two_alike_are_an_exponential() -> None:
    """x^2 + y^2 halves into an exponential: quantile -log(1 - a), shortfall one more."""
    gamma = -np.eye(2)
    for level in (0.5, 0.95, 0.99, 0.9999):
        assert tail([0.0, 0.0], gamma, np.eye(2), level=level) == pytest.approx(-np.log(1 - level), rel=1e-10)
        assert tail([0.0, 0.0], gamma, np.eye(2), "es", level) == pytest.approx(1 - np.log(1 - level), rel=1e-10)


def test_delta_and_gamma_of_one_factor_are_a_noncentral_chi_square() -> None:
    """-(d x + g x^2 / 2) = -g/2 (x + d/g)^2 + d^2 / (2 g)."""
    d, g, sd = 300.0, -4_000.0, 0.2
    wanted = -g / 2 * sd**2 * stats.ncx2.ppf(0.99, 1, (d / g / sd) ** 2) + d * d / (2 * g)
    assert tail([d], np.array([[g]]), np.array([[sd**2]])) == pytest.approx(wanted, rel=1e-9)
    long = g * sd**2 / 2 * stats.ncx2.ppf(0.01, 1, (d / g / sd) ** 2) - d * d / (2 * g)
    assert tail([d], np.array([[-g]]), np.array([[sd**2]])) == pytest.approx(long, rel=1e-9)


def test_a_difference_of_two_chi_squares_is_a_laplace() -> None:
    """(x1^2 + x2^2 - y1^2 - y2^2) / 2 is Laplace with scale 1."""
    gamma = np.diag([1.0, 1.0, -1.0, -1.0])
    assert tail([0.0] * 4, gamma, np.eye(4), level=0.99) == pytest.approx(stats.laplace.ppf(0.99), rel=1e-10)
    form = quadratic_form(np.zeros(4), gamma, np.eye(4))
    assert form is not None
    for x in (-3.0, -1e-9, 0.0, 0.5, 8.0):
        assert probability_beyond(form, x) == pytest.approx(stats.laplace.sf(x), rel=1e-9)


def _book(n: int = 12, seed: int = 5) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    moves = rng.normal(size=(n + 5, n)) * 10 ** rng.uniform(-3, -1, n)
    sigma = moves.T @ moves / (n + 5)
    gamma = rng.normal(size=(n, n)) / np.sqrt(np.outer(np.diag(sigma), np.diag(sigma))) * 2e4
    return rng.normal(size=n) * 1e4 / np.sqrt(np.diag(sigma)), gamma + gamma.T, sigma


@pytest.mark.parametrize("measure", ["var", "es"])
def test_simulation_and_components(measure: str) -> None:
    """A million draws: the share of losses beyond the exact VaR is within 4.5 standard errors of one per cent. Components of factors and
    of parts add up, and are the slopes of the exact figure itself."""
    delta, gamma, sigma = _book()
    form = quadratic_form(delta, gamma, sigma)
    assert form is not None
    found = exact_tail(form, measure, 0.99)
    n = 1_000_000
    x = np.random.default_rng(11).multivariate_normal(np.zeros(len(delta)), sigma, n)
    loss = -(x @ delta + ((x @ gamma) * x).sum(axis=1) / 2)
    var = exact_tail(form, "var", 0.99).value
    assert abs((loss > var).mean() - 0.01) < 4.5 * np.sqrt(0.01 * 0.99 / n)
    if measure == "es":
        beyond = loss[loss > var]
        assert abs(beyond.mean() - found.value) < 4.5 * beyond.std() / np.sqrt(len(beyond))
    parts = -(delta * found.mean + (gamma * found.second).sum(axis=1) / 2)
    assert parts.sum() == pytest.approx(found.value, rel=1e-9)
    for i in (0, 7):
        step = 1e-4
        up, down = (delta.copy() for _ in range(2))
        gamma_up, gamma_down = gamma.copy(), gamma.copy()
        for d, g, h in ((up, gamma_up, step), (down, gamma_down, -step)):
            d[i] *= 1 + h
            g[i] *= 1 + h / 2
            g[:, i] *= 1 + h / 2
        slope = (tail(list(up), gamma_up, sigma, measure) - tail(list(down), gamma_down, sigma, measure)) / (2 * step)
        assert parts[i] == pytest.approx(slope, rel=1e-5, abs=1e-6 * abs(found.value))


def test_factors_that_move_together_count_once() -> None:
    """A singular covariance: ten copies of one factor are that factor with ten times the delta and a hundred times the gamma."""
    one = tail([100.0], np.array([[-50.0]]), np.array([[0.04]]))
    ten = tail([10.0] * 10, np.full((10, 10), -0.5), np.full((10, 10), 0.04))
    assert ten == pytest.approx(one, rel=1e-10)


def test_nothing_that_moves_loses_nothing() -> None:
    assert tail([1.0, 2.0], np.eye(2), np.zeros((2, 2))) == 0.0


def test_without_gamma_components_are_those_of_delta_normal() -> None:
    delta, _, sigma = _book()
    form = quadratic_form(delta, np.zeros_like(sigma), sigma)
    assert form is not None
    wanted = delta_normal(delta[None], sigma, normal_multiplier("var", 0.975)).factor_component
    assert -delta * exact_tail(form, "var", 0.975).mean == pytest.approx(wanted, rel=1e-8)


def test_too_many_factors_have_no_exact_figure() -> None:
    n = MOST_FACTORS + 1
    assert quadratic_form(np.ones(n), np.eye(n), np.eye(n)) is None
