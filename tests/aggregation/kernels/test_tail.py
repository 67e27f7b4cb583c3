"""The kernel of ranks and tails against published values, SciPy and NumPy."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mstats

from aggregation.kernels import tail
from aggregation.kernels.tail import (
    ESTIMATORS,
    NotDefined,
    exact_level,
    expected_shortfall,
    mean_beyond,
    value_at_risk,
    var_rank,
)

# Hull, Risk Management and Financial Institutions: ranked losses of the four-index portfolio, scenario: loss in USD
HULL = {494: 477841, 339: 345435, 349: 282204, 329: 277041, 487: 253385, 227: 217974, 131: 205256, 238: 201389}
P99 = Fraction(99, 100)


def hull_pnl() -> tail.Floats:
    """One row of 500 scenarios: the published losses in their places, small gains elsewhere."""
    pnl = np.linspace(1.0, 2.0, 500)[None, :].copy()
    for scenario, loss in HULL.items():
        pnl[0, scenario - 1] = -loss
    return pnl


def age_weights(n: int, decay: float) -> tail.Floats:
    return np.array([decay ** (n - i) * (1 - decay) / (1 - decay**n) for i in range(1, n + 1)])


def quantile(estimator: str, values: list[float], level: str) -> float:
    """The estimator on a sample of losses."""
    return float(value_at_risk(0.0 - np.array([values]), exact_level(level), None, estimator)[0])


# Hyndman and Fan's nine types on 1..10, as printed by numpy's own documentation of the types and recomputed with it
NINE_TYPES = {
    "hf1": [1, 3, 4, 5, 9, 10],
    "hf2": [1.5, 3, 4, 5.5, 9.5, 10],
    "hf3": [1, 2, 3, 5, 9, 10],
    "hf4": [1, 2.5, 3.3, 5, 9, 9.9],
    "hf5": [1.5, 3, 3.8, 5.5, 9.5, 10],
    "hf6": [1.1, 2.75, 3.63, 5.5, 9.9, 10],
    "hf7": [1.9, 3.25, 3.97, 5.5, 9.1, 9.91],
    "hf8": [1.3667, 2.9167, 3.7433, 5.5, 9.6333, 10],
    "hf9": [1.4, 2.9375, 3.7575, 5.5, 9.6, 10],
}


@pytest.mark.parametrize("estimator", NINE_TYPES)
def test_nine_quantile_types(estimator: str) -> None:
    sample = [float(i) for i in range(1, 11)]
    found = [round(quantile(estimator, sample, p), 4) for p in ("0.1", "0.25", "0.33", "0.5", "0.9", "0.99")]
    assert found == NINE_TYPES[estimator]


def test_published_quantiles() -> None:
    gauge = [95.1772, 95.1567, 95.1937, 95.1959, 95.1442, 95.0610, 95.1591, 95.1195, 95.1065, 95.0925, 95.1990, 95.1682]
    assert round(quantile("hf6", gauge, "0.9"), 4) == 95.1981  # NIST/SEMATECH e-Handbook of Statistical Methods
    five = [15.0, 20.0, 35.0, 40.0, 50.0]
    assert quantile("hf7", five, "0.4") == pytest.approx(29, abs=1e-12)
    assert quantile("hf6", five, "0.4") == pytest.approx(26, abs=1e-12)


@pytest.mark.parametrize(
    ("estimator", "rank"),
    [
        ("order_statistic", 5),
        ("hf1", 6),
        ("hf2", 5.5),
        ("hf3", 6),
        ("hf4", 6),
        ("hf5", 5.5),
        ("hf6", 5.01),
        ("hf7", 5.99),
        ("hf8", 501 - (500 * 0.99 + 0.99 / 3 + 1 / 3)),
        ("hf9", 501 - (500 * 0.99 + 0.99 / 4 + 3 / 8)),
    ],
)
def test_which_of_500_losses_is_the_var(estimator: str, rank: float) -> None:
    """Losses 500 (worst) to 1: the estimate tells the rank. Types 1 on losses and on P&L are different."""
    losses = [float(i) for i in range(1, 501)]
    assert 501 - quantile(estimator, losses, "0.99") == pytest.approx(rank, abs=1e-9)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
    st.sampled_from(["0.5", "0.75", "0.9", "0.95", "0.99", "0.123"]),
)
def test_interpolating_types_agree_with_scipy(values: list[float], level: str) -> None:
    parameters = {
        "hf4": (0, 1),
        "hf5": (0.5, 0.5),
        "hf6": (0, 0),
        "hf7": (1, 1),
        "hf8": (1 / 3, 1 / 3),
        "hf9": (3 / 8, 3 / 8),
    }
    for estimator, (alpha, beta) in parameters.items():
        expected = float(mstats.mquantiles(values, [float(level)], alphap=alpha, betap=beta)[0])
        assert quantile(estimator, values, level) == pytest.approx(expected, rel=1e-9, abs=1e-6)


# (1 - a) n is an integer each time, and the double is above or below it
@pytest.mark.parametrize(
    ("n", "level", "k"),
    [
        (500, "0.99", 5),
        (100, "0.95", 5),
        (100, "0.9", 10),
        (1000, "0.999", 1),
        (200, "0.975", 5),
        (400, "0.975", 10),
        (1000, "0.975", 25),
    ],
)
def test_ranks_are_exact(n: int, level: str, k: int) -> None:
    assert var_rank(n, exact_level(level)) == k
    assert var_rank(n, exact_level(float(level))) == k
    assert var_rank(n + 1, exact_level(level)) == k + 1
    losses = np.arange(n, dtype=float)[None]
    assert value_at_risk(-losses, exact_level(level), None, "order_statistic")[0] == n - k


@given(st.integers(1, 3000), st.integers(1, 99_999))
def test_rank_is_the_ceiling_in_integers(n: int, ppm: int) -> None:
    level = exact_level(Decimal(ppm) / 100_000)
    assert var_rank(n, level) == -(-n * (100_000 - ppm) // 100_000)


@pytest.mark.parametrize(
    "level",
    ["0", "1", "-0.1", "99", "99%", "abc", "", "nan", "inf", float("nan"), 0.0, "1e400", "1e999999999", "1e-999999999"],
)
def test_levels_outside_the_unit_interval_are_refused(level: str | float) -> None:
    with pytest.raises(ValueError, match=r"expected a fraction between 0 and 1, such as 0\.99"):
        exact_level(level)


def test_levels_are_the_decimals_they_were_written_as() -> None:
    assert exact_level("0.99") == exact_level(0.99) == exact_level(Decimal("0.990")) == exact_level(P99) == P99


def test_hull_var_and_both_editions_of_es() -> None:
    pnl = hull_pnl()
    assert value_at_risk(pnl, P99, None, "order_statistic")[0] == 253385
    assert round(expected_shortfall(pnl, P99, None, "order_statistic")[0]) == 327181
    assert round(mean_beyond(pnl, P99, None, "order_statistic")[0]) == 345630


def test_hull_age_weighted() -> None:
    weights = age_weights(500, 0.995)
    printed = {
        494: 0.00528,
        339: 0.00243,
        349: 0.00255,
        329: 0.00231,
        487: 0.00510,
        227: 0.00139,
        131: 0.00086,
        238: 0.00146,
    }
    for scenario, weight in printed.items():
        assert round(weights[scenario - 1], 5) == weight
    pnl = hull_pnl()
    assert value_at_risk(pnl, P99, weights, "order_statistic")[0] == 282204
    assert round(expected_shortfall(pnl, P99, weights, "order_statistic")[0]) == 400914


def test_hull_stressed_scenarios_mixed_in() -> None:
    """Five stressed losses with their own probabilities, the 500 historical ones share 0.99: VaR 282,204."""
    stressed = {235: 0.005, 300: 0.002, 450: 0.002, 750: 0.0005, 850: 0.0005}
    pnl = np.concatenate([hull_pnl(), -1000.0 * np.array([list(stressed)], dtype=float)], axis=1)
    weights = np.array([0.99 / 500] * 500 + list(stressed.values()))
    ranked = sorted(zip(-pnl[0], weights, strict=True), reverse=True)
    assert round(sum(w for loss, w in ranked if loss >= 282204), 5) == 0.01094
    assert value_at_risk(pnl, P99, weights, "order_statistic")[0] == 282204


@pytest.mark.parametrize(("n", "level", "expected"), [(250, "0.975", 247.36), (500, "0.99", 498.0), (10, "0.99", 10.0)])
def test_es_takes_a_fraction_of_the_last_loss(n: int, level: str, expected: float) -> None:
    losses = np.arange(1.0, n + 1)[None]
    assert expected_shortfall(-losses, exact_level(level), None, "")[0] == pytest.approx(expected, abs=1e-9)


def test_discrete_atom_is_split() -> None:
    """Hull: loss 10 with probability 0.02, else 1: VaR 1, ES 8.2; two of them: VaR 11 > 2, ES 11.144 < 16.4."""
    level = Fraction(975, 1000)
    one, weights = -np.array([[10.0, 1.0]]), np.array([0.02, 0.98])
    assert value_at_risk(one, level, weights, "order_statistic")[0] == 1
    assert expected_shortfall(one, level, weights, "")[0] == pytest.approx(8.2)
    two, joint = -np.array([[20.0, 11.0, 2.0]]), np.array([0.0004, 0.0392, 0.9604])
    assert value_at_risk(two, level, joint, "order_statistic")[0] == 11
    assert expected_shortfall(two, level, joint, "")[0] == pytest.approx(11.144)


@pytest.mark.parametrize("n", [1, 3, 7, 100, 249, 250, 300, 333, 500, 1000])
@pytest.mark.parametrize("level", ["0.5", "0.9", "0.95", "0.975", "0.99"])
def test_equal_weights_are_no_weights(n: int, level: str) -> None:
    """Cumulated doubles such as 3 * 0.1 must still reach 1 - level."""
    pnl = np.random.default_rng(n).standard_normal((3, n))
    weights = np.full(n, 1.0 / n)
    a = exact_level(level)
    assert (value_at_risk(pnl, a, weights, "order_statistic") == value_at_risk(pnl, a, None, "order_statistic")).all()
    np.testing.assert_allclose(
        expected_shortfall(pnl, a, weights, ""), expected_shortfall(pnl, a, None, ""), rtol=1e-12
    )
    if var_rank(n, a) > 1:
        np.testing.assert_allclose(mean_beyond(pnl, a, weights, ""), mean_beyond(pnl, a, None, ""), rtol=1e-12)


def test_a_scenario_of_weight_zero_is_not_there() -> None:
    pnl = np.array([[-100.0, -5.0, 1.0, 2.0]])
    weights = np.array([0.0, 0.2, 0.4, 0.4])
    for measure in (value_at_risk, expected_shortfall):
        assert measure(pnl, exact_level("0.9"), weights, "order_statistic")[0] == pytest.approx(5)
    assert tail.worst_loss(pnl, None, weights, "")[0] == 5


def test_weights_are_scaled_to_one() -> None:
    pnl, weights = hull_pnl(), age_weights(500, 0.995)
    assert value_at_risk(pnl, P99, weights * 7, "order_statistic") == value_at_risk(
        pnl, P99, weights, "order_statistic"
    )


def test_nothing_beyond_the_var_is_refused() -> None:
    with pytest.raises(NotDefined, match="No scenario of 100 ranks worse than the VaR"):
        mean_beyond(np.zeros((1, 100)), P99, None, "")
    with pytest.raises(NotDefined, match="No scenario of 2 ranks worse"):
        mean_beyond(np.zeros((1, 2)), P99, np.array([0.5, 0.5]), "")


@pytest.mark.parametrize("estimator", [e.name for e in ESTIMATORS.values() if not e.weighted])
def test_interpolation_of_weighted_scenarios_is_refused(estimator: str) -> None:
    with pytest.raises(NotDefined, match="equally weighted"):
        value_at_risk(np.zeros((1, 5)), P99, np.full(5, 0.2), estimator)


def test_moments_against_numpy() -> None:
    pnl = np.random.default_rng(3).standard_normal((4, 250)) * 1e6 + 1e3
    np.testing.assert_allclose(tail.mean(pnl, None, None, ""), [math.fsum(r) / 250 for r in pnl], rtol=1e-12)
    np.testing.assert_allclose(tail.volatility(pnl, None, None, ""), np.std(pnl, axis=1), rtol=1e-12)
    weights = np.random.default_rng(4).random(250)
    np.testing.assert_allclose(tail.mean(pnl, None, weights, ""), np.average(pnl, axis=1, weights=weights), rtol=1e-10)


def test_a_loss_of_zero_has_no_sign() -> None:
    zero = np.zeros((1, 10))
    for function in (value_at_risk, expected_shortfall, mean_beyond, tail.worst_loss):
        for weights in (None, np.full(10, 0.1)):
            assert math.copysign(1, function(zero, Fraction(1, 2), weights, "order_statistic")[0]) == 1


def test_input_is_left_alone() -> None:
    pnl = np.random.default_rng(5).standard_normal((2, 50))
    before = pnl.copy()
    for weights in (None, np.full(50, 0.02)):
        value_at_risk(pnl, P99, weights, "order_statistic")
        expected_shortfall(pnl, Fraction(1, 2), weights, "")
    assert (pnl == before).all()


class TestTailWeights:
    """measure = -sum_s w_s P&L_s, whatever the estimator and the scenarios' probabilities."""

    @pytest.mark.parametrize("estimator", ESTIMATORS)
    @pytest.mark.parametrize("level", ["0.99", "0.975", "0.9"])
    def test_they_give_the_measure_back(self, estimator: str, level: str) -> None:
        pnl = np.random.default_rng(5).standard_normal((7, 130))
        exact = tail.exact_level(level)
        for value, weights in (
            (tail.value_at_risk, tail.var_weights),
            (tail.expected_shortfall, tail.es_weights),
        ):
            w = weights(pnl, exact, None, estimator)
            np.testing.assert_allclose(-(w * pnl).sum(axis=1), value(pnl, exact, None, estimator), rtol=1e-12)
            np.testing.assert_allclose(w.sum(axis=1), 1.0, rtol=1e-12)

    def test_with_weighted_scenarios(self) -> None:
        rng = np.random.default_rng(6)
        pnl, probabilities = rng.standard_normal((7, 130)), rng.random(130)
        level = tail.exact_level("0.95")
        for value, weights in (
            (tail.value_at_risk, tail.var_weights),
            (tail.expected_shortfall, tail.es_weights),
        ):
            w = weights(pnl, level, probabilities, "order_statistic")
            np.testing.assert_allclose(
                -(w * pnl).sum(axis=1), value(pnl, level, probabilities, "order_statistic"), rtol=1e-12
            )

    def test_of_equal_losses_the_first_scenario_ranks_worse(self) -> None:
        pnl = np.array([[-8.0, -8.0, -8.0, 1.0]])
        w = tail.var_weights(pnl, tail.exact_level("0.5"), None, "order_statistic")
        assert w.tolist() == [[0.0, 1.0, 0.0, 0.0]]
