"""Answers written into a relational database, once or every few minutes."""

from __future__ import annotations

import datetime as dt
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lake.errors import BadInput, NotReady, NotValued
from service.cli.forward import Group
from service.cli.given import open_lake
from service.cli.questions import by_option, given_values, lake_and_json, option_of
from service.ending import at_signals
from service.parameters import assemble, parameters_of
from service.rendering import display

if TYPE_CHECKING:
    from pydantic import BaseModel

    from lake.tables import Lake
    from service.config import Settings
    from service.results_database import Published, ResultsDatabase

# ruff: noqa: PLC0415 - see service.cli.main

PUBLISH = (
    "Write VaR, ES and any other measure of var by node into a relational database, as of now, in one transaction."
)
_OPTIONS = (
    click.Option(
        ["--url"],
        required=True,
        metavar="URL",
        help="Of the database, without a password: postgresql+psycopg://user@host/name, sqlite:///file.db, mysql+pymysql://...",
    ),
    click.Option(
        ["--password-file"],
        type=click.Path(path_type=Path),
        help="File with the password of the database; default the setting VARLAKE_RESULTS_PASSWORD.",
    ),
    click.Option(["--prefix"], default="varlake_", help="What the names of the tables begin with; default varlake_."),
    click.Option(
        ["--every-minutes"],
        type=click.FloatRange(min=0, min_open=True),
        help="Again and again until Ctrl-C, of what the lake then holds; default once.",
    ),
    click.Option(
        ["--retry-seconds"],
        type=click.FloatRange(min=0),
        default=60.0,
        help="So long a database is tried again that is away; default 60.",
    ),
)


def group() -> click.Group:
    """The commands; the options of the figures are those of `varlake var`."""
    from aggregation.questions import question

    found = Group("results", help=__doc__)
    model: type[BaseModel] = question("var").query
    options = [*map(option_of, parameters_of(model)), *_OPTIONS, *lake_and_json()]
    found.add_command(click.Command("publish", callback=_publish, params=[*options], help=PUBLISH))
    return found


def _publish(**given: Any) -> None:
    from aggregation import questions
    from service.results_database import ResultsDatabase

    model: type[BaseModel] = questions.question("var").query
    with by_option(model):
        asked = questions.read("var", assemble(model, given_values(parameters_of(model), given)))
    settings, lake = open_lake(given["lake"])
    database = ResultsDatabase(given["url"], _password(settings, given["password_file"]), prefix=given["prefix"])
    try:
        if given["every_minutes"] is None:
            database.make_tables(retry_seconds=given["retry_seconds"])
            _tell(_once(settings, lake, asked, database, given["retry_seconds"]), given["as_json"])
        else:
            _every(settings, lake, asked, database, given)
    finally:
        database.close()


def _every(settings: Settings, lake: Lake, asked: Any, database: ResultsDatabase, given: dict[str, Any]) -> None:
    """Publishes at every full period since the first; what fails is said, and tried again at the next."""
    stop, period, made = threading.Event(), given["every_minutes"] * 60, False
    with at_signals(lambda _: stop.set()):
        next_at = time.monotonic()
        while not stop.is_set():
            try:
                if not made:
                    database.make_tables(retry_seconds=min(period, given["retry_seconds"]))
                    made = True
                _tell(
                    _once(settings, lake, asked, database, min(period, given["retry_seconds"]), stop), given["as_json"]
                )
            except (NotReady, NotValued) as error:
                display.say(f"Not published: {error.message}")
            next_at += period * max(1, -(-(time.monotonic() - next_at) // period))
            stop.wait(max(0.0, next_at - time.monotonic()))


def _once(
    settings: Settings,
    lake: Lake,
    asked: Any,
    database: ResultsDatabase,
    retry_seconds: float,
    stop: threading.Event | None = None,
) -> Published:
    from aggregation import questions
    from aggregation.session import Session
    from service import operations

    session = Session(lake, operations.vector_cache(settings, lake), spark=operations.spark_of(settings))
    at = dt.datetime.now(dt.UTC).replace(microsecond=0)
    answer = questions.ask(session, "var", questions.settled(session, asked))
    wait = time.sleep if stop is None else stop.wait
    return database.publish(answer, at, retry_seconds=retry_seconds, wait=wait)


def _password(settings: Settings, file: Path | None) -> str | None:
    if file is None:
        return settings.results_password
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"--password-file {file} cannot be read: {getattr(error, 'strerror', None) or 'no text'}."
        ) from None


def _tell(done: Published, as_json: bool) -> None:
    if as_json:
        display.print_json(done.to_dict())
        return
    tries = f" at attempt {done.attempts}" if done.attempts > 1 else ""
    display.say(
        f"Published {done.figures:,} figures as of {done.at:%Y-%m-%d %H:%M:%S} UTC{tries}; receipt {done.receipt_digest}."
    )
