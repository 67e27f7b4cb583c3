"""Kernels against published values, QuantLib, numerical integration and slow scalar loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import fsolve

from valuation.kernels import cashflows, curves
from valuation.kernels.black import european_options, generalised_black_scholes

CALL, PUT = 1.0, -1.0


# Black-Scholes family ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sign", "spot", "strike", "rate", "carry", "time", "volatility", "printed", "digits"),
    [
        # Haug, The Complete Guide to Option Pricing Formulas (1998), p. 2-16
        (CALL, 60, 65, 0.08, 0.08, 0.25, 0.30, 2.1334, 4),
        (PUT, 100, 95, 0.10, 0.05, 0.50, 0.20, 2.4648, 4),
        (CALL, 19, 19, 0.10, 0.00, 0.75, 0.28, 1.7011, 4),
        (PUT, 19, 19, 0.10, 0.00, 0.75, 0.28, 1.7011, 4),
        (CALL, 1.56, 1.60, 0.06, -0.02, 0.50, 0.12, 0.0291, 4),
        (PUT, 75, 70, 0.10, 0.05, 0.50, 0.35, 4.0870, 4),
        (CALL, 42, 40, 0.04, -0.04, 0.75, 0.35, 5.0975, 4),
        # Hull, Options, Futures, and Other Derivatives
        (CALL, 42, 40, 0.10, 0.10, 0.50, 0.20, 4.76, 2),
        (PUT, 42, 40, 0.10, 0.10, 0.50, 0.20, 0.81, 2),
        (CALL, 930, 900, 0.08, 0.05, 2 / 12, 0.20, 51.83, 2),
        (PUT, 20, 20, 0.09, 0.00, 4 / 12, 0.25, 1.12, 2),
        (CALL, 1.6, 1.6, 0.08, -0.03, 4 / 12, 0.141, 0.043, 3),
    ],
)
def test_published_option_values(sign, spot, strike, rate, carry, time, volatility, printed, digits):
    computed = float(generalised_black_scholes(sign, spot, strike, time, rate, carry, volatility))
    assert round(computed, digits) == printed


def random_options(n: int, m: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "sign": rng.choice([CALL, PUT], n),
        "asset_factor": rng.uniform(0.8, 1.1, n),
        "strike": np.exp(rng.uniform(-2, 8, n)),
        "time": rng.uniform(0.002, 30, n),
        "spot": np.exp(rng.uniform(-2, 8, (n, m))),
        "volatility": rng.uniform(0.01, 2.0, (n, m)),
        "discount": rng.uniform(0.2, 1.1, (n, m)),
    }


def test_options_agree_with_quantlib_on_a_random_grid():
    o = random_options(150, 7, 11)
    values = european_options(**o)
    for i in range(150):
        for s in range(7):
            discount = o["discount"][i, s]
            forward = o["spot"][i, s] * o["asset_factor"][i] / discount
            kind = ql.Option.Call if o["sign"][i] > 0 else ql.Option.Put
            expected = ql.blackFormula(
                kind, o["strike"][i], forward, o["volatility"][i, s] * math.sqrt(o["time"][i]), discount
            )
            # QuantLib gives absolute accuracy only, so that far out of the money the scale is the asset's
            assert values[i, s] == pytest.approx(expected, rel=1e-10, abs=1e-13 * max(forward, o["strike"][i]))


def integrated_option(sign: float, asset: float, cash: float, stdev: float) -> float:
    """E[(sign (asset e^X - cash))+] with X normal(-v^2/2, v^2), by quadrature: knows nothing of the formula."""
    edge = (math.log(cash / asset) + 0.5 * stdev**2) / stdev

    def payoff(z: float) -> float:
        gain = sign * (asset * math.exp(stdev * z - 0.5 * stdev**2) - cash)
        return gain * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)

    far = sign * (max(sign * edge, 0.0) + 14)
    return sign * quad(payoff, edge, far, epsabs=0, epsrel=1e-11, limit=400)[0]


@pytest.mark.parametrize("sign", [CALL, PUT])
@pytest.mark.parametrize("deviations", [-30, -12, -8, -3, 0, 3, 6])
@pytest.mark.parametrize("stdev", [0.05, 0.4, 1.5])
def test_options_keep_their_relative_accuracy_deep_in_and_out_of_the_money(sign, deviations, stdev):
    asset = 100.0
    cash = asset * math.exp(-sign * deviations * stdev)  # negative: out of the money by so many standard deviations
    one = np.ones((1, 1))
    value = european_options(
        np.array([sign]), np.ones(1), np.array([cash]), np.ones(1), asset * one, stdev * one, one
    ).item()
    assert value == pytest.approx(integrated_option(sign, asset, cash, stdev), rel=2e-9)


@settings(max_examples=200, deadline=None)
@given(
    st.floats(0.01, 1e4), st.floats(0.01, 1e4), st.floats(0, 40), st.floats(-0.05, 0.3), st.floats(-0.1, 0.3),
    st.floats(0, 3),
)  # fmt: skip
def test_put_call_parity_and_bounds(spot, strike, time, rate, carry, volatility):
    call, put = generalised_black_scholes([CALL, PUT], spot, strike, time, rate, carry, volatility)
    asset, cash = spot * math.exp((carry - rate) * time), strike * math.exp(-rate * time)
    scale = max(asset, cash)
    assert call - put == pytest.approx(asset - cash, abs=1e-13 * scale)
    assert max(asset - cash, 0) - 1e-13 * scale <= call <= asset + 1e-13 * scale
    assert max(cash - asset, 0) - 1e-13 * scale <= put <= cash + 1e-13 * scale


@pytest.mark.parametrize(("time", "volatility"), [(0.0, 0.3), (2.0, 0.0)])
def test_options_without_time_or_volatility_are_worth_their_discounted_intrinsic_value(time, volatility):
    value = generalised_black_scholes([CALL, PUT, CALL, PUT], [90, 90, 110, 110], 100, time, 0.05, 0.02, volatility)
    intrinsic = np.array([90, 90, 110, 110]) * math.exp(-0.03 * time) - 100 * math.exp(-0.05 * time)
    np.testing.assert_allclose(value, np.maximum(np.array([1, -1, 1, -1]) * intrinsic, 0), rtol=1e-14)


def test_a_worthless_asset_leaves_the_put_its_cash_and_the_call_nothing():
    np.testing.assert_array_equal(generalised_black_scholes([CALL, PUT], 0.0, 50, 1, 0.0, 0.0, 0.4), [0, 50])


@pytest.mark.parametrize(
    "bad", [{"spot": -1.0}, {"spot": math.nan}, {"volatility": -0.1}, {"volatility": math.nan}, {"strike": 0.0}]
)
def test_levels_outside_the_model_give_nan(bad):
    good = {"sign": 1, "spot": 100.0, "strike": 100.0, "time": 1, "rate": 0.01, "carry": 0.01, "volatility": 0.2}
    assert np.isnan(generalised_black_scholes(**{**good, **bad}))


# Curves --------------------------------------------------------------------------------------------------------------


def hull_zeros() -> np.ndarray:
    """Hull's zero rates at 0.5, 1, 1.5 and 2 years: a 6% bond is worth 98.39 and the 2-year par yield is 6.87%."""
    return np.array([[0.05], [0.058], [0.064], [0.068]])


