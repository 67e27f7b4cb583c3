"""The plan of a cleaning, and its removal: files, valuation sets that nothing needs, and vectors that no set refers to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from lake.canonical import canonical_json, digest, from_json
from lake.cleaning import Removal, pinned_sets, pinned_versions, removable, remove_files
from lake.committer import Committer
from lake.errors import BadInput, Conflict, NotFound, validated
from lake.schemas import PNL_VECTORS
from lake.storage import write_durable
from lake.tables import Lake
from scenarios.store import ids_by_name
from valuation.books.branches import all_versions
from valuation.sets.standards import standards
from valuation.sets.store import list_valuation_sets
from valuation.types import ValuationSet

LEAST_HOURS = 1.0  # shorter than that, a question may still be read from what is removed


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedSet(_Part):
    """A valuation set whose seal, members and failures go."""

    valuation_set_id: str
    valuation_date: dt.date
    scenario_set: str
    contracts: int
    sealed_at: dt.datetime
    why: str


class PlannedVectors(_Part):
    """Vectors of a day that no sealed set refers to once the sets of the plan are gone. files : of all vectors of the day."""

    valuation_date: dt.date
    vectors: int
    of: int
    size: int
    files: tuple[str, ...]


class CleaningPlan(_Part):
    """What a cleaning removes, and nothing else. untouched_hours, versions_before and before : as it was asked for."""

    lake: str
    planned_at: dt.datetime
    untouched_hours: float
    versions_before: dt.date | None = None
    before: dt.date | None = None
    files: tuple[Removal, ...] = ()
    sets: tuple[PlannedSet, ...] = ()
    vectors: tuple[PlannedVectors, ...] = ()


def plan_cleaning(
    lake: Lake,
    untouched_hours: float = 24.0,
    versions_before: dt.date | None = None,
    before: dt.date | None = None,
    now: dt.datetime | None = None,
) -> CleaningPlan:
    """What can go; changes nothing.

    untouched_hours : leftovers of killed processes that nobody touched for so long. versions_before : also data files that were replaced
    before that day. before : also the valuation sets of valuation dates before that day that nothing needs, and the vectors of these
    dates that no set refers to.
    """
    now = now or dt.datetime.now(dt.UTC)
    if versions_before is not None and versions_before > now.date():
        raise BadInput(
            f"Versions before {versions_before} were asked for, and today is {now.date()}; give a day not after it."
        )
    moment = None if versions_before is None else dt.datetime.combine(versions_before, dt.time(), dt.UTC)
    files = removable(lake, untouched_hours, moment, pinned_versions(lake))
    sets = [] if before is None else [_as_set(seal) for seal in unneeded(lake, before)]
    gone = {s.valuation_set_id for s in sets}
    vectors = [] if before is None else [*_orphans(lake, before, gone)]
    return CleaningPlan(
        lake=str(lake.path),
        planned_at=now,
        untouched_hours=untouched_hours,
        versions_before=versions_before,
        before=before,
        files=tuple(files),
        sets=tuple(sets),
        vectors=tuple(vectors),
    )


def write_plan(plan: CleaningPlan, file: Path) -> None:
    """Writes the plan with a digest, so that what is removed is what was planned."""
    told = plan.model_dump(mode="json")
    write_durable(
        file.absolute(), canonical_json({**told, "digest": digest(canonical_json(told))}).encode(), replace=True
    )


def read_plan(file: Path) -> CleaningPlan:
    """Raises `BadInput` for a file that is no plan, or was changed since it was written."""
    try:
        found: Any = from_json(file.read_bytes())
    except OSError as error:
        raise NotFound(f"The plan {file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise BadInput(f"{file} is not JSON: {error}. Give a plan of `varlake lake clean --plan FILE`.") from None
    told = {k: v for k, v in found.items() if k != "digest"} if isinstance(found, dict) else {}
    if not told or found.get("digest") != digest(canonical_json(told)):
        raise BadInput(
            f"{file} is no plan of a cleaning, or was changed since. Plan anew: `varlake lake clean --plan {file}`."
        )
    return validated(CleaningPlan, told, "plan")


def clean(
    committer: Committer, plan: CleaningPlan, grace_hours: float = 24.0, now: dt.datetime | None = None
) -> tuple[CleaningPlan, tuple[str, ...]]:
    """Removes what the plan names once it is as old as the grace time; what was removed, and what of the plan stayed and why.

    What was needed again meanwhile stays, and nothing goes that is not in the plan. The rows of valuation sets and of vectors go in a
    commit: their files stay for earlier versions, until a later plan gives these up. A run that was killed completes when it is run
    again. Raises `Conflict` for a plan that is too young, or of another lake.
    """
    now = now or dt.datetime.now(dt.UTC)
    lake = committer.lake
    if plan.lake != str(lake.path):
        raise Conflict(f"This plan is of the lake {plan.lake}, and not of {lake.path}. Plan anew here.")
    if now < (ripe := plan.planned_at + dt.timedelta(hours=max(grace_hours, LEAST_HOURS))):
        raise Conflict(
            f"This plan was made at {plan.planned_at:%Y-%m-%d %H:%M} UTC: questions that began before may still read what it removes. "
            f"Run it after {ripe:%Y-%m-%d %H:%M} UTC."
        )
    still = plan_cleaning(lake, plan.untouched_hours, plan.versions_before, plan.before, now)
    paths = {f.path: f for f in still.files}
    ids = {s.valuation_set_id for s in still.sets}
    files = tuple(f for f in plan.files if f.path in paths)
    sets = tuple(s for s in plan.sets if s.valuation_set_id in ids)
    stayed = [f"{f.path}: it is needed again, or gone" for f in plan.files if f.path not in paths]
    stayed += [f"valuation set {s.valuation_set_id}: it is needed, or gone" for s in plan.sets if s not in sets]
    sealed = {s.valuation_set_id for s in list_valuation_sets(lake, every=True)}
    vectors = []
    with committer.acting("clean", plan.model_dump(mode="json")) as act:
        # of one whose seal went in a run that was killed, members and failures may still be there
        _retire(committer, [i for s in plan.sets if (i := s.valuation_set_id) in ids or i not in sealed])
        for part in plan.vectors:
            day_files = tuple(
                sorted(f.name for f in lake.data_files(PNL_VECTORS.name, {"valuation_date": [part.valuation_date]}))
            )
            if day_files != part.files:
                stayed.append(f"vectors of {part.valuation_date}: others were stored since the plan, or they are gone")
            elif _without_orphans(committer, part.valuation_date):
                vectors.append(part)
        remove_files(lake, files, now)
        act.led_to["files_removed"] = len(files)
    return plan.model_copy(update={"files": files, "sets": sets, "vectors": tuple(vectors)}), tuple(stayed)


def unneeded(lake: Lake, before: dt.date) -> list[ValuationSet]:
    """The sealed sets of valuation dates before a day that no pinned receipt, no branch and no standard needs, oldest first.

    A standard needs, of each date, the sets under the newest version of its scenarios that was valued; a lake without one every sample.
    """
    seals = list_valuation_sets(lake, every=True)
    needed = pinned_sets(lake) | {r["valuation_set_id"] for r in all_versions(lake) if not r["deleted"]}
    names, of = ids_by_name(lake), standards(lake)
    wanted = {s.scenario_set for s in of.values()} - {None}
    newest: dict[tuple[Any, ...], tuple[int, set[str]]] = {}
    for seal in seals:
        under = {n for n in wanted if n == seal.scenario_set_name or seal.scenario_set_id in names.get(n or "", {})}
        for name in under:
            key = (name, seal.valuation_date, seal.market_date, seal.shocked_classes)
            version = names.get(name or "", {}).get(seal.scenario_set_id, 0)
            first, held = newest.get(key, (-1, set()))
            if version >= first:
                newest[key] = (version, {seal.valuation_set_id} | (held if version == first else set()))
    needed |= {i for _, held in newest.values() for i in held}
    return [
        seal
        for seal in seals
        if seal.valuation_date < before and seal.valuation_set_id not in needed and not (seal.sample and not wanted)
    ]


def _as_set(seal: ValuationSet) -> PlannedSet:
    return PlannedSet(
        valuation_set_id=seal.valuation_set_id,
        valuation_date=seal.valuation_date,
        scenario_set=seal.scenario_set_name,
        contracts=seal.submitted,
        sealed_at=seal.sealed_at,
        why="no standard, branch or pinned receipt needs it",
    )


def _retire(committer: Committer, ids: list[str]) -> None:
    """Takes seals away first, so that no question finds a set that is not whole; then members and failures."""
    lake, gone = committer.lake, pa.array(ids, pa.string())
    rows = lake.read("valuation_sets")
    there = pc.is_in(rows["valuation_set_id"], value_set=gone)
    if ids and pc.any(there).as_py():
        committer.put("valuation_sets", rows.filter(pc.invert(there)), replace=True, note={"retired": len(ids)})
    for name in ("valuation_members", "valuation_failures"):
        committer.take_away(name, ids)


def _referred(lake: Lake, seals: Iterable[ValuationSet], day: dt.date, gone: Collection[str] = ()) -> pa.Array:
    """The fingerprints of a day that members of sealed sets refer to, but for those of the sets named."""
    ids = [s.valuation_set_id for s in seals if s.valuation_date == day and s.valuation_set_id not in gone]
    among = {"valuation_set_id": ids}
    return _fingerprint(lake.read("valuation_members", ["contract_id", "inputs_digest"], among=among))


def _fingerprint(rows: pa.Table) -> pa.Array:
    return pc.binary_join_element_wise(rows["contract_id"], rows["inputs_digest"], " ").combine_chunks()


def _orphans(lake: Lake, before: dt.date, gone: Collection[str]) -> Iterator[PlannedVectors]:
    seals = list_valuation_sets(lake, every=True)
    files: dict[dt.date, list[Path]] = {}
    for file in lake.data_files(PNL_VECTORS.name):
        files.setdefault(dt.date.fromisoformat(file.parent.name.partition("=")[2]), []).append(file)
    for day in sorted(d for d in files if d < before):
        keys = lake.read(PNL_VECTORS.name, ["contract_id", "inputs_digest"], among={"valuation_date": [day]})
        kept = pc.sum(pc.is_in(_fingerprint(keys), value_set=_referred(lake, seals, day, gone))).as_py() or 0
        if kept < len(keys):
            size = sum(f.stat().st_size for f in files[day]) * (len(keys) - kept) // len(keys)
            names = tuple(sorted(f.name for f in files[day]))
            yield PlannedVectors(valuation_date=day, vectors=len(keys) - kept, of=len(keys), size=size, files=names)


def _without_orphans(committer: Committer, day: dt.date) -> bool:
    """Commits the vectors of a day without those that no set refers to; whether there were any."""
    lake = committer.lake
    rows = lake.read(PNL_VECTORS.name, among={"valuation_date": [day]})
    kept = rows.filter(
        pc.is_in(_fingerprint(rows), value_set=_referred(lake, list_valuation_sets(lake, every=True), day))
    )
    if len(kept) == len(rows):
        return False
    if len(kept):
        committer.put(PNL_VECTORS.name, kept, replace=True)
    else:
        committer.take_away(PNL_VECTORS.name, [day])
    return True
