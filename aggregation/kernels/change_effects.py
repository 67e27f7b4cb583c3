"""Kernel: what each position adds to the change of a tail measure between two points, cause by cause.

A tail measure is -sum_s w_s P&L_s. Everything a cause needs of a contract is one number a unit, read from the columns of the
tail scenarios alone (`unit_effects`); a position takes its quantities times these numbers (`position_effects`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lake.arrays import Bools, Codes, Floats
from lake.compiled import compiled
from scenarios.kernels.currency import converted_pnl_compiled

CAUSES = (
    "new",
    "closed",
    "amended",
    "transferred",
    "coverage",
    "left",
    "entered",
    "revaluation",
    "currency",
    "tail",
)
_NEW, _CLOSED, _AMENDED, _TRANSFERRED, _COVERAGE, _LEFT, _ENTERED, _REVALUATION, _CURRENCY, _TAIL = range(len(CAUSES))
BEFORE, AFTER = len(CAUSES), len(CAUSES) + 1  # columns of `position_effects` behind the causes: the measure's own parts

# columns of `unit_effects`
U_BEFORE, U_AFTER, U_LEFT, U_ENTERED, U_QUANTITY, U_REVALUATION, U_CURRENCY, U_TAIL_BEFORE, U_TAIL_AFTER = range(9)


class UnitVectors(NamedTuple):
    """Units of one point, as the kernel reads them.

    row : (n_contracts,) row in `pnl` and `base`, -1 where the point has no value. pnl : (n_rows, width) and base : (n_rows,)
    of one unit in its own currency; currency : (n_rows,) codes into fx (n_currencies, n_scenarios) and fx_base
    (n_currencies,). scenario : tail scenarios of the whole set, weight : what each counts in the measure; window :
    scenarios whose weight the window alone changes, by how much (`window_weight`).
    """

    row: Codes
    pnl: Floats
    base: Floats
    currency: Codes
    fx: Floats
    fx_base: Floats
    scenario: Codes
    weight: Floats
    window: Codes
    window_weight: Floats


class Shared(NamedTuple):
    """Tail scenarios that both points have: their places, and their weights among the common scenarios alone."""

    before: Codes
    after: Codes
    weight_before: Floats
    weight_after: Floats


@compiled
def unit_effects(before: Any, after: Any, shared: Any, first: int, stop: int, out: Floats) -> None:
    """Fills out[first:stop] of shape (n_contracts, 9): effects of one unit in the reporting currency, losses positive.

    With u the P&L of a unit in the reporting currency (`converted_pnl`):
    before, after: -sum w u of each point. left, entered: -sum (change of w by the window) u. On the common scenarios, with
    mean weights v: quantity = -sum v (u_before + u_after) / 2; currency and revaluation split -sum v (u_after - u_before) into the
    change of rates at mean values and of values at mean rates. tail: half of -sum (change of w) u of either point. A contract
    with a value at one point only has that point's u as its mean, and no change of it.
    """
    # arrays taken out of the tuples once: in the loop that would count references
    row0, pnl0, base0, currency0 = before.row, before.pnl, before.base, before.currency
    fx_base0, fx0, scenario0, weight0 = before.fx_base, before.fx, before.scenario, before.weight
    window_weight0, window0, row1, pnl1 = before.window_weight, before.window, after.row, after.pnl
    base1, currency1, fx_base1, fx1 = after.base, after.currency, after.fx_base, after.fx
    scenario1, weight1, window_weight1, window1 = after.scenario, after.weight, after.window_weight, after.window
    place0, place1, v_before, v_after = shared.before, shared.after, shared.weight_before, shared.weight_after
    for c in range(first, stop):
        r, q = row0[c], row1[c]
        out[c, :] = 0.0
        if r >= 0:
            k = currency0[r]
            b, f0 = base0[r], fx_base0[k]
            for i in range(scenario0.size):
                s = scenario0[i]
                f = fx0[k, s]
                out[c, U_BEFORE] -= weight0[i] * converted_pnl_compiled(b, pnl0[r, s], f, f0)
            for i in range(window0.size):
                s = window0[i]
                f = fx0[k, s]
                out[c, U_LEFT] -= window_weight0[i] * converted_pnl_compiled(b, pnl0[r, s], f, f0)
        if q >= 0:
            k = currency1[q]
            b, f0 = base1[q], fx_base1[k]
            for i in range(scenario1.size):
                s = scenario1[i]
                f = fx1[k, s]
                out[c, U_AFTER] -= weight1[i] * converted_pnl_compiled(b, pnl1[q, s], f, f0)
            for i in range(window1.size):
                s = window1[i]
                f = fx1[k, s]
                out[c, U_ENTERED] -= window_weight1[i] * converted_pnl_compiled(b, pnl1[q, s], f, f0)
        for i in range(place0.size):
            v0, v1 = v_before[i], v_after[i]
            v = 0.5 * (v0 + v1)
            x0, f0, d0, b0, u0 = 0.0, 0.0, 0.0, 0.0, 0.0
            x1, f1, d1, b1, u1 = 0.0, 0.0, 0.0, 0.0, 0.0
            if r >= 0:
                s, k = place0[i], currency0[r]
                x0, b0, f0 = pnl0[r, s], base0[r], fx0[k, s]
                d0, u0 = f0 - fx_base0[k], converted_pnl_compiled(b0, x0, f0, fx_base0[k])
            if q >= 0:
                s, k = place1[i], currency1[q]
                x1, b1, f1 = pnl1[q, s], base1[q], fx1[k, s]
                d1, u1 = f1 - fx_base1[k], converted_pnl_compiled(b1, x1, f1, fx_base1[k])
            out[c, U_TAIL_BEFORE] -= 0.5 * (v1 - v0) * u0
            out[c, U_TAIL_AFTER] -= 0.5 * (v1 - v0) * u1
            if r >= 0 and q >= 0:
                out[c, U_QUANTITY] -= v * 0.5 * (u0 + u1)
                out[c, U_CURRENCY] -= v * 0.5 * ((x0 + x1) * (f1 - f0) + (b0 + b1) * (d1 - d0))
                out[c, U_REVALUATION] -= v * 0.5 * ((f0 + f1) * (x1 - x0) + (d0 + d1) * (b1 - b0))
            else:
                out[c, U_QUANTITY] -= v * (u0 + u1)


class Held(NamedTuple):
    """Positions of one point: group (-1 filtered out), contract, partner in the other book (-1 none), and quantity."""

    group: Codes
    contract: Codes
    partner: Codes
    quantity: Floats


_BOTH = -1


@compiled
def cause_of(
    contract: int,
    group: int,
    partner: int,
    groups: Codes,
    contracts: Codes,
    valued: Bools,
    alone: int,
) -> int:
    """What becomes of a valued position at the other point: a cause, or -1 where it stays in its contract and group.

    groups, contracts : of the positions of the other point. valued : of the contracts there. alone : without a partner.
    """
    if partner < 0:
        return alone
    if groups[partner] < 0:
        return _TRANSFERRED
    there = contracts[partner]
    if not valued[there]:
        return _COVERAGE
    if there != contract:
        return _AMENDED
    return _BOTH if groups[partner] == group else _TRANSFERRED


@compiled
def position_effects(
    before: Any, after: Any, valued_before: Bools, valued_after: Bools, units: Floats, groups: int
) -> Floats:
    """Effects by group and cause, shape (groups, len(CAUSES) + 2), added position after position.

    valued_before, valued_after : (n_contracts,). The quantity's effect of a trade goes to the cause that `cause_of` names.
    """
    # arrays taken out of the tuples once: in the loop that would count references
    group0, contract0, partner0, quantity0 = before.group, before.contract, before.partner, before.quantity
    group1, contract1, partner1, quantity1 = after.group, after.contract, after.partner, after.quantity
    out = np.zeros((groups, AFTER + 1))
    for p in range(group0.size):
        g, c, m = group0[p], contract0[p], partner0[p]
        if g < 0 or not valued_before[c]:
            continue
        q = quantity0[p]
        out[g, BEFORE] += q * units[c, U_BEFORE]
        out[g, _LEFT] += q * units[c, U_LEFT]
        out[g, _TAIL] += q * units[c, U_TAIL_BEFORE]
        cause = cause_of(c, g, m, group1, contract1, valued_after, _CLOSED)
        if cause == _BOTH:
            r = quantity1[m]
            out[g, _AMENDED] += (r - q) * units[c, U_QUANTITY]
            out[g, _REVALUATION] += 0.5 * (q + r) * units[c, U_REVALUATION]
            out[g, _CURRENCY] += 0.5 * (q + r) * units[c, U_CURRENCY]
        else:
            out[g, cause] -= q * units[c, U_QUANTITY]
            out[g, _REVALUATION] += 0.5 * q * units[c, U_REVALUATION]
            out[g, _CURRENCY] += 0.5 * q * units[c, U_CURRENCY]
    for p in range(group1.size):
        g, c, m = group1[p], contract1[p], partner1[p]
        if g < 0 or not valued_after[c]:
            continue
        q = quantity1[p]
        out[g, AFTER] += q * units[c, U_AFTER]
        out[g, _ENTERED] += q * units[c, U_ENTERED]
        out[g, _TAIL] += q * units[c, U_TAIL_AFTER]
        cause = cause_of(c, g, m, group0, contract0, valued_before, _NEW)
        if cause == _BOTH:
            continue
        moved = q
        if cause == _TRANSFERRED and group0[m] >= 0:  # out of another group with the quantity it had there
            moved = quantity0[m]
            out[g, _AMENDED] += (q - moved) * units[c, U_QUANTITY]
        out[g, cause] += moved * units[c, U_QUANTITY]
        out[g, _REVALUATION] += 0.5 * q * units[c, U_REVALUATION]
        out[g, _CURRENCY] += 0.5 * q * units[c, U_CURRENCY]
    return out


@compiled
def cause_quantities(before: Any, after: Any, valued_before: Bools, valued_after: Bools, contracts: int) -> Floats:
    """Net change of quantity by contract and cause, and last the mean quantity: shape (contracts, 6), of all groups."""
    group0, contract0, partner0, quantity0 = before.group, before.contract, before.partner, before.quantity
    group1, contract1, partner1, quantity1 = after.group, after.contract, after.partner, after.quantity
    out = np.zeros((contracts, _COVERAGE + 2))
    for p in range(group0.size):
        g, c, m = group0[p], contract0[p], partner0[p]
        if g < 0 or not valued_before[c]:
            continue
        q = quantity0[p]
        out[c, -1] += 0.5 * q
        cause = cause_of(c, g, m, group1, contract1, valued_after, _CLOSED)
        if cause == _BOTH:
            out[c, _AMENDED] += quantity1[m] - q
        else:
            out[c, cause] -= q
    for p in range(group1.size):
        g, c, m = group1[p], contract1[p], partner1[p]
        if g < 0 or not valued_after[c]:
            continue
        q = quantity1[p]
        out[c, -1] += 0.5 * q
        cause = cause_of(c, g, m, group0, contract0, valued_before, _NEW)
        if cause == _BOTH:
            continue
        moved = q
        if cause == _TRANSFERRED and group0[m] >= 0:
            moved = quantity0[m]
            out[c, _AMENDED] += q - moved
        out[c, cause] += moved
    return out


@compiled
def cause_pnl(before: Any, after: Any, places: Any, quantities: Floats, first: int, stop: int, out: Floats) -> None:
    """Fills out[:, first:stop] of shape (7, n_common): the part of each cause in P&L_after - P&L_before by common scenario.

    The rows are those of `quantities` without the mean, then revaluation, then currency. places : (2, n_common).
    """
    last = quantities.shape[1] - 1
    for c in range(quantities.shape[0]):
        r, q = before.row[c], after.row[c]
        if not quantities[c].any():
            continue
        k0, k1 = (before.currency[r] if r >= 0 else 0), (after.currency[q] if q >= 0 else 0)
        both = r >= 0 and q >= 0
        for i in range(first, stop):
            x0, f0, d0, b0, u0 = 0.0, 0.0, 0.0, 0.0, 0.0
            x1, f1, d1, b1, u1 = 0.0, 0.0, 0.0, 0.0, 0.0
            if r >= 0:
                s = places[0, i]
                x0, b0, f0 = before.pnl[r, s], before.base[r], before.fx[k0, s]
                d0, u0 = f0 - before.fx_base[k0], converted_pnl_compiled(b0, x0, f0, before.fx_base[k0])
            if q >= 0:
                s = places[1, i]
                x1, b1, f1 = after.pnl[q, s], after.base[q], after.fx[k1, s]
                d1, u1 = f1 - after.fx_base[k1], converted_pnl_compiled(b1, x1, f1, after.fx_base[k1])
            u = 0.5 * (u0 + u1) if both else u0 + u1
            for k in range(last):
                out[k, i] += quantities[c, k] * u
            if both:
                m = 0.5 * quantities[c, last]
                out[last, i] += m * ((f0 + f1) * (x1 - x0) + (d0 + d1) * (b1 - b0))
                out[last + 1, i] += m * ((x0 + x1) * (f1 - f0) + (b0 + b1) * (d1 - d0))
