"""P&L in the reporting currency: Hull's way by hand, exact fractions, and one function for arrays and kernels."""

from fractions import Fraction

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from scenarios.kernels.currency import converted_pnl, converted_pnl_compiled

RNG = np.random.default_rng(4)
BASE, PNL = RNG.normal(size=50) * 1e6, RNG.normal(size=50) * 1e4
FX_BASE = np.exp(RNG.normal(size=50))
FX = FX_BASE * (1 + 0.01 * RNG.normal(size=50))


def test_the_value_moves_with_its_currency_too() -> None:
    # 100 EUR become 110, the EUR goes from 2 to 3 dollars: 330 - 200
    assert converted_pnl(100.0, 10.0, 3.0, 2.0) == 130.0
    assert converted_pnl(100.0, 0.0, 3.0, 2.0) == 100.0  # a value that does not move at all


def test_against_exact_fractions() -> None:
    exact = [
        float((Fraction(b) + Fraction(p)) * Fraction(f) - Fraction(b) * Fraction(f0))
        for b, p, f, f0 in zip(*(x.tolist() for x in (BASE, PNL, FX, FX_BASE)), strict=True)
    ]
    assert_allclose(converted_pnl(BASE, PNL, FX, FX_BASE), exact, rtol=1e-12, atol=1e-9)


def test_a_rate_that_does_not_move_adds_no_rounding() -> None:
    assert_array_equal(converted_pnl(BASE, PNL, FX, FX), PNL * FX)


def test_kernels_get_the_bits_of_the_arrays() -> None:
    one_by_one = [converted_pnl_compiled(*x) for x in zip(BASE, PNL, FX, FX_BASE, strict=True)]
    assert_array_equal(one_by_one, converted_pnl(BASE, PNL, FX, FX_BASE))
