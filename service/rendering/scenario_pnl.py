"""Scenario P&L: as a table, as a histogram of text, and drawn."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from aggregation.measures import asked_measures
from aggregation.risk.scenario_pnl import PnlQuery, PnlResult, run_pnl
from aggregation.session import Session
from aggregation.types import RiskQuery, RiskResult, Scope
from lake.errors import BadInput, counted
from service.rendering import display, pictures
from service.rendering.tables import show_basis

_BAR, _SHORT_BAR, _WIDE = (
    40,
    10,
    120,
)  # characters of the longest bar, on lines from so many characters on and on shorter ones


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
        shown,
        columns,
        title=f"P&L on {display.heading(query, result.receipt)}, gains positive",
        first=(*query.by, "scenario", "pnl", "low", "count", "histogram", "high"),
        money=("pnl", "low", "high"),
    )
    show_basis(result)


def _histogram(result: PnlResult, path: Path, marks: Mapping[str, float], bins: int = pictures.BINS) -> Path:
    """The distribution of the total as a histogram; `marks` are P&L by name."""
    pnl = result.total["pnl"].drop_null().to_numpy()
    if len(pnl) == 0:
        raise BadInput("There is no picture to draw: none of the positions is covered.")
    query, receipt = result.query, result.receipt
    # where scenarios carry weights the bars show their probability and not their number
    weights = result.total["probability"].to_numpy() if receipt["weighted"] else None
    return pictures.histogram(
        path,
        pnl,
        title=f"P&L on {query.as_of} in {counted(receipt['scenario_count'], 'scenario')} of {receipt['scenario_set_name']}",
        unit=f"P&L, {query.currency}",
        marks=marks,
        weights=weights,
        bins=bins,
    )


def plot_pnl(result: PnlResult, path: Path, query: PnlQuery, session: Session) -> Path:
    """The distribution of the total over all scenarios."""
    if query.scenarios:
        raise BadInput("The picture is of the distribution over all scenarios; leave the scenarios out.")
    whole = query.model_copy(update={"by": (), "worst": None, "histogram": None})
    drawn = result if whole == query else run_pnl(session.lake, whole, cache=session.cache)
    return _histogram(drawn, path, {}, query.histogram or pictures.BINS)


def plot_var(result: RiskResult, path: Path, query: RiskQuery, session: Session) -> Path:
    """The distribution of the total of a query, with every figure of money that was asked for at its place.

    A volatility has no place in it, and a figure scaled to another horizon has its place in another distribution.
    """
    marks = {}
    for a in asked_measures(query):
        value = result.total[a.name]
        if a.measure.of_money and value is not None and a.measure.name != "volatility" and a.scale_to_days is None:
            gain = a.tail == "gain" or a.measure.name == "mean"
            marks[f"{a.name} {value:,.0f}"] = value if gain else -value
    whole = {name: getattr(query, name) for name in Scope.model_fields} | {"by": ()}
    return _histogram(run_pnl(session.lake, PnlQuery(**whole), cache=session.cache), path, marks)
