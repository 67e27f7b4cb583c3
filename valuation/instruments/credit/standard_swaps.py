"""Standard credit default swaps on one name or on an index: what both types share, ISDA standard model.

Value to the buyer of protection, for the part of the notional whose names live:

    (1 - R) PV(1 at default) - c (PV(coupons while the name lives) + PV(what has accrued at a default)) - upfront still due.

Protection runs from the day after the valuation date, or from the start when that is later, through the maturity. Coupons are
quarterly, Act/360, on the 20th of March, June, September and December moved to the next business day; the first is a full one,
and the last day counts too. A default happens, on average, in the middle of a day. Discount and hazard rates are constant
between the nodes of their curves, and both legs are exact integrals over them; default and rates are independent.
Of names that have defaulted, coupons up to the default, and on the settlement date 1 - R less what has accrued, are certain.
Source: ISDA CDS Standard Model; see `valuation.kernels.credit`.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.credit.default_legs import Coupons, DefaultTerms, legs, recovered, risky_factors
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, Name, Number, Rate, require_alive
from valuation.instruments.reads import curve_factors, paid, present_values
from valuation.instruments.schedules import Calendar
from valuation.market.credit_curves import ACCRUED_A_YEAR, ACCRUED_BEFORE, Premium, is_standard, premium
from valuation.types import CashFlow, Market, RolledMarkets

VERSION = f"1+{schedules.VERSION}"


@functools.lru_cache(maxsize=1 << 15)
def _premium(start: dt.date, maturity: dt.date, calendar: str) -> Premium:
    return premium(start, maturity, schedules.CALENDARS[calendar])


class Settlement(NamedTuple):
    """A default: the part of the notional, its day, the day on which it is settled, and what is recovered."""

    weight: float
    default_date: dt.date
    settlement_date: dt.date
    recovery_rate: float


class DefaultSwapTerms(DefaultTerms):
    """Terms of a standard credit default swap."""

    currency: Currency = Field(description="currency of both legs, ISO 4217")
    buy_protection: bool = Field(description="true pays the coupon and is paid in a default, false the opposite")
    coupon: Rate = Field(description="running coupon, fraction a year (0.01 is 100 basis points)")
    start: Date = Field(description="first day of protection; the coupon accrues from the 20th on or before it")
    maturity: Date = Field(description="last day of protection: the 20th of March, June, September or December")
    calendar: Calendar = Field("weekdays", description=schedules.CALENDAR)
    upfront: Number | None = Field(
        None,
        description="what the buyer pays once, a fraction of notional, negative when paid to the buyer; with upfront_date",
    )
    upfront_date: Date | None = Field(None, description="day on which upfront is paid; with upfront")
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    @model_validator(mode="after")
    def _standard(self) -> Self:
        if self.start >= self.maturity:
            raise ValueError(f"start {self.start} must lie before maturity {self.maturity}")
        if not is_standard(self.maturity):
            raise ValueError(f"maturity {self.maturity} is not a 20th of March, June, September or December")
        if (self.upfront is None) != (self.upfront_date is None):
            raise ValueError("upfront and upfront_date are given together")
        for s in self.settlements():
            if not self.start <= s.default_date <= self.maturity:
                raise ValueError(
                    f"default_date {s.default_date} is not between start {self.start} and maturity {self.maturity}"
                )
            if s.settlement_date < s.default_date:
                raise ValueError(f"settlement_date {s.settlement_date} lies before default_date {s.default_date}")
        if sum(s.weight for s in self.settlements()) > 1 + _WHOLE:
            raise ValueError("the weights of the defaults exceed 1")
        return self

    def settlements(self) -> tuple[Settlement, ...]:
        """The defaults that the terms know of."""
        return ()

    @property
    def living(self) -> float:
        """The part of the notional whose names live."""
        rest = 1.0 - sum(s.weight for s in self.settlements())
        return rest if rest > _WHOLE else 0.0

    def premium(self) -> Premium:
        return _premium(self.start, self.maturity, self.calendar)

    def last_day(self) -> dt.date:
        """The last on which anything is paid."""
        days = [s.settlement_date for s in self.settlements()]
        if self.upfront_date:
            days.append(self.upfront_date)
        if self.living:
            days.append(dt.date.fromordinal(int(self.premium().payments[-1])))
        return max(days)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        require_alive(self.last_day(), valuation_date, included=False)

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, valuation_date, self.maturity)

    def certain(self) -> tuple[Ints, Floats, list[str]]:
        """Days, amounts to the buyer and kinds of what is paid whatever happens: upfront, and what defaults lead to."""
        days, amounts, kinds = [], [], []
        if self.upfront_date:
            days, amounts, kinds = [self.upfront_date.toordinal()], [-(self.upfront or 0.0)], ["upfront"]
        for s in self.settlements():
            p, default = self.premium(), s.default_date.toordinal()
            whole = int(p.payments.searchsorted(default, side="right"))
            accrued = max(default - int(p.starts[whole]) + 1, 0) if whole < len(p.starts) else 0
            days += [*p.payments[:whole].tolist(), s.settlement_date.toordinal()]
            amounts += [-s.weight * self.coupon * d / 360.0 for d in p.days[:whole].tolist()]
            amounts.append(s.weight * (1.0 - s.recovery_rate - self.coupon * accrued / 360.0))
            kinds += [*["coupon"] * whole, "settlement"]
        return np.array(days, dtype=np.int64), np.array(amounts), kinds


_WHOLE = 1e-12


def risk_factors(terms: DefaultSwapTerms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    if terms.living:
        lives = max(terms.maturity, dt.date.fromordinal(int(terms.premium().payments[-1]) - 1))
        return risky_factors(index, terms, terms.discount_curve, valuation_date, lives, terms.last_day())
    days, _, _ = terms.certain()
    due = days[days > valuation_date.toordinal()]
    first = dt.date.fromordinal(int(due.min())) if len(due) else terms.last_day()
    return curve_factors(index, terms.discount_curve, valuation_date, terms.last_day(), first=first)


def value(terms: Sequence[DefaultSwapTerms], market: Market) -> Floats:
    today = market.valuation_date.toordinal()
    days, amounts = [], []
    for t in terms:
        when, what, _ = t.certain()
        days.append(when[when > today])
        amounts.append(what[when > today])
    values = present_values(market, [t.discount_curve for t in terms], days, amounts)
    rows = [i for i, t in enumerate(terms) if t.living]
    if rows:
        living = [terms[i] for i in rows]
        protection, coupons = legs(
            market,
            [(t.discount_curve, t.credit_curve) for t in living],
            [(_begins(t, today), t.maturity.toordinal()) for t in living],
            [_coupons(t, today) for t in living],
            ACCRUED_A_YEAR,
            ACCRUED_BEFORE,
        )
        weights = np.array([t.living for t in living])[:, None]
        values[rows] += weights * (1.0 - recovered(market, living)) * protection - coupons
    signs: Floats = np.array([1.0 if t.buy_protection else -1.0 for t in terms])
    return values * signs[:, None]


def _begins(terms: DefaultSwapTerms, today: int) -> int:
    """The day after which a default counts."""
    return max(terms.start.toordinal() - 1, today)


def _coupons(terms: DefaultSwapTerms, today: int) -> Coupons:
    p = terms.premium()
    made = p.payments.searchsorted(today, side="right")
    starts, payments, days = p.starts[made:], p.payments[made:], p.days[made:]
    amounts = np.full(len(days), terms.living * terms.coupon)
    return Coupons(np.maximum(starts - 1, _begins(terms, today)), payments - 1, starts, payments, days, amounts)


def cash_flows(terms: DefaultSwapTerms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    days, amounts, kinds = terms.certain()
    if terms.living:
        p = terms.premium()
        days, kinds = np.append(days, p.payments), [*kinds, *["coupon"] * len(p.payments)]
        amounts = np.append(amounts, -terms.living * terms.coupon * p.days / 360.0)
    return paid(markets, until, days, amounts if terms.buy_protection else -amounts, kinds)
