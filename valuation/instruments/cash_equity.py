"""Cash equity and index: one share, or one index point, at its market price.

Unit of quantity: a share or an index unit. Value = level of the risk factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from scenarios.types import FactorIndex, Floats
from valuation.instruments.fields import Currency, Name
from valuation.instruments.reads import SHARES, require_factor
from valuation.types import InstrumentTerms, Market

VERSION = "1"


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "cash_equity"

    currency: Currency = Field(description="currency of the price, ISO 4217")
    underlying: Name = Field(description="risk factor id of the share or index, such as EQ:AAPL")


def risk_factors(terms: Terms, index: FactorIndex) -> tuple[str, ...]:
    return (require_factor(index, terms.underlying, SHARES, terms.currency),)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    return market.levels([t.underlying for t in terms])
