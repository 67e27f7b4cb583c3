"""The registry of branches: their versions, what each stands on, and the contracts they add."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from lake.committer import Committer
from lake.errors import BadInput, NotFound, unknown
from lake.schemas import BRANCHES
from lake.tables import Lake, Snapshot

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
