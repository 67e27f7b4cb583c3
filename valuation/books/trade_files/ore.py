"""Trades of ORE's portfolio XML. Names become risk factors by rule, such as RIC:.SPX to EQ:SPX, and by a mapping where a lake has others.

What a trade says that its instrument here cannot keep makes it not read, with the reason; nothing is left out of a trade in silence.
The kinds of trades are in `ore_prices`, `ore_rates` and `ore_credit`.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from lake.landing.markup import Element
from valuation.books.trade_files import ore_credit, ore_prices, ore_rates
from valuation.books.trade_files.ore_legs import FIXING_LAG, fixing_lag, is_term
from valuation.books.trade_files.trade import NotRead, Trade, only, with_terms

READ: Mapping[str, tuple[ore_prices.Read, str]] = {**ore_prices.READ, **ore_rates.READ, **ore_credit.READ}


def trades(root: Element, as_of: dt.date, party: str | None) -> Iterator[tuple[Element, str, Callable[[], Trade]]]:
    """Every trade of a portfolio: where it stands, what it is called, and what reads it."""
    for trade in root.all("Trade"):
        trade_id, kind = trade.attributes.get("id", ""), trade.value("TradeType") or ""
        yield trade, f"{trade_id} ({kind})", functools.partial(_trade, trade, trade_id, kind, as_of)


def _trade(trade: Element, trade_id: str, kind: str, as_of: dt.date) -> Trade:
    owners = _owners(trade)
    try:
        if not trade_id:
            raise NotRead("it has no id")
        if kind not in READ:
            raise NotRead(f"trades of type {kind or 'none'} are not read; those that are: {', '.join(READ)}")
        if (body := trade.one(f"{kind}Data")) is None:
            raise NotRead(f"it has no {kind}Data")
        read, names = READ[kind]
        only(body, names)
        made = with_terms(trade_id, *read(body, as_of), owners)
    except NotRead as error:
        error.owners = owners
        raise
    lags = [leg for leg in body.all("LegData") if fixing_lag(leg) and is_term(leg)]
    return replace(made, not_kept=FIXING_LAG) if lags else made


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
