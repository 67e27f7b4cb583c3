"""Tables laid out, cross tables, drills and hierarchies as people read them on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation.measures import asked_measures
from aggregation.risk.table import BOUND, LEVEL, OTHERS
from aggregation.types import RiskResult, TableQuery
from lake.errors import counted
from service.rendering import display, pictures
from service.rendering.tables import money_of, show_basis, show_result

if TYPE_CHECKING:
    from aggregation.risk.drill import DrillResult
    from aggregation.risk.pivot import PivotResult

_TELLING = ("instrument", "instrument_type", "currency", "trades", "desk", "book", "counterparty")
_COVERAGE = ("failed", "missing", "substituted", "status")


def show_var(result: RiskResult) -> None:
    """Groups with their total, laid out where that was asked for."""
    (show_table if isinstance(result.query, TableQuery) and not result.query.is_plain else show_result)(result)


def show_table(result: RiskResult) -> None:
    """A risk answer with subtotals, an order, a limit or bounds."""
    query = result.query
    rows = [_named(r, query.by) for r in result.rows.to_pylist()]
    whole = result.coverage.status == "complete"
    left_out = {"covered", LEVEL, OTHERS, *(_COVERAGE if whole else ())}
    columns = [c for c in result.rows.column_names if c not in left_out]
    label = {query.by[0]: "Total"} if query.by else {}
    last = None if LEVEL in result.rows.column_names or not query.by else {**result.total, **label}
    money = {*money_of(query, columns), BOUND}
    measures = [c for c in columns if c in money and c != "base_value"]
    title = display.heading(query, result.receipt)
    display.print_table(rows, columns, title=title, last=last, first=(*query.by, *measures, "status"), money=money)
    show_basis(result, result.receipt["estimator"])


def _named(row: Mapping[str, Any], by: Sequence[str]) -> dict[str, Any]:
    """The row with words where it is a total or the others; a subtotal's own member stands in its column alone."""
    named, level = dict(row), row.get(LEVEL, len(by))
    if by and level == 0:
        named[by[0]] = "Total"
    for dimension in by[level:]:
        named.setdefault(dimension, "")
        if level:
            named[dimension] = ""
    if row.get(OTHERS):
        named[by[level - 1]] = counted(row[OTHERS], "other")
        if LEVEL not in row:
            named |= dict.fromkeys(by[: level - 1], "")
    return named


def show_pivot(result: PivotResult) -> None:
    """The cross table, with short names across."""
    from aggregation.risk.pivot import PART, TOTAL  # noqa: PLC0415 - loaded where there is one to show

    query = result.query
    short = {
        c: c.replace(f"{query.columns[0]}=", "", 1) if len(query.columns) == 1 else c for c in result.rows.column_names
    }
    rows = []
    for r in result.rows.to_pylist():
        if r[PART] != "row":
            r[query.rows[0]] = r[PART].capitalize()
        rows.append({short[c]: v for c, v in r.items() if c != PART})
    names = [short[c] or "-" for c in result.rows.column_names if c != PART]
    rows = [dict(zip(names, r.values(), strict=True)) for r in rows]
    what = ", ".join(query.measures)
    read = [a.name for a in asked_measures(query)]
    display.print_table(
        rows[:-1],
        names,
        title=f"{what} on {display.heading(query, result.receipt)}",
        last=rows[-1],
        first=(*query.rows, *(c for c in names if c.startswith(TOTAL))),
        money=names if len(money_of(query, read)) == len(read) else (),
    )
    show_basis(result, query.estimator)


def show_drill(result: DrillResult) -> None:
    """The scenarios, then the page of trades or contracts; of the dimensions the telling ones, and what all share once."""
    query = result.query
    if result.scenarios:
        scenarios = [dict(s) for s in result.scenarios]
        display.print_table(scenarios, title=f"Scenarios of {result.measure}", money=("pnl",))
    rows = result.rows.to_pylist()
    key = "trade" if query.per == "trade" else "contract_id"
    figures = [c for c in result.rows.column_names if c.startswith("pnl_")]
    about = [c for c in _TELLING if c in result.rows.column_names]
    same = {c: rows[0][c] for c in about if len({r[c] for r in rows}) == 1} if len(rows) > 1 else {}
    lacking = {r["message"]: r["reason"] for r in rows if r["state"] != "covered"}
    columns = [
        key,
        *(c for c in about if c not in same),
        "quantity",
        "base_value",
        *(figures if query.scenarios or len(figures) <= 3 else ()),
        "contribution",
        *(("state",) if lacking else ()),
        "terms",
    ]
    last = query.first + len(rows)
    title = (
        f"{query.per}s {query.first + 1:,} to {last:,} of {result.count:,}, {display.heading(query, result.receipt)}"
    )
    short = [{**r, "terms": textwrap.shorten(str(r["terms"]).replace(",", ", "), 60, placeholder=" ...")} for r in rows]
    first = (key, "instrument", "contribution", *figures, "base_value", "quantity")
    display.print_table(short, columns, title=title, first=first, money=("base_value", "contribution", *figures))
    if same:
        display.print_pairs(same, title="All of these")
    for message, reason in lacking.items():
        display.say(f"Not covered, {reason}: {message}")
    if result.value is not None:
        display.print_pairs({result.measure: result.value}, money=money_of(query, [result.measure]))
    if last < result.count:
        display.say(f"--first {last} shows the next.")
    show_basis(result, query.estimator)


def plot_drill(result: DrillResult, path: Path) -> Path:
    """A bar a trade or contract of the page."""
    about = ("trade", "instrument") if result.query.per == "trade" else ("instrument_type", "contract_id")
    rows = result.rows.slice(0, pictures.MOST_BARS).to_pylist()
    first = result.query.first
    return pictures.contribution_bars(
        path,
        [" ".join(r[c][:12] if c == "contract_id" else r[c] for c in about if r.get(c)) for r in rows],
        [r["contribution"] for r in rows],
        title=f"Contributions to {pictures.in_words(result.measure)}, {result.query.per}s {first + 1:,} to "
        f"{first + len(rows):,} of {result.count:,}",
        unit=f"{result.query.currency}, losses positive",
    )


def show_hierarchies(reports: Sequence[Mapping[str, Any]]) -> None:
    """What files of hierarchies did, as `HierarchiesReport.to_dict` has it."""
    display.print_table([{**h, "levels": " < ".join(h["levels"])} for r in reports for h in r["hierarchies"]])
    for note in (note for report in reports for note in report["notes"]):
        display.say(f"Note: {note}")
