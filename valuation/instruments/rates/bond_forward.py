"""Fixed-rate bond bought forward at a clean price.

Unit of quantity: 100 of face amount bought; a sale is a negative quantity. By replication, the value of what the bond pays after
delivery, less the price with the interest accrued by then:
value = sum of the flows after delivery x D(t) exp(-spread x t) - (strike + accrued) P(delivery),
with D of the discount curve and P of the repo curve. Coupons paid until delivery stay with the seller. Where both curves are
one and there is no spread, the forward price is (S - I) / P, S the dirty price today and I the coupons until delivery.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Determination of forward and futures prices", known income.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments.fields import Date, Name, Price, Rate, require_alive
from valuation.instruments.rates.coupons import CREDIT_SPREAD, VERSION, ScheduleTerms
from valuation.instruments.rates.deliverable import (
    DELIVERY,
    REPO_CURVE,
    Deliverable,
    deliverable,
    delivery_factors,
    repo_factors,
    values_after,
)
from valuation.instruments.reads import settlement
from valuation.types import CashFlow, Market, RolledMarkets

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class Terms(ScheduleTerms):
    instrument_type: ClassVar[str] = "bond_forward"

    coupon: Rate = Field(description="coupon of the bond, fraction of face a year (0.03 is 3%)")
    credit_spread: Name | None = Field(None, description=CREDIT_SPREAD)
    delivery: Date = Field(description=DELIVERY)
    strike: Price = Field(description="clean price agreed, per 100 of face")
    repo_curve: Name | None = Field(None, description=REPO_CURVE)

    @model_validator(mode="after")
    def _delivered(self) -> Self:
        if not self.issue_date <= self.delivery < self.maturity:
            raise ValueError(
                f"delivery {self.delivery} must lie between issue_date {self.issue_date} and before maturity {self.maturity}"
            )
        return self

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.delivery, valuation_date)

    def bond(self) -> Deliverable:
        return deliverable(self.schedule(), self.coupon, self.delivery)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return delivery_factors(
        index,
        valuation_date,
        terms.delivery,
        terms.last_day(),
        terms.discount_curve,
        terms.repo_curve,
        terms.credit_spread,
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    bonds = [t.bond() for t in terms]
    received = values_after(market, bonds, [t.discount_curve for t in terms], [t.credit_spread for t in terms])
    paid = np.array([t.strike + b.accrued for t, b in zip(terms, bonds, strict=True)])
    factors = repo_factors(market, [t.repo_curve or t.discount_curve for t in terms], [t.delivery for t in terms])
    return received - paid[:, None] * factors


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.delivery, until)
