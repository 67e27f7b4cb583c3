"""Branches: named changes upon the book of a date, or upon another branch, kept in the lake and read by everyone like a date.

A version is never edited: the same name saved with other changes is the next version, and a deletion is a version that says
so. A branch that stands on another names the very version it stands on, so that what is below it does not move.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from aggregation.book.book import Book
from aggregation.book.changes import ADDED, Changes, Removal, Scaling, changed_book
from aggregation.book.hierarchies import with_levels
from aggregation.opened.opened_lake import VectorCache
from aggregation.types import Scope
from lake.canonical import canonical_json, digest
from lake.committer import Committer
from lake.errors import BadInput, Conflict, Damaged
from lake.schemas import BRANCH_POSITIONS
from lake.tables import NEVER_WRITTEN, Lake, Snapshot, code_version
from valuation.books.branches import Row, all_versions, find_branch, lineage
from valuation.books.contracts import contracts_by_id
from valuation.types import ValuationSet


def load_changes(at: Lake | Snapshot, row: Row) -> Changes:
    """What this version does to what it stands on."""
    rules = json.loads(row["rules"])
    rows = at.read("branch_positions", where=ds.field("branch_id") == row["branch_id"])
    added = rows.select(ADDED.names).cast(ADDED).sort_by("trade")
    if added.num_rows != row["trades"]:
        raise Damaged(
            f"Branch {row['name']}@{row['version']} is damaged: {added.num_rows} of its {row['trades']} trades are in "
            "branch_positions. Restore the lake."
        )
    contracts = {}
    if added.num_rows:
        lake = at.lake if isinstance(at, Snapshot) else at
        contracts["contracts"] = contracts_by_id(lake, pc.unique(added["contract_id"]))
    return Changes(
        tuple(Removal.model_validate(r) for r in rules["remove"]),
        tuple(Scaling.model_validate(s) for s in rules["scale"]),
        added,
        replace=rules["replace"],
        **contracts,
    )


def branch_book(cache: VectorCache, at: Snapshot, chain: Sequence[Row]) -> Book:
    """The book of a branch, given its `lineage`: that of its date with the changes of every version, one upon the other."""
    root = cache.book(at, chain[0]["positions_date"])
    key = ("branch", root.files, tuple(root.hierarchies.items()), tuple(r["branch_id"] for r in chain))

    def make() -> Book:
        book = root
        version = at.versions.get("hierarchies", at.lake.version("hierarchies"))
        for row in chain:
            book = changed_book(book, load_changes(at, row), f"branch-{row['branch_id']}")
            if version != NEVER_WRITTEN:
                book = with_levels(book, at.lake.read("hierarchies", version=version))
        return book

    return cache.keep(key, make)


def chain_of(at: Snapshot, question: Scope) -> list[Row]:
    """The lineage of the question's branch, empty where it is about a book; raises `BadInput` for another positions date."""
    if question.branch is None:
        return []
    row = find_branch(at, question.branch)
    if question.positions_date not in (None, row["positions_date"]):
        raise BadInput(
            f"Branch {question.branch} stands on the book of {row['positions_date']}, and positions date "
            f"{question.positions_date} was asked for; leave the positions date out."
        )
    return lineage(at, row)


def own_set_first(cache: VectorCache, chain: Sequence[Row], seals: Sequence[ValuationSet]) -> Sequence[ValuationSet]:
    """Valuation sets made for a branch go first for that branch and last for everything else, whose contracts they also hold."""
    version = cache.lake.version("branches")
    made = cache.keep(("branch sets", version), lambda: _sets_made(cache.lake, version))
    own = {row["valuation_set_id"] for row in chain}
    return sorted(
        seals, key=lambda s: 0 if s.valuation_set_id in own else 2 if s.for_branch or s.valuation_set_id in made else 1
    )


def _sets_made(lake: Lake, version: int) -> frozenset[str]:
    if version == NEVER_WRITTEN:
        return frozenset()
    return frozenset(lake.read("branches", ["valuation_set_id"], version=version)["valuation_set_id"].to_pylist())


def new_version(
    at: Lake | Snapshot,
    name: str,
    positions_date: dt.date,
    parent: Row | None,
    changes: Changes,
    *,
    replace: bool,
    note: str = "",
) -> dict[str, Any]:
    """The row of the next version; the present row where it says the same. Raises `Conflict` for a name that is taken.

    With `replace` a name that is taken gets a new version. Raises `BadInput` for a branch that would stand on itself.
    """
    versions = [r for r in all_versions(at) if r["name"] == name]
    standing = versions[-1] if versions and not versions[-1]["deleted"] else None
    below = [] if parent is None else lineage(at, parent)
    if any(r["name"] == name for r in below):
        path = " on ".join(f"{r['name']}@{r['version']}" for r in below[::-1])
        raise BadInput(f"Branch {name} would stand on itself: {path}. Save it under another name.")
    row = {
        "name": name,
        "version": versions[-1]["version"] + 1 if versions else 1,
        "branch_id": digest(str(positions_date), "" if parent is None else parent["branch_id"], changes.digest()),
        "positions_date": positions_date,
        "parent": None if parent is None else parent["name"],
        "parent_version": None if parent is None else parent["version"],
        "rules": canonical_json(changes.rules),
        "trades": changes.added.num_rows,
        "note": note,
        "deleted": False,
        "valuation_set_id": None,
        "code_version": code_version(),
        "created_at": dt.datetime.now(dt.UTC),
        "entitlement": (at.lake if isinstance(at, Snapshot) else at).reader or None,
    }
    if standing is not None and standing["branch_id"] == row["branch_id"]:
        return standing
    if standing is not None and not replace:
        raise Conflict(
            f"Branch {name} is there already, of {standing['created_at']:%Y-%m-%d} upon {standing['positions_date']}, with other "
            "changes. Give another name, or ask for a new version of it."
        )
    return row


def store_changes(committer: Committer, row: Row, changes: Changes) -> None:
    """The trades of a version and the contracts the lake lacks; nothing refers to them until `store_version`."""
    if not changes.added.num_rows:
        return
    present = committer.lake.whole().read("contracts", ["contract_id"])["contract_id"].combine_chunks()
    lacking = changes.contracts.filter(pc.invert(pc.is_in(changes.contracts["contract_id"], value_set=present)))
    if lacking.num_rows:
        committer.put("contracts", lacking, note={"branch": row["name"]})
    ids = pa.repeat(pa.scalar(row["branch_id"]), changes.added.num_rows)
    rows = changes.added.append_column("branch_id", ids).select(BRANCH_POSITIONS.schema.names)
    committer.put("branch_positions", rows.sort_by("trade"), replace=True, note={"branch": row["name"]})
