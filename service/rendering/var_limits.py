"""Limits of VaR, ES and loss, and trades not yet done against them, as people read them on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lake.errors import counted
from service.rendering import display

if TYPE_CHECKING:
    from aggregation.limits.pre_trade import PreTrade
    from aggregation.limits.use import Limits


def show_var_limits(result: Limits) -> None:
    """How much of each limit is used, then what drives the breaches."""
    compared = result.query.since is not None
    columns = [c for c in result.rows.column_names if compared or not (c.endswith("_before") or c == "change")]
    since = f" and {result.query.since}" if compared else ""
    counts = f"{counted(result.breaches, 'breach', 'breaches')}, {counted(result.warnings, 'warning')}"
    display.print_table(
        result.rows.to_pylist(),
        columns,
        title=f"Limits on {result.query.as_of}{since}: {counts}",
        first=("limit", "status", "used", "amount", "currency", "utilisation", "change"),
        money=("amount", "used", "headroom", "used_before", "change"),
    )
    if result.drivers.num_rows:
        display.print_table(result.drivers.to_pylist(), title="What drives the breaches", money=("component",))
    for note in result.notes:
        display.say(f"Note: {note}")


def show_pre_trade(result: PreTrade) -> None:
    """The verdict; the limits that are touched, the nodes before and after, and each order by itself."""
    display.say(result.verdict)
    limits = [c for c in result.limits.column_names if c not in ("utilisation_before", "status_before")]
    of_limits = ("amount", "used_before", "used_after", "incremental", "headroom_after", "over")
    display.print_table(
        result.limits.to_pylist(),
        limits,
        title="Limits that the trades touch",
        first=("limit", "status_after", "used_before", "used_after", "amount", "currency", "over"),
        money=of_limits,
    )
    for title, table, first, rest in (
        (f"Risk in {result.query.currency} before and after", result.rows, ("kind", "node"), ("trades", "positions")),
        ("Each trade by itself", result.orders, ("trade", "status", "limit"), ("quantity", "utilisation")),
    ):
        figures = [f.name for f in table.schema if f.type == "double" and f.name not in rest]
        best = [f for f in figures if f.endswith("_incremental")]
        display.print_table(table.to_pylist(), title=title, first=(*first, *best), money=figures)
    if result.failures:
        failures = [dict(f) for f in result.failures]
        display.print_table(failures, title="Trades without a value", first=["trade", "reason", "message"])
    for note in result.notes:
        display.say(f"Note: {note}")
