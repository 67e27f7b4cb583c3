"""What the command line prints: tables on stdout, everything else on stderr; JSON instead where asked."""

from __future__ import annotations

import dataclasses
import datetime as dt
import html
import importlib
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from lake.errors import MOST_ISSUES, VarlakeError, counted, unknown
from lake.progress import Progress as ProgressCallback
from lake.progress import silent
from scenarios.types import days_left_out, factors_left_out

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # but for tabs and ends of lines
ALL = "all"  # columns, by this one name
UNITS = {"1": (1.0, 0), "thousand": (1e3, 1), "million": (1e6, 2)}  # of money: divisor and decimals
_GAP = "  "  # between columns
_NARROWEST = 20  # characters that a line has at least
_NAMED = 8  # columns left out that are named
_RIGHT = (int, float, np.integer, np.floating)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """How the tables of an answer are laid out. columns : those asked for; none for those that fit. option : its option.
    seen : the columns of the tables. held : what is printed once it is known that the columns are there.
    """

    columns: tuple[str, ...] = ()
    unit: str = "1"
    option: str = ""
    seen: dict[str, None] = dataclasses.field(default_factory=dict)
    held: list[tuple[Console, Text]] = dataclasses.field(default_factory=list)


_LAYOUT: ContextVar[_Layout | None] = ContextVar("layout", default=None)


@contextmanager
def layout(columns: Sequence[str], unit: str, option: str, known: Collection[str] = ()) -> Iterator[None]:
    """What is shown inside has these columns and this unit of money, and is printed at the end.

    Raises `BadInput`, and prints nothing, where no table has a column; of one that is `known` it says that none has it today.
    """
    asked = _Layout(tuple(columns), unit, option)
    token = _LAYOUT.set(asked)
    try:
        yield
    finally:
        _LAYOUT.reset(token)
    valid = (*asked.seen, *known, ALL)
    for column in columns:
        if column not in valid:
            raise unknown("column", column, valid, pointer=option)
    for console, content in asked.held:
        console.print(content)
    if empty := [c for c in columns if c not in (*asked.seen, ALL)]:
        _print(f"No table has rows with {', '.join(empty)} today.", "dim")


def _print(content: str | Text, style: str = "", *, error: bool = False) -> None:
    """At once, or at the end of the layout."""
    asked, console = _LAYOUT.get(), stderr() if error else stdout()
    # names in a lake may hold what a terminal would obey, and `Text` leaves some of it out
    lines = content if isinstance(content, Text) else Text(folded(printable(content), line_width(console.file)), style)
    if asked is None:
        console.print(lines)
    else:
        asked.held.append((console, lines))


def line_width(stream: Any) -> int | None:
    """Characters of a line: of the terminal, or as COLUMNS says; None in a file or a pipe, where nothing is left out."""
    if not (os.environ.get("COLUMNS") or stream.isatty()):
        return None
    return max(shutil.get_terminal_size().columns, _NARROWEST)


def folded(content: str, width: int | None, indent: int = 0) -> str:
    """Lines that are too long over several, between words; those that follow are indented."""
    if width is None:
        return content
    fill = textwrap.TextWrapper(width, subsequent_indent=" " * indent, break_on_hyphens=False)
    return "\n".join(line if cell_len(line) <= width else fill.fill(line) for line in content.split("\n"))


def stdout() -> Console:
    return Console(highlight=False, soft_wrap=True)


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
    about = [receipt["method"], *([counted(days, "day")] if days else []), *([window] if window else [])]
    at = f" at {receipt['market_date']}" if day else ""
    return f"{counted(count, 'scenario')} of {receipt['scenario_set_name']} ({', '.join(about)}){at}{apart(receipt)}"


