"""Commands about dimensions: what there is to group by, hierarchies, cross tables, drill-through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lake.committer import Committer
from lake.errors import validated
from service.cli.options import (
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

MarketDateOption = Annotated[str | None, typer.Option("--market-date", help="Date of the base market, when not as-of.")]
SortOption = Annotated[
    str, typer.Option("--sort", help="Columns to sort by, comma separated; -var_0.99 for descending.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", help="Rows shown; the rest is one row of others.")]
SubtotalsOption = Annotated[bool, typer.Option("--subtotals", help="Also a row for every prefix of --by.")]
BoundsOption = Annotated[
    bool, typer.Option("--bounds", help="Also what failed and missing contracts could do to the figures.")
]
PositionsDateOption = Annotated[str | None, typer.Option("--positions-date", help="Date of the book, when not as-of.")]
ValuationSetOption = Annotated[
    str | None, typer.Option("--valuation-set", help="Valuation set id; default the newest that fits.")
]


def register(app: typer.Typer, ingest: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("dimensions")(dimensions_command)
    app.command("pivot")(pivot_command)
    app.command("drill")(drill_command)
    ingest.command("hierarchy")(ingest_hierarchy_command)


def dates_of(positions_date: str | None, market_date: str | None) -> dict[str, Any]:
    """The dates of a question that are given beside its own."""
    return {
        "positions_date": as_date(positions_date, "--positions-date") if positions_date else None,
        "market_date": as_date(market_date, "--market-date") if market_date else None,
    }


def ingest_hierarchy_command(
    file: Annotated[Path, typer.Argument(help="CSV file, see docs/dimensions.md.")],
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Bring a hierarchy such as division over desk; it becomes exactly the file, or stays as it is when a row is wrong."""
    from aggregation.book.hierarchies import RESERVED
    from lake.landing.hierarchies import ingest_hierarchies
    from lake.tables import Lake
    from service.cli.options import settings_of
    from service.rendering import dimensions

    with Committer(Lake.create(settings_of(lake).lake), "varlake ingest hierarchy") as committer:
        report = ingest_hierarchies(committer, file, RESERVED)
    display.print_json(report.to_dict()) if json else dimensions.show_hierarchies(report)


def dimensions_command(
    as_of: DateText,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """What the book of a date can be grouped and filtered by: dimensions, attributes, levels of hierarchies."""
    from aggregation.dimensions import dimensions_of
    from service import operations

    settings, opened = open_lake(lake)
    book = operations.vector_cache(settings, opened).book(
        opened.snapshot("positions", "hierarchies"), as_date(as_of, "--as-of")
    )
    rows = dimensions_of(book.columns)
    display.print_json(rows) if json else display.print_table(rows, title=f"Dimensions of {book.positions_date}")


def pivot_command(
    as_of: DateText,
    rows: Annotated[str, typer.Option("--rows", help="Dimensions down, comma separated, outermost first.")],
    columns: Annotated[str, typer.Option("--columns", help="Dimensions across, comma separated, outermost first.")],
    where: WhereOption = None,
    measure: Annotated[str, typer.Option("--measure", help="Measures, comma separated.")] = "var",
    level: LevelOption = "0.99",
    sort: SortOption = "",
    limit: LimitOption = None,
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    positions_date: PositionsDateOption = None,
    market_date: MarketDateOption = None,
    scenario_set: ScenarioSetOption = None,
    valuation_set: ValuationSetOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """A cross table with the totals of rows, columns and all, each from its own net positions. Values nothing."""
    from aggregation.risk.pivot import PivotQuery, run_pivot
    from service import operations
    from service.rendering import dimensions

    settings, opened = open_lake(lake)
    more = {"valuation_set": valuation_set, **dates_of(positions_date, market_date)}
    asked = query_of(as_of, "", where, measure, level, currency, estimator, scenario_set, **more).model_dump()
    own = {"rows": as_list(rows), "columns": as_list(columns), "sort": as_list(sort), "limit": limit}
    query = validated(PivotQuery, {**asked, **own}, "cross table")
    result = run_pivot(opened, query, cache=operations.vector_cache(settings, opened))
    display.print_json(result.to_dict()) if json else dimensions.show_pivot(result)


def drill_command(
    as_of: DateText,
    where: WhereOption = None,
    per: Annotated[str, typer.Option("--per", help="A row a trade, or a contract with its net quantity.")] = "trade",
    measure: Annotated[str, typer.Option("--measure", help="The measure whose tail scenarios are shown.")] = "var",
    level: Annotated[str, typer.Option("--level", help="Its confidence level, a fraction.")] = "0.99",
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", help="Show this scenario, by its label, instead; repeatable.")
    ] = None,
    order: Annotated[str, typer.Option("--order", help="loss, gain or name: what comes first.")] = "loss",
    first: Annotated[int, typer.Option("--first", help="Rows to pass over.")] = 0,
    limit: Annotated[int, typer.Option("--limit", help="Rows to show.")] = 20,
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    positions_date: PositionsDateOption = None,
    market_date: MarketDateOption = None,
    scenario_set: ScenarioSetOption = None,
    valuation_set: ValuationSetOption = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a picture: .svg or .png.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """From a node to its trades or contracts, in the scenarios that make its number. Values nothing."""
    from aggregation.risk.drill import DrillQuery, run_drill
    from service import operations
    from service.rendering import dimensions

    settings, opened = open_lake(lake)
    more = {"valuation_set": valuation_set, **dates_of(positions_date, market_date)}
    asked = query_of(as_of, "", where, measure, level, currency, estimator, scenario_set, **more).model_dump()
    own = {"scenarios": tuple(scenario or ()), "per": per, "order": order, "first": first, "limit": limit}
    query = validated(DrillQuery, {**asked, **own}, "drill")
    result = run_drill(opened, query, cache=operations.vector_cache(settings, opened))
    display.print_json(result.to_dict()) if json else dimensions.show_drill(result)
    if plot is not None:
        display.say(f"Wrote {dimensions.plot_drill(result, plot)}")
