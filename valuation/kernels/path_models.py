"""Gaussian drivers of market paths on any grid of dates, and what discount factors they give. Pure arrays.

Drivers are short rates and lognormal prices. In the Hull-White one-factor model the short rate of a currency is r = x + phi, with
dx = -a x dt + sigma dW and x(0) = 0; a step of any length is drawn exactly, the state x and its integral together. With
B(t) = (1 - exp(-at)) / a and U(t) = (1 - exp(-2at)) / (2a) the discount factor at t to T = t + s is

    P(t,T) = P(0,T) / P(0,t) exp(-B(s) (x + sigma^2 B(t)^2 / 2) - B(s)^2 sigma^2 U(t) / 2),

and the bank account 1 / P(0,t) exp(V(t) / 2 + integral of x), V(t) = sigma^2 times the integral of B^2 being the variance of that integral.
Source: Hull and White, "Pricing interest-rate derivative securities", Review of Financial Studies 3 (1990); Brigo and Mercurio,
*Interest Rate Models*, ch. 3.3; Glasserman, *Monte Carlo Methods in Financial Engineering*, ch. 3.1 (bridges) and 6.4 (extremes).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lake.arrays import Floats
from lake.compiled import compiled
from scenarios.kernels.covariance import triangular_loadings
from scenarios.kernels.random_blocks import PATHS, Draws
from valuation.kernels.elementary import exponential

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)  # exact to the last digits for what is smooth over a step


def slope(mean_reversion: float, times: Floats) -> Floats:
    """B(t) = (1 - exp(-at)) / a, t itself where a is zero; times (n,) in years."""
    if mean_reversion == 0.0:
        return np.asarray(times, dtype=np.float64).copy()
    slopes: Floats = -np.expm1(-mean_reversion * times) / mean_reversion
    return slopes


def integral_of_slope(mean_reversion: float, time: float) -> float:
    """Integral of B from 0 to a time."""
    return _integral(lambda u: slope(mean_reversion, u), time)


def integral_variance(volatility: float, mean_reversion: float, time: float) -> float:
    """V(t): variance of the integral of x from 0 to a time."""
    return volatility * volatility * _integral(lambda u: slope(mean_reversion, u) ** 2, time)


def _integral(of: Callable[[Floats], Floats], time: float) -> float:
    values: Floats = _WEIGHTS * of(0.5 * time * (_NODES + 1.0))
    return 0.5 * time * math.fsum(values.tolist())


def step_covariance(mean_reversions: Floats, volatilities: Floats, correlation: Floats, years: float) -> Floats:
    """Covariance (m, m) of what a step of `years` adds to the drivers: the state and the integral of each rate in turn, then prices.

    mean_reversions, volatilities : (n_rates,); correlation : (n, n) of rates, then prices, whose Brownian motions have variance t.
    """
    n_rates, n = len(mean_reversions), len(correlation)
    to_end = 0.5 * years * (_NODES + 1.0)
    rows: list[Floats] = []
    owner: list[int] = []
    for i in range(n_rates):
        a = float(mean_reversions[i])
        rows += [volatilities[i] * np.exp(-a * to_end), volatilities[i] * slope(a, to_end)]
        owner += [i, i]
    rows += [np.ones_like(to_end)] * (n - n_rates)
    owner += range(n_rates, n)
    f, place = np.array(rows), np.array(owner)
    weights = 0.5 * years * _WEIGHTS
    covariance: Floats = np.einsum("ik,jk,k->ij", f, f, weights, optimize=False)
    whole: Floats = covariance * correlation[np.ix_(place, place)]
    return whole


def step_loadings(covariance: Floats) -> Floats:
    """Lower-triangular L (m, m) with L L' = covariance; a driver without variance has a row of zeros."""
    deviation = np.sqrt(np.diagonal(covariance))
    inverse = np.divide(1.0, deviation, out=np.zeros(len(deviation)), where=deviation > 0)
    correlation = covariance * np.outer(inverse, inverse)
    np.fill_diagonal(correlation, 1.0)
    loadings: Floats = deviation[:, None] * triangular_loadings(0.5 * (correlation + correlation.T))
    return loadings


