"""Commands that split risk: contributions by any dimension, VaR by risk class, stressed VaR, parametric VaR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lake.committer import Committer
from lake.errors import validated
from service.cli.options import (
    ByOption,
    CurrencyOption,
    DateText,
    EstimatorOption,
    JsonOption,
    LakeOption,
    LevelOption,
    ScenarioSetOption,
    WhereOption,
    as_date,
    as_list,
    open_lake,
    query_of,
)
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.main

MeasureOption = Annotated[str, typer.Option("--measure", help="The measure to split: var, es, volatility.")]
LevelOptionOne = Annotated[str, typer.Option("--level", help="Confidence level, a fraction such as 0.99.")]
PositionsDateOption = Annotated[str | None, typer.Option("--positions-date", help="Date of the book, when not as-of.")]
ValuationSetOption = Annotated[
    str | None, typer.Option("--valuation-set", help="Valuation set id; default the newest that fits.")
]
SeveralMeasuresOption = Annotated[str, typer.Option("--measure", help="Measures, comma separated.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Write a picture: .svg or .png.")]


def register(app: typer.Typer, bench: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("contributions")(contributions_command)
    app.command("parametric")(parametric_command)
    app.command("classes")(classes_command)
    app.command("stressed")(stressed_command)
    bench.command("contributions")(bench_contributions_command)


def contributions_command(
    as_of: DateText,
    by: ByOption = "",
    where: WhereOption = None,
    measure: MeasureOption = "var",
    level: LevelOptionOne = "0.99",
    form: Annotated[str, typer.Option("--form", help="How the measure is split: scenario or regression.")] = "scenario",
    figures: Annotated[
        str | None,
        typer.Option("--figures", help="Of component, standalone, marginal, incremental, stability; default all."),
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", help="Only so many greatest contributors and offsets, the rest in one row.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option("--interval", help="Confidence of a sampling interval of each component, such as 0.9.")
    ] = None,
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    positions_date: PositionsDateOption = None,
    scenario_set: ScenarioSetOption = None,
    valuation_set: ValuationSetOption = None,
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """What makes up a VaR or ES: components that add up to the last bit, standalone, marginal and incremental. Values nothing."""
    from aggregation.contributions.contributions import ContributionQuery, run_contributions
    from service import operations
    from service.rendering import contributions

    settings, opened = open_lake(lake)
    more = {
        "interval": interval,
        "valuation_set": valuation_set,
        "positions_date": as_date(positions_date, "--positions-date") if positions_date else None,
    }
    asked = query_of(as_of, by, where, measure, level, currency, estimator, scenario_set, **more).model_dump()
    own = {"form": form, "top": top, **({"figures": as_list(figures)} if figures is not None else {})}
    query = validated(ContributionQuery, {**asked, **own}, "contributions")
    result = run_contributions(opened, query, cache=operations.vector_cache(settings, opened))
    display.print_json(result.to_dict()) if json else contributions.show_contributions(result)
    if plot is not None:
        display.say(f"Wrote {contributions.plot_contributions(result, plot)}")


def parametric_command(
    as_of: DateText,
    by: ByOption = "",
    where: WhereOption = None,
    measure: Annotated[str, typer.Option("--measure", help="var or es.")] = "var",
    level: LevelOptionOne = "0.99",
    gamma: Annotated[
        str, typer.Option("--gamma", help="Second derivatives: none, diagonal, or full with all cross gammas.")
    ] = "diagonal",
    mean: Annotated[
        str, typer.Option("--mean", help="Mean of the moves in the covariance: removed, or taken as zero.")
    ] = "removed",
    currency: CurrencyOption = "USD",
    positions_date: PositionsDateOption = None,
    scenario_set: ScenarioSetOption = None,
    valuation_set: ValuationSetOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say how much would be valued.")] = False,
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """VaR or ES from sensitivities and the covariance of the scenarios' moves, by group and by risk factor. Stores nothing."""
    from aggregation.contributions.parametric import ParametricQuery, plan_parametric, run_parametric
    from aggregation.types import Filter
    from service import operations
    from service.rendering import contributions

    settings, opened = open_lake(lake)
    given = {
        "as_of": as_date(as_of, "--as-of"),
        "by": as_list(by),
        "where": tuple(Filter.parse(w) for w in where or ()),
        "measure": measure,
        "level": level,
        "gamma": gamma,
        "mean": mean,
        "currency": currency,
        "positions_date": as_date(positions_date, "--positions-date") if positions_date else None,
        "scenario_set": scenario_set,
        "valuation_set": valuation_set,
    }
    query = validated(ParametricQuery, given, "parametric query")
    cache = operations.vector_cache(settings, opened)
    if plan:
        planned = plan_parametric(opened, query, cache=cache)
        display.print_json(planned) if json else display.print_pairs(planned, title="Plan")
        return
    result = run_parametric(opened, query, cache=cache)
    display.print_json(result.to_dict()) if json else contributions.show_parametric(result)
    if plot is not None:
        display.say(f"Wrote {contributions.plot_parametric(result, plot)}")


