"""Branches: named changes of a book, which are read like dates."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
from flask import Response
from pydantic import ConfigDict, Field

from aggregation.whatif.save_branch import BranchRequest, check_name, describe_branch
from lake.schemas import BRANCHES
from service.api import models
from service.api.context import context, principal
from service.api.document import blueprint
from service.api.requests import Body, Parameters, TableParameters
from service.api.responses import json_answer, page_answer, tabular
from service.api.valuations import accepted
from service.jobs import BRANCH, BRANCH_DELETION
from valuation.books.branches import find_branch, list_branches, summary

api = blueprint("branches", __name__, __doc__)


class BranchBody(Body, BranchRequest):
    """A branch to save: what it stands on and what it changes."""

    model_config = ConfigDict(title="BranchRequest")


class BranchPath(Parameters):
    name: str = Field(description="name of the branch; NAME@2 for a version")


class BranchRow(models.Answer):
    """A version of a branch."""

    name: str
    version: int
    branch_id: str = Field(description="digest of what it stands on and of its changes")
    positions_date: dt.date = Field(description="date of the book below it all")
    upon: str = Field(description="what it stands on: the date, or the version of another branch")
    adds: int = Field(description="trades it adds")
    removes: int = Field(description="removals, each by trades or filters")
    scales: int = Field(description="scalings")
    note: str | None
    deleted: bool
    valuation_set_id: str | None = Field(description="the set made for its new contracts; null where all were known")
    created_at: dt.datetime


class BranchAnswer(BranchRow):
    stands_on: list[BranchRow] = Field(description="the branches it stands on, the nearest first")
    changes: dict[str, Any] = Field(description="replace, remove, scale and add, as a request has them")


Branches = models.page_model("Branches", BranchRow)
_TYPES = {"version": pa.int32(), "adds": pa.int64(), "removes": pa.int64(), "scales": pa.int64(), "upon": pa.string()}
_SCHEMA = pa.schema([(n, _TYPES.get(n) or BRANCHES.schema.field(n).type) for n in BranchRow.model_fields])


@api.get("/branches", responses={200: Branches})
@tabular
def branches(query: TableParameters) -> Response:
    """The branches, by name: the newest version of each that is not deleted."""
    rows = [summary(r) for r in list_branches(context().lake)]
    return page_answer(pa.Table.from_pylist(rows, schema=_SCHEMA), "branches")


@api.get("/branches/<name>", responses={200: BranchAnswer})
def branch(path: BranchPath, query: Parameters) -> Response:
    """A branch: what it stands on, and its changes."""
    return json_answer(describe_branch(context().lake.snapshot(), path.name))


@api.post("/branches", responses={202: models.JobAnswer})
def save_branch(body: BranchBody) -> Response:
    """Queue the saving of a branch, the valuation of its new contracts with it; the answer is the job."""
    here = context()
    check_name(here.lake, body.name, principal().name)
    return accepted(here.submit(BRANCH, body.model_dump(mode="json")))


@api.delete("/branches/<name>", responses={202: models.JobAnswer})
def delete_branch(path: BranchPath) -> Response:
    """Queue the deletion of a branch. Its versions stay readable as NAME@1, and branches upon it stay as they are."""
    here = context()
    find_branch(here.lake, path.name)
    check_name(here.lake, path.name, principal().name)
    return accepted(here.submit(BRANCH_DELETION, {"name": path.name}))
