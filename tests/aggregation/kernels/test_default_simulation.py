"""The simulation of defaults against closed forms of the normal copula, each within its sampling error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aggregation.kernels.default_simulation import Obligors, defaults_on, simulated_losses

PATHS = 50_000


def obligors(pd: list[float], sector: list[int], common: float, own: float, amount: float = 1.0) -> Obligors:
    n = len(pd)
    return Obligors(np.full(n, amount), np.array(pd), np.array(sector, np.int32), common, own)


@pytest.mark.parametrize(("sectors", "correlation"), [([0, 0], 0.5), ([0, 1], 0.3)])
def test_two_default_together_as_the_bivariate_normal_says(sectors: list[int], correlation: float) -> None:
    pd = [0.05, 0.08]
    of = obligors(pd, sectors, 0.3, 0.2)
    both = float((simulated_losses(of, PATHS, 3) == 2.0).mean())
    law = stats.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
    p = float(law.cdf(stats.norm.ppf(pd)))
    assert abs(both - p) < 3.3 * np.sqrt(p * (1 - p) / PATHS)  # one in a thousand


def test_expected_loss_is_that_of_the_probabilities() -> None:
    of = obligors([0.02] * 30, [i % 3 for i in range(30)], 0.2, 0.1)
    losses = simulated_losses(of, PATHS, 1)
    assert abs(losses.mean() - 0.6) < 3.3 * losses.std() / np.sqrt(PATHS)


def test_a_large_pool_has_the_quantile_of_vasicek() -> None:
    """Vasicek 1987: the share that defaults at a level is Phi((Phi^-1(PD) + sqrt(rho) Phi^-1(level)) / sqrt(1 - rho))."""
    n, rho, pd = 1000, 0.2, 0.02
    losses = np.sort(simulated_losses(obligors([pd] * n, [0] * n, rho, 0.0), 20_000, 2)) / n
    level = 0.99
    ranks = stats.binom.ppf([0.0005, 0.9995], len(losses), level).astype(int)
    exact = float(stats.norm.cdf((stats.norm.ppf(pd) + np.sqrt(rho) * stats.norm.ppf(level)) / np.sqrt(1 - rho)))
    assert losses[ranks[0]] - 1 / np.sqrt(n) / 10 < exact < losses[ranks[1]] + 1 / np.sqrt(n) / 10


def test_losses_are_the_amounts_of_those_that_default_and_paths_have_their_bits_alone() -> None:
    rng = np.random.default_rng(4)
    of = Obligors(rng.normal(size=40), rng.uniform(0.01, 0.2, 40), rng.integers(0, 4, 40).astype(np.int32), 0.2, 0.1)
    losses = simulated_losses(of, 5000, 7)
    some = np.array([4999, 0, 1024, 1023, 17])
    found = defaults_on(of, some, 7)
    assert (found * of.amount).sum(axis=1) == pytest.approx(losses[some], rel=1e-12, abs=1e-12)
    assert (simulated_losses(of, 2000, 7) == losses[:2000]).all()
    assert (simulated_losses(of, 5000, 8) != losses).any()
