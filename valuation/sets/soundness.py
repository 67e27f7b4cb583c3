"""Seals held to what they name: scenario set, contracts, members, failures, and a vector of the right length for each member."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.errors import counted
from lake.progress import Progress, silent
from lake.storage import is_damaged
from lake.tables import Lake, Snapshot
from lake.verify import Fault
from lake.workers import each
from valuation.sets.store import list_valuation_sets
from valuation.types import ValuationSet

_ROWS = 4096  # vectors looked at together


def verify_sets(lake: Lake, progress: Progress = silent) -> list[Fault]:
    """What sealed valuation sets name and the lake does not hold as they say; the files themselves are taken as they are."""
    at = lake.snapshot()
    seals = list_valuation_sets(at, every=True)
    scenario_sets = set(at.read("scenario_sets", ["scenario_set_id"])["scenario_set_id"].to_pylist())
    contracts = at.read("contracts", ["contract_id"])["contract_id"]
    faults: list[Fault] = []
    by_date: dict[dt.date, list[ValuationSet]] = {}
    for seal in seals:
        by_date.setdefault(seal.valuation_date, []).append(seal)
    for done, (day, of_day) in enumerate(sorted(by_date.items()), 1):
        lengths = _lengths(at, day)
        for seal in of_day:
            place = f"valuation set {seal.valuation_set_id} of {day}"
            told = list(_of_set(at, seal, lengths, contracts))
            if seal.scenario_set_id not in scenario_sets:
                told.append(f"its scenario set {seal.scenario_set_name} ({seal.scenario_set_id}) is not stored")
            faults += [Fault("valuation_sets", place, fault, "Restore the lake from a copy.") for fault in told]
        progress("days of valuation sets", done, len(by_date))
    return faults


def _lengths(at: Snapshot, day: dt.date) -> pa.Table:
    """contract_id, inputs_digest and the number of scenarios of every vector of a day; files that are damaged are left out."""
    files = [f for f in at.data_files("pnl_vectors", {"valuation_date": [day]}) if not is_damaged(f)]

    def of_file(file: object) -> list[pa.RecordBatch]:
        columns = ["contract_id", "inputs_digest", "pnl"]
        with pq.ParquetFile(file) as reader:
            return [
                pa.record_batch([b[0], b[1], pc.list_value_length(b[2])], ["contract_id", "inputs_digest", "length"])
                for b in reader.iter_batches(_ROWS, columns=columns, use_threads=False)
            ]

    schema = pa.schema([("contract_id", pa.string()), ("inputs_digest", pa.string()), ("length", pa.int32())])
    return pa.Table.from_batches([b for batches in each(of_file, files) for b in batches], schema)


def _of_set(at: Snapshot, seal: ValuationSet, lengths: pa.Table, contracts: pa.ChunkedArray) -> Iterator[str]:
    among: dict[str, Sequence[str]] = {"valuation_set_id": [seal.valuation_set_id]}
    members = at.read("valuation_members", ["contract_id", "inputs_digest", "unmoved"], among=among)
    failures = at.read("valuation_failures", ["contract_id"], among=among)
    sealed = seal.valued + seal.reused
    if len(members) != sealed:
        yield f"it has {counted(len(members), 'member')} and was sealed with {sealed:,}"
    if len(failures) != seal.failed:
        yield f"it has {counted(len(failures), 'failure')} and was sealed with {seal.failed:,}"
    unknown = pc.invert(pc.is_in(members["contract_id"], value_set=contracts.combine_chunks()))
    if n := pc.sum(unknown).as_py():
        yield f"{counted(n, 'contract')} of it are not stored, first {members['contract_id'].filter(unknown)[0]}"
    # a fingerprint stands once or, where a task was retried, several times with the same vector
    held = lengths.group_by(["contract_id", "inputs_digest"]).aggregate([("length", "max")])
    found = members.join(held, ["contract_id", "inputs_digest"], join_type="left outer").sort_by("contract_id")
    absent = pc.is_null(found["length_max"])
    if n := pc.sum(absent).as_py():
        yield f"{counted(n, 'vector')} of it are not stored, first of contract {found['contract_id'].filter(absent)[0]}"
    other = pc.and_(pc.invert(found["unmoved"]), pc.not_equal(found["length_max"], seal.scenario_count))
    if n := pc.sum(other).as_py():
        first = found["contract_id"].filter(other)[0]
        yield f"{counted(n, 'vector')} of it have not {seal.scenario_count:,} scenarios, first of contract {first}"
