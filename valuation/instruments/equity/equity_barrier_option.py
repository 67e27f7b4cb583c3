"""European option on a share or index that a touch of its barrier makes (knock-in) or ends (knock-out), under Black-Scholes-Merton.

Unit of quantity: an option on one share or index unit. Formula, source, monitoring, rebate and limits of the model:
`valuation.instruments.barrier_options`. A price at the barrier or beyond it has touched it, in the base and in every
scenario; a touch on an earlier day is known from `barrier_hit` alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.barrier_options import BarrierOption, barrier_cash, barrier_factors, barrier_values
from valuation.instruments.equity.share_options import ShareOption, share_option_factors, shares_of
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = "1"


class Terms(ShareOption, BarrierOption):
    instrument_type: ClassVar[str] = "equity_barrier_option"

    @property
    def payment_curve(self) -> str:
        return self.discount_curve


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return barrier_factors(terms, index, valuation_date, lambda: share_option_factors(terms, index, valuation_date))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return barrier_values(terms, market, shares_of)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return barrier_cash(value, terms, markets, until)
