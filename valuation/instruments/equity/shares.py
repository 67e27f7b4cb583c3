"""What forwards, futures and options on a share have in common: its price less what it pays before the last day.

A share pays a continuous dividend yield q, and where the term `dividend_model` is given also the cash dividends of the market: risk
factors of type `dividend` whose `asset` is the share. Those that go ex after the valuation date and up to the last day count, as if paid
on the ex-date: the present value of the share delivered at T is S exp(-qT) - sum D exp(-q(T - t)) DF(t).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lake.arrays import Floats
from scenarios.types import SHARES, FactorIndex
from valuation.instruments.reads import Dividends, curve_factors, dividend_factors, require_factor
from valuation.types import Market

UNDERLYING = "risk factor id of the share or index, such as EQ:AAPL"
YIELD = "continuous dividend yield, fraction a year (0.02 is 2%)"
FORWARD_DIVIDENDS = (
    "escrowed or spot, which are the same here: less the cash dividends of the market; the yield alone when absent"
)


class Yielding(Protocol):
    """Terms with a continuous dividend yield, none for zero."""

    @property
    def dividend_yield(self) -> float | None: ...


class OnShare(Yielding, Protocol):
    """The terms that are read here."""

    @property
    def currency(self) -> str: ...
    @property
    def underlying(self) -> str: ...
    @property
    def dividend_model(self) -> str | None: ...
    @property
    def discount_curve(self) -> str: ...


def share_factors(terms: OnShare, index: FactorIndex, valuation_date: dt.date, last: dt.date) -> tuple[str, ...]:
    """Ids of the share, of its dividends up to `last` where they are read, and of the curve to the first of those dates and on."""
    underlying = require_factor(index, terms.underlying, SHARES, terms.currency)
    dividends: tuple[tuple[str, dt.date], ...] = ()
    if terms.dividend_model is not None:
        dividends = dividend_factors(index, terms.underlying, terms.currency, valuation_date, last)
    first = dividends[0][1] if dividends else last
    curve = curve_factors(index, terms.discount_curve, valuation_date, last, first)
    return (underlying, *(i for i, _ in dividends), *curve)


def carried(terms: Sequence[Yielding], times: Floats) -> Floats:
    """exp(-qT) of each contract, shape (n_contracts,)."""
    return np.array(
        [math.exp(-(t.dividend_yield or 0.0) * time) for t, time in zip(terms, times.tolist(), strict=True)]
    )


def dividends_of(terms: Sequence[OnShare], market: Market, lasts: Sequence[dt.date]) -> Dividends | None:
    """The cash dividends of each contract up to its last day; None where no contract reads any."""
    if all(t.dividend_model is None for t in terms):
        return None
    before = [last if t.dividend_model else market.valuation_date for t, last in zip(terms, lasts, strict=True)]
    return Dividends.of(market, [t.underlying for t in terms], [t.discount_curve for t in terms], before)


def delivered(terms: Sequence[OnShare], market: Market, lasts: Sequence[dt.date], times: Floats) -> Floats:
    """Present value of the share delivered on the last day, shape (n_contracts, n_states)."""
    held = market.levels([t.underlying for t in terms]) * carried(terms, times)[:, None]
    dividends = dividends_of(terms, market, lasts)
    if dividends is None:
        return held
    with_dividends = np.array([t.dividend_model is not None for t in terms])
    paid = dividends.present_values(np.array([t.dividend_yield or 0.0 for t in terms]), times)
    return np.where(with_dividends[:, None], held - paid, held)
