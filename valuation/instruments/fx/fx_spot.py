"""FX spot trade: one unit of the base currency bought at a rate, not settled yet.

Unit of quantity: one unit of base currency bought. Value in the quote currency = S - K until the day it settles, two business days
after the trade for most pairs; interest of these few days is left out, as the quoted spot rate holds it. A balance
in a currency is no spot trade: it has no rate and nothing left to settle.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import Date, Price, require_alive
from valuation.instruments.fx.pairs import CurrencyPair, spot_factors, spot_rates
from valuation.instruments.reads import settlement
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"
_LONGEST = 7  # days a spot trade takes to settle, over holidays


class Terms(CurrencyPair):
    instrument_type: ClassVar[str] = "fx_spot"

    strike: Price = Field(description="rate dealt: units of quote currency paid for one of base currency, positive")
    maturity: Date = Field(description="date on which the trade settles")

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.maturity, valuation_date)

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        days = (self.maturity - valuation_date).days
        if days <= _LONGEST:
            return ()
        return (
            f"It settles in {days} days and is valued without interest; an fx_forward has the interest of both currencies.",
        )


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return spot_factors(terms, index)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    strikes: Floats = np.array([[t.strike] for t in terms])
    return spot_rates(terms, market) - strikes


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.maturity, until)
