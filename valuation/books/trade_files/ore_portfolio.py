"""Positions written as ORE's portfolio XML, for the instruments that `valuation.books.trade_files.ore` reads: the way back.

What ORE's form of a trade cannot keep makes it not written, with the reason. Curves and volatilities are ORE's market, not its
trade: read again the file gives the same contracts and quantities where they are named as the reader names them. An FX forward that
is sold has no sign there, and is written as the purchase of the other currency.
Source: Open Source Risk Engine, *User Guide*, ch. "Trade data".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from valuation.books.trade_files import ore
from valuation.types import InstrumentTerms


class HeldTrade(NamedTuple):
    """A trade of a book. quantity : negative is short; owners : dimension or attribute to its name."""

    trade_id: str
    quantity: float
    terms: InstrumentTerms
    owners: Mapping[str, str | None] = {}


class NotWritten(Exception):
    """A trade that is not written, and why: a clause without a full stop."""


def write_portfolio(path: Path, trades: Iterable[HeldTrade]) -> dict[str, str]:
    """Writes the file; why a trade is not in it, by id. Of two trades of one id the first is.

    An attribute whose name cannot be that of an element stays out.
    """
    content: list[dict[str, Any]] = []
    left: dict[str, str] = {}
    seen: set[str] = set()
    for held in trades:
        try:
            if held.trade_id in seen:
                raise NotWritten("another trade has its id; ids are unique in a file")
            content.append(trade_content(held))
            seen.add(held.trade_id)
        except NotWritten as error:
            left[held.trade_id] = str(error)
    write_xml(path, "Portfolio", {"Trade": content})
    return left


def write_xml(path: Path, root: str, content: Mapping[str, Any]) -> None:
    """Children by name: a mapping is an element of elements, a list several of one name, None none; `@name` an attribute, `` the text."""
    top = ET.Element(root)
    _add(top, content)
    ET.indent(top)
    ET.ElementTree(top).write(path, encoding="utf-8", xml_declaration=True)


def trade_content(held: HeldTrade) -> dict[str, Any]:
    """What the element of a trade holds, as `write_xml` takes it; raises `NotWritten`."""
    kind = held.terms.instrument_type
    if kind not in WRITTEN:
        raise NotWritten(f"trades of type {kind} are not written; those that are: {', '.join(WRITTEN)}")
    if held.quantity == 0:
        raise NotWritten("its quantity is zero")
    trade_type, data = WRITTEN[kind]
    return {
        "@id": held.trade_id,
        "TradeType": trade_type,
        "Envelope": _envelope(held.owners),
        f"{trade_type}Data": data(held.terms, held.quantity),
    }


def name_in_ore(terms: Any) -> str:
    """The name of the underlying: its risk factor, and @ with the dividend yield or the cost of carry where there is one.

    Yield and carry are terms here and curves of ORE's market, so that each of them is an underlying of its own there.
    """
    rate = terms.carry if terms.instrument_type == "commodity_forward" else terms.dividend_yield
    return f"{terms.underlying}@{rate!r}" if rate else str(terms.underlying)


def index_in_ore(terms: Any) -> str:
    """The floating rate of a swap: its projection curve where that is named as ORE's rates are, else CURRENCY-CURVE-TENOR of it."""
    tenor = _TENORS[terms.float_frequency]
    curve = terms.projection_curve or terms.discount_curve
    named = rf"{terms.currency}-[A-Za-z0-9_.]+-{tenor}"
    index = curve if re.fullmatch(named, curve) else f"{terms.currency}-{curve}-{tenor}"
    if not re.fullmatch(named, index):
        raise NotWritten(f"its rate is projected on {curve}, which cannot stand in the name of a rate of {tenor}")
    return str(index)


_TENORS = {1: "1Y", 2: "6M", 4: "3M", 12: "1M"}
_CODES: Mapping[str, Mapping[str, str]] = {  # the first of the names that the reader takes
    "calendar": {here: there for there, here in reversed(ore.CALENDARS.items())},
    "convention": {here: there for there, here in reversed(ore.CONVENTIONS.items())},
    "day_count": {here: there for there, here in reversed(ore.DAY_COUNTS.items())},
}


def code(kind: str, name: str) -> str:
    """ORE's name of a calendar, convention or day_count; raises `NotWritten` where it has none."""
    if name not in _CODES[kind]:
        raise NotWritten(f"its {kind} {name} has no counterpart in ORE's files")
    return _CODES[kind][name]


def _envelope(owners: Mapping[str, str | None]) -> dict[str, Any]:
    given = {k: v for k, v in owners.items() if v}
    named = {k: given.pop(k, None) for k in ("counterparty", "netting_set", "portfolio")}
    return {
        "CounterParty": named["counterparty"],
        "NettingSetId": named["netting_set"],
        "PortfolioIds": {"PortfolioId": named["portfolio"]} if named["portfolio"] else None,
        "AdditionalFields": {k: v for k, v in sorted(given.items()) if re.fullmatch(r"[a-z_][a-z0-9_.-]*", k)},
    }


