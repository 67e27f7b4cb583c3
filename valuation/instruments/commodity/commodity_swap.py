"""Commodity swap: a fixed price against the average price of a commodity over each period.

Unit of quantity: one unit (barrel, ounce, ...) a period. Value to the party of `pay_fixed`: for each period the average price less
the fixed price when it pays fixed, else the opposite, discounted from the payment. The average is the arithmetic mean over the
business days from the first day of the period to the day before its last; it is paid on the last, moved to a business day, or
`payment_lag` business days later.
A day still to come counts with the forward price S exp(ct), c the continuous cost of carry; one that has passed with its
fixing; the valuation date with its fixing when given, else with the price. In a market rolled forward, a day inside the
roll that has no fixing counts with the price of that day as rolled. Prices may be negative.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Energy and commodity derivatives".
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lake.arrays import Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.commodity.forward_prices import CommodityTerms, commodity_factor
from valuation.instruments.fields import DISCOUNT_CURVE, Date, Name, Number, read_json, require_alive
from valuation.instruments.reads import Varying, curve_factors, paid, present_values
from valuation.instruments.schedules import BusinessDayConvention, Calendar
from valuation.market.scenario_market import DAYS_A_YEAR
from valuation.types import CashFlow, Market, NotValuable, RolledMarkets

VERSION = f"1+{schedules.VERSION}"
_SHOWN = 3  # missing fixings named


def _frequency(value: int) -> int:
    if value not in (1, 2, 4, 12):
        raise ValueError("periods a year are 1, 2, 4 or 12")
    return value


class Terms(CommodityTerms):
    instrument_type: ClassVar[str] = "commodity_swap"

    pay_fixed: bool = Field(description="true pays the fixed price and receives the average, false the opposite")
    fixed_price: Number = Field(description="fixed price of one unit; may be negative")
    start: Date = Field(description="first day of the first period; may have passed")
    maturity: Date = Field(
        description="last day of the last period, before moving to a business day; its price is not averaged"
    )
    frequency: Annotated[int, AfterValidator(_frequency)] = Field(description="periods a year: 1, 2, 4 or 12")
    calendar: Calendar = Field("weekdays", description=f"days whose price is averaged, and {schedules.CALENDAR}")
    business_day_convention: BusinessDayConvention = Field("Following", description=schedules.CONVENTION)
    payment_lag: int | None = Field(
        None, ge=0, le=30, description="business days from the last day of a period to its payment; none where left out"
    )
    discount_curve: Name = Field(description=DISCOUNT_CURVE)
    fixings: Annotated[dict[Date, Number], BeforeValidator(read_json)] = Field(
        {}, description='known prices by day, as JSON: {"2026-03-02": 71.3}'
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.maturity:
            raise ValueError(f"start {self.start} must lie before maturity {self.maturity}")
        return self

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, valuation_date, self.maturity)

    def periods(self) -> Periods:
        """Raises `NotValuable` where no price can be averaged."""
        how = (self.calendar, self.business_day_convention, self.payment_lag or 0)
        return _periods(self.start, self.maturity, self.frequency, *how)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        periods = self.periods()
        require_alive(dt.date.fromordinal(int(periods.payments[-1])), valuation_date, included=False)
        left = periods.left(valuation_date)
        first_known_by_roll = (rolled_from or valuation_date).toordinal()
        days = periods.days[periods.offsets[left] :]
        passed = [dt.date.fromordinal(d) for d in days[days < first_known_by_roll].tolist()]
        missing = [d for d in passed if d not in self.fixings]
        if missing:
            named = ", ".join(map(str, missing[:_SHOWN])) + ", ..." * (len(missing) > _SHOWN)
            raise NotValuable(
                "missing_fixing",
                f"{len(missing)} of the {len(passed)} days averaged before {dt.date.fromordinal(first_known_by_roll)} "
                f"have no price in fixings: {named}.",
            )


@dataclass(frozen=True)
class Periods:
    """Periods of a swap: `payments` (n,) and `days` are ordinals; the days offsets[i] to offsets[i + 1] are those of period i."""

    payments: Ints
    offsets: Ints
    days: Ints

    def left(self, valuation_date: dt.date) -> int:
        """The first period whose payment lies ahead."""
        return int(self.payments.searchsorted(valuation_date.toordinal(), side="right"))


@functools.lru_cache(maxsize=1 << 12)
def _periods(start: dt.date, maturity: dt.date, frequency: int, calendar: str, convention: str, lag: int) -> Periods:
    leg = schedules.leg(
        start, maturity, frequency, "Actual365Fixed", calendar, convention, adjust_accrual=False, end_of_month=False
    )
    bounds = np.append(leg.starts, maturity.toordinal())
    days = schedules.business_days(start, maturity, calendar)
    offsets = days.searchsorted(bounds)
    if not np.diff(offsets).all():
        raise NotValuable(
            "invalid_schedule", f"A period from {start} to {maturity} has no business day to average over."
        )
    paid_on = [schedules.days_after(day, lag, calendar) for day in leg.payments.tolist()] if lag else leg.payments
    return Periods(np.asarray(paid_on), offsets, days)


def _averages(terms: Terms, first: int, market: Market) -> tuple[Floats, Floats]:
    """The average of each period from `first` on as known + share x price, both (n_periods,); on paths known is (n_periods, n_states)."""
    periods, today = terms.periods(), market.valuation_date.toordinal()
    days = periods.days[periods.offsets[first] :]
    counts = np.diff(periods.offsets[first:])
    share = np.exp(terms.carry * ((days - today) / DAYS_A_YEAR))
    fixed = np.zeros(len(days) if market.along is None else (len(days), market.n_states))
    for i in range(int(days.searchsorted(today, side="right"))):
        day = dt.date.fromordinal(int(days[i]))
        if day < market.valuation_date or day in terms.fixings:
            share[i], fixed[i] = 0.0, _fixing(terms.underlying, day, terms.fixings, market)
    starts = periods.offsets[first:-1] - periods.offsets[first]
    known = np.add.reduceat(fixed, starts, axis=0)
    return known / (counts if known.ndim == 1 else counts[:, None]), np.add.reduceat(share, starts) / counts


def _fixing(underlying: str, day: dt.date, fixings: Mapping[dt.date, float], market: Market) -> float | Floats:
    """The price of a day that has passed: as given or published, else as the roll had it, growing evenly between its ends."""
    if day in fixings:
        return fixings[day]
    if market.along is not None:
        return market.along.on(day).level(underlying)
    if (then := market.passed(day)) is not None:
        return float(then.level(underlying)[0])
    roll = market.roll
    assert roll is not None  # `check` has seen to it
    begin, end = float(roll.origin[market.index.row[underlying]]), float(market.level(underlying)[0])
    if begin == end:
        return end
    return begin * math.pow(end / begin, (day - roll.since).days / (roll.to - roll.since).days)


def risk_factors(terms: Terms, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    periods = terms.periods()
    first, last = (dt.date.fromordinal(int(d)) for d in periods.payments[[_running(periods, valuation_date), -1]])
    discount = curve_factors(index, terms.discount_curve, valuation_date, last, first=first)
    return (commodity_factor(index, terms.underlying, terms.currency), *discount)


def _running(periods: Periods, valuation_date: dt.date) -> int:
    return min(periods.left(valuation_date), len(periods.payments) - 1)


def value(terms: Sequence[Terms], market: Market) -> Floats:
    days, known, shares = [], [], []
    for t in terms:
        periods = t.periods()
        left = periods.left(market.valuation_date)
        fixed, share = _averages(t, left, market)
        sign = 1.0 if t.pay_fixed else -1.0
        days.append(periods.payments[left:])
        known.append(sign * (fixed - t.fixed_price))
        shares.append(sign * share)
    curves = [t.discount_curve for t in terms]
    prices = market.levels([t.underlying for t in terms])
    later = prices * present_values(market, curves, days, shares)
    if market.along is None:
        return present_values(market, curves, days, known) + later
    numbers = np.concatenate([[0], np.cumsum([len(k) for k in known])])
    sources = [np.arange(a, b) for a, b in itertools.pairwise(numbers.tolist())]
    none, one = [np.zeros(len(k)) for k in known], [np.ones(len(k)) for k in known]
    return present_values(market, curves, days, none, None, Varying(one, sources, np.concatenate(known))) + later


def cash_flows(terms: Terms, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    periods = terms.periods()
    # only the periods paid in between are looked up: earlier fixings need not be known any more
    begin, end = periods.left(markets.market_date), periods.left(until)
    if begin == end:
        return ()
    fixed, _ = _averages(terms, begin, markets.market(until))
    amounts = (1.0 if terms.pay_fixed else -1.0) * (fixed - terms.fixed_price)
    made = amounts[: end - begin]
    rows = made if made.ndim == 1 else list(made)
    return paid(markets, until, periods.payments[begin:end], rows, ["average"] * (end - begin))
