"""The exponential, the logarithm and the normal distribution, made of arithmetic alone.

A library's functions are called for one number at a time, and their last bit differs between libraries and processors. These have
neither a call nor a branch: a loop over states runs on as many at once as the processor holds, and as every product and sum is
rounded by itself (no fused multiply-add), the bits are the same on every machine. Largest errors, against 40 digits:

    exponential      1.6e-16 of itself         logarithm          1.6e-16 of itself
    normal, x > 0    1.2e-16                   normal, x <= 0     1.5e-15 of itself, down to x = -37.5, where doubles lose digits

They are exact at the ends: exp(0) = 1, exp(-inf) = 0, log(1) = 0, log(0) = -inf, N(-inf) = 0, N(0) = 1/2, N(inf) = 1; NaN stays NaN.
The exponential is a polynomial on |r| <= ln(2)/2 times a power of two, the logarithm that of fdlibm (Sun Microsystems, 1993). With
t = |x|, N(-t) = exp(-t^2/2) M(t), where the ratio of Mills, over sqrt(2 pi), is a quotient of polynomials fitted on [0, 39] to 5e-17
(weighted least squares in 80 digits). All its coefficients are positive, so that nothing cancels.
"""

from __future__ import annotations

import math

import numpy as np

from lake.compiled import inlined

VERSION = "elementary-1"  # part of every pricer's

_PER_LN2 = 1.4426950408889634
_LN2_HEAD, _LN2_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # the head times an exponent is exact
_TO_INTEGER = 6755399441055744.0  # 1.5 x 2^52: a number that it is added to is rounded to an integer, in its low bits
_MOST, _LEAST = 710.0, -746.0  # beyond them exp is infinite and zero
_FAR = 39.0  # beyond it N(-t) is zero

_SMALLEST = 2.2250738585072014e-308  # of the numbers with all their digits
_UP = 18014398509481984.0  # 2^54
_ONE, _ROOT_HALF = 0x3FF0000000000000, 0x3FE6A09E667F3BCD  # bits of 1 and of the root of 1/2
_DIGITS = 0x000FFFFFFFFFFFFF
_EXPONENT = 0xFFF
_TWO_52, _TWO_52_BITS = 4503599627370496.0, 0x4330000000000000
_HEAD = -0x8000000  # the upper 26 digits, whose square is exact


@inlined
def _bits(x: float) -> int:
    return int(np.float64(x).view(np.int64))


@inlined
def _of_bits(bits: int) -> float:
    return float(np.int64(bits).view(np.float64))


@inlined
def _exponential(k: float, r: float) -> float:
    """2^k e^r, k an integer and |r| <= ln(2)/2; in two powers, of which neither leaves the doubles."""
    half = 0.5 * k + _TO_INTEGER
    rest = (k - (half - _TO_INTEGER)) + _TO_INTEGER
    rise = 0.5000000000000001 + r * (
        0.16666666666666667
        + r
        * (
            0.041666666666624136
            + r
            * (
                0.008333333333330062
                + r
                * (
                    0.0013888888917209671
                    + r
                    * (
                        0.00019841269863050506
                        + r
                        * (
                            2.4801521302241083e-05
                            + r * (2.7557268464831626e-06 + r * (2.7620085455018416e-07 + r * 2.5100383195867021e-08))
                        )
                    )
                )
            )
        )
    )
    power = 1.0 + (r + r * r * rise)
    return power * _of_bits((_bits(half) + 1023) << 52) * _of_bits((_bits(rest) + 1023) << 52)


@inlined
def exponential(x: float) -> float:
    """e^x."""
    x = _MOST if x > _MOST else x
    x = _LEAST if x < _LEAST else x
    k = (x * _PER_LN2 + _TO_INTEGER) - _TO_INTEGER
    return _exponential(k, (x - k * _LN2_HEAD) - k * _LN2_REST)


@inlined
def logarithm(x: float) -> float:
    """ln(x); -infinity at zero, NaN below."""
    few = x < _SMALLEST
    bits = _bits(x * _UP if few else x) + (_ONE - _ROOT_HALF)
    exponent = _of_bits(((bits >> 52) & _EXPONENT) | _TWO_52_BITS)
    k = exponent - (_TWO_52 + (1023.0 + 54.0 if few else 1023.0))
    f = _of_bits((bits & _DIGITS) + _ROOT_HALF) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    half = 0.5 * f * f
    value = k * _LN2_HEAD - ((half - (s * (half + (odd + even)) + k * _LN2_REST)) - f)
    value = value if x < math.inf else x  # and NaN
    return value if x > 0.0 else -math.inf if x == 0.0 else math.nan


@inlined
def logarithm_of_one_and(x: float) -> float:
    """ln(1 + x), to the last digits of a small x."""
    u = 1.0 + x
    lost = (x - (u - 1.0)) / u  # in the sum
    return logarithm(u) + (lost if 0.0 < u < math.inf else 0.0)


@inlined
def bell(t: float) -> float:
    """exp(-t^2 / 2), t >= 0."""
    t = _FAR if t > _FAR else t
    head = _of_bits(_bits(t) & _HEAD)
    x = -0.5 * head * head
    k = (x * _PER_LN2 + _TO_INTEGER) - _TO_INTEGER
    return _exponential(k, (x - k * _LN2_HEAD) - (k * _LN2_REST + 0.5 * (t - head) * (t + head)))


@inlined
def mills(t: float) -> float:
    """N(-t) exp(t^2 / 2), t >= 0."""
    t = _FAR if t > _FAR else t
    above = 0.49999999999999997415 + t * (
        0.77489899197891650962
        + t
        * (
            0.5940814967268383515
            + t
            * (
                0.28935706823510312827
                + t
                * (
                    0.097709968982763261127
                    + t
                    * (
                        0.023625549824198433114
                        + t
                        * (
                            0.0040899473337480209022
                            + t
                            * (
                                0.00049050377202061710578
                                + t * (0.000037261401426868764167 + t * 1.3859862082933243029e-6)
                            )
                        )
                    )
                )
            )
        )
    )
    below = 1.0 + t * (
        2.3476825447606883861
        + t
        * (
            2.5613426495849309848
            + t
            * (
                1.7144901393832193887
                + t
                * (
                    0.78210704377216120402
                    + t
                    * (
                        0.25498773594047222785
                        + t
                        * (
                            0.060443033936568464383
                            + t
                            * (
                                0.010345378099744270722
                                + t
                                * (
                                    0.0012329847761764962974
                                    + t * (0.000093400482366839983029 + t * 3.4741522179669163859e-6)
                                )
                            )
                        )
                    )
                )
            )
        )
    )
    return above / below


@inlined
def normal_beside(x: float, bell_of_x: float) -> float:
    """`normal` of an x whose bell(|x|) is known."""
    tail = bell_of_x * mills(abs(x))
    return 1.0 - tail if x > 0.0 else tail


@inlined
def normal(x: float) -> float:
    """N(x), the probability that a standard normal variable is below x."""
    return normal_beside(x, bell(abs(x)))
