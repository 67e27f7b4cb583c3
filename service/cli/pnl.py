"""The command that shows scenario P&L itself: every scenario, chosen ones, the worst, a histogram."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lake.errors import BadInput, validated
from service.cli.dimensions import MarketDateOption, PositionsDateOption, ValuationSetOption, dates_of
from service.cli.options import (
    BranchOption,
    ByOption,
    CurrencyOption,
    DateText,
    JsonOption,
    LakeOption,
    ScenarioSetOption,
    WhereOption,
    as_date,
    as_list,
    open_lake,
)
from service.rendering import display

if TYPE_CHECKING:
    from aggregation.opened.opened_lake import VectorCache
    from aggregation.risk.scenario_pnl import PnlResult
    from aggregation.types import RiskQuery
    from lake.tables import Lake

# ruff: noqa: PLC0415 - see service.cli.main

_BAR = 40  # characters of the longest bar


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("pnl")(pnl_command)


def pnl_command(
    as_of: DateText,
    by: ByOption = "",
    where: WhereOption = None,
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", help="Id of a scenario to look at; repeatable; default all.")
    ] = None,
    worst: Annotated[int | None, typer.Option("--worst", help="Only so many worst scenarios of each group.")] = None,
    histogram: Annotated[
        int | None, typer.Option("--histogram", help="Count into so many bins, from the worst to the best P&L.")
    ] = None,
    currency: CurrencyOption = "USD",
    positions_date: PositionsDateOption = None,
    market_date: MarketDateOption = None,
    scenario_set: ScenarioSetOption = None,
    valuation_set: ValuationSetOption = None,
    branch: BranchOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw all scenarios of the total to this file: .svg or .png.")
    ] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """P&L of each group in each scenario: all, chosen ones, the worst, or counted into a histogram. Values nothing."""
    from aggregation.risk.scenario_pnl import PnlQuery, run_pnl
    from aggregation.types import Filter
    from service import operations

    if plot is not None and scenario:
        raise BadInput("--plot draws the distribution over all scenarios; leave --scenario out.")
    settings, opened = open_lake(lake)
    given = {
        "as_of": as_date(as_of, "--as-of"),
        "by": as_list(by),
        "where": tuple(Filter.parse(w) for w in where or ()),
        "scenarios": tuple(scenario or ()),
        "worst": worst,
        "histogram": histogram,
        "currency": currency,
        **dates_of(positions_date, market_date),
        "scenario_set": scenario_set,
        "valuation_set": valuation_set,
        "branch": branch,
    }
    query = validated(PnlQuery, given, "query")
    cache = operations.vector_cache(settings, opened)
    result = run_pnl(opened, query, cache=cache)
    display.print_json(result.to_dict()) if json else show_pnl(result)
    if plot is not None:
        whole = query.model_copy(update={"by": (), "worst": None, "histogram": None})
        distribution = result if whole == query else run_pnl(opened, whole, cache=cache)
        display.say(f"Wrote {plot_pnl(distribution, plot, {})}")


def show_pnl(result: PnlResult) -> None:
    """The rows, the total below them, and what they rest on."""
    query, rows = result.query, result.rows.to_pylist()
    total = [{**dict.fromkeys(query.by[:1], "Total"), **r} for r in result.total.to_pylist()] if query.by else []
    shown = [*rows, *total]
    if query.histogram is not None:
        most = max((r["count"] or 0 for r in shown), default=0)
        shown = [{**r, "": "#" * round(_BAR * (r["count"] or 0) / max(most, 1))} for r in shown]
    whole = result.coverage.status == "complete"
    columns = [c for c in (shown[0] if shown else ()) if not (whole and c == "status")]
    display.print_table(shown, columns, title=f"P&L on {query.as_of} in {query.currency}, gains positive")
    c, receipt = result.coverage, result.receipt
    display.say(
        f"{c.covered:,} of {c.positions:,} positions covered ({c.status}); {receipt['scenario_count']} scenarios of "
        f"{receipt['scenario_set_name']} at {receipt['market_date']}; valuation set {receipt['valuation_set_id'][:12]}..."
    )
    for note in result.notes:
        display.say(f"Note: {note}")


def plot_pnl(result: PnlResult, path: Path, marks: Mapping[str, float]) -> Path:
    """The distribution of the total as a histogram; `marks` are P&L by name."""
    from service.rendering import pictures

    pnl = result.total["pnl"].drop_null().to_numpy()
    if len(pnl) == 0:
        raise BadInput("There is no picture to draw: none of the positions is covered.")
    query, receipt = result.query, result.receipt
    # where scenarios carry weights the bars show their probability and not their number
    weights = result.total["probability"].to_numpy() if receipt["weighted"] else None
    return pictures.histogram(
        path,
        pnl,
        title=f"P&L on {query.as_of} in {receipt['scenario_count']:,} scenarios of {receipt['scenario_set_name']}",
        unit=f"P&L, {query.currency}",
        marks=marks,
        weights=weights,
    )


def plot_var(lake: Lake, query: RiskQuery, total: Mapping[str, Any], path: Path, cache: VectorCache) -> Path:
    """The distribution of the total of a query, with every figure of money that was asked for at its place.

    A volatility has no place in it, and a figure scaled to another horizon has its place in another distribution.
    """
    from aggregation.measures import asked_measures
    from aggregation.risk.scenario_pnl import PnlQuery, run_pnl
    from aggregation.types import Scope

    marks = {}
    for a in asked_measures(query):
        value = total[a.name]
        if a.measure.of_money and value is not None and a.measure.name != "volatility" and a.scale_to_days is None:
            gain = a.tail == "gain" or a.measure.name == "mean"
            marks[f"{a.name} {value:,.0f}"] = value if gain else -value
    whole = {name: getattr(query, name) for name in Scope.model_fields} | {"by": ()}
    return plot_pnl(run_pnl(lake, PnlQuery(**whole), cache=cache), path, marks)
