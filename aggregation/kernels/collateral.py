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
    """The balance of each set after a call on each path, (n_sets, n_paths), in the agreement's currency.

    value : (n_sets, n_paths) in the reporting currency; balance : before the call, (n_sets, n_paths), in the agreement's. fx :
    (n_currencies, n_paths) price of one unit in the reporting currency; currency : (n_sets,) row of fx of the agreement. threshold : up to
    which the counterparty posts nothing, threshold_own : we, transfer : the minimum transfer amount, each (n_sets,) and not negative;
    two_way : whether we post at all. What is held in other currencies counts at its price of the day: entries starts[s] to
    starts[s + 1], a row of fx and an amount each, (n_entries,).
    """
    out = np.empty(value.shape)
    for s in range(value.shape[0]):
        own = fx[currency[s]]
        for p in range(value.shape[1]):
            v = value[s, p] / own[p]
            held = balance[s, p]
            for e in range(starts[s], starts[s + 1]):
                held += other[e] * fx[other_currency[e], p] / own[p]
            wanted = max(v - threshold[s], 0.0)
            if two_way[s]:
                wanted -= max(-v - threshold_own[s], 0.0)
            move = wanted - held
            out[s, p] = balance[s, p] + (move if abs(move) >= transfer[s] else 0.0)
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
    for s in range(value.shape[0]):
        r = row[s]
        for p in range(value.shape[1]):
            ours = balance[r, p] * fx[currency[s], p] if r >= 0 else 0.0
            theirs = ours
            for e in range(starts[s], starts[s + 1]):
                price = fx[held_currency[e], p]
                ours += for_us[e] * price
                theirs += for_them[e] * price
            held[s, p] = ours
            positive[s, p] = max(value[s, p] - ours, 0.0)
            negative[s, p] = max(theirs - value_to_them[s, p], 0.0)


@compiled
def add_to_groups(values: Floats, group: Codes, out: Floats) -> None:
    """out[group[s]] += values[s], set after set; values : (n_sets, n_paths), out : (n_groups, n_paths)."""
    for s in range(values.shape[0]):
        into = out[group[s]]
        for p in range(values.shape[1]):
            into[p] += values[s, p]
