"""Commands about positions that are in the lake: the versions of a trade, and books netted from orders."""

from __future__ import annotations

from typing import Annotated, Any

import click
import typer

from lake.errors import validated
from service import client
from service.cli.forward import Group, joined
from service.cli.given import as_date, open_lake
from service.cli.options import JsonOption, LakeOption
from service.cli.questions import by_option, given_values, lake_and_json, option_of
from service.jobs import NETTING
from service.parameters import parameters_of
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, help="The positions that are in the lake.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, whatever number of commands it has."""


@app.command("history")
def history_command(
    trade: Annotated[str, typer.Argument(help="Id of the trade.")],
    date: Annotated[str | None, typer.Option("--date", help="Only in the book of this date.")] = None,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """The versions of a trade: when it was loaded, from which file, what changed."""
    from service.rendering import tables
    from valuation.books.trade_history import trade_history

    _, opened = open_lake(lake)
    found = trade_history(opened, trade, None if date is None else as_date(date, "--date"))
    display.print_json(found) if json else tables.show_trade_history(found)


NET = "Net all orders executed up to an instant to the positions of a date; what was netted to it before goes."


def group() -> click.Group:
    """The commands; the options of netting are the fields of its request."""
    from valuation.books.orders import NettingRequest

    found = Group("positions", help=__doc__)
    options = [*map(option_of, parameters_of(NettingRequest)), *lake_and_json()]
    found.add_command(click.Command("net", callback=_net, params=[*options], help=NET))
    return joined(found, app)


def _net(**given: Any) -> None:
    from valuation.books.orders import NettingRequest

    values = given_values(parameters_of(NettingRequest), given)
    with by_option(NettingRequest):
        request = validated(NettingRequest, values, "netting")
    settings, opened = open_lake(given["lake"])
    told = client.done(settings, opened, "positions net", NETTING, request.model_dump(mode="json"))
    if given["as_json"]:
        display.print_json(told)
        return
    display.print_table([{k: v for k, v in told.items() if k != "notes"}])
    for note in told["notes"]:
        display.say(f"Note: {note}")
