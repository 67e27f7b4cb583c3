"""Collateral along paths: the terms of the agreements as arrays, and the balances that calls leave behind.

Variation margin is called at every date of the paths on the value of the netting set there, in the currency of the agreement. What is held
at a date t against a default is the balance after the last call that was at least a margin period of risk before t; before the first such
call it is today's. Independent amounts and initial margin do not move. What is held today in another currency stays there, and is worth
what the path's exchange rate says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from aggregation.exposure.netting_sets import NettingSets
from aggregation.exposure.path_values import PathValues
from aggregation.exposure.reference import Agreement
from aggregation.kernels.collateral import Agreements, called, left_over
from lake.arrays import Bools, Floats, Ints

_VARIATION = "variation"


@dataclass(frozen=True)
class Terms:
    """Collateral of netting sets.

    currencies : of agreements and balances. agreements : the terms. balance : (n_margined,) variation margin held today in the currency
    of the agreement. lag : (n_margined,) margin period of risk in business days.
    """

    currencies: tuple[str, ...]
    agreements: Agreements
    balance: Floats
    lag: Ints

    @property
    def margined(self) -> Ints:
        """The sets that exchange variation margin, (n_margined,)."""
        return np.flatnonzero(self.agreements.row >= 0)


def margin_period(agreement: Agreement) -> int:
    """Business days from the last call that is met before a default until trades are closed out.

    The agreement's margin period of risk, doubled while disputes last, and the days between calls less one (CRE52.50, CRE52.51).
    """
    assert agreement.margin_period_days is not None
    period = agreement.margin_period_days * (2 if agreement.disputed else 1)
    return period + (agreement.margin_frequency_days or 1) - 1


def terms_of(
    sets: NettingSets, first: int, last: int, lags: Sequence[int | None], collateralised: Bools | None = None
) -> Terms:
    """The terms of netting sets first to last - 1. lags : margin period of each agreement of `sets`, None where not margined.

    collateralised : (n_sets,) whether collateral counts at all; by default it does.
    """
    currencies = sets.currencies
    code = {c: i for i, c in enumerate(currencies)}
    counts = np.ones(len(sets), np.bool_) if collateralised is None else collateralised
    under = [(i, a) for i, a in enumerate(sets.agreements) if first <= i < last and counts[i]]
    margined = [(i, a) for i, a in under if a.margined]
    row, currency = np.full(last - first, -1, np.int32), np.zeros(last - first, np.int32)
    for place, (i, _) in enumerate(margined):
        row[i - first] = place
    for i, a in under:
        currency[i - first] = code[a.currency]
    own = {i: a.currency for i, a in margined}
    balance = dict.fromkeys(own, 0.0)
    static: dict[int, list[tuple[int, float, float]]] = {}
    other: dict[int, list[tuple[int, float]]] = {}
    for i, a in under:
        if a.independent_amount:
            static.setdefault(i, []).append((code[a.currency], a.independent_amount, a.independent_amount))
    for b in sets.balances:
        if not first <= b.code < last or not counts[b.code]:
            continue
        if b.kind == _VARIATION and own.get(b.code) == b.currency:
            balance[b.code] += b.amount
            continue
        if b.kind == _VARIATION and b.code in own:
            other.setdefault(b.code, []).append((code[b.currency], b.amount))
        # what is kept apart from the estate of its holder protects whoever it was taken by, and is not lost by whoever posted it
        for_us = 0.0 if b.segregated and b.amount < 0 else b.amount
        for_them = 0.0 if b.segregated and b.amount > 0 else b.amount
        static.setdefault(b.code, []).append((code[b.currency], for_us, for_them))
    listed = [static.get(i, []) for i in range(first, last)]
    others = [other.get(i, []) for i, _ in margined]
    flat, flat_other = [e for es in listed for e in es], [e for es in others for e in es]
    agreements = Agreements(
        row,
        currency,
        np.array([a.threshold for _, a in margined], np.float64),
        np.array([a.threshold_own for _, a in margined], np.float64),
        np.array([a.minimum_transfer_amount for _, a in margined], np.float64),
        np.array([a.two_way for _, a in margined], np.bool_),
        _starts(listed),
        np.array([e[0] for e in flat], np.int32),
        np.array([e[1] for e in flat], np.float64),
        np.array([e[2] for e in flat], np.float64),
        _starts(others),
        np.array([e[0] for e in flat_other], np.int32),
        np.array([e[1] for e in flat_other], np.float64),
    )
    balance_now = np.array([balance[i] for i, _ in margined], np.float64)
    return Terms(currencies, agreements, balance_now, np.array([lags[i] for i, _ in margined], np.int64))


def _starts(lists: Sequence[Sequence[object]]) -> Ints:
    return np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64)


@dataclass
class Balances:
    """Balances of variation margin after each call, kept as long as a later date may look back at them.

    business_day : a date and a number of business days to the day so many before it. all : (n_slots, n_margined, n_paths), of which each
    date has a slot.
    """

    paths: PathValues
    terms: Terms
    currency: str
    business_day: Callable[[dt.date, int], dt.date]
    n_paths: int
    all: Floats = field(init=False)
    _kept: list[tuple[dt.date, int]] = field(init=False)  # each date that may be looked back at, and its slot

    def __post_init__(self) -> None:
        self.all = np.repeat(self.terms.balance[None, :, None], self.n_paths, axis=2)
        self._kept = [(self.paths.as_of, 0)]
        self._number = {d: k for k, d in enumerate(self.paths.dates)}
        self._lags = np.unique(self.terms.lag).tolist()

    def fx(self, k: int) -> Floats:
        """Price of one unit of each currency of the terms at date k, (n_currencies, n_paths)."""
        return self.paths.rates(k, self.terms.currencies, self.currency)

    def begin(self, k: int) -> tuple[int, int]:
        """Slots of the balances before the call of date k, and of those after it, which are to be written."""
        taken = {slot for _, slot in self._kept}
        slot = next(i for i in range(len(taken) + 1) if i not in taken)
        if slot == len(self.all):
            self.all = np.concatenate([self.all, np.zeros_like(self.all)])
        before = self._kept[-1][1]
        self._kept.append((self.paths.dates[k], slot))
        return before, slot

    def call(self, k: int, value: Floats, fx: Floats) -> None:
        """Calls on the value of the netting sets at date k, (n_sets, n_paths) in the reporting currency."""
        if len(self.terms.lag):
            before, after = self.begin(k)
            called(value, self.terms.agreements, fx, self.all[before], self.all[after])

    def looked_back(self, k: int) -> tuple[Ints, Ints]:
        """Slots of the balances that stand at date k against a default, and the numbers of the dates they were called at, -1 for
        today, (n_margined,) each. The call of date k itself must have begun. What no later date needs is let go."""
        slot, called_at = (np.empty(len(self.terms.lag), np.int64) for _ in range(2))
        earliest = len(self._kept) - 1
        for lag in self._lags:
            before = self.business_day(self.paths.dates[k], lag)
            at = max((i for i, (d, _) in enumerate(self._kept) if d <= before), default=0)
            of = self.terms.lag == lag
            day, slot[of] = self._kept[at]
            called_at[of] = self._number.get(day, -1)
            earliest = min(earliest, at)
        self._kept = self._kept[earliest:]
        return slot, called_at

    def left(self, value: Floats, value_to_them: Floats, slot: Ints, fx: Floats) -> tuple[Floats, Floats, Floats]:
        """Exposure of us to them, of them to us, and what is held against ours; (n_sets, n_paths) each. slot : of the balances."""
        positive, negative, held = np.empty(value.shape), np.empty(value.shape), np.empty(value.shape)
        left_over(value, value_to_them, self.terms.agreements, self.all, slot, fx, positive, negative, held)
        return positive, negative, held
