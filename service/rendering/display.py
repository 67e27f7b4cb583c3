"""What the command line prints: tables on stdout, everything else on stderr; JSON instead where asked."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lake.errors import VarlakeError
from lake.progress import Progress as ProgressCallback
from lake.progress import silent
from scenarios.types import days_left_out, factors_left_out

PLAIN_WIDTH = 240
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # but for tabs and ends of lines
_RIGHT = (int, float, np.integer, np.floating)


def stdout() -> Console:
    """Wide on a narrow terminal too: a number that wraps can be read, one that is cut off cannot."""
    console = Console(highlight=False)
    return console if console.width >= PLAIN_WIDTH else Console(highlight=False, width=PLAIN_WIDTH)


def stderr() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def text(value: Any) -> str:
    """A cell: thousands separated, money without decimals from a thousand on, missing as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        number = float(value) + 0.0  # a negative zero is zero
        return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:,.4g}"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, Mapping | list | tuple):
        return (
            ", ".join(f"{k}={text(v)}" for k, v in value.items())
            if isinstance(value, Mapping)
            else ", ".join(map(text, value))
        )
    return printable(str(value))


def printable(said: str) -> str:
    """The text with its control characters, which a terminal would obey, as they are escaped in Python."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), said)


def scenarios_of(receipt: Mapping[str, Any], *, day: bool = True) -> str:
    """The scenarios behind an answer: how many, of which set, method, horizon and window, and whether they are the standard."""
    count, days, window = receipt["scenario_count"], receipt["horizon_days"], receipt.get("window") if day else None
    about = [receipt["method"], *([f"{days} day{'s' * (days != 1)}"] if days else []), *([window] if window else [])]
    at = f" at {receipt['market_date']}" if day else ""
    return f"{count:,} scenario{'s' * (count != 1)} of {receipt['scenario_set_name']} ({', '.join(about)}){at}{apart(receipt)}"


def scenario_lines(receipt: Mapping[str, Any]) -> list[str]:
    """As `scenarios_of`, of all points that an answer rests on; of more than two without their days."""
    from aggregation.receipts import parts_of  # noqa: PLC0415 - there already where there is an answer

    parts = [part for part in parts_of(receipt) if {"scenario_set_name", "scenario_count"} <= part.keys()]
    lines = dict.fromkeys(map(scenarios_of, parts))
    return list(lines if len(lines) <= 2 else dict.fromkeys(scenarios_of(p, day=False) for p in parts))


def apart(receipt: Mapping[str, Any]) -> str:
    """Says of an answer from other scenarios than the standard's that it is; nothing of one that is from those."""
    standard = (receipt.get("standard") or {}).get("scenario_set")
    if standard is None or standard == receipt["scenario_set_name"]:
        return ""
    return f", not the standard {standard}"


def heading(query: Any, receipt: Mapping[str, Any]) -> str:
    """The day and the currency of an answer; and horizon, set and method of scenarios that are not the standard."""
    about = ""
    if apart(receipt):
        days = f"{receipt['horizon_days']} days, " if receipt["horizon_days"] > 1 else ""
        about = f", {days}{receipt['scenario_set_name']} ({receipt['method']})"
    return f"{query.as_of} in {query.currency}{about}"


def print_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | None = None,
    *,
    title: str = "",
    last: Mapping[str, Any] | None = None,
) -> None:
    """Rows as a table; `last` is a total below a line."""
    columns = list(columns or (rows[0] if rows else last or {}))
    table = Table(
        title=title or None, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    everything = [*rows, *([last] if last is not None else [])]
    for column in columns:
        numeric = any(isinstance(r.get(column), _RIGHT) for r in everything)
        table.add_column(printable(column), justify="right" if numeric else "left", no_wrap=True, overflow="ellipsis")
    for i, row in enumerate(rows):
        table.add_row(*(Text(text(row.get(c))) for c in columns), end_section=last is not None and i == len(rows) - 1)
    if last is not None:
        table.add_row(*(Text(text(last.get(c)) if last.get(c) is not None else "") for c in columns), style="bold")
    stdout().print(table)


def print_pairs(pairs: Mapping[str, Any], *, title: str = "") -> None:
    """Name and value, one pair a line."""
    out = stdout()
    if title:
        out.print(Text(title, style="bold"))
    width = max((len(k) for k in pairs), default=0)
    for name, value in pairs.items():
        out.print(Text(f"  {printable(name):<{width}}  {text(value)}"))


def print_json(value: Any) -> None:
    stdout().print(Text(json.dumps(value, indent=2, ensure_ascii=False, default=_json)), soft_wrap=True)


def _json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    return str(value)


def say_left_out(dropped: Mapping[str, str], excluded: Mapping[str, str]) -> None:
    """The days and risk factors that are not in a scenario set, with the reasons."""
    for line in (*days_left_out(dropped), *factors_left_out(excluded)):
        say(f"Note: {line}")


def say(message: str) -> None:
    """A word to the person, on stderr, so that stdout stays the answer alone."""
    stderr().print(Text(printable(message)))


def print_error(error: VarlakeError) -> None:
    console = stderr()
    console.print(Text(printable(f"Error: {error.message}"), style="red"))
    for issue in error.issues[:50]:
        if issue.message not in error.message:
            said = issue.value is None or re.search(rf"(?<!\w){re.escape(issue.value)}(?!\w)", issue.message)
            given = "" if said else f" (given {issue.value})"
            allowed = f"; allowed: {', '.join(issue.allowed)}" if issue.allowed else ""
            console.print(Text(printable(f"  {issue.pointer}: {issue.message}{given}{allowed}")))
    if len(error.issues) > 50:
        console.print(Text(f"  ... and {len(error.issues) - 50} more"))


@contextmanager
def progress_bar(label: str) -> Iterator[ProgressCallback]:
    """A callback (stage, done, total) drawn as a bar on stderr when it is a terminal, and silent when not."""
    console = stderr()
    if not console.is_terminal:
        yield silent
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=None)

        def update(stage: str, done: int, total: int) -> None:
            bar.update(task, description=f"{label}: {stage}", completed=done, total=total)

        yield update
