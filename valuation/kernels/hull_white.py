"""Bermudan options on fixed cash flows in the Hull-White one-factor model, by backward induction on a grid.

With a the mean reversion and sigma the volatility of the short rate, the model has one Gaussian state y with y(0) = 0 and variance
zeta(t) = sigma^2 (exp(2at) - 1) / (2a). In units of the numeraire a unit paid at T is worth, at any t before,

    P(0,T) exp(-H(T) y - H(T)^2 zeta(t) / 2),  H(T) = (1 - exp(-aT)) / a - c,

for any constant c, which names the numeraire. Values in these units are martingales, and y(t) is normal with variance zeta(t):
so a value at one exercise date is the integral of that at the next over a Gaussian kernel. With u = y / sqrt(zeta(t)) neither the grid
nor the kernels depend on sigma or on the curve: they are those of the contract, for all states.
The trapezoidal rule is spectrally accurate for smooth integrands. Where exercise and continuation cross, the integrand has a kink;
there the sums are corrected by the Euler-Maclaurin formula at the crossing itself, so that a price moves smoothly from state to state.
Source: Hull and White, "Pricing interest-rate derivative securities", Review of Financial Studies 3 (1990); Hagan, "Evaluating and
hedging exotic swap instruments via LGM" (2004).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import Polynomial

from lake.arrays import Floats, Ints
from lake.compiled import compiled
from valuation.kernels.elementary import exponential

_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
_REACH = 8.5  # standard deviations of a kernel that count
_STENCIL = 6  # nodes around a crossing: two before its cell and three after
_BLOCK = 32  # states at a time, so that the grid stays in the first-level cache


def _basis() -> list[Polynomial]:
    """The polynomials, in the place within a cell, that are 1 at one node of the stencil around it and 0 at the others."""
    nodes = range(-2, _STENCIL - 2)
    factors = {(n, m): Polynomial([-m, 1.0]) / (n - m) for n in nodes for m in nodes if m != n}
    return [math.prod((factors[n, m] for m in nodes if m != n), start=Polynomial([1.0])) for n in nodes]


def _kink_weights() -> Floats:
    """Coefficients (_STENCIL, degree + 1), in the place of the crossing within its cell, of what each node adds to a sum over the
    nodes beyond the crossing, in units of the step.

    The integral from r on of a function that is the polynomial through the stencil is its sum at r + (n + alpha) steps, n >= 0, plus
    the sum over k >= 1 of B_k(alpha) / k! times its derivative of order k - 1 at r.
    """
    alpha = Polynomial([1.0, -1.0])  # 1 less the place within the cell
    numbers = [1.0]  # of Bernoulli
    weights = np.zeros((_STENCIL, _STENCIL + 1))
    for k in range(1, _STENCIL + 1):
        numbers.append(-sum(math.comb(k + 1, j) * numbers[j] for j in range(k)) / (k + 1))
        bernoulli = sum((math.comb(k, j) * numbers[j] * alpha ** (k - j) for j in range(k + 1)), Polynomial([0.0]))
        for row, basis in enumerate(_basis()):
            term = np.asarray((bernoulli * basis.deriv(k - 1) / math.factorial(k)).coef, dtype=np.float64)
            weights[row, : len(term)] += term
    return weights


_KINK, _BASIS = _kink_weights(), np.array([b.coef for b in _basis()])


def unit_variance(mean_reversion: float, times: Floats) -> Floats:
    """Variance of the state at these times for a volatility of one, (n,)."""
    if mean_reversion == 0.0:
        return times.copy()
    variance: Floats = np.expm1(2.0 * mean_reversion * times) / (2.0 * mean_reversion)
    return variance


def sensitivity(mean_reversion: float, times: Floats) -> Floats:
    """H of these times for c = 0, (n,): minus the slope of the logarithm of a discount factor in the state."""
    if mean_reversion == 0.0:
        return times.copy()
    slope: Floats = -np.expm1(-mean_reversion * times) / mean_reversion
    return slope


@compiled
def _crossing(gain: Floats, j: int, s: int) -> float:
    """Where in the cell from node j to j + 1 the gain of a state is zero, from 0 to 1, on the polynomial through the stencil."""
    slope = np.zeros(_STENCIL)
    for k in range(_STENCIL):
        for n in range(_STENCIL):
            slope[k] += _BASIS[n, k] * gain[j - 2 + n, s]
    low, high = 0.0, 1.0
    rising = gain[j + 1, s] >= 0.0
    theta = float(gain[j, s] / (gain[j, s] - gain[j + 1, s]))
    for _ in range(8):
        level, change = 0.0, 0.0
        for k in range(_STENCIL - 1, -1, -1):
            change = change * theta + level
            level = level * theta + slope[k]
        if (level >= 0.0) == rising:
            high = theta
        else:
            low = theta
        step = theta - level / change
        if not low <= step <= high:
            step = 0.5 * (low + high)
        if abs(step - theta) < 1e-12:
            break
        theta = step
    return theta


@compiled
def _smoothed(exercise: Floats, value: Floats, gain: Floats, states: int) -> None:
    """Makes `value`, the continuation (n_nodes, _BLOCK), the larger of it and of exercise, such that sums over nodes are integrals."""
    n = value.shape[0]
    for i in range(n):
        for s in range(states):
            gain[i, s] = exercise[i, s] - value[i, s]
            # written so that NaN goes on
            value[i, s] += gain[i, s] if not gain[i, s] < 0.0 else 0.0
    for j in range(2, n - _STENCIL + 3):
        for s in range(states):
            if (gain[j, s] < 0.0) != (gain[j + 1, s] < 0.0):
                theta = _crossing(gain, j, s)
                side = 1.0 if gain[j, s] < 0.0 else -1.0
                for k in range(_STENCIL):
                    weight = 0.0
                    for power in range(_STENCIL, -1, -1):
                        weight = weight * theta + _KINK[k, power]
                    value[j - 2 + k, s] += side * weight * gain[j - 2 + k, s]


@compiled
def _step(deviations: Floats, k: int, first: int) -> tuple[float, float]:
    """How much of a deviation at the date before (today where k is the first) is left at date k, and the deviation that is added."""
    ratio = 0.0 if k == first else deviations[k - 1] / deviations[k]
    return ratio, math.sqrt((1.0 - ratio) * (1.0 + ratio))


@compiled
def bermudan(
    deviations: Floats,
    entry_slopes: Floats,
    entries: Floats,
    first_flow: Ints,
    flow_slopes: Floats,
    flows: Floats,
    volatility: Floats,
    nodes: Floats,
) -> tuple[Floats, Floats]:
    """What exercise on the first date gives, and what it is worth to wait, each (n_states,); the option is the larger of the two.

    deviations : (n_dates,) standard deviation of the state at each exercise date for a volatility of one, ascending; the first may be
    zero, today, and where it is not exercise gives -infinity now. Exercise on date k is worth the cash flow `entries[k]` and those
    `flows` from first_flow[k] on: present values (n_dates, n_states) and (n_flows, n_states), with slopes H (n_dates,) and (n_flows,).
    volatility : (n_states,) of the short rate, NaN where it is negative. nodes : (n_nodes,) the grid of u, ascending and even.
    """
    dates, states, n = len(deviations), len(volatility), len(nodes)
    step = nodes[1] - nodes[0]
    now = np.full(states, -math.inf)
    later = np.zeros(states)
    value, exercise, gain = np.empty((n, _BLOCK)), np.empty((n, _BLOCK)), np.empty((n, _BLOCK))
    first = 1 if deviations[0] == 0.0 else 0
    if first == 1:
        for s in range(states):
            now[s] = entries[0, s]
            for c in range(first_flow[0], len(flow_slopes)):
                now[s] += flows[c, s]
    if first == dates:
        return now, later
    # Weights of nodes low to high - 1 of date k in the value at node i a date before (of the first: today, one node), in one row.
    low = np.zeros((dates, n), np.int64)
    high = np.zeros((dates, n), np.int64)
    place = np.zeros((dates, n), np.int64)
    size = 0
    for k in range(first, dates):
        ratio, width = _step(deviations, k, first)
        for i in range(1 if k == first else n):
            low[k, i] = max(0, math.ceil((ratio * nodes[i] - _REACH * width - nodes[0]) / step))
            high[k, i] = min(n, math.floor((ratio * nodes[i] + _REACH * width - nodes[0]) / step) + 1)
            place[k, i] = size - low[k, i]
            size += high[k, i] - low[k, i]
    weights = np.empty(size)
    for k in range(first, dates):
        ratio, width = _step(deviations, k, first)
        for i in range(1 if k == first else n):
            for j in range(low[k, i], high[k, i]):
                distance = (nodes[j] - ratio * nodes[i]) / width
                weights[place[k, i] + j] = step * _DENSITY / width * math.exp(-0.5 * distance * distance)
    terms, ratios = np.empty(_BLOCK), np.empty(_BLOCK)
    for begin in range(0, states, _BLOCK):
        m = min(_BLOCK, states - begin)
        value[:] = 0.0
        for k in range(dates - 1, first - 1, -1):
            exercise[:] = 0.0
            for c in range(first_flow[k] - 1, len(flow_slopes)):
                entry = c < first_flow[k]
                slope = entry_slopes[k] if entry else flow_slopes[c]
                for s in range(m):
                    v = slope * volatility[begin + s] * deviations[k]
                    terms[s] = (entries[k, begin + s] if entry else flows[c, begin + s]) * exponential(
                        -v * nodes[0] - 0.5 * v * v
                    )
                    ratios[s] = exponential(-v * step)
                for i in range(n):
                    for s in range(m):
                        exercise[i, s] += terms[s]
                        terms[s] *= ratios[s]
            _smoothed(exercise, value, gain, m)
            rows = 1 if k == first else n
            exercise[:rows] = 0.0
            for i in range(rows):
                for j in range(low[k, i], high[k, i]):
                    weight = weights[place[k, i] + j]
                    for s in range(m):
                        exercise[i, s] += weight * value[j, s]
            value[:rows] = exercise[:rows]
        for s in range(m):
            later[begin + s] = value[0, s]
    return now, later
