"""Proposals: what others rely on, and another has to approve before it is done."""

from __future__ import annotations

from typing import Literal

from flask import Response
from pydantic import Field

from service import proposals
from service.api import models
from service.api.context import context, principal
from service.api.document import blueprint
from service.api.requests import Body, Parameters
from service.api.responses import json_answer
from service.jobs import Job

api = blueprint("proposals", __name__, __doc__)


class ProposalPath(Parameters):
    job_id: str = Field(description="id of the proposal, which is that of its job")


class ProposalParameters(Parameters):
    state: Literal["proposed", "rejected", "withdrawn", "expired"] | None = Field(
        None, description="only proposals in this state; an approved one is a job like any other"
    )


class ApprovalBody(Body):
    """The approval of what another has proposed."""

    reason: str | None = Field(None, max_length=500, description="why, in words")
    although_moved: bool = Field(False, description="although what it was proposed against has changed since")


class RejectionBody(Body):
    """Why what another has proposed is not done."""

    reason: str = Field(min_length=3, max_length=500, description="why, in words")


class WithdrawalBody(Body):
    """Taking back what one has proposed."""

    reason: str | None = Field(None, max_length=500, description="why, in words")


class ProposedWork(models.JobAnswer):
    what: str = Field(description="what is proposed, in words")


class ProposalAnswer(ProposedWork):
    moved: str | None = Field(description="what it was proposed against and has changed since; null where nothing has")


class ProposalList(models.Answer):
    rows: list[ProposedWork] = Field(description="the proposals, newest first")


@api.get("/proposals", responses={200: ProposalList})
def list_proposals(query: ProposalParameters) -> Response:
    """The proposals, newest first."""
    states = proposals.STATES if query.state is None else (query.state,)
    found = proposals.find_proposals(context().jobs, principal(), states)
    return json_answer({"rows": [{"what": proposals.in_words(p), **p.to_dict()} for p in found]})


@api.get("/proposals/<job_id>", responses={200: ProposalAnswer})
def show_proposal(path: ProposalPath, query: Parameters) -> Response:
    """A proposal: what it asks for, against what, and whether that has changed since."""
    here = context()
    job = proposals.find_proposal(here.jobs, path.job_id, principal())
    moved = proposals.moved_since(here.lake, job) if job.state == "proposed" else None
    return json_answer({"what": proposals.in_words(job), **job.to_dict(), "moved": moved})


@api.post("/proposals/<job_id>/approve", responses={200: models.JobAnswer})
def approve_proposal(path: ProposalPath, body: ApprovalBody) -> Response:
    """Approve what another has proposed: its job is queued."""
    here = context()
    job = proposals.approve(here.lake, here.jobs, path.job_id, principal(), body.reason, body.although_moved)
    return _decided(job)


@api.post("/proposals/<job_id>/reject", responses={200: models.JobAnswer})
def reject_proposal(path: ProposalPath, body: RejectionBody) -> Response:
    """Reject what another has proposed."""
    return _decided(proposals.reject(context().jobs, path.job_id, principal(), body.reason))


@api.post("/proposals/<job_id>/withdraw", responses={200: models.JobAnswer})
def withdraw_proposal(path: ProposalPath, body: WithdrawalBody) -> Response:
    """Withdraw what one has proposed oneself."""
    return _decided(proposals.withdraw(context().jobs, path.job_id, principal(), body.reason))


def _decided(job: Job) -> Response:
    return json_answer(job.to_dict())
