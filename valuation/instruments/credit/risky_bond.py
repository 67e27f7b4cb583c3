"""Fixed-rate bond of an issuer that may default, with recovery of face.

Unit of quantity: 100 of face amount. Value = dirty value on the valuation date: each coupon and the redemption, discounted, times
the probability that the issuer lives through the day of payment, and R times the face paid at a default, of which nothing has
accrued. The integral over the time of default is exact where hazard and forward rates are constant between the nodes of their
curves; default and rates are independent. An issuer that has defaulted is a state of the contract: `default_date` and
`settlement_date` are terms, coupons before the default and the recovery on the settlement date are certain.
Source: Duffie and Singleton, *Credit Risk*, ch. 5, recovery of face value; see `valuation.kernels.credit`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from pydantic import model_validator

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.credit.default_legs import Coupons, DefaultedTerms, legs, recovered, risky_factors
from valuation.instruments.rates import government_bond
from valuation.instruments.rates.coupons import FACE
from valuation.instruments.reads import curve_factors, paid, present_values
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


class Terms(government_bond.Terms, DefaultedTerms):
    instrument_type: ClassVar[str] = "risky_bond"

    @model_validator(mode="after")
    def _defaults_in_its_life(self) -> Self:
        if self.default_date and not self.issue_date <= self.default_date <= self.maturity:
            raise ValueError(
                f"default_date {self.default_date} is not between issue_date {self.issue_date} and maturity {self.maturity}"
            )
        return self

    def last_day(self) -> dt.date:
        return self.settlement_date or super().last_day()

    def flows(self) -> tuple[Ints, Floats, list[str]]:
        """Days, amounts and kinds of all payments, as far as is known: up to maturity, or to the settlement of a default."""
        leg = self.coupons()
        days, amounts = leg.payments, FACE * self.coupon * leg.accruals
        last, end, kind = int(days[-1]), FACE, "redemption"
        if self.default_date and self.settlement_date and self.recovery_rate is not None:
            n = int(days.searchsorted(self.default_date.toordinal()))
            days, amounts = days[:n], amounts[:n]
            last, end, kind = self.settlement_date.toordinal(), FACE * self.recovery_rate, "settlement"
        return np.append(days, last), np.append(amounts, end), [*["coupon"] * len(days), kind]


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    last = terms.last_day()
    if terms.default_date is None:
        return risky_factors(index, terms, terms.discount_curve, valuation_date, last, last)
    return curve_factors(index, terms.discount_curve, valuation_date, last, first=valuation_date)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    today = market.valuation_date.toordinal()
    flows = [_due(t, today) for t in terms]
    values = np.empty((len(terms), market.n_states))
    gone = [i for i, t in enumerate(terms) if t.default_date]
    if gone:
        days, amounts = zip(*(flows[i] for i in gone), strict=True)
        values[gone] = present_values(market, [terms[i].discount_curve for i in gone], days, amounts)
    rows = [i for i, t in enumerate(terms) if not t.default_date]
    if rows:
        living = [terms[i] for i in rows]
        at_default, alive = legs(
            market,
            [(t.discount_curve, t.credit_curve) for t in living],
            [(today, int(flows[i][0][-1])) for i in rows],
            [_coupons(*flows[i]) for i in rows],
            accrued_a_year=0.0,
        )
        values[rows] = FACE * recovered(market, living) * at_default + alive
    return values


def _due(terms: Terms, today: int) -> tuple[Ints, Floats]:
    days, amounts, _ = terms.flows()
    made = days.searchsorted(today, side="right")
    return days[made:], amounts[made:]


def _coupons(days: Ints, amounts: Floats) -> Coupons:
    """Payments made if the issuer lives through their day."""
    return Coupons(days, days, days, days, np.full(len(days), 360), amounts)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    return paid(markets, until, *terms.flows())
