"""Books that are not: what-if questions, the cheapest way back under a limit, and branches, which are read like dates."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import pyarrow as pa
from flask import Response
from pydantic import ConfigDict, Field

from aggregation.types import Level, RiskQuery
from aggregation.whatif.limit_hedge import WayBackRequest
from aggregation.whatif.limit_hedge import way_back as run_way_back
from aggregation.whatif.request import ChangeRequest, run_what_if
from aggregation.whatif.save_branch import BranchRequest, describe_branch
from lake.schemas import BRANCHES
from service.api import models
from service.api.answers import json_answer, page_answer, table_answer, tabular
from service.api.context import context
from service.api.document import blueprint
from service.api.requests import Body, Parameters, TableParameters
from service.api.risk import RiskQuestion
from service.api.valuations import accepted
from service.jobs import BRANCH, BRANCH_DELETION
from valuation.books.branches import find_branch, list_branches, summary

api = blueprint("what-if", __name__, __doc__)


class WhatIfBody(Body, RiskQuestion, ChangeRequest):
    """A question of risk, and what to remove, scale and add before it is asked again."""

    def changes(self) -> ChangeRequest:
        return ChangeRequest(**{name: getattr(self, name) for name in ChangeRequest.model_fields})


class AddedFailure(models.Answer):
    """An added trade that has no value, and is in no number."""

    trade: str
    contract_id: str
    reason: str
    message: str


class WhatIfAnswer(models.Answer):
    query: RiskQuery
    rows: list[dict[str, Any]] = Field(
        description="a row a group the changes touch: each figure before, after, incremental"
    )
    total: dict[str, Any] = Field(description="the same for all groups together")
    items: list[dict[str, Any]] = Field(description="a row a change: alone, on top of the total, and its slope there")
    coverage_before: models.CoverageAnswer
    coverage_after: models.CoverageAnswer
    failures: list[AddedFailure]
    receipt: dict[str, Any] = Field(
        description="every input of the numbers, by name and digest; the changes among them"
    )
    notes: list[str]


@api.post("/what-if", responses={200: WhatIfAnswer})
@tabular
def what_if(body: WhatIfBody) -> Response:
    """What added, removed and scaled trades do to VaR, ES and other measures: before, after, incremental, marginal.

    Contracts the lake has no vectors of are valued at once, under the same scenarios, and not stored.
    """
    here = context()
    result = run_what_if(here.lake, body.question(), body.changes(), cache=here.cache)
    about = result.to_dict()
    return table_answer(
        result.rows,
        lambda: about,
        name=f"what-if-{body.as_of}",
        metadata={k: v for k, v in about.items() if k != "rows"},
    )


class WayBackBody(Body, RiskQuestion, WayBackRequest):
    """One measure, var or es, at one level, a limit, and what may be done to come under it."""

    by: tuple[str, ...] = Field((), max_length=0, description="not used: the limit is on all that the filters leave")
    measures: tuple[Literal["var", "es"], ...] = Field(
        ("es",), min_length=1, max_length=1, description="the one measure"
    )
    levels: tuple[Level, ...] = Field(("0.975",), min_length=1, max_length=1, description="its one level")

    def request(self) -> WayBackRequest:
        return WayBackRequest(limit=self.limit, moves=self.moves)


class Action(models.Answer):
    """A move that is used."""

    move: str
    action: Literal["buy", "sell", "unwind"]
    quantity: float = Field(description="units; of positions unwound together the share")
    cost: float = Field(description="in the reporting currency")
    share: float | None = Field(description="of what is unwound; null for a contract traded in")


class LeftOut(models.Answer):
    """A move that could not be used."""

    move: str
    reason: str


class WayBackAnswer(models.Answer):
    query: RiskQuery
    limit: float
    measure: str = Field(description="the measure that is limited, such as es_0.975")
    status: Literal["nothing to do", "optimal", "feasible", "out of reach"]
    before: float
    after: float = Field(description="after the actions, recomputed as a what-if")
    actions: list[Action]
    cost: float
    bound: float | None = Field(description="no change that meets the limit costs less; null where nothing is proven")
    unusable: list[LeftOut]
    changes: dict[str, Any] | None = Field(description="the actions as the body of a what-if or a branch")
    what_if: WhatIfAnswer | None
    receipt: dict[str, Any]
    notes: list[str]


@api.post("/way-back", responses={200: WayBackAnswer})
def way_back(body: WayBackBody) -> Response:
    """The cheapest hedges and unwinds that bring the VaR or ES of what the filters leave under a limit.

    The answer says when the limit is out of reach, how low they lead, and with what.
    """
    here = context()
    return json_answer(run_way_back(here.lake, body.question(), body.request(), cache=here.cache).to_dict())


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
    return accepted(context().jobs.submit(BRANCH, body.model_dump(mode="json"))[0])


@api.delete("/branches/<name>", responses={202: models.JobAnswer})
def delete_branch(path: BranchPath) -> Response:
    """Queue the deletion of a branch. Its versions stay readable as NAME@1, and branches upon it stay as they are."""
    here = context()
    find_branch(here.lake, path.name)
    return accepted(here.jobs.submit(BRANCH_DELETION, {"name": path.name})[0])
