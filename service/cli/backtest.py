"""Commands over a range of days: backtests, series of measures, and the P&L that backtests are held against."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lake.committer import Committer
from lake.errors import validated
from service.cli.options import (
    ByOption,
    CurrencyOption,
    EstimatorOption,
    JsonOption,
    LakeOption,
    LevelOption,
    MeasureOption,
    ParameterOption,
    ScenarioSetOption,
    WhereOption,
    as_date,
    as_list,
    as_parameters,
    open_lake,
    query_of,
    settings_of,
)
from service.rendering import display

if TYPE_CHECKING:
    from aggregation.backtest.judgement import BacktestQuery
    from lake.tables import Lake
    from scenarios.requests import ScenarioRequest

# ruff: noqa: PLC0415 - see service.cli.main

FromOption = Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD.")]
ToOption = Annotated[str, typer.Option("--to", help="Last day, YYYY-MM-DD.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Write a picture: .svg or .png.")]
CalendarOption = Annotated[
    str, typer.Option("--calendar", help="Exchange calendar of the days, weekdays, or books for the days with a book.")
]


def register(app: typer.Typer, ingest_app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("backtest")(backtest_command)
    app.command("series")(series_command)
    ingest_app.command("pnl")(ingest_pnl_command)


def backtest_command(
    from_date: Annotated[
        str, typer.Option("--from", help="First day whose VaR is tested, against the next day's P&L.")
    ],
    to_date: Annotated[str, typer.Option("--to", help="Last day whose P&L is tested.")],
    by: ByOption = "",
    where: WhereOption = None,
    level: LevelOption = "0.99,0.975",
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    scenario_set: ScenarioSetOption = None,
    calendar: CalendarOption = "XNYS",
    window: Annotated[int, typer.Option("--window", help="Days the traffic light looks back.")] = 250,
    time: Annotated[
        str, typer.Option("--time", help="Hypothetical P&L with the valuation date frozen, or as time passes.")
    ] = "frozen",
    significance: Annotated[float, typer.Option("--significance", help="p-value below which a test rejects.")] = 0.05,
    law: Annotated[str, typer.Option("--law", help="Law the ES tests simulate: scenarios, normal or t.")] = "scenarios",
    degrees: Annotated[float, typer.Option("--degrees", help="Degrees of freedom of the law t.")] = 5.0,
    simulations: Annotated[
        int, typer.Option("--simulations", help="Simulations of the ES tests; 0 for none.")
    ] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulations.")] = 1,
    steps: Annotated[int, typer.Option("--steps", help="VaR levels of the multinomial test.")] = 4,
    value: Annotated[bool, typer.Option("--value", help="First value the days that are not valued yet.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what --value would take.")] = False,
    method: Annotated[
        str, typer.Option("--method", help="Scenario method of the days that --value values.")
    ] = "historical",
    parameter: ParameterOption = None,
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """VaR of each day against the P&L of the next: exceptions, traffic light, every test, and what lies behind each exception."""
    from aggregation.backtest.backtest import run_backtest
    from aggregation.backtest.judgement import BacktestQuery
    from aggregation.types import Filter
    from scenarios.requests import ScenarioRequest, default_name
    from service import operations
    from service.rendering import backtest

    settings, opened = open_lake(lake)
    recipe = {"method": method, "parameters": as_parameters(parameter), "name": scenario_set if value or plan else None}
    scenarios = validated(ScenarioRequest, recipe, "scenario recipe")
    query = validated(
        BacktestQuery,
        {
            "first": as_date(from_date, "--from"),
            "last": as_date(to_date, "--to"),
            "by": as_list(by),
            "where": tuple(Filter.parse(w) for w in where or ()),
            "levels": as_list(level),
            "currency": currency,
            "estimator": estimator,
            "scenario_set": scenarios.name or default_name(scenarios) if value else scenario_set,
            "calendar": calendar,
            "window": window,
            "time": time,
            "significance": significance,
            "law": law,
            "degrees": degrees,
            "simulations": simulations,
            "seed": seed,
            "steps": steps,
        },
        "backtest",
    )
    if plan or value:
        done = _plan_or_value(opened, query, scenarios, only_plan=plan, json=json)
        if not done:
            return
    with display.progress_bar("backtest") as progress:
        result = run_backtest(opened, query, cache=operations.vector_cache(settings, opened), progress=progress)
    if plot is not None:
        backtest.draw_backtest(result, plot)
    display.print_json(result.to_dict()) if json else backtest.show_backtest(result)
    if plot is not None:
        display.say(f"Drawn: {plot}")


def _plan_or_value(
    lake: Lake, query: BacktestQuery, scenarios: ScenarioRequest, *, only_plan: bool, json: bool
) -> bool:
    """Shows the plan, then carries it out unless that was all; whether it did."""
    from aggregation.backtest.backtest import tested_days
    from valuation.sets.daily import plan_days, value_days

    days: list[dt.date] = tested_days(lake.snapshot(), query)
    planned: dict[str, Any] = plan_days(lake, days, scenarios).to_dict()
    if only_plan:
        display.print_json(planned) if json else display.print_pairs(planned, title="Plan")
        return False
    display.say(
        f"{planned['missing']} of {planned['books']} days to value under {planned['scenario_set']}: "
        f"{planned['contracts']:,} contracts on their days, about {planned['expected_core_seconds']:,.0f} core seconds of pricing "
        f"and {planned['expected_bytes'] / 1e6:,.0f} MB."
    )
    with Committer(lake, "varlake backtest") as committer, display.progress_bar("valuing") as progress:
        done = value_days(committer, days, scenarios, progress=progress, cancelled=threading.Event())
    display.say(f"{done['days']} days sealed: {done['valued']:,} contracts valued, {done['failed']:,} failed.")
    for day, why in list(done["refused"].items())[:5]:
        display.say(f"Not valued: {day}: {why}")
    if len(done["refused"]) > 5:
        display.say(f"... and {len(done['refused']) - 5} more days were not valued")
    return True


def series_command(
    from_date: FromOption,
    to_date: ToOption,
    by: ByOption = "",
    where: WhereOption = None,
    measure: MeasureOption = "var,es",
    level: LevelOption = "0.99",
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    scenario_set: ScenarioSetOption = None,
    calendar: CalendarOption = "XNYS",
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Any measure on every day of a range, by any dimension; a day without an answer says why. Values nothing."""
    from aggregation.risk.series import run_series
    from service import operations
    from service.rendering import backtest

    settings, opened = open_lake(lake)
    query = query_of(to_date, by, where, measure, level, currency, estimator, scenario_set)
    first, last = as_date(from_date, "--from"), as_date(to_date, "--to")
    with display.progress_bar("series") as progress:
        cache = operations.vector_cache(settings, opened)
        result = run_series(opened, query, first, last, calendar=calendar, cache=cache, progress=progress)
    if plot is not None:
        backtest.draw_series(result, plot)
    display.print_json(result.to_dict()) if json else backtest.show_series(result)
    if plot is not None:
        display.say(f"Drawn: {plot}")


def ingest_pnl_command(
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files, see docs/backtesting.md.")],
    replace_dates: Annotated[
        bool, typer.Option("--replace-dates", help="The days in the file become exactly the file.")
    ] = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Bring actual P&L into the lake, by day and node; a file with a fault is refused whole."""
    from lake.landing.actual_pnl import ingest_pnl
    from lake.tables import Lake

    with Committer(Lake.create(settings_of(lake).lake), "varlake ingest pnl") as committer:
        reports = [ingest_pnl(committer, f, replace_dates=replace_dates).to_dict() for f in files]
    display.print_json(reports) if json else display.print_table(reports)
