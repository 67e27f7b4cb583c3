"""Commands that ask why: P&L explained, the drivers of a change of risk, another system's number reproduced."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lake.errors import validated
from service.cli.options import (
    ByOption,
    CurrencyOption,
    DateText,
    EstimatorOption,
    JsonOption,
    LakeOption,
    ScenarioSetOption,
    WhereOption,
    as_date,
    as_list,
    open_lake,
    query_of,
)
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.main

FromOption = Annotated[str, typer.Option("--from", help="First date.")]
ToOption = Annotated[str, typer.Option("--to", help="Second date.")]
OneMeasure = Annotated[str, typer.Option("--measure", help="One measure, such as var or es.")]
OneLevel = Annotated[str, typer.Option("--level", help="Confidence level, a fraction.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Write a picture: .svg or .png.")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("pnl-explain")(pnl_explain_command)
    app.command("drivers")(drivers_command)
    app.command("bridge")(bridge_command)


def pnl_explain_command(
    from_date: FromOption,
    to_date: ToOption,
    by: ByOption = "",
    where: WhereOption = None,
    currency: CurrencyOption = "USD",
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be priced, and the expected time.")] = False,
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Why a book is worth what it is: trades, ageing, the market by risk class, currency. Prices what it needs, stores nothing."""
    from aggregation.change.pnl_explain import PnlExplainRequest, plan_pnl_explain, pnl_explain
    from aggregation.types import Filter
    from service import operations
    from service.rendering import causes

    settings, opened = open_lake(lake)
    given = {
        "from": as_date(from_date, "--from"),
        "to": as_date(to_date, "--to"),
        "by": as_list(by),
        "where": tuple(Filter.parse(w) for w in where or ()),
        "currency": currency,
    }
    request = validated(PnlExplainRequest, given, "P&L explain")
    cache = operations.vector_cache(settings, opened)
    if plan:
        planned = plan_pnl_explain(opened, request, cache=cache).to_dict()
        display.print_json(planned) if json else causes.show_pnl_plan(planned)
        return
    with display.progress_bar("explaining") as progress:
        result = pnl_explain(opened, request, cache=cache, progress=progress)
    display.print_json(result.to_dict()) if json else causes.show_pnl_explain(result)
    if plot is not None:
        display.say(f"Wrote {causes.plot_pnl_explain(result, plot)}")


def drivers_command(
    to_date: Annotated[str, typer.Option("--to", help="Date whose risk is asked about.")],
    from_date: Annotated[
        str | None, typer.Option("--from", help="Date the change is from; without it, what drives the risk itself.")
    ] = None,
    where: WhereOption = None,
    measure: OneMeasure = "var",
    level: OneLevel = "0.99",
    most: Annotated[int, typer.Option("--max", min=1, max=50, help="Most drivers to name.")] = 5,
    over: Annotated[str, typer.Option("--over", help="Dimensions to search, comma separated; default all.")] = "",
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    scenario_set: ScenarioSetOption = None,
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """The few members, over all dimensions and their combinations, that explain most of a change of VaR or ES. Values nothing."""
    from aggregation.change.drivers import run_drivers
    from service import operations
    from service.rendering import causes

    settings, opened = open_lake(lake)
    days = [to_date] if from_date is None else [from_date, to_date]
    queries = [query_of(d, "", where, measure, level, currency, estimator, scenario_set) for d in days]
    cache = operations.vector_cache(settings, opened)
    result = run_drivers(opened, queries, most=most, over=as_list(over), cache=cache)
    display.print_json(result.to_dict()) if json else causes.show_drivers(result)
    if plot is not None:
        display.say(f"Wrote {causes.plot_drivers(result, plot)}")


def bridge_command(
    as_of: DateText,
    theirs: Annotated[str, typer.Option("--theirs", help="The other system's number, with the digits it printed.")],
    where: WhereOption = None,
    measure: OneMeasure = "var",
    level: OneLevel = "0.99",
    tolerance: Annotated[
        float | None,
        typer.Option("--tolerance", help="How far apart is a match; default half a unit of the last digit."),
    ] = None,
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    positions_date: Annotated[
        str | None, typer.Option("--positions-date", help="Date of the book, when not as-of.")
    ] = None,
    scenario_set: ScenarioSetOption = None,
    valuation_set: Annotated[
        str | None, typer.Option("--valuation-set", help="Valuation set id; default the newest that fits.")
    ] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Which estimator, tail, window, weighting, currency or other convention gives another system's number. Values nothing."""
    from aggregation.change.convention_bridge import Theirs, run_bridge
    from service import operations
    from service.rendering import causes

    settings, opened = open_lake(lake)
    more = {
        "valuation_set": valuation_set,
        "positions_date": as_date(positions_date, "--positions-date") if positions_date else None,
    }
    query = query_of(as_of, "", where, measure, level, currency, estimator, scenario_set, **more)
    given = Theirs.parse(theirs, tolerance)
    result = run_bridge(opened, query, given, cache=operations.vector_cache(settings, opened))
    display.print_json(result.to_dict()) if json else causes.show_bridge(result)
