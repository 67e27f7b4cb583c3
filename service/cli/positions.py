"""Positions made of orders."""

from __future__ import annotations

from typing import Any

import click

from lake.errors import validated
from service.cli import client
from service.cli.forward import Group
from service.cli.options import open_lake
from service.cli.questions import given_values, lake_and_json, option_of
from service.jobs import NETTING
from service.parameters import parameters_of
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

NET = "Net all orders executed up to an instant to the positions of a date; what was netted to it before goes."


def group() -> click.Group:
    """The commands; the options of netting are the fields of its request."""
    from valuation.books.orders import NettingRequest

    found = Group("positions", help=__doc__)
    options = [*map(option_of, parameters_of(NettingRequest)), *lake_and_json()]
    found.add_command(click.Command("net", callback=_net, params=[*options], help=NET))
    return found


def _net(**given: Any) -> None:
    from valuation.books.orders import NettingRequest

    values = given_values(parameters_of(NettingRequest), given)
    request = validated(NettingRequest, values, "netting")
    settings, opened = open_lake(given["lake"])
    told = client.done(settings, opened, "positions net", NETTING, request.model_dump(mode="json"))
    if given["as_json"]:
        display.print_json(told)
        return
    display.print_table([{k: v for k, v in told.items() if k != "notes"}])
    for note in told["notes"]:
        display.say(f"Note: {note}")