def _exchange(terms: Any, quantity: float, sold: bool = False) -> dict[str, Any]:
    units = Decimal(repr(abs(quantity)))
    sides = (terms.base_currency, units), (terms.currency, units * Decimal(repr(terms.strike)))
    (bought, amount), (paid, price) = reversed(sides) if sold else sides
    return {"BoughtCurrency": bought, "BoughtAmount": amount, "SoldCurrency": paid, "SoldAmount": price}


def _fx_forward(terms: Any, quantity: float) -> dict[str, Any]:
    return {"ValueDate": terms.maturity, **_exchange(terms, quantity, sold=quantity < 0)}


def _option(terms: Any, quantity: float) -> dict[str, Any]:
    return {
        "LongShort": _side(quantity),
        "OptionType": terms.option_type.capitalize(),
        "Style": "European",
        "Settlement": "Cash",
        "ExerciseDates": {"ExerciseDate": terms.expiry},
    }


def _fx_option(terms: Any, quantity: float) -> dict[str, Any]:
    return {"OptionData": _option(terms, quantity), **_exchange(terms, quantity)}


def _without_cash_dividends(terms: Any) -> None:
    if terms.dividend_model is not None:
        raise NotWritten("it is priced with cash dividends, which are not written")


def _on_price(terms: Any, quantity: float) -> dict[str, Any]:
    return {
        "Name": name_in_ore(terms),
        "Currency": terms.currency,
        "Strike": terms.strike,
        "Quantity": abs(quantity),
    }


def _equity_forward(terms: Any, quantity: float) -> dict[str, Any]:
    _without_cash_dividends(terms)
    return {"LongShort": _side(quantity), "Maturity": terms.maturity, **_on_price(terms, quantity)}


def _equity_option(terms: Any, quantity: float) -> dict[str, Any]:
    _without_cash_dividends(terms)
    return {"OptionData": _option(terms, quantity), **_on_price(terms, quantity)}


def _commodity_forward(terms: Any, quantity: float) -> dict[str, Any]:
    return {"Position": _side(quantity), "Maturity": terms.maturity, **_on_price(terms, quantity)}


def _swap(terms: Any, quantity: float) -> dict[str, Any]:
    if terms.first_period_end is not None or terms.last_period_start is not None:
        raise NotWritten("it has odd periods of its own at an end")
    convention = code("convention", terms.business_day_convention)

    def leg(kind: str, pays: bool, frequency: int, day_count: str, rate: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "LegType": kind,
            "Payer": pays,
            "Currency": terms.currency,
            "Notionals": {
                "Notional": quantity,
                "Exchanges": {f"Notional{which}Exchange": False for which in ("Initial", "Final", "Amortizing")},
            },
            "DayCounter": code("day_count", day_count),
            "PaymentConvention": convention,
            f"{kind}LegData": rate,
            "ScheduleData": {
                "Rules": {
                    "StartDate": terms.start,
                    "EndDate": terms.maturity,
                    "Tenor": _TENORS[frequency],
                    "Calendar": code("calendar", terms.calendar),
                    "Convention": convention,
                    "TermConvention": convention,
                    "Rule": "Backward",
                    "EndOfMonth": bool(terms.end_of_month),
                }
            },
        }

    floating = {
        "Index": index_in_ore(terms),
        "IsInArrears": False,
        "FixingDays": 0,
        "Spreads": {"Spread": terms.spread or 0.0},
    }
    fixed = {"Rates": {"Rate": terms.fixed_rate}}
    return {
        "LegData": [
            leg("Fixed", terms.pay_fixed, terms.fixed_frequency, terms.fixed_day_count, fixed),
            leg("Floating", not terms.pay_fixed, terms.float_frequency, terms.float_day_count, floating),
        ]
    }


def _side(quantity: float) -> str:
    return "Long" if quantity > 0 else "Short"


def _add(parent: ET.Element, content: Mapping[str, Any]) -> None:
    for name, given in content.items():
        for value in given if isinstance(given, list) else [given]:
            if value is None:
                continue
            if not name:
                parent.text = _text(value)
            elif name.startswith("@"):
                parent.set(name[1:], _text(value))
            else:
                _add(ET.SubElement(parent, name), value if isinstance(value, Mapping) else {"": value})


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        return format(Decimal(repr(value)) if isinstance(value, float) else value, "f")
    return str(value)


# by instrument: ORE's type of trade, and what makes its data
WRITTEN: Mapping[str, tuple[str, Callable[[Any, float], dict[str, Any]]]] = {
    "fx_forward": ("FxForward", _fx_forward),
    "fx_option": ("FxOption", _fx_option),
    "equity_forward": ("EquityForward", _equity_forward),
    "equity_option": ("EquityOption", _equity_option),
    "commodity_forward": ("CommodityForward", _commodity_forward),
    "interest_rate_swap": ("Swap", _swap),
}
