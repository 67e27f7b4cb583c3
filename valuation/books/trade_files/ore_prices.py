"""Forwards, swaps and options on exchange rates, shares and commodities as ORE's portfolio XML has them, read and written.

A trade is read into (instrument type, quantity, terms), and written from (terms, quantity).
Source: Open Source Risk Engine, *User Guide*, ch. "Trade data".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from lake.landing.markup import Element
from valuation.books.trade_files.ore_names import (
    BARRIERS,
    CALENDARS,
    NotWritten,
    exact,
    is_yes,
    side_read,
    side_written,
)
from valuation.books.trade_files.trade import NotRead, counterpart, day, number, only, ratio

Found = tuple[str, Decimal, dict[str, Any]]
_OURS = {"EQ", "IDX", "CMD"}  # prefixes of risk factors, kept as they are


# --- what several share -----------------------------------------------------------------------------------------------


class OptionData:
    """The OptionData of a trade. sign : 1 for long, -1 for short; dates : of exercise, ascending."""

    def __init__(self, body: Element, as_of: dt.date, styles: tuple[str, ...] = ("European",)) -> None:
        data = body.one("OptionData")
        if data is None:
            raise NotRead("it has no OptionData")
        only(data, _OPTION)
        self.data = data
        self.sign = side_read(data.value("LongShort"))
        self.style = data.value("Style") or "European"
        if self.style not in styles:
            raise NotRead(f"options of style {self.style} are not read")
        self.dates = sorted(day(d.text, "ExerciseDate") for d in data.all("ExerciseDates", "ExerciseDate"))
        if not self.dates:
            raise NotRead("it has no ExerciseDate")
        if self.style == "European" and len(self.dates) > 1:
            raise NotRead(f"it is European and has {len(self.dates)} exercise dates")
        self.expiry = self.dates[-1]
        if is_yes(data.value("PayOffAtExpiry")) and self.style == "American":
            raise NotRead("it is paid at expiry, not when exercised")
        without_premium(data, as_of)

    @property
    def option_type(self) -> str:
        found = (self.data.value("OptionType") or "").lower()
        if found not in ("call", "put"):
            raise NotRead(f"OptionType is {self.data.value('OptionType')!r}, not Call or Put")
        return found

    def terms(self, name: str) -> dict[str, Any]:
        """Of an option on a price; name : of the underlying, in its volatility."""
        return {"expiry": self.expiry, "option_type": self.option_type, "volatility": f"IV:{name}"}


def without_premium(data: Element, as_of: dt.date) -> None:
    """Raises `NotRead` where a premium is still to be paid."""
    due = [p for p in data.below("Premium") if day(p.value("PayDate"), "PayDate") > as_of]
    single = data.value("PremiumPayDate")
    if due or (single is not None and day(single, "PremiumPayDate") > as_of):
        raise NotRead(f"its premium is paid after {as_of}, and is a trade of its own here")


def option_written(
    quantity: float, dates: Any, option_type: str | None = None, style: str = "European", **more: Any
) -> dict[str, Any]:
    return {
        "LongShort": side_written(quantity),
        "OptionType": None if option_type is None else option_type.capitalize(),
        "Style": style,
        "Settlement": "Cash",
        **more,
        "ExerciseDates": {"ExerciseDate": dates},
    }


def _barrier(body: Element, as_of: dt.date, units: Decimal) -> dict[str, Any]:
    data = body.one("BarrierData")
    if data is None:
        raise NotRead("it has no BarrierData")
    only(data, "Type Style Levels Level Rebate RebateCurrency RebatePayTime StrictComparison")
    if (data.value("Style") or "American") != "American":
        raise NotRead(f"barriers of style {data.value('Style')} are not read")
    levels = [*data.all("Levels", "Level"), *data.all("Level")]
    if len(levels) != 1:
        raise NotRead(f"it has {len(levels)} barriers, and one is expected")
    kind = counterpart(BARRIERS, data.value("Type"), "the barrier's Type")
    rebate = number(data.value("Rebate") or "0", "Rebate")
    if (begins := body.value("StartDate")) is not None and day(begins, "StartDate") > as_of:
        raise NotRead(f"its barrier is watched from {begins} on only")
    at_expiry = rebate and kind.endswith("_out") and data.value("RebatePayTime") == "atExpiry"
    return {
        "barrier": number(levels[0].text, "Level"),
        "barrier_type": kind,
        "rebate": float(rebate / units) if rebate else None,
        "rebate_paid": "at_expiry" if at_expiry else None,
    }


def _barrier_written(terms: Any, quantity: float) -> dict[str, Any]:
    if (terms.monitoring or "continuous") != "continuous":
        raise NotWritten(f"its barrier is watched {terms.monitoring}, and ORE's always")
    if terms.rebate and terms.rebate_paid == "at_expiry" and not terms.knock_in:
        raise NotWritten("its rebate is paid at expiry, and ORE's when the barrier is touched")
    if terms.barrier_hit is not None:
        raise NotWritten("its barrier has been touched, for which a trade of ORE has no element")
    return {
        "Type": {here: there for there, here in BARRIERS.items()}[terms.barrier_type],
        "Style": "American",
        "Rebate": exact(terms.rebate or 0.0) * exact(abs(quantity)),
        "Levels": {"Level": terms.barrier},
    }


# --- exchange rates ---------------------------------------------------------------------------------------------------


def _pair(base: str | None, quote: str | None) -> dict[str, Any]:
    return {"currency": quote, "base_currency": base, "quote_curve": quote, "base_curve": base}


def _bought(body: Element) -> tuple[Decimal, dict[str, Any]]:
    bought, sold = number(body.value("BoughtAmount"), "BoughtAmount"), number(body.value("SoldAmount"), "SoldAmount")
    terms = _pair(body.value("BoughtCurrency"), body.value("SoldCurrency"))
    return bought, {**terms, "strike": ratio(sold, bought, "the exchange")}


def _bought_written(terms: Any, quantity: float, sold: bool = False) -> dict[str, Any]:
    units = exact(abs(quantity))
    sides = (terms.base_currency, units), (terms.currency, units * exact(terms.strike))
    (bought, amount), (paid, price) = reversed(sides) if sold else sides
    return {"BoughtCurrency": bought, "BoughtAmount": amount, "SoldCurrency": paid, "SoldAmount": price}


def fx_forward(body: Element, as_of: dt.date) -> Found:
    maturity = day(body.value("ValueDate"), "ValueDate")
    settled = body.one("SettlementData")
    if settled is not None:
        only(settled, "Date")
        if settled.value("Date") is not None and day(settled.value("Date"), "SettlementData/Date") != maturity:
            raise NotRead("it is settled on another day than its value date")
    bought, terms = _bought(body)
    return "fx_forward", bought, {**terms, "maturity": maturity}


def fx_forward_written(terms: Any, quantity: float) -> dict[str, Any]:
    """ORE has no sign for a forward: what is sold is written as the purchase of the other currency."""
    return {"ValueDate": terms.maturity, **_bought_written(terms, quantity, sold=quantity < 0)}


def fx_swap(body: Element, as_of: dt.date) -> Found:
    bought, sold, back, given = (
        number(body.value(n), n) for n in ("NearBoughtAmount", "NearSoldAmount", "FarBoughtAmount", "FarSoldAmount")
    )
    one, other = body.value("NearBoughtCurrency"), body.value("NearSoldCurrency")
    if given == bought:
        base, quote, units, near, far = one, other, bought, sold, back
    elif back == sold:
        base, quote, units, near, far = other, one, -sold, bought, given
    else:
        raise NotRead("its near and far leg are of unlike amounts in both currencies: two forwards here")
    return (
        "fx_swap",
        units,
        {
            **_pair(base, quote),
            "near_strike": ratio(near, abs(units), "the near leg"),
            "near_maturity": day(body.value("NearDate"), "NearDate"),
            "strike": ratio(far, abs(units), "the far leg"),
            "maturity": day(body.value("FarDate"), "FarDate"),
        },
    )


def fx_swap_written(terms: Any, quantity: float) -> dict[str, Any]:
    units = exact(abs(quantity))
    near, far = units * exact(terms.near_strike), units * exact(terms.strike)
    base, quote = terms.base_currency, terms.currency
    one, bought, other, sold = (base, units, quote, near) if quantity > 0 else (quote, near, base, units)
    return {
        "NearDate": terms.near_maturity,
        "NearBoughtCurrency": one,
        "NearBoughtAmount": bought,
        "NearSoldCurrency": other,
        "NearSoldAmount": sold,
        "FarDate": terms.maturity,
        "FarBoughtAmount": far if quantity > 0 else units,
        "FarSoldAmount": units if quantity > 0 else far,
    }


def fx_option(body: Element, as_of: dt.date) -> Found:
    option = OptionData(body, as_of, ("European", "American"))
    bought, terms = _bought(body)
    kind = {"European": "fx_option", "American": "fx_american_option"}[option.style]
    return kind, option.sign * bought, {**terms, **option.terms(f"{terms['base_currency']}{terms['currency']}")}


def fx_option_written(terms: Any, quantity: float) -> dict[str, Any]:
    style = "American" if terms.instrument_type == "fx_american_option" else "European"
    option = option_written(quantity, terms.expiry, terms.option_type, style)
    return {"OptionData": option, **_bought_written(terms, quantity)}


def fx_barrier_option(body: Element, as_of: dt.date) -> Found:
    option = OptionData(body, as_of)
    bought, terms = _bought(body)
    name = f"{terms['base_currency']}{terms['currency']}"
    terms |= option.terms(name) | _barrier(body, as_of, bought)
    return "fx_barrier_option", option.sign * bought, terms


def fx_barrier_option_written(terms: Any, quantity: float) -> dict[str, Any]:
    return {
        "OptionData": option_written(quantity, terms.expiry, terms.option_type),
        "BarrierData": _barrier_written(terms, quantity),
        **_bought_written(terms, quantity),
    }


def fx_digital_option(body: Element, as_of: dt.date) -> Found:
    option = OptionData(body, as_of)
    base, quote = body.value("ForeignCurrency"), body.value("DomesticCurrency")
    paid = body.value("PayoffCurrency") or quote
    if paid not in (base, quote):
        raise NotRead(f"it pays {paid}, which is neither {base} nor {quote}")
    terms = {
        **_pair(base, quote),
        "strike": number(body.value("Strike"), "Strike"),
        "payoff": "cash_or_nothing" if paid == quote else "asset_or_nothing",
        **option.terms(f"{base}{quote}"),
    }
    return "fx_digital_option", option.sign * number(body.value("PayoffAmount"), "PayoffAmount"), terms


def fx_digital_option_written(terms: Any, quantity: float) -> dict[str, Any]:
    return {
        "OptionData": option_written(quantity, terms.expiry, terms.option_type, PayOffAtExpiry=True),
        "Strike": terms.strike,
        "PayoffCurrency": terms.currency if terms.payoff == "cash_or_nothing" else terms.base_currency,
        "PayoffAmount": abs(quantity),
        "ForeignCurrency": terms.base_currency,
        "DomesticCurrency": terms.currency,
    }


# --- shares and commodities -------------------------------------------------------------------------------------------


def name_in_ore(terms: Any) -> str:
    """The name of the underlying: its risk factor, and @ with the dividend yield or the cost of carry where there is one.

    Yield and carry are terms here and curves of ORE's market, so that each of them is an underlying of its own there.
    """
    rate = getattr(terms, "carry", None) or getattr(terms, "dividend_yield", None)
    return f"{terms.underlying}@{rate!r}" if rate else str(terms.underlying)


def underlying(name: str | None, prefix: str) -> tuple[str, dict[str, Any]]:
    """The risk factor that a name of ORE stands for, and its dividend yield or cost of carry where `name_in_ore` gave one."""
    if name is None:
        raise NotRead("it has no Name")
    name, _, rate = name.partition("@")
    own = name.partition(":")[0] in _OURS
    factor = name if own else f"{prefix}:{name.rpartition(':')[2].lstrip('.')}"
    term = "carry" if prefix == "CMD" else "dividend_yield"
    return factor, {term: number(rate, f"what follows @ in {name}")} if rate else {}


def _on(body: Element, prefix: str) -> dict[str, Any]:
    factor, rate = underlying(body.value("Name") or body.value("Underlying", "Name"), prefix)
    currency = (
        body.value("Currency") or body.value("PayoffCurrency") or body.value("StrikeData", "StrikePrice", "Currency")
    )
    return {"currency": currency, "underlying": factor, "discount_curve": currency, **rate}


def _strike(body: Element) -> Decimal:
    found = (
        body.value("Strike") or body.value("StrikeData", "StrikePrice", "Value") or body.value("StrikeData", "Value")
    )
    return number(found, "Strike")


def _units(body: Element) -> Decimal:
    return number(body.value("Quantity"), "Quantity")


def equity_forward(body: Element, as_of: dt.date) -> Found:
    return "equity_forward", *_forward(body, "EQ", body.value("LongShort"))


def commodity_forward(body: Element, as_of: dt.date) -> Found:
    return "commodity_forward", *_forward(body, "CMD", body.value("Position"))


def _forward(body: Element, prefix: str, side: str | None) -> tuple[Decimal, dict[str, Any]]:
    terms = _on(body, prefix) | {"strike": _strike(body), "maturity": day(body.value("Maturity"), "Maturity")}
    return side_read(side) * _units(body), terms


def equity_option(body: Element, as_of: dt.date) -> Found:
    return _option_on(body, as_of, "EQ", {"European": "equity_option", "American": "equity_american_option"})


def commodity_option(body: Element, as_of: dt.date) -> Found:
    return _option_on(body, as_of, "CMD", {"European": "commodity_option", "American": "commodity_american_option"})


def _option_on(body: Element, as_of: dt.date, prefix: str, kinds: Mapping[str, str]) -> Found:
    option = OptionData(body, as_of, tuple(kinds))
    terms = _on(body, prefix)
    terms |= {"strike": _strike(body), **option.terms(terms["underlying"].partition(":")[2])}
    return kinds[option.style], option.sign * _units(body), terms


def equity_barrier_option(body: Element, as_of: dt.date) -> Found:
    option, units = OptionData(body, as_of), _units(body)
    terms = _on(body, "EQ")
    terms |= {"strike": _strike(body), **option.terms(terms["underlying"].partition(":")[2])}
    return "equity_barrier_option", option.sign * units, terms | _barrier(body, as_of, units)


def equity_digital_option(body: Element, as_of: dt.date) -> Found:
    option = OptionData(body, as_of)
    terms = _on(body, "EQ")
    terms |= {
        "strike": _strike(body),
        "payoff": "cash_or_nothing",
        **option.terms(terms["underlying"].partition(":")[2]),
    }
    paid = number(body.value("PayoffAmount"), "PayoffAmount") * _units(body)
    return "equity_digital_option", option.sign * paid, terms


_STEPS = {"1D": "daily", "1W": "weekly", "1M": "monthly"}


def equity_asian_option(body: Element, as_of: dt.date) -> Found:
    option = OptionData(body, as_of)
    average = (option.data.value("PayoffType2") or "Arithmetic").lower()
    if (option.data.value("PayoffType") or "Asian") != "Asian" or average not in ("arithmetic", "geometric"):
        raise NotRead(f"its payoff is {option.data.value('PayoffType')} {average}; options on an average are read")
    settled = body.value("Settlement")
    if settled is not None and day(settled, "Settlement") != option.expiry:
        raise NotRead("it is settled on another day than its expiry")
    terms = _on(body, "EQ")
    terms |= {
        "strike": _strike(body),
        "average": "geometric" if average == "geometric" else None,
        **option.terms(terms["underlying"].partition(":")[2]),
        **_observed(body),
    }
    return "equity_asian_option", option.sign * _units(body), terms


def _observed(body: Element) -> dict[str, Any]:
    dates = [day(d.text, "Date") for d in body.all("ObservationDates", "Dates", "Dates", "Date")]
    rules = body.all("ObservationDates", "Rules")
    if dates and not rules:
        return {"averaging_dates": [str(d) for d in sorted(dates)]}
    if dates or len(rules) != 1:
        raise NotRead("its observation dates are neither a list nor one set of rules")
    rule = rules[0]
    only(rule, "StartDate EndDate Tenor Calendar Convention TermConvention Rule")
    if (rule.value("Convention") or "F") not in ("F", "Following") or (rule.value("Rule") or "Forward") != "Forward":
        raise NotRead("its observation dates are not rolled forward, each moved to the next business day")
    return {
        "averaging_start": day(rule.value("StartDate"), "StartDate"),
        "averaging_end": day(rule.value("EndDate"), "EndDate"),
        "averaging_frequency": counterpart(_STEPS, rule.value("Tenor"), "Tenor"),
        "calendar": counterpart(CALENDARS, rule.value("Calendar"), "Calendar"),
    }


def _on_written(terms: Any, quantity: float) -> dict[str, Any]:
    if getattr(terms, "dividend_model", None) is not None:
        raise NotWritten("it is priced with cash dividends, which are not written")
    return {
        "Name": name_in_ore(terms),
        "Currency": terms.currency,
        "Strike": terms.strike,
        "Quantity": abs(quantity),
    }


def equity_forward_written(terms: Any, quantity: float) -> dict[str, Any]:
    return {"LongShort": side_written(quantity), "Maturity": terms.maturity, **_on_written(terms, quantity)}


def commodity_forward_written(terms: Any, quantity: float) -> dict[str, Any]:
    return {"Position": side_written(quantity), "Maturity": terms.maturity, **_on_written(terms, quantity)}


def price_option_written(terms: Any, quantity: float) -> dict[str, Any]:
    """An option on a share or a commodity, European or American."""
    if getattr(terms, "model", None) == "normal":
        raise NotWritten("it is priced with a normal volatility, which ORE's commodities do not have")
    style = "American" if terms.instrument_type.endswith("american_option") else "European"
    option = option_written(quantity, terms.expiry, terms.option_type, style)
    return {"OptionData": option, **_on_written(terms, quantity)}


def equity_barrier_option_written(terms: Any, quantity: float) -> dict[str, Any]:
    return {
        "OptionData": option_written(quantity, terms.expiry, terms.option_type),
        "BarrierData": _barrier_written(terms, quantity),
        **_on_written(terms, quantity),
    }


def equity_digital_option_written(terms: Any, quantity: float) -> dict[str, Any]:
    if terms.payoff != "cash_or_nothing":
        raise NotWritten("it pays a share, and ORE's digital options on shares pay cash")
    return {
        "OptionData": option_written(quantity, terms.expiry, terms.option_type, PayOffAtExpiry=True),
        "Strike": terms.strike,
        "PayoffCurrency": terms.currency,
        "PayoffAmount": abs(quantity),
        "Name": name_in_ore(terms),
        "Quantity": 1,
    }


def equity_asian_option_written(terms: Any, quantity: float) -> dict[str, Any]:
    if terms.method == "monte_carlo":
        raise NotWritten("it is valued by simulation")
    on = _on_written(terms, quantity)
    average = {"PayoffType": "Asian", "PayoffType2": (terms.average or "arithmetic").capitalize()}
    return {
        "OptionData": option_written(quantity, terms.expiry, terms.option_type, **average),
        "Underlying": {"Type": "Equity", "Name": on.pop("Name")},
        **on,
        "Settlement": terms.expiry,
        "ObservationDates": {"Dates": {"Dates": {"Date": list(terms.days())}}},
    }


_OPTION = (
    "LongShort OptionType Style Settlement SettlementMethod PayOffAtExpiry PayoffAtExpiry ExerciseDates Premiums PremiumAmount "
    "PremiumCurrency PremiumPayDate PayoffType PayoffType2"
)
_EXCHANGE = "BoughtCurrency BoughtAmount SoldCurrency SoldAmount"
_OF_PRICE = "Name Underlying Currency Strike Quantity"
_WATCHED = "BarrierData StartDate Calendar"
_SWAPPED = "NearBoughtCurrency NearBoughtAmount NearSoldCurrency NearSoldAmount FarBoughtAmount FarSoldAmount"
Read = Callable[[Element, dt.date], Found]
READ: Mapping[str, tuple[Read, str]] = {  # by trade type: what reads its data, and the elements there that it knows
    "FxForward": (fx_forward, f"ValueDate SettlementData Settlement {_EXCHANGE}"),
    "FxSwap": (fx_swap, f"NearDate FarDate Settlement {_SWAPPED}"),
    "FxOption": (fx_option, f"OptionData Settlement {_EXCHANGE}"),
    "FxBarrierOption": (fx_barrier_option, f"OptionData {_WATCHED} FXIndex {_EXCHANGE}"),
    "FxDigitalOption": (
        fx_digital_option,
        "OptionData Strike PayoffCurrency PayoffAmount ForeignCurrency DomesticCurrency",
    ),
    "EquityForward": (equity_forward, f"LongShort Maturity {_OF_PRICE}"),
    "EquityOption": (equity_option, f"OptionData StrikeData {_OF_PRICE}"),
    "EquityBarrierOption": (equity_barrier_option, f"OptionData StrikeData {_WATCHED} EQIndex {_OF_PRICE}"),
    "EquityDigitalOption": (
        equity_digital_option,
        "OptionData Strike PayoffCurrency PayoffAmount Name Underlying Quantity",
    ),
    "EquityAsianOption": (equity_asian_option, f"OptionData StrikeData Settlement ObservationDates {_OF_PRICE}"),
    "CommodityForward": (commodity_forward, f"Position Maturity {_OF_PRICE}"),
    "CommodityOption": (commodity_option, f"OptionData StrikeData {_OF_PRICE}"),
}
Write = Callable[[Any, float], dict[str, Any]]
WRITTEN: Mapping[str, tuple[str, Write]] = {  # by instrument: ORE's type of trade, and what makes its data
    "fx_forward": ("FxForward", fx_forward_written),
    "fx_swap": ("FxSwap", fx_swap_written),
    "fx_option": ("FxOption", fx_option_written),
    "fx_american_option": ("FxOption", fx_option_written),
    "fx_barrier_option": ("FxBarrierOption", fx_barrier_option_written),
    "fx_digital_option": ("FxDigitalOption", fx_digital_option_written),
    "equity_forward": ("EquityForward", equity_forward_written),
    "equity_option": ("EquityOption", price_option_written),
    "equity_american_option": ("EquityOption", price_option_written),
    "equity_barrier_option": ("EquityBarrierOption", equity_barrier_option_written),
    "equity_digital_option": ("EquityDigitalOption", equity_digital_option_written),
    "equity_asian_option": ("EquityAsianOption", equity_asian_option_written),
    "commodity_forward": ("CommodityForward", commodity_forward_written),
    "commodity_option": ("CommodityOption", price_option_written),
    "commodity_american_option": ("CommodityOption", price_option_written),
}
