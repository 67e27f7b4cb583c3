"""American options by Monte Carlo with regression, after Longstaff and Schwartz (2001), "Valuing American options by simulation: a
simple least-squares approach", Review of Financial Studies 14.

Prices follow a geometric Brownian motion and the option may be exercised now and at equal steps to expiry. Going back from
expiry, what paths in the money go on to pay is regressed on powers of S/K - 1; a path is exercised where it pays at once more
than the regression expects. A date with fewer paths in the money than the polynomial has coefficients is left out.

Random numbers are drawn once and are the same for every contract, state and run with the same number of paths and steps, half
of them the mirror image of the other half: little of what differs between two states is noise. What is made of them is biased
upwards by the regression's sight of its own paths and downwards by the policy; `bounds` gives an estimate from fresh paths on
either side.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from lake.arrays import Floats, Ints
from lake.compiled import compiled
from valuation.kernels.american import exercise_boundary
from valuation.kernels.black import exchange
from valuation.kernels.elementary import exponential, normal

DEGREE = 3  # of the polynomial: four basis functions
_SINGULAR = 1e-12  # a pivot below this fraction of its column's square sum carries no information
_POLICY, _LOWER, _UPPER = 20010101, 20010102, 20010103  # seeds


@functools.lru_cache(maxsize=4)
def brownian(steps: int, paths: int, seed: int = _POLICY) -> Floats:
    """Standard Brownian motion at k / steps, k = 1 to steps, shape (steps, paths): path i + paths/2 mirrors path i. paths is even."""
    draws = np.random.Generator(np.random.Philox(seed)).standard_normal((steps, paths // 2))
    half: Floats = np.add.accumulate(draws) / math.sqrt(steps)
    motion = np.concatenate([half, -half], axis=1)
    motion.setflags(write=False)
    return motion


@compiled
def _fit(payoffs: Floats, worth: Floats, coefficients: Floats, sign: float) -> None:
    """Least squares of what paths in the money go on to pay (`worth`) on powers of S/K - 1, into `coefficients`.

    payoffs : (paths,) sign (S/K - 1); with fewer paths in the money than coefficients the first is made infinite: no exercise.
    A power that says nothing beyond the lower ones, as all do without volatility, gets 0.
    """
    n = len(coefficients)
    moments, right = np.zeros(2 * n - 1), np.zeros(n)
    for p in range(len(payoffs)):
        if payoffs[p] > 0.0:
            power, x = 1.0, sign * payoffs[p]
            for k in range(n):
                moments[k] += power
                right[k] += power * worth[p]
                power *= x
            for k in range(n, 2 * n - 1):
                moments[k] += power
                power *= x
    if moments[0] < n:
        coefficients[:] = 0.0
        coefficients[0] = np.inf
        return
    matrix = np.empty((n, n))
    for i in range(n):
        for k in range(n):
            matrix[i, k] = moments[i + k]
    for k in range(n):  # elimination in the order of powers: the pivot is what a power adds to the lower ones
        if matrix[k, k] <= _SINGULAR * moments[2 * k]:
            matrix[k, k], right[k] = 1.0, 0.0
            for i in range(n):
                if i != k:
                    matrix[i, k] = matrix[k, i] = 0.0
            continue
        for i in range(k + 1, n):
            factor = matrix[i, k] / matrix[k, k]
            right[i] -= factor * right[k]
            for j in range(k, n):
                matrix[i, j] -= factor * matrix[k, j]
    for k in range(n - 1, -1, -1):
        total = right[k]
        for j in range(k + 1, n):
            total -= matrix[k, j] * coefficients[j]
        coefficients[k] = total / matrix[k, k]


@compiled
def _induction(
    relative: Floats, start: float, sign: float, discount: Floats, coefficients: Floats, regress: bool, worth: Floats
) -> None:
    """What each path pays per unit of strike, discounted to today, into `worth` (paths,), when not exercised today.

    relative : (steps, paths) S/S(0); start : S(0)/K; discount : (steps,) factors to each step. The policy is read from
    `coefficients` (steps - 1, n), or written there by regression.
    """
    steps, paths = relative.shape
    payoffs, now = np.empty(paths), np.empty(paths)
    for p in range(paths):
        worth[p] = max(sign * (start * relative[steps - 1, p] - 1.0), 0.0) * discount[steps - 1]
    for j in range(steps - 2, -1, -1):
        for p in range(paths):
            payoffs[p] = sign * (start * relative[j, p] - 1.0)
        if regress:
            for p in range(paths):
                now[p] = worth[p] / discount[j]
            _fit(payoffs, now, coefficients[j], sign)
        for p in range(paths):
            if payoffs[p] > 0.0:
                x, expected = sign * payoffs[p], 0.0
                for k in range(coefficients.shape[1] - 1, -1, -1):
                    expected = expected * x + coefficients[j, k]
                if payoffs[p] > expected:
                    worth[p] = payoffs[p] * discount[j]


def regression(
    relative: Floats, start: float, sign: float, discount: Floats, degree: int = DEGREE
) -> tuple[Floats, Floats]:
    """The policy (steps - 1, degree + 1), and what each path pays under it (paths,), per unit of strike, discounted to today.

    relative : (steps, paths) S/S(0); start : S(0)/K; sign : +1 call or -1 put; discount : (steps,) factors to each step. A row of
    the policy has the coefficients of powers of S/K - 1 in what a path goes on to pay; an infinite one exercises nothing.
    """
    coefficients, worth = np.zeros((max(len(relative) - 1, 1), degree + 1)), np.empty(relative.shape[1])
    _induction(relative, start, sign, discount, coefficients, True, worth)
    return coefficients, worth


@compiled
def _set_paths(motion: Floats, r: float, q: float, v: float, relative: Floats, discount: Floats) -> None:
    """S/S(0) and discount factors at each step; r, q and v over the whole life."""
    steps, paths = motion.shape
    for j in range(steps):
        time = (j + 1.0) / steps
        discount[j] = math.exp(-r * time)
        mean = (r - q - 0.5 * v * v) * time
        for p in range(paths):
            relative[j, p] = exponential(mean + v * motion[j, p])


@compiled
def _pairs(worth: Floats) -> tuple[float, float]:
    """Mean, and its standard error, of paths of which the second half mirrors the first."""
    n = len(worth) // 2
    total, squares = 0.0, 0.0
    for p in range(n):
        total += 0.5 * (worth[p] + worth[p + n])
    mean = total / n
    for p in range(n):
        squares += (0.5 * (worth[p] + worth[p + n]) - mean) ** 2
    return mean, math.sqrt(squares / (n - 1) / n)


@compiled
def _states(
    sign: float, strike: float, root_time: float, spot: Floats, volatility: Floats, discount: Floats, carried: Floats,
    order: Ints, motion: Floats, base_policy: bool, coefficients: Floats, of_paths: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Values and standard errors (n_states,); state 0 comes first in `order`, and writes its policy to `coefficients`.

    of_paths : what each path is worth in each state, (n_states, paths), is written there unless it has no rows.
    """
    steps, paths = motion.shape
    values, errors = np.full(len(spot), np.nan), np.full(len(spot), np.nan)
    relative, factors, worth = np.empty((steps, paths)), np.empty(steps), np.empty(paths)
    own = coefficients.copy()
    made = -1
    for s in order:
        sound = spot[s] >= 0.0 and volatility[s] >= 0.0 and discount[s] > 0.0 and carried[s] > 0.0
        if not (sound and spot[s] + volatility[s] + discount[s] + carried[s] < np.inf):
            continue
        if (
            made < 0
            or discount[s] != discount[made]
            or carried[s] != carried[made]
            or volatility[s] != volatility[made]
        ):
            made = s
            r, q = -math.log(discount[s]), -math.log(carried[s])
            _set_paths(motion, r, q, volatility[s] * root_time, relative, factors)
        start = spot[s] / strike
        if s == 0 or base_policy:
            _induction(relative, start, sign, factors, coefficients, s == 0, worth)
        else:
            _induction(relative, start, sign, factors, own, True, worth)
        mean, error = _pairs(worth)
        values[s] = strike * max(mean, sign * (start - 1.0))
        errors[s] = strike * error if mean > sign * (start - 1.0) else 0.0
        if len(of_paths):
            for p in range(paths):
                of_paths[s, p] = strike * (worth[p] if mean > sign * (start - 1.0) else sign * (start - 1.0))
    return values, errors


