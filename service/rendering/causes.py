"""Answers to why, as people read them on a terminal and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lake.errors import counted
from service.rendering import display, pictures

if TYPE_CHECKING:
    from aggregation.change.drivers import DriversResult
    from aggregation.change.pnl_explain import PnlExplain
    from aggregation.change.reconciliation import Reconciliation

_MOST_FAILURES = 20


_SUMS = ("value_from", "pnl", "value_to", "change")  # of the lines of a P&L explain


def show_pnl_explain(result: PnlExplain) -> None:
    """A column a group and the total where they are few, else a row a group; lines of zero everywhere are left out."""
    request, total = result.request, result.total
    by = list(request.by)
    rows = result.rows.to_pylist() if by else []
    lines = _shown_lines(result)
    columns = [*by, *lines, *(("failed_from", "failed_to", "status") if total["status"] != "complete" else ())]
    label = {by[0]: "Total"} if by else {}
    title = f"{request.from_} to {request.to} in {request.currency}"
    causes = sorted((n for n in lines if n not in _SUMS), key=lambda n: -abs(total[n] or 0.0))
    first = (*by, "change", "pnl", "value_from", "value_to", *causes)
    display.print_table(rows, columns, title=title, last={**total, **label}, first=first, money=lines)
    left = 0.0 if total["unexplained"] is None else total["unexplained"]
    display.say(f"Left unexplained: {left:.3g} of a change of {display.text(total['change'])} (rounding).")
    failures = result.failures.slice(0, _MOST_FAILURES).to_pylist()
    if failures:
        display.print_table(failures, title=f"{result.failures.num_rows:,} contracts and dates without a value")
    for note in result.notes:
        display.say(f"Note: {note}")


def plot_pnl_explain(result: PnlExplain, path: Path) -> Path:
    """The lines of the total as a waterfall from nothing to the change of value."""
    from aggregation.change.pnl_explain import PNL, TRADES  # noqa: PLC0415 - see service.cli

    request, total = result.request, result.total
    steps = [(name.removeprefix("market_"), total[name] or 0.0) for name in PNL]
    steps += [("cash paid", -(total["cash"] or 0.0)), *((name, total[name] or 0.0) for name in TRADES)]
    return pictures.waterfall(
        path,
        None,
        steps,
        ("change", total["change"] or 0.0),
        title="Change of value by cause",
        unit=f"{request.currency}, gains positive",
        gains=True,
    )


def show_drivers(result: DriversResult) -> None:
    """A line a driver, the rest, and how much is left."""
    dates = " to ".join(str(q.as_of) for q in result.queries)
    rows = [{"": i, "driver": d.text, **d.figures} for i, d in enumerate(result.drivers, 1)]
    last = {"driver": "rest", **result.rest}
    figures = [c for c in result.rows.column_names if c != "driver"]
    if len(result.queries) == 1:
        figures = [c for c in figures if c not in ("before", "after", "new", "closed", "held")]
    title = f"{result.measure} of {dates} in {result.queries[0].currency}"
    money = ("change", "gross", "before", "after", "new", "closed", "held")
    display.print_table(rows, ["", "driver", *figures], title=title, last=last, money=money)
    change = f"{display.text(result.before)} to {display.text(result.after)}, {display.text(result.change)}"
    what = change if len(result.queries) > 1 else display.text(result.after)
    display.say(
        f"{what}; {result.unexplained:.1%} of the largest net change, {display.text(result.scale)}, is left to the rest."
    )
    for note in result.notes:
        display.say(f"Note: {note}")


def plot_drivers(result: DriversResult, path: Path) -> Path:
    """A bar a driver and one of the rest."""
    change = "the change of " if len(result.queries) > 1 else ""
    return pictures.contribution_bars(
        path,
        [f"{i} {d.text}" for i, d in enumerate(result.drivers, 1)],  # some are said to be without those of a number
        [d.figures["change"] for d in result.drivers],
        title=f"What drives {change}{pictures.in_words(result.measure)}",
        unit=f"{result.queries[0].currency}, losses positive",
        whole=("rest", result.rest["change"]),
    )


def show_reconciliation(result: Reconciliation) -> None:
    """The readings that match, those with fewest differences first, then the nearest others."""
    display.print_table(
        result.rows.to_pylist(),
        title=f"{result.theirs.text} against {display.text(result.ours)} of ours, {result.query.as_of}",
        money=("value", "distance"),
    )
    display.say(
        f"{result.matches:,} of {counted(result.tried, 'reading')} "
        f"{'gives' if result.matches == 1 else 'give'} {result.theirs.text} within {result.theirs.tolerance:g}; "
        f"{result.by_chance:.2g} are to be expected by accident."
    )
    for note in result.notes:
        display.say(f"Note: {note}")


def _shown_lines(result: PnlExplain) -> list[str]:
    from aggregation.change.pnl_explain import LINES  # noqa: PLC0415 - see service.cli

    always = ("value_from", "theta", "pnl", "value_to", "change")
    held = {name for name in LINES if any(result.rows[name].drop_null().to_numpy() != 0.0)}
    return [name for name in LINES if name in always or (name in held and name != "unexplained")]
