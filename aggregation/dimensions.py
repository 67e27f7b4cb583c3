"""DIMENSIONS: what positions are grouped and filtered by. The one place.

Besides the nine dimensions every positions file brings, a query may name the contract's `instrument_type` and `currency`,
and any attribute of the file as `attribute.<name>`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aggregation.types import Dimension
from lake.errors import unknown

ATTRIBUTE = "attribute."

DIMENSIONS: dict[str, Dimension] = {
    d.name: d
    for d in (
        Dimension("portfolio", "portfolio", "the portfolio a trade is managed in"),
        Dimension("instrument", "instrument", "what people call the thing traded"),
        Dimension("client", "client", "whom the trade is done for"),
        Dimension("account", "account", "the client's account"),
        Dimension("trade", "trade", "the single trade"),
        Dimension("desk", "desk", "the desk that trades"),
        Dimension("book", "book", "the book of the desk"),
        Dimension("legal_entity", "legal_entity", "the own legal entity that holds the trade"),
        Dimension("counterparty", "counterparty", "the other side of the trade"),
    )
}

CONTRACT_COLUMNS = ("instrument_type", "currency")
CONTRACT = "contract"  # the contract itself, by its id


def groupable(attributes: Collection[str]) -> tuple[str, ...]:
    """Every name a query may group or filter a book by; `attributes` are the attribute names of the book."""
    return (*DIMENSIONS, *CONTRACT_COLUMNS, *(f"{ATTRIBUTE}{a}" for a in sorted(attributes)))


def check_dimension(name: str, attributes: Collection[str], pointer: str = "by") -> str:
    """The name itself, when a book with these attributes can be grouped by it; raises `BadInput` with the nearest names."""
    valid = groupable(attributes)
    if name not in valid:
        raise unknown("dimension", name, valid, pointer=pointer)
    return name


def dimensions_of(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Everything a book with these columns can be grouped by: name, what it is, and how many members it has."""
    meanings = {d.name: d.meaning for d in DIMENSIONS.values()}
    meanings |= dict.fromkeys(CONTRACT_COLUMNS, "of the contract")
    return [
        {
            "dimension": name,
            "members": len(column.members),
            "meaning": meanings.get(name, "attribute of the positions file" if name.startswith(ATTRIBUTE) else "level"),
        }
        for name, column in columns.items()
    ]
