"""Trades of ORE's portfolio XML. Names become risk factors by rule, such as RIC:.SPX to EQ:SPX, and by a mapping where a lake has others.

Source: Open Source Risk Engine, *User Guide*, ch. "Trade data". What a trade says that its instrument here cannot keep makes it
not read, with the reason; nothing is left out of a trade in silence.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from lake.landing.markup import Element
from valuation.books.trade_files.trade import NotRead, Trade, counterpart, day, number, only, ratio, with_terms

CALENDARS = {
    "TARGET": "EUTA", "EUR": "EUTA", "US": "USNY", "USD": "USNY", "US settlement": "USNY", "UnitedStates": "USNY", "NYB": "USNY",
    "UK": "GBLO", "GBP": "GBLO", "JP": "JPTO", "JPY": "JPTO", "CHF": "CHZU", "ZUB": "CHZU", "CA": "CATO", "CAD": "CATO", "TRB": "CATO",
    "AU": "AUSY", "AUD": "AUSY", "NZ": "NZAU", "NZD": "NZAU", "SEK": "SEST", "SS": "SEST", "NOK": "NOOS", "DKK": "DKCO", "HKD": "HKHK",
    "SGD": "SGSI", "WeekendsOnly": "weekdays", "NullCalendar": "none",
}  # fmt: skip
CONVENTIONS = {
    "F": "Following", "Following": "Following", "FOLLOWING": "Following", "MF": "ModifiedFollowing",
    "ModifiedFollowing": "ModifiedFollowing",
    "Modified Following": "ModifiedFollowing", "MODIFIEDF": "ModifiedFollowing", "P": "Preceding", "Preceding": "Preceding",
    "MP": "ModifiedPreceding", "ModifiedPreceding": "ModifiedPreceding", "U": "Unadjusted", "Unadjusted": "Unadjusted",
    "INDIFF": "Unadjusted",
}  # fmt: skip
DAY_COUNTS = {
    "A360": "Actual360", "Actual/360": "Actual360", "ACT/360": "Actual360", "A365": "Actual365Fixed", "A365F": "Actual365Fixed",
    "Actual/365 (Fixed)": "Actual365Fixed", "ACT/365": "Actual365Fixed",
    "30/360 (Bond Basis)": "Thirty360",
    # ORE's 30/360 is that of the US: the last day of February counts as the 30th, which it does not here
    "30/360": "Thirty360", "T360": "Thirty360", "ACT/ACT.ISMA": "ActualActualISMA", "Actual/Actual (ISMA)": "ActualActualISMA",
}  # fmt: skip
FREQUENCIES = {"12M": 1, "1Y": 1, "6M": 2, "3M": 4, "1M": 12}
_OURS = {"EQ", "IDX", "CMD"}  # prefixes of risk factors, kept as they are
_YES = {"true", "y", "yes", "1"}


def trades(root: Element, as_of: dt.date, party: str | None) -> Iterator[tuple[Element, str, Callable[[], Trade]]]:
    """Every trade of a portfolio: where it stands, what it is called, and what reads it."""
    for trade in root.all("Trade"):
        trade_id, kind = trade.attributes.get("id", ""), trade.value("TradeType") or ""
        yield trade, f"{trade_id} ({kind})", functools.partial(_trade, trade, trade_id, kind, as_of)


def _trade(trade: Element, trade_id: str, kind: str, as_of: dt.date) -> Trade:
    if not trade_id:
        raise NotRead("it has no id")
    if kind not in READ:
        raise NotRead(f"trades of type {kind or 'none'} are not read; those that are: {', '.join(READ)}")
    if (body := trade.one(f"{kind}Data")) is None:
        raise NotRead(f"it has no {kind}Data")
    read, names = READ[kind]
    only(body, names)
    instrument_type, quantity, terms = read(body, as_of)
    return with_terms(trade_id, instrument_type, quantity, terms, _owners(trade))


def _owners(trade: Element) -> dict[str, str | None]:
    found: dict[str, str | None] = {
        "counterparty": trade.value("Envelope", "CounterParty"),
        "portfolio": trade.value("Envelope", "PortfolioIds", "PortfolioId"),
        "netting_set": trade.value("Envelope", "NettingSetId"),
    }
    fields = trade.one("Envelope", "AdditionalFields")
    for field in [] if fields is None else fields.children:
        found.setdefault(field.name.lower(), field.text or None)
    return found


def _fx_forward(body: Element, as_of: dt.date) -> tuple[str, Decimal, dict[str, Any]]:
    maturity = day(body.value("ValueDate"), "ValueDate")
    settled = body.value("SettlementData", "Date")
    if settled is not None and day(settled, "SettlementData/Date") != maturity:
        raise NotRead("it is settled on another day than its value date")
    return "fx_forward", *_exchange(body, maturity, "maturity")


def _exchange(body: Element, when: dt.date, name: str) -> tuple[Decimal, dict[str, Any]]:
    bought, sold = number(body.value("BoughtAmount"), "BoughtAmount"), number(body.value("SoldAmount"), "SoldAmount")
    base, quote = body.value("BoughtCurrency"), body.value("SoldCurrency")
    terms = {
        "currency": quote,
        "base_currency": base,
        "strike": ratio(sold, bought, "the exchange"),
        name: when,
        "quote_curve": quote,
        "base_curve": base,
    }
    return bought, terms


def _fx_option(body: Element, as_of: dt.date) -> tuple[str, Decimal, dict[str, Any]]:
    option = _option(body, as_of)
    quantity, terms = _exchange(body, option.expiry, "expiry")
    kind = {"European": "fx_option", "American": "fx_american_option"}[option.style]
    volatility = f"IV:{terms['base_currency']}{terms['currency']}"
    return kind, option.sign * quantity, {**terms, "option_type": option.option_type, "volatility": volatility}


def _equity_forward(body: Element, as_of: dt.date) -> tuple[str, Decimal, dict[str, Any]]:
    return "equity_forward", *_forward(body, "EQ", body.value("LongShort"))


def _commodity_forward(body: Element, as_of: dt.date) -> tuple[str, Decimal, dict[str, Any]]:
    return "commodity_forward", *_forward(body, "CMD", body.value("Position"))


def _forward(body: Element, prefix: str, side: str | None) -> tuple[Decimal, dict[str, Any]]:
    terms = _underlying(body, prefix)
    terms |= {"strike": number(body.value("Strike"), "Strike"), "maturity": day(body.value("Maturity"), "Maturity")}
    return _side(side) * number(body.value("Quantity"), "Quantity"), terms


def _equity_option(body: Element, as_of: dt.date) -> tuple[str, Decimal, dict[str, Any]]:
    option = _option(body, as_of)
    strike = (
        body.value("Strike") or body.value("StrikeData", "StrikePrice", "Value") or body.value("StrikeData", "Value")
    )
    terms = _underlying(body, "EQ")
    kind = {"European": "equity_option", "American": "equity_american_option"}[option.style]
    return (
        kind,
        option.sign * number(body.value("Quantity"), "Quantity"),
        {
            **terms,
            "volatility": f"IV:{terms['underlying'].partition(':')[2]}",
            "strike": number(strike, "Strike"),
            "expiry": option.expiry,
            "option_type": option.option_type,
        },
    )


def _underlying(body: Element, prefix: str) -> dict[str, Any]:
    name = body.value("Name") or body.value("Underlying", "Name")
    if name is None:
        raise NotRead("it has no Name")
    name, _, rate = name.partition("@")  # as `name_in_ore` writes it
    own = name.partition(":")[0] in _OURS
    currency = body.value("Currency")
    terms = {
        "currency": currency,
        "underlying": name if own else f"{prefix}:{name.rpartition(':')[2].lstrip('.')}",
        "discount_curve": currency,
    }
    return (
        {**terms, ("carry" if prefix == "CMD" else "dividend_yield"): number(rate, f"what follows @ in {name}")}
        if rate
        else terms
    )


class _Option:
    def __init__(self, body: Element, as_of: dt.date) -> None:
        data = body.one("OptionData")
        if data is None:
            raise NotRead("it has no OptionData")
        only(data, _OPTION)
        self.sign = _side(data.value("LongShort"))
        self.style = data.value("Style") or "European"
        if self.style not in ("European", "American"):
            raise NotRead(f"options of style {self.style} are not read")
        self.option_type = (data.value("OptionType") or "").lower()
        if self.option_type not in ("call", "put"):
            raise NotRead(f"OptionType is {data.value('OptionType')!r}, not Call or Put")
        dates = [day(d.text, "ExerciseDate") for d in data.all("ExerciseDates", "ExerciseDate")]
        if not dates:
            raise NotRead("it has no ExerciseDate")
        self.expiry = max(dates)
        if (data.value("PayOffAtExpiry") or "").lower() in _YES and self.style == "American":
            raise NotRead("it is paid at expiry, not when exercised")
        due = [p for p in data.below("Premium") if day(p.value("PayDate"), "PayDate") > as_of]
        single = data.value("PremiumPayDate")
        if due or (single is not None and day(single, "PremiumPayDate") > as_of):
            raise NotRead(f"its premium is paid after {as_of}, and is a trade of its own here")


def _option(body: Element, as_of: dt.date) -> _Option:
    return _Option(body, as_of)


def _swap(body: Element, as_of: dt.date) -> tuple[str, Decimal, dict[str, Any]]:
    legs = {leg.value("LegType"): leg for leg in body.all("LegData")}
    if len(body.all("LegData")) != 2 or set(legs) != {"Fixed", "Floating"}:
        found = ", ".join(leg.value("LegType") or "none" for leg in body.all("LegData"))
        raise NotRead(f"swaps of a fixed and a floating leg are read, and its legs are {found}")
    fixed, floating = legs["Fixed"], legs["Floating"]
    for leg in (fixed, floating):
        only(leg, _LEG)
    notional = _notional(fixed)
    if notional != _notional(floating) or fixed.value("Currency") != floating.value("Currency"):
        raise NotRead("its legs differ in notional or currency")
    rates = [number(r.text, "Rate") for r in fixed.all("FixedLegData", "Rates", "Rate")]
    spreads = [number(s.text, "Spread") for s in floating.all("FloatingLegData", "Spreads", "Spread")]
    gearings = [number(g.text, "Gearing") for g in floating.all("FloatingLegData", "Gearings", "Gearing")]
    if len(rates) != 1 or len(spreads) > 1 or any(g != 1 for g in gearings):
        raise NotRead("its rates or spreads change over time, or have a gearing")
    if (floating.value("FloatingLegData", "IsInArrears") or "false").lower() in _YES:
        raise NotRead("its floating rate is set in arrears")
    if any(floating.all("FloatingLegData", name) for name in ("Caps", "Floors")):
        raise NotRead("its floating leg has caps or floors")
    start, end, calendar, convention = _dates(fixed)
    if (start, end, calendar, convention) != _dates(floating):
        raise NotRead("its legs differ in dates, calendar or convention")
    currency, index = fixed.value("Currency"), floating.value("FloatingLegData", "Index") or ""
    months_end = [(leg.value("ScheduleData", "Rules", "EndOfMonth") or "").lower() in _YES for leg in (fixed, floating)]
    if months_end[0] != months_end[1]:
        raise NotRead("its legs differ in EndOfMonth")
    if not index.endswith(("1M", "3M", "6M", "12M", "1Y")):
        raise NotRead(f"its floating rate {index} is no rate of a term")
    terms: dict[str, Any] = {
        "currency": currency,
        "pay_fixed": (fixed.value("Payer") or "").lower() in _YES,
        "fixed_rate": rates[0],
        "start": start,
        "maturity": end,
        "fixed_frequency": counterpart(FREQUENCIES, fixed.value("ScheduleData", "Rules", "Tenor"), "Tenor"),
        "float_frequency": counterpart(FREQUENCIES, floating.value("ScheduleData", "Rules", "Tenor"), "Tenor"),
        "fixed_day_count": counterpart(DAY_COUNTS, fixed.value("DayCounter"), "DayCounter"),
        "float_day_count": counterpart(DAY_COUNTS, floating.value("DayCounter"), "DayCounter"),
        "calendar": calendar,
        "business_day_convention": convention,
        "discount_curve": currency,
        "spread": spreads[0] if any(spreads) else None,
        "end_of_month": True if months_end[0] else None,
        # the rate CURRENCY-CURRENCY-TENOR is that of the discount curve itself
        "projection_curve?": None if index.startswith(f"{currency}-{currency}-") else index,
    }
    return "interest_rate_swap", notional, terms


def _notional(leg: Element) -> Decimal:
    notionals = leg.all("Notionals", "Notional")
    if len(notionals) != 1 or (leg.all("Amortizations") and leg.one("Amortizations").children):  # type: ignore[union-attr]
        raise NotRead("its notional changes over time")
    exchanges = leg.one("Notionals", "Exchanges")
    if exchanges is not None and any(e.text.lower() in _YES for e in exchanges.children):
        raise NotRead("its notional is exchanged")
    return number(notionals[0].text, "Notional")


def _dates(leg: Element) -> tuple[dt.date, dt.date, str, str]:
    rules = leg.all("ScheduleData", "Rules")
    if len(rules) != 1:
        raise NotRead("its schedule is not given by one set of rules")
    rule = rules[0]
    if (rule.value("Rule") or "Backward") not in ("Backward", "Forward"):
        raise NotRead(f"its schedule is made by the rule {rule.value('Rule')}")
    if rule.value("FirstDate") or rule.value("LastDate"):
        raise NotRead("its schedule has a first or last date of its own")
    convention = counterpart(CONVENTIONS, rule.value("Convention"), "Convention")
    if (
        counterpart(CONVENTIONS, leg.value("PaymentConvention") or rule.value("Convention"), "PaymentConvention")
        != convention
    ):
        raise NotRead("payments are moved by another convention than periods")
    calendar = counterpart(CALENDARS, rule.value("Calendar"), "Calendar")
    return day(rule.value("StartDate"), "StartDate"), day(rule.value("EndDate"), "EndDate"), calendar, convention


def _side(text: str | None) -> int:
    if (text or "").lower() not in ("long", "short"):
        raise NotRead(f"whether it is long or short is {text!r}")
    return 1 if str(text).lower() == "long" else -1


_EXCHANGE = "BoughtCurrency BoughtAmount SoldCurrency SoldAmount Settlement"
_OF_PRICE = "Name Underlying Currency Strike Quantity"
_OPTION = "LongShort OptionType Style Settlement PayOffAtExpiry ExerciseDates Premiums PremiumAmount PremiumCurrency PremiumPayDate"
_LEG = "Payer Currency Notionals DayCounter PaymentConvention LegType FixedLegData FloatingLegData ScheduleData Amortizations"
Read = Callable[[Element, dt.date], tuple[str, Decimal, dict[str, Any]]]
READ: Mapping[str, tuple[Read, str]] = {  # by trade type: what reads its data, and the elements there that it knows
    "FxForward": (_fx_forward, f"ValueDate SettlementData {_EXCHANGE}"),
    "FxOption": (_fx_option, f"OptionData {_EXCHANGE}"),
    "EquityForward": (_equity_forward, f"LongShort Maturity {_OF_PRICE}"),
    "EquityOption": (_equity_option, f"OptionData StrikeData {_OF_PRICE}"),
    "CommodityForward": (_commodity_forward, f"Position Maturity {_OF_PRICE}"),
    "Swap": (_swap, "LegData"),
}
