"""Reverse stress against SciPy's SLSQP on linear and bent books."""

import numpy as np
import pytest
from scipy.optimize import minimize

from lake.errors import BadInput
from scenarios.plausibility.reverse_search import linear, search


def correlations(n: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((4 * n, n)) + np.random.default_rng(seed + 1).standard_normal(
        (4 * n, 1)
    )
    return np.corrcoef(x.T)


def nearest(value, correlation, loss, start):
    inverse = np.linalg.inv(correlation)
    found = minimize(
        lambda z: z @ inverse @ z,
        start,
        jac=lambda z: 2 * inverse @ z,
        constraints=[{"type": "ineq", "fun": lambda z: -loss - value(z[:, None])[0]}],
        method="SLSQP",
        options={"ftol": 1e-11, "maxiter": 1000},
    )
    assert found.success
    return found.x, np.sqrt(found.fun)


def by_bumps(value):
    def gradient(z):
        bumps = 1e-5 * np.eye(len(z))
        return (value(z[:, None] + bumps) - value(z[:, None] - bumps)) / 2e-5

    return gradient


@pytest.mark.parametrize("n", [2, 7])
def test_closed_form_is_the_nearest(n: int) -> None:
    correlation, g = correlations(n, 5), np.random.default_rng(n).standard_normal(n)
    found = linear(g, correlation, 3.0)
    moves, distance = nearest(lambda z: g @ z, correlation, 3.0, -g)
    np.testing.assert_allclose(found.moves, moves, atol=1e-5)
    assert found.distance == pytest.approx(distance, rel=1e-8)
    assert g @ found.moves == pytest.approx(-3.0, rel=1e-12)
    # the distance is the loss over the book's volatility
    assert found.distance == pytest.approx(3.0 / np.sqrt(g @ correlation @ g), rel=1e-12)


def test_search_gives_the_closed_form_for_a_linear_book() -> None:
    correlation, g = correlations(5, 2), np.arange(1.0, 6.0)
    found = search(lambda z: g @ z, lambda z: g, correlation, 10.0, np.zeros((5, 1)), 50.0)
    closed = linear(g, correlation, 10.0)
    np.testing.assert_allclose(found.moves, closed.moves, rtol=1e-6)
    assert found.loss >= 10.0


@pytest.mark.parametrize("seed", range(4))
def test_bent_books_agree_with_slsqp(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 4
    correlation = correlations(n, seed)
    g, gamma = rng.standard_normal(n), -np.abs(rng.standard_normal(n))

    def value(z):
        return g @ z + 0.15 * gamma @ (z * z)

    found = search(value, by_bumps(value), correlation, 6.0, np.zeros((n, 1)), 50.0)
    _, distance = nearest(value, correlation, 6.0, found.moves + 0.1 * rng.standard_normal(n))
    assert found.distance == pytest.approx(distance, rel=1e-3)
    assert found.loss == pytest.approx(-value(found.moves[:, None])[0], rel=1e-12)
    assert 6.0 <= found.loss <= 6.0 * (1 + 1e-5)
    assert found.distance == pytest.approx(np.sqrt(found.moves @ np.linalg.inv(correlation) @ found.moves), rel=1e-9)
    # the linear guess would have been another loss altogether
    assert abs(-value(linear(g, correlation, 6.0).moves[:, None])[0] - 6.0) > 0.1


def test_a_loss_out_of_reach_is_told() -> None:
    def bought_option(z):
        return np.maximum(z[0], 0.0) - 1.0 + np.exp(-(z[0] ** 2))  # loses its premium of 1 and no more

    with pytest.raises(BadInput, match=r"loses 2; the greatest loss met is 1\."):
        search(bought_option, by_bumps(bought_option), np.eye(1), 2.0, np.full((1, 1), 0.2), 20.0)


def test_a_book_that_reacts_to_nothing_is_told() -> None:
    with pytest.raises(BadInput, match="reacts to no risk factor"):
        linear(np.zeros(3), np.eye(3), 1.0)


def test_moves_where_the_book_has_no_value_end_the_ray() -> None:
    def value(z):
        return np.where(np.abs(z[0]) < 3.0, z[0], np.nan)

    assert search(value, lambda z: np.ones(1), np.eye(1), 2.0, np.zeros((1, 1)), 50.0).distance == pytest.approx(
        2.0, rel=1e-6
    )
    with pytest.raises(BadInput, match="greatest loss met is"):
        search(value, lambda z: np.ones(1), np.eye(1), 3.5, np.zeros((1, 1)), 50.0)


def test_a_start_without_a_gradient_is_left_out() -> None:
    def gradient(z):
        return np.full(2, np.nan) if z[0] > 0 else np.array([1.0, 2.0])

    def value(z):
        return z[0] + 2 * z[1]

    found = search(value, gradient, np.eye(2), 1.0, np.array([[5.0, 0.0], [0.0, 0.0]]), 50.0)
    assert found.distance == pytest.approx(1 / np.sqrt(5), rel=1e-6)
    with pytest.raises(BadInput, match="greatest loss met is 0"):
        search(value, gradient, np.eye(2), 1.0, np.array([[5.0], [0.0]]), 50.0)
