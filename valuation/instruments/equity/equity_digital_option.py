"""European digital option on a share or index, under Black-Scholes-Merton with the slope of the smile.

Unit of quantity: an option that pays one unit of currency (cash-or-nothing) or one share or index unit (asset-or-nothing)
when the price at expiry is at the strike or above (call), below it (put). On the expiry date the value is what it pays.
Formula, source and treatment of the smile: `valuation.instruments.digital_options`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.digital_options import DigitalOption, digital_values
from valuation.instruments.equity.share_options import ShareOption, share_option_factors, shares_of
from valuation.instruments.reads import settlement
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(ShareOption, DigitalOption):
    instrument_type: ClassVar[str] = "equity_digital_option"


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return share_option_factors(terms, index, valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return digital_values(terms, shares_of(terms, market), market)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.expiry, until)
