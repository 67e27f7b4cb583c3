"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.questions import COLUMNS_HELP

LakeOption = Annotated[
    Path | None, typer.Option("--lake", help="Folder of the lake; default the setting VARLAKE_LAKE.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
DateText = Annotated[str, typer.Option("--as-of", help="Business date, YYYY-MM-DD.")]
ScenarioSetOption = Annotated[str | None, typer.Option("--scenario-set", help="Name or id of a stored scenario set.")]
ParameterOption = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", help="Parameter of the method, name=value; repeatable.")
]

ColumnsOption = Annotated[list[str] | None, typer.Option("--columns", help=COLUMNS_HELP)]
