"""The standard of a lake, and of desks: the scenarios and the currency of a question that names none."""

from __future__ import annotations

from typing import Annotated

import typer

from lake.errors import validated
from service import client
from service.cli.given import open_lake, show_list
from service.cli.options import ColumnsOption, JsonOption, LakeOption, ScenarioSetOption
from service.jobs import STANDARD
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True)


@app.command("list")
def standard_list_command(
    all_versions: Annotated[bool, typer.Option("--all", help="Every version.")] = False,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """The standard of the lake and of every desk that has one."""
    from valuation.sets import standards

    _, opened = open_lake(lake)
    rows = standards.versions(opened) if all_versions else standards.newest(opened)
    shown = [{**r, "desk": r["desk"] or "(the lake)"} for r in rows]
    none = "There is no standard yet; the first valuation of a sample makes one, or `varlake standard set` does."
    show_list(rows, shown, json, columns, none)


@app.command("set")
def standard_set_command(
    scenario_set: ScenarioSetOption = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Reporting currency, such as EUR.")] = None,
    desk: Annotated[str | None, typer.Option("--desk", help="Desk it holds for; default the whole lake.")] = None,
    inherit: Annotated[bool, typer.Option("--inherit", help="Let the desk have the lake's standard again.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, in words.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Set the scenarios, the currency or both; what is not named stays. Earlier versions are kept."""
    from valuation.sets.standards import StandardRequest

    given = {"scenario_set": scenario_set, "currency": currency, "desk": desk, "inherit": inherit, "reason": reason}
    request = validated(StandardRequest, given, "standard")
    settings, opened = open_lake(lake)
    made = client.done(settings, opened, "standard set", STANDARD, request.model_dump(mode="json"))
    if json:
        display.print_json(made)
    else:
        whose = f"desk {made['desk']}" if made["desk"] else "the lake"
        own = ", ".join(v for v in (made["scenario_set"], made["currency"]) if v) or "that of the lake"
        display.say(f"The standard of {whose} is {own}, version {made['version']}.")
