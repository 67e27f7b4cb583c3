"""Kernel: collateral called under an agreement, and the exposure that is left, path by path.

Values are from our side: positive is what the counterparty owes us. A balance is positive where we hold collateral and negative where
we have posted it. Every path stands alone, so that no split of the paths changes a bit.

A call on a value V asks for the balance

    max(V - threshold, 0) - max(-V - threshold_own, 0)        the second part under a two-way agreement alone

and moves what lacks where that is at least the minimum transfer amount; else nothing moves. Sources: ISDA, Credit Support Annex,
paragraph 3 (delivery amount, return amount); Pykhtin (2010), *Collateralised credit exposure*; Gregory, *The xVA Challenge*, chapter on
collateral.
"""

from __future__ import annotations

import numpy as np

from lake.arrays import Bools, Codes, Floats, Ints
from lake.compiled import compiled


@compiled
def called(
    value: Floats,
    margined: Ints,
    balance: Floats,
    fx: Floats,
    currency: Codes,
    threshold: Floats,
    threshold_own: Floats,
    transfer: Floats,
    two_way: Bools,
    starts: Ints,
    other_currency: Codes,
    other: Floats,
) -> Floats:
    """The balance of each margined set after a call on each path, (n_margined, n_paths), in the agreement's currency.

    value : (n_sets, n_paths) in the reporting currency, of which `margined`, (n_margined,), are the rows. All others are by margined set:
    balance : before the call, (n_margined, n_paths), in the agreement's. fx :
    (n_currencies, n_paths) price of one unit in the reporting currency; currency : (n_sets,) row of fx of the agreement. threshold : up to
    which the counterparty posts nothing, threshold_own : we, transfer : the minimum transfer amount, each (n_sets,) and not negative;
    two_way : whether we post at all. What is held in other currencies counts at its price of the day: entries starts[s] to
    starts[s + 1], a row of fx and an amount each, (n_entries,).
    """
    out, held = np.empty(balance.shape), np.empty(value.shape[1])
    for s in range(margined.size):
        own, before, worth, after = fx[currency[s]], balance[s], value[margined[s]], out[s]
        held[:] = before
        for e in range(starts[s], starts[s + 1]):
            amount, price = other[e], fx[other_currency[e]]
            for p in range(held.size):
                held[p] += amount * price[p] / own[p]
        limit, limit_own, least = threshold[s], threshold_own[s] if two_way[s] else np.inf, transfer[s]
        for p in range(held.size):
            v = worth[p] / own[p]
            wanted = v - limit if v > limit else 0.0
            wanted += v + limit_own if v < -limit_own else 0.0
            move = wanted - held[p]
            after[p] = before[p] + (move if abs(move) >= least else 0.0)
    return out


@compiled
def left_over(
    value: Floats,
    value_to_them: Floats,
    row: Codes,
    balance: Floats,
    fx: Floats,
    currency: Codes,
    starts: Ints,
    held_currency: Codes,
    for_us: Floats,
    for_them: Floats,
    positive: Floats,
    negative: Floats,
    held: Floats,
) -> None:
    """Writes what we lose should the counterparty default, `positive`, and it should we, `negative`, both (n_sets, n_paths) and not
    negative; and `held`, what reduces ours, (n_sets, n_paths). All in the reporting currency.

    value, value_to_them : (n_sets, n_paths), from our side both; they differ by cash flows that whoever defaults has not paid. row :
    (n_sets,) row of `balance` of each set that exchanges variation margin, -1 for the others; balance : (n_rows, n_paths), in the currency
    of row currency[s] of fx, (n_currencies, n_paths). Amounts that do not move: entries starts[s] to starts[s + 1], a row of fx each, and
    what counts for us and for them: collateral that is kept apart from the estate of whoever holds it is lost to neither.
    """
    theirs = np.empty(value.shape[1])
    for s in range(value.shape[0]):
        ours, of_us, of_them = held[s], positive[s], negative[s]
        if row[s] >= 0:
            of_row, price = balance[row[s]], fx[currency[s]]
            for p in range(ours.size):
                ours[p] = of_row[p] * price[p]
        else:
            ours[:] = 0.0
        theirs[:] = ours
        for e in range(starts[s], starts[s + 1]):
            price, to_us, to_them = fx[held_currency[e]], for_us[e], for_them[e]
            for p in range(ours.size):
                ours[p] += to_us * price[p]
                theirs[p] += to_them * price[p]
        mine, yours = value[s], value_to_them[s]
        for p in range(ours.size):
            loss, their_loss = mine[p] - ours[p], theirs[p] - yours[p]
            of_us[p] = loss if loss > 0.0 else 0.0
            of_them[p] = their_loss if their_loss > 0.0 else 0.0


@compiled
def add_to_groups(values: Floats, group: Codes, out: Floats) -> None:
    """out[group[s]] += values[s], set after set; values : (n_sets, n_paths), out : (n_groups, n_paths)."""
    for s in range(values.shape[0]):
        into = out[group[s]]
        for p in range(values.shape[1]):
            into[p] += values[s, p]
