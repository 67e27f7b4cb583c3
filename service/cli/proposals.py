"""Proposals: what others rely on, and another has to approve before it is done."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from lake.errors import unknown
from service.access.principal import LOCAL
from service.cli.given import open_lake, show_list
from service.cli.options import ColumnsOption, JsonOption, LakeOption
from service.jobs import Job, JobTable
from service.rendering import display

# ruff: noqa: PLC0415 - see service.cli.commands

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True)
ProposalArgument = Annotated[str, typer.Argument(help="Id of the proposal, which is that of its job.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, in words.")]


@app.command("list")
def proposals_list_command(
    state: Annotated[
        str | None, typer.Option("--state", help="Only those that are proposed, rejected, withdrawn or expired.")
    ] = None,
    lake: LakeOption = None,
    columns: ColumnsOption = None,
    json: JsonOption = False,
) -> None:
    """The proposals, newest first; an approved one is a job like any other."""
    from service.proposals import STATES, find_proposals, in_words

    if state is not None and state not in STATES:
        raise unknown("state", state, STATES, pointer="--state")
    found = find_proposals(_table(lake), LOCAL, STATES if state is None else (state,))
    told, rows = [{"what": in_words(job), **job.to_dict()} for job in found], [_row(job) for job in found]
    show_list(told, rows, json, columns, "There are no proposals.", first=("proposal", "what", "state", "proposer"))


@app.command("show")
def proposals_show_command(proposal: ProposalArgument, lake: LakeOption = None, json: JsonOption = False) -> None:
    """One proposal: what it asks for, against what, and whether that has changed since."""
    from service.proposals import find_proposal, in_words, moved_since

    opened = open_lake(lake)[1]
    job = find_proposal(JobTable.of(opened), proposal, LOCAL)
    moved = moved_since(opened, job) if job.state == "proposed" else None
    if json:
        display.print_json({"what": in_words(job), **job.to_dict(), "moved": moved})
        return
    assert job.proposal is not None
    display.print_pairs({**_row(job), **job.request}, title=f"Proposal {proposal}")
    display.print_pairs(dict(job.proposal.against), title="Against")
    if moved:
        display.say(moved)


@app.command("approve")
def proposals_approve_command(
    proposal: ProposalArgument,
    reason: Reason = None,
    although_moved: Annotated[
        bool, typer.Option("--although-moved", help="Approve it although what it was proposed against has changed.")
    ] = False,
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Approve what another proposed, and have it done."""
    from service import client
    from service.proposals import approve

    settings, opened = open_lake(lake)
    job = approve(opened, JobTable.of(opened), proposal, LOCAL, reason, although_moved)
    result = client.approved(settings, opened, job)
    if json:
        display.print_json(result)
    else:
        display.say(f"Approved, and done: {job.kind} {proposal}. --json shows its result.")


@app.command("reject")
def proposals_reject_command(
    proposal: ProposalArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, in words.")],
    lake: LakeOption = None,
    json: JsonOption = False,
) -> None:
    """Reject what another proposed."""
    from service.proposals import reject

    _say(reject(_table(lake), proposal, LOCAL, reason), json)


@app.command("withdraw")
def proposals_withdraw_command(
    proposal: ProposalArgument, reason: Reason = None, lake: LakeOption = None, json: JsonOption = False
) -> None:
    """Withdraw what one has proposed oneself."""
    from service.proposals import withdraw

    _say(withdraw(_table(lake), proposal, LOCAL, reason), json)


def _table(lake: Path | None) -> JobTable:
    return JobTable.of(open_lake(lake)[1])


def _say(job: Job, json: bool) -> None:
    display.print_json(job.to_dict()) if json else display.say(f"Proposal {job.job_id} is {job.state}.")


def _row(job: Job) -> dict[str, Any]:
    from service.proposals import in_words

    assert job.proposal is not None
    left = job.proposal.expires_at - dt.datetime.now(dt.UTC)
    return {
        "proposal": job.job_id,
        "what": in_words(job),
        "kind": job.kind,
        "state": job.state,
        "proposer": job.proposal.proposer,
        "proposed at": job.submitted_at,
        "expires in days": max(left.days, 0) if job.state == "proposed" else None,
        "decided by": job.proposal.decided_by,
        "reason": job.proposal.reason,
    }
