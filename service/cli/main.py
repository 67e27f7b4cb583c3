"""The command line: one command a question, made from QUESTIONS, and the commands that are none.

`--json` gives an answer as data. Nothing that a command does not need is imported for it.
"""

from __future__ import annotations

import importlib
import os
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from lake.errors import VarlakeError, of_disk
from lake.words import clause
from service.cli.forward import Group, forwarded
from service.ending import GRACE_SECONDS, Signalled, at_signals, end_descendants

# ruff: noqa: PLC0415 - see above

# commands that are no questions: a group or a command of a Typer application, and what it is for
OTHERS = {
    "doctor": ("commands:app", "Say what is here (Java, Spark, memory, cores, lake, Delta jars) and what is missing."),
    "demo": ("commands:app", "The main job from files to answers, on sample or real market data."),
    "lake": ("lake:app", "Say what the lake holds; verify, clean and compact it."),
    "dimensions": ("commands:app", "What the book of a date can be grouped and filtered by."),
    "sample": ("ingest:sample_app", "Write sample files, as a user would bring them."),
    "ingest": ("ingest:group", "Bring files into the lake: market data, positions, P&L, hierarchies and more."),
    "positions": ("positions:group", "The versions of a trade, and the positions of an instant, netted from orders."),
    "feed": ("feed:app", "Orders that arrive while the day runs, and how far each feed has come."),
    "live": ("live:group", "VaR of the day as orders and prices come in, and snapshots of it."),
    "market": ("market:app", "Market data: the values that gates hold, and the versions of a value."),
    "scenarios": ("scenarios:app", "Make, look at and carry scenario sets."),
    "standard": (
        "standard:app",
        "The scenarios and the currency of a question that names none, of the lake and of desks.",
    ),
    "value": ("commands:app", "Value every contract held on a date under every scenario; what is known is reused."),
    "branch": ("branches:group", "Named changes of a book, kept in the lake and read like dates."),
    "check": ("check:app", "Hold the value of each trade against another system's."),
    "replay": ("commands:app", "Recompute an answer from its receipt and compare the bits."),
    "release": ("release:app", "Release the figures of a kept answer to the table that dashboards read."),
    "results": ("publish:group", "Write answers into a relational database, once or every few minutes."),
    "audit": ("audit:app", "What was done to the lake, by whom, and whether that record is whole."),
    "proposals": ("proposals:app", "What waits for the approval of another: list, look at, approve, reject, withdraw."),
    "excel-template": ("excel_template:app", "Write a workbook that makes the address of every question, for Excel."),
    "mcp": ("mcp:app", "Answer agents over the Model Context Protocol: the questions as tools that only read."),
    "jobs": ("engine_jobs:app", "The jobs of the engine: list, look at, cancel."),
    "users": ("users:app", "Who may ask over HTTP, in which role, and what each sees."),
    "tokens": ("tokens:app", "Personal access tokens: make, list, revoke."),
    "serve": ("commands:app", "Serve the HTTP API, with the engine beside it."),
    "engine": ("commands:app", "Run the engine: takes jobs from the job table, one engine a lake."),
    "bench": ("bench:app", "Measure speed against stated limits and peers."),
    "version": ("commands:app", "Print the version."),
}


class _Varlake(Group):
    """The questions and the other commands; each is looked up when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from aggregation.questions import QUESTIONS

        return [*QUESTIONS, *OTHERS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from aggregation.questions import QUESTIONS

        if name in QUESTIONS:
            from lake.runtime.arrow import load_without_pandas

            load_without_pandas()
            from service.cli.questions import command

            return command(name)
        return _other(name) if name in OTHERS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from aggregation.questions import QUESTIONS

        for title, rows in (
            ("Questions", [(name, entry.meaning) for name, entry in QUESTIONS.items()]),
            ("Other commands", [(name, meaning) for name, (_, meaning) in OTHERS.items()]),
        ):
            with formatter.section(title):
                formatter.write_dl(rows)


def _other(name: str) -> click.Command:
    """A command that is no question."""
    place, meaning = OTHERS[name]
    module, _, attribute = place.partition(":")

    def found() -> Any:
        return getattr(importlib.import_module(f"service.cli.{module}"), attribute)

    if attribute == "group":
        group: click.Group = found()()
        return group
    return forwarded(name, found, (name,) if module == "commands" else (), meaning)


app = _Varlake(
    "varlake",
    help="On-demand Value-at-Risk: value contracts once, net positions at query time.",
    no_args_is_help=True,
    context_settings={"max_content_width": 120},
)


def main() -> None:
    """Entry point: errors a user can mend are told in words with their exit code, others with an id; never as a trace."""
    try:
        with _stopped_in_time():
            app(prog_name="varlake")
    except BrokenPipeError:
        # the reader went away (as with `| head`); Python's own flush at exit must find somewhere to write
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Signalled as stopped:
        print("Stopped.", file=sys.stderr)  # noqa: T201 - nothing else may be loaded yet
        sys.exit(128 + stopped.number)
    except Exception as error:
        told = error if isinstance(error, VarlakeError) else of_disk(error)
        if told is None:
            _unexpected(error)
            sys.exit(70)
        from service.jobs import Proposed
        from service.rendering import display

        display.say(told.message) if isinstance(told, Proposed) else display.print_error(told)
        sys.exit(told.exit_code)


@contextmanager
def _stopped_in_time() -> Iterator[None]:
    """SIGINT and SIGTERM raise `Signalled`; what does not end by itself then is left with its process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int) -> None:
        raise Signalled(number)

    def leave(number: int) -> None:
        time.sleep(GRACE_SECONDS)
        end_descendants()
        os.write(2, b"Stopped.\n")
        os._exit(128 + number)

    heeded = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]  # as behind an `&`
    with at_signals(leave, stop, heeded):
        yield


def _unexpected(error: Exception) -> None:
    import structlog

    from service.config import Settings
    from service.process import configure_logs
    from service.rendering import display

    configure_logs(Settings().log_level)
    identifier = secrets.token_hex(4)
    trace = os.environ.get("VARLAKE_LOG_LEVEL", "").upper() == "DEBUG"
    structlog.get_logger().error("unexpected", id=identifier, kind=type(error).__name__, exc_info=trace)
    first_line = re.split(r"[\r\n]", str(error), maxsplit=1)[0][:300]
    display.say(
        f"Unexpected error {identifier}: {type(error).__name__}: {clause(first_line)}. Run again with VARLAKE_LOG_LEVEL=DEBUG for "
        "its trace."
    )
