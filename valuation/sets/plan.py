"""Wanted minus present, and what the difference will cost, before anything is priced."""

from __future__ import annotations

import datetime as dt
import functools
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.arrays import Bools
from lake.canonical import canonical_json, digest
from lake.errors import BadInput, unknown
from lake.progress import go_on
from lake.tables import Snapshot
from scenarios.types import (
    BUMPS,
    DIFFERENCES,
    FACTOR_TYPES,
    IMPORTED,
    FactorIndex,
    GeneratedLevels,
    RiskClass,
    RiskFactor,
    ScenarioSet,
)
from valuation.batch import ANYTHING, failure_reason, ready_contract, types_loaded
from valuation.catalogue import INSTRUMENTS, pricer_version
from valuation.costs import KERNELS, NOTHING, SPARK, Costs, Estimate, Work
from valuation.sets import store
from valuation.sets.imported import imported_before
from valuation.shared_states import Moved
from valuation.types import NOT_OURS, POSITIONS_DATES, READER, Contract, ValuationFailure, ValuationSet, id_for

Runner = Literal["auto", "in-process", "spark"]

SPARK_FROM_CORE_SECONDS = 20.0  # below this, starting Spark costs more than it saves


@dataclass(frozen=True)
class ValuationPlan:
    """What a valuation set needs.

    work : the contracts to price, sorted: contract_id, instrument_type, currency, terms, inputs_digest, base_digest,
    unmoved, moved (how many scenarios move what it reads), substituted. members : contracts whose vector is in the lake, with the
    fingerprint that answers. failures : contracts known to fail without pricing. expected : instrument type to contracts and what
    pricing them takes. runner : by that where `auto` was asked. kernels, spark : what a new process takes first, to load kernels
    and, where it is used, to start Spark.
    sealed : the seal, when this very set is already complete. marks : what the seal says beside table versions: of sources of vectors
    that are not made here, of the books of other dates, of whoever sees a part of the book and has it valued.
    """

    valuation_set_id: str
    valuation_date: dt.date
    scenario_set: ScenarioSet
    risk_classes: tuple[str, ...]
    pricer_version: str
    work: pa.Table
    members: pa.Table
    failures: tuple[ValuationFailure, ...]
    expected: Mapping[str, tuple[int, Estimate]]
    runner: Literal["in-process", "spark"]
    kernels: Estimate
    spark: Estimate
    snapshot: Snapshot
    sealed: ValuationSet | None = None
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def wanted(self) -> int:
        return int(self.work.num_rows) + int(self.members.num_rows) + len(self.failures)

    @property
    def cost(self) -> Estimate:
        """Of pricing what is missing."""
        return sum((e for _, e in self.expected.values()), NOTHING)

    def id_for(self, reader: str) -> str:
        """As `ValuationSet.id_for`."""
        return id_for(
            reader, self.valuation_date, self.scenario_set.scenario_set_id, self.risk_classes, self.pricer_version
        )

    @property
    def start(self) -> dict[str, Estimate]:
        """Seconds before anything is priced, by what takes them: in a process that has priced nothing yet."""
        return {KERNELS: self.kernels, **({SPARK: self.spark} if self.runner == "spark" else {})}

    def to_dict(self) -> dict[str, Any]:
        """The figures shown to a user before running."""
        return {
            "valuation_set": self.valuation_set_id,
            "valuation_date": self.valuation_date,
            "scenario_set": self.scenario_set.scenario_set_id,
            "scenario_set_name": self.scenario_set.name,
            "scenarios": self.scenario_set.n_scenarios,
            "wanted": self.wanted,
            "present": self.members.num_rows,
            "missing": self.work.num_rows,
            "cannot_be_valued": len(self.failures),
            **self.cost.to_dict(),
            "start_seconds": {what: [round(e.low, 3), round(e.high, 3)] for what, e in self.start.items()},
            "by_instrument_type": {t: {"missing": n, **e.to_dict()} for t, (n, e) in self.expected.items()},
            "already_sealed": self.sealed is not None,
            "dropped_days": dict(self.scenario_set.dropped),
            "excluded_factors": dict(self.scenario_set.excluded),
        }


