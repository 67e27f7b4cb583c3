"""Fixed-floating interest-rate swap on a single curve, which both projects and discounts.

Unit of quantity: one unit of notional. Value to the party of `pay_fixed`: floating minus fixed leg when it pays fixed, else
the opposite. Notionals are not exchanged. Floating rates fix on the first day of their period (no fixing lag), without
spread; on one curve a leg of unknown periods from t to T is worth DF(t) - DF(T), so the floating leg is
the known coupon of the running period + DF(end of the running period) - DF(maturity).
A period that began before the valuation date needs its fixing; one that begins on that date takes it when given and is
projected from the curve when not. In a market rolled forward, a fixing that falls inside the roll and is not given is
the rate of that day on the rolled curve; scenarios, which happen at the end of the roll, do not move it.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Swaps", valuation as bonds.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import Currency, Date, Frequency, Name, Rate, require_alive
from valuation.instruments.reads import curve_factors, paid, present_values
from valuation.instruments.schedules import BusinessDayConvention, Calendar, DayCount, Leg
from valuation.types import CashFlow, InstrumentTerms, Market, NotValuable, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


def _read_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "interest_rate_swap"

    currency: Currency = Field(description="currency of both legs, ISO 4217")
    pay_fixed: bool = Field(description="true pays the fixed rate and receives floating, false the opposite")
    fixed_rate: Rate = Field(description="fixed rate, fraction a year (0.03 is 3%)")
    start: Date = Field(description="first day of the first period; may lie ahead")
    maturity: Date = Field(description="last day of the last period, before moving to a business day")
    fixed_frequency: Frequency = Field(description="fixed payments a year: 1, 2 or 4")
    float_frequency: Frequency = Field(description="floating payments a year: 1, 2 or 4")
    fixed_day_count: DayCount = Field(description=f"day count of the fixed leg: {schedules.DAY_COUNT}")
    float_day_count: DayCount = Field(description=f"day count of the floating leg: {schedules.DAY_COUNT}")
    calendar: Calendar = Field("weekdays", description=schedules.CALENDAR)
    business_day_convention: BusinessDayConvention = Field("ModifiedFollowing", description=schedules.CONVENTION)
    end_of_month: bool | None = Field(
        None, description="periods end on month ends when the maturity does; false where left out"
    )
    discount_curve: Name = Field(description="curve that projects and discounts, such as USD")
    fixings: Annotated[dict[Date, Rate], BeforeValidator(_read_json)] = Field(
        {}, description='known floating rates by first day of the period, as JSON: {"2026-03-02": 0.0431}'
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.maturity:
            raise ValueError(f"start {self.start} must lie before maturity {self.maturity}")
        return self

    def _leg(self, frequency: int, day_count: str) -> Leg:
        return schedules.leg(
            self.start,
            self.maturity,
            frequency,
            day_count,
            self.calendar,
            self.business_day_convention,
            adjust_accrual=True,
            end_of_month=bool(self.end_of_month),
        )

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, valuation_date, self.maturity)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        leg = self.floating_leg()
        require_alive(dt.date.fromordinal(int(leg.payments[-1])), valuation_date, included=False)
        running = int(leg.starts[leg.payments.searchsorted(valuation_date.toordinal(), side="right")])
        if running < valuation_date.toordinal():
            self._fixing(dt.date.fromordinal(running), rolled_from)

    def fixed_leg(self) -> Leg:
        return self._leg(self.fixed_frequency, self.fixed_day_count)

    def floating_leg(self) -> Leg:
        return self._leg(self.float_frequency, self.float_day_count)

    def fixed_flows(self, valuation_date: dt.date) -> tuple[Ints, Floats]:
        """Days and amounts of the fixed payments still due, per unit of notional."""
        leg = self.fixed_leg()
        made = leg.payments.searchsorted(valuation_date.toordinal(), side="right")
        return leg.payments[made:], self.fixed_rate * leg.accruals[made:]

    def floating_flows(self, market: Market) -> tuple[Ints, Floats]:
        """Days and amounts worth the floating leg: a unit at the first unknown reset, plus the known coupon, less a unit
        at the end. Raises `NotValuable` when the fixing of the running period is missing.
        """
        leg = self.floating_leg()
        today = market.valuation_date.toordinal()
        running = int(leg.payments.searchsorted(today, side="right"))
        reset = int(leg.starts[running])
        first, coupon = reset, 0.0
        if reset < today or dt.date.fromordinal(reset) in self.fixings:
            first, coupon = int(leg.payments[running]), self.floating_coupon(leg, running, market)
        return np.array([first, leg.payments[-1]]), np.array([1.0 + coupon, -1.0])

    def floating_coupon(self, leg: Leg, period: int, market: Market) -> float:
        """The coupon of a period that has begun: at its fixing, else at the rate of its first day in the rolled market."""
        reset = dt.date.fromordinal(int(leg.starts[period]))
        fixing = self._fixing(reset, None if market.roll is None else market.roll.since)
        if fixing is not None:
            return fixing * float(leg.accruals[period])
        end = dt.date.fromordinal(int(leg.payments[period]))
        return market.fixed_growth(self.discount_curve, reset, end) - 1.0

    def _fixing(self, reset: dt.date, rolled_from: dt.date | None) -> float | None:
        """The fixing of a day; None where the roll gives it; raises `NotValuable` where nothing does."""
        fixing = self.fixings.get(reset)
        if fixing is None and (rolled_from is None or reset < rolled_from):
            given = ", ".join(str(d) for d in sorted(self.fixings)) or "none"
            raise NotValuable(
                "missing_fixing", f"The period from {reset} needs its floating rate in fixings; given: {given}."
            )
        return fixing


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    floating, fixed = terms.floating_leg(), terms.fixed_leg()
    last = int(max(floating.payments[-1], fixed.payments[-1]))
    first = last
    for leg in (floating, fixed):
        running = min(int(leg.payments.searchsorted(valuation_date.toordinal(), side="right")), len(leg.payments) - 1)
        first = min(first, int(leg.payments[running]))
    if (reset := int(floating.starts[0])) >= valuation_date.toordinal():
        first = min(first, reset)
    return curve_factors(
        index, terms.discount_curve, valuation_date, dt.date.fromordinal(last), first=dt.date.fromordinal(first)
    )


def value(terms: Sequence[Terms], market: Market) -> Floats:
    days, amounts = [], []
    for t in terms:
        fixed_days, fixed = t.fixed_flows(market.valuation_date)
        floating_days, floating = t.floating_flows(market)
        sign = 1.0 if t.pay_fixed else -1.0
        days.append(np.concatenate([floating_days, fixed_days]))
        amounts.append(np.concatenate([sign * floating, -sign * fixed]))
    return present_values(market, [t.discount_curve for t in terms], days, amounts)


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    fixed, floating = terms.fixed_leg(), terms.floating_leg()
    sign = 1.0 if terms.pay_fixed else -1.0
    # only coupons of the interval are looked up: earlier fixings need not be known any more, later ones are not yet
    begin, end = floating.payments.searchsorted([markets.market_date.toordinal(), until.toordinal()], side="right")
    market = markets.market(until)
    coupons = np.array([sign * terms.floating_coupon(floating, i, market) for i in range(int(begin), int(end))])
    return (
        *paid(
            markets, until, fixed.payments, -sign * terms.fixed_rate * fixed.accruals, ["fixed"] * len(fixed.payments)
        ),
        *paid(markets, until, floating.payments[begin:end], coupons, ["floating"] * len(coupons)),
    )
