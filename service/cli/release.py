"""Results that dashboards read: figures of kept answers, released, and restated with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lake.errors import counted, validated
from service import client
from service.cli.given import as_date, open_lake, show_list
from service.cli.options import ColumnsOption, JsonOption, LakeOption
from service.jobs import RELEASE
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@app.command("answer")
def release_answer_command(
    answer: Annotated[Path, typer.Argument(help="JSON file: an answer of var or series, or its receipt.")],
    released_by: Annotated[str, typer.Option("--released-by", help="Who releases it.")],
    reason: Annotated[
        str, typer.Option("--reason", help="Why; needed where a figure was released as another number.")
    ] = "",
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Release the figures of a kept answer to the table released_results; only what replays bit for bit is released."""
    from aggregation.release import ReleaseRequest
    from aggregation.replay import read_kept

    given = {"answer": dict(read_kept(answer)), "released_by": released_by, "reason": reason}
    request = validated(ReleaseRequest, given, "release")
    settings, opened = open_lake(lake)
    done = client.done(settings, opened, "release", RELEASE, request.model_dump(mode="json"))
    if json:
        display.print_json(done)
        return
    if done["restatements"]:
        display.print_table(done["restatements"], list(done["restatements"][0]), title="Restated")
    dates = done["dates"]
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    display.say(
        f"Released {counted(done['new'], 'new figure')} of {days}; {done['restated']:,} restated, "
        f"{done['unchanged']:,} unchanged."
    )


@app.command("list")
def release_list_command(
    date: Annotated[str, typer.Argument(help="Date of the figures, YYYY-MM-DD.")],
    every: Annotated[bool, typer.Option("--every", help="Earlier releases too.")] = False,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """The figures released of a date, by node; the newest release of each."""
    from aggregation.change.released import released_of

    _, opened = open_lake(lake)
    day = as_date(date, "DATE")
    rows = released_of(opened, day, every=every).to_pylist()
    first = ("node", "figure", "value", "release", "released_by", "released_at", "reason")
    none = f"Nothing is released of {day}."
    show_list(rows, rows, json, columns, none, title=f"Released of {day}", first=first)
