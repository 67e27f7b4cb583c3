"""Positions written as ORE's portfolio XML, for the instruments that `valuation.books.trade_files.ore` reads: the way back.

What ORE's form of a trade cannot keep makes it not written, with the reason. Curves and volatilities are ORE's market, not its
trade: read again the file gives the same contracts and quantities where they are named as the reader names them.
The kinds of trades are in `ore_prices`, `ore_rates` and `ore_credit`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from valuation.books.trade_files import ore_credit, ore_prices, ore_rates
from valuation.books.trade_files.ore_names import NotWritten
from valuation.types import InstrumentTerms

# by instrument: ORE's type of trade, and what makes its data
WRITTEN: Mapping[str, tuple[str, ore_prices.Write]] = {**ore_prices.WRITTEN, **ore_rates.WRITTEN, **ore_credit.WRITTEN}


class HeldTrade(NamedTuple):
    """A trade of a book. quantity : negative is short; owners : dimension or attribute to its name."""

    trade_id: str
    quantity: float
    terms: InstrumentTerms
    owners: Mapping[str, str | None] = {}


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


def _envelope(owners: Mapping[str, str | None]) -> dict[str, Any]:
    given = {k: v for k, v in owners.items() if v}
    named = {k: given.pop(k, None) for k in ("counterparty", "netting_set", "portfolio")}
    return {
        "CounterParty": named["counterparty"],
        "NettingSetId": named["netting_set"],
        "PortfolioIds": {"PortfolioId": named["portfolio"]} if named["portfolio"] else None,
        "AdditionalFields": {k: v for k, v in sorted(given.items()) if re.fullmatch(r"[a-z_][a-z0-9_.-]*", k)},
    }


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
