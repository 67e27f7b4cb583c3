"""Commands about scenarios: make, look at, check, compare, carry in and out; and stress tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lake.errors import validated
from service import display
from service.cli_options import (
    DateText,
    JsonOption,
    LakeOption,
    ParameterOption,
    as_date,
    as_parameters,
    open_lake,
)

if TYPE_CHECKING:
    from lake.tables import Lake

# ruff: noqa: PLC0415 - see service.cli

scenarios_app = typer.Typer(help="Make, look at and carry scenario sets.", no_args_is_help=True)
stress_app = typer.Typer(help="Stress tests: P&L under chosen scenarios.", invoke_without_command=True)


@scenarios_app.command("build")
def scenarios_build(
    as_of: DateText,
    method: Annotated[str, typer.Option("--method", help="Scenario method.")] = "historical",
    parameter: ParameterOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the set; default from method and size.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Make and store a scenario set."""
    from scenarios.store import save_scenario_set
    from service import operations

    _, opened = open_lake(lake)
    request = validated(
        operations.ScenarioRequest,
        {"method": method, "parameters": as_parameters(parameter), "name": name},
        "scenario request",
    )
    with opened.writer("varlake scenarios build") as committer:
        made = operations.make_scenario_set(opened.snapshot(), as_date(as_of, "--as-of"), request)
        stored = save_scenario_set(committer, made)
    _show_scenario_set(opened, stored.scenario_set_id, json)


@scenarios_app.command("list")
def scenarios_list(lake: LakeOption = None, json: JsonOption = False) -> None:
    """List the stored scenario sets."""
    from scenarios.store import list_scenario_sets

    _, opened = open_lake(lake)
    rows = list_scenario_sets(
        opened,
        (
            "scenario_set_id",
            "name",
            "version",
            "method",
            "market_date",
            "horizon_days",
            "factors_shocked",
            "synthetic",
            "created_at",
        ),
    ).to_pylist()
    display.print_json(rows) if json else display.print_table(rows, title=f"{len(rows)} scenario sets")


@scenarios_app.command("show")
def scenarios_show(
    name_or_id: Annotated[str, typer.Argument(help="Name or id of the set.")],
    as_of: Annotated[str | None, typer.Option("--as-of", help="Market date, for a name.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Show a scenario set: definition, window, what was excluded, held, dropped and proxied, and why."""
    from scenarios.store import find_scenario_set

    _, opened = open_lake(lake)
    row = find_scenario_set(opened, name_or_id, as_date(as_of, "--as-of") if as_of else None)
    _show_scenario_set(opened, row["scenario_set_id"], json)


def _show_scenario_set(opened: Lake, scenario_set_id: str, json: bool) -> None:
    from scenarios.store import load_scenario_set

    s = load_scenario_set(opened, scenario_set_id)
    facts = {
        "scenario_set": s.scenario_set_id,
        "name": s.name,
        "version": s.version,
        "method": s.method,
        "market_date": s.market_date,
        "scenarios": s.n_scenarios,
        "window": f"{s.labels[0]} to {s.labels[-1]}",
        "horizon_days": s.horizon_days,
        "factors": len(s.index.factors),
        "synthetic": s.synthetic,
    }
    if json:
        display.print_json(
            {
                **facts,
                "definition": s.definition,
                "labels": s.labels,
                "excluded": s.excluded,
                "held": s.held,
                "dropped": s.dropped,
                "proxied": s.proxied,
                "holidays": s.holidays,
                "fitted": s.fitted,
            }
        )
        return
    display.print_pairs(facts, title=f"Scenario set {s.name}")
    for what, entries in (
        ("excluded factors", s.excluded),
        ("held base levels", s.held),
        ("dropped days", s.dropped),
        ("proxied factors", s.proxied),
        ("days with a market closed", s.holidays),
        ("fitted or unscaled factors", s.fitted),
    ):
        if entries:
            display.print_pairs(entries, title=f"{len(entries)} {what}")
