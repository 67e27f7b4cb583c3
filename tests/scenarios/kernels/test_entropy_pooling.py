"""Entropy pooling against a generic minimiser, closed forms, and its own promises."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import norm

from scenarios.kernels import entropy_pooling
from scenarios.kernels.entropy_pooling import (
    NoSuchProbabilities,
    effective_scenarios,
    kish_scenarios,
    pool,
    relative_entropy,
)

EQUAL, AT_MOST = False, True


def by_slsqp(prior, values, targets, at_most):
    """The primal problem, as it is written: minimise relative entropy over the simplex."""
    constraints = [{"type": "eq", "fun": lambda p: p.sum() - 1.0}]
    for a, b, kind in zip(values, targets, at_most, strict=True):
        constraints.append(
            {
                "type": "ineq" if kind else "eq",
                "fun": (lambda p, a=a, b=b: b - a @ p) if kind else (lambda p, a=a, b=b: a @ p - b),
            }
        )
    found = minimize(
        lambda p: (p * np.log(p / prior)).sum(),
        prior,
        jac=lambda p: np.log(p / prior) + 1.0,
        bounds=[(1e-12, 1.0)] * len(prior),
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success
    return found.x


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_a_generic_minimiser(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 25
    prior = rng.uniform(0.5, 1.5, n)
    prior /= prior.sum()
    x = rng.standard_normal((3, n))
    values = np.stack([x[0], x[0] ** 2, x[1] - x[2], (x[2] > 0).astype(float)])
    before = values @ prior
    targets = before + np.array([0.1, 0.2, -0.15, 0.05])
    at_most = np.array([EQUAL, EQUAL, AT_MOST, AT_MOST])
    pooled = pool(prior, values, targets, at_most)
    np.testing.assert_allclose(pooled.probabilities, by_slsqp(prior, values, targets, at_most), atol=2e-6)
    np.testing.assert_allclose(values[:2] @ pooled.probabilities, targets[:2], atol=1e-11)
    assert (values[2:] @ pooled.probabilities <= targets[2:] + 1e-11).all()
    # the last one did not ask for a change, and does not bind unless the others make it
    slack = targets - values @ pooled.probabilities
    assert (np.abs(pooled.multipliers * slack)[2:] < 1e-9).all()
    assert (pooled.multipliers[2:] >= 0).all()


def test_mean_view_on_a_normal_prior_shifts_it() -> None:
    """Meucci (2008), section 3: the normal's posterior under a mean view is the normal with that mean and the old variance."""
    x = np.linspace(-12.0, 12.0, 4001)
    prior = norm.pdf(x)
    prior /= prior.sum()
    pooled = pool(prior, x[None], np.array([0.7]), np.array([EQUAL]))
    expected = norm.pdf(x, 0.7)
    np.testing.assert_allclose(pooled.probabilities, expected / expected.sum(), atol=1e-13)
    assert pooled.multipliers[0] == pytest.approx(-0.7, abs=1e-10)
    # relative entropy of two normals of variance 1: half the squared difference of their means
    assert relative_entropy(pooled.probabilities, prior) == pytest.approx(0.245, abs=1e-10)


def test_volatility_view_on_a_normal_prior_scales_it() -> None:
    x = np.linspace(-12.0, 12.0, 4001)
    prior = norm.pdf(x)
    prior /= prior.sum()
    pooled = pool(prior, np.stack([x, x * x]), np.array([0.0, 1.44]), np.array([EQUAL, EQUAL]))
    expected = norm.pdf(x, scale=1.2)
    np.testing.assert_allclose(pooled.probabilities, expected / expected.sum(), atol=1e-12)


def test_a_probability_view_scales_both_sides() -> None:
    prior = np.array([0.1, 0.2, 0.3, 0.4])
    event = np.array([[1.0, 1.0, 0.0, 0.0]])
    pooled = pool(prior, event, np.array([0.6]), np.array([EQUAL])).probabilities
    np.testing.assert_allclose(pooled, [0.2, 0.4, 0.4 * 3 / 7, 0.4 * 4 / 7], atol=1e-13)


def test_views_that_hold_change_nothing() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 50))
    prior = np.full(50, 0.02)
    pooled = pool(prior, x, x @ prior + 0.5, np.array([AT_MOST, AT_MOST]))
    np.testing.assert_allclose(pooled.probabilities, prior, rtol=1e-12)
    assert (pooled.multipliers == 0).all()


def test_scenarios_without_a_prior_get_none() -> None:
    prior = np.array([0.5, 0.0, 0.5])
    pooled = pool(prior, np.array([[1.0, 5.0, 2.0]]), np.array([1.8]), np.array([EQUAL])).probabilities
    np.testing.assert_allclose(pooled, [0.2, 0.0, 0.8], atol=1e-13)


@pytest.mark.parametrize(
    ("targets", "at_most"),
    [([1.5, 0.0], [EQUAL, AT_MOST]), ([0.2, 0.1], [EQUAL, EQUAL])],
    ids=["beyond every scenario", "contradiction"],
)
def test_impossible_views_are_refused(
    targets: list[float], at_most: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And at once: the search ends where no probabilities are so far from the prior."""
    calls = []
    monkeypatch.setattr(entropy_pooling, "logsumexp", lambda x: calls.append(1) or logsumexp(x))
    x = np.linspace(-1.0, 1.0, 21)
    with pytest.raises(NoSuchProbabilities):
        pool(np.full(21, 1 / 21), np.stack([x, x]), np.array(targets), np.array(at_most))
    assert len(calls) < 200


def test_effective_numbers() -> None:
    equal = np.full(8, 0.125)
    assert effective_scenarios(equal) == pytest.approx(8)
    assert kish_scenarios(equal) == pytest.approx(8)
    alone = np.array([1.0, 0.0])
    assert effective_scenarios(alone) == kish_scenarios(alone) == 1.0
    two = np.array([0.5, 0.5, 0.0, 0.0])
    assert effective_scenarios(two) == pytest.approx(2)
