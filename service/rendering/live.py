"""Live answers and snapshots on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from service.rendering import display

if TYPE_CHECKING:
    from aggregation.live.live_risk import LiveRisk


def show_live(result: LiveRisk) -> None:
    """Groups with their total, the change since the open by cause, and what it all rests on."""
    query, told = result.query, result.watermark
    figures = [c.removesuffix("_change") for c in result.rows.column_names if c.endswith("_change")]
    columns = [*query.by, "positions", "status", *(c for f in figures for c in (f, f"{f}_change"))]
    last = {**result.total, query.by[0]: "Total"} if query.by else None
    display.print_table(
        result.rows.select(columns).to_pylist(),
        columns,
        title=f"{query.as_of} so far, in {query.currency}",
        last=last,
        first=(*query.by, *figures),
        money={c for c in columns if c not in (*query.by, "positions", "status")},
    )
    causes = result.causes.to_pylist()
    if causes:
        steps = [c for c in result.causes.column_names[4:] if any(r[c] for r in causes)]
        shown = ["figure", "open", "now", "change", *steps]
        display.print_table(causes, shown, title="Change since the open, by cause", money=set(shown[1:]))
    if result.limits is not None and result.limits.num_rows:
        display.print_table(
            result.limits.to_pylist(),
            title="Limits, on the book as it is now",
            first=("limit", "status", "used", "amount", "currency", "utilisation"),
            money=("amount", "used", "headroom"),
        )
    orders = f"{told['counted']:,} of {told['orders']:,} orders" + _until(told["orders_until"])
    prices = f"levels of {told['factors_of_the_day']:,} of {told['factors_read']:,} risk factors"
    display.say(f"Rests on {orders}, {prices}{_until(told['prices_until'])}.")
    display.say(
        f"Opened with the positions of {told['opened_with_positions_of']} and the scenarios {told['scenario_set']} of "
        f"{told['scenarios_of']}."
    )
    if result.feeds.num_rows:
        display.print_table(result.feeds.to_pylist(), title="Feeds")
    if result.alarms.num_rows:
        display.print_table(result.alarms.to_pylist(), title="Alarms")
    for note in result.notes:
        display.say(f"Note: {note}")


def _until(at: Any) -> str:
    return "" if at is None else f" until {at:%H:%M:%S} UTC"


def show_snapshots(rows: Sequence[Mapping[str, Any]], compared: str | None) -> None:
    """Snapshots of a day, and the commands that ask them."""
    columns = ["number", "taken_at", "orders", "orders_until", "prices_until", "author"]
    display.print_table([{c: r[c] for c in columns} for r in rows])
    for row in rows:
        display.say(f"{row['number']}: {row['command']}")
    if compared is not None:
        display.say(f"The last two: {compared}")
