"""Inflation-linked government bond: real coupons and redemption, each times the growth of a price index since issue.

Unit of quantity: 100 of real face amount. Value = dirty nominal value on the valuation date = sum of the real flows paid after
that date x (reference index of the end of their period / base index) x D(t). With a deflation floor the redemption is at least
100: max(index ratio, 1) in every state, which is the floor at its intrinsic value, without the value of its time.
Index, curve and nominal discount curve move apart from each other; their covariance is that of the scenarios, and no
convexity is added. Reference index, lag and interpolation: `price_indices`; projection: `valuation.market.inflation`.
Source: US Treasury, 31 CFR 356 appendix B (index ratio); Brigo and Mercurio, *Interest Rate Models*, ch. "Inflation-indexed bonds".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments.fields import Price, Rate
from valuation.instruments.rates.coupons import FACE, VERSION, Flows, ScheduleTerms, at_maturity
from valuation.instruments.rates.price_indices import IndexedTerms, IndexLevels, index_levels
from valuation.instruments.reads import Varying, curve_factors, paid, present_values
from valuation.types import CashFlow, Market, RolledMarkets

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class Terms(ScheduleTerms, IndexedTerms):
    instrument_type: ClassVar[str] = "inflation_bond"

    coupon: Rate = Field(description="real coupon, fraction of real face a year (0.01 is 1%)")
    base_index: Price = Field(description="reference index from which the bond's index ratio is reckoned")
    deflation_floor: bool | None = Field(
        None, description="true where the redemption is at least 100; none where left out"
    )

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        super().check(valuation_date, rolled_from)
        self.require_known(self.ends()[self.made(valuation_date) :], rolled_from or valuation_date)

    def ends(self) -> Ints:
        """The last days of all periods, before moving to a business day, by ordinals."""
        return np.append(self.coupons().starts[1:], self.maturity.toordinal())

    def made(self, valuation_date: dt.date) -> int:
        """How many payments have been made by the end of that date."""
        return int(self.coupons().payments.searchsorted(valuation_date.toordinal(), side="right"))

    def real(self) -> Flows:
        leg = self.coupons()
        return Flows(leg.payments, FACE * self.coupon * leg.accruals, at_maturity(len(leg.payments)))


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    return (
        *curve_factors(index, terms.discount_curve, valuation_date, terms.last_day(), first=valuation_date),
        *terms.index_factors(index, valuation_date, terms.ends()[terms.made(valuation_date) :]),
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    made = [t.made(market.valuation_date) for t in terms]
    real = [t.real() for t in terms]
    at = index_levels(market, terms, [t.ends()[k:] for t, k in zip(terms, made, strict=True)])
    floored = [i for i, t in enumerate(terms) if t.deflation_floor]
    redemptions = _floored(terms, at, floored, [-1] * len(floored))
    row_of = {i: len(at.levels) + k for k, i in enumerate(floored)}
    days, amounts, weights, sources = [], [], [], []
    for i, (t, (paid_on, coupons, back), k) in enumerate(zip(terms, real, made, strict=True)):
        indexed = (coupons[k:] if i in row_of else coupons[k:] + back[k:]) / t.base_index
        _, parts, known = at.references[i]
        # one cash flow for each month that a payment hangs on; what is known is paid with the first
        days.append(np.repeat(paid_on[k:], 2))
        amounts.append(np.stack([indexed * known, np.zeros(len(known))]).T.ravel())
        weights.append((indexed * parts).T.ravel())
        sources.append(at.rows[i].T.ravel())
        if i in row_of:
            days[-1] = np.append(days[-1], paid_on[-1])
            amounts[-1] = np.append(amounts[-1], 0.0)
            weights[-1] = np.append(weights[-1], FACE)
            sources[-1] = np.append(sources[-1], row_of[i])
    varying = Varying(weights, sources, np.concatenate([at.levels, redemptions]))
    return present_values(market, [t.discount_curve for t in terms], days, amounts, varying=varying)


def _floored(terms: Sequence[Terms], at: IndexLevels, contracts: Sequence[int], places: Sequence[int]) -> Floats:
    """Index ratio of a day of each of these contracts, one at the least; shape (len(contracts), n_states)."""
    base = np.array([terms[i].base_index for i in contracts])
    return np.asarray(np.maximum(at.on(contracts, places) / base[:, None], 1.0))


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    days, coupons, back = terms.real()
    ratios: list[float | Floats] = [0.0] * len(days)
    ends = terms.ends()
    for k in range(terms.made(markets.market_date), terms.made(until)):
        market = markets.market(dt.date.fromordinal(int(days[k])))
        at = index_levels(market, [terms], [ends[k : k + 1]])
        ratio = at.on([0], [0])[0] / terms.base_index
        ratios[k] = float(ratio[0]) if market.along is None else ratio
    redeemed = np.maximum(ratios[-1], 1.0) if terms.deflation_floor else ratios[-1]
    return (
        *paid(
            markets, until, days, [c * r for c, r in zip(coupons.tolist(), ratios, strict=True)], ["coupon"] * len(days)
        ),
        *paid(markets, until, days[-1:], [float(back[-1]) * redeemed], ["redemption"]),
    )
