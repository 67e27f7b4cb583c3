"""European options on a share that pays cash dividends, spot model: the share is lognormal between ex-dates and falls by each dividend.

Just after the last dividend the value is Black's formula. Before each dividend D it is the mean, over the lognormal move since the
dividend before, of the value after it at max(S - D, 0): the trapezoidal rule in the normal variable, whose error on smooth functions
vanishes faster than any power of its step. Between dividends values stand on a grid of the logarithm of the share's price and are
interpolated by quintics. With one dividend there is no grid. A dividend on the day of expiry is part of the strike.
Source: Haug, Haug and Lewis, *Back to basics: a new approach to the discrete dividend problem*, Wilmott magazine, 2003.
"""

from __future__ import annotations

import math

import numpy as np

from lake.arrays import Floats, Ints
from lake.compiled import compiled
from valuation.kernels.black import exchange
from valuation.kernels.elementary import bell, exponential

_WIDTH = 6.0  # standard deviations on each side
_STEP = 0.8  # at most, of the trapezoidal rule in standard deviations
_GRID = 6.0  # points of the grid in one standard deviation of what is still to come
_MOST = 4096  # points of a grid or a rule
_ROOT_TWO_PI = math.sqrt(2.0 * math.pi)


@compiled
def _on_grid(values: Floats, n: int, low: float, step: float, at_zero: float, price: float) -> float:
    """The value at a price: quintic through the six grid points around it; below the grid on the line to its value at zero."""
    if not price > 0.0:
        return at_zero
    place = (math.log(price) - low) / step
    if place <= 0.0:
        return float(at_zero + (values[0] - at_zero) * (price / math.exp(low)))
    k = min(max(int(place) - 2, 0), n - 6)
    t = min(place - k, 5.0) - 2.0
    low_end, high_end = (t + 2.0) * (t + 1.0), (t - 2.0) * (t - 3.0)
    middle = t * (t - 1.0)
    return float(
        (
            (values[k + 5] * (t - 2.0) * low_end - values[k] * (t + 1.0) * high_end) * middle / 5.0
            + (values[k + 1] * (t + 2.0) * high_end - values[k + 4] * (t - 3.0) * low_end) * middle
            + 2.0 * (values[k + 3] * t - values[k + 2] * (t - 1.0)) * low_end * high_end
        )
        / 24.0
    )


