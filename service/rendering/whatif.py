"""What-if answers, branches and ways back as people read them on a terminal, and their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation.measures import asked_measures
from lake.errors import BadInput, counted
from lake.words import sentence
from service.rendering import display, pictures
from service.rendering.tables import figures_first, money_of

if TYPE_CHECKING:
    from aggregation.whatif.limit_hedge import LimitHedge
    from aggregation.whatif.what_if import WhatIf

_SHOWN = 40  # changes and groups on a terminal


def _measures(result: WhatIf) -> list[str]:
    suffix = "_before"
    names = [c.removesuffix(suffix) for c in result.total if c.endswith(suffix)]
    return [n for n in names if n not in ("positions", "status", "base_value")]


def show_what_if(result: WhatIf) -> None:
    """Before, after and the difference by group; then each change."""
    query, receipt = result.query, result.receipt
    figures = [f"{m}_{s}" for m in _measures(result) for s in ("before", "after", "incremental", "marginal")]
    figures = [f for f in figures if f in result.total]
    whole = result.before.status == result.after.status == "complete"
    status = () if whole else ("status_before", "status_after")
    columns = [*query.by, *(("change",) if query.by else ()), "positions_before", "positions_after", *figures, *status]
    rows = result.rows.to_pylist() if query.by else []
    label = {query.by[0]: "Total", "change": ""} if query.by else {}
    title = f"{display.heading(query, result.receipt)}{f', branch {query.branch}' if query.branch else ''}"
    first = figures_first(query, figures, "_incremental", "_after", "_before")
    display.print_table(
        rows[:_SHOWN],
        columns,
        title=title,
        last={**result.total, **label},
        first=first,
        money=money_of(query, columns),
    )
    items = result.items.to_pylist()
    alone = [c for c in result.items.column_names if not c.endswith("_standalone")]
    first = ["kind", "what", *(f for f in alone if f.endswith("_incremental"))]
    title = "Each change by itself, on the total"
    display.print_table(items[:_SHOWN], alone, title=title, first=first, money=money_of(query, alone))
    for what, n in (("more group", len(rows)), ("more change", len(items))):
        if n > _SHOWN:
            display.say(f"... and {counted(n - _SHOWN, what)}; --json has all of them")
    if result.failures:
        failures = [dict(f) for f in result.failures[:_SHOWN]]
        display.print_table(failures, title="Added trades without a value", first=["trade", "reason", "message"])
    c = result.after
    display.say(
        f"After: {c.covered:,} of {counted(c.positions, 'position')} covered ({c.status}); "
        f"{display.scenarios_of(receipt)}; {receipt['estimator']}; valuation set "
        f"{receipt['valuation_set_id'][:12]}...; {counted(len(receipt['valued_for_this']), 'contract')} valued for this, nothing stored."
    )
    for note in result.notes:
        display.say(f"Note: {note}")


def plot_what_if(result: WhatIf, path: Path, limit: float | None = None) -> None:
    """The first measure from before to after: each change alone, then what they do together beside that."""
    name = _measures(result)[0]
    before, after = (result.total[f"{name}_{when}"] or 0.0 for when in ("before", "after"))
    steps: list[tuple[str, float]] = []
    moves: list[tuple[str, float]] = []
    if f"{name}_incremental" in result.items.column_names:
        items = result.items.to_pylist()
        moves = [(f"{i['kind']} {i['what']}", i[f"{name}_incremental"] or 0.0) for i in items]
        moves.sort(key=lambda m: -abs(m[1]))
        shown, rest = moves[:12], moves[12:]
        steps = [*shown, (counted(len(rest), "other"), sum(v for _, v in rest))] if rest else shown
    together = after - before - sum(v for _, v in steps)
    if len(moves) > 1 or not moves:  # of one change alone nothing is left
        steps.append(("together, beside each alone" if moves else "the changes", together))
    what, asked = pictures.in_words(name), {a.name: a for a in asked_measures(result.query)}
    pictures.waterfall(
        path,
        ("before", before),
        steps,
        ("after", after),
        title=f"What-if: {what} before and after" if limit is None else f"The way of {what} under its limit",
        unit=pictures.unit_of(asked[name], result.query.currency),
        limit=limit,
    )


def plot_limit_hedge(result: LimitHedge, path: Path) -> None:
    """The change that leads under the limit, as a what-if."""
    if result.what_if is None:
        raise BadInput("There is no picture to draw: nothing is done.")
    plot_what_if(result.what_if, path, result.request.limit)


def show_limit_hedge(result: LimitHedge) -> None:
    """What to do, what it costs and where it leads."""
    query, name = result.query, result.measure
    total = {} if result.what_if is None else result.what_if.total
    ends = [total.get(f"{name}_after_{end}") for end in ("low", "high")]
    known = None not in ends
    display.print_pairs(
        {
            f"{name} before": result.before,
            "limit": result.request.limit,
            f"{name} after": result.after,
            **(
                {f"interval at {query.interval}": f"{display.cell(ends[0])} to {display.cell(ends[1])}"}
                if known
                else {}
            ),
            "status": result.status,
            "cost": result.cost,
            "cost at least": result.bound,
        },
        title=f"Limit hedge on {display.heading(query, result.receipt)}",
        money=(f"{name} before", "limit", f"{name} after"),
    )
    if result.actions:
        display.print_table([dict(a) for a in result.actions], ("move", "action", "quantity", "share", "cost"))
    for left in result.unusable:
        display.say(f"Not used: {left['move']}: {sentence(left['reason'])}")
    for note in result.notes:
        display.say(f"Note: {note}")


def show_branch(shown: Mapping[str, Any]) -> None:
    """A branch and what it stands on."""
    display.print_pairs({k: v for k, v in shown.items() if k not in ("stands_on", "changes")}, title=shown["name"])
    if shown["stands_on"]:
        display.print_table(
            shown["stands_on"], ("name", "version", "upon", "adds", "removes", "scales", "note"), title="It stands on"
        )
    changes = shown["changes"]
    words = [{"change": "replace", "what": "the whole book"}] if changes["replace"] else []
    for kind in ("remove", "scale", "add"):
        words += [{"change": kind, "what": _words(kind, c)} for c in changes[kind]]
    display.print_table(words[:_SHOWN], title="Changes")
    if len(words) > _SHOWN:
        display.say(f"... and {len(words) - _SHOWN:,} more; --json gives all of them")


def _words(kind: str, change: Mapping[str, Any]) -> str:
    if kind == "add":
        return f"{change['trade']}: {change['quantity']:g} {change['instrument_type']}"
    from aggregation.book.changes import Removal, Scaling  # noqa: PLC0415 - see service.cli

    return str((Removal if kind == "remove" else Scaling).model_validate(change))