def scenario_lines(receipt: Mapping[str, Any]) -> list[str]:
    """As `scenarios_of`, of all points that an answer rests on; of more than two without their days."""
    from aggregation.receipts import parts_of  # noqa: PLC0415 - there already where there is an answer

    parts = [part for part in parts_of(receipt) if {"scenario_set_name", "scenario_count"} <= part.keys()]
    lines = dict.fromkeys(map(scenarios_of, parts))
    return list(lines if len(lines) <= 2 else dict.fromkeys(scenarios_of(p, day=False) for p in parts))


def covered(coverage: Any) -> str:
    """How many positions a number rests on."""
    return f"{coverage.covered:,} of {counted(coverage.positions, 'position')} covered ({coverage.status})"


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
    first: Sequence[str] = (),
    money: Collection[str] = (),
) -> None:
    """Rows as a table; `last` is a total below them.

    first : the columns that stay longest where not all fit, the most important first; then the others in their order. Those that
    are left out are named below. money : the columns in the unit of money. Where the first figure does not fit, or a column that
    was asked for, a row takes a line for each of its columns.
    """
    asked, width = _LAYOUT.get() or _Layout(), line_width(sys.stdout)
    everything = [*rows, *([] if last is None else [last])]
    held = dict.fromkeys(c for row in everything[:1] + everything[-1:] for c in row)
    columns = list(columns or held)
    asked.seen.update(dict.fromkeys((*columns, *held)))
    columns += [c for c in asked.columns if c in held and c not in columns]  # that a table has, and shows where asked
    cells = {c: [cell(r.get(c), c in money).replace("\n", " ") for r in everything] for c in columns}
    if last is not None:
        for c in (c for c in columns if last.get(c) is None):
            cells[c][-1] = ""
    right = {c for c in columns if any(isinstance(r.get(c), _RIGHT) for r in everything)}
    heads = {c: printable(c) for c in columns}
    size = {c: max(map(cell_len, (heads[c], *cells[c]))) for c in columns}
    _print_title(title, not right.isdisjoint(money))
    named = columns if ALL in asked.columns else [c for c in asked.columns if c in columns]
    shown = named or columns
    if width is not None and _wide(size[c] for c in shown) > width:
        order = [*(c for c in first if c in columns), *(c for c in columns if c not in first)]
        kept: list[str] = []
        for c in order:
            if _wide(size[k] for k in (*kept, c)) <= width:
                kept.append(c)
        needed = next((i for i, c in enumerate(order) if c in right), 0) + 1
        if named or kept[:needed] != order[:needed]:
            _print("\n\n".join(_pairs({heads[c]: cells[c][i] for c in shown}, width) for i in range(len(everything))))
            return
        shown = [c for c in columns if c in kept]

    def line(values: Iterable[str]) -> str:
        padded = []
        for c, value in zip(shown, values, strict=True):
            space = " " * (size[c] - cell_len(value))
            padded.append(space + value if c in right else value + space)
        return _GAP.join(padded).rstrip()

    lines = [Text(line(heads[c] for c in shown), "bold")]
    lines += [Text(line(cells[c][i] for c in shown), "bold" if i == len(rows) else "") for i in range(len(everything))]
    _print(Text("\n").join(lines))
    left = [c for c in columns if c not in shown]
    if left and not named:
        names = ", ".join(left[:_NAMED]) + (f" and {len(left) - _NAMED} more" if len(left) > _NAMED else "")
        way = f"{asked.option} all shows them" if asked.option else "a wider terminal, a file and --json have them"
        _print(f"Left out at a width of {width}: {names}; {way}.", "dim")


def _print_title(title: str, money: bool) -> None:
    """The title, with the unit of money where it is not one."""
    asked = _LAYOUT.get() or _Layout()
    unit = f"(money in {asked.unit}s)" if money and asked.unit != "1" else ""
    if title or unit:
        _print(f"{title} {unit}".strip(), "bold")


def _wide(sizes: Iterable[int]) -> int:
    """Characters of columns beside each other."""
    every = list(sizes)
    return sum(every) + len(_GAP) * (len(every) - 1)


