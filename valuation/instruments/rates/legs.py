"""Legs of swaps: fixed, floating, compounded overnight, and with a notional that resets to the exchange rate.

A leg is what its receiver gets for a notional of one. A floating period from t to T pays P(t) / P(T) - 1 on its projection
curve, plus its spread, discounted on its discount curve; where both are one curve, what lies between its first and last day
cancels. What is paid on a day is no longer in that day's value. A period that began before the valuation date needs its
fixing; one that begins on that date takes it when given and is projected when not. In a market rolled forward, a fixing
inside the roll that is not given is the rate of its day on the rolled curve, in every scenario.
Source: Hull, *Options, Futures, and Other Derivatives*, ch. "Swaps"; Henrard, *Interest Rate Modelling in the Multi-Curve
Framework*, ch. 2.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from lake.arrays import Bools, Floats, Ints
from scenarios.types import FactorIndex
from valuation.instruments import schedules
from valuation.instruments.fields import DISCOUNT_CURVE, Currency, Date, Name, known_fixing, require_alive
from valuation.instruments.reads import curve_factors, paid
from valuation.instruments.schedules import BusinessDayConvention, Calendar, Leg
from valuation.kernels import cashflows
from valuation.market.scenario_market import DAYS_A_YEAR
from valuation.types import Along, CashFlow, InstrumentTerms, Market, NotValuable, RolledMarkets


def _swap_frequency(value: int) -> int:
    if value not in (1, 2, 4, 12):
        raise ValueError("payments a year are 1, 2, 4 or 12")
    return value


SwapFrequency = Annotated[int, AfterValidator(_swap_frequency)]

FIXINGS = 'known floating rates by first day of the period, as JSON: {"2026-03-02": 0.0431}'
PROJECTION_CURVE = "curve that projects the floating rate; the discount curve where left out"

FIXED_RATE = "fixed rate, fraction a year (0.03 is 3%)"
SPREAD = "added to the floating rate, fraction a year (0.001 is ten basis points)"


class DatedTerms(InstrumentTerms):
    """What contracts of legs on one schedule of dates share."""

    currency: Currency = Field(
        description="currency of the value and, where nothing else is said, of all payments, ISO 4217"
    )
    start: Date = Field(description="first day of the first period; may lie ahead")
    maturity: Date = Field(description="last day of the last period, before moving to a business day")
    calendar: Calendar = Field("weekdays", description=schedules.CALENDAR)
    business_day_convention: BusinessDayConvention = Field("ModifiedFollowing", description=schedules.CONVENTION)
    discount_curve: Name = Field(description=DISCOUNT_CURVE)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.maturity:
            raise ValueError(f"start {self.start} must lie before maturity {self.maturity}")
        return self

    def legs(self) -> Signed:
        """What is received, with 1, and paid, with -1, in the contract's currency."""
        raise NotImplementedError

    def notes(self, valuation_date: dt.date) -> tuple[str, ...]:
        return schedules.unlisted_note(self.calendar, valuation_date, self.maturity)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None = None) -> None:
        legs = self.legs()
        require_alive(dt.date.fromordinal(max(leg.last() for _, leg in legs)), valuation_date, included=False)
        for _, leg in legs:
            leg.check(valuation_date, rolled_from)


class SwapTerms(DatedTerms):
    """Terms of swaps: periods of a frequency, and odd ones at the ends."""

    end_of_month: bool | None = Field(
        None, description="periods end on month ends when the maturity does; false where left out"
    )
    first_period_end: Date | None = Field(
        None, description="last day of an odd first period; where left out, periods are counted back from the end"
    )
    last_period_start: Date | None = Field(None, description="first day of an odd last period")

    @model_validator(mode="after")
    def _odd_periods(self) -> Self:
        first, last = self.first_period_end or self.start, self.last_period_start or self.maturity
        given = (self.first_period_end, self.last_period_start)
        if not self.start <= first <= last <= self.maturity or {self.start, self.maturity} & {*given}:
            raise ValueError(
                f"first_period_end and last_period_start must lie between start {self.start} and maturity {self.maturity}, in this order"
            )
        return self

    def periods(self, frequency: int, day_count: str) -> Leg:
        first, last = self.first_period_end or self.start, self.last_period_start or self.maturity
        how = (self.calendar, self.business_day_convention)
        parts = []
        if first > self.start:
            parts.append(one_period(self.start, first, day_count, *how))
        if first < last:
            parts.append(schedules.leg(first, last, frequency, day_count, *how, True, bool(self.end_of_month)))
        if last < self.maturity:
            parts.append(one_period(last, self.maturity, day_count, *how))
        if len(parts) == 1:
            return parts[0]
        columns = zip(*((p.starts, p.payments, p.accruals) for p in parts), strict=True)
        return Leg(*map(np.concatenate, columns))


