"""The shift kernel: each move applied to its own start gives its end, and undefined moves stay undefined."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.kernels import shifts

positive = st.floats(1e-6, 1e9)
signed = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("kind", ["relative", "log"])
@given(earlier=positive, later=positive)
def test_ratio_shifts_invert(kind: str, earlier: float, later: float) -> None:
    moved = shifts.apply(kind, np.array(earlier), shifts.move(kind, np.array(earlier), np.array(later)))
    assert math.isclose(float(moved), later, rel_tol=1e-9, abs_tol=earlier * 1e-15)


@given(earlier=signed, later=signed)
def test_absolute_shift_inverts(earlier: float, later: float) -> None:
    moved = shifts.apply("absolute", np.array(earlier), shifts.move("absolute", np.array(earlier), np.array(later)))
    assert math.isclose(float(moved), later, rel_tol=1e-12, abs_tol=1e-9)


def test_values_by_hand() -> None:
    one, two = np.array(100.0), np.array(110.0)
    assert shifts.move("relative", one, two) == pytest.approx(0.10, rel=1e-14)
    assert shifts.move("log", one, two) == pytest.approx(math.log(1.1), rel=1e-14)
    assert shifts.move("absolute", one, two) == 10.0
    # -0.1% to -0.2% is a move of -10 basis points, not of +100% (reference values, trap 5)
    assert shifts.apply(
        "absolute", np.array(0.01), shifts.move("absolute", np.array(-0.001), np.array(-0.002))
    ) == pytest.approx(0.009)


@pytest.mark.parametrize("kind", ["relative", "log"])
@pytest.mark.parametrize("earlier", [0.0, -36.98, math.nan])
def test_no_ratio_to_a_level_that_is_not_positive(kind: str, earlier: float) -> None:
    assert np.isnan(shifts.move(kind, np.array(earlier), np.array(10.0)))


def test_relative_move_to_a_negative_price_is_kept() -> None:
    # WTI, 2020-04-17 to 2020-04-20
    assert shifts.move("relative", np.array(18.31), np.array(-36.98)) == pytest.approx(-36.98 / 18.31 - 1)
    assert np.isnan(shifts.move("log", np.array(18.31), np.array(-36.98)))


@pytest.mark.parametrize("kind", ["relative", "log"])
@given(earlier=st.floats(-0.009, 0.2), later=st.floats(-0.009, 0.2), base=st.floats(-0.009, 0.2))
def test_displaced_shifts_invert_below_zero(kind: str, earlier: float, later: float, base: float) -> None:
    moves = shifts.move(kind, np.array(earlier), np.array(later), 0.01)
    assert math.isclose(float(shifts.apply(kind, np.array(earlier), moves, 0.01)), later, rel_tol=1e-9, abs_tol=1e-12)
    assert float(shifts.apply(kind, np.array(base), moves, 0.01)) > -0.01  # never below minus the displacement


def test_displacement_lies_between_the_ratio_and_the_difference() -> None:
    # 1% to 2%, applied to 4%: twice is 8%, one point more is 5%; displaced by 3%: 7% x 5/4 - 3% = 5.75%
    earlier, later, base = np.array(0.01), np.array(0.02), np.array(0.04)
    for displacement, expected in ((0.0, 0.08), (0.03, 0.0575), (1e6, 0.05)):
        moved = shifts.apply("relative", base, shifts.move("relative", earlier, later, displacement), displacement)
        assert float(moved) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("kind", ["relative", "log"])
def test_a_ratio_is_not_applied_to_a_level_that_is_not_positive(kind: str) -> None:
    assert np.isnan(shifts.apply(kind, np.array(-36.98), np.array(0.1)))
    assert shifts.apply(kind, np.array(-36.98), np.array(0.0), 50.0) == pytest.approx(-36.98)


def test_unknown_shift_type() -> None:
    with pytest.raises(ValueError, match="relative, log or absolute"):
        shifts.move("percent", np.array(1.0), np.array(1.0))
    with pytest.raises(ValueError, match="relative, log or absolute"):
        shifts.apply("percent", np.array(1.0), np.array(1.0))
