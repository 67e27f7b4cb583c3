"""The workbook that asks questions, written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lake.errors import BadInput
from service.cli.given import open_lake
from service.cli.options import LakeOption
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("excel-template")
def excel_template_command(
    file: Annotated[Path, typer.Argument(help="Workbook to write, such as varlake-template.xlsx.")],
    address: Annotated[
        str, typer.Option("--address", help="Where varlake answers whoever opens the workbook.")
    ] = "http://127.0.0.1:8050",
    lake: LakeOption = None,
) -> None:
    """Write a workbook whose formulas make the address of every question from a sheet of parameters."""
    from aggregation.session import reading
    from service.choices import choices
    from service.excel import template
    from service.operations import vector_cache

    settings, opened = open_lake(lake)
    made = template(address, choices(reading(opened, vector_cache(settings, opened))))
    try:
        file.write_bytes(made)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror or error}. Name another file.") from None
    display.say(f"Wrote {file}")
