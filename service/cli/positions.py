"""Commands about positions that are in the lake."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import JsonOption, LakeOption, as_date, open_lake
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, help="The positions that are in the lake.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The positions that are in the lake."""


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
    versions = trade_history(opened, trade, None if date is None else as_date(date, "--date"))
    display.print_json(versions) if json else tables.show_trade_history(versions)
