"""Caps, floors and swaptions under many market states: forward rates, annuities, and options on them.

`projection` and `discount` are discount factors of shape (n_days, n_states); what is named `..._column` are rows of them. Lists of
periods are compressed sparse rows: contract i has those from offsets[i] to offsets[i+1]. Periods are added in the order given,
so that a contract's bits depend on nothing beside it.
"""

from __future__ import annotations

import numpy as np

from lake.arrays import Bools, Floats, Ints
from lake.compiled import compiled, inlined
from valuation.kernels.bachelier import bachelier
from valuation.kernels.black import exchange


@inlined
def _shifted(sign: float, forward: float, strike: float, shift: float, stdev: float) -> float:
    """Undiscounted option on a rate by Black on the rate plus a shift.

    Where that sum is not positive a lognormal rate has stayed at its lower end, which is the limit of Black's formula from above:
    the intrinsic value.
    """
    gain = sign * (forward - strike)
    value = exchange(sign, forward + shift, strike + shift, stdev)
    return (gain if gain > 0.0 else 0.0) if forward + shift <= 0.0 and stdev >= 0.0 else value


@compiled
def forward_rates(first_column: Ints, last_column: Ints, accruals: Floats, projection: Floats) -> Floats:
    """Simple rates of periods, shape (n_periods, n_states)."""
    n, m = len(accruals), projection.shape[1]
    out = np.empty((n, m))
    for j in range(n):
        first, last, years = first_column[j], last_column[j], accruals[j]
        for s in range(m):
            out[j, s] = (projection[first, s] / projection[last, s] - 1.0) / years
    return out


@compiled
def optionlet_sums(
    offsets: Ints,
    normal: Bools,
    sign: Floats,
    strike: Floats,
    shift: Floats,
    root_times: Floats,
    accruals: Floats,
    pay_column: Ints,
    forwards: Floats,
    volatilities: Floats,
    discount: Floats,
) -> Floats:
    """Values of the caplets or floorlets of each contract, (n_contracts, n_states).

    normal, sign, strike, shift : (n_contracts,), sign +1 caps, -1 floors; root_times, accruals, pay_column : (n_periods,);
    forwards, volatilities : (n_periods, n_states). A root_time of zero reads no volatility.
    """
    n, m = len(offsets) - 1, discount.shape[1]
    out = np.zeros((n, m))
    for i in range(n):
        side, limit, up = sign[i], strike[i], shift[i]
        for j in range(offsets[i], offsets[i + 1]):
            root, years, pay = root_times[j], accruals[j], pay_column[j]
            if normal[i]:
                for s in range(m):
                    stdev = volatilities[j, s] * root if root > 0.0 else 0.0
                    out[i, s] += years * discount[pay, s] * bachelier(side, forwards[j, s], limit, stdev)
            else:
                for s in range(m):
                    stdev = volatilities[j, s] * root if root > 0.0 else 0.0
                    out[i, s] += years * discount[pay, s] * _shifted(side, forwards[j, s], limit, up, stdev)
    return out


@compiled
def swap_rates(
    fixed_offsets: Ints,
    fixed_column: Ints,
    accruals: Floats,
    float_offsets: Ints,
    first_column: Ints,
    last_column: Ints,
    projection: Floats,
    discount: Floats,
) -> tuple[Floats, Floats]:
    """Annuity and forward swap rate of each contract, (n_contracts, n_states); floating coupons are paid at the end of their period."""
    n, m = len(fixed_offsets) - 1, discount.shape[1]
    annuity, rate = np.zeros((n, m)), np.zeros((n, m))
    for i in range(n):
        for j in range(fixed_offsets[i], fixed_offsets[i + 1]):
            years, pay = accruals[j], fixed_column[j]
            for s in range(m):
                annuity[i, s] += years * discount[pay, s]
        for j in range(float_offsets[i], float_offsets[i + 1]):
            first, last = first_column[j], last_column[j]
            for s in range(m):
                rate[i, s] += (projection[first, s] / projection[last, s] - 1.0) * discount[last, s]
        for s in range(m):
            rate[i, s] /= annuity[i, s]
    return annuity, rate


@compiled
def cash_annuities(frequency: Floats, payments: Ints, rates: Floats) -> Floats:
    """Annuity of a cash settlement, (n_contracts, n_states): payments of 1/frequency discounted at the swap rate itself.

    frequency : (n_contracts,) payments a year; payments : (n_contracts,) how many; rates : (n_contracts, n_states).
    """
    out = np.empty(rates.shape)
    for i in range(len(payments)):
        for s in range(rates.shape[1]):
            factor = 1.0 / (1.0 + rates[i, s] / frequency[i])
            total = 0.0
            for _ in range(payments[i]):
                total = (total + 1.0) * factor
            out[i, s] = total / frequency[i]
    return out


@compiled
def rate_options(
    normal: Bools,
    sign: Floats,
    strike: Floats,
    shift: Floats,
    root_times: Floats,
    rates: Floats,
    volatilities: Floats,
    annuities: Floats,
) -> Floats:
    """Values of one option a contract on its rate, times its annuity, (n_contracts, n_states)."""
    n, m = rates.shape
    out = np.empty((n, m))
    for i in range(n):
        side, limit, up, root = sign[i], strike[i], shift[i], root_times[i]
        if normal[i]:
            for s in range(m):
                stdev = volatilities[i, s] * root if root > 0.0 else 0.0
                out[i, s] = annuities[i, s] * bachelier(side, rates[i, s], limit, stdev)
        else:
            for s in range(m):
                stdev = volatilities[i, s] * root if root > 0.0 else 0.0
                out[i, s] = annuities[i, s] * _shifted(side, rates[i, s], limit, up, stdev)
    return out
