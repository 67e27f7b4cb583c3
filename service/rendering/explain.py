"""Explanations of a change on the terminal and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import counted
from service.rendering import display, pictures

if TYPE_CHECKING:
    from aggregation.change.attribution_path import AttributionPathResult
    from aggregation.change.cause_drill import CauseDrillResult
    from aggregation.change.explain import ExplainResult


def show_explanation(result: ExplainResult | AttributionPathResult) -> None:
    """The causes from one measure to the other, the table of members by cause, and what a reader must know."""
    said = result.to_dict()
    one, two = result.question
    title = f"{result.measure} from {_point(one)} to {_point(two)} in {one.currency}"
    share = {"cause": "change", "value": result.change, **said["change_interval"]}
    # the parts of a cause may cancel: without its column the rows would not add up
    held = {c for c in result.causes if any(result.rows[c].drop_null().to_numpy() != 0.0)}
    causes = [c for c in said["causes"] if c["value"] != 0.0 or c["cause"] in held]
    rows = [
        {"cause": "before", "value": result.before},
        *({**c, "sampling": _sampling(c)} for c in causes),
        {"cause": "after", "value": result.after},
    ]
    interval = ("low", "high", "sampling") if share["low"] is not None else ()
    columns = ("cause", "value", *interval, "meaning")
    last = {**share, "sampling": _sampling(share)}
    display.print_table(rows, columns, title=title, last=last, money=("value", "low", "high"))
    by = list(one.by)
    if by:
        shown = [*by, "before", "after", "change", *(c["cause"] for c in causes)]
        last = {
            by[0]: "Total",
            "before": result.before,
            "after": result.after,
            "change": result.change,
            **result.causes,
        }
        title = f"{', '.join(by)} by cause"
        first = (*by, "change", "before", "after")
        display.print_table(result.rows.to_pylist(), shown, title=title, last=last, first=first, money=shown[len(by) :])
    display.say(f"Not explained: {result.residual:.3g} ({one.currency}).")
    for what in said.get("revaluation", ()):
        display.say(f"Behind revaluation: {what}.")
    for corner in said.get("corners", ()):
        display.say(
            f"With {', '.join(corner['changed']) or 'nothing'} of the second point: {display.text(corner['measure'])}."
        )
    for note in result.notes:
        display.say(f"Note: {note}")


def _sampling(row: Mapping[str, Any]) -> str | None:
    return {True: "within sampling error", False: "beyond sampling error", None: None}[row["within_error"]]


def _point(query: Any) -> str:
    named = (query.positions_date and f"book of {query.positions_date}", query.scenario_set, query.branch)
    more = ", ".join(str(n) for n in named if n)
    return f"{query.as_of}" + (f" ({more})" if more else "")


def show_cause_drill(drilled: CauseDrillResult) -> None:
    """The largest parts of a cell and what the others add up to."""
    cell = ", ".join(f"{k}={v or ''}" for k, v in drilled.cell.items()) or "every cell"
    shown = drilled.rows.num_rows
    title = f"{cell}: {shown:,} of {counted(drilled.parts, 'part')}"
    rows = drilled.rows.to_pylist()
    if drilled.parts > shown:
        rows.append({drilled.rows.column_names[0]: counted(drilled.parts - shown, "other"), "value": drilled.others})
    last = {drilled.rows.column_names[0]: "Total", "value": drilled.value}
    money = ("value", "pnl_before", "pnl_after")
    names = drilled.rows.column_names
    first = (*names[: names.index("cause")], "trade", "scenario", "value", "cause", *money)
    display.print_table(rows, names, title=title, last=last, first=first, money=money)


def plot_explanation(result: ExplainResult | AttributionPathResult, path: Path) -> Path:
    """The waterfall of causes."""
    one, two = result.question
    steps: Sequence[tuple[str, float]] = tuple(result.causes.items())
    return pictures.waterfall(
        path,
        (_point(one), result.before),
        steps,
        (_point(two), result.after),
        title=f"Why {pictures.in_words(result.measure)} changed, by cause",
        unit=f"{one.currency}, losses positive",
    )