def all_pricers_version() -> str:
    """Digest of every instrument's version: changes when any pricer does."""
    return digest(canonical_json({t: pricer_version(t) for t in INSTRUMENTS}))


def resolve_risk_classes(names: Sequence[str] | None) -> tuple[str, ...]:
    """The risk classes shocked, sorted; all of them for None."""
    valid = [c.value for c in RiskClass]
    for name in names or ():
        if name not in valid:
            raise unknown("risk class", name, valid)
    return tuple(sorted(set(names))) if names else tuple(sorted(valid))


_OF_CONTRACT = {
    "inputs_digest": pa.string(),
    "base_digest": pa.string(),
    "unmoved": pa.bool_(),
    "moved": pa.int64(),
    "substituted": pa.bool_(),
}


class Fingerprints:
    """Digests of what a contract reads: (inputs digest, base digest, unmoved) of a pricer version and its factors, and how many
    scenarios move any of them.

    Contracts that read the same factors share one computation, so a million fingerprints cost no million hashes.
    """

    def __init__(self, scenario_set: ScenarioSet, valuation_date: dt.date, risk_classes: Sequence[str]) -> None:
        self.index: FactorIndex = scenario_set.index
        self._date = valuation_date.isoformat()
        self._method = (
            (BUMPS,) if scenario_set.method in DIFFERENCES else ()
        )  # simulations keep the policy of the base in it
        self._shocked = scenario_set.shocked & np.array(
            [f.risk_class.value in risk_classes for f in self.index.factors]
        )
        self._base = [
            digest(f.risk_factor_id, np.float64(b).tobytes(), *came, *_conventions(f))
            for f, b, came in zip(self.index.factors, scenario_set.base, _origins(scenario_set), strict=True)
        ]
        n = scenario_set.n_scenarios.to_bytes(8, "little")
        levels = scenario_set.levels
        self._levels = [
            digest(base, n, levels.row_key(r) if isinstance(levels, GeneratedLevels) else levels[r].tobytes())
            if self._shocked[r]
            else base
            for r, base in enumerate(self._base)
        ]
        self._count = n
        self._moved = Moved(scenario_set.n_scenarios, functools.partial(self._changes, scenario_set))
        self._known: dict[tuple[str, tuple[str, ...]], tuple[str, str, bool, int]] = {}

    def _changes(self, scenario_set: ScenarioSet, row: int) -> Bools:
        levels = scenario_set.levels
        if isinstance(levels, GeneratedLevels) or not self._shocked[row]:
            return np.full(scenario_set.n_scenarios, self._shocked[row])
        changes: Bools = levels[row] != scenario_set.base[row]
        return changes

    def of(self, instrument_type: str, risk_factors: tuple[str, ...]) -> tuple[str, str, bool, int]:
        key = (instrument_type, risk_factors)
        if key not in self._known:
            rows = sorted(self.index.row[f] for f in risk_factors)
            head = (instrument_type, pricer_version(instrument_type), self._date)
            base = digest(*head, *(self._base[r] for r in rows))
            unmoved = not any(self._shocked[r] for r in rows)
            full = base if unmoved else digest(*head, *self._method, self._count, *(self._levels[r] for r in rows))
            self._known[key] = (full, base, unmoved, self._moved.by(rows).bit_count())
        return self._known[key]


def _conventions(factor: RiskFactor) -> tuple[str, ...]:
    """What a pillar quotes and where a point of a surface or a dividend lies, as their attributes say."""
    kind, attributes = FACTOR_TYPES[factor.type], dict(factor.attributes)
    if not kind.conventions and not kind.coordinates and "expiry" not in attributes:
        return ()
    said = canonical_json([factor.curve, factor.pillar, factor.attributes])
    if not kind.conventions:
        return (said,)
    from valuation.instruments import schedules  # noqa: PLC0415 - QuantLib, which takes long to read

    return said, schedules.VERSION  # its dates decide the curve


def _origins(scenario_set: ScenarioSet) -> list[tuple[str | bytes, ...]]:
    """By factor what its base level was rolled forward from: curves and fixings depend on it beside the level itself."""
    roll = scenario_set.roll
    if roll is None:
        return [()] * len(scenario_set.base)
    return [(roll.since.isoformat(), roll.market, level.tobytes()) for level in roll.origin]


