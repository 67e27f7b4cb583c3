"""The workbook that asks questions, written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.given import open_lake, write_file
from service.cli.options import LakeOption

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
    write_file(file, made, "FILE")
