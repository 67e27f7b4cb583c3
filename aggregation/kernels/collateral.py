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

from typing import NamedTuple

import numpy as np

from lake.arrays import Bools, Codes, Floats, Ints
from lake.compiled import compiled


class Agreements(NamedTuple):
    """Terms of netting sets as arrays; a set that exchanges no variation margin has row -1.

    row : (n_sets,) place among the margined sets. currency : (n_sets,) row of the exchange rates of the agreement. threshold : up to which
    the counterparty posts nothing, threshold_own : we, transfer : the minimum transfer amount, each (n_margined,) and not negative;
    two_way : (n_margined,) whether we post at all. Amounts that do not move: entries starts[s] to starts[s + 1] of a set, a row of the
    exchange rates each, and what counts for us and for them: collateral that is kept apart from the estate of whoever holds it is lost to
    neither. What is held of variation margin in other currencies: entries other_starts[m] to other_starts[m + 1] of a margined set.
    """

    row: Codes
    currency: Codes
    threshold: Floats
    threshold_own: Floats
    transfer: Floats
    two_way: Bools
    starts: Ints
    held_currency: Codes
    for_us: Floats
    for_them: Floats
    other_starts: Ints
    other_currency: Codes
    other: Floats


@compiled
def call(s: int, terms: Agreements, value: Floats, fx: Floats, before: Floats, held: Floats, after: Floats) -> None:
    """Writes the balance of the margined set s after a call, after, in the agreement's currency; see `called`. Others (n_paths,), and
    held is overwritten. What is held in other currencies counts at its price of the day."""
    m, own = terms.row[s], fx[terms.currency[s]]
    first, last = terms.other_starts[m], terms.other_starts[m + 1]
    if first == last:
        held = before
    else:
        held[:] = before
    for e in range(first, last):
        amount, price = terms.other[e], fx[terms.other_currency[e]]
        for p in range(held.size):
            held[p] += amount * price[p] / own[p]
    limit, least = terms.threshold[m], terms.transfer[m]
    limit_own = terms.threshold_own[m] if terms.two_way[m] else np.inf
    for p in range(held.size):
        v = value[p] / own[p]
        wanted = v - limit if v > limit else 0.0
        wanted += v + limit_own if v < -limit_own else 0.0
        move = wanted - held[p]
        after[p] = before[p] + (move if abs(move) >= least else 0.0)


@compiled
def called(value: Floats, terms: Agreements, fx: Floats, before: Floats, after: Floats) -> None:
    """Writes the balance of each margined set after a call on each path, after, in the agreement's currency.

    value : (n_sets, n_paths) in the reporting currency. before, after : (n_margined, n_paths). fx : (n_currencies, n_paths) price of one
    unit in the reporting currency.
    """
    held = np.empty(value.shape[1])
    for s in range(value.shape[0]):
        m = terms.row[s]
        if m >= 0:
            call(s, terms, value[s], fx, before[m], held, after[m])


@compiled
def leave(
    s: int,
    terms: Agreements,
    value: Floats,
    value_to_them: Floats,
    balances: Floats,
    slot: Ints,
    fx: Floats,
    theirs: Floats,
    positive: Floats,
    negative: Floats,
    held: Floats,
) -> None:
    """What is left of set s, see `left_over`; value to held (n_paths,), and theirs is overwritten."""
    m = terms.row[s]
    if m >= 0:
        balance, own = balances[slot[m], m], fx[terms.currency[s]]
        for p in range(held.size):
            held[p] = balance[p] * own[p]
    else:
        held[:] = 0.0
    first, last = terms.starts[s], terms.starts[s + 1]
    if first == last:
        theirs = held
    else:
        theirs[:] = held
    for e in range(first, last):
        price, to_us, to_them = fx[terms.held_currency[e]], terms.for_us[e], terms.for_them[e]
        for p in range(held.size):
            held[p] += to_us * price[p]
            theirs[p] += to_them * price[p]
    for p in range(held.size):
        loss, their_loss = value[p] - held[p], theirs[p] - value_to_them[p]
        positive[p] = loss if loss > 0.0 else 0.0
        negative[p] = their_loss if their_loss > 0.0 else 0.0


@compiled
def left_over(
    value: Floats,
    value_to_them: Floats,
    terms: Agreements,
    balances: Floats,
    slot: Ints,
    fx: Floats,
    positive: Floats,
    negative: Floats,
    held: Floats,
) -> None:
    """Writes what we lose should the counterparty default, `positive`, and it should we, `negative`, both (n_sets, n_paths) and not
    negative; and `held`, what reduces ours, (n_sets, n_paths). All in the reporting currency.

    value, value_to_them : (n_sets, n_paths), from our side both; they differ by cash flows that whoever defaults has not paid. balances :
    (n_slots, n_margined, n_paths), of which slot[m] is that of margined set m, in its agreement's currency. fx : see `called`.
    """
    theirs = np.empty(value.shape[1])
    for s in range(value.shape[0]):
        leave(s, terms, value[s], value_to_them[s], balances, slot, fx, theirs, positive[s], negative[s], held[s])


@compiled
def add_to_groups(values: Floats, group: Codes, out: Floats) -> None:
    """out[group[s]] += values[s], set after set; values : (n_sets, n_paths), out : (n_groups, n_paths)."""
    for s in range(values.shape[0]):
        into = out[group[s]]
        for p in range(values.shape[1]):
            into[p] += values[s, p]
