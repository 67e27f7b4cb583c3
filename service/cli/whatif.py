"""Commands about books that are not: what-if, branches, the cheapest way back under a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lake.committer import Committer
from lake.errors import BadInput, validated
from service.cli.options import (
    BranchOption,
    ByOption,
    CurrencyOption,
    DateText,
    EstimatorOption,
    JsonOption,
    LakeOption,
    LevelOption,
    MeasureOption,
    ScenarioSetOption,
    WhereOption,
    as_date,
    open_lake,
    query_of,
)
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.main

PositionsDateOption = Annotated[str | None, typer.Option("--positions-date", help="Date of the book, when not as-of.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Write a picture: .svg or .png.")]
AddOption = Annotated[
    list[str] | None,
    typer.Option("--add", help="Trades to add: a CSV, Parquet or JSON file, or JSON text; repeatable."),
]
BookOption = Annotated[
    list[str] | None, typer.Option("--book", help="Trades that the book becomes, in place of its own; repeatable.")
]
RemoveOption = Annotated[
    list[str] | None,
    typer.Option("--remove", help="Trades to remove: ids T1,T2 or filters desk=Rates;book=B1; repeatable."),
]
ScaleOption = Annotated[
    list[str] | None, typer.Option("--scale", help="Quantities to multiply: desk=Rates*0.5, or *1.1; repeatable.")
]
SaveOption = Annotated[str | None, typer.Option("--save", help="Save the changes as a branch of this name.")]
NoteOption = Annotated[str, typer.Option("--note", help="What the branch is for, in words.")]
NewVersionOption = Annotated[
    bool, typer.Option("--new-version", help="When the name is taken, save the next version of it.")
]

branch_app = typer.Typer(help="Named changes of a book, kept in the lake and read like dates.", no_args_is_help=True)


def register(app: typer.Typer, bench_app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("whatif")(whatif_command)
    app.command("way-back")(way_back_command)
    app.add_typer(branch_app, name="branch")
    bench_app.command("what-if")(bench_what_if_command)


def whatif_command(
    as_of: DateText,
    add: AddOption = None,
    book: BookOption = None,
    remove: RemoveOption = None,
    scale: ScaleOption = None,
    by: ByOption = "",
    where: WhereOption = None,
    measure: MeasureOption = "var,es",
    level: LevelOption = "0.99",
    currency: CurrencyOption = "USD",
    estimator: EstimatorOption = "order_statistic",
    positions_date: PositionsDateOption = None,
    scenario_set: ScenarioSetOption = None,
    branch: BranchOption = None,
    save: SaveOption = None,
    note: NoteOption = "",
    new_version: NewVersionOption = False,
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """What added, removed and scaled trades do to VaR and ES: before, after, and each change alone. Stores nothing unless saved."""
    from aggregation.whatif.request import ChangeRequest, parse_removal, parse_scaling, run_what_if
    from aggregation.whatif.save_branch import BranchRequest, save_branch
    from aggregation.whatif.trades import read_trades
    from service import operations
    from service.rendering import whatif

    if add and book:
        raise BadInput("--add adds to the book and --book takes its place; give one of them.")
    settings, opened = open_lake(lake)
    date = as_date(positions_date, "--positions-date") if positions_date else None
    more = {"positions_date": date, "branch": branch}
    query = query_of(as_of, by, where, measure, level, currency, estimator, scenario_set, **more)
    changes = {
        "remove": tuple(parse_removal(r) for r in remove or ()),
        "scale": tuple(parse_scaling(s) for s in scale or ()),
        "replace": bool(book),
    }
    added = read_trades(add or book or (), date or query.as_of)
    cache = operations.vector_cache(settings, opened)
    request = validated(ChangeRequest, changes, "change")
    result = run_what_if(opened, query, request, cache=cache, added=added)
    saved = None
    if save is not None:
        stored = {"name": save, "as_of": query.as_of, "upon": branch, "scenario_set": scenario_set, "note": note}
        stored |= {"positions_date": date, "new_version": new_version}
        asked = validated(BranchRequest, {**changes, **stored}, "branch")
        with Committer(opened, "varlake whatif") as committer, display.progress_bar("valuing") as progress:
            spark = operations.spark_of(settings)
            saved = save_branch(committer, asked, cache=cache, spark=spark, added=added, progress=progress)
    if plot is not None:
        whatif.plot_what_if(result, plot)
    if json:
        display.print_json({**result.to_dict(), "saved": saved})
        return
    whatif.show_what_if(result)
    if saved is not None:
        display.say(f"Saved as branch {saved['name']}@{saved['version']}; ask with --branch {saved['name']}.")


def way_back_command(
    as_of: DateText,
    limit: Annotated[
        float, typer.Option("--limit", help="What the measure may be at most, in the reporting currency.")
    ],
    moves: Annotated[
        str,
        typer.Option("--moves", help="Hedges and unwinds with their costs: CSV, Parquet or JSON file, or JSON text."),
    ],
    where: WhereOption = None,
    measure: MeasureOption = "es",
    level: LevelOption = "0.975",
    currency: CurrencyOption = "USD",
    positions_date: PositionsDateOption = None,
    scenario_set: ScenarioSetOption = None,
    branch: BranchOption = None,
    save: SaveOption = None,
    note: NoteOption = "",
    new_version: NewVersionOption = False,
    plot: PlotOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """The cheapest hedges and unwinds that bring VaR or ES under a limit; exit code 1 when they cannot."""
    from aggregation.whatif.limit_hedge import WayBackRequest, read_moves, way_back
    from aggregation.whatif.save_branch import BranchRequest, save_branch
    from service import operations
    from service.rendering import whatif

    settings, opened = open_lake(lake)
    date = as_date(positions_date, "--positions-date") if positions_date else None
    more = {"positions_date": date, "branch": branch}
    query = query_of(as_of, "", where, measure, level, currency, "order_statistic", scenario_set, **more)
    request = validated(WayBackRequest, {"limit": limit, "moves": read_moves(moves)}, "way back")
    cache = operations.vector_cache(settings, opened)
    result = way_back(opened, query, request, cache=cache)
    saved = None
    if save is not None and result.changes is not None:
        stored = {"name": save, "as_of": query.as_of, "upon": branch, "scenario_set": scenario_set, "note": note}
        stored |= {"positions_date": date, "new_version": new_version}
        asked = validated(BranchRequest, {**dict(result.changes), **stored}, "branch")
        with Committer(opened, "varlake way-back") as committer, display.progress_bar("valuing") as progress:
            spark = operations.spark_of(settings)
            saved = save_branch(committer, asked, cache=cache, spark=spark, progress=progress)
    if plot is not None and result.what_if is not None:
        whatif.plot_what_if(result.what_if, plot)
    if json:
        display.print_json({**result.to_dict(), "saved": saved})
    else:
        whatif.show_way_back(result)
        if saved is not None:
            display.say(f"Saved as branch {saved['name']}@{saved['version']}; ask with --branch {saved['name']}.")
    if result.status == "out of reach":
        raise typer.Exit(1)


def bench_what_if_command(
    contracts: Annotated[int, typer.Option("--contracts", help="Contracts with vectors.")] = 100_000,
    scenarios: Annotated[int, typer.Option("--scenarios", help="Scenarios.")] = 1000,
    positions: Annotated[int, typer.Option("--positions", help="Positions.")] = 1_000_000,
    output: Annotated[Path | None, typer.Option("--output", help="Write the rows to this JSON file.")] = None,
) -> None:
    """Seconds of a what-if of ten trades, on known contracts and on new ones, against the changed book netted as a whole."""
    from service.bench import harness
    from service.bench.what_if import bench_what_if

    harness.report(bench_what_if(contracts, scenarios, positions), output)


@branch_app.command("list")
def branch_list_command(
    all_versions: Annotated[bool, typer.Option("--all", help="Every version, deletions too.")] = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """The branches: what they stand on, how many trades they add, remove and scale."""
    from valuation.books import branches

    _, opened = open_lake(lake)
    found = branches.all_versions(opened) if all_versions else branches.list_branches(opened)
    rows = [branches.summary(r) for r in found]
    if json:
        display.print_json(rows)
    elif rows:
        columns = ("name", "version", "upon", "positions_date", "adds", "removes", "scales", "created_at", "note")
        display.print_table(rows, (*columns, "deleted") if all_versions else columns)
    else:
        display.say("There are no branches yet; `varlake whatif ... --save NAME` makes one.")


@branch_app.command("show")
def branch_show_command(
    name: Annotated[str, typer.Argument(help="NAME, or NAME@2 for a version.")],
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """One branch: every version it stands on, and every change."""
    from aggregation.whatif.save_branch import describe_branch
    from service.rendering import whatif

    _, opened = open_lake(lake)
    shown = describe_branch(opened.snapshot(), name)
    display.print_json(shown) if json else whatif.show_branch(shown)


@branch_app.command("delete")
def branch_delete_command(
    name: Annotated[str, typer.Argument(help="Name of the branch.")],
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a branch. Its versions stay readable as NAME@1, and branches that stand on it stay as they are."""
    from aggregation.whatif.save_branch import remove_branch

    _, opened = open_lake(lake)
    with Committer(opened, "varlake branch delete") as committer:
        gone = remove_branch(committer, name)
    if json:
        display.print_json(gone)
        return
    display.say(f"Deleted branch {name}; it can still be read as {name}@{gone['version'] - 1}.")
    if gone["still_standing_on_it"]:
        display.say(f"These stand on it and stay as they are: {', '.join(gone['still_standing_on_it'])}.")
