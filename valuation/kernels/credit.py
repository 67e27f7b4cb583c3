"""Legs of credit contracts in closed form, and hazard rates from the par spreads of credit default swaps.

Where the hazard rate h and the forward rate f are constant over dt, with x = (f + h) dt, and P and Q the discount factor and
the survival probability at the start, a default within dt is worth

    P Q h dt phi(x)                            for a unit paid at default,  phi(x) = (1 - exp(-x)) / x,
    P Q h dt (lead phi(x) + dt psi(x))         for a unit a year accrued,   psi(x) = (phi(x) - exp(-x)) / x,

where `lead` is how long the coupon has accrued at the start. A path is a list of rows of a grid of times between which both
rates are constant, so that the sum over it is exact. Arrays on the grid have shape (n_times, n_states); times are years.
Lists of paths are compressed sparse rows: path i has the rows columns[offsets[i]:offsets[i + 1]].
Source: ISDA CDS Standard Model; White, "The Pricing and Risk Management of Credit Default Swaps, with a Focus on the ISDA
Model", OpenGamma (2013).
"""

from __future__ import annotations

import math

import numpy as np

from lake.arrays import Floats, Ints
from lake.compiled import compiled
from valuation.kernels.elementary import exponential, logarithm

_SMALL = 0.2  # below it phi and psi are power series, to an error of 1e-17; beyond, their closed form loses few digits
_N = np.arange(12.0)
_PHI, _PSI, _CHI = 1 / (_N + 2), (_N + 2) / ((_N + 1) * (_N + 3)), (_N + 3) / ((_N + 1) * (_N + 4))
_MOST_HAZARD = 1e3  # a year: a name that lives for hours; no hazard rate gives the spread
_MOST_STEPS = 100
_EXACT = 4e-16


@compiled
def _series(ratios: Floats, x: float) -> float:
    """1 - ratios[0] x (1 - ratios[1] x (1 - ...))."""
    total = 1.0
    for n in range(len(ratios) - 1, -1, -1):
        total = 1.0 - ratios[n] * x * total
    return total


@compiled
def _phi(x: float) -> float:
    return _series(_PHI, x) if abs(x) < _SMALL else -math.expm1(-x) / x


@compiled
def _psi(x: float) -> float:
    """-phi'(x)."""
    return 0.5 * _series(_PSI, x) if abs(x) < _SMALL else (_phi(x) - math.exp(-x)) / x


@compiled
def _chi(x: float) -> float:
    """-psi'(x)."""
    return _series(_CHI, x) / 3.0 if abs(x) < _SMALL else (2.0 * _psi(x) - math.exp(-x)) / x


@compiled
def logarithms(factors: Floats) -> Floats:
    """Natural logarithms of an array (n, m), NaN where there is none."""
    out = np.empty(factors.shape)
    for i in range(factors.shape[0]):
        for s in range(factors.shape[1]):
            out[i, s] = logarithm(factors[i, s]) if factors[i, s] > 0.0 else math.nan
    return out


@compiled
def default_values(offsets: Ints, columns: Ints, discount: Floats, survival: Floats) -> Floats:
    """Value of a unit paid at a default on each path, shape (n_paths, n_states), given survival to time 0.

    discount, survival : logarithms of discount factors and survival probabilities on the grid.
    """
    n, m = len(offsets) - 1, discount.shape[1]
    out = np.zeros((n, m))
    for i in range(n):
        for j in range(offsets[i], offsets[i + 1] - 1):
            a, b = columns[j], columns[j + 1]
            for s in range(m):
                hazard = survival[a, s] - survival[b, s]
                x = discount[a, s] - discount[b, s] + hazard
                out[i, s] += math.exp(discount[a, s] + survival[a, s]) * hazard * _phi(x)
    return out


@compiled
def coupon_values(
    offsets: Ints,
    columns: Ints,
    times: Floats,
    starts: Floats,
    accruals: Floats,
    payments: Ints,
    years: float,
    discount: Floats,
    survival: Floats,
) -> Floats:
    """Value of a coupon at a rate of 100% a year on each path, shape (n_paths, n_states), given survival to time 0.

    A path begins where default may next happen in the period and ends at the time up to which the name must live for the
    coupon to be paid. times : (n_times,) of the grid; starts : (n_paths,) when the period began to accrue, before time 0 for
    one that runs; accruals : (n_paths,) year fractions of whole coupons; payments : (n_paths,) rows at which they are paid.
    years : accrual a year of time, 365/360 for Act/360, in a default; zero where nothing accrued is paid then.
    """
    n, m = len(offsets) - 1, discount.shape[1]
    out = np.empty((n, m))
    for i in range(n):
        last, pay, whole = columns[offsets[i + 1] - 1], payments[i], accruals[i]
        for s in range(m):
            out[i, s] = whole * exponential(discount[pay, s] + survival[last, s])
        if years == 0.0:
            continue
        for j in range(offsets[i], offsets[i + 1] - 1):
            a, b = columns[j], columns[j + 1]
            lead, dt = times[a] - starts[i], times[b] - times[a]
            for s in range(m):
                hazard = survival[a, s] - survival[b, s]
                x = discount[a, s] - discount[b, s] + hazard
                accrued = lead * _phi(x) + dt * _psi(x)
                out[i, s] += years * math.exp(discount[a, s] + survival[a, s]) * hazard * accrued
    return out


