"""Floating-rate note: it pays the rate of a projection curve plus a spread, and is discounted on another curve with the
issuer's credit spread where there is one.

Unit of quantity: 100 of face amount. Value = dirty value on the valuation date = sum over the periods not paid yet, from s to
e with the accrual a, of 100 (P(s) / P(e) - 1 + spread a) D(e) + 100 D(maturity), with P of the projection curve and D that of
the discount curve times exp(-credit spread x t). Rates fix on the first day of their period, without lag. A period that began
before the valuation date needs its fixing; one that begins on it takes it when given and is projected when not. In a market
rolled forward, a fixing inside the roll that is not given is the rate of that day on the rolled projection curve.
No convexity correction is needed as payment falls on the end of the period; caps and floors on the rate are not modelled.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Swaps", floating-rate bonds; Brigo and Mercurio, *Interest Rate
Models*, ch. 1, floating-rate notes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import BeforeValidator, Field

from lake.arrays import Floats
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Date, Name, Rate, known_fixing, read_json
from valuation.instruments.rates import coupons
from valuation.instruments.rates.coupons import FACE, VERSION, BondTerms
from valuation.instruments.reads import Varying, curve_factors, paid, period_growths, present_values
from valuation.instruments.schedules import BusinessDayConvention, DayCount, Leg
from valuation.types import CashFlow, Market, RolledMarkets

__all__ = ["VERSION", "Terms", "cash_flows", "risk_factors", "value"]


class Terms(BondTerms):
    instrument_type: ClassVar[str] = "floating_bond"

    day_count: DayCount = Field("Actual360", description=f"day count of the coupons: {schedules.DAY_COUNT}")
    business_day_convention: BusinessDayConvention = Field("ModifiedFollowing", description=schedules.CONVENTION)
    projection_curve: Name | None = Field(
        None, description="curve that projects the floating rate; the discount curve where left out"
    )
    spread: Rate | None = Field(None, description="quoted margin over the floating rate, fraction a year")
    fixings: Annotated[dict[Date, Rate], BeforeValidator(read_json)] = Field(
        {}, description='known floating rates by first day of the period, as JSON: {"2026-03-02": 0.0431}'
    )

    @property
    def projection(self) -> str:
        return self.projection_curve or self.discount_curve

    def coupons(self) -> Leg:
        return schedules.leg(*self.schedule()._replace(adjust_accrual=True))

    def last_day(self) -> dt.date:
        return dt.date.fromordinal(int(self.coupons().payments[-1]))

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        super().check(valuation_date, rolled_from)
        leg = self.coupons()
        running = int(leg.starts[leg.payments.searchsorted(valuation_date.toordinal(), side="right")])
        if running < valuation_date.toordinal():
            known_fixing(self.fixings, dt.date.fromordinal(running), rolled_from)

    def margins(self, leg: Leg) -> Floats:
        """What each period pays beside the floating rate."""
        return FACE * (self.spread or 0.0) * leg.accruals

    def coupon(self, leg: Leg, period: int, market: Market) -> float | Floats:
        """The coupon of a period that has begun: at its fixing, else at the rate of its first day in the rolled market."""
        reset = dt.date.fromordinal(int(leg.starts[period]))
        fixing = known_fixing(self.fixings, reset, None if market.roll is None else market.roll.since)
        floating: float | Floats
        if fixing is not None:
            floating = fixing * float(leg.accruals[period])
        elif market.along is not None:
            end = dt.date.fromordinal(int(leg.payments[period]))
            floating = market.along.growth(self.projection, reset, end) - 1.0
        else:
            floating = market.fixed_growth(self.projection, reset, dt.date.fromordinal(int(leg.payments[period]))) - 1.0
        return FACE * floating + float(self.margins(leg)[period])

    def projected(self, leg: Leg, valuation_date: dt.date) -> int:
        """The number of the first period whose rate is projected, the number of periods where none is."""
        today = valuation_date.toordinal()
        running = int(leg.payments.searchsorted(today, side="right"))
        if running == len(leg.starts):
            return running
        reset = int(leg.starts[running])
        return running + int(reset < today or dt.date.fromordinal(reset) in self.fixings)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    factors = coupons.risk_factors(terms, index, valuation_date)
    leg = terms.coupons()
    first = terms.projected(leg, valuation_date)
    if terms.projection == terms.discount_curve or first == len(leg.starts):
        return factors
    begin = dt.date.fromordinal(int(leg.starts[first]))
    return (*factors, *curve_factors(index, terms.projection, valuation_date, terms.last_day(), first=begin))


def value(terms: Sequence[Terms], market: Market) -> Floats:
    today = market.valuation_date.toordinal()
    days, amounts, faces, starts, ends = [], [], [], [], []
    fixed: list[Floats | None] = []  # coupons of running periods that differ from path to path
    for t in terms:
        leg = t.coupons()
        running = int(leg.payments.searchsorted(today, side="right"))
        first = t.projected(leg, market.valuation_date)
        paid_on = leg.payments[running:]
        known = t.margins(leg)[running:]
        coupon = t.coupon(leg, running, market) if first > running else 0.0
        if isinstance(coupon, float):
            known[0] = coupon if first > running else known[0]
        else:
            known[0] = 0.0
        face = np.where(np.arange(running, len(leg.starts)) >= first, FACE, 0.0)
        if (t.leaves(paid_on[:1]) <= today).any():
            known[0] = face[0] = coupon = 0.0
        fixed.append(None if isinstance(coupon, float) else coupon)
        known[-1] += FACE
        days.append(paid_on)
        amounts.append(known)
        faces.append(face)
        starts.append(leg.starts[first:])
        ends.append(leg.payments[first:])
    growths, rows = period_growths(market, [t.projection for t in terms], starts, ends)
    sources = [np.concatenate([np.full(len(d) - len(r), -1), r]) for d, r in zip(days, rows, strict=True)]
    for i, coupon_on_paths in enumerate(fixed):
        if coupon_on_paths is not None:
            sources[i][0], faces[i][0] = len(growths), 1.0
            growths = np.concatenate([growths, coupon_on_paths[None]])
    return present_values(
        market,
        [t.discount_curve for t in terms],
        days,
        amounts,
        [t.credit_spread for t in terms],
        Varying(faces, sources, growths),
    )


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    leg = terms.coupons()
    # only coupons of the interval are looked up: earlier fixings need not be known any more, later ones are not yet
    begin, end = leg.payments.searchsorted([markets.market_date.toordinal(), until.toordinal()], side="right")
    end = min(int(end) + (terms.ex_coupon_days is not None), len(leg.payments))
    market = markets.market(until)
    periods = [i for i in range(int(begin), end) if leg.starts[i] <= until.toordinal()]
    sums = [terms.coupon(leg, i, market) for i in periods]
    return (
        *paid(markets, until, terms.leaves(leg.payments[periods]), sums, ["coupon"] * len(sums)),
        *paid(markets, until, leg.payments[-1:], np.array([FACE]), ["redemption"]),
    )
