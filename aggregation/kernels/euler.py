"""Kernel: a measure split into parts of positions that add up to it, to the last bit, however they are grouped.

A measure that is -sum_s w_s P&L_s is linear in positions, so each contributes -sum_s w_s times its own P&L (Euler;
Tasche 1999, Capital allocation and performance measurement). Doubles do not add up in every order, so the parts are rounded onto a binary
grid so coarse that every partial sum is exact: then no grouping and no order of adding changes a bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lake.arrays import Codes, Floats, Ints
from lake.compiled import compiled
from scenarios.kernels.currency import converted_pnl

TOLERANCE = (
    1e-9  # of the gross contributions: more than that between the parts and the measure is an error, not rounding
)
_BITS = 53  # of a double's significand


@dataclass(frozen=True)
class Split:
    """parts : (n_positions,) multiples of `grid`; any sum of any of them, in any order, is exact.

    total : their sum, the measure rounded onto the grid. residual : what the parts lacked of the measure before it was put
    on the greatest of them; rounding, and never more than 1e-9 of the gross contributions.
    """

    parts: Floats
    total: float
    grid: float
    residual: float


def regression_weights(pnl: Floats, probabilities: Floats | None, measure: float) -> Floats:
    """w (n_scenarios,) with -sum_s w_s P&L_gs = measure * cov(P&L_g, P&L) / var(P&L), for `pnl` (n_scenarios,) of the whole.

    Exact for elliptical P&L, else the best linear predictor. `probabilities` : of the scenarios, None for equal ones. Source: Jorion,
    *Value at Risk*, chapter 7 (beta of a component). All zero where the P&L does not vary.
    """
    p = np.full(pnl.size, 1.0 / pnl.size) if probabilities is None else probabilities / math.fsum(probabilities)
    centred = pnl - math.fsum(p * pnl)
    variance = math.fsum(p * centred**2)
    return np.zeros(pnl.size) if variance == 0.0 else -measure * p * centred / variance


def unit_contributions(
    rows: Floats, row: Codes, base: Floats, currency: Codes, fx_base: Floats, fx: Floats, weights: Floats
) -> Floats:
    """What one unit of each contract contributes, (n_measures, n_contracts), losses positive, in the reporting currency.

    rows : (n_vectors, width) P&L of one unit by scenario; base, currency : (n_vectors,) its value and currency code. row :
    (n_contracts,) row of each contract, -1 for none, which contributes nothing. fx_base : (n_currencies,); fx :
    (n_currencies, n_scenarios). weights : (n_measures, n_scenarios). Only scenarios that some weight counts are read.
    """
    scenarios = np.flatnonzero((weights != 0.0).any(axis=0))
    w = weights[:, scenarios]
    there = fx[:, scenarios]
    # P&L is linear in value and P&L: of each a unit, converted, is enough
    of_pnl, of_base = (converted_pnl(b, p, there, fx_base[:, None]) for b, p in ((0.0, 1.0), (1.0, 0.0)))
    at_scenario = w[:, None, :] * of_pnl  # (n_measures, n_currencies, n_read)
    on_base = np.array([[math.fsum(v * c) for c in of_base] for v in w])
    return _units(rows, row, base, currency, scenarios, at_scenario, on_base)


@compiled
def _units(
    rows: Floats, row: Codes, base: Floats, currency: Codes, scenarios: Ints, at_scenario: Floats, on_base: Floats
) -> Floats:
    n_measures, _, n_read = at_scenario.shape
    out = np.zeros((n_measures, row.size))
    for c in range(row.size):
        r = row[c]
        if r < 0:
            continue
        b = currency[r]
        for m in range(n_measures):
            out[m, c] = -base[r] * on_base[m, b]
        for i in range(n_read):
            value = rows[r, scenarios[i]]
            for m in range(n_measures):
                out[m, c] -= at_scenario[m, b, i] * value
    return out


@compiled
def position_parts(starts: Ints, quantity: Floats, group: Codes, unit: Floats) -> Floats:
    """quantity times unit contribution of each position, (n_positions,); zero for those in no group (-1).

    Positions starts[c] to starts[c + 1] hold contract c.
    """
    out = np.zeros(quantity.size)
    for c in range(starts.size - 1):
        for p in range(starts[c], starts[c + 1]):
            if group[p] >= 0:
                out[p] = quantity[p] * unit[c]
    return out


def exact_split(parts: Floats, measure: float) -> Split:
    """The parts on a grid, adding up to the measure; raises `ArithmeticError` when they do not to 1e-9 of their gross sum.

    What is lacking goes to the greatest part in absolute value, the first of equals. `total` is the measure to the bit where
    little is offset; else, where the grid is coarser than its last bit, it is half a step of the grid away at most.
    """
    gains, losses = _signed_sums(parts)
    gross = gains + losses
    if gross == 0.0:
        if measure != 0.0:
            raise ArithmeticError(f"Nothing contributes to a measure of {measure!r}.")
        return Split(parts, 0.0, 0.0, 0.0)
    exponent = math.frexp(max(gains, losses))[1] - _BITS
    while True:
        grid = math.ldexp(1.0, exponent)
        rounded = _on_grid(parts, grid)
        target = round(measure / grid) * grid  # Python rounds half to even, as the parts are rounded
        residual = target - _sum(rounded)
        rounded[_greatest(rounded)] += residual
        # a partial sum lies between minus the losses and the gains; up to 2^53 steps of the grid each is exact
        if max(_signed_sums(rounded)) <= math.ldexp(1.0, exponent + _BITS):
            break
        exponent += 1
    if abs(residual) > TOLERANCE * gross:
        raise ArithmeticError(f"The contributions add up to {measure - residual!r} and the measure is {measure!r}.")
    return Split(rounded, target, grid, residual)


@compiled
def group_sums(values: Floats, group: Codes, n_groups: int) -> Floats:
    """Sums of the values of each group, (n_groups,), added in the order of positions; -1 is in no group."""
    out = np.zeros(n_groups)
    for p in range(values.size):
        if group[p] >= 0:
            out[group[p]] += values[p]
    return out


@compiled
def _signed_sums(values: Floats) -> tuple[float, float]:
    """Sum of the positive values, and of the negative ones as a positive number."""
    positive, negative = 0.0, 0.0
    for v in values:
        if v > 0.0:
            positive += v
        else:
            negative -= v
    return positive, negative


@compiled
def _sum(values: Floats) -> float:
    total = 0.0
    for v in values:
        total += v
    return total


@compiled
def _on_grid(values: Floats, grid: float) -> Floats:
    out = np.empty(values.size)
    for i in range(values.size):
        out[i] = np.rint(values[i] / grid) * grid + 0.0  # no minus zero
    return out


@compiled
def _greatest(values: Floats) -> int:
    at = 0
    for i in range(1, values.size):
        if abs(values[i]) > abs(values[at]):
            at = i
    return at
