"""Branches: named changes upon the book of a date, or upon another branch, kept in the lake and read by everyone like a date.

A version is never edited: the same name saved with other changes is the next version, and a deletion is a version that says
so. A branch that stands on another names the very version it stands on, so that what is below it does not move.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from aggregation.book import Book
from aggregation.changes import ADDED, Changes, Removal, Scaling, changed_book
from aggregation.hierarchies import with_levels
from aggregation.types import Question
from aggregation.vector_cache import VectorCache
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, Conflict, NotFound, unknown
from lake.schemas import BRANCH_POSITIONS, BRANCHES
from lake.tables import NEVER_WRITTEN, Committer, Lake, Snapshot, code_version
from valuation.store import contracts_by_id

NAME = r"^[\w.:-]{1,80}$"
TABLES = ("branches", "branch_positions")

Row = Mapping[str, Any]


def all_versions(at: Lake | Snapshot) -> list[dict[str, Any]]:
    """Every version of every branch, by name and version, deletions among them."""
    rows: list[dict[str, Any]] = (
        at.read("branches").sort_by([("name", "ascending"), ("version", "ascending")]).to_pylist()
    )
    return rows


def list_branches(at: Lake | Snapshot) -> list[dict[str, Any]]:
    """The newest version of every branch that is not deleted, by name."""
    newest = {r["name"]: r for r in all_versions(at)}
    return [r for r in newest.values() if not r["deleted"]]


def find_branch(at: Lake | Snapshot, reference: str) -> dict[str, Any]:
    """The version of `NAME`, the newest, or of `NAME@2`; raises `NotFound` with the nearest names and what became of it."""
    name, _, version = reference.partition("@")
    versions = [r for r in all_versions(at) if r["name"] == name]
    if not versions:
        raise unknown("branch", name, {r["name"] for r in list_branches(at)}, pointer="branch", error=NotFound)
    kept = [r for r in versions if not r["deleted"]]
    if version:
        found = [r for r in kept if str(r["version"]) == version]
        if not found:
            raise unknown("version of branch", reference, (f"{name}@{r['version']}" for r in kept), error=NotFound)
        return found[0]
    if versions[-1]["deleted"]:
        raise NotFound(
            f"Branch {name} was deleted on {versions[-1]['created_at']:%Y-%m-%d}; its version before can still be read as "
            f"{name}@{kept[-1]['version']}."
        )
    return versions[-1]


def lineage(at: Lake | Snapshot, row: Row) -> list[Row]:
    """The versions a branch stands on, from the one upon the book itself to the branch."""
    if row["parent"] is None:
        return [row]
    versions = {(r["name"], r["version"]): r for r in all_versions(at)}
    chain = [row]
    while chain[0]["parent"] is not None:
        chain.insert(0, versions[chain[0]["parent"], chain[0]["parent_version"]])
    return chain


def load_changes(at: Lake | Snapshot, row: Row) -> Changes:
    """What this version does to what it stands on."""
    rules = json.loads(row["rules"])
    rows = at.read("branch_positions", where=ds.field("branch_id") == row["branch_id"])
    added = rows.select(ADDED.names).cast(ADDED).sort_by("trade")
    if added.num_rows != row["trades"]:
        raise NotFound(
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


def chain_of(at: Snapshot, question: Question) -> list[Row]:
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


def own_set_first(
    cache: VectorCache, chain: Sequence[Row], seals: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """Valuation sets made for a branch go first for that branch and last for everything else, whose contracts they also hold."""
    version = cache.lake.version("branches")
    if version == NEVER_WRITTEN:
        return seals
    made = cache.keep(("branch sets", version), lambda: _sets_made(cache.lake, version))
    own = {row["valuation_set_id"] for row in chain}
    return sorted(seals, key=lambda s: 0 if s["valuation_set_id"] in own else 2 if s["valuation_set_id"] in made else 1)


def _sets_made(lake: Lake, version: int) -> frozenset[str]:
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
    present = committer.lake.read("contracts", ["contract_id"])["contract_id"].combine_chunks()
    lacking = changes.contracts.filter(pc.invert(pc.is_in(changes.contracts["contract_id"], value_set=present)))
    if lacking.num_rows:
        committer.put("contracts", lacking, note={"branch": row["name"]})
    ids = pa.repeat(pa.scalar(row["branch_id"]), changes.added.num_rows)
    rows = changes.added.append_column("branch_id", ids).select(BRANCH_POSITIONS.schema.names)
    committer.put("branch_positions", rows.sort_by("trade"), replace=True, note={"branch": row["name"]})


def store_version(committer: Committer, row: Row) -> dict[str, Any]:
    """Commits the version, which makes it visible; returns it."""
    table = pa.Table.from_pylist([dict(row)], schema=BRANCHES.schema)
    committer.put("branches", table, note={"branch": f"{row['name']}@{row['version']}"})
    return dict(row)


def delete_branch(committer: Committer, name: str) -> dict[str, Any]:
    """A version that says the branch is gone; its earlier versions, and the branches that stand on them, stay readable."""
    if "@" in name:
        raise BadInput(f"A version is never removed; delete the branch {name.partition('@')[0]} as a whole.")
    row = find_branch(committer.lake, name)
    gone = {**row, "version": row["version"] + 1, "deleted": True, "created_at": dt.datetime.now(dt.UTC)}
    standing = [r["name"] for r in list_branches(committer.lake) if r["parent"] == name]
    return {**store_version(committer, gone), "still_standing_on_it": standing}


def contracts_of(at: Lake | Snapshot, row: Row) -> set[str]:
    """Ids of the contracts that the branch and those it stands on add."""
    ids = [r["branch_id"] for r in lineage(at, row)]
    added = at.read("branch_positions", ["contract_id"], ds.field("branch_id").isin(ids))
    return set(added["contract_id"].to_pylist())


def summary(row: Row) -> dict[str, Any]:
    """A version as it is shown: what it stands on, what it changes."""
    rules = json.loads(row["rules"])
    upon = row["positions_date"] if row["parent"] is None else f"{row['parent']}@{row['parent_version']}"
    return {
        **{k: row[k] for k in ("name", "version", "branch_id", "positions_date")},
        "upon": str(upon),
        "adds": row["trades"],
        "removes": len(rules["remove"]) + int(rules["replace"]),
        "scales": len(rules["scale"]),
        **{k: row[k] for k in ("note", "deleted", "valuation_set_id", "created_at")},
    }