def cell(value: Any, money: bool = True) -> str:
    """As `text`; money in the unit that was asked for."""
    asked = _LAYOUT.get() or _Layout()
    if not money or asked.unit == "1" or isinstance(value, bool) or not isinstance(value, _RIGHT):
        return text(value)
    divisor, decimals = UNITS[asked.unit]
    return f"{float(value) / divisor:z,.{decimals}f}"


def print_pairs(pairs: Mapping[str, Any], *, title: str = "", money: Collection[str] = ()) -> None:
    """Name and value, one pair a line; money : the names of those in the unit of money."""
    _print_title(title, not pairs.keys().isdisjoint(money))
    if pairs:
        _print(_pairs({printable(k): cell(v, k in money) for k, v in pairs.items()}, line_width(sys.stdout)))


def _pairs(pairs: Mapping[str, str], width: int | None) -> str:
    longest = max(map(cell_len, pairs))
    indent = longest + 2 * len(_GAP)
    hanging = indent if width is None or indent <= width // 2 else len(_GAP)
    lines = (f"{_GAP}{k}{' ' * (longest - cell_len(k))}{_GAP}{v}" for k, v in pairs.items())
    return "\n".join(folded(line, width, hanging) for line in lines)


def print_text(content: str, indent: int = 0) -> None:
    """Lines that are laid out already; those that are too long go on indented."""
    _print(Text(folded(printable(content), line_width(sys.stdout), indent)))


def print_json(value: Any, indent: int | None = 2) -> None:
    """As JSON; without an indent in one line."""
    said = json.dumps(value, indent=indent, ensure_ascii=False, default=_json)
    # those below a space are escaped already; and what reads it as JSON reads the same text
    said = _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", said)
    stdout().print(Text(said), soft_wrap=True)


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
    _print(message, error=True)


def print_error(error: VarlakeError) -> None:
    _print(f"Error: {error.message}", "red", error=True)
    untold = error.untold()
    for issue in untold[:MOST_ISSUES]:
        said = issue.value is None or re.search(rf"(?<!\w){re.escape(issue.value)}(?!\w)", issue.message)
        given = "" if said else f" (given {issue.value})"
        valid = ", ".join(issue.allowed)
        allowed = f"; allowed: {valid}" if valid and valid not in issue.message else ""
        say(f"  {issue.pointer.strip('/')}: {issue.message}{given}{allowed}")
    if len(untold) > MOST_ISSUES:
        say(f"  ... and {len(untold) - MOST_ISSUES:,} more")


@contextmanager
def progress_bar(label: str) -> Iterator[ProgressCallback]:
    """A callback (stage, done, total) drawn as a bar in a notebook, on stderr when it is a terminal, and else silent."""
    console = stderr()
    if console.is_jupyter:
        yield from _notebook_bar(label)
        return
    if not console.is_terminal:
        yield silent
        return
    from rich import progress  # noqa: PLC0415 - only a terminal has bars

    columns = (
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=None)

        def update(stage: str, done: int, total: int) -> None:
            bar.update(task, description=f"{label}: {stage}", completed=done, total=total)

        yield update


def _notebook_bar(label: str) -> Iterator[ProgressCallback]:
    """As `progress_bar`; the bar is the browser's own, and is gone at the end."""
    notebook: Any = importlib.import_module("IPython.display")  # there where a notebook is
    shown: Any = None
    drawn = ""

    def update(stage: str, done: int, total: int) -> None:
        nonlocal shown, drawn
        shown = shown or notebook.display(notebook.HTML(""), display_id=True)
        bar = f'<progress value="{done}" max="{max(total, 1)}"></progress> {done:,} of {total:,}'
        wanted = f"{html.escape(f'{label}: {stage}')} {bar}"
        if wanted != drawn:
            drawn = wanted
            shown.update(notebook.HTML(wanted))

    try:
        yield update
    finally:
        if shown:
            shown.update(notebook.HTML(""))