@compiled
def _value(
    sign: float, spot: float, strike: float, time: float, vol: float, growth: Floats, ex: Floats, paid: Floats, n: int
) -> float:
    """Undiscounted value. growth : (n + 1,) of the share's forward up to each dividend, and from the last to expiry."""
    sound = spot >= 0.0 and strike > 0.0 and vol >= 0.0 and vol < math.inf and growth[n] > 0.0
    for j in range(n):
        # NaN fails every comparison; the maximum of it and 0 would be 0
        sound = sound and growth[j] > 0.0 and paid[j] >= 0.0 and paid[j] < math.inf
    if not sound:
        return math.nan
    if n == 0 or vol == 0.0:
        price = spot
        for j in range(n):
            price = max(price * growth[j] - paid[j], 0.0)
        return exchange(sign, price * growth[n], strike, vol * math.sqrt(time))
    at_zero = strike if sign < 0.0 else 0.0
    rest = vol * math.sqrt(time - ex[n - 1])
    values, low, step, points = np.empty(0), 0.0, 0.0, 0  # of the dividend after
    for j in range(n - 1, -1, -1):
        since = ex[j - 1] if j > 0 else 0.0
        deviation = vol * math.sqrt(ex[j] - since)
        # what is integrated is as smooth as what is left to expiry makes it: the rule then errs by exp(-2 pi^2) = 3e-9
        width = min(_STEP, math.sqrt((time - ex[j]) / (time - since)))
        half = min(int(_WIDTH / width) + 1, _MOST // 2)
        width = _WIDTH / half
        moves, weights, after = np.empty(2 * half + 1), np.empty(2 * half + 1), np.empty(2 * half + 1)
        for z in range(2 * half + 1):
            x = (z - half) * width
            moves[z] = growth[j] * exponential(deviation * x - 0.5 * deviation * deviation)
            weights[z] = width * bell(abs(x)) / _ROOT_TWO_PI
        # where the share may stand just after the dividend before
        if j == 0:
            new, here, below, gap = np.empty(1), 1, math.log(spot) if spot > 0.0 else 0.0, 1.0
        else:
            mean, lost = spot, 0.0
            for i in range(j):
                mean *= growth[i]
                lost = lost * growth[i] + paid[i]
            spread = _WIDTH * vol * math.sqrt(since)
            top = math.log(mean) + spread
            below = math.log(max(mean - lost, 0.05 * mean)) - spread
            gap = vol * math.sqrt(time - since) / _GRID
            here = min(max(int((top - below) / gap) + 2, 8), _MOST)
            gap = (top - below) / (here - 1)
            new = np.empty(here)
        for i in range(here):
            start = spot if j == 0 else math.exp(below + i * gap)
            if j == n - 1:
                for z in range(2 * half + 1):
                    after[z] = exchange(sign, max(start * moves[z] - paid[j], 0.0) * growth[n], strike, rest)
            else:
                for z in range(2 * half + 1):
                    after[z] = _on_grid(values, points, low, step, at_zero, max(start * moves[z] - paid[j], 0.0))
            total = 0.0
            for z in range(2 * half + 1):
                total += weights[z] * after[z]
            new[i] = total
        values, low, step, points = new, below, gap, here
    return float(values[0])


@compiled
def _rows(
    sign: Floats,
    strike: Floats,
    time: Floats,
    dividend_yield: Floats,
    spot: Floats,
    volatility: Floats,
    discount: Floats,
    offsets: Ints,
    columns: Ints,
    ex_times: Floats,
    amounts: Floats,
    ex_discount: Floats,
) -> Floats:
    n, m = spot.shape
    out = np.empty((n, m))
    longest = 0
    for i in range(n):
        longest = max(longest, offsets[i + 1] - offsets[i])
    ex, paid, growth = np.empty(longest), np.empty(longest), np.empty(longest + 1)
    for i in range(n):
        for s in range(m):
            count, exercise = 0, strike[i]
            factor, before = 1.0, 0.0
            for j in range(offsets[i], offsets[i + 1]):
                row = columns[j]
                if ex_times[row] >= time[i]:
                    exercise += amounts[row, s]
                    continue
                ex[count], paid[count] = ex_times[row], amounts[row, s]
                growth[count] = factor / ex_discount[row, s] * math.exp(-dividend_yield[i] * (ex[count] - before))
                factor, before = ex_discount[row, s], ex[count]
                count += 1
            growth[count] = factor / discount[i, s] * math.exp(-dividend_yield[i] * (time[i] - before))
            out[i, s] = discount[i, s] * _value(
                sign[i], spot[i, s], exercise, time[i], volatility[i, s], growth, ex, paid, count
            )
    return out


def spot_model_options(
    sign: Floats,
    strike: Floats,
    time: Floats,
    dividend_yield: Floats,
    spot: Floats,
    volatility: Floats,
    discount: Floats,
    offsets: Ints,
    columns: Ints,
    ex_times: Floats,
    amounts: Floats,
    ex_discount: Floats,
) -> Floats:
    """Values of options under every market state, shape (n_options, n_states).

    sign, strike, time, dividend_yield : (n_options,) +1 call or -1 put, years to expiry, continuous yield beside the dividends;
    spot, volatility, discount : (n_options, n_states). Option i has the dividends columns[offsets[i]:offsets[i + 1]] by
    rising ex-date, none after expiry: ex_times (n_dividends,) years > 0; amounts, ex_discount : (n_dividends, n_states) cash a share
    and the discount factor to the ex-date. At volatility 0 the discounted intrinsic value. NaN for a spot, volatility or dividend
    that is negative or not finite.
    """
    return _rows(
        sign, strike, time, dividend_yield, spot, volatility, discount, offsets, columns, ex_times, amounts, ex_discount
    )