@functools.lru_cache(maxsize=1 << 14)
def one_period(start: dt.date, end: dt.date, day_count: str, calendar: str, convention: str) -> Leg:
    """A single period between two days that are moved to business days; raises `NotValuable` where they are one."""
    begin, stop = (schedules.payment_date(day, calendar, convention) for day in (start, end))
    if begin >= stop:
        raise NotValuable("invalid_schedule", f"There is no business day between {start} and {end}.")
    accrual = schedules.year_fraction(begin, stop, day_count)
    return Leg(np.array([begin.toordinal()]), np.array([stop.toordinal()]), np.array([accrual]))


class Payments(NamedTuple):
    """amounts[j] on days[j], discounted on a curve; with a projection each times growths[j] P(starts[j]) / P(ends[j]) - 1 of it.

    Of a notional that resets, each also times F(resets[j]) / D(resets[j]), of `foreign` and the discount curve. On market paths each
    also times weights[j], (n, n_states); with `gross` the projected growth is not less one.
    """

    curve: str
    days: Ints
    amounts: Floats
    projection: str | None = None
    starts: Ints | None = None
    ends: Ints | None = None
    growths: Floats | None = None
    foreign: str | None = None
    resets: Ints | None = None
    weights: Floats | None = None
    gross: bool = False

    def only(self, kept: Bools) -> Payments:
        """Those of the payments."""
        part: dict[str, Any] = {name: p[kept] for name, p in self._asdict().items() if isinstance(p, np.ndarray)}
        return self._replace(**part)

    def times(self, sign: float) -> Payments:
        return self if sign == 1.0 else self._replace(amounts=sign * self.amounts)


Span = tuple[str, int, int]  # a curve, and the first and last day on which it is read

_DAYS = 32  # bits for the days of a curve in the number of a discount factor
_NONE = np.full(1 << 12, -1)  # for payments that are not projected; no leg has more


@dataclass(frozen=True)
class FixedLeg:
    """rate : a year; schedule : its periods."""

    schedule: Leg
    rate: float
    discount_curve: str

    def last(self) -> int:
        return int(self.schedule.payments[-1])

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None) -> None:
        """All that it pays is known."""

    def payments(self, market: Market) -> list[Payments]:
        made = self.schedule.payments.searchsorted(market.valuation_date.toordinal(), side="right")
        return [Payments(self.discount_curve, self.schedule.payments[made:], self.rate * self.schedule.accruals[made:])]

    by_period = payments

    def spans(self, today: int) -> list[Span]:
        due = self.schedule.payments[self.schedule.payments.searchsorted(today, side="right") :]
        return [(self.discount_curve, int(due[0]), int(due[-1]))] if len(due) else []

    def cash(self, markets: RolledMarkets, until: dt.date) -> list[tuple[int, float | Floats, str]]:
        amounts = (self.rate * self.schedule.accruals).tolist()
        return [(day, amount, "fixed") for day, amount in zip(self.schedule.payments.tolist(), amounts, strict=True)]


