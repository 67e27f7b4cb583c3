"""Kernel of SA-CCR: exposure at default of netting sets from the effective notionals of their trades.

    EAD = alpha (RC + multiplier x add-on)

Source: Basel framework, CRE52, by paragraph at each formula. Every parameter comes from the regime, none stands here.

The effective notionals of a hedging set are summed exactly: each is put on a grid of a few billionths of a unit of currency, whose sums
doubles hold without rounding. So the sums have the same bits in any order, and a trade that is taken out leaves what was there before.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lake.arrays import Bools, Codes, Floats, Ints
from lake.compiled import compiled

LINEAR, OPTION, TRANCHE = 0, 1, 2  # how delta is found
INTEREST_RATE, FX, CREDIT, EQUITY, COMMODITY = range(5)
CLASSES = ("interest_rate", "fx", "credit", "equity", "commodity")
MATURITIES, ABSOLUTE, SYSTEMATIC = 0, 1, 2  # how the entities of a hedging set offset

_COARSE, _FINE = 16.0, 2.0**-28  # of the two parts that a notional is summed in
_LIMIT = 2.0**53 * _COARSE  # gross notional of an entity up to which its sum is exact
_MONEY = 2.0**-10  # to what part of a unit of currency an exposure is given, so that contributions add up
_TINY = 1e-12


class Rules(NamedTuple):
    """What the formulas of a trade read of the regime. Times in years.

    duration_rate, duration_floor : 52.34. maturity_floor, maturity_cap : 52.48. tranche_numerator, tranche_slope : 52.41.
    """

    duration_rate: float
    duration_floor: float
    maturity_floor: float
    maturity_cap: float
    tranche_numerator: float
    tranche_slope: float


class Trades(NamedTuple):
    """Rows of trades, (n,) each; a trade has one or more.

    delta_kind : LINEAR, OPTION or TRANCHE. direction : +1 long or -1 short in the primary risk factor; of an option that of the delta.
    call : +1 call, -1 put. price, strike, expiry, volatility, shift : of options, P, K, T in years, supervisory sigma, lambda; of a tranche
    price is the attachment and strike the detachment point. notional : positive, in the reporting currency. start, end : S and E in
    years, end NaN where the notional has no duration. maturity : M in years.
    """

    delta_kind: Codes
    direction: Floats
    call: Floats
    price: Floats
    strike: Floats
    expiry: Floats
    volatility: Floats
    shift: Floats
    notional: Floats
    start: Floats
    end: Floats
    maturity: Floats


class Sets(NamedTuple):
    """Hedging sets and entities of netting sets.

    hedging : (n_netting + 1,) hedging sets of netting set i are hedging[i] to hedging[i + 1]. asset_class, form : (n_hedging,). entity :
    (n_hedging + 1,) entities of each. factor : (n_entities,) supervisory factor. correlation : (n_entities,) of a SYSTEMATIC set.
    place : (n_entities,) of MATURITIES the bucket, 0 the shortest.
    """

    hedging: Ints
    asset_class: Codes
    form: Codes
    entity: Ints
    factor: Floats
    correlation: Floats
    place: Codes


class Terms(NamedTuple):
    """What decides the replacement cost, (n_netting,) each, in the reporting currency.

    value : V. collateral : C, held positive. margined : whether the terms of a margin agreement hold. least : TH + MTA - NICA.
    """

    value: Floats
    collateral: Floats
    margined: Bools
    least: Floats


class Exposure(NamedTuple):
    """Of each netting set: ead, rc, pfe, multiplier (n_netting,), add_on (n_netting, 5) by class.

    to_add_on, to_value, to_least : slopes of the EAD before alpha is applied, in its add-on, in V - C, and in TH + MTA - NICA, so that by
    Euler rc + pfe = to_add_on x add-on + to_value x (V - C) + to_least x least.
    """

    rc: Floats
    pfe: Floats
    ead: Floats
    multiplier: Floats
    add_on: Floats
    to_add_on: Floats
    to_value: Floats
    to_least: Floats


@compiled
def durations(start: Floats, end: Floats, rate: float, floor: float) -> Floats:
    """Supervisory duration SD (n,), 52.34: (exp(-rate S) - exp(-rate E)) / rate, at least `floor` years; 1 where E is NaN."""
    out = np.ones(start.size)
    for i in range(start.size):
        if not math.isnan(end[i]):
            out[i] = max((math.exp(-rate * start[i]) - math.exp(-rate * end[i])) / rate, floor)
    return out


@compiled
def deltas(trades: Trades, numerator: float, slope: float) -> Floats:
    """Supervisory delta (n,), 52.39-52.41: the direction; of an option times Phi; of a CDO tranche times 15/((1 + 14A)(1 + 14D))."""
    out = trades.direction.copy()
    for i in range(out.size):
        if trades.delta_kind[i] == OPTION:
            spread = trades.volatility[i] * math.sqrt(max(trades.expiry[i], 0.0))
            moneyness = math.log((trades.price[i] + trades.shift[i]) / (trades.strike[i] + trades.shift[i]))
            d = (moneyness + 0.5 * spread * spread) / max(spread, _TINY)
            out[i] *= 0.5 * math.erfc(-trades.call[i] * d / math.sqrt(2.0))
        elif trades.delta_kind[i] == TRANCHE:
            out[i] *= numerator / ((1.0 + slope * trades.price[i]) * (1.0 + slope * trades.strike[i]))
    return out


@compiled
def maturity_factors(maturity: Floats, floor: float, cap: float) -> Floats:
    """Maturity factor without margin (n,), 52.48: sqrt(min(max(M, floor), cap) / cap)."""
    out = np.empty(maturity.size)
    for i in range(maturity.size):
        out[i] = math.sqrt(min(max(maturity[i], floor), cap) / cap)
    return out


def margined_factors(days: Floats, scale: float, days_a_year: float) -> Floats:
    """Maturity factor with margin (n,), 52.52: scale x sqrt(margin period of risk / a year), both in business days."""
    found: Floats = scale * np.sqrt(days / days_a_year)
    return found


def margin_periods(
    agreed: Floats,
    frequency: Floats,
    trades: Ints,
    illiquid: Bools,
    disputed: Bools,
    base: float,
    large: float,
    more_than: int,
    dispute_multiple: float,
) -> Floats:
    """Margin period of risk (n,) in business days, 52.50-52.51: the agreed one, and at least the floor.

    frequency : N, business days between margin calls, so that the floor is `base` + N (9 + 1 daily); `large` for more than
    `more_than` trades or illiquid ones; multiplied where disputes were long.
    """
    floor = np.maximum(base + frequency, np.where((trades > more_than) | illiquid, large, 0.0))
    return np.maximum(agreed, np.where(disputed, dispute_multiple * floor, floor))


def unit_notionals(trades: Trades, rules: Rules) -> tuple[Floats, Floats, Floats, Floats]:
    """Of each row (n,): adjusted notional d, delta, maturity factor without margin, and d x delta."""
    adjusted = trades.notional * durations(trades.start, trades.end, rules.duration_rate, rules.duration_floor)
    delta = deltas(trades, rules.tranche_numerator, rules.tranche_slope)
    factor = maturity_factors(trades.maturity, rules.maturity_floor, rules.maturity_cap)
    return adjusted, delta, factor, adjusted * delta


@compiled
def exact_sums(slot: Codes, values: Floats, n: int) -> tuple[Floats, Floats, Floats]:
    """Sums of `values` (k,) by slot, those of slot -1 left out: coarse and fine part (n,), and the gross coarse part.

    Both parts are exact whatever the order while gross stays below `LIMIT` and a slot has fewer than four million values.
    """
    coarse, fine, gross = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(slot.size):
        s = slot[i]
        if s >= 0:
            large = np.rint(values[i] / _COARSE) * _COARSE
            coarse[s] += large
            gross[s] += abs(large)
            fine[s] += np.rint((values[i] - large) / _FINE) * _FINE
    return coarse, fine, gross


def overflowing(gross: Floats) -> Bools:
    """Whether a sum of `exact_sums` is too large, (n,)."""
    return ~(gross < _LIMIT)


@compiled
def add_ons(sets: Sets, notional: Floats, adjacent: float, distant: float) -> tuple[Floats, Floats]:
    """Add-on of each hedging set (n_hedging,), and its slope in the notional of each entity (n_entities,).

    notional : (n_entities,) effective notional D. MATURITIES : factor x sqrt(sum D_k^2 + 2 adjacent (D1 D2 + D2 D3) + 2 distant D1 D3),
    52.57. ABSOLUTE : sum of factor x |D|, 52.57 and 52.59. SYSTEMATIC : A = factor x D, sqrt((sum rho A)^2 + sum (1 - rho^2) A^2),
    52.61, 52.66 and 52.70.
    """
    out, slope = np.zeros(sets.form.size), np.zeros(notional.size)
    for h in range(sets.form.size):
        first, stop = sets.entity[h], sets.entity[h + 1]
        if sets.form[h] == ABSOLUTE:
            for e in range(first, stop):
                out[h] += sets.factor[e] * abs(notional[e])
                slope[e] = sets.factor[e] * np.sign(notional[e])
        elif sets.form[h] == MATURITIES:
            squared = 0.0
            for e in range(first, stop):
                for f in range(first, stop):
                    squared += _offset(sets.place[e], sets.place[f], adjacent, distant) * notional[e] * notional[f]
            root = math.sqrt(max(squared, 0.0))
            for e in range(first, stop):
                out[h] = sets.factor[e] * root
                for f in range(first, stop):
                    slope[e] += _offset(sets.place[e], sets.place[f], adjacent, distant) * notional[f]
                slope[e] = slope[e] * sets.factor[e] / root if root > 0.0 else 0.0
        else:
            common, own = 0.0, 0.0
            for e in range(first, stop):
                rho, amount = sets.correlation[e], sets.factor[e] * notional[e]
                common += rho * amount
                own += (1.0 - rho * rho) * amount * amount
            out[h] = math.sqrt(common * common + own)
            for e in range(first, stop):
                rho, amount = sets.correlation[e], sets.factor[e] * notional[e]
                if out[h] > 0.0:
                    slope[e] = sets.factor[e] * (rho * common + (1.0 - rho * rho) * amount) / out[h]
    return out, slope


@compiled
def _offset(one: int, other: int, adjacent: float, distant: float) -> float:
    apart = abs(one - other)
    return 1.0 if apart == 0 else adjacent if apart == 1 else distant


@compiled
def exposures(sets: Sets, add_on: Floats, terms: Terms, alpha: float, floor: float) -> Exposure:
    """RC, PFE and EAD of each netting set, 52.1, 52.10, 52.18, 52.23, 52.25; the cap of a margined set is `capped`."""
    n = terms.value.size
    by_class = np.zeros((n, 5))
    rc, pfe, ead, multiplier = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n)
    to_add_on, to_value, to_least = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        for h in range(sets.hedging[i], sets.hedging[i + 1]):
            by_class[i, sets.asset_class[h]] += add_on[h]
        total = 0.0
        for c in range(5):
            total += by_class[i, c]
        over = terms.value[i] - terms.collateral[i]
        if terms.margined[i] and terms.least[i] > over and terms.least[i] > 0.0:
            rc[i] = terms.least[i]
            to_least[i] = 1.0
        elif over > 0.0:
            rc[i] = over
            to_value[i] = 1.0
        to_add_on[i] = 1.0
        if over < 0.0:
            exponent = over / (2.0 * (1.0 - floor) * total) if total > 0.0 else -np.inf
            grown = math.exp(exponent) if exponent > -700.0 else 0.0
            multiplier[i] = min(1.0, floor + (1.0 - floor) * grown)
            to_add_on[i] = multiplier[i] - (1.0 - floor) * grown * (exponent if total > 0.0 and grown > 0.0 else 0.0)
            to_value[i] += 0.5 * grown
        pfe[i] = multiplier[i] * total
        ead[i] = np.rint(alpha * (rc[i] + pfe[i]) / _MONEY) * _MONEY
    return Exposure(rc, pfe, ead, multiplier, by_class, to_add_on, to_value, to_least)


def on_grid(amounts: Floats) -> Floats:
    """Amounts to the part of a unit of currency that exposures are given to."""
    found: Floats = np.rint(amounts / _MONEY) * _MONEY
    return found


@compiled
def split(parts: Floats, starts: Ints, measures: Floats) -> tuple[Floats, Floats]:
    """Parts of each measure on the grid of exposures, which add up to it to the last bit; and what they lacked of it (n,).

    Parts starts[i] to starts[i + 1] are of measures[i], a multiple of the grid. What is lacking goes to the greatest, the first of equals.
    """
    out, lacking = np.empty(parts.size), np.zeros(measures.size)
    for i in range(measures.size):
        total, greatest = 0.0, starts[i]
        for p in range(starts[i], starts[i + 1]):
            out[p] = np.rint(parts[p] / _MONEY) * _MONEY + 0.0
            total += out[p]
            if abs(out[p]) > abs(out[greatest]):
                greatest = p
        lacking[i] = measures[i] - total
        if starts[i + 1] > starts[i]:
            out[greatest] += lacking[i]
    return out, lacking
