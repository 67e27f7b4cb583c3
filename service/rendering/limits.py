"""Limits of VaR, ES and loss, and trades not yet done against them, as people read them on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lake.errors import counted
from service.rendering import display

if TYPE_CHECKING:
    from aggregation.limits.use import Limits


def show_limits(result: Limits) -> None:
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
