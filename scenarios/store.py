"""Scenario sets to and from the lake: named, versioned, addressed by content, never edited."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from lake.arrays import Floats
from lake.canonical import canonical_json, digest
from lake.committer import Committer
from lake.errors import BadInput, Conflict, NotFound, unknown
from lake.schemas import DOUBLES, SCENARIO_CALIBRATIONS, SCENARIO_LEVELS, SCENARIO_SETS
from lake.tables import Lake, Snapshot, code_version
from lake.words import first_of
from scenarios.simulated.simulated_levels import SimulatedLevels
from scenarios.types import FactorIndex, RiskFactor, Roll, ScenarioSet, ScenarioSummary

BLOCK = 4096  # scenarios in a stored block: 32 KiB a risk factor
LABELS_STORED = 10_000  # labels of generated scenarios follow from their number; beyond this they are not written down

_DETAILS = (
    "labels",
    "weights",
    "excluded",
    "held",
    "dropped",
    "proxied",
    "holidays",
    "fitted",
    "derived",
    "calibration",
    "made_for",
)
SUMMARY_COLUMNS = tuple(c.name for c in SCENARIO_SETS.columns if c.name not in _DETAILS)


def scenario_set_digest(s: ScenarioSet) -> str:
    """Digest of everything that decides a valuation under the set: factors, levels, labels, weights, horizon.

    And of the text of a bespoke scenario, with its assertions.
    """
    if isinstance(s.levels, SimulatedLevels):
        # labels follow from the count and the horizons, which are part of the content
        levels, labels = s.levels.content.encode(), []
    else:
        levels, labels = np.ascontiguousarray(s.levels).tobytes(), list(s.labels)
    # only where there is one, so that ids of sets without a roll do not depend on there being such a thing
    roll = () if s.roll is None else (canonical_json([s.roll.to, s.roll.market]), s.roll.origin.tobytes())
    return digest(
        canonical_json([f.to_dict() for f in s.index.factors]),
        canonical_json([labels, s.horizon_days, s.method, s.market_date]),
        np.ascontiguousarray(s.base).tobytes(),
        levels,
        s.shocked.astype(np.uint8).tobytes(),
        b"" if s.weights is None else np.ascontiguousarray(s.weights).tobytes(),
        *roll,
        # an assertion decides no level; a text that gains one is a new version all the same, or it would be lost
        *([s.definition["text"]] if "text" in s.definition else []),
    )


def validate(s: ScenarioSet) -> None:
    """Raises `BadInput` unless there are scenarios, labels are unique, every level is finite and weights are probabilities.

    Of generated levels the first block stands for all.
    """
    n = s.n_scenarios
    if n == 0 or len(set(s.labels)) != n:
        raise BadInput("A scenario set needs at least one scenario, and labels that differ.")
    levels = s.levels[:, : s.levels.atom] if isinstance(s.levels, SimulatedLevels) else s.levels
    bad = ~(np.isfinite(levels).all(axis=1) & np.isfinite(s.base))
    if bad.any():
        names = [f.risk_factor_id for f, b in zip(s.index.factors, bad, strict=True) if b]
        raise BadInput(f"Levels that are not finite in {len(names)} risk factors, first {first_of(names)}.")
    if s.weights is not None and ((s.weights < 0).any() or abs(s.weights.sum() - 1) > 1e-9):
        raise BadInput(f"Weights must be {n} non-negative numbers with sum 1.")


def save_scenario_set(committer: Committer, s: ScenarioSet) -> ScenarioSet:
    """Stores the set and returns it with its id and version.

    The same content under the same name is stored once, unless the name has since been given to another content: then it is
    the newest version again, since that is the one a name means. A set of a book is stored once for everybody who sees the same of it,
    and its versions are counted as if there were no sets of others.
    """
    validate(s)
    s = dataclasses.replace(s, scenario_set_id=scenario_set_digest(s))
    columns = ["scenario_set_id", "name", "version", "made_for"]
    rows = committer.lake.whole().read("scenario_sets", columns, among={"market_date": [s.market_date]}).to_pylist()
    made_for = committer.lake.reader if s.of_book else None
    rows = [r for r in rows if r["made_for"] in (None, made_for)]
    if committer.lake.known is not None:
        there = [r for r in rows if r["scenario_set_id"] == s.scenario_set_id]
        if there:
            return dataclasses.replace(s, version=there[0]["version"])
        s = dataclasses.replace(s, name=_name_known(s.name, committer.lake))
    versions = {r["version"]: r["scenario_set_id"] for r in rows if r["name"] == s.name}
    newest = max(versions, default=0)
    if versions.get(newest) == s.scenario_set_id:
        return dataclasses.replace(s, version=newest)
    s = dataclasses.replace(s, version=newest + 1)
    # levels first: a set is visible only when its row in scenario_sets is
    if isinstance(s.levels, SimulatedLevels):
        committer.put("scenario_calibrations", _calibrations_table(s, s.levels))
    else:
        committer.put("scenario_levels", _levels_table(s))
    committer.put(
        "scenario_sets",
        pa.Table.from_pylist([_summary(s, made_for)], schema=SCENARIO_SETS.schema),
        note={"scenario_set": s.name},
    )
    return s


def _summary(s: ScenarioSet, made_for: str | None) -> dict[str, Any]:
    return {
        "scenario_set_id": s.scenario_set_id,
        "name": s.name,
        "version": s.version,
        "method": s.method,
        "sample": s.sample,
        "market_date": s.market_date,
        "definition": canonical_json(dict(s.definition)),
        "horizon_days": s.horizon_days,
        "seed": s.seed,
        "labels": [] if isinstance(s.levels, SimulatedLevels) and s.n_scenarios > LABELS_STORED else list(s.labels),
        "weights": None if s.weights is None else s.weights.tolist(),
        "factors_shocked": int(s.shocked.sum()),
        "factors_unchanged": int((~s.shocked).sum()),
        "excluded": sorted(s.excluded.items()),
        "held": sorted(s.held.items()),
        "dropped": sorted(s.dropped.items()),
        "proxied": sorted(s.proxied.items()),
        "holidays": sorted(s.holidays.items()),
        "fitted": sorted(s.fitted.items()),
        "derived": sorted(s.derived.items()),
        "horizons": list(s.horizons),
        "calibration": sorted(s.calibration.items()),
        "rolled_to": None if s.roll is None else s.roll.to,
        "rolled_market": None if s.roll is None else s.roll.market,
        "synthetic": s.synthetic,
        "market_data_version": s.market_data_version,
        "corporate_actions_version": s.corporate_actions_version,
        "code_version": code_version(),
        "created_at": dt.datetime.now(dt.UTC),
        "made_for": made_for,
    }


def _calibrations_table(s: ScenarioSet, levels: SimulatedLevels) -> pa.Table:
    return pa.table(
        {
            "scenario_set_id": [s.scenario_set_id] * len(s.base),
            "position": np.arange(len(s.base), dtype=np.int32),
            "risk_factor_id": [f.risk_factor_id for f in s.index.factors],
            "factor": [canonical_json(f.to_dict()) for f in s.index.factors],
            "status": ["shocked" if k else "unchanged" for k in s.shocked],
            "base": s.base,
            "shift_type": levels.shift_types,
            "drift": levels.drift,
            "loadings": _lists(levels.loadings),
            "moves": _lists(levels.moves),
        },
        schema=SCENARIO_CALIBRATIONS.schema.remove_metadata(),
    )


def _lists(values: Floats) -> pa.ListArray:
    """A list a row of `values`."""
    n, width = values.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * np.int32(width))
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(values).ravel()), type=DOUBLES)


def _levels_table(s: ScenarioSet) -> pa.Table:
    parts: list[pa.Table] = []
    for block, first in enumerate(range(0, s.n_scenarios, BLOCK)):
        values = s.levels[:, first : first + BLOCK]
        n = len(values)
        parts.append(
            pa.table(
                {
                    "scenario_set_id": [s.scenario_set_id] * n,
                    "block": pa.array([block] * n, pa.int32()),
                    "first_scenario": pa.array([first] * n, pa.int32()),
                    "risk_factor_id": [f.risk_factor_id for f in s.index.factors],
                    "factor": [canonical_json(f.to_dict()) for f in s.index.factors],
                    "status": ["shocked" if k else "unchanged" for k in s.shocked],
                    "base": s.base,
                    "levels": _lists(values),
                    "origin": pa.nulls(n, pa.float64()) if s.roll is None else s.roll.origin,
                },
                schema=SCENARIO_LEVELS.schema.remove_metadata(),
            )
        )
    return pa.concat_tables(parts)


def known_sets(lake: Lake, rows: pa.Table) -> pa.Table:
    """Of rows of scenario_sets those that rest on what was known, where the lake is read as it was known; else all.

    A set made later, of no later market data, counts where its name had none of that market date then. It has the name it was made
    for, without what `_name_known` adds.
    """
    known = lake.known
    if known is None:
        return rows
    told = rows.select(["name", "market_date", "market_data_version", "created_at"]).to_pylist()
    names = [name_made_for(r["name"]) for r in told]
    rests = [
        known.market_data is None or r["market_data_version"] is None or r["market_data_version"] <= known.market_data
        for r in told
    ]
    if known.instant is not None:
        then = [r["created_at"] <= known.instant for r in told]
        had = {(n, r["market_date"]) for n, r, t in zip(names, told, then, strict=True) if t}
        rests = [
            t or (ok and r["market_data_version"] is not None and (n, r["market_date"]) not in had)
            for n, r, t, ok in zip(names, told, then, rests, strict=True)
        ]
    return rows.set_column(rows.schema.get_field_index("name"), "name", pa.array(names, pa.string())).filter(
        pa.array(rests, pa.bool_())
    )


_KNOWN = " as known at market data version "


def _name_known(name: str, lake: Lake) -> str:
    """The name of a set that is made from a past state of the lake: it is no version of what the name means now."""
    known = lake.known
    return name if known is None or known.market_data is None else f"{name}{_KNOWN}{known.market_data}"


def name_made_for(name: str) -> str:
    """The name of a set without what `_name_known` adds."""
    return name.partition(_KNOWN)[0]


def list_scenario_sets(
    at: Lake | Snapshot, columns: Sequence[str] = SUMMARY_COLUMNS, *, every: bool = False
) -> pa.Table:
    """A row a scenario set, without its levels, oldest first. Unless `every` is asked for, of those that `known_sets` leaves, and without
    the sets of a book that were made for somebody who sees less of it."""
    needed = ("name", "market_date", "market_data_version", "created_at", "made_for")
    rows, lake = at.read("scenario_sets", list(dict.fromkeys([*columns, *needed]))), _lake(at)
    if not every:
        own = ds.field("made_for").is_null() | (ds.field("made_for") == lake.reader)
        rows = known_sets(lake, rows.filter(own))
    return rows.sort_by("created_at").select(list(columns))


def scenario_summaries(at: Lake | Snapshot, *, every: bool = False) -> list[ScenarioSummary]:
    """The scenario sets of `list_scenario_sets`."""
    rows = list_scenario_sets(at, tuple(ScenarioSummary.__dataclass_fields__), every=every).to_pylist()
    return [ScenarioSummary.from_row(r) for r in rows]


def ids_by_name(at: Lake | Snapshot) -> dict[str, dict[str, int]]:
    """Names of scenario sets, each to the ids it stands for, with the newest version of the name that an id is."""
    found: dict[str, dict[str, int]] = {}
    for row in list_scenario_sets(at, ("name", "scenario_set_id", "version")).sort_by("version").to_pylist():
        found.setdefault(row["name"], {})[row["scenario_set_id"]] = row["version"]
    return found


def find_scenario_set(at: Lake | Snapshot, name_or_id: str, market_date: dt.date | None = None) -> ScenarioSummary:
    """A set by id, or by name at a market date (newest version); raises `NotFound` with the nearest names."""
    sets = scenario_summaries(at)
    found = [s for s in sets if s.scenario_set_id == name_or_id]
    named = [s for s in sets if s.name == name_or_id]
    if not found and not named:
        # an id means its content, whatever was known, and for whomever it was made
        found = [s for s in scenario_summaries(at, every=True) if s.scenario_set_id == name_or_id]
    if not found:
        if not named:
            raise unknown("scenario set", name_or_id, (s.name for s in sets), error=NotFound)
        found = [s for s in named if market_date is None or s.market_date == market_date]
        if not found:
            dates = ", ".join(sorted({str(s.market_date) for s in named}))
            raise NotFound(f"Scenario set {name_or_id} is not there for {market_date}; it is for {dates}.")
    return max(found, key=lambda s: (s.market_date, s.version))


def load_scenario_set(at: Lake | Snapshot, scenario_set_id: str) -> ScenarioSet:
    """A stored set by id, whole, under the first of its names. Sets are immutable: the last few are kept in memory."""
    return _load(str(_lake(at).path), _lake(at).reader, scenario_set_id, None, None)


def load_stored(at: Lake | Snapshot, found: ScenarioSummary) -> ScenarioSet:
    """The stored set of a summary, whole, under its name and with its recipe: one content may have several."""
    return _load(str(_lake(at).path), _lake(at).reader, found.scenario_set_id, found.name, found.version)


def _lake(at: Lake | Snapshot) -> Lake:
    return at.lake if isinstance(at, Snapshot) else at


def load_on_market(at: Lake | Snapshot, name_or_id: str, market_date: dt.date) -> ScenarioSet:
    """The stored set of that name or id, whole; raises `BadInput` where it is of another market date."""
    found = find_scenario_set(at, name_or_id, market_date)
    if found.market_date != market_date:
        raise BadInput(f"Scenario set {name_or_id} is of {found.market_date}, but market date {market_date} was given.")
    return load_stored(at, found)


def _stored(lake: Lake, scenario_set_id: str, n_scenarios: int) -> tuple[pa.Table, Floats]:
    """A row a factor, and the levels; imported scenarios may have none."""
    of_set = lake.read("scenario_levels", among={"scenario_set_id": [scenario_set_id]})
    table = of_set.sort_by([("risk_factor_id", "ascending"), ("block", "ascending")])
    first = table.filter(ds.field("block") == 0)
    levels = _matrix(table["levels"], first.num_rows) if first.num_rows else np.empty((0, n_scenarios))
    levels.setflags(write=False)
    return first, levels


def _simulated(calibrated: pa.Table, definition: dict[str, Any]) -> SimulatedLevels:
    n = calibrated.num_rows
    # it brings scipy.stats, half a second that only sets made on demand need
    from scenarios.simulated.monte_carlo import MonteCarloDefinition  # noqa: PLC0415

    return SimulatedLevels(
        MonteCarloDefinition.model_validate(definition).process,
        calibrated["base"].to_numpy(),
        tuple(calibrated["shift_type"].to_pylist()),
        calibrated["drift"].to_numpy(),
        _matrix(calibrated["loadings"], n),
        _matrix(calibrated["moves"], n),
    )


def _matrix(lists: pa.ChunkedArray, n_rows: int) -> Floats:
    """Lists of one length in all, `n_rows` rows of them."""
    values: Floats = lists.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(n_rows, -1)
    return values


@functools.lru_cache(maxsize=4)
def _load(path: str, reader: str, scenario_set_id: str, name: str | None, version: int | None) -> ScenarioSet:
    lake = Lake(path)
    this = {"scenario_set_id": [scenario_set_id]}
    rows = lake.read("scenario_sets", among=this).to_pylist(maps_as_pydicts="strict")
    if not rows:
        raise unknown(
            "scenario set",
            scenario_set_id,
            lake.read("scenario_sets", ["scenario_set_id"])["scenario_set_id"].to_pylist(),
            error=NotFound,
        )
    # of one content the oldest row goes first, so that what a process finds does not depend on the order of files
    # those of others go last, since a name or version that they have made alone is not the reader's
    rows.sort(key=lambda r: (r["made_for"] not in (None, reader), r["created_at"]))
    row = next((r for r in rows if (r["name"], r["version"]) == (name, version)), rows[0])
    definition = json.loads(row["definition"])
    levels: Floats | SimulatedLevels
    factor_rows = lake.read("scenario_calibrations", among=this).sort_by("position")
    if factor_rows.num_rows:
        # a re-weighted or narrowed set keeps the recipe its levels are generated by
        levels = _simulated(factor_rows, definition.get("source_definition", definition))
        labels = levels.labels
    else:
        labels = tuple(row["labels"])
        factor_rows, levels = _stored(lake, scenario_set_id, len(labels))
    factors = tuple(RiskFactor.from_dict(json.loads(f)) for f in factor_rows["factor"].to_pylist())
    loaded = ScenarioSet(
        scenario_set_id=scenario_set_id,
        name=row["name"],
        method=row["method"],
        sample=row["sample"],
        market_date=row["market_date"],
        definition=definition,
        index=FactorIndex(factors),
        labels=labels,
        base=factor_rows["base"].to_numpy(),
        levels=levels,
        shocked=np.array([s == "shocked" for s in factor_rows["status"].to_pylist()]),
        weights=None if row["weights"] is None else np.array(row["weights"]),
        horizon_days=row["horizon_days"],
        seed=row["seed"],
        excluded=row["excluded"] or {},
        held=row["held"] or {},
        dropped=row["dropped"] or {},
        proxied=row["proxied"] or {},
        holidays=row["holidays"] or {},
        fitted=row["fitted"] or {},
        derived=row["derived"] or {},
        horizons=tuple(row["horizons"] or ()),
        calibration=row["calibration"] or {},
        roll=None
        if row["rolled_to"] is None
        else Roll(row["market_date"], row["rolled_to"], row["rolled_market"], factor_rows["origin"].to_numpy()),
        version=row["version"],
        market_data_version=row["market_data_version"],
        corporate_actions_version=row["corporate_actions_version"],
        of_book=row["made_for"] is not None,
    )
    if isinstance(levels, SimulatedLevels) and scenario_set_digest(loaded) != scenario_set_id:
        raise Conflict(
            f"Scenario set {row['name']} ({scenario_set_id}) was generated with other numerical libraries (varlake "
            f"{row['code_version']}): this installation makes other levels of the same seed. Value it where it was made, or "
            "make it anew here under another name."
        )
    return loaded
