"""The vectors of a valuation set: one memory-mapped matrix filled from the lake's data files, or where they are in those."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aggregation.book.book import encode
from lake.arrays import Bools, Codes, Floats, Ints
from lake.compiled import compiled
from lake.disk_cache import read_mapped, write_mapped
from lake.errors import BadInput, Damaged
from lake.storage import check_data_file
from lake.tables import Lake
from lake.workers import each
from valuation.types import ValuationSet

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Words = npt.NDArray[np.uint64]

_BATCH_BYTES = 32 << 20  # of vectors read from a data file at once
_LINE = 8  # doubles in a cache line: rows begin on one, so that no vector instruction straddles two
LEAST_WIDTH = 64  # doubles in a row at least: the narrowest tile of `reduce`


@dataclass(frozen=True)
class Places:
    """Where the vectors of a set are in the lake's data files, for Spark to read them there.

    files : paths. ends : (n_files,) rows of the files so far. contract : (ends[-1],) the contract whose vector a row of
    the files holds, counted as in `Vectors`, -1 where it holds none of the set's. session : gives the Spark session.
    """

    files: tuple[str, ...]
    ends: Ints
    contract: Codes
    session: Callable[[], SparkSession]


@dataclass(frozen=True)
class Vectors:
    """The vectors of a valuation set, contracts sorted by id. `set_key` is `ValuationSet.key`, empty where
    they are of no stored set.

    base : (n_contracts,) value of one unit; matrix : (n_contracts, width) P&L of one unit in scenario order, gains
    positive, both in the contract's currency; columns past n_scenarios are zero padding. currency : codes into
    `currencies`. unmoved : contracts that no shocked risk factor reaches, whose rows are zero by reading, not by
    pricing. substituted : contracts that read a factor held or proxied; None where the set was filled before this was kept.
    failures : contract_id, reason, message of the contracts that could not be valued. memory_bytes : so much of `matrix`
    may be in memory at once. places : where Spark reads the vectors; there is no matrix here then.
    """

    n_scenarios: int
    contract_ids: pa.Array
    currencies: tuple[str, ...]
    currency: Codes
    base: Floats
    unmoved: Bools
    matrix: Floats | None
    failures: pa.RecordBatch
    substituted: Bools | None = None
    memory_bytes: float = math.inf
    places: Places | None = None
    set_key: str = ""

    @property
    def rows(self) -> Floats:
        """The matrix; raises `BadInput` where there is none."""
        if self.matrix is None:
            raise BadInput(
                "This question reads vectors one by one, and the reduce on Spark leaves them in the lake's files. Ask it "
                "with the reduce in-process or streamed."
            )
        return self.matrix

    @property
    def portion(self) -> int:
        """How many contracts' rows may be in memory at once; all of them unless the matrix is larger than allowed."""
        n, width = self.rows.shape
        return n if self.rows.nbytes <= self.memory_bytes else max(1, int(self.memory_bytes // (8 * width)))

    @property
    def reduce(self) -> str:
        """How questions pass over the vectors, as `reduce_choice` names them, all with the same bits."""
        if self.places is not None:
            return "spark"
        return "in-process" if self.portion >= len(self.rows) else "streamed"

    @property
    def pnl(self) -> Floats:
        """The vectors without padding, shape (n_contracts, n_scenarios)."""
        return self.rows[:, : self.n_scenarios]


def _width(n_scenarios: int) -> int:
    return max(LEAST_WIDTH, -(-n_scenarios // _LINE) * _LINE)


def matrix_bytes(n_contracts: int, n_scenarios: int) -> int:
    """Size of the matrix of so many vectors."""
    return 8 * n_contracts * _width(n_scenarios)


def _matrix(path: Path, n_contracts: int, n_scenarios: int, *, write: bool = False) -> Floats:
    width = _width(n_scenarios)
    if write:
        with path.open("wb") as f:
            # a full disk is an error here; in a mapped file it would kill the process
            os.posix_fallocate(f.fileno(), 0, max(1, n_contracts * width * 8))
    mode: Any = "r+" if write else "r"
    return np.memmap(path, dtype=np.float64, mode=mode, shape=(n_contracts, width)).view(np.ndarray)


def load_vectors(seal: ValuationSet, memory_bytes: float, folder: Path) -> Vectors:
    """Maps the files that `write_vectors` wrote."""
    vectors = _load(seal, folder)
    matrix = _matrix(folder / "rows.f64", len(vectors.contract_ids), seal.scenario_count)
    return replace(vectors, matrix=matrix, memory_bytes=memory_bytes)


def load_places(seal: ValuationSet, session: Callable[[], SparkSession], folder: Path) -> Vectors:
    """Maps the files that `write_places` wrote."""
    files, contract = read_mapped(folder / "files.arrow"), read_mapped(folder / "places.arrow").column("contract")
    paths, ends = tuple(files.column("file").to_pylist()), files.column("end").to_numpy()
    return replace(_load(seal, folder), places=Places(paths, ends, contract.to_numpy(), session))


def _load(seal: ValuationSet, folder: Path) -> Vectors:
    contracts = read_mapped(folder / "contracts.arrow")
    currency = contracts.column("currency")
    return Vectors(
        n_scenarios=seal.scenario_count,
        contract_ids=contracts.column("contract_id"),
        currencies=tuple(currency.dictionary.to_pylist()),
        currency=currency.indices.to_numpy(),
        base=contracts.column("base").to_numpy(),
        unmoved=contracts.column("unmoved").to_numpy().view(np.bool_),
        matrix=None,
        failures=read_mapped(folder / "failures.arrow"),
        substituted=_known(contracts, "substituted"),
        set_key=seal.key,
    )


def _known(contracts: pa.RecordBatch, name: str) -> Bools | None:
    """A flag of every contract; None where it is not known of all."""
    if name not in contracts.schema.names or contracts.column(name).null_count:
        return None
    flags: Bools = contracts.column(name).to_numpy().view(np.bool_)
    return flags


def write_vectors(lake: Lake, seal: ValuationSet, folder: Path) -> dict[str, int]:
    """Copies what a sealed set's members name from the data files; raises `Damaged` when the lake lacks or spoils it.

    Returns the checksum of the matrix file, which is added up while its rows are at hand.
    """
    filling, _ = _fill(lake, seal, folder, matrix=True)
    return {"rows.f64": filling.checksum}


def write_places(lake: Lake, seal: ValuationSet, folder: Path) -> None:
    """Writes all of `Vectors` but the vectors, and where these are; raises as `write_vectors`, vectors themselves unread."""
    _, work = _fill(lake, seal, folder, matrix=False)
    rows = [contract for _, contract in work] or [np.empty(0, np.int32)]
    files = pa.array([str(file) for file, _ in work], pa.string())
    ends = np.cumsum([len(contract) for _, contract in work], dtype=np.int64)
    write_mapped(folder / "files.arrow", {"file": files, "end": pa.array(ends)})
    write_mapped(folder / "places.arrow", {"contract": pa.array(np.concatenate(rows))})


_Work = list[tuple[Path, Codes]]  # a data file, and for each of its rows the member whose vector it has, or -1


def _fill(lake: Lake, seal: ValuationSet, folder: Path, *, matrix: bool) -> tuple[_Filling, _Work]:
    at = lake.snapshot("valuation_members", "valuation_failures", "pnl_vectors")
    among = {"valuation_set_id": [seal.valuation_set_id]}
    columns = ["contract_id", "inputs_digest", "unmoved", "substituted"]
    members = at.read("valuation_members", columns, among=among).sort_by("contract_id")
    failures = at.read("valuation_failures", ["contract_id", "reason", "message"], among=among).sort_by("contract_id")
    rows = _matrix(folder / "rows.f64", len(members), seal.scenario_count, write=True) if matrix else None
    filling = _Filling(seal, members, rows)
    work = filling.run(at.data_files("pnl_vectors", {"valuation_date": [seal.valuation_date]}))
    codes, currencies = encode(pa.array(filling.currency, pa.string()))
    write_mapped(
        folder / "contracts.arrow",
        {
            "contract_id": filling.contract_ids,
            "currency": pa.DictionaryArray.from_arrays(pa.array(codes), currencies),
            "base": pa.array(filling.base),
            "unmoved": pa.array(filling.unmoved.view(np.uint8)),
            "substituted": members["substituted"].combine_chunks().cast(pa.uint8()),
        },
    )
    write_mapped(folder / "failures.arrow", {c: failures[c].combine_chunks() for c in failures.column_names})
    return filling, work


class _Filling:
    """Rows of the members, found in the data files; base value and currency, and the vectors where `rows` is given, copied."""

    def __init__(self, seal: ValuationSet, members: pa.Table, rows: Floats | None) -> None:
        n = len(members)
        self.set_id = seal.valuation_set_id
        self.n_scenarios: int = seal.scenario_count
        self.rows = rows
        self.contract_ids = members["contract_id"].combine_chunks()
        self.digests = members["inputs_digest"].combine_chunks()
        self.unmoved: Bools = members["unmoved"].to_numpy()
        self.base = np.empty(n)
        self.currency = np.full(n, None, dtype=object)
        self.checksum = 0

    def run(self, files: Sequence[Path]) -> _Work:
        work: _Work = []
        found = np.zeros(len(self.contract_ids), dtype=np.bool_)
        # which file answers for a contract is settled in the order of the files, whichever is read first
        for file, candidates in zip(files, each(self._candidates, files), strict=True):
            places = _first_of_each(candidates, found)
            found[places[places >= 0]] = True
            if (places >= 0).any():
                work.append((file, places))
        if not found.all():
            for file in files:
                check_data_file(file)
            lacking = self.contract_ids.filter(pa.array(~found))
            raise self._damaged(f"{len(lacking)} of its vectors are not in pnl_vectors, first {lacking[0]}")
        self.checksum = sum(each(lambda w: self._copy(*w), work)) % (1 << 64)
        return work

    def _candidates(self, file: Path) -> Codes:
        """For each row of the file the member whose vector it has, or -1."""
        try:
            keys = pq.read_table(file, columns=["contract_id", "inputs_digest"], partitioning=None).combine_chunks()
        except (OSError, pa.ArrowException):
            check_data_file(file)
            raise
        places: Codes = (
            pc.fill_null(pc.index_in(keys["contract_id"], self.contract_ids), -1).to_numpy().astype(np.int32)
        )
        hit = np.flatnonzero(places >= 0)
        same = pc.equal(keys["inputs_digest"].take(pa.array(hit)), self.digests.take(pa.array(places[hit]))).to_numpy()
        places[hit[~same]] = -1
        return places

    def _copy(self, file: Path, places: Codes) -> int:
        """Copies the rows that have a place; returns their part of the checksum."""
        check_data_file(file)  # here, since a day may have many sets, and few files hold vectors of this one
        part = 0
        columns = ["currency", "base_value", *(["pnl"] if self.rows is not None else [])]
        reader = pq.ParquetFile(file, memory_map=True, pre_buffer=False)
        done = 0
        for batch in reader.iter_batches(
            max(1, _BATCH_BYTES // (8 * self.n_scenarios)), columns=columns, use_threads=False
        ):
            here = places[done : done + len(batch)]
            done += len(batch)
            wanted = here >= 0
            if wanted.any():
                part += self._copy_batch(batch if wanted.all() else batch.filter(pa.array(wanted)), here[wanted])
        return part

    def _copy_batch(self, batch: pa.RecordBatch, places: Codes) -> int:
        base = batch.column("base_value").to_numpy()
        self.base[places] = base
        self.currency[places] = batch.column("currency").to_numpy(zero_copy_only=False)
        finite, part = bool(np.isfinite(base).all()), 0
        if self.rows is not None:
            moved, lists = ~self.unmoved[places], batch.column("pnl")
            if not moved.all():
                lists = lists.filter(pa.array(moved))
            if not pc.all(pc.equal(pc.list_value_length(lists), self.n_scenarios), min_count=0).as_py():
                raise self._damaged(f"it has vectors of other lengths than {self.n_scenarios}")
            rows_finite, rows_part = _copy_rows(
                lists.flatten().to_numpy().view(np.uint64), places[moved], self.n_scenarios, self.rows.view(np.uint64)
            )
            finite, part = finite and rows_finite, int(rows_part)
        if not finite:
            raise self._damaged("it has vectors that are not finite")
        return part

    def _damaged(self, what: str) -> Damaged:
        return damaged(self.set_id, what)


def damaged(valuation_set_id: str, what: str) -> Damaged:
    """The error of a sealed set whose vectors are not as they were sealed."""
    return Damaged(f"Valuation set {valuation_set_id} is damaged: {what}. Restore the lake from a copy.")


def _first_of_each(candidates: Codes, found: Bools) -> Codes:
    """The candidates without members already found and without repeats: a retried task may have written a row twice."""
    hit = np.flatnonzero(candidates >= 0)
    hit = hit[~found[candidates[hit]]]
    _, first = np.unique(candidates[hit], return_index=True)
    once: Codes = np.full_like(candidates, -1)
    once[hit[first]] = candidates[hit[first]]
    return once


@compiled
def _copy_rows(values: Words, places: Codes, n: int, rows: Words) -> tuple[bool, np.uint64]:
    """Copies row i of `values`, n doubles as words, to row places[i]: whether all are finite, and their part of `cache.checksum`."""
    exponent = np.uint64(0x7FF0000000000000)
    part, strange = np.uint64(0), np.uint64(0)
    width = np.uint64(rows.shape[1])
    for i in range(places.size):
        weight = np.uint64(2) * np.uint64(places[i]) * width + np.uint64(3)
        into = rows[places[i]]
        for s in range(n):
            word = values[i * n + s]
            into[s] = word
            strange += np.uint64((word & exponent) == exponent)
            part += word * weight
            weight += np.uint64(2)
    return strange == np.uint64(0), part
