"""Answers of SA-CCR on a terminal: exposures, rows of trades, and what a change does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.rendering import display

_EXPOSURE = ("ead", "rc", "pfe", "v", "c")


def show_exposures(result: Any) -> None:
    """EAD of each group, and in total."""
    query = result.query
    add_ons = [c for c in result.rows.column_names if c.startswith("addon_")]
    money = (*_EXPOSURE, *add_ons)
    last = {**result.total, query.by[0]: "Total"} if query.by else None
    _show(result, f"Exposure at default on {query.as_of} in {query.currency}", (*query.by, *_EXPOSURE), money, last)


def show_trades(result: Any) -> None:
    """The rows of the trades with the largest contributions."""
    query = result.query
    first = ("trade", "ead", "hedging_set", "supervisory_delta", "D", "v", "d", "MF")
    title = f"Rows of SA-CCR on {query.as_of} in {query.currency}"
    _show(result, title, first, ("ead", "v", "d", "D"))


def show_what_if(result: Any) -> None:
    """EAD of the netting sets that are touched, before and after."""
    query = result.query
    money = [c for c in result.rows.column_names if c.endswith(("_before", "_after", "_difference"))]
    money = [c for c in money if not c.startswith(("rule", "trades"))]
    first = ("netting_set", "ead_difference", "ead_before", "ead_after", "change")
    last = {"netting_set": "All netting sets", **result.total}
    _show(result, f"Exposure at default on {query.as_of} in {query.currency}", first, money, last)


def _show(
    result: Any, title: str, first: Sequence[str], money: Sequence[str], last: dict[str, Any] | None = None
) -> None:
    columns = result.rows.column_names
    shown = None if last is None else {c: last.get(c) for c in columns}
    display.print_table(result.rows.to_pylist(), columns, title=title, last=shown, first=first, money=money)
    for note in result.notes:
        display.say(f"Note: {note}")