@dataclass(frozen=True)
class FloatingLeg:
    """spread : a year, added to each rate; fixings : by first day of the period."""

    schedule: Leg
    discount_curve: str
    projection_curve: str
    spread: float = 0.0
    fixings: Mapping[dt.date, float] = field(default_factory=dict)
    pays: Ints | None = None  # payment days where they are not the last days of the periods

    @property
    def payment_days(self) -> Ints:
        return self.schedule.payments if self.pays is None else self.pays

    def last(self) -> int:
        return int(self.payment_days[-1])

    def running(self, today: int) -> int:
        """The first period that is still to be paid."""
        return int(self.payment_days.searchsorted(today, side="right"))

    def begun(self, period: int, today: int) -> bool:
        """Whether its rate, or some of it, is fixed."""
        start = int(self.schedule.starts[period])
        return start < today or (start == today and dt.date.fromordinal(start) in self.fixings)

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None) -> None:
        today = valuation_date.toordinal()
        for period in range(self.running(today), len(self.schedule.starts)):
            if not int(self.schedule.starts[period]) < today:
                break
            self._check_period(period, valuation_date, rolled_from)

    def _check_period(self, period: int, valuation_date: dt.date, rolled_from: dt.date | None) -> None:
        known_fixing(self.fixings, dt.date.fromordinal(int(self.schedule.starts[period])), rolled_from)

    def fixed_until(self, period: int, today: int) -> int:
        """The day up to which the rate of a period that has begun is fixed."""
        return int(self.schedule.payments[period])

    def known(self, period: int, market: Market) -> float | Floats:
        """What a period that has begun pays for certain, without spread: to its end, or to the valuation date; on paths in each state."""
        start = dt.date.fromordinal(int(self.schedule.starts[period]))
        fixing = known_fixing(self.fixings, start, None if market.roll is None else market.roll.since)
        if fixing is not None:
            return fixing * float(self.schedule.accruals[period])
        end = dt.date.fromordinal(int(self.schedule.payments[period]))
        if market.along is not None:
            return market.along.growth(self.projection_curve, start, end) - 1.0
        return market.fixed_growth(self.projection_curve, start, end) - 1.0

    def payments(self, market: Market) -> list[Payments]:
        if not self._telescopes():
            return self.by_period(market)
        running, growth, starts, varying = self._open(market)
        if not len(growth):
            return []
        ends = np.array([starts[0], self.schedule.payments[-1]])
        made = [Payments(self.discount_curve, ends, np.array([growth[0], -1.0])), *self._spreads(running)]
        one = np.ones(1)
        return [*made, *(Payments(self.discount_curve, starts[:1], one, weights=more[None]) for _, more in varying)]

    def by_period(self, market: Market) -> list[Payments]:
        """A payment for each period that is left, projected where it is not fixed yet."""
        running, growth, starts, varying = self._open(market)
        days, ends = self.payment_days[running:], self.schedule.payments[running:]
        rest = starts < ends
        made = Payments(self.discount_curve, days[~rest], growth[~rest] - 1.0)
        open_ = Payments(
            self.discount_curve, days[rest], np.ones(rest.sum()), self.projection_curve, starts[rest], ends[rest], growth[rest]
        )  # fmt: skip
        one, more = np.ones(1), []
        for k, beyond in varying:
            paid = Payments(self.discount_curve, days[k : k + 1], one, weights=beyond[None], gross=True)
            if rest[k]:
                paid = paid._replace(
                    projection=self.projection_curve, starts=starts[k : k + 1], ends=ends[k : k + 1], growths=one
                )
            more.append(paid)
        return [p for p in (made, *self._spreads(running), open_, *more) if len(p.days)]

    def _open(self, market: Market) -> tuple[int, Floats, Ints, list[tuple[int, Floats]]]:
        """The running period; of each from it on what a unit has grown by already, and from which day on it is projected.

        Where that differs from path to path it is one, and what it is beyond it stands in the list with the number of the period.
        """
        today = market.valuation_date.toordinal()
        running = self.running(today)
        starts = self.schedule.starts[running:].copy()
        growth = np.ones(len(starts))
        varying: list[tuple[int, Floats]] = []
        for k in range(len(starts)):
            if not self.begun(running + k, today):
                break
            known = self.known(running + k, market)
            if isinstance(known, float):
                growth[k] = 1.0 + known
            else:
                varying.append((k, known))
            starts[k] = self.fixed_until(running + k, today)
        return running, growth, starts, varying

    def _spreads(self, running: int) -> list[Payments]:
        if self.spread == 0.0:
            return []
        return [
            Payments(self.discount_curve, self.payment_days[running:], self.spread * self.schedule.accruals[running:])
        ]

    def _telescopes(self) -> bool:
        return self.projection_curve == self.discount_curve and self.pays is None

    def spans(self, today: int) -> list[Span]:
        running = self.running(today)
        if running == len(self.payment_days):
            return []
        first, last = int(self.payment_days[running]), self.last()
        begins = [
            self.fixed_until(k, today) if self.begun(k, today) else int(self.schedule.starts[k])
            for k in range(running, min(running + 2, len(self.payment_days)))
        ]
        if self._telescopes():
            return [(self.discount_curve, min(first, begins[0]) if self.spread else begins[0], last)]
        open_ = [b for b, end in zip(begins, self.schedule.payments[running:].tolist(), strict=False) if b < end]
        projected = [(self.projection_curve, max(min(open_), today), int(self.schedule.payments[-1]))] if open_ else []
        return [(self.discount_curve, first, last), *projected]

    def cash(self, markets: RolledMarkets, until: dt.date) -> list[tuple[int, float | Floats, str]]:
        # only coupons of the interval are looked up: earlier fixings need not be known any more, later ones are not yet
        begin, end = self.payment_days.searchsorted([markets.market_date.toordinal(), until.toordinal()], side="right")
        market = markets.market(until)
        return [(int(self.payment_days[i]), self.coupon(i, market), "floating") for i in range(int(begin), int(end))]

    def coupon(self, period: int, market: Market) -> float | Floats:
        """What a period that is wholly fixed pays, with its spread."""
        return self.known(period, market) + self.spread * float(self.schedule.accruals[period])