@compiled
def hazard_rates(
    pillars: Ints,
    offsets: Ints,
    columns: Ints,
    times: Floats,
    starts: Floats,
    accruals: Floats,
    payments: Ints,
    years: float,
    knots: Ints,
    rebates: Floats,
    settlement: int,
    discount: Floats,
    loss: Floats,
    spreads: Floats,
) -> Floats:
    """Logarithms of survival probabilities at the knots, (n_pillars, n_states), that give each par spread.

    The hazard rate is constant between knots; each is solved by Newton's method from the quote of its pillar. A rate below
    zero, of a curve that falls steeply, is taken as it comes. NaN where no rate gives the spread, and at every later knot.

    pillars : (n_pillars + 1,) where the paths of each begin: first that of the protection, then those of the coupons, with
    offsets, columns, times, starts, accruals, payments and years as in `coupon_values`; those of the protection are not used.
    knots : (n_pillars,) rows of the grid, ascending, none of its paths beyond. rebates : (n_pillars,) accrued coupon that
    the buyer gets back on row `settlement`. discount : (n_times, n_states) logarithms; loss : (n_states,) paid per unit in a
    default; spreads : (n_pillars, n_states).
    """
    n, m = spreads.shape
    out = np.empty((n, m))
    logs = np.zeros(len(times))
    for s in range(m):
        begin, before = 0, 0.0  # row and logarithm at the last knot
        for k in range(n):
            knot = knots[k]
            h = spreads[k, s] / loss[s]
            fixed = 0.0  # what does not depend on h: all up to the last knot, and the accrued coupon that is paid back
            found = False
            for iteration in range(_MOST_STEPS):
                first = iteration == 0
                for row in range(begin, knot + 1):
                    logs[row] = before - h * (times[row] - times[begin])
                value = slope = 0.0
                known = 0.0
                for i in range(pillars[k], pillars[k + 1]):
                    protection = i == pillars[k]
                    weight = loss[s] if protection else -spreads[k, s]
                    if not protection:
                        last = columns[offsets[i + 1] - 1]
                        paid = weight * accruals[i] * math.exp(discount[payments[i], s] + logs[last])
                        if last > begin:
                            value += paid
                            slope -= paid * (times[last] - times[begin])
                        else:
                            known += paid
                    for j in range(offsets[i], offsets[i + 1] - 1):
                        a, b = columns[j], columns[j + 1]
                        if b <= begin and not first:
                            continue
                        dt = times[b] - times[a]
                        hazard = logs[a] - logs[b]
                        x = discount[a, s] - discount[b, s] + hazard
                        unit = weight * math.exp(discount[a, s] + logs[a])
                        phi, psi = _phi(x), _psi(x)
                        if protection:
                            part, by_x = phi, -psi
                        else:
                            lead = times[a] - starts[i]
                            part = years * (lead * phi + dt * psi)
                            by_x = -years * (lead * psi + dt * _chi(x))
                        if b <= begin:
                            known += unit * hazard * part
                        else:
                            since = times[a] - times[begin]
                            value += unit * hazard * part
                            slope += unit * dt * (part + hazard * by_x) - since * unit * hazard * part
                if first:
                    fixed = known + spreads[k, s] * rebates[k] * math.exp(discount[settlement, s])
                # the buyer's value is concave in h: after one step Newton's method comes from below, and never passes the root
                step = (fixed + value) / slope
                h -= step
                if found or not abs(h) < _MOST_HAZARD:
                    break
                found = abs(step) <= 1e-9 * abs(h) + _EXACT  # the step after this one is exact
            rate = h if found and abs(h) < _MOST_HAZARD else math.nan
            for row in range(begin, knot + 1):
                logs[row] = before - rate * (times[row] - times[begin])
            begin, before = knot, logs[knot]
            out[k, s] = before
    return out
