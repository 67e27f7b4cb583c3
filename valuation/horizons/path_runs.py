"""Values along paths in the lake: what is missing, what it costs, and runs that value it in this process or on Spark, with the same bits.

Tasks value a batch of contracts at all dates, write Parquet files named by content, and return their names. One process commits them,
wave by wave, and seals. All rows of a contract stand in one file, so that a contract is there whole or not at all; a run that is killed
keeps the waves it committed.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

from lake.arrays import Floats
from lake.canonical import digest
from lake.committer import Committer
from lake.errors import NotFound
from lake.progress import Progress, go_on, silent
from lake.runtime.machine import usable_cores
from lake.schemas import DOUBLES, PATH_FAILURES, PATH_MEMBERS, PATH_SETS, PATH_VALUATIONS, PATH_VALUES
from lake.storage import write_data_file
from lake.tables import Lake, Snapshot, code_version
from valuation.batch import ANYTHING, failure_reason
from valuation.catalogue import factors_of, pricer_version, terms_from_json
from valuation.costs import NOTHING, Costs, Estimate, Work, record
from valuation.horizons.path_values import PathBlock, value_along
from valuation.market.path_market import PathMarkets
from valuation.market.path_model import PathKeys, PathModel
from valuation.sets.batches import BatchResult
from valuation.sets.on_spark import texts_on_spark
from valuation.sets.plan import SPARK_FROM_CORE_SECONDS, Runner, all_pricers_version
from valuation.types import Contract, ValuationFailure

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BLOCK_BYTES = 32 << 20  # of values and cash in a batch: what one task holds, and about the size of a data file
WAVE = 64  # batches between two commits
_WORK = ("contract_id", "instrument_type", "terms", "inputs_digest")


@dataclass(frozen=True)
class PathPlan:
    """What valuing contracts along paths needs.

    work : contracts to value, by type and id: contract_id, instrument_type, terms, inputs_digest. members : contract_id and
    inputs_digest of those whose values are in the lake. failures : known without valuing. expected : instrument type to contracts and
    what valuing them takes. sealed : whether this very valuation is complete in the lake.
    """

    path_valuation_id: str
    model: PathModel
    path_set_id: str
    work: pa.Table
    members: pa.Table
    failures: tuple[ValuationFailure, ...]
    expected: Mapping[str, tuple[int, Estimate]]
    runner: Literal["in-process", "spark"]
    snapshot: Snapshot
    sealed: bool

    @property
    def cost(self) -> Estimate:
        return sum((e for _, e in self.expected.values()), NOTHING)

    def to_dict(self) -> dict[str, Any]:
        """The figures shown to a user before running."""
        return {
            "path_valuation": self.path_valuation_id,
            "path_set": self.path_set_id,
            "dates": len(self.model.dates),
            "last_date": self.model.dates[-1] if self.model.dates else None,
            "paths": self.model.settings.paths,
            "wanted": self.work.num_rows + self.members.num_rows + len(self.failures),
            "present": self.members.num_rows,
            "missing": self.work.num_rows,
            "cannot_be_valued": len(self.failures),
            **self.cost.to_dict(),
            "stored_bytes": 8 * self.work.num_rows * len(self.model.dates) * self.model.settings.paths,
            "by_instrument_type": {t: {"missing": n, **e.to_dict()} for t, (n, e) in self.expected.items()},
            "runner": self.runner,
        }


@dataclass(frozen=True)
class PathRun:
    """A valuation along paths that is sealed now, and what this run did for it."""

    path_valuation_id: str
    path_set_id: str
    valued: int
    reused: int
    failed: int
    pricing_seconds: float
    elapsed_seconds: float
    spark_seconds: float = 0.0


def plan_along(snapshot: Snapshot, contracts: pa.Table, model: PathModel, runner: Runner = "auto") -> PathPlan:
    """The plan for valuing `contracts` (rows of the contracts table) along the paths of a model."""
    contracts = contracts.sort_by("contract_id")
    keys, found, failures = PathKeys(model), [], []
    for contract in Contract.of(contracts):
        kind, stage = contract.instrument_type, "terms"
        try:
            terms = terms_from_json(kind, contract.terms)
            stage = "check"
            terms.check(model.as_of)
            stage = "factors"
            found.append((*contract, keys.of(pricer_version(kind), factors_of(terms, model.index, model.as_of))))
        except ANYTHING as error:
            failures.append(ValuationFailure(contract.contract_id, kind, *failure_reason(error, stage)))
    rows = pa.table({name: pa.array([f[i] for f in found], pa.string()) for i, name in enumerate(_WORK)})
    there = present(snapshot, model.as_of, rows["inputs_digest"])
    known = pa.array(
        [
            (c, d) in there
            for c, d in zip(*(rows[n].to_pylist() for n in ("contract_id", "inputs_digest")), strict=True)
        ],
        pa.bool_(),
    )
    work = rows.filter(pc.invert(known)).sort_by([("instrument_type", "ascending"), ("contract_id", "ascending")])
    costs, expected = Costs(snapshot.lake), {}
    for kind, n in sorted(Counter(work["instrument_type"].to_pylist()).items()):
        expected[kind] = n, costs.of(_work(kind, n, model))
    set_id = model.path_set_id()
    valuation_id = digest(set_id, all_pricers_version(), *contracts["contract_id"].to_pylist())
    seconds = sum((e.seconds for _, e in expected.values()), 0.0)
    chosen: Literal["in-process", "spark"] = (
        "spark" if runner == "spark" or (runner == "auto" and seconds > SPARK_FROM_CORE_SECONDS) else "in-process"
    )
    sealed = find_valuation(snapshot, valuation_id) is not None
    members = rows.filter(known).select(["contract_id", "inputs_digest"])
    return PathPlan(valuation_id, model, set_id, work, members, tuple(failures), expected, chosen, snapshot, sealed)


def _work(kind: str, contracts: int, model: PathModel) -> Work:
    return Work(f"{kind} along paths", {kind: contracts * len(model.dates)}, model.settings.paths)


def present(snapshot: Snapshot, as_of: dt.date, digests: pa.ChunkedArray) -> set[tuple[str, str]]:
    """Contract ids and fingerprints of these that are in the lake."""
    if not len(digests):
        return set()
    import pyarrow.dataset as ds  # noqa: PLC0415 - as in `lake.tables`, slow to import

    where = (ds.field("date_number") == 0) & ds.field("inputs_digest").isin(pc.unique(digests))
    rows = snapshot.read("path_values", ["contract_id", "inputs_digest"], where, among={"as_of_date": [as_of]})
    return set(zip(rows["contract_id"].to_pylist(), rows["inputs_digest"].to_pylist(), strict=True))


def find_valuation(at: Lake | Snapshot, path_valuation_id: str) -> dict[str, Any] | None:
    """The seal of a valuation along paths, or None while it has none."""
    rows = at.read("path_valuations", among={"path_valuation_id": [path_valuation_id]}).to_pylist(
        maps_as_pydicts="strict"
    )
    return rows[0] if rows else None


def load_model(at: Lake | Snapshot, path_set_id: str) -> PathModel:
    """A stored path set; raises `NotFound`."""
    rows = at.read("path_sets", ["model"], among={"path_set_id": [path_set_id]})
    if not rows.num_rows:
        raise NotFound(f"The lake holds no path set {path_set_id}.")
    return PathModel.from_json(rows["model"][0].as_py())


@functools.lru_cache(maxsize=2)
def _loaded(lake_path: str, path_set_id: str) -> tuple[PathModel, PathKeys]:
    model = load_model(Lake(lake_path), path_set_id)
    return model, PathKeys(model)


@functools.lru_cache(maxsize=1)
def _drawn(lake_path: str, path_set_id: str, first: int, stop: int) -> PathMarkets:
    """A worker keeps its drivers: they are drawn once a process, not once a batch."""
    made = PathMarkets(_loaded(lake_path, path_set_id)[0], first, stop)
    return made.anew()  # which draws


_drawing = threading.Lock()


def value_batch_along(lake_path: str, path_set_id: str, rows: pa.Table) -> BatchResult:
    """Values rows of `PathPlan.work` and writes them; commits nothing. Runs anywhere that sees the lake."""
    model, keys = _loaded(lake_path, path_set_id)
    contracts = Contract.of(rows)
    markets: Callable[[int, int], PathMarkets]
    if model.settings.measure == "real_world":
        reads: set[str] = set()
        for c in contracts:
            reads |= keys.closure(factors_of(terms_from_json(c.instrument_type, c.terms), model.index, model.as_of))
        markets = functools.partial(_real, model, reads)
    else:
        markets = functools.partial(_shared, lake_path, path_set_id)

    block = value_along(contracts, model, markets)
    return _written(Path(lake_path), model, rows, block)


def _shared(lake_path: str, path_set_id: str, first: int, stop: int) -> PathMarkets:
    with _drawing:
        return _drawn(lake_path, path_set_id, first, stop).anew()


def _real(model: PathModel, reads: set[str], first: int, stop: int) -> PathMarkets:
    return PathMarkets(model, first, stop, reads)


def _written(root: Path, model: PathModel, rows: pa.Table, block: PathBlock) -> BatchResult:
    kinds = dict(zip(rows["contract_id"].to_pylist(), rows["instrument_type"].to_pylist(), strict=True))
    digests = dict(zip(rows["contract_id"].to_pylist(), rows["inputs_digest"].to_pylist(), strict=True))
    spent: dict[str, list[float]] = {}
    for contract_id, us in zip(block.contract_ids, block.cost_us.tolist(), strict=True):
        spent.setdefault(kinds[contract_id], []).append(us)
    cost = tuple((_work(kind, len(each), model), sum(each)) for kind, each in spent.items())
    file = None
    n, k = len(block.contract_ids), len(model.dates)
    if n and k:
        once = np.repeat(np.arange(n), k)
        table = pa.table(
            {
                "contract_id": pa.array(block.contract_ids, pa.string()).take(once),
                "inputs_digest": pa.array([digests[c] for c in block.contract_ids], pa.string()).take(once),
                "date_number": np.tile(np.arange(k, dtype=np.int32), n),
                "currency": pa.array(block.currencies, pa.string()).take(once),
                "base_value": block.base[once],
                "values": _lists(block.values.reshape(n * k, -1)),
                "cash": _lists(block.cash.reshape(n * k, -1)),
            },
            schema=PATH_VALUES.file_schema.remove_metadata(),
        )
        file = write_data_file(root, "path_values", table, {"as_of_date": model.as_of})
    return BatchResult(file, block.failures, cost)


def _lists(values: Floats) -> pa.ListArray:
    """A list a row; null for a row of zeros."""
    width = values.shape[1]
    kept = (values != 0.0).any(axis=1)
    offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int32) * np.int32(width)
    flat = pa.array(values[kept].ravel())
    return pa.ListArray.from_arrays(pa.array(offsets), flat, type=DOUBLES, mask=pa.array(~kept))


def cut(plan: PathPlan, parallelism: int) -> list[tuple[int, int]]:
    """(first row, length) of each batch of `plan.work`: bounded in bytes, enough of them to keep every core busy, and those that are
    expected to take longest first, so that no core waits at the end for one that began late."""
    n = plan.work.num_rows
    width = 16 * max(1, len(plan.model.dates)) * plan.model.settings.paths
    largest = max(1, min(BLOCK_BYTES // width, -(-n // max(1, 4 * parallelism))))
    seconds = {kind: estimate.seconds / contracts for kind, (contracts, estimate) in plan.expected.items()}
    takes = [seconds[kind] for kind in plan.work["instrument_type"].to_pylist()]
    batches = [(a, min(largest, n - a)) for a in range(0, n, largest)]
    return sorted(batches, key=lambda batch: (-math.fsum(takes[batch[0] : sum(batch)]), batch))


def run_along(
    committer: Committer,
    plan: PathPlan,
    *,
    runner: Runner = "auto",
    spark: Callable[[], SparkSession] | None = None,
    progress: Progress = silent,
    cancelled: threading.Event | None = None,
) -> PathRun:
    """Stores the path set, values what is missing, commits, seals. A sealed valuation is returned as it is."""
    started = time.perf_counter()
    if plan.sealed:
        seal = find_valuation(committer.lake, plan.path_valuation_id)
        assert seal is not None
        return PathRun(
            plan.path_valuation_id, plan.path_set_id, 0, seal["valued"] + seal["reused"], seal["failed"], 0.0, 0.0
        )
    cancelled = cancelled or threading.Event()
    _put_set(committer, plan)
    used = plan.runner if runner == "auto" else runner
    session = spark() if used == "spark" and spark is not None and plan.work.num_rows else None
    spark_seconds = time.perf_counter() - started if session is not None else 0.0
    parallelism = usable_cores() if session is None else session.sparkContext.defaultParallelism
    batches = cut(plan, parallelism)
    results: list[BatchResult] = []
    progress("value", 0, len(batches))
    done = [0]
    lock = threading.Lock()

    def tick(n: int) -> None:
        with lock:
            done[0] += n
            progress("value", done[0], len(batches))

    for wave, first in enumerate(range(0, len(batches), WAVE)):
        part, before = batches[first : first + WAVE], len(results)
        try:
            results += (
                _in_process(committer.lake, plan, part, tick, cancelled)
                if session is None
                else _on_spark(session, committer, plan, part, tick, cancelled, wave)
            )
        finally:
            files = [r.file for r in results[before:] if r.file is not None]
            if files:
                committer.commit("path_values", files, note={"path_valuation": plan.path_valuation_id})
        done[0] = first + len(part)
    record(committer.lake, _measured(results))
    where = used if session is None else session.sparkContext.master
    return _seal(committer, plan, results, where, time.perf_counter() - started, spark_seconds)


def _measured(results: Sequence[BatchResult]) -> list[tuple[Work, float]]:
    total: dict[tuple[str, int], tuple[Counter[str], float]] = {}
    for result in results:
        for work, us in result.cost_us:
            contracts, so_far = total.get((work.name, work.states), (Counter(), 0.0))
            total[work.name, work.states] = (contracts + Counter(work.contracts), so_far + us)
    return [(Work(name, dict(n), states), us) for (name, states), (n, us) in total.items()]


def _in_process(
    lake: Lake,
    plan: PathPlan,
    batches: Sequence[tuple[int, int]],
    tick: Callable[[int], None],
    cancelled: threading.Event,
) -> Iterator[BatchResult]:
    def one(batch: tuple[int, int]) -> BatchResult:
        go_on(cancelled)
        result = value_batch_along(str(lake.path), plan.path_set_id, plan.work.slice(*batch))
        tick(1)
        return result

    with ThreadPoolExecutor(usable_cores()) as pool:
        yield from pool.map(one, batches)


def _on_spark(
    session: SparkSession,
    committer: Committer,
    plan: PathPlan,
    batches: Sequence[tuple[int, int]],
    tick: Callable[[int], None],
    cancelled: threading.Event,
    wave: int,
) -> list[BatchResult]:
    lake, run_id = committer.lake, f"{committer.run_id}-{plan.path_valuation_id[:8]}-{wave}"
    folder = lake.state / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    work_file = folder / "work.arrow"
    with ipc.new_file(str(work_file), plan.work.schema) as sink:
        sink.write_table(plan.work)
    task = functools.partial(_task, str(lake.path), plan.path_set_id, str(work_file), list(batches))
    try:
        texts = texts_on_spark(session, task, len(batches), tick, cancelled, run_id)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [BatchResult.from_json(text) for text in texts]


def _task(lake_path: str, path_set_id: str, work_file: str, batches: list[tuple[int, int]], i: int) -> str:
    work = ipc.open_file(pa.memory_map(work_file)).read_all()
    return value_batch_along(lake_path, path_set_id, work.slice(*batches[i])).to_json()


def _put_set(committer: Committer, plan: PathPlan) -> None:
    if committer.lake.read("path_sets", ["path_set_id"], among={"path_set_id": [plan.path_set_id]}).num_rows:
        return
    m, s = plan.model, plan.model.settings
    row = {
        "path_set_id": plan.path_set_id,
        "as_of_date": m.as_of,
        "measure": s.measure,
        "numeraire": s.numeraire,
        "dates": list(m.dates),
        "paths": s.paths,
        "seed": s.seed,
        "sampling": s.sampling,
        "model": m.to_json(),
        "market_data_version": m.market_data_version,
        "code_version": code_version(),
        "created_at": dt.datetime.now(dt.UTC),
    }
    committer.put(
        "path_sets", pa.Table.from_pylist([row], schema=PATH_SETS.schema), note={"path_set": plan.path_set_id}
    )


def _seal(
    committer: Committer,
    plan: PathPlan,
    results: Sequence[BatchResult],
    runner: str,
    elapsed: float,
    spark_seconds: float,
) -> PathRun:
    failures = [*plan.failures, *(f for r in results for f in r.failures)]
    failed = pa.array(sorted({f.contract_id for f in failures}), pa.string())
    valued = plan.work.filter(pc.invert(pc.is_in(plan.work["contract_id"], value_set=failed)))
    written = sum(r.file.rows for r in results if r.file is not None)
    if written != valued.num_rows * len(plan.model.dates):
        raise AssertionError(f"{valued.num_rows} contracts were valued but {written} rows were written")
    set_id = plan.path_valuation_id
    members = pa.concat_tables([plan.members, valued.select(["contract_id", "inputs_digest"])])
    ids = pa.repeat(pa.scalar(set_id), members.num_rows)
    members = members.append_column("path_valuation_id", ids).select(PATH_MEMBERS.schema.names).sort_by("contract_id")
    committer.put("path_members", members, replace=True)
    if failures:
        rows = [{"path_valuation_id": set_id, **asdict(f)} for f in sorted(failures, key=lambda f: f.contract_id)]
        committer.put("path_failures", pa.Table.from_pylist(rows, schema=PATH_FAILURES.schema), replace=True)
    measured = _measured(results)
    pricing = sum(us for _, us in measured) / 1e6
    per = {next(iter(w.contracts)): us / (sum(w.contracts.values()) * w.states) for w, us in measured}
    row = {
        "path_valuation_id": set_id,
        "path_set_id": plan.path_set_id,
        "as_of_date": plan.model.as_of,
        "pricer_version": all_pricers_version(),
        "submitted": members.num_rows + len(failures),
        "valued": valued.num_rows,
        "reused": plan.members.num_rows,
        "failed": len(failures),
        "cost_us": sorted(per.items()),
        "pricing_seconds": pricing,
        "elapsed_seconds": elapsed,
        "runner": runner,
        "run_id": committer.run_id,
        "table_versions": sorted((k, str(v)) for k, v in plan.snapshot.versions.items()),
        "code_version": code_version(),
        "sealed_at": dt.datetime.now(dt.UTC),
    }
    committer.put(
        "path_valuations", pa.Table.from_pylist([row], schema=PATH_VALUATIONS.schema), note={"path_valuation": set_id}
    )
    return PathRun(
        set_id, plan.path_set_id, valued.num_rows, plan.members.num_rows, len(failures), pricing, elapsed, spark_seconds
    )
