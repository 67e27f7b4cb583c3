"""European digital option on an exchange rate, under Garman-Kohlhagen with the slope of the smile.

Unit of quantity: an option that pays one unit of quote currency (cash-or-nothing) or one unit of base currency
(asset-or-nothing) when the rate at expiry is at the strike or above (call), below it (put). Value in the quote currency; on
the expiry date it is what it pays. Formula, source and treatment of the smile: `valuation.instruments.digital_options`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.digital_options import DigitalOption, digital_values
from valuation.instruments.fx.pair_options import PairOption, pair_option_factors, pairs_of
from valuation.instruments.reads import settlement
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(PairOption, DigitalOption):
    instrument_type: ClassVar[str] = "fx_digital_option"


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return pair_option_factors(terms, index, valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return digital_values(terms, pairs_of(terms, market), market)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)
