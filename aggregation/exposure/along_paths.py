"""Exposure of every netting set at every date on every path: netted, with collateral, a date at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aggregation.book.book import Book
from aggregation.exposure.collateral import Balances, Terms, terms_of
from aggregation.exposure.netted import Netting, net_on_paths
from aggregation.exposure.netting_sets import NettingSets
from aggregation.exposure.path_values import PathValues
from lake.arrays import Bools, Floats, Ints

Flows = Literal["paid", "unpaid", "own"]

_SETS_BYTES = 128 << 20  # of one array of netting sets by path


@dataclass(frozen=True)
class Exposed:
    """Netting sets first to first + n - 1 at date k, -1 for today; arrays (n, n_paths) in the reporting currency.

    value : of the trades, before collateral. positive : what we lose where the counterparty defaults; negative : what it loses where we do;
    neither below zero. held : collateral that counts against `positive`, posted negative. called_at : (n,) number of the date whose value
    the collateral was called on, -1 for today's balance and for sets without variation margin. flows : cash within the
    margin period that is taken as not paid, (n, n_paths), None where all is paid: positive is max(value + flows - held, 0).
    """

    k: int
    first: int
    value: Floats
    positive: Floats
    negative: Floats
    held: Floats
    called_at: Ints
    flows: Floats | None = None


@dataclass(frozen=True)
class Along:
    """What exposure is computed from.

    lags : margin period of each agreement in business days, None where it is not margined. collateralised : (n_sets,) whether collateral
    counts. spot : today's price of one unit of a currency in `currency`. flows : cash flows within the margin period: paid by both;
    unpaid by both; or own, whoever does not default pays. business_day : see `collateral.Balances`. reported : (n_dates,) whether exposure
    is asked for at a date, or it is there to call collateral on alone.
    """

    paths: PathValues
    book: Book
    sets: NettingSets
    currency: str
    spot: Callable[[str], float]
    lags: Sequence[int | None]
    collateralised: Bools
    business_day: Callable[[dt.date, int], dt.date]
    reported: Bools
    flows: Flows = "paid"
    threads: int | None = None

    def parts(self) -> list[Part]:
        """The netting sets in portions of bounded memory, in their order."""
        step = max(1, _SETS_BYTES // (8 * self.paths.n_paths))
        return [self._part(i, min(i + step, len(self.sets))) for i in range(0, len(self.sets), step)]

    def whole(self) -> Part:
        """All netting sets as one portion, for what keeps no array of them."""
        return self._part(0, len(self.sets))

    def _part(self, first: int, last: int) -> Part:
        netting = net_on_paths(self.paths, self.book, self.sets, first, last)
        return Part(self, first, netting, terms_of(self.sets, first, last, self.lags, self.collateralised))


@dataclass(frozen=True)
class Part:
    """A portion of the netting sets."""

    along: Along
    first: int
    netting: Netting
    terms: Terms

    def today(self) -> Exposed:
        """As the dates to come, at today's market and balances; one path."""
        along, n = self.along, self.netting.n_sets
        spot = np.array([along.spot(c) for c in self.netting.currencies], np.float64)
        value = self.netting.today(spot)[:, None]
        fx = np.array([along.spot(c) for c in self.terms.currencies], np.float64)[:, None]
        one = Balances(along.paths, self.terms, along.currency, along.business_day, 1)
        positive, negative, held = one.left(value, value, np.zeros(len(self.terms.lag), np.int64), fx)
        return Exposed(-1, self.first, value, positive, negative, held, np.full(n, -1))

    def balances(self) -> Balances:
        """Those of today, from which those of the dates come."""
        along = self.along
        return Balances(along.paths, self.terms, along.currency, along.business_day, along.paths.n_paths)

    def dates(self) -> Iterator[Exposed]:
        """Every date that is reported, in turn."""
        along, terms = self.along, self.terms
        balances = self.balances()
        paid = _Paid(self) if along.flows != "paid" and len(terms.lag) else None
        for k, reported in enumerate(along.reported.tolist()):
            if not reported and not len(terms.lag):
                continue
            value = self.netting.values(k, along.currency, along.threads)
            fx = balances.fx(k)
            balances.call(k, value, fx)
            if not reported:
                if paid is not None:
                    paid.note(k)
                continue
            slot, at = balances.looked_back(k)
            called_at = np.full(self.netting.n_sets, -1)
            called_at[terms.margined] = at
            if paid is None:
                positive, negative, held = balances.left(value, value, slot, fx)
                yield Exposed(k, self.first, value, positive, negative, held, called_at)
                continue
            flows = paid.since(k, at)
            ours, theirs = (np.maximum(flows, 0.0), np.minimum(flows, 0.0)) if along.flows == "own" else (flows, flows)
            positive, negative, held = balances.left(value + ours, value + theirs, slot, fx)
            yield Exposed(k, self.first, value, positive, negative, held, called_at, ours)


class _Paid:
    """Cash that margined netting sets have paid since the dates their collateral was called on."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._cash: list[tuple[int, Floats]] = []

    def note(self, k: int) -> None:
        """Reads the cash of date k."""
        along, terms = self._part.along, self._part.terms
        self._cash.append((k, self._part.netting.cash(k, along.currency, along.threads)[terms.margined]))

    def since(self, k: int, called_at: Ints) -> Floats:
        """Cash after the call of each margined set up to date k, (n_sets, n_paths); zero for the others."""
        along, terms = self._part.along, self._part.terms
        self.note(k)
        self._cash = [(j, c) for j, c in self._cash if j > called_at.min()]
        out = np.zeros((self._part.netting.n_sets, along.paths.n_paths))
        for j, cash in self._cash:
            later = called_at < j
            out[terms.margined[later]] += cash[later]
        return out
