"""Branches: named changes of a book, kept in the lake and read like dates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import click
import typer

from service import client
from service.cli.forward import Group, joined
from service.cli.given import open_lake, show_list
from service.cli.options import ColumnsOption, JsonOption, LakeOption
from service.jobs import BRANCH, BRANCH_DELETION
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(
    add_completion=False, help="Named changes of a book, kept in the lake and read like dates.", no_args_is_help=True
)


@app.command("list")
def branch_list_command(
    all_versions: Annotated[bool, typer.Option("--all", help="Every version, deletions too.")] = False,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """The branches: what they stand on, how many trades they add, remove and scale."""
    from valuation.books import branches

    _, opened = open_lake(lake)
    found = branches.all_versions(opened) if all_versions else branches.list_branches(opened)
    rows = [branches.summary(r) for r in found]
    names = ("name", "version", "upon", "positions_date", "adds", "removes", "scales", "created_at", "note")
    none = "There are no branches yet; `varlake branch save NAME ...` makes one."
    show_list(rows, rows, json, columns, none, columns=(*names, "deleted") if all_versions else names)


@app.command("show")
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


@app.command("delete")
def branch_delete_command(
    name: Annotated[str, typer.Argument(help="Name of the branch.")],
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a branch. Its versions stay readable as NAME@1, and branches that stand on it stay as they are."""
    settings, opened = open_lake(lake)
    gone = client.done(settings, opened, "branch delete", BRANCH_DELETION, {"name": name})
    if json:
        display.print_json(gone)
        return
    display.say(f"Deleted branch {name}; it can still be read as {name}@{gone['version'] - 1}.")
    if gone["still_standing_on_it"]:
        display.say(f"These stand on it and stay as they are: {', '.join(gone['still_standing_on_it'])}.")


def save_command() -> click.Command:
    """`varlake branch save`, made from the model of a branch as a question's command is from its own."""
    from aggregation.whatif.save_branch import BranchRequest
    from service.cli.questions import lake_and_json, option_of
    from service.parameters import parameters_of

    parameters = [p for p in parameters_of(BranchRequest) if p.name != "name"]
    file = click.Path(path_type=Path)

    def save(**given: Any) -> None:
        _save(given)

    return click.Command(
        "save",
        callback=save,
        params=[
            click.Argument(["name"]),
            *map(option_of, parameters),
            click.Option(["--answer"], type=file, help="Take the changes from an answer of what-if or limit-hedge."),
            *lake_and_json(),
        ],
        help="Save changes of a book as a branch; its new contracts are valued with it.",
    )


def _save(given: dict[str, Any]) -> None:
    from aggregation.whatif.request import ChangeRequest
    from aggregation.whatif.save_branch import BranchRequest
    from lake.errors import validated
    from service.cli.questions import by_option, given_values
    from service.parameters import assemble, parameters_of

    values = given_values(parameters_of(BranchRequest), given)
    if given["answer"] is not None:
        values = {**_changes_in(given["answer"], list(ChangeRequest.model_fields)), **values}
    settings, opened = open_lake(given["lake"])
    with by_option(BranchRequest):
        request = validated(BranchRequest, {**assemble(BranchRequest, values), "name": given["name"]}, "branch")
    saved = client.done(settings, opened, "branch save", BRANCH, request.model_dump(mode="json"))
    if given["as_json"]:
        display.print_json(saved)
    else:
        display.say(f"Saved as branch {saved['name']}@{saved['version']}; ask with --branch {saved['name']}.")


def _changes_in(file: Path, names: list[str]) -> dict[str, Any]:
    """The changes that an answer tried, or found; raises `BadInput` for a file without any."""
    from lake.errors import BadInput
    from lake.landing.rows import read_rows

    (found,) = read_rows(str(file))[:1] or ({},)
    question = found.get("receipt", {}).get("question", {})
    changes = found.get("changes") or {n: question[n] for n in names if n in question}
    if not changes:
        raise BadInput(f"{file} holds no changes; give an answer of `varlake what-if --json` or `limit-hedge --json`.")
    return {name: changes[name] for name in names if changes.get(name)}


def group() -> click.Group:
    """The group with all of its commands."""
    found = Group("branch", help="Named changes of a book, kept in the lake and read like dates.")
    found.add_command(save_command())
    return joined(found, app)