def classes_command(
    as_of: DateText,
    by: ByOption = "",
    where: WhereOption = None,
    measure: SeveralMeasuresOption = "var,es",
    level: LevelOption = "0.99",
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    positions_date: PositionsDateOption = None,
    scenario_set: ScenarioSetOption = None,
    valuation_set: ValuationSetOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what each class would take.")] = False,
    value: Annotated[bool, typer.Option("--value", help="Value what is missing first.")] = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """VaR and ES by risk class: each shocked alone, standalone, which does not add up."""
    from aggregation.contributions.risk_classes import plan_risk_classes, run_risk_classes, value_risk_classes
    from service import operations
    from service.rendering import contributions

    settings, opened = open_lake(lake)
    more = {
        "valuation_set": valuation_set,
        "positions_date": as_date(positions_date, "--positions-date") if positions_date else None,
    }
    query = query_of(as_of, by, where, measure, level, currency, estimator, scenario_set, **more)
    cache = operations.vector_cache(settings, opened)
    if plan:
        planned = {c: p.to_dict() for c, p in plan_risk_classes(opened, query, cache=cache).items()}
        display.print_json(planned) if json else contributions.show_class_plans(planned)
        return
    if value:
        with Committer(opened, "varlake classes") as committer, display.progress_bar("valuing") as progress:
            sealed = value_risk_classes(
                committer, query, cache=cache, spark=operations.spark_of(settings), progress=progress
            )
        valued = sum(s["this_run"]["valued"] for s in sealed.values())
        display.say(f"{valued:,} vectors valued for {len(sealed)} risk classes.")
    result = run_risk_classes(opened, query, cache=cache)
    display.print_json(result.to_dict()) if json else contributions.show_classes(result)


def stressed_command(
    as_of: DateText,
    by: ByOption = "",
    where: WhereOption = None,
    measure: SeveralMeasuresOption = "var,es",
    level: LevelOption = "0.99",
    period: Annotated[
        str | None,
        typer.Option("--period", help="Name of a period, or FIRST:LAST; default the worst window, searched."),
    ] = None,
    length: Annotated[int, typer.Option("--length", help="Scenarios in the window that is searched.")] = 250,
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    positions_date: PositionsDateOption = None,
    scenario_set: ScenarioSetOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what is missing, and the expected time.")] = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Stressed VaR: the book under the moves of a stress period, beside its current VaR; values what is missing."""
    from aggregation.stress.stressed_var import plan_stressed, stressed_var
    from service import operations
    from service.rendering import contributions, tables

    settings, opened = open_lake(lake)
    more = {"positions_date": as_date(positions_date, "--positions-date") if positions_date else None}
    query = query_of(as_of, by, where, measure, level, currency, estimator, scenario_set, **more)
    cache = operations.vector_cache(settings, opened)
    if plan:
        planned = plan_stressed(opened, query, period, length=length, cache=cache).to_dict()
        display.print_json(planned) if json else tables.show_plan(planned)
        return
    with Committer(opened, "varlake stressed") as committer, display.progress_bar("valuing") as progress:
        result = stressed_var(
            committer,
            query,
            period,
            length=length,
            cache=cache,
            spark=operations.spark_of(settings),
            progress=progress,
        )
    display.print_json(result.to_dict()) if json else contributions.show_stressed(result)


def bench_contributions_command(
    contracts: Annotated[int, typer.Option("--contracts", help="Contracts with vectors.")] = 100_000,
    scenarios: Annotated[int, typer.Option("--scenarios", help="Scenarios.")] = 1000,
    positions: Annotated[int, typer.Option("--positions", help="Positions.")] = 1_000_000,
    output: Annotated[Path | None, typer.Option("--output", help="Write the rows to this JSON file.")] = None,
) -> None:
    """Seconds of component ES by trade and by desk, and of the greatest contributors, against their limits."""
    from service.bench import contributions, harness

    harness.report(contributions.bench_contributions(contracts, scenarios, positions), output)
