"""The jobs of the engine: what waits, runs and has ended, and how one is cancelled."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from lake.errors import unknown
from service.cli.given import open_lake, show_list
from service.cli.options import ColumnsOption, JsonOption, LakeOption
from service.jobs import STATES, Job, JobTable
from service.rendering import display

app = typer.Typer(add_completion=False, help=__doc__, invoke_without_command=True)
JobArgument = Annotated[str, typer.Argument(help="Id of the job.")]


@app.callback()
def jobs_command(
    context: typer.Context,
    state: Annotated[str | None, typer.Option("--state", help=f"Only jobs that are {', '.join(STATES)}.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="So many jobs at most.")] = 20,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """List the jobs of the engine, newest first."""
    if context.invoked_subcommand is not None:
        return
    if state is not None and state not in STATES:
        raise unknown("state", state, STATES, pointer="--state")
    found = _table(lake).newest(state, limit)
    told, rows = [job.to_dict() for job in found], [_row(job) for job in found]
    show_list(told, rows, json, columns, "There are no jobs.", first=("job", "state", "about"))


@app.command("show")
def jobs_show_command(job: JobArgument, lake: LakeOption = None, json: JsonOption = False) -> None:
    """One job: its request, how far it is, what it gave or why it failed."""
    found = _table(lake).get(job)
    if json:
        display.print_json(found.to_dict())
        return
    display.print_pairs({**_row(found), "attempts": found.attempts, **found.request}, title=f"Job {found.job_id}")
    if found.problem is not None:
        display.say(f"Failed: {found.problem['detail']}")
    if found.result is not None:
        display.say("--json shows its result.")


@app.command("cancel")
def jobs_cancel_command(job: JobArgument, lake: LakeOption = None, json: JsonOption = False) -> None:
    """Cancel a job: one that waits at once, one that runs at its next step. What it has stored stays and is reused."""
    cancelled = _table(lake).request_cancel(job)
    if json:
        display.print_json(cancelled.to_dict())
    else:
        display.say(f"Job {job} is {_state(cancelled)}.")


def _table(lake: Path | None) -> JobTable:
    return JobTable.of(open_lake(lake)[1])


def _row(job: Job) -> dict[str, Any]:
    of_query = job.request.get("query") or {}
    about = [job.request.get(n) or of_query.get(n) for n in ("question", "what", "name", "desk", "as_of", "to")]
    return {
        "job": job.job_id,
        "kind": job.kind,
        "about": " ".join(str(a) for a in about if a) or None,
        "state": _state(job),
        "progress": f"{job.stage} {job.done:,} of {job.total:,}" if job.stage else None,
        "asked": f"{_span(job.submitted_at, dt.datetime.now(dt.UTC))} ago",
        "took": _span(job.started_at, job.finished_at or dt.datetime.now(dt.UTC)) if job.started_at else None,
    }


def _state(job: Job) -> str:
    return "being cancelled" if job.cancel_requested and job.state == "running" else job.state


def _span(first: dt.datetime, last: dt.datetime) -> str:
    """In the largest unit that it has two of."""
    seconds = max((last - first).total_seconds(), 0.0)
    for unit, length in (("days", 86_400), ("hours", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} s"
