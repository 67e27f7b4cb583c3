"""The product on Spark: vectors are read where they lie, in the lake's data files, and never brought to this process.

A first stage reads the files and cuts each vector into tiles of scenarios; a shuffle brings a tile of all contracts to one
task, sorted by contract; that task adds them up one by one and converts currency. So each sum is made in the order and with
the roundings of `aggregation.reduce.product`, whatever the files, partitions and retries: the same bits
(docs/decisions/0016-reduce-on-spark.md). Tasks read with pyarrow; no Delta jar is needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from aggregation.kernels.fixed_sums import add_to_slots
from aggregation.opened.vectors import Places, damaged
from aggregation.reduce.currency import Conversion
from aggregation.reduce.netting import Net
from aggregation.reduce.product import write
from lake.arrays import Codes, Floats
from lake.errors import Damaged
from lake.storage import check_data_file

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TILE = 64  # scenarios added up together; a piece of a vector is a row of the shuffle
_READ_BYTES = 8 << 20  # of vectors a task reads at once
_SENT_BYTES = 8 << 20  # of group P&L in a row sent back
_PARTITIONS_A_CORE = 4

_PIECES = "tile int, contract int, pnl binary"
_SUMS = "tile int, first int, added int, pnl binary"

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class _Work:
    """What every task needs, sent to each worker once.

    files : those with vectors that are held; wanted : for each row of a file its place among the contracts of `net`, -1 for
    rows of others. net : with all its contracts holding an entry, in the order in which they are added.
    """

    files: tuple[str, ...]
    wanted: tuple[Codes, ...]
    net: Net
    conversion: Conversion
    tile: int

    @property
    def n_scenarios(self) -> int:
        return int(self.conversion.scenarios.shape[1])

    def scenarios(self, tile: int) -> slice:
        """The scenarios of a tile."""
        return slice(tile * self.tile, min((tile + 1) * self.tile, self.n_scenarios))


def group_pnl_on_spark(
    places: Places,
    net: Net,
    conversion: Conversion,
    valuation_set_id: str,
    *,
    tile: int = TILE,
    partitions: int | None = None,
) -> Floats:
    """P&L of each group in each scenario, (net.n, n_scenarios), as `aggregation.reduce.product.group_pnl` gives it, to the bit.

    Neither the scenarios of a `tile` nor the `partitions` of the shuffle, by default four a core, change a bit. Raises
    `Damaged` where a vector is not in its file, not finite, or of another length, and where a file has other bytes.
    """
    work = _work(places, net, conversion, tile)
    out = np.zeros((net.n, work.n_scenarios))
    n_contracts = len(work.net.contract)
    if n_contracts == 0:  # nothing moves: what is left is currency
        write(net, conversion, 0, work.n_scenarios, work.n_scenarios, np.zeros(len(net.group) * work.n_scenarios), out)
        return out
    if absent := [f for f in work.files if not Path(f).is_file()]:
        raise damaged(valuation_set_id, f"{len(absent)} of its data files are not there, first {absent[0]}")
    arrived = np.zeros(-(-work.n_scenarios // tile), dtype=np.int64)  # a tile of which nothing arrives sends nothing
    for number, first, added, pnl in _rows(_run(places, work, partitions)):
        scenarios = work.scenarios(number)
        rows = pnl.reshape(-1, scenarios.stop - scenarios.start)
        out[first : first + len(rows), scenarios] = rows
        arrived[number] = added
    if lacking := n_contracts - arrived.min():
        what = f"{lacking:,} of its vectors are not finite, or of other lengths than {work.n_scenarios}"
        raise damaged(valuation_set_id, what)
    return out


def _work(places: Places, net: Net, conversion: Conversion, tile: int) -> _Work:
    """The files that are held at all, and the net quantities by place in the order of adding."""
    holding = np.flatnonzero(np.diff(net.starts) > 0)
    place = np.full(1 + max(net.contract.max(initial=-1), places.contract.max(initial=-1)), -1, dtype=np.int32)
    place[net.contract[holding]] = np.arange(len(holding), dtype=np.int32)
    wanted = np.where(places.contract >= 0, place[places.contract], -1).astype(np.int32)
    by_file = np.split(wanted, places.ends[:-1])
    kept = [(f, w) for f, w in zip(places.files, by_file, strict=True) if (w >= 0).any()]
    by_place = dataclasses.replace(
        net,
        contract=np.arange(len(holding), dtype=np.int32),
        starts=np.append(net.starts[holding], net.starts[-1]),
        currency_contracts=np.searchsorted(holding, net.currency_contracts),
    )
    return _Work(tuple(f for f, _ in kept), tuple(w for _, w in kept), by_place, conversion, tile)


def _run(places: Places, work: _Work, partitions: int | None) -> pa.Table:
    session = places.session()
    context = session.sparkContext
    partitions = partitions or min(-(-work.n_scenarios // work.tile), _PARTITIONS_A_CORE * context.defaultParallelism)
    sent = context.broadcast(work)
    try:
        pieces = session.range(0, len(work.files), 1, len(work.files)).mapInArrow(_cutting(sent), _PIECES)
        return _by_tile(pieces, partitions).mapInArrow(_adding(sent), _SUMS).toArrow()
    except Exception as error:
        raise Damaged.in_task(error) from None
    finally:
        sent.destroy()


def _by_tile(pieces: DataFrame, partitions: int) -> DataFrame:
    """All of a tile in one partition, in the order of adding. Spark sorts on disk what is more than its memory."""
    return pieces.repartitionById(partitions, "tile").sortWithinPartitions("tile", "contract")


def _cutting(sent: Any) -> Callable[[Batches], Batches]:
    """The first stage: numbers of files come, pieces of vectors go."""

    def run(numbers: Batches) -> Batches:
        work: _Work = sent.value
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                yield from _cut(work.files[number], work.wanted[number], work.n_scenarios, work.tile)

    return run


def _cut(file: str, wanted: Codes, n_scenarios: int, width: int) -> Batches:
    """The vectors of a file that are wanted, in pieces (tile, contract, doubles); those that are not sound are left out."""
    done = 0
    check_data_file(Path(file))
    reader = pq.ParquetFile(file, memory_map=True, pre_buffer=False)
    for batch in reader.iter_batches(max(1, _READ_BYTES // (8 * n_scenarios)), columns=["pnl"], use_threads=False):
        contract = wanted[done : done + len(batch)]
        done += len(batch)
        lists = batch.column("pnl")
        sound = (contract >= 0) & (lists.value_lengths().fill_null(-1).to_numpy() == n_scenarios)
        vectors = lists.filter(pa.array(sound)).flatten().to_numpy().reshape(-1, n_scenarios)
        finite = np.isfinite(vectors).all(axis=1)
        contract, vectors = contract[sound][finite], vectors[finite]
        for tile, first in enumerate(range(0, n_scenarios, width)):
            pieces = np.ascontiguousarray(vectors[:, first : first + width])
            yield pa.record_batch(
                {
                    "tile": pa.array(np.full(len(pieces), tile, dtype=np.int32)),
                    "contract": pa.array(contract),
                    "pnl": _as_binary(pieces),
                }
            )


def _adding(sent: Any) -> Callable[[Batches], Batches]:
    """The second stage: the pieces of whole tiles come, in order; group P&L in the reporting currency goes."""

    def run(pieces: Batches) -> Batches:
        work: _Work = sent.value
        sums: _Sums | None = None
        for batch in pieces:
            tiles, contracts = batch.column("tile").to_numpy(), batch.column("contract").to_numpy()
            ends = [*(np.flatnonzero(np.diff(tiles)) + 1), len(tiles)]
            for lo, hi in zip([0, *ends], ends, strict=False):
                if lo == hi:
                    continue
                if sums is not None and sums.tile != tiles[lo]:
                    yield from sums.converted()
                    sums = None
                sums = sums or _Sums(work, int(tiles[lo]))
                sums.add(contracts[lo:hi], _doubles(batch.column("pnl").slice(lo, hi - lo)))
        if sums is not None:
            yield from sums.converted()

    return run


class _Sums:
    """The accumulators of one tile."""

    def __init__(self, work: _Work, tile: int) -> None:
        self.tile = tile
        self._net = work.net
        here = work.scenarios(tile)
        self._conversion = dataclasses.replace(work.conversion, scenarios=work.conversion.scenarios[:, here])
        self._width = here.stop - here.start
        self._sums = np.zeros((len(work.net.group), self._width))
        self._last, self._added = -1, 0

    def add(self, contracts: Codes, pieces: Floats) -> None:
        if contracts[0] <= self._last or (np.diff(contracts) <= 0).any():
            raise AssertionError("The shuffle brought contracts out of their order, which decides the bits")
        self._last = int(contracts[-1])
        self._added += len(contracts)
        net = self._net
        add_to_slots(contracts, pieces.reshape(-1, self._width), net.starts, net.slot, net.quantity, self._sums)

    def converted(self) -> Batches:
        """Group P&L of the tile, some groups a row."""
        out = np.zeros((self._net.n, self._width))
        write(self._net, self._conversion, 0, self._width, self._width, self._sums.reshape(-1), out)
        most = max(1, _SENT_BYTES // (8 * self._width))
        for first in range(0, len(out), most):
            row = out[first : first + most].reshape(1, -1)
            numbers = {
                name: pa.array([n], pa.int32())
                for name, n in (("tile", self.tile), ("first", first), ("added", self._added))
            }
            yield pa.record_batch({**numbers, "pnl": _as_binary(row)})


def _as_binary(rows: Floats) -> pa.Array:
    """Each row as bytes: Spark passes those on as they are, and lists of doubles one by one."""
    n, width = rows.shape
    offsets = np.arange(n + 1, dtype=np.int32) * np.int32(8 * width)
    return pa.Array.from_buffers(pa.binary(), n, [None, pa.py_buffer(offsets), pa.py_buffer(rows)])


def _doubles(binary: pa.Array) -> Floats:
    """The doubles of all rows one after the other."""
    _, offsets, data = binary.buffers()
    bounds: npt.NDArray[np.int32] = np.frombuffer(offsets, np.int32)[binary.offset : binary.offset + len(binary) + 1]
    return np.frombuffer(data, np.float64, (bounds[-1] - bounds[0]) // 8, bounds[0])


def _rows(sums: pa.Table) -> Iterator[tuple[int, int, int, Floats]]:
    for batch in sums.to_batches():
        pnl = batch.column("pnl")
        for i, (tile, first, added) in enumerate(
            zip(*(batch.column(name).to_pylist() for name in ("tile", "first", "added")), strict=True)
        ):
            yield tile, first, added, _doubles(pnl.slice(i, 1))
