"""Branches saved: the changes checked against the book, their new contracts valued and sealed, the version committed."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import Field

from aggregation.book.book import Book
from aggregation.book.changes import Changes, added_rows, changed_book
from aggregation.opened import branch_books
from aggregation.opened.alignment import MISSING
from aggregation.opened.inputs import Inputs, open_inputs
from aggregation.opened.opened_lake import VectorCache
from aggregation.types import REFERENCE, RiskQuery
from aggregation.whatif.request import ChangeRequest, changes_of
from lake.audit import LOCAL_ACTOR
from lake.committer import Committer
from lake.dates import Day
from lake.errors import BadInput, Issue
from lake.progress import Progress, silent
from lake.tables import Lake, Snapshot
from scenarios.store import load_stored
from valuation.books import branches
from valuation.books.branches import NAME
from valuation.books.contracts import contracts_by_id
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class BranchRequest(ChangeRequest):
    """A branch to save: its name, what it stands on and what it changes."""

    name: str = Field(pattern=NAME, description="name of the branch, of letters, digits, _ . : and -")
    as_of: Day = Field(
        description="valuation and market date under which its new contracts are valued; its book's date too"
    )
    positions_date: Day | None = Field(None, description="date of the book it stands on, when not as_of")
    upon: str | None = Field(
        None, pattern=REFERENCE, description="branch it stands on, in place of the book: NAME, or NAME@2"
    )
    scenario_set: str | None = Field(None, description="scenario set of the valuation; default the standard")
    note: str = Field("", max_length=1000, description="what it is for, in words")
    new_version: bool = Field(False, description="when the name is taken, save the next version of it")


def save_branch(
    committer: Committer,
    request: BranchRequest,
    *,
    cache: VectorCache,
    spark: Callable[[], SparkSession],
    added: tuple[pa.Table, pa.Table] | None = None,
    actor: str = "",
    progress: Progress = silent,
    cancelled: threading.Event | None = None,
) -> dict[str, Any]:
    """Saves the branch and returns it as `summary` shows it. Saved again unchanged, it stays the same version.

    Contracts without vectors are valued under the scenarios that answer for its book and sealed with the contracts of the
    whole branch, so that its questions value nothing. Raises `Conflict` for a name that is taken and trades that are there,
    `BadInput` for changes of what is not, `NotFound` for a date that has not been valued.
    """
    lake = committer.lake
    check_name(lake, request.name, actor)
    query = RiskQuery(
        as_of=request.as_of,
        positions_date=request.positions_date,
        scenario_set=request.scenario_set,
        branch=request.upon,
    )
    inputs = open_inputs(cache, query)
    if inputs.book.said:  # what is added would be in the terms of one day, and its book in those of another
        raise BadInput(
            f"Corporate actions lie between the book of {inputs.book.positions_date} and the market of "
            f"{inputs.valuation_set.market_date}: {inputs.book.said[0]} Save the branch as of {inputs.book.positions_date}; questions of "
            "later days put it into their terms."
        )
    changes = changes_of(request, inputs, added)
    parent = None if request.upon is None else branches.find_branch(lake, request.upon)
    date = inputs.book.positions_date
    row = branch_books.new_version(
        lake, request.name, date, parent, changes, replace=request.new_version, note=request.note
    )
    book = changed_book(inputs.book, changes, f"branch-{row['branch_id']}")
    if any(r["name"] == row["name"] and r["version"] == row["version"] for r in branches.all_versions(lake)):
        return branches.summary(row)
    branch_books.store_changes(committer, row, changes)
    made = _value_new(committer, row["branch_id"], inputs, changes, book, cache, spark, progress, cancelled)
    return branches.summary(branches.store_version(committer, {**row, "valuation_set_id": made}))


def _value_new(
    committer: Committer,
    branch_id: str,
    inputs: Inputs,
    changes: Changes,
    book: Book,
    cache: VectorCache,
    spark: Callable[[], SparkSession],
    progress: Progress,
    cancelled: threading.Event | None,
) -> str | None:
    """The id of the valuation set made for the branch; None where all contracts it adds were known.

    A set of exactly its contracts is its own too: a run that was killed before it stored the branch may have sealed it.
    """
    state = cache.alignment(book, inputs.vectors).state
    added = set(changes.contracts["contract_id"].to_pylist())
    known = added.isdisjoint(book.contract_ids.filter(pa.array(state == MISSING)).to_pylist())
    if known and added.issubset(inputs.book.contract_ids.to_pylist()):
        return None
    snapshot, seal = committer.lake.snapshot(), inputs.valuation_set
    contracts = contracts_by_id(snapshot, book.contract_ids)
    scenarios = load_stored(snapshot, inputs.scenarios)
    plan = make_plan(
        snapshot, contracts, scenarios, seal.valuation_date, seal.risk_classes, positions_dates=[book.positions_date]
    )
    if known and plan.sealed is None:
        return None
    run = run_plan(committer, plan, spark=spark, branch_id=branch_id, progress=progress, cancelled=cancelled)
    return run.valuation_set.valuation_set_id


def check_name(lake: Lake, name: str, actor: str) -> None:
    """Raises `BadInput` for a name that may be that of a branch of others, whom who sees a part of the book does not see."""
    own = re.sub(r"[^\w.-]", "-", actor)
    of_another = bool(lake.reader) or (":" in name and actor not in ("", LOCAL_ACTOR))
    if of_another and not name.startswith(f"{own}:"):
        message = (
            f"Branch {name} is not called as yours are. Call it {own}:NAME, such as {own}:{name.rpartition(':')[2]}."
        )
        raise BadInput(message, issues=(Issue("/name", message, name),))


def remove_branch(committer: Committer, name: str, actor: str = "") -> dict[str, Any]:
    """Deletes the branch; returns its last version as `summary` shows it, and the branches that still stand on it."""
    check_name(committer.lake, name, actor)
    gone = branches.delete_branch(committer, name)
    return {**branches.summary(gone), "still_standing_on_it": gone["still_standing_on_it"]}


def describe_branch(at: Snapshot, reference: str) -> dict[str, Any]:
    """The branch as `summary` shows it, what it stands on, and its changes as a request has them."""
    chain = branches.lineage(at, branches.find_branch(at, reference))
    changes = branch_books.load_changes(at, chain[-1])
    return {
        **branches.summary(chain[-1]),
        "stands_on": [branches.summary(r) for r in chain[-2::-1]],
        "changes": {**changes.rules, "add": added_rows(changes)},
    }
