"""Future on a bond, of which the seller delivers the cheapest of a basket.

Unit of quantity: 100 of face amount of the notional bond of the contract. Value = futures price less reference price
(`strike`: that of the trade, or the last settlement), undiscounted, as gains are paid daily. In every state
futures price = min over the basket of (forward clean price / conversion factor),
forward clean price = sum of the flows after delivery x D(t) exp(-spread x t) / P(delivery) - accrued on delivery,
with D of the discount curve and P of the repo curve, so that the cheapest to deliver may change from state to state.
Conversion factors are terms, as the exchange publishes them. Delivery is on one day; the seller's options on the day of it, and
what the future differs from a forward by for correlation of rates and margin, are not modelled, which makes the price a little high.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Interest rate futures", Treasury bond futures.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import (
    DISCOUNT_CURVE,
    Currency,
    Date,
    Frequency,
    Name,
    Price,
    Rate,
    read_json,
    require_alive,
)
from valuation.instruments.rates.coupons import CREDIT_SPREAD, VERSION, Schedule
from valuation.instruments.rates.deliverable import (
    DELIVERY,
    REPO_CURVE,
    deliverable,
    delivery_factors,
    repo_factors,
    values_after,
)
from valuation.instruments.reads import settlement
from valuation.instruments.schedules import BusinessDayConvention, Calendar, DayCount
from valuation.types import CashFlow, InstrumentTerms, Market, RolledMarkets

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class DeliverableBond(BaseModel):
    """A bond of the basket."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    issue_date: Date
    maturity: Date
    coupon: Rate
    conversion_factor: Price


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "bond_future"

    currency: Currency = Field(description="currency of the bonds, ISO 4217")
    delivery: Date = Field(description=DELIVERY)
    strike: Price = Field(description="reference price, per 100 of face: that of the trade, or the last settlement")
    basket: Annotated[tuple[DeliverableBond, ...], BeforeValidator(read_json)] = Field(
        description="deliverable bonds, as JSON: "
        '[{"issue_date": "2018-05-15", "maturity": "2028-05-15", "coupon": 0.0288, "conversion_factor": 0.8053}]'
    )
    frequency: Frequency = Field(description="coupons of the bonds a year: 1, 2 or 4")
    day_count: DayCount = Field("ActualActualISMA", description=f"day count of the coupons: {schedules.DAY_COUNT}")
    calendar: Calendar = Field("weekdays", description=schedules.CALENDAR)
    business_day_convention: BusinessDayConvention = Field("Following", description=schedules.CONVENTION)
    end_of_month: bool = Field(False, description="coupons fall on month ends when the maturity does")
    discount_curve: Name = Field(description=DISCOUNT_CURVE)
    credit_spread: Name | None = Field(None, description=CREDIT_SPREAD)
    repo_curve: Name | None = Field(None, description=REPO_CURVE)

    @model_validator(mode="after")
    def _delivered(self) -> Self:
        if not self.basket:
            raise ValueError("basket must hold a bond or more")
        for bond in self.basket:
            if not bond.issue_date <= self.delivery < bond.maturity:
                raise ValueError(
                    f"a bond of the basket runs from {bond.issue_date} to {bond.maturity}, but delivery is on {self.delivery}"
                )
        return self

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, valuation_date, max(b.maturity for b in self.basket))

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.delivery, valuation_date)

    def schedule(self, bond: DeliverableBond) -> Schedule:
        return Schedule(
            bond.issue_date,
            bond.maturity,
            self.frequency,
            self.day_count,
            self.calendar,
            self.business_day_convention,
            False,
            self.end_of_month,
        )


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    longest = max(b.maturity for b in terms.basket)
    last = schedules.payment_date(longest, terms.calendar, terms.business_day_convention)
    return delivery_factors(
        index, valuation_date, terms.delivery, last, terms.discount_curve, terms.repo_curve, terms.credit_spread
    )


def implied_prices(terms: Sequence[Terms], market: Market) -> Floats:
    """Futures price that each bond of each basket in turn implies, shape (n_bonds, n_states); the cheapest has the lowest."""
    held = [(i, b) for i, t in enumerate(terms) for b in t.basket]
    of = [i for i, _ in held]
    bonds = [deliverable(terms[i].schedule(b), b.coupon, terms[i].delivery) for i, b in held]
    values = values_after(market, bonds, [terms[i].discount_curve for i in of], [terms[i].credit_spread for i in of])
    factors = repo_factors(market, [t.repo_curve or t.discount_curve for t in terms], [t.delivery for t in terms])
    accrued = np.array([b.accrued for b in bonds])
    conversion = np.array([b.conversion_factor for _, b in held])
    return np.asarray((values / factors[of] - accrued[:, None]) / conversion[:, None])


def value(terms: Sequence[Terms], market: Market) -> Floats:
    first = np.concatenate([[0], np.cumsum([len(t.basket) for t in terms])[:-1]])
    prices = np.minimum.reduceat(implied_prices(terms, market), first, axis=0)
    return np.asarray(prices - np.array([t.strike for t in terms])[:, None])


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return settlement(value, terms, markets, terms.delivery, until)
