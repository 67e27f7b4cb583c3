"""The streams of rate products of FpML: dates, notionals, rates and fixings.

A notional or a rate that steps makes a stream several, one after the other: from each step to the next, constant in each. Between steps on
the last day of a period of every stream that is the same swap.
"""

from __future__ import annotations

import calendar as months
import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from lake.landing.markup import Element
from valuation.books.trade_files.fpml.parts import (
    DAY_COUNTS,
    TERM,
    Adjustments,
    Deal,
    Terms,
    date_of,
    period,
    positive,
    says,
    whole,
    xml_date,
)
from valuation.books.trade_files.trade import NotRead, counterpart, number

FREQUENCIES = {"1Y": 1, "12M": 1, "6M": 2, "3M": 4, "1M": 12, TERM: 0}
Steps = dict[dt.date, Decimal]  # a value from each day on, by day; the first day is the start


@dataclass(frozen=True)
class Dates:
    """What the streams of one product share. first, last : bounds of odd periods at the ends."""

    start: dt.date
    maturity: dt.date
    first: dt.date | None
    last: dt.date | None
    moves: Adjustments
    month_ends: bool

    def terms(self) -> Terms:
        """For instruments with odd periods of their own."""
        return {**self.backward(None), "first_period_end": self.first, "last_period_start": self.last}

    def backward(self, frequencies: Sequence[int] | None) -> Terms:
        """For instruments whose periods are counted back from the end, so that a short one at the start needs no saying.

        Raises `NotRead` where an odd period is another than that of one of the frequencies.
        """
        said: Terms = {
            "start": self.start, "maturity": self.maturity, **self.moves.terms(), "end_of_month": True if self.month_ends else None,
        }  # fmt: skip
        if frequencies is None:
            return said
        regular = replace(self, first=None, last=None)
        if any(self.bounds(f) != regular.bounds(f) for f in frequencies):
            raise NotRead("it has odd periods that are not short ones at the start")
        return said

    def bounds(self, frequency: int) -> list[dt.date]:
        """The bounds of all periods, before moving."""
        end, found = self.last or self.maturity, [self.last] if self.last else []
        begin = self.first or self.start
        if frequency:
            for k in range(1 << 12):
                if (day := _back(end, k * 12 // frequency, self.month_ends)) <= begin:
                    break
                found.append(day)
        else:
            found.append(end)
        return sorted({self.start, begin, *found, self.maturity})


def _back(day: dt.date, n: int, month_ends: bool) -> dt.date:
    """The day n months before, or the last of its month where there is none."""
    year, month = divmod(day.year * 12 + day.month - 1 - n, 12)
    last = months.monthrange(year, month + 1)[1]
    return dt.date(year, month + 1, last if month_ends else min(day.day, last))


@dataclass(frozen=True)
class Rate:
    """A floating rate. index : name with its tenor; overnight : whether it is compounded daily."""

    index: str
    overnight: bool
    spreads: Steps
    fixings: dict[str, float]


@dataclass(frozen=True)
class Stream:
    """A stream as we see it.

    lag : business days from the end of a period to its payment. fixed : its rate, or the strikes on its floating rate. resets : the
    notional is set anew each period at the exchange rate. exchanges : whether notionals change hands at the start, between and at the end.
    """

    element: Element
    pays: bool
    currency: str
    notionals: Steps
    dates: Dates
    frequency: int
    day_count: str
    lag: int
    fixed: Steps | None
    rate: Rate | None
    resets: bool
    exchanges: tuple[bool, bool, bool]
    calculation: Element = field(repr=False)

    def at(self, day: dt.date) -> Stream:
        """With what holds from a day on alone."""
        rate = None if self.rate is None else replace(self.rate, spreads=_at(self.rate.spreads, day))
        return replace(
            self,
            notionals=_at(self.notionals, day),
            fixed=None if self.fixed is None else _at(self.fixed, day),
            rate=rate,
        )

    @property
    def notional(self) -> Decimal:
        return next(iter(self.notionals.values()))

    def steps(self) -> set[dt.date]:
        schedules = [self.notionals, self.fixed or {}, self.rate.spreads if self.rate else {}]
        return {day for values in schedules for day in values}

    def rate_terms(self, prefix: str = "") -> Terms:
        """Fixed rate, or projection curve, spread and fixings."""
        if self.rate is None:
            return {f"{prefix}fixed_rate": self.level}
        return {
            f"{prefix}projection_curve": self.rate.index,
            f"{prefix}spread": next(iter(self.rate.spreads.values())) or None,
            f"{prefix}fixings": self.rate.fixings or None,
        }

    @property
    def level(self) -> Decimal:
        """The fixed rate, or the strike of a cap or floor."""
        assert self.fixed is not None
        return next(iter(self.fixed.values()))


def _at(values: Steps, day: dt.date) -> Steps:
    return {day: values[max((d for d in values if d <= day), default=min(values))]}


def slices(streams: Sequence[Stream], deal: Deal) -> Iterator[tuple[str, list[Stream]]]:
    """The streams from each step to the next, those that are wholly paid left out, each with its label; one without where nothing steps.

    Raises `NotRead` where a step is within a period.
    """
    dates = streams[0].dates
    cuts = sorted({d for s in streams for d in s.steps() if dates.start < d < dates.maturity})
    if not cuts:
        yield "", [s.at(dates.start) for s in streams]
        return
    for stream in streams:
        if inside := [d for d in cuts if d not in stream.dates.bounds(stream.frequency)]:
            raise NotRead(f"it steps on {inside[0]}, within a period of a stream")
    regular_end = dates.last or dates.maturity
    if any(d.day != regular_end.day and not dates.month_ends for d in cuts if d not in (dates.first, dates.last)):
        raise NotRead("it steps on the last days of months of different length")
    bounds = [dates.start, *cuts, dates.maturity]
    # the last one stays in any case, so that a trade that is over is told as such
    for k, (begin, end) in enumerate(itertools.pairwise(bounds), 1):
        part = replace(
            dates,
            start=begin,
            maturity=end,
            first=dates.first if dates.first and begin < dates.first < end else None,
            last=dates.last if dates.last and begin < dates.last < end else None,
        )
        if dates.moves.moved(end) + dt.timedelta(days=_MOST_LAG) > deal.as_of or end == dates.maturity:
            yield str(k), [replace(s.at(begin), dates=part) for s in streams]


_MOST_LAG = 30  # days after the end of a period by which it has been paid


def same(streams: Sequence[Stream], what: str) -> None:
    """Raises `NotRead` where streams differ in what their product has once."""
    if len({s.dates for s in streams}) != 1:
        raise NotRead(f"its {what} differ in dates, calendar, convention or odd periods")
    if len({s.lag for s in streams}) != 1:
        raise NotRead(f"its {what} are paid on other days after their periods")


def stream(element: Element, deal: Deal) -> Stream:
    """A stream of a swap or a cap. Raises `NotRead` for what no instrument here keeps."""
    dates, every = dates_of(element, deal)
    if (amounts := element.one("calculationPeriodAmount", "calculation")) is None:
        raise NotRead("a stream has no calculation")
    lag = _paid(element, deal, dates, every)
    notionals, currency, resets = _notionals(amounts, dates.start)
    fixed = amounts.one("fixedRateSchedule")
    exchanges = tuple(says(element, "principalExchanges", f"{n}Exchange") for n in ("initial", "intermediate", "final"))
    made = Stream(
        element, not deal.receives(element), currency, notionals, dates, counterpart(FREQUENCIES, every, "the frequency"),
        counterpart(DAY_COUNTS, amounts.value("dayCountFraction"), "dayCountFraction"), lag,
        None if fixed is None else steps(fixed, dates.start), _floating(element, amounts, dates, every, deal), resets,
        (exchanges[0], exchanges[1], exchanges[2]), amounts,
    )  # fmt: skip
    for stub in element.all("stubCalculationPeriodAmount"):
        made = _odd(stub, made, deal)
    return _known(element, made)


def steps(schedule: Element, start: dt.date) -> Steps:
    """A value and its steps; a step to the same value is none."""
    found = {start: number(schedule.value("initialValue"), f"initialValue of {schedule.name}")}
    for step in schedule.all("step"):
        day = xml_date(step.value("stepDate"), "stepDate")
        found[max(day, start)] = number(step.value("stepValue"), "stepValue")
    ascending = sorted(found.items())
    return dict([ascending[0], *(b for a, b in itertools.pairwise(ascending) if a[1] != b[1])])


def dates_of(element: Element, deal: Deal) -> tuple[Dates, str]:
    """The dates of a stream, and its periods, such as 6M."""
    if (periods := element.one("calculationPeriodDates")) is None:
        raise NotRead("a stream has no calculationPeriodDates")
    start, start_moves = deal.date(periods, "effectiveDate")
    end, end_moves = deal.date(periods, "terminationDate")
    moves = deal.adjustments(periods.one("calculationPeriodDatesAdjustments"))
    if moves.calendar is None:
        raise NotRead("the periods of a stream have no calculationPeriodDatesAdjustments with business centres")
    for day, said in ((start, start_moves), (end, end_moves)):
        if said.convention is not None and said.moved(day) != moves.moved(day):
            raise NotRead(f"{day} is moved off a holiday by another rule than the ends of periods")
    begun = [deal.date(periods, "firstPeriodStartDate")[0] for _ in periods.all("firstPeriodStartDate")]
    if begun and begun[0] != start:
        raise NotRead("its first period begins before its effectiveDate")
    first, last = date_of(periods, "firstRegularPeriodStartDate"), date_of(periods, "lastRegularPeriodEndDate")
    roll = periods.value("calculationPeriodFrequency", "rollConvention")
    every = period(periods, "calculationPeriodFrequency") or ""
    regular = (last or end) + dt.timedelta(days=1)
    month_ends = roll == "EOM" and every != TERM
    if month_ends and regular.day != 1:
        raise NotRead(f"it rolls on the ends of months and its regular periods end on {last or end}")
    if (
        roll not in (None, "NONE", "EOM")
        and (last or end).day != (int(roll) if roll.isdigit() else 0)
        and every != TERM
    ):
        raise NotRead(f"it rolls on {roll}, and its regular periods end on {last or end}")
    odd = [None if day in (start, end) else day for day in (first, last)]
    return Dates(start, end, odd[0], odd[1], moves, month_ends), every


def notional_of(amounts: Element) -> tuple[Decimal, str]:
    """A notional that does not step, and its currency."""
    notionals, currency, resets = _notionals(amounts, dt.date.min)
    if len(notionals) > 1 or resets:
        raise NotRead("its notional changes over time")
    return notionals[dt.date.min], currency


def paid_once(element: Element, deal: Deal, dates: Dates) -> None:
    """Raises `NotRead` for a stream that does not pay on its last day alone."""
    if _paid(element, deal, dates, TERM):
        raise NotRead("it is paid after its last day")


def _paid(element: Element, deal: Deal, dates: Dates, every: str) -> int:
    """Business days from the ends of periods to their payments."""
    paid = element.one("paymentDates")
    if paid is None:
        raise NotRead("a stream has no paymentDates")
    if period(paid, "paymentFrequency") != every:
        raise NotRead("payments are not as frequent as periods")
    if (to := paid.value("payRelativeTo") or "CalculationPeriodEndDate") != "CalculationPeriodEndDate":
        raise NotRead(f"it pays relative to {to}")
    moves = deal.adjustments(paid.one("paymentDatesAdjustments"))
    if moves.calendar is not None and moves != dates.moves:
        raise NotRead("payments are moved off holidays by another rule than the ends of periods")
    bounds = dates.bounds(FREQUENCIES.get(every, 1))
    for name, known in (("firstPaymentDate", bounds[1:2]), ("lastRegularPaymentDate", bounds[-2:-1])):
        if (day := date_of(paid, name)) is not None and day not in known:
            raise NotRead(f"its {name} {day} is not the end of the period")
    lag = whole(paid.value("paymentDaysOffset", "periodMultiplier") or "0", "paymentDaysOffset")
    if lag and (
        period(paid, "paymentDaysOffset") != f"{lag}D" or paid.value("paymentDaysOffset", "dayType") != "Business"
    ):
        raise NotRead("its payments are counted in other days than business days")
    paid.value("paymentDaysOffset", "period")
    paid.value("paymentDaysOffset", "dayType")
    return lag


def _notionals(amounts: Element, start: dt.date) -> tuple[Steps, str, bool]:
    linked = amounts.one("fxLinkedNotionalSchedule")
    if linked is not None:
        currency = linked.value("varyingNotionalCurrency")
        if currency is None or linked.one("initialValue") is None:
            raise NotRead("its notional that resets has no currency or no initialValue")
        for name in ("varyingNotionalFixingDates", "fxSpotRateSource", "varyingNotionalInterimExchangePaymentDates"):
            for said in linked.all(name):
                said.skip()
        first = number(linked.value("initialValue"), "initialValue of the notional")
        return {start: positive(first, "its notional")}, currency, True
    schedule = amounts.one("notionalSchedule", "notionalStepSchedule")
    if schedule is None or amounts.one("notionalSchedule", "notionalStepParameters") is not None:
        raise NotRead("its notional is not given by steps")
    notionals = {day: positive(amount, "its notional") for day, amount in steps(schedule, start).items()}
    return notionals, schedule.value("currency") or "", False


def _floating(element: Element, amounts: Element, dates: Dates, every: str, deal: Deal) -> Rate | None:
    leg = amounts.one("floatingRateCalculation")
    if leg is None:
        return None
    index, tenor = leg.value("floatingRateIndex"), period(leg, "indexTenor")
    if index is None:
        raise NotRead("its floating rate has no floatingRateIndex")
    overnight = tenor in (None, "1D") and compounds(leg)
    if tenor is None and not overnight:
        raise NotRead(f"its floating rate {index} is neither one of a term nor one compounded daily")
    if (multiple := leg.one("floatingRateMultiplierSchedule")) is not None and set(
        steps(multiple, dates.start).values()
    ) != {1}:
        raise NotRead("its floating rate is multiplied")
    spread = leg.one("spreadSchedule")
    spreads = {dates.start: Decimal(0)} if spread is None else steps(spread, dates.start)
    resets = element.one("resetDates")
    if resets is not None:
        set_on = resets.value("resetRelativeTo") or "CalculationPeriodStartDate"
        often = period(resets, "resetFrequency") or every
        if not overnight and (set_on != "CalculationPeriodStartDate" or often != every):
            raise NotRead("its floating rate is set in arrears, or more often than once a period")
        if (offset := resets.one("rateCutOffDaysOffset")) is not None and number(
            offset.value("periodMultiplier"), offset.name
        ):
            raise NotRead("its overnight rate is held for the last days of a period")
    if (negative := leg.value("negativeInterestRateTreatment")) not in (None, "NegativeInterestRateMethod"):
        raise NotRead(f"a rate below zero is not paid ({negative})")
    if (method := amounts.value("compoundingMethod")) not in (None, "None"):
        raise NotRead(f"its periods are compounded ({method})")
    first = leg.value("initialRate")
    fixings = {} if first is None else {_day(dates.moves.moved(dates.start)): float(number(first, "initialRate"))}
    return Rate(index if overnight or tenor is None else f"{index}-{tenor}", overnight, spreads, fixings)


def compounds(leg: Element) -> bool:
    """Whether the rate is one compounded daily, by the name of its index or by its parameters."""
    method = leg.value("calculationParameters", "calculationMethod")
    return (leg.value("floatingRateIndex") or "").upper().endswith("COMPOUND") or method in (
        "Compounding",
        "OIS Compound",
    )


def _day(day: dt.date) -> str:
    return day.isoformat()


def _odd(stub: Element, made: Stream, deal: Deal) -> Stream:
    """The rates of odd periods: those that are over do not matter, others are the rate of all periods or one that is known."""
    for name, begin, end in (
        ("initialStub", made.dates.start, made.dates.first),
        ("finalStub", made.dates.last, made.dates.maturity),
    ):
        for odd in stub.all(name):
            agreed = odd.value("stubRate")
            tenors = {f"{f.value('floatingRateIndex')}-{period(f, 'indexTenor')}" for f in odd.all("floatingRate")}
            if odd.one("stubAmount") is not None:
                raise NotRead(f"its {name} pays an amount")
            if end is not None and made.dates.moves.moved(end) + dt.timedelta(days=_MOST_LAG) <= deal.as_of:
                continue
            rates = {number(agreed, "stubRate")} if agreed is not None else set()
            if made.rate is not None and rates and begin is not None and not made.rate.overnight:
                known = {_day(made.dates.moves.moved(begin)): float(rates.pop())}
                made = replace(made, rate=replace(made.rate, fixings={**made.rate.fixings, **known}))
            elif rates - {*(made.fixed or {}).values()} or tenors - {made.rate.index if made.rate else None}:
                raise NotRead(f"its {name} pays another rate than its periods: {', '.join(sorted(tenors)) or agreed}")
    return made


def _known(element: Element, made: Stream) -> Stream:
    """With the rates observed already, where the cash flows are told beside the parameters."""
    for flows in element.all("cashflows"):
        if not says(flows, "cashflowsMatchParameters"):
            raise NotRead("its cash flows are not those of its parameters")
        known: dict[str, float] = {}
        for calculated in flows.all("paymentCalculationPeriod", "calculationPeriod"):
            observations = [o for o in calculated.below("rateObservation") if o.one("observedRate") is not None]
            for observed in observations:
                rate = float(number(observed.value("observedRate"), "observedRate"))
                overnight = made.rate is not None and made.rate.overnight
                day = date_of(observed, "adjustedFixingDate") if overnight else date_of(calculated, "adjustedStartDate")
                if day is not None and (overnight or len(observations) == 1):
                    known[_day(day)] = rate
        flows.skip()
        if made.rate is not None and known:
            made = replace(made, rate=replace(made.rate, fixings={**made.rate.fixings, **known}))
    return made
