"""Every instrument type beside QuantLib on the same contracts in the same states: how fast, and how far apart."""

from __future__ import annotations

import importlib
import pkgutil
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813 - the name its own documentation uses

from lake.arrays import Floats
from service.bench import oracles
from service.bench.harness import Row, row, seconds
from service.bench.oracles.market import Quotes, oracle_market
from valuation.batch import value_batch
from valuation.catalogue import INSTRUMENTS, parse_terms
from valuation.types import Contract, InstrumentTerms, PnLBlock


def oracle_types() -> list[str]:
    """Instrument types that have an oracle, in the order of INSTRUMENTS."""
    there = {m.name for m in pkgutil.iter_modules(oracles.__path__)}  # and modules that they share
    return [name for name in INSTRUMENTS if name in there]


@dataclass(frozen=True)
class Compared:
    """Contracts of one type in random states. ours, theirs : (n_contracts, n_states) prices of a unit; size : (n_contracts,)."""

    terms: list[InstrumentTerms]
    ours: Floats
    theirs: Floats
    size: Floats
    tolerance: float

    @property
    def largest(self) -> float:
        """The largest difference, as a fraction of the size of its contract."""
        return float((np.abs(self.ours - self.theirs) / self.size[:, None]).max())


def compare(instrument_type: str, n_contracts: int, n_states: int, seed: int = 7) -> Compared:
    """Prices random contracts with our pricer and with the oracle. Raises `ValueError` for a contract that ours fails."""
    return _Bench(instrument_type, n_contracts, n_states, seed).compared()


def bench_instruments(n_contracts: int = 200, n_states: int = 1000) -> list[Row]:
    """Values a second of a core's own time for each type, beside QuantLib's from Python on the same contracts; then how far apart they
    are."""
    rows = []
    for name in oracle_types():
        bench = _Bench(name, n_contracts, n_states, seed=7)
        ours, theirs = bench.our_rate(), bench.their_rate()
        rows.append(
            row(
                f"{name}: values of a contract in a state, one core",
                ours,
                "/s",
                "QuantLib from Python",
                theirs,
                bench.bar,
            )
        )
        small = compare(name, 50, 3)
        rows.append(
            row(
                f"{name}: largest difference",
                small.largest,
                "of its size",
                "tolerance",
                small.tolerance,
                "<= 1",
                better="lower",
            )
        )
    return rows


def strike_or_one(terms: Any) -> float:
    """What one unit is measured by, unless its oracle says otherwise."""
    return float(getattr(terms, "strike", 1.0))


class _Bench:
    def __init__(self, instrument_type: str, n_contracts: int, n_states: int, seed: int) -> None:
        self.oracle = importlib.import_module(f"{oracles.__name__}.{instrument_type}")
        self.market = oracle_market(n_states, seed, getattr(self.oracle, "FACTORS", ()))
        texts = self.oracle.contracts(np.random.default_rng(seed), n_contracts)
        self.terms = [parse_terms(instrument_type, t) for t in texts]
        self.contracts = [Contract(t.contract_id(), instrument_type, t.to_json()) for t in self.terms]
        self.bar = f">= {getattr(self.oracle, 'BAR', 50)}"

    def batch(self) -> PnLBlock:
        block = value_batch(self.contracts, self.market)
        if block.failures:
            raise ValueError(f"{len(block.failures)} contracts failed, the first with: {block.failures[0].message}")
        return block

    def values(self) -> Floats:
        block = self.batch()
        return np.concatenate([block.base[:, None], block.base[:, None] + block.pnl], axis=1)

    def compared(self) -> Compared:
        before = ql.Settings.instance().evaluationDate  # global to the process
        try:
            quotes = Quotes(self.market)
            prices = [self.oracle.price(t, quotes) for t in self.terms]
            theirs = np.empty((len(prices), self.market.n_states))
            for state in range(self.market.n_states):
                quotes.to(state)
                theirs[:, state] = [p() for p in prices]
        finally:
            ql.Settings.instance().evaluationDate = before
        size_of = getattr(self.oracle, "SIZE", strike_or_one)
        size = np.array([size_of(t) for t in self.terms])
        return Compared(self.terms, self.values(), theirs, size, self.oracle.TOLERANCE)

    def our_rate(self) -> float:
        return float(len(self.contracts) * self.market.n_states / seconds(self.batch, clock=time.process_time))

    def their_rate(self) -> float:
        """Of as many states as a second allows, contracts set up before."""
        before = ql.Settings.instance().evaluationDate
        try:
            quotes = Quotes(self.market)
            prices: list[Any] = [self.oracle.price(t, quotes) for t in self.terms]
            done, started = 0, time.process_time()
            for state in range(self.market.n_states):
                quotes.to(state)
                for p in prices:
                    p()
                done += len(prices)
                if time.process_time() - started > 1.0:
                    break
            return float(done / (time.process_time() - started))
        finally:
            ql.Settings.instance().evaluationDate = before