def make_plan(
    snapshot: Snapshot,
    contracts: pa.Table,
    scenario_set: ScenarioSet,
    valuation_date: dt.date,
    risk_classes: Sequence[str] | None = None,
    runner: Runner = "auto",
    *,
    positions_dates: Collection[dt.date] = (),
    cancelled: threading.Event | None = None,
) -> ValuationPlan:
    """The plan for valuing `contracts` (rows of the contracts table) on `valuation_date` under the scenario set.

    positions_dates : of the books that hold them, by default the valuation date.
    Raises `BadInput` where the set's market is rolled to another date, `Cancelled` once `cancelled` is set.
    """
    roll = scenario_set.roll
    if roll is not None and roll.to != valuation_date:
        raise BadInput(
            f"Scenario set {scenario_set.name} is rolled to {roll.to} and cannot be valued on {valuation_date}; roll it there."
        )
    classes = resolve_risk_classes(risk_classes)
    contracts = contracts.sort_by("contract_id")
    reader = snapshot.lake.reader
    imported, not_imported, marks = _imported(snapshot, valuation_date, scenario_set, classes, contracts)
    if {*positions_dates} - {valuation_date}:
        marks = {**marks, POSITIONS_DATES: canonical_json(sorted(map(str, positions_dates)))}
    marks = {**marks, **({READER: reader} if reader else {})}
    set_id = digest(
        valuation_date.isoformat(),
        scenario_set.scenario_set_id,
        canonical_json(classes),
        all_pricers_version(),
        *contracts["contract_id"].to_pylist(),
        *imported["inputs_digest"].to_pylist(),
        *([reader] if reader else []),
    )
    wanted_ids = set(contracts["contract_id"].to_pylist())
    contracts = contracts.filter(pc.not_equal(contracts["instrument_type"], IMPORTED))
    fingerprints = Fingerprints(scenario_set, valuation_date, classes)
    replaced = scenario_set.held.keys() | scenario_set.proxied.keys()
    keys: list[tuple[str, str, bool, int, bool] | None] = []
    failures = list(not_imported)
    since = None if roll is None else roll.since
    for contract in Contract.of(contracts):
        go_on(cancelled)
        kind = contract.instrument_type
        try:
            _, factors = ready_contract(contract, scenario_set.index, valuation_date, since)
            keys.append((*fingerprints.of(kind, factors), not replaced.isdisjoint(factors)))
        except ANYTHING as error:
            failures.append(ValuationFailure(contract.contract_id, kind, *failure_reason(error)))
            keys.append(None)
    priced = pa.array([k is not None for k in keys], pa.bool_())
    wanted = contracts.filter(priced)
    for position, (name, kind) in enumerate(_OF_CONTRACT.items()):
        wanted = wanted.append_column(name, pa.array([k[position] for k in keys if k is not None], kind))

    answers = _answers(snapshot, valuation_date, wanted)
    found = pc.is_valid(answers)
    members = pa.table(
        {
            "contract_id": wanted["contract_id"].filter(found),
            "inputs_digest": answers.filter(found),
            "unmoved": wanted["unmoved"].filter(found),
            "substituted": wanted["substituted"].filter(found),
        }
    )
    members = pa.concat_tables([members, imported])
    work = wanted.filter(pc.invert(found)).sort_by(
        [
            ("unmoved", "ascending"),
            ("instrument_type", "ascending"),
            ("inputs_digest", "ascending"),
            ("contract_id", "ascending"),
        ]
    )
    plan = ValuationPlan(
        valuation_set_id=set_id,
        valuation_date=valuation_date,
        scenario_set=scenario_set,
        risk_classes=classes,
        pricer_version=all_pricers_version(),
        work=work,
        members=members,
        failures=tuple(failures),
        **_expected(snapshot, work, runner),
        snapshot=snapshot,
        sealed=None if reader else store.find_sealed(snapshot, set_id),
        marks=marks,
    )
    return replace(plan, sealed=_holding(snapshot, plan, wanted_ids)) if reader else plan


