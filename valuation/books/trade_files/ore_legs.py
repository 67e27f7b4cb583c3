"""Legs of ORE's portfolio XML, read and written: who pays, on what notional, over which periods, at which rate.

Source: Open Source Risk Engine, *User Guide*, ch. "Trade components", section on leg data.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lake.landing.markup import Element
from valuation.books.trade_files.ore_names import (
    CALENDARS,
    CONVENTIONS,
    DAY_COUNTS,
    FREQUENCIES,
    TENORS,
    NotWritten,
    code,
    is_yes,
    only_value,
)
from valuation.books.trade_files.trade import NotRead, counterpart, day, days_of, number, only
from valuation.instruments import schedules

FIXED, TERM, OVERNIGHT = "Fixed", "term", "overnight"
FIXING_LAG = "Rates fix on the first day of their period here, and the fixing lag in the file is not kept"


@dataclass(frozen=True)
class TradeLeg:
    """kind : FIXED, or floating at a rate of a TERM or OVERNIGHT. periods : terms that several legs of a trade share.

    rate : the fixed rate, or the spread; index : ORE's name of the floating rate. reset : currency and amount that the notional is
    set anew to, each period.
    """

    element: Element
    kind: str
    pays: bool
    currency: str
    frequency: int
    day_count: str
    periods: Mapping[str, Any]
    payment_lag: int
    rate: Decimal
    index: str

    @property
    def notional(self) -> Decimal:
        """Raises `NotRead` where it changes."""
        if self.element.all("Amortizations", "AmortizationData"):
            raise NotRead("its notional changes over time")
        return number(only_value(self.element, "Notionals", "Notional"), "Notional")

    @property
    def exchanged(self) -> bool:
        """Whether the notional is paid at the start and back at the end. Of flags that are given, an absent one says yes in ORE."""
        flags = self.element.one("Notionals", "Exchanges")
        if flags is None:
            return False
        start, end = (is_yes(flags.value(f"Notional{which}Exchange") or "yes") for which in ("Initial", "Final"))
        if start != end:
            raise NotRead("its notional is exchanged at one end alone")
        return start

    @property
    def reset(self) -> tuple[str | None, Decimal] | None:
        found = self.element.one("Notionals", "FXReset")
        if found is None:
            return None
        only(found, "ForeignCurrency ForeignAmount FXIndex FixingDays")
        return found.value("ForeignCurrency"), number(found.value("ForeignAmount"), "ForeignAmount")

    @property
    def projection(self) -> str | None:
        """The curve that projects its rate; None for the rate CURRENCY-CURRENCY-TENOR, which is that of the discount curve."""
        return None if re.fullmatch(rf"{self.currency}-{self.currency}([-.].*)?", self.index) else self.index

    def fixings(self, as_of: dt.date) -> dict[str, float]:
        """The fixings that stand in the leg, by first day of their period, of an overnight rate by their own day."""
        given = {
            day(f.attributes.get("fixingDate"), "fixingDate"): float(number(f.text, "Fixing"))
            for f in self.element.all("FloatingLegData", "HistoricalFixings", "Fixing")
        }
        if not given or self.kind == OVERNIGHT:
            return {str(d): rate for d, rate in given.items()}
        lag = fixing_lag(self.element)
        calendar = str(self.periods["calendar"])
        found = {}
        for start in self.starts():
            fixed = dt.date.fromordinal(schedules.days_after(start.toordinal(), -lag, calendar)) if lag else start
            if start <= as_of and fixed in given:
                found[str(start)] = given[fixed]
        return found

    def starts(self) -> list[dt.date]:
        """First days of its periods."""
        p = self.periods
        first, last = p["first_period_end"] or p["start"], p["last_period_start"] or p["maturity"]
        regular = schedules.leg(
            first,
            last,
            self.frequency,
            self.day_count,
            str(p["calendar"]),
            str(p["business_day_convention"]),
            adjust_accrual=True,
            end_of_month=bool(p["end_of_month"]),
        ).starts.tolist()
        ends = [
            schedules.payment_date(d, p["calendar"], p["business_day_convention"])
            for d in ([p["start"]] if p["first_period_end"] else []) + ([last] if p["last_period_start"] else [])
        ]
        return sorted({*ends, *map(dt.date.fromordinal, regular)})


def fixing_lag(leg: Element) -> int:
    return days_of(leg.value("FloatingLegData", "FixingDays") or "0", "FixingDays")


def is_term(leg: Element) -> bool:
    """Whether its floating rate is one of a term."""
    return (leg.value("FloatingLegData", "Index") or "").endswith(("-1M", "-3M", "-6M", "-12M", "-1Y"))


def read_legs(body: Element) -> list[TradeLeg]:
    return [read_leg(element) for element in body.all("LegData")]


def read_leg(element: Element, adjusted: bool = True) -> TradeLeg:
    """Raises `NotRead`. adjusted : periods end on business days, else payments alone move to them."""
    only(element, _LEG)
    for part, known in _PARTS.items():
        for found in element.all(*part.split("/")):
            only(found, known)
    kind = element.value("LegType") or "none"
    rate, index = Decimal(0), ""
    if kind == FIXED:
        rate = number(only_value(element, "FixedLegData", "Rates", "Rate"), "Rate") if adjusted else rate
    elif kind == "Floating":
        kind, index, rate = _floating(element)
    else:
        raise NotRead(f"legs of type {kind} are not read; those that are: Fixed, Floating")
    tenor = element.value("ScheduleData", "Rules", "Tenor")
    currency = element.value("Currency")
    if currency is None:
        raise NotRead("its leg has no Currency")
    return TradeLeg(
        element,
        kind,
        is_yes(element.value("Payer") or "yes"),  # ORE's leg pays where it does not say
        currency,
        counterpart(FREQUENCIES, tenor, "Tenor"),
        counterpart(DAY_COUNTS, element.value("DayCounter"), "DayCounter"),
        _periods(element, adjusted),
        days_of(element.value("PaymentLag") or "0", "PaymentLag"),
        rate,
        index,
    )


def _floating(element: Element) -> tuple[str, str, Decimal]:
    index, term = element.value("FloatingLegData", "Index") or "", is_term(element)
    if not term and (index.count("-") != 1 or "CMS" in index):
        raise NotRead(f"its floating rate {index or 'none'} is no rate of a term and no overnight rate")
    spread = number(only_value(element, "FloatingLegData", "Spreads", "Spread") or "0", "Spread")
    for gearing in element.all("FloatingLegData", "Gearings", "Gearing"):
        if number(gearing.text, "Gearing") != 1:
            raise NotRead("its floating rate has a gearing")
    if term and is_yes(element.value("FloatingLegData", "IsInArrears")):
        raise NotRead("its floating rate is set in arrears")
    for flag, why in (
        ("IsAveraged", "averaged"),
        ("HasSubPeriods", "compounded over parts of a period"),
        ("IncludeSpread", "compounded with its spread"),
    ):
        if is_yes(element.value("FloatingLegData", flag)):
            raise NotRead(f"its floating rate is {why}")
    for name in ("Lookback", "RateCutoff"):
        if re.sub("[DWMY]", "", element.value("FloatingLegData", name) or "0") != "0":
            raise NotRead(f"its floating rate has a {name}")
    for name in ("Caps", "Floors"):
        if any(e.children for e in element.all("FloatingLegData", name)):
            raise NotRead("its floating leg has caps or floors")
    return (TERM if term else OVERNIGHT), index, spread


def _periods(element: Element, adjusted: bool) -> dict[str, Any]:
    rules = element.all("ScheduleData", "Rules")
    if len(rules) != 1 or element.all("ScheduleData", "Dates"):
        raise NotRead("its schedule is not given by one set of rules")
    rule = rules[0]
    convention = counterpart(CONVENTIONS, rule.value("Convention"), "Convention")
    last = counterpart(CONVENTIONS, rule.value("TermConvention") or rule.value("Convention"), "TermConvention")
    paid = counterpart(CONVENTIONS, element.value("PaymentConvention") or rule.value("Convention"), "PaymentConvention")
    calendar = counterpart(CALENDARS, rule.value("Calendar"), "Calendar")
    paid_in = counterpart(CALENDARS, element.value("PaymentCalendar") or rule.value("Calendar"), "PaymentCalendar")
    if last != convention:
        raise NotRead("the last day of its schedule is moved by another convention than the others")
    if adjusted and (paid != convention or paid_in != calendar):
        raise NotRead("payments are moved by another convention or calendar than periods")
    if not adjusted and convention != "Unadjusted":
        raise NotRead(
            "its coupons accrue between days that are moved; coupons of bonds here accrue between dates as they fall"
        )
    start, end = day(rule.value("StartDate"), "StartDate"), day(rule.value("EndDate"), "EndDate")
    first, late = (None if (d := rule.value(n)) is None else day(d, n) for n in ("FirstDate", "LastDate"))
    tenor, how = rule.value("Tenor") or "", rule.value("Rule") or "Backward"
    counterpart(FREQUENCIES, tenor, "Tenor")
    if how == "Forward" and late is None:
        late = _last_regular(first or start, end, tenor)
    elif how not in ("Backward", "Forward"):
        raise NotRead(f"its schedule is made by the rule {how}")
    return {
        "start": start,
        "maturity": end,
        "calendar": paid_in,
        "business_day_convention": paid,
        "end_of_month": True if is_yes(rule.value("EndOfMonth")) else None,
        "first_period_end": first if first != start else None,
        "last_period_start": late if late != end else None,
    }


def _last_regular(start: dt.date, end: dt.date, tenor: str) -> dt.date | None:
    """Where the odd last period begins of a schedule rolled forward; None where there is none."""
    months = 12 // FREQUENCIES[tenor]
    forward = [start]
    for k in itertools.count(1):
        due = schedules.tenor_end(start, f"{k * months}M")
        if due >= end:
            break
        forward.append(due)
    if start.day > 28:
        raise NotRead("its schedule is rolled forward from the end of a month")
    return None if due == end else forward[-1]


# --- written ----------------------------------------------------------------------------------------------------------


def index_in_ore(currency: str, curve: str, tenor: str | None) -> str:
    """ORE's name of a floating rate: the curve where it is named as ORE's rates are, else CURRENCY-CURVE-TENOR.

    tenor : None for an overnight rate. Raises `NotWritten`.
    """
    end = f"-{tenor}" if tenor else ""
    named = rf"{currency}-[A-Za-z0-9_.]+{end}"
    index = curve if re.fullmatch(named, curve) else f"{currency}-{curve}{end}"
    if not re.fullmatch(named, index):
        raise NotWritten(
            f"its rate is projected on {curve}, which cannot stand in the name of a rate of {tenor or 'a day'}"
        )
    return index


def fixed_leg(rate: Any) -> dict[str, Any]:
    return {"LegType": FIXED, "FixedLegData": {"Rates": {"Rate": rate}}}


def floating(
    index: str, spread: float | None, fixings: Mapping[dt.date, float], overnight: bool = False
) -> dict[str, Any]:
    given = [{"@fixingDate": d, "": rate} for d, rate in sorted(fixings.items())]
    return {
        "LegType": "Floating",
        "FloatingLegData": {
            "Index": index,
            "IsInArrears": overnight,
            "FixingDays": 0,
            "Spreads": {"Spread": spread or 0.0},
            "HistoricalFixings": {"Fixing": given} if given else None,
        },
    }


def leg_written(
    terms: Any,
    data: Mapping[str, Any],
    pays: bool,
    frequency: int,
    day_count: str,
    notional: Any,
    *,
    currency: str | None = None,
    exchanged: bool = False,
    reset: Mapping[str, Any] | None = None,
    lag: int = 0,
    adjusted: bool = True,
) -> dict[str, Any]:
    """A leg on the dates of the terms, which are of a swap, a cap or a bond; flags of an exchange are always written."""
    convention, calendar = code("convention", terms.business_day_convention), code("calendar", terms.calendar)
    flags = {f"Notional{which}Exchange": exchanged for which in ("Initial", "Final")}
    return {
        **data,
        "Payer": pays,
        "Currency": currency or terms.currency,
        "Notionals": {
            "Notional": notional,
            "FXReset": reset,
            "Exchanges": {**flags, "NotionalAmortizingExchange": False},
        },
        "DayCounter": code("day_count", day_count),
        "PaymentConvention": convention,
        "PaymentCalendar": calendar,
        "PaymentLag": lag or None,
        "ScheduleData": {
            "Rules": {
                "StartDate": terms.start if adjusted else terms.issue_date,
                "EndDate": terms.maturity,
                "Tenor": TENORS[frequency],
                "Calendar": calendar if adjusted else "NullCalendar",
                "Convention": convention if adjusted else "U",
                "TermConvention": convention if adjusted else "U",
                "Rule": "Backward",
                "EndOfMonth": bool(terms.end_of_month),
                "FirstDate": getattr(terms, "first_period_end", None),
                "LastDate": getattr(terms, "last_period_start", None),
            }
        },
    }


_LEG = (
    "Payer Currency Notionals DayCounter PaymentConvention PaymentCalendar PaymentLag LegType FixedLegData FloatingLegData ScheduleData "
    "Amortizations"
)
_PARTS = {  # elements that are known, by where they stand
    "Notionals": "Notional Exchanges FXReset",
    "Notionals/Exchanges": "NotionalInitialExchange NotionalFinalExchange NotionalAmortizingExchange",
    "FixedLegData": "Rates",
    "FloatingLegData": (
        "Index Spreads Gearings IsInArrears IsAveraged HasSubPeriods IncludeSpread FixingDays Lookback RateCutoff Caps Floors "
        "HistoricalFixings"
    ),
    "ScheduleData": "Rules Dates",
    "ScheduleData/Rules": (
        "StartDate EndDate Tenor Calendar Convention TermConvention Rule EndOfMonth FirstDate LastDate AdjustEndDateToPreviousMonthEnd"
    ),
}