@compiled
def _step(state: Floats, loadings: Floats, normal: Floats, decay: Floats, slopes: Floats, out: Floats) -> None:
    """out = the drivers after a step; sums over columns in their order.

    state, out : (m, n_paths), the state and integral of each rate in turn first; decay, slopes : (n_rates,) exp(-ah), B(h).
    """
    m, n = out.shape
    rates = len(decay)
    for i in range(m):
        for s in range(n):
            out[i, s] = 0.0
        for j in range(i + 1):
            load = loadings[i, j]
            if load != 0.0:
                for s in range(n):
                    out[i, s] += load * normal[j, s]
        if i >= 2 * rates:
            for s in range(n):
                out[i, s] += state[i, s]
        elif i % 2 == 0:
            for s in range(n):
                out[i, s] += decay[i // 2] * state[i, s]
        else:
            for s in range(n):
                out[i, s] += state[i, s] + slopes[i // 2] * state[i - 1, s]


def evolved(
    draws: Iterator[Draws], mean_reversions: Floats, years: Sequence[float], loadings: Sequence[Floats]
) -> Floats:
    """Drivers of an atomic block of paths at the end of each step, (n_steps, m, PATHS); years, loadings : of each step."""
    m = len(loadings[0]) if loadings else 0
    out = np.empty((len(loadings), m, PATHS))
    state = np.zeros((m, PATHS))
    for k, (drawn, step, load) in enumerate(zip(draws, years, loadings, strict=True)):
        one = np.full(1, step)
        decay: Floats = np.array([math.exp(-a * step) for a in mean_reversions.tolist()])
        slopes: Floats = np.array([slope(a, one)[0] for a in mean_reversions.tolist()])
        _step(state, load, np.ascontiguousarray(drawn.normal), decay, slopes, out[k])
        state = out[k]
    return out


def bridge(
    mean_reversion: float | None,
    volatility: float,
    before: float,
    after: float,
    early: Floats,
    late: Floats,
    normal: Floats,
) -> Floats:
    """Drivers (d, n_paths) on a day between two dates at which they are known, drawn from their law given both.

    mean_reversion : of a rate, whose state and integral are the rows (d = 2); None for a price, whose Brownian motion is the row (d = 1).
    before, after : years from the earlier date and to the later one; early, late, normal : (d, n_paths).
    """
    if mean_reversion is None:
        total = before + after
        share, deviation = before / total, math.sqrt(before * after / total)
        between: Floats = early + share * (late - early) + deviation * normal
        return between
    a = np.array([mean_reversion])
    one = np.ones((1, 1))
    sigma = np.array([volatility])
    first, second = (step_covariance(a, sigma, one, h) for h in (before, after))
    f1, f2 = _moves_on(mean_reversion, before), _moves_on(mean_reversion, after)
    whole = _product(_product(f2, first), f2.T) + second
    gain = _product(_product(first, f2.T), _inverse(whole))
    left = first - _product(_product(gain, f2), first)
    low = np.zeros((2, 2))
    low[0, 0] = math.sqrt(max(left[0, 0], 0.0))
    low[1, 0] = left[1, 0] / low[0, 0] if low[0, 0] > 0.0 else 0.0
    low[1, 1] = math.sqrt(max(left[1, 1] - low[1, 0] ** 2, 0.0))
    mean = _apply(f1, early)
    drawn: Floats = mean + _apply(gain, late - _apply(f2, mean)) + _apply(low, normal)
    return drawn


def _moves_on(mean_reversion: float, years: float) -> Floats:
    return np.array(
        [[math.exp(-mean_reversion * years), 0.0], [float(slope(mean_reversion, np.array([years]))[0]), 1.0]]
    )


def _product(one: Floats, two: Floats) -> Floats:
    made: Floats = np.einsum("ij,jk->ik", one, two, optimize=False)
    return made


def _inverse(matrix: Floats) -> Floats:
    determinant = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    inverse: Floats = np.array([[matrix[1, 1], -matrix[0, 1]], [-matrix[1, 0], matrix[0, 0]]]) / determinant
    return inverse


def _apply(matrix: Floats, rows: Floats) -> Floats:
    made: Floats = np.stack([matrix[i, 0] * rows[0] + matrix[i, 1] * rows[1] for i in range(2)])
    return made


@compiled
def affine_factors(constants: Floats, slopes: Floats, state: Floats) -> Floats:
    """exp(constants[j] - slopes[j] state[s]), (n_times, n_states)."""
    n, m = len(constants), len(state)
    out = np.empty((n, m))
    for j in range(n):
        constant, b = constants[j], slopes[j]
        for s in range(m):
            out[j, s] = exponential(constant - b * state[s])
    return out


@compiled
def exponentials(values: Floats) -> Floats:
    """exp of each value, (n,): the same bits on every machine."""
    out = np.empty(len(values))
    for s in range(len(values)):
        out[s] = exponential(values[s])
    return out


def extreme(early: Floats, late: Floats, variance: float, uniform: Floats, *, lowest: bool) -> Floats:
    """The least (or greatest) logarithm of a price between two dates, (n_paths,), drawn from its law given both ends.

    early, late : logarithms (n_paths,); variance : sigma^2 times the years between; uniform : in (0, 1).
    """
    apart = late - early
    root = np.sqrt(apart * apart - 2.0 * variance * np.log(uniform))
    reached: Floats = 0.5 * (early + late - root) if lowest else 0.5 * (early + late + root)
    return reached


def swap_rate_slope(mean_reversion: float, starts: Floats, discounts: Floats, coupon_years: Floats) -> float:
    """How a forward swap rate moves with the state x of the short rate where the rate fixes: what turns its normal volatility into sigma.

    starts : (n + 1,) years from the fixing of the first day and each payment day, the first 0; discounts : forward discount factors to
    them, 1 first; coupon_years : (n,) accruals. The rate is (1 - P_n) / sum of accrual x P, whose slope this is at x = 0.
    """
    b = slope(mean_reversion, starts[1:])
    annuity = math.fsum((coupon_years * discounts[1:]).tolist())
    rate = (1.0 - float(discounts[-1])) / annuity
    paid = math.fsum((coupon_years * discounts[1:] * b).tolist())
    return (float(discounts[-1]) * float(b[-1]) + rate * paid) / annuity
