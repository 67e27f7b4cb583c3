"""Open orders as trades not yet done: a side and a positive quantity become a signed one, a symbol the share that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lake.errors import BadInput, Issue

_SIGN = {"buy": "", "sell": "-"}
_UNUSED = ("event", "sequence", "executed_at", "price")  # of an order's row: they make no number


def as_trades(rows: Sequence[Mapping[str, Any]], name: str = "add") -> list[dict[str, Any]]:
    """The rows as a what-if takes them; those without `side`, `symbol` and `order_id` as they are.

    Raises `BadInput` for a side that is none, a quantity with a sign beside a side, a symbol of something else than a share, and an order
    that was cancelled.
    """
    return [_trade(row, f"{name}/{i}") for i, row in enumerate(rows)]


def _trade(row: Mapping[str, Any], pointer: str) -> dict[str, Any]:
    def refuse(column: str, message: str) -> BadInput:
        given = row.get(column)
        told = f"{pointer}/{column}: {given!r} was given; {message}."
        return BadInput(told, issues=(Issue(f"{pointer}/{column}", message, None if given is None else str(given)),))

    if row.get("event") == "cancel":
        raise refuse("event", "an order that was cancelled is not open; leave it out")
    trade = {k: v for k, v in row.items() if k not in (*_UNUSED, "side", "symbol", "order_id")}
    if row.get("order_id") is not None:
        trade.setdefault("trade", row["order_id"])
    if (side := row.get("side")) is not None:
        sign = _SIGN.get(str(side).lower())
        if sign is None:
            raise refuse("side", "expected buy or sell")
        quantity = str(row.get("quantity", "")).strip()
        if quantity[:1] in ("-", "+", ""):
            raise refuse("quantity", "expected a positive quantity beside a side, such as 1500; a sale has side sell")
        trade["quantity"] = sign + quantity
    if (symbol := row.get("symbol")) is not None:
        if row.get("instrument_type") not in (None, "", "cash_equity"):
            raise refuse("symbol", "a symbol names a share; give the terms of any other contract")
        trade |= {"instrument_type": "cash_equity", "underlying": symbol}
    return trade
