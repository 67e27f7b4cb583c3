"""Branches: named changes of a book, kept in the lake and read like dates."""

from __future__ import annotations

from typing import Annotated

import typer

from lake.committer import Committer
from service.cli.options import JsonOption, LakeOption, open_lake
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(help="Named changes of a book, kept in the lake and read like dates.", no_args_is_help=True)


@app.command("list")
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
        display.say("There are no branches yet; `varlake branch save NAME ...` makes one.")


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
