"""Fixed-rate government bond, discounted on the government curve.

Unit of quantity: 100 of face amount. Value = dirty value on the valuation date = sum of the coupons and the redemption of
100 paid after that date, discounted. Coupons accrue between unadjusted dates; payments move to business days.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Interest rates", section on bond pricing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Rate
from valuation.instruments.rates.coupons import FACE, ScheduleTerms
from valuation.instruments.reads import curve_factors, paid, present_values
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


class Terms(ScheduleTerms):
    instrument_type: ClassVar[str] = "government_bond"

    coupon: Rate = Field(description="coupon, fraction of face a year (0.03 is 3%)")


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    # the next coupon is not looked up: a plan of a million bonds would build a million schedules
    return curve_factors(index, terms.discount_curve, valuation_date, terms.last_day(), first=valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    today = market.valuation_date.toordinal()
    days, amounts = [], []
    for t in terms:
        leg = t.coupons()
        made = leg.payments.searchsorted(today, side="right")
        due = FACE * t.coupon * leg.accruals[made:]
        due[-1] += FACE
        days.append(leg.payments[made:])
        amounts.append(due)
    return present_values(market, [t.discount_curve for t in terms], days, amounts)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    leg = terms.coupons()
    days = np.append(leg.payments, leg.payments[-1])
    amounts = np.append(FACE * terms.coupon * leg.accruals, FACE)
    return paid(markets, until, days, amounts, [*["coupon"] * len(leg.payments), "redemption"])
