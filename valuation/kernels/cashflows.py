"""Present values of many cash-flow lists under many market states, from one shared matrix of discount factors."""

from __future__ import annotations

import numpy as np

from lake.arrays import Floats, Ints
from lake.compiled import compiled
from valuation.kernels.elementary import exponential


@compiled
def discounted_sums(offsets: Ints, columns: Ints, amounts: Floats, discount: Floats) -> Floats:
    """Sum of amount x discount factor, shape (n_lists, n_states).

    List i holds the cash flows offsets[i] to offsets[i+1] (compressed sparse rows): cash flow j pays `amounts[j]` at
    the time of row `columns[j]` of `discount`, shape (n_times, n_states). Cash flows are added in the order given, so
    that a list's bits depend on nothing beside it.
    """
    n, m = len(offsets) - 1, discount.shape[1]
    out = np.zeros((n, m))
    for i in range(n):
        for j in range(offsets[i], offsets[i + 1]):
            amount, column = amounts[j], columns[j]
            for s in range(m):
                out[i, s] += amount * discount[column, s]
    return out


@compiled
def varying_sums(
    offsets: Ints,
    columns: Ints,
    amounts: Floats,
    weights: Floats,
    sources: Ints,
    variables: Floats,
    discount: Floats,
) -> Floats:
    """As `discounted_sums` of cash flows that vary with the state: the j-th pays `amounts[j]` plus `weights[j]` times the row
    `sources[j]` of `variables`, shape (n_variables, n_states); a source of -1 is the amount alone.
    """
    n, m = len(offsets) - 1, discount.shape[1]
    out = np.zeros((n, m))
    for i in range(n):
        for j in range(offsets[i], offsets[i + 1]):
            amount, weight, source, column = amounts[j], weights[j], sources[j], columns[j]
            if source < 0:
                for s in range(m):
                    out[i, s] += amount * discount[column, s]
            else:
                for s in range(m):
                    out[i, s] += (amount + weight * variables[source, s]) * discount[column, s]
    return out


@compiled
def growths(first: Ints, last: Ints, factors: Floats) -> Floats:
    """What a unit grows by over periods, (n_periods, n_states), from rows of discount factors (n_times, n_states)."""
    n, m = len(first), factors.shape[1]
    out = np.empty((n, m))
    for j in range(n):
        a, b = first[j], last[j]
        for s in range(m):
            out[j, s] = factors[a, s] / factors[b, s] - 1.0
    return out


@compiled
def at_spread(discount: Floats, days: Ints, spread: Floats) -> Floats:
    """Discount factors (n_days, n_states) times exp(-spread x days / 365); days (n_days,), spread (n_states,) continuous.

    The exponential of a day is that of its multiple of 64 times that of the rest: there are few of either, and their bits
    are the same whatever the other days.
    """
    n, m = discount.shape
    out = np.empty((n, m))
    made = np.zeros((2, max(64, (days.max() >> 6) + 1)), np.bool_)
    factors = np.empty((2, made.shape[1], m))
    for i in range(n):
        rest, whole = days[i] & 63, days[i] >> 6
        for kind, row, length in ((0, rest, rest), (1, whole, whole << 6)):
            if not made[kind, row]:
                made[kind, row] = True
                years = length / 365.0
                for s in range(m):
                    factors[kind, row, s] = exponential(-spread[s] * years)
        for s in range(m):
            out[i, s] = discount[i, s] * (factors[0, rest, s] * factors[1, whole, s])
    return out


@compiled
def payment_sums(
    lists: Ints,
    offsets: Ints,
    rates: Ints,
    pay: Ints,
    start: Ints,
    end: Ints,
    growths: Floats,
    amounts: Floats,
    factors: Floats,
    fx: Floats,
) -> Floats:
    """Sums of payments in several currencies, each currency's first added, then converted; shape (n_lists, n_states).

    List i holds the parts lists[i] to lists[i+1], a currency each; part p the payments offsets[p] to offsets[p+1], converted
    at row rates[p] of `fx`, (n_rates, n_states). A payment is worth amount x factors[pay], and, where start is a row and not
    -1, that x (growth x factors[start] / factors[end] - 1); factors : (n_times, n_states) discount factors.
    """
    n, m = len(lists) - 1, factors.shape[1]
    out, part = np.zeros((n, m)), np.empty(m)
    for i in range(n):
        for p in range(lists[i], lists[i + 1]):
            part[:] = 0.0
            for j in range(offsets[p], offsets[p + 1]):
                amount, growth, k, a, b = amounts[j], growths[j], pay[j], start[j], end[j]
                if a < 0:
                    for s in range(m):
                        part[s] += amount * factors[k, s]
                else:
                    for s in range(m):
                        part[s] += amount * factors[k, s] * (growth * (factors[a, s] / factors[b, s]) - 1.0)
            for s in range(m):
                out[i, s] += part[s] * fx[rates[p], s]
    return out
