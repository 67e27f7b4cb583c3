"""Our exponential, logarithm and normal distribution against Python's `decimal`, SciPy's erfcx and 40 digits of mpmath."""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.special import erfcx

from lake.arrays import Floats
from lake.compiled import compiled
from valuation.kernels import elementary

# N(x) of the double x, by mpmath in 40 digits
NORMAL = (
    (-37.0, 5.725571222524577e-300),
    (-30.5, 1.3029379131780763e-204),
    (-18.1606481681908, 5.288427430575437e-74),
    (-12.25, 8.399796063633417e-35),
    (-8.0, 6.220960574271784e-16),
    (-5.0, 2.866515718791939e-07),
    (-2.5, 0.006209665325776135),
    (-1.0, 0.15865525393145705),
    (-0.5, 0.3085375387259869),
    (-1e-09, 0.49999999960105773),
    (0.25, 0.5987063256829237),
    (1.0, 0.8413447460685429),
    (3.0, 0.9986501019683699),
    (6.0, 0.9999999990134123),
    (8.25, 0.9999999999999999),
)
ENDS: dict[str, list[tuple[float, float]]] = {
    "exponential": [
        (0.0, 1.0), (-math.inf, 0.0), (math.inf, math.inf), (-746.0, 0.0), (710.0, math.inf), (math.nan, math.nan),
    ],
    "logarithm": [
        (1.0, 0.0), (0.0, -math.inf), (-0.0, -math.inf), (math.inf, math.inf), (-1.0, math.nan), (math.nan, math.nan),
    ],
    "logarithm_of_one_and": [
        (0.0, 0.0), (-1.0, -math.inf), (math.inf, math.inf), (-2.0, math.nan), (math.nan, math.nan), (1e-300, 1e-300),
    ],
    "normal": [
        (0.0, 0.5), (-0.0, 0.5), (-math.inf, 0.0), (math.inf, 1.0), (-39.0, 0.0), (9.0, 1.0), (math.nan, math.nan),
    ],
    "bell": [(0.0, 1.0), (math.inf, 0.0), (math.nan, math.nan)],
}  # fmt: skip


@compiled
def _exponentials(x: Floats, out: Floats) -> None:
    for i in range(len(x)):
        out[i] = elementary.exponential(x[i])


@compiled
def _logarithms(x: Floats, out: Floats) -> None:
    for i in range(len(x)):
        out[i] = elementary.logarithm(x[i])


@compiled
def _logarithms_of_one_and(x: Floats, out: Floats) -> None:
    for i in range(len(x)):
        out[i] = elementary.logarithm_of_one_and(x[i])


@compiled
def _normals(x: Floats, out: Floats) -> None:
    for i in range(len(x)):
        out[i] = elementary.normal(x[i])


@compiled
def _bells(x: Floats, out: Floats) -> None:
    for i in range(len(x)):
        out[i] = elementary.bell(x[i])


@compiled
def _mills(x: Floats, out: Floats) -> None:
    for i in range(len(x)):
        out[i] = elementary.mills(x[i])


LOOPS: dict[str, Callable[[Floats, Floats], None]] = {
    "exponential": _exponentials,
    "logarithm": _logarithms,
    "logarithm_of_one_and": _logarithms_of_one_and,
    "normal": _normals,
    "bell": _bells,
}


def _over(loop: Callable[[Floats, Floats], None], x: Floats) -> Floats:
    out = np.empty(len(x))
    loop(x, out)
    return out


def _error(got: Floats, exact: Callable[[Decimal], Decimal], x: Floats) -> float:
    """The largest difference, as a fraction of the value."""
    with localcontext() as context:
        context.prec = 40
        wanted = [exact(Decimal(a)) for a in x.tolist()]
        return max(float(abs(Decimal(g) - w) / abs(w)) for g, w in zip(got.tolist(), wanted, strict=True))


def test_the_exponential_is_that_of_decimal() -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(-708.0, 709.7, 1500), rng.uniform(-1.0, 1.0, 1500), [1e-300, -1e-20]])
    assert _error(_over(_exponentials, x), Decimal.exp, x) <= 1.6e-16
    denormal = rng.uniform(-744.0, -709.0, 100)
    assert np.abs(_over(_exponentials, denormal) - np.exp(denormal)).max() <= 5e-324


def test_the_logarithm_is_that_of_decimal() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([np.exp(rng.uniform(-740.0, 709.0, 1500)), rng.uniform(0.5, 2.0, 1500), [5e-324, 1.7e308]])
    assert _error(_over(_logarithms, x), Decimal.ln, x) <= 1.6e-16
    small = np.concatenate([10.0 ** rng.uniform(-30.0, 3.0, 1000), -(10.0 ** rng.uniform(-30.0, -0.01, 1000))])
    assert _error(_over(_logarithms_of_one_and, small), _of_one_and, small) <= 4e-16


def _of_one_and(x: Decimal) -> Decimal:
    """Below 1e-12 three terms of the series have 40 digits less what the sum would lose."""
    return x - x * x / 2 + x * x * x / 3 if abs(x) < Decimal("1e-12") else (1 + x).ln()


def test_the_normal_distribution_is_that_of_mpmath() -> None:
    x, wanted = np.array(NORMAL).T
    assert np.abs(_over(_normals, x) / wanted - 1.0).max() <= 1.5e-15


def test_the_normal_distribution_has_its_digits_over_the_whole_line() -> None:
    """As exp(-t^2/2) times the ratio of Mills: one by `decimal`, the other by erfcx, which is smooth and well conditioned."""
    rng = np.random.default_rng(3)
    t = np.sort(np.concatenate([rng.uniform(0.0, 37.5, 3000), rng.uniform(0.0, 1.0, 1000), [0.0, 37.5]]))
    assert np.abs(_over(_mills, t) / (0.5 * erfcx(t * math.sqrt(0.5))) - 1.0).max() <= 1.5e-15
    assert _error(_over(_bells, t), lambda a: (-a * a / 2).exp(), t) <= 2e-16
    tails, products = _over(_normals, -t), _over(_bells, t) * _over(_mills, t)
    np.testing.assert_array_equal(tails, products)
    np.testing.assert_array_equal(_over(_normals, t[1:]), 1.0 - tails[1:])


@pytest.mark.parametrize("name", LOOPS)
def test_the_ends_are_exact(name: str) -> None:
    x, wanted = np.array(ENDS[name]).T
    np.testing.assert_array_equal(_over(LOOPS[name], x), wanted)


@pytest.mark.parametrize("name", LOOPS)
def test_a_number_has_the_bits_it_has_alone(name: str) -> None:
    x = np.random.default_rng(4).uniform(0.0, 5.0, 37)
    together, loop = _over(LOOPS[name], x), LOOPS[name]
    alone = np.concatenate([_over(loop, x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_array_equal(together, alone)
    for n in range(1, len(x)):
        np.testing.assert_array_equal(_over(loop, x[n:]), together[n:])
