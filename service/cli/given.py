"""What was given on the command line, read: the lake, days, parameters, and how tables are laid out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import BadInput

if TYPE_CHECKING:
    from lake.tables import Lake
    from service.config import Settings

# ruff: noqa: PLC0415 - see service.cli.main


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


def show_list(
    told: Any, rows: Sequence[Mapping[str, Any]], json: bool, chosen: Sequence[str] | None, none: str, **table: Any
) -> None:
    """A list that was asked for: as JSON `told`, else its rows as a table with the `chosen` columns, or `none` in words. table : of
    `display.print_table`."""
    from service.rendering import display

    if json:
        display.print_json(told)
    elif rows:
        with laid_out(chosen):
            display.print_table(rows, **table)
    else:
        display.say(none)


def write_file(path: Path, data: bytes, called: str) -> None:
    """Writes a file that was asked for, and says so; `called` is how it was: an option, or an argument."""
    from service.rendering import display

    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadInput(f"{called} {path} cannot be written: {error.strerror or error}. Name another file.") from None
    display.say(f"Wrote {path}")
