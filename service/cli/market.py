"""Market data: what a value was, when it was stored, by which file and run."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import ColumnsOption, JsonOption, LakeOption, as_date, laid_out, open_lake
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@app.callback()
def _market() -> None:
    """A group, whatever number of commands it has."""


@app.command("history")
def market_history_command(
    factor: Annotated[str, typer.Argument(help="Risk factor, such as EQ:AAPL.")],
    date: Annotated[str, typer.Argument(help="Date of the value, YYYY-MM-DD.")],
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """The versions of a value, oldest first: what it was, when it was stored, by which file and run."""
    from scenarios.market.value_versions import value_versions

    _, opened = open_lake(lake)
    rows, notes = value_versions(opened, factor, as_date(date, "DATE"))
    told = rows.to_pylist()
    if json:
        display.print_json({"risk_factor_id": factor, "as_of_date": date, "versions": told, "notes": notes})
        return
    with laid_out(columns):
        first = ("version", "stored_at", "change", "value_used", "file")
        for row in told:  # a level is shown to its last digit
            row |= {n: None if row[n] is None else repr(row[n]) for n in ("value_used", "value_received")}
        display.print_table(told, rows.column_names, title=f"{factor} on {date}", first=first)
    for note in notes:
        display.say(f"Note: {note}")