@functools.lru_cache(maxsize=1 << 12)
def fixing_days(start: int, stop: int, calendar: str, day_count: str) -> tuple[list[dt.date], list[float]]:
    """The business days from `start` to before `stop`, with `stop` added, and the accrual from each to the next."""
    days = [dt.date.fromordinal(start)]
    while days[-1].toordinal() < stop:
        following = schedules.spot_date(days[-1], 1, calendar)
        days.append(min(following, dt.date.fromordinal(stop)))
    return days, [schedules.year_fraction(a, b, day_count) for a, b in itertools.pairwise(days)]


@dataclass(frozen=True)
class OvernightLeg(FloatingLeg):
    """Periods that pay the overnight rate compounded daily; fixings : by business day.

    compounded : growth of a unit from the first day of the running period to a day, by that day.
    """

    calendar: str = "weekdays"
    day_count: str = "Actual360"
    compounded: Mapping[dt.date, float] = field(default_factory=dict)

    def begun(self, period: int, today: int) -> bool:
        return int(self.schedule.starts[period]) < today

    def fixed_until(self, period: int, today: int) -> int:
        reached = schedules.spot_date(dt.date.fromordinal(today), 0, self.calendar).toordinal()
        return min(reached, int(self.schedule.payments[period]))

    def _since(self, period: int, today: int) -> tuple[int, float]:
        """The day from which fixings are needed, and the growth of a unit until then."""
        start, end = int(self.schedule.starts[period]), self.fixed_until(period, today)
        told = [d for d in self.compounded if start < d.toordinal() <= end]
        return (max(told).toordinal(), self.compounded[max(told)]) if told else (start, 1.0)

    def _check_period(self, period: int, valuation_date: dt.date, rolled_from: dt.date | None) -> None:
        today = valuation_date.toordinal()
        days, _ = fixing_days(
            self._since(period, today)[0], self.fixed_until(period, today), self.calendar, self.day_count
        )
        for day in days[:-1]:
            self._fixing(day, rolled_from)

    def known(self, period: int, market: Market) -> float | Floats:
        today = market.valuation_date.toordinal()
        since, growth = self._since(period, today)
        rolled_from = None if market.roll is None else market.roll.since
        days, accruals = fixing_days(since, self.fixed_until(period, today), self.calendar, self.day_count)
        if market.along is not None:
            return self._grown(growth, days, accruals, market.along, rolled_from) - 1.0
        for day, following, accrual in zip(days, days[1:], accruals, strict=False):
            fixing = self._fixing(day, rolled_from)
            if fixing is None:
                growth *= market.fixed_growth(self.projection_curve, day, following)
            else:
                growth *= 1.0 + fixing * accrual
        return growth - 1.0

    def _grown(
        self,
        growth: float,
        days: Sequence[dt.date],
        accruals: Sequence[float],
        along: Along,
        rolled_from: dt.date | None,
    ) -> float | Floats:
        """What a unit grows to over the days: at the fixings that are known, and from the first that is not on at the rate of the path."""
        for day, accrual in zip(days[:-1], accruals, strict=True):
            fixing = self._fixing(day, rolled_from)
            if fixing is None:
                return growth * along.compounded(self.projection_curve, day, days[-1])
            growth *= 1.0 + fixing * accrual
        return growth

    def _fixing(self, day: dt.date, rolled_from: dt.date | None) -> float | None:
        fixing = self.fixings.get(day)
        if fixing is None and (rolled_from is None or day < rolled_from):
            raise NotValuable(
                "missing_fixing",
                f"The overnight rate of {day} is needed in fixings, or the growth of the period to a later day in compounded.",
            )
        return fixing


