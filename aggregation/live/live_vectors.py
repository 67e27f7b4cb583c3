"""The vectors of a live book: valued again where a level moves that their contract reads, by what values batches, so with the same bits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set

import numpy as np
import pyarrow as pa

from aggregation.book.book import encode
from aggregation.kernels.live_sums import largest_of
from aggregation.opened.vectors import Vectors
from lake.arrays import Floats, Ints
from lake.workers import each
from scenarios.types import IMPORTED, FactorIndex
from valuation.batch import ANYTHING, load_kernels, ready_contract, types_loaded, value_batch
from valuation.market.scenario_market import ScenarioMarket
from valuation.types import NOT_OURS, Contract, ValuationFailure

_PIECE = 2000  # contracts valued at once by a thread
_ROOM = 1.1  # of rows, for contracts that come during the day


class LiveVectors:
    """Base value (n,), P&L (n, n_scenarios) and currency of one unit of each contract, by row; what has failed, with the reason.

    largest : (n,) the largest absolute P&L of each row.
    """

    def __init__(self, index: FactorIndex, market: ScenarioMarket, contracts: pa.Table) -> None:
        self._index = index
        self.n_scenarios = market.n_states - 1
        self.contracts: list[Contract] = []
        self.row: dict[str, int] = {}
        self.failures: dict[int, ValuationFailure] = {}
        self.currencies: list[str] = []
        self.reads: list[tuple[int, ...]] = []  # rows of the market, by contract
        self._of_factor: dict[int, list[int]] = {}
        room = max(64, int(len(contracts) * _ROOM))
        self.pnl: Floats = np.zeros((room, self.n_scenarios))
        self.base: Floats = np.zeros(room)
        self.largest: Floats = np.zeros(room)
        self.add(contracts, market)

    def add(self, contracts: pa.Table, market: ScenarioMarket) -> None:
        """Values contracts that are new, rows of their table."""
        first = len(self.contracts)
        fresh = [c for c in Contract.of(contracts) if c.contract_id not in self.row]
        currency = dict(zip(contracts["contract_id"].to_pylist(), contracts["currency"].to_pylist(), strict=True))
        self._make_room(first + len(fresh))
        for row, contract in enumerate(fresh, first):
            self.contracts.append(contract)
            self.row[contract.contract_id] = row
            self.currencies.append(currency[contract.contract_id])
            reads: tuple[int, ...] = ()
            if contract.instrument_type != IMPORTED:
                try:
                    _, factors = ready_contract(contract, self._index, market.valuation_date, None)
                    reads = tuple(self._index.row[f] for f in factors)
                except ANYTHING:  # `value_batch` says why
                    pass
            self.reads.append(reads)
            for factor in reads:
                self._of_factor.setdefault(factor, []).append(row)
        rows = np.arange(first, first + len(fresh))
        unmet = [c for c in fresh if c.instrument_type not in (IMPORTED, *types_loaded())]
        if unmet:
            load_kernels(unmet, market.base_only())
        each(lambda part: self.value(part, market), [rows[i : i + _PIECE] for i in range(0, len(rows), _PIECE)])

    def _make_room(self, n: int) -> None:
        if n <= len(self.base):
            return
        room = max(n, int(len(self.base) * _ROOM) + 64)
        for name in ("pnl", "base", "largest"):
            was = getattr(self, name)
            now = np.zeros((room, *was.shape[1:]))
            now[: len(was)] = was
            setattr(self, name, now)

    def reading(self, factors: Iterable[int]) -> Ints:
        """The contracts that read any of these rows of the market, ascending."""
        found = [np.array(self._of_factor[f], np.int64) for f in factors if f in self._of_factor]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)

    @property
    def read(self) -> Set[int]:
        """The rows of the market that any contract reads."""
        return self._of_factor.keys()

    def value(self, rows: Ints, market: ScenarioMarket) -> bool:
        """Values these contracts; whether other contracts fail now than before."""
        places = rows.tolist()
        before = {r: self.failures.pop(r, None) for r in places}
        ours = [r for r in places if self.contracts[r].instrument_type != IMPORTED]
        block = value_batch([self.contracts[r] for r in ours], market)
        where = np.array([self.row[c] for c in block.contract_ids], np.int64)
        self.pnl[where], self.base[where] = block.pnl, block.base
        for r in where.tolist():
            self.largest[r] = largest_of(self.pnl[r])
        for failure in block.failures:
            self.failures[self.row[failure.contract_id]] = failure
        for r in set(places) - set(ours):
            name = self.contracts[r].contract_id
            self.failures[r] = ValuationFailure(name, IMPORTED, IMPORTED, NOT_OURS, "import")
        for r in places:
            if r in self.failures:
                self.pnl[r], self.base[r], self.largest[r] = 0.0, 0.0, 0.0
        return any((before[r] is None) is (r in self.failures) for r in places)

    def as_vectors(self, failing: Sequence[ValuationFailure] = ()) -> Vectors:
        """What the reduce reads of them, these very arrays; `failing` are failures beside its own."""
        n = len(self.contracts)
        codes, currencies = encode(pa.array(self.currencies, pa.string()))
        failures = {f.contract_id: f for f in (*self.failures.values(), *failing)}
        told = [failures[c] for c in sorted(failures)]
        names = ("contract_id", "reason", "message")
        return Vectors(
            n_scenarios=self.n_scenarios,
            contract_ids=pa.array([c.contract_id for c in self.contracts], pa.string()),
            currencies=tuple(currencies.to_pylist()),
            currency=np.asarray(codes, np.int32),
            base=self.base[:n],
            unmoved=np.zeros(n, np.bool_),
            matrix=self.pnl[:n],
            failures=pa.RecordBatch.from_arrays(
                [pa.array([getattr(f, name) for f in told], pa.string()) for name in names], names
            ),
            memory_bytes=math.inf,
        )
