"""Options that many commands share, and how their texts are read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lake.errors import BadInput
from service.cli.questions import COLUMNS_HELP, as_pairs

if TYPE_CHECKING:
    from lake.tables import Lake
    from service.config import Settings

# ruff: noqa: PLC0415 - see service.cli.main

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


def laid_out(
    columns: Sequence[str] | None, units: str = "1", option: str = "--columns", known: Collection[str] = ()
) -> AbstractContextManager[None]:
    """Where tables are shown with the columns of that option, and money in those units; known : as of `display.layout`."""
    from service.rendering import display

    names = [c.strip() for text in columns or () for c in text.split(",") if c.strip()]
    return display.layout(names, units, option, known)


def settings_of(lake: Path | None) -> Settings:
    """The settings, with the lake that was named. A command logs nothing unless it fails: logs are set up then."""
    from service.config import Settings, check_level

    settings = Settings() if lake is None else Settings(lake=lake)
    check_level(settings.log_level)
    return settings


def open_lake(lake: Path | None) -> tuple[Settings, Lake]:
    from lake.tables import Lake

    settings = settings_of(lake)
    return settings, Lake.open(settings.lake)


def as_date(value: str, option: str) -> dt.date:
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise BadInput(f"{option} {value!r} is no date; expected YYYY-MM-DD, such as 2020-03-16.") from None


def as_parameters(pairs: list[str] | None) -> dict[str, Any]:
    """Parameters from name=value texts; a value that begins with [ or { is read as JSON."""
    return as_pairs(pairs or ())
