"""Covariance estimators, repairs and loadings against NumPy, pandas, scikit-learn and a published example."""

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import LedoitWolf

from lake.errors import BadInput
from scenarios.kernels import covariance


def moves(n_obs: int, n: int, seed: int = 3) -> np.ndarray:
    """Correlated moves whose deviations differ by a factor of a thousand, as rates and stocks do."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((n_obs, n)) + 0.7 * rng.standard_normal((n_obs, 1))
    return mixed * np.logspace(-5, -2, n) + 1e-4


def full(c: covariance.Covariance) -> np.ndarray:
    return c.correlation * c.deviation[:, None] * c.deviation


def indefinite(n: int = 12) -> np.ndarray:
    """A symmetric matrix with unit diagonal that is no correlation matrix."""
    rng = np.random.default_rng(8)
    a = np.tanh(rng.standard_normal((n, n)))
    a = 0.5 * (a + a.T)
    np.fill_diagonal(a, 1.0)
    assert np.linalg.eigvalsh(a)[0] < -0.1
    return a


def test_sample_is_numpys() -> None:
    x = moves(250, 7)
    np.testing.assert_allclose(full(covariance.estimate(x, "sample")), np.cov(x.T), rtol=1e-11)


def test_ewma_is_the_weighted_second_moment_of_pandas() -> None:
    x = moves(120, 4)
    expected = [[pd.Series(x[:, a] * x[:, b]).ewm(alpha=0.06).mean().iloc[-1] for b in range(4)] for a in range(4)]
    np.testing.assert_allclose(full(covariance.estimate(x, "ewma", 0.94)), expected, rtol=1e-11)


@pytest.mark.parametrize(("n_obs", "n"), [(400, 6), (60, 25), (30, 80)])
def test_ledoit_wolf_is_scikit_learns_on_standardised_moves(n_obs: int, n: int) -> None:
    x = moves(n_obs, n)
    got = covariance.estimate(x, "ledoit_wolf")
    peer = LedoitWolf().fit((x - x.mean(axis=0)) / x.std(axis=0))
    assert got.shrinkage == pytest.approx(peer.shrinkage_, rel=1e-10)
    np.testing.assert_allclose(got.correlation, peer.covariance_, atol=1e-12)
    np.testing.assert_allclose(got.deviation, x.std(axis=0), rtol=1e-11)
    assert np.linalg.eigvalsh(got.correlation)[0] > 1e-3  # definite with fewer observations than factors too


@pytest.mark.parametrize("estimator", ["sample", "ewma", "ledoit_wolf"])
def test_a_factor_that_never_moved_has_no_deviation(estimator: covariance.Estimator) -> None:
    x = moves(50, 4)
    x[:, 2] = 0.0
    got = covariance.estimate(x, estimator)
    assert got.deviation[2] == 0.0
    assert got.correlation[2].tolist() == [0.0, 0.0, 1.0, 0.0]
    others = covariance.estimate(np.delete(x, 2, axis=1), estimator)
    np.testing.assert_array_equal(np.delete(np.delete(got.correlation, 2, 0), 2, 1), others.correlation)


def test_one_observation_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 2"):
        covariance.estimate(moves(1, 3), "sample")


def test_nearest_correlation_is_highams_example() -> None:
    # Higham (2002), section 4: the matrix of ones and a zero, and its nearest correlation matrix
    matrix = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    got = covariance.nearest_correlation(matrix)
    np.testing.assert_allclose(got, [[1, 0.7607, 0.1573], [0.7607, 1, 0.7607], [0.1573, 0.7607, 1]], atol=5e-5)
    assert np.linalg.norm(got - matrix) == pytest.approx(0.5278, abs=5e-5)


@pytest.mark.parametrize("how", ["clip", "higham"])
def test_a_repair_gives_a_correlation_matrix_and_tells_the_change(how: covariance.Repair) -> None:
    matrix = indefinite()
    got = covariance.repair(matrix, how)
    assert np.linalg.eigvalsh(got.correlation)[0] > -1e-12
    np.testing.assert_array_equal(np.diagonal(got.correlation), 1.0)
    np.testing.assert_array_equal(got.correlation, got.correlation.T)
    assert got.least_eigenvalue == pytest.approx(np.linalg.eigvalsh(matrix)[0])
    assert got.largest_change == np.abs(got.correlation - matrix).max() > 0.01


def test_highams_repair_is_nearer_than_clipping() -> None:
    matrix = indefinite()
    distance = {how: np.linalg.norm(covariance.repair(matrix, how).correlation - matrix) for how in ("clip", "higham")}
    assert distance["higham"] < distance["clip"]


def test_a_sound_matrix_is_not_touched_and_a_singular_one_refused_on_demand() -> None:
    sound = covariance.estimate(moves(300, 8), "sample").correlation
    got = covariance.repair(sound, "higham")
    assert got.correlation is sound
    assert got.largest_change == 0.0
    assert got.least_eigenvalue > 0
    singular = covariance.estimate(moves(10, 30), "sample").correlation
    with pytest.raises(BadInput, match=r"30 risk factors is singular: 21 of its eigenvalues.*ledoit_wolf"):
        covariance.repair(singular, "refuse")


@pytest.mark.parametrize("case", ["definite", "clipped", "higham", "twins"])
def test_triangular_loadings_give_the_matrix_back(case: str) -> None:
    if case == "definite":
        matrix = covariance.estimate(moves(300, 9), "sample").correlation
    elif case == "twins":
        x = moves(300, 5)
        matrix = covariance.estimate(np.column_stack([x, 2 * x[:, 0]]), "sample").correlation
    else:
        matrix = covariance.repair(indefinite(), "clip" if case == "clipped" else "higham").correlation
    loadings = covariance.triangular_loadings(matrix)
    np.testing.assert_allclose(loadings @ loadings.T, matrix, atol=1e-7)
    np.testing.assert_array_equal(np.triu(loadings, 1), 0.0)
    assert (np.diagonal(loadings) >= 0).all()


def test_principal_components_explain_what_the_singular_values_say() -> None:
    x = moves(300, 10)
    standard = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    squares = np.linalg.svd(standard, compute_uv=False) ** 2
    correlation = covariance.estimate(x, "sample").correlation
    loadings, share = covariance.principal_components(correlation, 3, None)
    assert loadings.shape == (10, 3)
    assert share == pytest.approx(squares[:3].sum() / squares.sum(), rel=1e-10)
    assert (loadings**2).sum() == pytest.approx(10 * share)
    every, whole = covariance.principal_components(correlation, None, 1.0)
    np.testing.assert_allclose(every @ every.T, correlation, atol=1e-12)
    assert whole == pytest.approx(1.0)
    shares = squares.cumsum() / squares.sum()
    fewest, _ = covariance.principal_components(correlation, None, 0.8)
    assert fewest.shape[1] == np.searchsorted(shares, 0.8) + 1
    with pytest.raises(BadInput, match="only 10 risk factors"):
        covariance.principal_components(correlation, 11, None)


def test_results_do_not_depend_on_the_units_of_a_factor() -> None:
    x = moves(80, 6)
    rescaled = x * np.array([1.0, 100.0, 1.0, 1e4, 1.0, 0.01])
    one, two = covariance.estimate(x, "ledoit_wolf"), covariance.estimate(rescaled, "ledoit_wolf")
    np.testing.assert_allclose(one.correlation, two.correlation, atol=1e-12)
    assert one.shrinkage == pytest.approx(two.shrinkage, rel=1e-9)
