"""Scenario P&L: as a table, as a histogram of text, and drawn."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from aggregation.measures import AskedMeasure, asked_measures
from aggregation.risk.scenario_pnl import PnlQuery, PnlResult, run_pnl
from aggregation.risk.table import LEVEL, OTHERS
from aggregation.session import Session
from aggregation.types import RiskQuery, RiskResult, Scope
from lake.errors import BadInput
from service.rendering import display, pictures
from service.rendering.tables import show_basis

# characters of the longest bar, on lines from so many characters on, and on shorter ones
_BAR, _SHORT_BAR, _WIDE = 40, 10, 120
_SHOWN = 600  # rows on a terminal: two years of scenarios of one group
_BINS = 50  # of a picture where the question names no number


def show_pnl(result: PnlResult) -> None:
    """The rows, the total below them, and what they rest on."""
    query, rows = result.query, result.rows.to_pylist()
    total = [{**dict.fromkeys(query.by[:1], "Total"), **r} for r in result.total.to_pylist()] if query.by else []
    shown = [*rows, *total]
    if query.histogram is not None:
        most = max((r["count"] or 0 for r in shown), default=0)
        width = display.line_width(sys.stdout)
        longest = _BAR if width is None or width >= _WIDE else _SHORT_BAR
        shown = [{**r, "histogram": "#" * round(longest * (r["count"] or 0) / max(most, 1))} for r in shown]
    whole = result.coverage.status == "complete"
    columns = [c for c in (shown[0] if shown else ()) if not (whole and c == "status")]
    display.print_table(
        shown[:_SHOWN],
        columns,
        title=f"P&L on {display.heading(query, result.receipt)}, gains positive",
        first=(*query.by, "scenario", "pnl", "low", "count", "histogram", "high"),
        money=("pnl", "low", "high"),
    )
    if len(shown) > _SHOWN:
        display.say(
            f"... and {len(shown) - _SHOWN:,} more rows; --worst N shows the worst, --csv FILE and --json have all."
        )
    show_basis(result)


def _histogram(result: PnlResult, path: Path, title: str, marks: Mapping[str, tuple[float, float]]) -> Path:
    """The bins of the total; `marks` are figures and their P&L by name."""
    bins, query = result.total, result.query
    if bins["low"].null_count:
        raise BadInput("There is nothing to draw: none of the positions is covered.")
    # where scenarios carry weights the bars show their probability and not their number
    heights = "probability" if result.receipt["weighted"] else "count"
    return pictures.histogram(
        path,
        [*bins["low"].to_pylist(), bins["high"][-1].as_py()],
        bins[heights].to_pylist(),
        title=title,
        unit=f"P&L, {query.currency}, gains positive",
        heights_are="scenarios" if heights == "count" else heights,
        marks=marks,
    )


def plot_pnl(result: PnlResult, path: Path, query: PnlQuery, session: Session) -> Path:
    """The distribution of the total over all scenarios; counted as the answer counts it where it is a histogram."""
    if query.scenarios:
        raise BadInput("The picture is of the distribution over all scenarios; leave the scenarios out.")
    if query.histogram is None:
        whole = query.model_copy(update={"by": (), "worst": None, "histogram": _BINS})
        result = run_pnl(session.lake, whole, cache=session.cache)
    worst = f", the {query.worst:,} worst" if query.histogram and query.worst else ""
    return _histogram(result, path, f"P&L by scenario{worst}", {})


def plot_var(result: RiskResult, path: Path, query: RiskQuery, session: Session) -> Path:
    """By group a bar of the first measure; else the distribution of the total, with every figure of money that was asked for at its place.

    A volatility has no place in it, and a figure scaled to another horizon has its place in another distribution.
    """
    asked = asked_measures(query)
    if query.by:
        return _group_bars(result, path, query, asked[0])
    marks, words = {}, []
    for a in asked:
        value = result.total[a.name]
        if a.measure.of_money and value is not None and a.measure.name != "volatility" and a.scale_to_days is None:
            gain = a.tail == "gain" or a.measure.name == "mean"
            words.append(pictures.in_words(a.name))
            marks[words[-1]] = (value, value if gain else -value)
    whole = {name: getattr(query, name) for name in Scope.model_fields} | {"histogram": _BINS}
    title = f"P&L by scenario{' with ' * bool(words)}{', '.join(words)}"
    return _histogram(run_pnl(session.lake, PnlQuery(**whole), cache=session.cache), path, title, marks)


def _group_bars(result: RiskResult, path: Path, query: RiskQuery, asked: AskedMeasure) -> Path:
    """The groups in the order of the answer, and the total, which is not their sum."""
    rows = [r for r in result.rows.to_pylist() if r.get(LEVEL, len(query.by)) == len(query.by)]
    return pictures.contribution_bars(
        path,
        [f"{r[OTHERS]:,} others" if r.get(OTHERS) else pictures.member(r, query.by) for r in rows],
        [r[asked.name] for r in rows],
        title=f"{pictures.in_words(asked.name)}{pictures.by_words(query.by)}",
        unit=pictures.unit_of(asked, query.currency),
        intervals=[tuple(r[end] for end in asked.interval_names) for r in rows] if query.interval is not None else None,
        whole=("Total", result.total[asked.name]),
    )
