"""Orders as rows of a file, and a lake that knows their shares."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from support import factor, new_lake, put_market

from lake.tables import Lake

MEMBERS = "portfolio,client,account,desk,book,legal_entity,counterparty"
HEADER = f"order_id,sequence,event,executed_at,side,symbol,quantity,price,currency,{MEMBERS}"
REST = "Growth,House,H-1,US,EQ-1,Bank,Broker"
MONDAY = dt.date(2020, 3, 16)


def order(order_id: str, side: str, quantity: str, at: str = "10:00:00", **other: str) -> str:
    given = {"sequence": "", "event": "", "symbol": "EQ:AAA", "price": "62.5", "currency": "USD", "rest": REST} | other
    when = at if "T" in at else f"{MONDAY}T{at}-04:00"
    cells = [order_id, given["sequence"], given["event"], when, side, given["symbol"], quantity]
    return ",".join([*cells, given["price"], given["currency"], given["rest"]])


def order_lake(path: Path) -> Lake:
    """A lake with two shares."""
    made = new_lake(path)
    shares = [factor("EQ:AAA", "equity_price"), factor("EQ:BBB", "equity_price")]
    shares.append(factor("YC:USD:1Y", "zero_rate", curve="USD", pillar="1Y"))
    put_market(made, shares, {f.risk_factor_id: {MONDAY: 62.5} for f in shares})
    return made


def put_share(lake: Lake, name: str) -> None:
    put_market(lake, [factor(name, "equity_price")], {name: {MONDAY: 62.5}})
