"""Cash equity and index: one share, or one index point, at its market price.

Unit of quantity: a share or an index unit. Value = level of the risk factor. Dividends matter in a roll-forward alone: a yield
is paid continuously, put into the share, and that much of it is sold on the last day; cash dividends of the market are paid on their
ex-dates.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from lake.arrays import Floats
from scenarios.types import SHARES, FactorIndex
from valuation.instruments.fields import Currency, Name, Rate
from valuation.instruments.reads import require_factor
from valuation.market.dividends import going_ex
from valuation.market.scenario_market import DAYS_A_YEAR
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

VERSION = "1"


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "cash_equity"

    currency: Currency = Field(description="currency of the price, ISO 4217")
    underlying: Name = Field(description="risk factor id of the share or index, such as EQ:AAPL")
    dividend_yield: Rate | None = Field(
        None, description="continuous dividend yield paid as cash in a roll-forward, fraction a year; none when absent"
    )
    cash_dividends: bool | None = Field(
        None, description="true where the cash dividends of the market are paid in a roll-forward; none when absent"
    )


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return (require_factor(index, terms.underlying, SHARES, terms.currency),)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return market.levels([t.underlying for t in terms])


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    first = markets.market_date
    if until <= first:
        return ()
    dividend_yield, end = terms.dividend_yield or 0.0, markets.market(until)

    def shares(day: dt.date) -> float:
        """Those that the yield has bought by a day."""
        return math.expm1(dividend_yield * (day - first).days / DAYS_A_YEAR)

    out = [
        CashFlow(day, (1 + shares(day)) * float(end.level(paid)[0]), "dividend")
        for day, paid in (going_ex(end.index, terms.underlying, first, until) if terms.cash_dividends else ())
    ]
    if dividend_yield:
        price = end.level(terms.underlying)
        out.append(CashFlow(until, shares(until) * (float(price[0]) if end.along is None else price), "dividend"))
    return tuple(out)
