"""Conditional expectations and distances against the textbook formulas of the partitioned normal."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import solve_triangular
from support import factor, new_lake, put_market, random_walks

from lake.errors import BadInput
from scenarios.plausibility.move_law import LawRules, conditional, given_the_others, law, solve

AS_OF = dt.date(2020, 3, 16)


def correlations(n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    return np.corrcoef((rng.standard_normal((5 * n, n)) + rng.standard_normal((5 * n, 1))).T)


def test_forward_substitution() -> None:
    lower = np.linalg.cholesky(correlations(9))
    right = np.random.default_rng(1).standard_normal((9, 4))
    np.testing.assert_allclose(solve(lower, right), solve_triangular(lower, right, lower=True), rtol=1e-12)


def test_conditional_is_the_partitioned_normal() -> None:
    c = correlations(8)
    given, others = [1, 4, 6], [0, 2, 3, 5, 7]
    values = np.array([[2.0, -1.0], [0.5, 0.0], [-3.0, 4.0]])
    expected, error = conditional(c, np.linalg.cholesky(c[np.ix_(given, given)]), given, values)
    beta = c[np.ix_(others, given)] @ np.linalg.inv(c[np.ix_(given, given)])
    np.testing.assert_allclose(expected[others], beta @ values, rtol=1e-12)
    left = c[np.ix_(others, others)] - beta @ c[np.ix_(given, others)]
    np.testing.assert_allclose(error[others], np.sqrt(np.diagonal(left)), rtol=1e-12)
    np.testing.assert_array_equal(expected[given], values)
    assert (error[given] == 0).all()


def test_each_given_the_others_is_the_same_formula() -> None:
    c = correlations(6)
    values = np.random.default_rng(2).standard_normal(6)
    expected, error = given_the_others(np.linalg.cholesky(c), values)
    for i in range(6):
        rest = [j for j in range(6) if j != i]
        one, deviation = conditional(c, np.linalg.cholesky(c[np.ix_(rest, rest)]), rest, values[rest, None])
        assert expected[i] == pytest.approx(one[i, 0], rel=1e-11)
        assert error[i] == pytest.approx(deviation[i], rel=1e-11)


def test_the_law_is_that_of_the_window(tmp_path: Path) -> None:
    factors = [factor("EQ:A", "equity_price"), factor("YC:USD:10Y", "par_yield", curve="USD", pillar="10Y")]
    series = random_walks(factors, dt.date(2019, 6, 3), AS_OF)
    series["EQ:STILL"] = dict.fromkeys(series["EQ:A"], 5.0)
    lake = new_lake(tmp_path)
    put_market(lake, [*factors, factor("EQ:STILL", "equity_price")], series)
    rules = LawRules.model_validate({"market_date": AS_OF, "window": 100, "covariance": "sample"})
    found = law(lake.snapshot(), rules)
    a = np.diff(np.log([v for v in series["EQ:A"].values() if v is not None]))[-100:]
    y = np.diff([v for v in series["YC:USD:10Y"].values() if v is not None])[-100:]
    ids = [f.risk_factor_id for f in found.index.factors]
    assert ids == ["EQ:A", "EQ:STILL", "YC:USD:10Y"]
    np.testing.assert_allclose(found.deviation, [a.std(ddof=1), 0.0, y.std(ddof=1)], rtol=1e-10)
    assert found.correlation[0, 2] == pytest.approx(np.corrcoef(a, y)[0, 1], rel=1e-9)
    assert "sample covariance of 100 one-day moves to 2020-03-16" in found.described
    moves = np.array([[-0.5], [0.0], [0.01]])
    np.testing.assert_allclose(found.moves([0, 1, 2], found.levels(moves)), moves, atol=1e-15)
    with pytest.raises(BadInput, match="EQ:STILL never moved"):
        found.root([0, 1])
    with pytest.raises(ValueError, match="only a covariance of ewma"):
        LawRules.model_validate({"market_date": AS_OF, "decay": 0.9})
