"""Valuation sets to and from the lake: contracts in, vectors out, the seal. Every step is idempotent."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.canonical import canonical_json
from lake.committer import Committer
from lake.schemas import DOUBLES, PNL_VECTORS, VALUATION_FAILURES, VALUATION_MEMBERS, VALUATION_SETS
from lake.storage import DataFile, write_data_file
from lake.tables import NEVER_WRITTEN, Lake, Snapshot, code_version
from scenarios.store import ids_by_name
from valuation.types import ASKED_AGAIN, POSITIONS_DATES, PnLBlock, ValuationFailure, ValuationSet


def present_fingerprints(at: Lake | Snapshot, valuation_date: dt.date, inputs: pa.Array, bases: pa.Array) -> pa.Table:
    """Fingerprints in the lake with one of these inputs digests or base digests: contract_id, inputs_digest, base_digest."""
    where = pc.field("inputs_digest").isin(inputs) | pc.field("base_digest").isin(bases)
    columns = ["contract_id", "inputs_digest", "base_digest"]
    return at.read("pnl_vectors", columns, where, among={"valuation_date": [valuation_date]})


def write_block(
    root: Path, valuation_date: dt.date, block: PnLBlock, fingerprints: Mapping[str, tuple[str, str]]
) -> DataFile | None:
    """Writes the vectors of a block as one data file, without a commit; None for a block without vectors.

    What a run measured is not among them, so that every run of the batch writes the same file.

    `fingerprints` maps contract id to its (inputs digest, base digest).
    """
    n, width = block.pnl.shape
    if n == 0:
        return None
    offsets = (
        pa.array(np.arange(0, n * width + 1, width, dtype=np.int32)) if width else pa.array(np.zeros(n + 1, np.int32))
    )
    keys = [fingerprints[c] for c in block.contract_ids]
    rows = pa.table(
        {
            "contract_id": block.contract_ids,
            "inputs_digest": [k[0] for k in keys],
            "base_digest": [k[1] for k in keys],
            "currency": block.currencies,
            "base_value": block.base,
            "pnl": pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(block.pnl).ravel()), type=DOUBLES),
        },
        schema=PNL_VECTORS.file_schema.remove_metadata(),
    )
    return write_data_file(root, "pnl_vectors", rows, {"valuation_date": valuation_date})


def find_sealed(at: Lake | Snapshot, valuation_set_id: str) -> ValuationSet | None:
    """The seal of a valuation set, or None while it has none."""
    rows = at.read("valuation_sets", among={"valuation_set_id": [valuation_set_id]}).to_pylist(maps_as_pydicts="strict")
    return ValuationSet.from_row(rows[0]) if rows else None


def list_valuation_sets(at: Lake | Snapshot, *, every: bool = False) -> list[ValuationSet]:
    """All sealed valuation sets, oldest first; those valued for somebody who sees a part of the book only where `every` is asked for.

    Of a lake as it was known only those whose scenarios rest on what was known, unless `every` is asked for; those sealed by
    then stand last, as the newest, so that a later one answers only where they do not.
    """
    lake = at.lake if isinstance(at, Snapshot) else at
    rows = at.read("valuation_sets").to_pylist(maps_as_pydicts="strict")
    seals = sorted((ValuationSet.from_row(r) for r in rows), key=lambda s: s.order)
    if every:
        return seals
    seals = [s for s in seals if not s.reader]
    if lake.known is None:
        return seals
    ids = {i for of_name in ids_by_name(at).values() for i in of_name}
    instant = lake.known.instant
    known = [s for s in seals if s.scenario_set_id in ids]
    return sorted(known, key=lambda s: instant is None or s.sealed_at <= instant)


def seal(
    committer: Committer,
    made: ValuationSet,
    members: pa.Table,
    failures: Iterable[ValuationFailure],
) -> None:
    """Commits members and failures, then the seal that makes the set visible; refuses counts that do not add up."""
    set_id = made.valuation_set_id
    failed = [{"valuation_set_id": set_id, **asdict(f)} for f in sorted(failures, key=lambda f: f.contract_id)]
    vectors = made.valued + made.reused
    if not (made.submitted == vectors + made.failed and made.failed == len(failed)):
        raise AssertionError(f"Counts of valuation set {set_id} do not add up: {made} with {len(failed)} failures")
    if members.num_rows != vectors:
        raise AssertionError(f"Valuation set {set_id} has {members.num_rows} members for {vectors} vectors")
    members = members.append_column("valuation_set_id", pa.array([set_id] * members.num_rows, pa.string()))
    committer.put(
        "valuation_members", members.select(VALUATION_MEMBERS.schema.names).sort_by("contract_id"), replace=True
    )
    if failed:
        committer.put(
            "valuation_failures", pa.Table.from_pylist(failed, schema=VALUATION_FAILURES.schema), replace=True
        )
    committer.put("valuation_sets", _row(made), note={"valuation_set": set_id})


def keep_request(committer: Committer, there: ValuationSet, snapshot: Snapshot, marks: Mapping[str, str]) -> None:
    """Keeps in the seal of a set that it was asked for once more, where its books are not as they were the last time.

    snapshot, marks : of the plan that found it sealed. Somebody who sees a part of the book sees a contract of the set where he held it
    when the set was asked for. Were the later request not kept, a contract that he came to hold since would look valued or not by whether
    others held it before. Of a lake cut to a part nothing is kept: what was valued there is seen as a whole.
    """
    if committer.lake.reader:
        return
    last = there.requests()[-1]
    named = ("positions", "corporate_actions", "valuation_sets")
    versions = {name: str(snapshot.versions[name]) for name in named if name in snapshot.versions}
    dates = {POSITIONS_DATES: marks[POSITIONS_DATES]} if POSITIONS_DATES in marks else {}
    told: dict[str, Any] = {"table_versions": {**versions, **dates}, "code_version": code_version()}
    asked = replace(there, table_versions=told["table_versions"])
    if not last.for_branch and _books(committer.lake, last) == _books(committer.lake, asked):
        return
    told["asked_at"] = dt.datetime.now(dt.UTC).isoformat()
    rows = committer.lake.read("valuation_sets")
    row = find_sealed(committer.lake, there.valuation_set_id)
    assert row is not None, "whoever plans a set that is sealed holds the lake"
    again = [*json.loads(row.table_versions.get(ASKED_AGAIN, "[]")), told]
    marked = replace(row, table_versions={**row.table_versions, ASKED_AGAIN: canonical_json(again)})
    others = rows.filter(pc.not_equal(rows["valuation_set_id"], there.valuation_set_id))
    note = {"valuation_set": there.valuation_set_id, "asked": "again"}
    committer.put("valuation_sets", pa.concat_tables([others, _row(marked)]), replace=True, note=note)


def _books(lake: Lake, request: ValuationSet) -> tuple[Any, ...]:
    """What says which contracts were held where a set was asked for: the books, their files, and the version of corporate actions."""
    versions = request.table_versions
    at = lake.at({"positions": int(versions.get("positions", NEVER_WRITTEN))})
    dates = sorted(request.positions_dates)
    files = at.data_files("positions", {"positions_date": dates})
    return dates, sorted(f.name for f in files), versions.get("corporate_actions")


def _row(made: ValuationSet) -> pa.Table:
    # Arrow takes a map as its items
    maps = {"cost_us": list(made.cost_us.items()), "table_versions": list(made.table_versions.items())}
    return pa.Table.from_pylist([{**made.to_dict(), **maps}], schema=VALUATION_SETS.schema)