def american_option(
    sign: float, strike: float, time: float, spot: Floats, volatility: Floats, discount: Floats, carried: Floats,
    *, paths: int = 10_000, steps: int = 60, base_policy: bool = True, degree: int = DEGREE,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Values of one option under every market state and their standard errors, both (n_states,).

    spot, volatility, discount, carried : (n_states,) as in `american.american_options`; state 0 is the base. base_policy :
    whether what the regression found at the base decides in all states, or each state has a regression of its own; equal states
    have equal bits under either. NaN for a state with a level that is not finite, or negative.
    """
    return _valued(
        sign, strike, time, spot, volatility, discount, carried, paths, steps, base_policy, degree, np.empty((0, paths))
    )


def difference_errors(
    sign: float, strike: float, time: float, spot: Floats, volatility: Floats, discount: Floats, carried: Floats,
    weights: Floats, *, paths: int = 10_000, steps: int = 60, degree: int = DEGREE,
) -> Floats:  # fmt: skip
    """Standard errors (n_differences,) of sums over states of `weights` (n_differences, n_states) times the value of the option there,
    which share their paths and the exercise policy of the base; the other arguments as `american_option`.
    """
    of_paths = np.full((len(spot), paths), np.nan)
    _valued(sign, strike, time, spot, volatility, discount, carried, paths, steps, True, degree, of_paths)
    errors = np.empty(len(weights))
    for d, of_state in enumerate(weights):
        total = np.zeros(paths)
        for s in np.flatnonzero(of_state):
            total += of_state[s] * of_paths[s]
        errors[d] = _pairs(total)[1]
    return errors


def _valued(
    sign: float, strike: float, time: float, spot: Floats, volatility: Floats, discount: Floats, carried: Floats,
    paths: int, steps: int, base_policy: bool, degree: int, of_paths: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    order: Ints = np.lexsort((volatility, carried, discount))
    order = np.concatenate([[0], order[order != 0]])
    coefficients = np.full((max(steps - 1, 1), degree + 1), np.nan)  # no policy from a base without one
    return _states(
        sign, strike, math.sqrt(time), spot, volatility, discount, carried, order, brownian(steps, paths), base_policy,
        coefficients, of_paths,
    )  # fmt: skip


@dataclass(frozen=True)
class Bounds:
    """An estimate with what the true price lies between; each with its standard error. All per unit, in currency.

    value : as priced, its regression having seen its own paths. lower : the same policy on fresh paths, biased downwards only.
    upper : the dual bound, biased upwards only.
    """

    value: float
    standard_error: float
    lower: float
    lower_error: float
    upper: float
    upper_error: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Bounds that hold with this probability at the least: each is moved out by its own error."""
        quantile = NormalDist().inv_cdf(0.5 + 0.5 * level)
        return self.lower - quantile * self.lower_error, self.upper + quantile * self.upper_error


@compiled
def _excess(
    relative: Floats, start: float, sign: float, r: float, q: float, v: float, factors: Floats, boundary: Floats
) -> Floats:
    """For each path the most that a holder who sees the future gains over a martingale, (paths,), per unit of strike.

    The martingale (Rogers 2002, "Monte Carlo valuation of American options") is the discounted value of the European option and
    of what early exercise brings in each step beyond `boundary` (steps,), the interest less the yield. It is one for any
    boundary, and the better the nearer that is to the right one: then it is what the option is worth.
    """
    steps, paths = relative.shape
    interest, dividends = -math.expm1(-r / steps), -math.expm1(-q / steps)
    first = exchange(sign, start * math.exp(-q), math.exp(-r), v)
    realised, most = np.zeros(paths), np.full(paths, max(sign * (start - 1.0), 0.0))
    for j in range(-1, steps):
        left = 1.0 - (j + 1.0) / steps
        carried, cash, deviation = math.exp(-q * left), math.exp(-r * left), v * math.sqrt(left)
        for p in range(paths if j >= 0 else 1):
            asset = start * relative[j, p] if j >= 0 else start
            worth = exchange(sign, asset * carried, cash, deviation) if j >= 0 else 0.0
            log_asset = math.log(asset)
            for k in range(j + 1, steps - 1):
                if boundary[k] > 0.0:
                    u = (k - j) / steps
                    d = (log_asset - math.log(boundary[k]) + (r - q) * u) / (v * math.sqrt(u))
                    plus, minus = d + 0.5 * v * math.sqrt(u), d - 0.5 * v * math.sqrt(u)
                    worth += sign * dividends * asset * math.exp(-q * u) * normal(sign * plus)
                    worth -= sign * interest * math.exp(-r * u) * normal(sign * minus)
            if j < 0:
                first += worth
                continue
            if boundary[j] > 0.0 and sign * (asset - boundary[j]) > 0.0 and j < steps - 1:
                realised[p] += factors[j] * sign * (dividends * asset - interest)
            gained = factors[j] * worth + realised[p] - first
            most[p] = max(most[p], factors[j] * max(sign * (asset - 1.0), 0.0) - gained)
    return most


def bounds(
    sign: float, strike: float, time: float, spot: float, volatility: float, discount: float, carried: float,
    *, paths: int = 10_000, steps: int = 60, degree: int = DEGREE,
) -> Bounds:  # fmt: skip
    """The value of one option in one state with standard error, lower and upper bound; arguments as `american_option`, numbers.

    The price between the bounds is of the option that may be exercised now and at the steps.
    """
    r, q, v = -math.log(discount), -math.log(carried), volatility * math.sqrt(time)
    start, now = spot / strike, max(sign * (spot / strike - 1.0), 0.0)

    def simulated(seed: int, n: int) -> tuple[Floats, Floats]:
        relative, factors = np.empty((steps, n)), np.empty(steps)
        _set_paths(brownian(steps, n, seed), r, q, v, relative, factors)
        return relative, factors

    relative, factors = simulated(_POLICY, paths)
    policy, worth = regression(relative, start, sign, factors, degree)
    value, standard_error = _pairs(worth)
    if value > now:
        relative, factors = simulated(_LOWER, paths)
        _induction(relative, start, sign, factors, policy, False, worth)
        lower, lower_error = _pairs(worth)
    else:
        value, standard_error, lower, lower_error = now, 0.0, now, 0.0
    relative, factors = simulated(_UPPER, max(paths // 20 * 2, 100))  # a tenth of them: its error is far smaller
    boundary = exercise_boundary(sign, r, q, v, 1.0 - np.arange(1, steps + 1) / steps)
    upper, upper_error = _pairs(_excess(relative, start, sign, r, q, v, factors, boundary))
    numbers = (value, standard_error, lower, lower_error, upper, upper_error)
    return Bounds(*(strike * float(x) for x in numbers))
