"""Valuations: what they would take, and the jobs that run them."""

from __future__ import annotations

from flask import Response
from pydantic import ConfigDict, Field

from service.api import models
from service.api.context import context, principal
from service.api.document import blueprint
from service.api.requests import Body, Parameters
from service.api.responses import json_answer
from service.jobs import VALUATION, Job, State
from valuation.sets.requests import ValuationRequest, plan_valuation

api = blueprint("valuations", __name__, __doc__)


class ValuationBody(Body, ValuationRequest):
    """What to value: the contracts held on the positions dates, on a valuation date, under a scenario set."""

    model_config = ConfigDict(title="ValuationRequest")


class JobListParameters(Parameters):
    state: State | None = Field(None, description="only jobs in this state")
    limit: int = Field(100, ge=1, le=1_000, description="jobs a page")
    cursor: str | None = Field(None, pattern="^[0-9]{1,18}$", description="next_cursor of the page before")


class JobPath(Parameters):
    job_id: str = Field(description="id of the job")


@api.post("/valuations/plan", responses={200: models.ValuationPlanAnswer})
def plan(body: ValuationBody) -> Response:
    """What a valuation would take: wanted, present, missing, expected seconds. Nothing is run or stored."""
    return json_answer(plan_valuation(context().lake.snapshot(), body).to_dict())


@api.post("/valuations", responses={202: models.JobAnswer})
def submit(body: ValuationBody) -> Response:
    """Queue a valuation; the answer is its job. The same request, while queued or running, is the same job."""
    job = context().submit(VALUATION, body.model_dump(mode="json"))
    return accepted(job)


@api.get("/jobs", responses={200: models.Jobs})
def jobs(query: JobListParameters) -> Response:
    """The jobs, newest first."""
    before = None if query.cursor is None else int(query.cursor)
    found = context().jobs.newest(query.state, query.limit + 1, before)
    page = found[: query.limit]
    following = str(page[-1].number) if len(found) > query.limit else None
    return json_answer({"rows": [j.to_dict() for j in page], "next_cursor": following})


@api.get("/jobs/<job_id>", responses={200: models.JobAnswer})
def job(path: JobPath, query: Parameters) -> Response:
    """A job: its state, progress and times; once done the seal of the valuation set, or why it failed."""
    return json_answer(context().jobs.get(path.job_id).to_dict())


@api.delete("/jobs/<job_id>", responses={200: models.JobAnswer})
def cancel(path: JobPath) -> Response:
    """Cancel a job: a queued one at once, a running one within 2 seconds. What it has committed stays and is reused."""
    return json_answer(context().jobs.request_cancel(path.job_id, principal()).to_dict())


def accepted(job: Job) -> Response:
    """202 with the job that was asked for, and where to follow it."""
    return json_answer(job.to_dict(), 202, {"Location": job.address})