def _holding(snapshot: Snapshot, plan: ValuationPlan, wanted: set[str]) -> ValuationSet | None:
    """What a reader of a part of the book sees at the coordinates of the plan, where it holds all that is wanted."""
    set_id = plan.id_for(snapshot.lake.reader)
    there = None if plan.work.num_rows else store.find_sealed(snapshot, set_id)
    if there is None:
        return None
    among = {"valuation_set_id": [set_id]}
    tables = ("valuation_members", "valuation_failures")
    held = {c for t in tables for c in snapshot.read(t, ["contract_id"], among=among)["contract_id"].to_pylist()}
    return there if wanted <= held else None


def _imported(
    snapshot: Snapshot, valuation_date: dt.date, scenarios: ScenarioSet, classes: Sequence[str], contracts: pa.Table
) -> tuple[pa.Table, list[ValuationFailure], dict[str, str]]:
    """Of the contracts whose vectors were brought in: those that have one under these scenarios, and the others as failures."""
    brought = contracts.filter(pc.equal(contracts["instrument_type"], IMPORTED))["contract_id"].combine_chunks()
    whole = tuple(classes) == resolve_risk_classes(None)  # of single risk classes there are none
    members, failures, marks = imported_before(
        snapshot, valuation_date, scenarios.scenario_set_id, brought if whole else brought[:0]
    )
    known = {*members["contract_id"].to_pylist(), *(f.contract_id for f in failures)}
    failures += [
        ValuationFailure(c, IMPORTED, IMPORTED, NOT_OURS, "import") for c in brought.to_pylist() if c not in known
    ]
    return members, failures, marks if known else {}


def _answers(snapshot: Snapshot, valuation_date: dt.date, wanted: pa.Table) -> pa.Array:
    """For each wanted contract the inputs digest of the stored row that answers for it, or null."""
    still = wanted.filter(wanted["unmoved"])
    present = store.present_fingerprints(
        snapshot, valuation_date, pc.unique(wanted["inputs_digest"]), pc.unique(still["base_digest"])
    )
    stored = list(
        zip(
            present["contract_id"].to_pylist(),
            present["inputs_digest"].to_pylist(),
            present["base_digest"].to_pylist(),
            strict=True,
        )
    )
    exact = {(c, i): i for c, i, _ in stored}
    # any stored vector on the same base supplies the base value of an unmoved contract; the least digest, for sameness
    by_base = {(c, b): i for c, i, b in sorted(stored, reverse=True)}
    answers = [
        exact.get((c, i)) or (by_base.get((c, b)) if u else None)
        for c, i, b, u in zip(
            wanted["contract_id"].to_pylist(),
            wanted["inputs_digest"].to_pylist(),
            wanted["base_digest"].to_pylist(),
            wanted["unmoved"].to_pylist(),
            strict=True,
        )
    ]
    return pa.array(answers, pa.string())


def _expected(snapshot: Snapshot, work: pa.Table, runner: Runner) -> dict[str, Any]:
    costs = Costs(snapshot.lake)
    grouped = work.group_by(["instrument_type", "unmoved"]).aggregate([([], "count_all"), ("moved", "max")])
    counts = grouped.sort_by("instrument_type")

    def expected(on_spark: bool) -> dict[str, tuple[int, Estimate]]:
        found: dict[str, tuple[int, Estimate]] = {}
        for row in counts.to_pylist():
            kind, contracts, states = row["instrument_type"], row["count_all"], 1 + row["moved_max"]
            n, so_far = found.get(kind, (0, NOTHING))
            cost = costs.of(Work.of_type(kind, contracts, states, on_spark))
            found[kind] = (n + contracts, so_far + cost)
        return found

    if runner == "auto":
        seconds = sum(cost.seconds for _, cost in expected(False).values())
        runner = "spark" if seconds >= SPARK_FROM_CORE_SECONDS else "in-process"
    # what this process has loaded tells of what others have asked
    loaded = frozenset() if snapshot.lake.reader else types_loaded()
    new = sorted(set(counts["instrument_type"].to_pylist()) - loaded)
    return {
        "expected": expected(runner == "spark"),
        "runner": runner,
        "kernels": costs.of(Work(KERNELS, dict.fromkeys(new, 1))) if new else NOTHING,
        "spark": costs.of(Work(SPARK, {})),
    }
