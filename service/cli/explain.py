"""Commands about two points: the same question on both and the difference, and why they differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lake.committer import Committer
from lake.errors import BadInput
from service.cli.options import (
    ByOption,
    CurrencyOption,
    EstimatorOption,
    JsonOption,
    LakeOption,
    LevelOption,
    ScenarioSetOption,
    WhereOption,
    as_date,
    open_lake,
    query_of,
)
from service.rendering import display

if TYPE_CHECKING:
    from aggregation.opened.opened_lake import VectorCache
    from aggregation.types import RiskQuery
    from lake.tables import Lake
    from service.config import Settings

# ruff: noqa: PLC0415 - see service.cli.main


def register(app: typer.Typer, bench: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("compare")(compare_command)
    bench.command("explain")(bench_explain_command)


def compare_command(
    from_date: Annotated[str, typer.Option("--from", help="First date.")],
    to_date: Annotated[str, typer.Option("--to", help="Second date.")],
    by: ByOption = "",
    where: WhereOption = None,
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure", help="Measures, comma separated; default var,es, and var where causes are asked for."
        ),
    ] = None,
    level: LevelOption = "0.99",
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    interval: Annotated[
        str | None, typer.Option("--interval", help="Confidence of a sampling interval of every change, such as 0.95.")
    ] = None,
    causes: Annotated[
        bool, typer.Option("--causes", help="Why: by member and cause, from stored vectors alone.")
    ] = False,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="Why: step by step through the points between, in a stated order.")
    ] = False,
    shapley: Annotated[
        bool, typer.Option("--shapley", help="Why: averaged over all orders of the points between.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say which points between are missing, and their cost.")
    ] = False,
    value: Annotated[bool, typer.Option("--value", help="Value the points between that are missing.")] = False,
    drill: Annotated[
        list[str] | None,
        typer.Option("--drill", help="A cell of the causes by trade and scenario, such as desk=Rates,cause=amended."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows of a drill; the others are added up.")] = 50,
    scenario_set: ScenarioSetOption = None,
    from_positions_date: Annotated[
        str | None, typer.Option("--from-positions-date", help="Date of the first book, when not --from.")
    ] = None,
    to_positions_date: Annotated[
        str | None, typer.Option("--to-positions-date", help="Date of the second book, when not --to.")
    ] = None,
    from_market_date: Annotated[
        str | None, typer.Option("--from-market-date", help="Date of the first market, when not --from.")
    ] = None,
    to_market_date: Annotated[
        str | None, typer.Option("--to-market-date", help="Date of the second market, when not --to.")
    ] = None,
    from_scenario_set: Annotated[
        str | None, typer.Option("--from-scenario-set", help="Scenario set of the first point.")
    ] = None,
    to_scenario_set: Annotated[
        str | None, typer.Option("--to-scenario-set", help="Scenario set of the second point.")
    ] = None,
    from_valuation_set: Annotated[
        str | None, typer.Option("--from-valuation-set", help="Valuation set id of the first point.")
    ] = None,
    to_valuation_set: Annotated[
        str | None, typer.Option("--to-valuation-set", help="Valuation set id of the second point.")
    ] = None,
    from_branch: Annotated[str | None, typer.Option("--from-branch", help="Branch in place of the first book.")] = None,
    to_branch: Annotated[str | None, typer.Option("--to-branch", help="Branch in place of the second book.")] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write the waterfall of the causes as a picture: .svg or .png.")
    ] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """The same question on two days, sets or branches, and the difference; or why it differs, by member and cause."""
    from service import operations

    if sequential and shapley:
        raise BadInput("--sequential and --shapley are two ways of sharing out the same change; give one of them.")
    if (plan or value) and not (sequential or shapley):
        raise BadInput("--plan and --value are about the points between; give --sequential or --shapley with them.")
    if drill and (sequential or shapley):
        raise BadInput(
            "A drill shows trades and scenarios of two points; give --drill without --sequential and --shapley."
        )
    why = bool(causes or sequential or shapley or drill or plot)
    settings, opened = open_lake(lake)
    points = (
        (from_date, from_positions_date, from_market_date, from_scenario_set, from_valuation_set, from_branch, "from"),
        (to_date, to_positions_date, to_market_date, to_scenario_set, to_valuation_set, to_branch, "to"),
    )
    one, two = (
        query_of(
            day,
            by,
            where,
            measure or ("var" if why else "var,es"),
            level,
            currency,
            estimator,
            own_set or scenario_set,
            positions_date=as_date(book, f"--{name}-positions-date") if book else None,
            market_date=as_date(market, f"--{name}-market-date") if market else None,
            valuation_set=valuation_set,
            branch=branch,
            interval=interval,
        )
        for day, book, market, own_set, valuation_set, branch, name in points
    )
    cache = operations.vector_cache(settings, opened)
    if sequential or shapley:
        _through(settings, opened, cache, one, two, "shapley" if shapley else "sequential", plan, value, plot, json)
    elif why:
        _explained(opened, cache, one, two, drill, limit, plot, json)
    else:
        from aggregation.change.compare import compare
        from service.rendering import tables

        result = compare(opened, one, two, cache=cache)
        display.print_json(result.to_dict()) if json else tables.show_comparison(result)


def _explained(
    lake: Lake,
    cache: VectorCache,
    one: RiskQuery,
    two: RiskQuery,
    drill: list[str] | None,
    limit: int,
    plot: Path | None,
    json: bool,
) -> None:
    from aggregation.change import cause_drill
    from aggregation.change.explain import explained
    from aggregation.change.sides import compared
    from service.rendering import explain

    comparison = compared(lake, one, two, cache=cache)
    result = explained(comparison)
    if drill:
        found = cause_drill.drill(comparison, result, cause_drill.parse_cell(drill), limit)
        display.print_json(found.to_dict()) if json else explain.show_drill(found)
    else:
        display.print_json(result.to_dict()) if json else explain.show_explanation(result)
    if plot is not None:
        display.say(f"Wrote {explain.plot_explanation(result, plot)}")


def _through(
    settings: Settings,
    lake: Lake,
    cache: VectorCache,
    one: RiskQuery,
    two: RiskQuery,
    method: str,
    plan: bool,
    value: bool,
    plot: Path | None,
    json: bool,
) -> None:
    from aggregation.change import attribution_path
    from service import operations
    from service.rendering import explain

    if plan or value:
        planned = attribution_path.lattice_plan(lake, one, two, method, cache)
        if plan:
            display.print_json(planned.to_dict()) if json else explain.show_lattice_plan(planned)
            return
        with Committer(lake, "varlake compare") as committer, display.progress_bar("valuing") as progress:
            attribution_path.value_lattice(committer, planned, spark=operations.spark_of(settings), progress=progress)
    result = attribution_path.explain_through(lake, one, two, method, cache=cache)
    display.print_json(result.to_dict()) if json else explain.show_explanation(result)
    if plot is not None:
        display.say(f"Wrote {explain.plot_explanation(result, plot)}")


def bench_explain_command(
    contracts: Annotated[int, typer.Option("--contracts", help="Contracts with vectors.")] = 100_000,
    scenarios: Annotated[int, typer.Option("--scenarios", help="Scenarios.")] = 1000,
    positions: Annotated[int, typer.Option("--positions", help="Positions.")] = 1_000_000,
    output: Annotated[Path | None, typer.Option("--output", help="Write the rows to this JSON file.")] = None,
) -> None:
    """Seconds of a comparison of two days by desk and cause, against its limit."""
    from service.bench import explain, harness

    harness.report(explain.bench_explain(contracts, scenarios, positions), output)
