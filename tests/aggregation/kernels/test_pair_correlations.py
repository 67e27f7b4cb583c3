"""Mean correlations of pairs against pandas, and against the correlations of models that histories are drawn from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from aggregation.kernels.pair_correlations import ACROSS, WITHIN, PairMeans, jackknife_error, pair_means
from lake.arrays import Codes, Floats

SECTORS = np.array([0, 0, 1, 1, 2, 2, 2], np.int32)


def of(moves: Floats, sector: Codes, blocks: int = 5, least: int = 3, series: Codes | None = None) -> PairMeans:
    own = np.arange(len(moves), dtype=np.int32) if series is None else series
    return pair_means(np.ascontiguousarray(moves), own, sector, blocks, least)


def drawn(common: float, own: float, sector: Codes, n: int, seed: int) -> Floats:
    """Moves of the model, (n_issuers, n)."""
    rng = np.random.default_rng(seed)
    market, sectors = rng.standard_normal(n), rng.standard_normal((sector.max() + 1, n))
    alone = rng.standard_normal((len(sector), n))
    return np.sqrt(common) * market + np.sqrt(own) * sectors[sector] + np.sqrt(1 - common - own) * alone


def by_pandas(moves: Floats, sector: Codes, least: int = 3) -> tuple[float, float]:
    """Means over pairs of different sectors and of one."""
    rho = pd.DataFrame(moves.T).corr(min_periods=least).to_numpy()
    i, j = np.triu_indices(len(moves), 1)
    one = sector[i] == sector[j]
    return float(np.nanmean(rho[i, j][~one])), float(np.nanmean(rho[i, j][one]))


def test_means_are_those_of_pandas_with_holes_and_without() -> None:
    moves = drawn(0.3, 0.2, SECTORS, 400, 3) * np.array([[1e-3, 1, 50, 2, 1, 1, 7]]).T + 5.0
    for share in (0.0, 0.2):
        moves[np.random.default_rng(4).random(moves.shape) < share] = np.nan
        found = of(moves, SECTORS)
        assert found.mean.tolist() == pytest.approx(by_pandas(moves, SECTORS), rel=1e-12)
        assert found.pairs.tolist() == [16, 5]
    ends = [by_pandas(np.delete(moves, np.s_[80 * b : 80 * b + 80], axis=1), SECTORS) for b in range(5)]
    np.testing.assert_allclose(found.without.T, ends, rtol=1e-11)


def test_pairs_with_few_common_moves_of_one_series_or_without_variance_are_left_out() -> None:
    moves = drawn(0.3, 0.2, SECTORS, 100, 5)
    moves[1, 20:] = np.nan  # 20 moves
    moves[2] = 1.7
    moves[6] = moves[5]
    found = of(moves, SECTORS, least=30, series=np.array([0, 1, 2, 3, 4, 5, 5], np.int32))
    expected = moves.copy()
    expected[1:3] = np.nan
    rho = pd.DataFrame(expected.T).corr(min_periods=30).to_numpy()
    across = [rho[i, j] for i, j in ((0, 3), (0, 4), (0, 5), (0, 6), (3, 4), (3, 5), (3, 6))]
    assert found.mean[ACROSS] == pytest.approx(np.mean(across), rel=1e-12)
    assert found.mean[WITHIN] == pytest.approx(np.mean([rho[4, 5], rho[4, 6]]), rel=1e-12)
    assert found.partners.tolist() == [4, 0, 0, 4, 4, 3, 3]
    assert (found.pairs.tolist(), found.issuers.tolist()) == ([7, 2], [5, 3])
    assert np.isnan(of(moves, SECTORS, least=101).mean).all()


def test_what_pairs_have_in_common_is_told() -> None:
    moves = drawn(0.3, 0.2, SECTORS[:3], 50, 6)
    moves[0, :10] = np.nan
    moves[1, 45:] = np.nan
    found = of(moves, SECTORS[:3], blocks=4)
    assert (found.most.tolist(), found.fewest.tolist()) == ([45, 35], [40, 35])
    assert (found.first.tolist(), found.last.tolist()) == ([0, 10], [49, 44])


def test_the_order_of_issuers_and_others_beside_them_change_no_bit_of_a_pair() -> None:
    moves = drawn(0.3, 0.2, SECTORS, 200, 7)
    pair = of(moves[:2], SECTORS[:2]).mean[WITHIN]
    swapped = of(moves[[1, 0]], SECTORS[:2]).mean[WITHIN]
    assert pair == swapped == of(np.vstack([moves[:2], moves[3]]), np.array([0, 0, 1], np.int32)).mean[WITHIN]


@pytest.mark.parametrize(("common", "own"), [(0.3, 0.2), (0.0, 0.4), (0.5, 0.0)])
def test_the_correlations_of_a_long_history_are_those_of_its_model(common: float, own: float) -> None:
    sector = np.repeat(np.arange(6, dtype=np.int32), 5)
    found = of(drawn(common, own, sector, 20_000, 8), sector, blocks=20)
    across, within = jackknife_error(found.without[ACROSS]), jackknife_error(found.without[WITHIN])
    assert max(across, within) < 0.01
    assert abs(found.mean[ACROSS] - common) < 4 * across
    assert abs(found.mean[WITHIN] - common - own) < 4 * within


def test_the_standard_error_is_the_spread_of_estimates_with_moves_that_overlap() -> None:
    """Rather low, since blocks share days at their ends: by a root of 3/4 in the long run."""
    sector, days = np.repeat(np.arange(3, dtype=np.int32), 3), 20
    estimates, errors = [], []
    for seed in range(200):
        walk = np.cumsum(drawn(0.3, 0.2, sector, 10 * days, seed), axis=1)
        found = of(walk[:, days:] - walk[:, :-days], sector, blocks=9)
        estimates.append(found.mean[ACROSS])
        errors.append(jackknife_error(found.without[ACROSS]))
    assert abs(np.mean(estimates) - 0.3) < 4 * np.std(estimates) / np.sqrt(200) + 0.03
    assert 0.65 < np.sqrt(np.mean(np.square(errors))) / np.std(estimates) < 1.15


def test_a_jackknife_of_means_is_their_textbook_error() -> None:
    x = np.random.default_rng(9).standard_normal(30)
    without = (x.sum() - x) / 29
    assert jackknife_error(without) == pytest.approx(x.std(ddof=1) / np.sqrt(30), rel=1e-12)
    assert np.isnan(jackknife_error(np.array([0.1])))
    assert np.isnan(jackknife_error(np.array([0.1, np.nan])))