@dataclass(frozen=True)
class NotionalExchange:
    """A notional of one given at the start and back at the end, on the payment days of a schedule."""

    start: int
    end: int
    discount_curve: str

    def last(self) -> int:
        return self.end

    def check(self, valuation_date: dt.date, rolled_from: dt.date | None) -> None:
        """All that it pays is known."""

    def payments(self, market: Market) -> list[Payments]:
        days, amounts = np.array([self.start, self.end]), np.array([-1.0, 1.0])
        due = days > market.valuation_date.toordinal()
        return [Payments(self.discount_curve, days[due], amounts[due])]

    def spans(self, today: int) -> list[Span]:
        days = [day for day in (self.start, self.end) if day > today]
        return [(self.discount_curve, days[0], days[-1])] if days else []

    def cash(self, markets: RolledMarkets, until: dt.date) -> list[tuple[int, float | Floats, str]]:
        return [(self.start, -1.0, "notional"), (self.end, 1.0, "notional")]


AnyLeg = FixedLeg | FloatingLeg | NotionalExchange
Signed = Sequence[tuple[float, AnyLeg]]  # received with 1, paid with -1


def legs_factors(legs: Signed, index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    """Ids of the pillars that decide the value of the legs."""
    today = valuation_date.toordinal()
    spans = [span for _, leg in legs for span in leg.spans(today)]
    # what has matured reads its last day, so that the curve is known to be there
    return span_factors(spans or [(legs[0][1].discount_curve, today, today)], index, valuation_date)


def span_factors(spans: Iterable[Span], index: FactorIndex, valuation_date: dt.date) -> tuple[str, ...]:
    """Ids of the pillars that decide the discount factors of each curve over all its spans."""
    reach: dict[str, tuple[int, int]] = {}
    for curve, first, last in spans:
        before = reach.get(curve, (first, last))
        reach[curve] = min(first, before[0]), max(last, before[1])
    ids = (
        curve_factors(index, curve, valuation_date, dt.date.fromordinal(last), first=dt.date.fromordinal(first))
        for curve, (first, last) in reach.items()
    )
    return tuple(dict.fromkeys(i for found in ids for i in found))


def signed_payments(legs: Signed, market: Market) -> list[Payments]:
    return [p.times(sign) for sign, leg in legs for p in leg.payments(market)]


def legs_value(terms: Sequence[DatedTerms], market: Market) -> Floats:
    """Value of contracts whose legs are in their own currency, shape (n_contracts, n_states)."""
    return values(market, [[(None, signed_payments(t.legs(), market))] for t in terms], [t.currency for t in terms])


def signed_cash(legs: Signed, markets: RolledMarkets, until: dt.date) -> tuple[CashFlow, ...]:
    """What the legs pay after the market date and by `until`, leg by leg."""
    rows = [(day, sign * amount, kind) for sign, leg in legs for day, amount, kind in leg.cash(markets, until)]
    days = np.array([day for day, _, _ in rows], dtype=np.int64)
    return paid(markets, until, days, [amount for _, amount, _ in rows], [kind for _, _, kind in rows])


def values(
    market: Market, contracts: Sequence[Sequence[tuple[str | None, Sequence[Payments]]]], currencies: Sequence[str]
) -> Floats:
    """Value of each contract in its currency, shape (n_contracts, n_states).

    contracts : parts of each, the currency of a part (None for that of the contract) and its payments. Within a part what
    is not projected is added first, in the order given. All contracts share one matrix of discount factors, of each curve
    over the distinct days on which it is read.
    """
    curves: dict[str, int] = {}
    rates: dict[tuple[str, str] | None, int] = {None: 0}
    today = market.valuation_date.toordinal()

    def keys(curve: str, days: Ints) -> Ints:
        """Curve and days as one number each."""
        return (curves.setdefault(curve, len(curves)) << _DAYS) + (days - today)

    lists, offsets, rate = [0], [0], []
    pay: list[Ints] = []
    start: list[Ints] = []
    end: list[Ints] = []
    growths: list[Floats] = []
    amounts: list[Floats] = []
    resets: list[tuple[int, Ints, Ints]] = []  # place of the payments, keys of both discount factors
    weighted: list[tuple[int, int, Payments]] = []  # contract, currency and payment of those that paths weigh
    for number, (contract, currency) in enumerate(zip(contracts, currencies, strict=True)):
        for other, payments in contract:
            pair = None if other is None or other == currency else (other, currency)
            rate.append(rates.setdefault(pair, len(rates)))
            place = offsets[-1]
            weighted += [(number, rate[-1], p) for p in payments if p.weights is not None]
            for p in sorted((p for p in payments if p.weights is None), key=lambda p: p.projection is not None):
                pay.append(keys(p.curve, p.days))
                start.append(_NONE[: len(p.days)] if p.starts is None else keys(p.projection or "", p.starts))
                end.append(_NONE[: len(p.days)] if p.ends is None else keys(p.projection or "", p.ends))
                growths.append(p.amounts if p.growths is None else p.growths)
                amounts.append(p.amounts)
                if p.foreign is not None and p.resets is not None:
                    resets.append((place, keys(p.foreign, p.resets), keys(p.curve, p.resets)))
                place += len(p.days)
            offsets.append(place)
        lists.append(len(rate))
    n = offsets[-1]
    nothing = np.empty(0, np.int64)
    found, row = np.unique(
        np.concatenate([nothing, *pay, *start, *end, *(k for r in resets for k in r[1:])]), return_inverse=True
    )
    names, gone = list(curves), int(len(found) > 0 and found[0] < 0)
    parts = np.split(found[gone:], np.searchsorted(found[gone:], np.arange(1, len(names)) << _DAYS))
    row = row - gone  # what is not projected has the row -1
    pays, starts, ends, reset = np.split(row, [n, 2 * n, 3 * n])
    made = len(found) - gone
    factors = np.empty((made + sum(len(first) for _, first, _ in resets), market.n_states))
    for code, (name, part) in enumerate(zip(names, parts, strict=True)):
        at = np.searchsorted(found[gone:], code << _DAYS)
        factors[at : at + len(part)] = market.discount(name, (part - (code << _DAYS)) / DAYS_A_YEAR)
    for place, first, _ in resets:
        k, paid_at = len(first), slice(place, place + len(first))
        factors[made : made + k] = factors[pays[paid_at]] * (factors[reset[:k]] / factors[reset[k : 2 * k]])
        pays[paid_at] = made + np.arange(k)
        made, reset = made + k, reset[2 * k :]
    fx = np.array([np.ones(market.n_states) if pair is None else market.fx(*pair) for pair in rates])
    out = cashflows.payment_sums(
        np.array(lists),
        np.array(offsets),
        np.array(rate, dtype=np.int64),
        pays,
        starts,
        ends,
        np.concatenate([np.empty(0), *growths]),
        np.concatenate([np.empty(0), *amounts]),
        factors,
        fx,
    )
    _add_weighted(out, weighted, market, fx)
    return out


def _add_weighted(out: Floats, weighted: Sequence[tuple[int, int, Payments]], market: Market, fx: Floats) -> None:
    """Adds the payments that differ from path to path, in their order, to the values (n_contracts, n_states)."""
    if not weighted:
        return
    today = market.valuation_date.toordinal()
    wanted: dict[str, set[int]] = {}
    for _, _, p in weighted:
        wanted.setdefault(p.curve, set()).update(p.days.tolist())
        if p.projection is not None and p.starts is not None and p.ends is not None:
            wanted.setdefault(p.projection, set()).update([*p.starts.tolist(), *p.ends.tolist()])
    rows: dict[str, dict[int, int]] = {}
    factors: dict[str, Floats] = {}
    for curve, some in wanted.items():
        days = sorted(some)
        rows[curve] = {day: k for k, day in enumerate(days)}
        factors[curve] = market.discount(curve, (np.array(days) - today) / DAYS_A_YEAR)
    for number, rate, p in weighted:
        assert p.weights is not None
        for j, (day, amount) in enumerate(zip(p.days.tolist(), p.amounts.tolist(), strict=True)):
            worth = factors[p.curve][rows[p.curve][day]] * p.weights[j]
            if p.projection is not None and p.starts is not None and p.ends is not None and p.growths is not None:
                begin, end = (rows[p.projection][int(days[j])] for days in (p.starts, p.ends))
                projected = p.growths[j] * (factors[p.projection][begin] / factors[p.projection][end])
                worth = worth * (projected if p.gross else projected - 1.0)
            out[number] += amount * worth * fx[rate]