def test_bootstrap_gives_back_hulls_zero_rates():
    times = np.array([0.5, 1.0, 1.5, 2.0])
    discount = np.exp(-hull_zeros() * times[:, None])
    par = 2 * (1 - discount) / np.cumsum(discount, axis=0)
    assert round(100 * par[-1, 0], 2) == 6.87
    nodes, logs = curves.par_curve(times, par)
    np.testing.assert_array_equal(nodes, [0, *times])
    np.testing.assert_allclose(-logs[1:] / times[:, None], hull_zeros(), rtol=1e-13)
    bond = cashflows.discounted_sums(
        np.array([0, 4]),
        np.arange(4),
        np.array([3.0, 3, 3, 103]),
        curves.interpolated_discount_factors(nodes, logs, times),
    )
    assert round(float(bond[0, 0]), 2) == 98.39


TREASURY = np.array([1 / 12, 2 / 12, 0.25, 4 / 12, 0.5, 1, 2, 3, 5, 7, 10, 20, 30])
JGB = np.array([*range(1, 11), 15, 20, 25, 30, 40], dtype=float)


def yields(times: np.ndarray, m: int, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level, slope = rng.uniform(-0.01, 0.06, m), rng.uniform(-0.01, 0.03, m)
    return level + slope * (1 - np.exp(-times[:, None] / 5)) + rng.normal(0, 5e-4, (len(times), m))


@pytest.mark.parametrize("pillars", [TREASURY, JGB, np.array([0.75, 2.0]), np.array([0.25, 1.25, 3.0])])
def test_a_bond_paying_the_par_yield_is_worth_par(pillars):
    y = yields(pillars, 40)
    nodes, logs = curves.par_curve(pillars, y)
    for k in np.flatnonzero((pillars >= 0.5) & (pillars * 2 % 1 == 0)):
        dates = np.arange(1, round(2 * pillars[k]) + 1) / 2
        discount = curves.interpolated_discount_factors(nodes, logs, dates)
        price = 100 * (y[k] / 2 * discount.sum(axis=0) + discount[-1])
        np.testing.assert_allclose(price, 100, rtol=0, atol=2e-12)


def test_bills_follow_the_treasurys_formulas():
    pillars, y = np.array([0.25, 0.5, 0.75, 1.0]), np.array([[0.04], [0.05], [0.06], [0.07]])
    nodes, logs = curves.par_curve(pillars, y)
    got = curves.interpolated_discount_factors(nodes, logs, pillars)[:, 0]
    expected = [1 / 1.01, 1 / 1.025, 1 / (1.03 * (1 + 0.06 * 0.25)), (1 - 0.035 / 1.025) / 1.035]
    np.testing.assert_allclose(got, expected, rtol=1e-15)


@pytest.mark.parametrize("pillars", [TREASURY, JGB, np.array([0.25, 1.25, 3.0]), np.array([0.75, 1.25])])
def test_bootstrap_solves_the_par_equations(pillars):
    """All unknown discount factors of the semi-annual grid at once, by a general solver."""
    y = yields(pillars, 1, seed=8)[:, 0]
    grid = np.arange(1, 2 * pillars[-1] + 1) / 2
    coupons = np.interp(grid, pillars, y) / 2

    def mispricing(discount: np.ndarray) -> np.ndarray:
        return np.array([c * discount[: k + 1].sum() + discount[k] - 1 for k, c in enumerate(coupons)])

    solved = fsolve(mispricing, np.exp(-0.02 * grid), xtol=1e-13)
    nodes, logs = curves.par_curve(pillars, y[:, None])
    np.testing.assert_allclose(curves.interpolated_discount_factors(nodes, logs, grid)[:, 0], solved, rtol=1e-9)


def test_yields_without_a_positive_discount_factor_give_nan_from_there_on():
    nodes, logs = curves.par_curve(np.array([1.0, 10.0, 30.0]), np.array([[0.01, 0.01], [0.01, 3.0], [0.01, 0.01]]))
    discount = curves.interpolated_discount_factors(nodes, logs, np.array([1.0, 9.0, 25.0]))
    assert np.isfinite(discount[:, 0]).all()
    assert np.isnan(discount[1:, 1]).all()
    assert np.isnan(curves.par_curve(np.array([0.25]), np.array([[-4.0]]))[1][1, 0])


def test_discount_factors_agree_with_quantlibs_log_linear_curve():
    today = ql.Date(16, 3, 2020)
    days = np.array([31, 91, 365, 730, 1826, 3652, 10957])
    zero = yields(days / 365, 1)[:, 0]
    nodes, logs = curves.zero_curve(days / 365, zero[:, None])
    dates = [today, *(today + int(d) for d in days)]
    factors = [1.0, *(math.exp(-z * d / 365) for z, d in zip(zero, days, strict=True))]
    oracle = ql.DiscountCurve(dates, factors, ql.Actual365Fixed())
    wanted = np.array([0, 1, 30, 31, 200, 365, 3000, 10956, 10957])
    got = curves.interpolated_discount_factors(nodes, logs, wanted / 365)[:, 0]
    np.testing.assert_allclose(got, [oracle.discount(today + int(d)) for d in wanted], rtol=1e-14)
    assert got[0] == 1.0


def test_beyond_the_last_pillar_the_last_forward_rate_goes_on():
    nodes, logs = curves.zero_curve(np.array([1.0, 2.0]), np.array([[0.01], [0.03]]))
    forward = 2 * 0.03 - 0.01
    got = curves.interpolated_discount_factors(nodes, logs, np.array([5.0]))[0, 0]
    assert got == pytest.approx(math.exp(-0.06 - 3 * forward), rel=1e-14)


# Cash flows ----------------------------------------------------------------------------------------------------------


def test_present_values_agree_with_a_scalar_loop():
    rng = np.random.default_rng(2)
    discount = rng.uniform(0.1, 1, (50, 9))
    counts = rng.integers(0, 30, 40)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    columns = rng.integers(0, 50, offsets[-1])
    amounts = rng.normal(0, 50, offsets[-1])
    got = cashflows.discounted_sums(offsets, columns, amounts, discount)
    for i in range(40):
        for s in range(9):
            total = 0.0
            for j in range(offsets[i], offsets[i + 1]):
                total += amounts[j] * discount[columns[j], s]
            assert got[i, s] == total  # the same additions in the same order


# Same bits -----------------------------------------------------------------------------------------------------------


def test_bits_depend_neither_on_the_rows_nor_on_the_states_beside_them():
    o = random_options(23, 37, 4)
    whole = european_options(**o)
    y = yields(TREASURY, 37)
    times = np.sort(np.random.default_rng(3).uniform(0, 35, 60))
    curve = curves.interpolated_discount_factors(*curves.par_curve(TREASURY, y), times)
    for first, last in [(0, 1), (5, 12), (3, 37), (36, 37)]:
        part = {k: np.ascontiguousarray(v[:, first:last]) if v.ndim == 2 else v for k, v in o.items()}
        assert european_options(**part).tobytes() == np.ascontiguousarray(whole[:, first:last]).tobytes()
        sliced = curves.par_curve(TREASURY, np.ascontiguousarray(y[:, first:last]))
        got = curves.interpolated_discount_factors(*sliced, times[7:50])
        assert got.tobytes() == np.ascontiguousarray(curve[7:50, first:last]).tobytes()
    rows = np.random.default_rng(1).permutation(23)[:9]
    assert european_options(**{k: v[rows] for k, v in o.items()}).tobytes() == whole[rows].tobytes()
