"""A book held against another system: the value of each trade here and there."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from lake.errors import unknown
from service.cli.given import as_date, laid_out, open_lake
from service.cli.options import ColumnsOption, DateText, JsonOption, LakeOption, ScenarioSetOption
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False)
_AGAINST = ("ore",)


@app.command("check")
def held_against_command(
    as_of: DateText,
    against: Annotated[str, typer.Option("--against", help="The other system: ore, Open Source Risk Engine.")],
    where: Annotated[
        list[str] | None, typer.Option("--where", help="Filter, such as desk=Rates,FX; repeatable.")
    ] = None,
    scenario_set: ScenarioSetOption = None,
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", help="Also in this scenario of the set, by its label; repeatable.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="Of a difference, as a fraction of the larger value.")
    ] = 1e-6,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Keep what the other system reads and says in this folder.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Trades shown, what differs first.")] = 20,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """Hold the value of each trade against ORE's, in the base market and in scenarios; exit 3 where one differs or ORE has none."""
    from aggregation.ore_check import check_against_ore
    from aggregation.types import Filter
    from service.operations import vector_cache

    if against not in _AGAINST:
        raise unknown("other system", against, _AGAINST, pointer="against")
    settings, opened = open_lake(lake)
    filters = tuple(map(Filter.parse, where or ()))
    snapshot = opened.snapshot()
    book = vector_cache(settings, opened).book(snapshot, as_date(as_of, "--as-of"))
    python = settings.ore_python or Path(sys.executable)
    with TemporaryDirectory(prefix="varlake-ore-") as temporary:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        files = folder or Path(temporary)
        found = check_against_ore(
            snapshot, book, filters, tolerance, files, python, scenario_set, tuple(scenario or ())
        )
    if json:
        display.print_json(found.to_dict())
    else:
        title = f"Values of {found.as_of} against ORE {found.ore_version}"
        with laid_out(columns):
            shown = [vars(t) for t in found.trades[:limit]]
            display.print_table(
                shown, title=title, first=("trade", "scenario", "status", "value", "ore_value", "relative")
            )
            display.print_table(found.summary())
            if reasons := found.reasons():
                display.print_table(reasons)
    if not found.passed:
        raise typer.Exit(3)
