"""Values a batch of contracts under a block of scenarios: pure, no files, no Spark.

A contract's bits depend on its terms and the market alone: not on its neighbours in the batch, its place among them, nor
on the block of scenarios it is valued in.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from lake.arrays import Bools, Floats
from lake.child_process import memory_refused
from lake.errors import VarlakeError
from lake.progress import allowance
from lake.runtime.machine import keep_freed_memory
from scenarios.types import FactorIndex, MissingRiskFactor
from valuation.catalogue import factors_of, instrument, terms_from_json
from valuation.kernels.pnl import split
from valuation.shared_states import SharedStates, shared_states
from valuation.types import (
    NO_RATE,
    STAGES,
    Contract,
    Instrument,
    InstrumentTerms,
    Market,
    NotValuable,
    PnLBlock,
    ValuationFailure,
)

ANYTHING = (Exception, SystemExit)  # that a pricer may raise
MOST_VALUE = 1e30  # of one unit; see `lake.landing.numbers.MOST`
_SHOWN = 5  # scenarios named in a message
_LONGEST = 1_000  # characters of what an error says
_priced: set[str] = set()  # instrument types that this process has priced
_loading = threading.Lock()


@np.errstate(all="ignore")  # what is not finite is found and reported with its contract
def value_batch(contracts: Sequence[Contract], market: Market, first_scenario: int = 0) -> PnLBlock:
    """P&L per unit of each contract.

    Rows and failures are each in the order of the input, and every input is exactly once in one of them. A contract
    with any value that is not finite fails as a whole. `cost_us` is an equal share of its type's time
    of a core in this batch.
    A contract is priced in the scenarios that move what it reads, which share states where they can (`valuation.shared_states`).
    Memory: besides the P&L itself, a matrix of discount factors of (distinct payment dates, n_states) for each curve in
    turn, of swaps for all their curves; with more than a few thousand scenarios value them in blocks, which changes no bits.
    Reasons of failure: invalid_terms, missing_risk_factor, non_finite, too_large, pricer_error, or what the instrument's `check`
    says (matured, missing_fixing, invalid_schedule).
    """
    keep_freed_memory()
    n = len(contracts)
    pnl = np.empty((n, market.n_states - 1))
    base, cost, states = np.empty(n), np.empty(n), np.empty(n, np.int64)
    currencies = [""] * n
    errors: dict[int, BaseException] = {}
    by_type: dict[str, list[int]] = {}
    for i, contract in enumerate(contracts):
        by_type.setdefault(contract.instrument_type, []).append(i)

    for instrument_type, places in by_type.items():
        allowance().heed()
        started = time.thread_time()
        since = None if market.roll is None else market.roll.since
        terms: list[InstrumentTerms] = []
        reads: list[tuple[str, ...]] = []
        ready: list[int] = []
        for i in places:
            try:
                made, read = ready_contract(contracts[i], market.index, market.valuation_date, since)
            except ANYTHING as error:
                errors[i] = error
                continue
            terms.append(made)
            reads.append(read)
            ready.append(i)
        if ready:
            shared = shared_states(reads, market)
            states[ready] = market.n_states if shared is None else shared.market.n_states
            values = _value(instrument(instrument_type), terms, market, shared, ready, errors)
            sound = np.empty(len(ready), np.bool_)
            split(values, MOST_VALUE, np.array(ready), base, pnl, sound)
            for row in np.flatnonzero(~sound).tolist():
                errors.setdefault(ready[row], NotValuable("non_finite", _non_finite(values[row], first_scenario)))
            for i, t in zip(ready, terms, strict=True):
                currencies[i] = t.currency
        cost[places] = (time.thread_time() - started) * 1e6 / len(places)

    rows = [i for i in range(n) if i not in errors]
    failures = tuple(ValuationFailure(*contracts[i][:2], *failure_reason(errors[i])) for i in sorted(errors))
    return PnLBlock(
        contract_ids=tuple(contracts[i].contract_id for i in rows),
        currencies=tuple(currencies[i] for i in rows),
        base=base[rows] if errors else base,
        pnl=pnl[rows] if errors else pnl,
        cost_us=cost[rows] if errors else cost,
        states=states[rows] if errors else states,
        failures=failures,
    )


def load_kernels(contracts: Sequence[Contract], base: Market) -> tuple[tuple[str, ...], float]:
    """Prices the first contract of each type that is new to this process, so that the price of none holds what a process does
    once: modules read, kernels loaded or compiled. The types, and the microseconds of a core.
    """
    with _loading:
        first = {c.instrument_type: c for c in reversed(contracts) if c.instrument_type not in _priced}
        started = time.thread_time()
        if first:
            value_batch(list(first.values()), base)
        _priced.update(first)
        return tuple(sorted(first)), (time.thread_time() - started) * 1e6


def types_loaded() -> frozenset[str]:
    """The instrument types that this process has priced."""
    return frozenset(_priced)


def value_blocks(contracts: Sequence[Contract], markets: Iterable[Market], n_scenarios: int) -> PnLBlock:
    """As `value_batch` under a market that comes in blocks of scenarios, so that only one of them need be held.

    `contracts` are all different. A contract that fails in any block fails as a whole, with the reason of the first.
    """
    row = {c.contract_id: i for i, c in enumerate(contracts)}
    pnl = np.empty((len(contracts), n_scenarios))
    base, cost = np.empty(len(contracts)), np.zeros(len(contracts))
    states = np.ones(len(contracts), np.int64)
    currencies = [""] * len(contracts)
    failures: dict[int, ValuationFailure] = {}
    first = 0
    for market in markets:
        block = value_batch(contracts, market, first)
        rows = [row[c] for c in block.contract_ids]
        stop = first + market.n_states - 1
        pnl[rows, first:stop] = block.pnl
        base[rows] = block.base
        cost[rows] += block.cost_us
        states[rows] += block.states - 1
        for i, currency in zip(rows, block.currencies, strict=True):
            currencies[i] = currency
        for failure in block.failures:
            failures.setdefault(row[failure.contract_id], failure)
        first = stop
    if first != n_scenarios:
        raise ValueError(f"Expected blocks of {n_scenarios} scenarios together, but received {first}")
    kept = [i for i in range(len(contracts)) if i not in failures]
    return PnLBlock(
        contract_ids=tuple(contracts[i].contract_id for i in kept),
        currencies=tuple(currencies[i] for i in kept),
        base=base[kept],
        pnl=pnl[kept] if failures else pnl,
        cost_us=cost[kept],
        states=states[kept],
        failures=tuple(failures[i] for i in sorted(failures)),
    )


def contracts_read(
    contracts: pa.Table, index: FactorIndex, valuation_date: dt.date
) -> list[tuple[str, tuple[str, ...]]]:
    """Of the contracts, rows of their table, that can be valued on that date the currency and the risk factors each reads."""
    read = []
    for contract, currency in zip(Contract.of(contracts), contracts["currency"].to_pylist(), strict=True):
        with contextlib.suppress(*ANYTHING):  # `value_batch` says why
            read.append((currency, ready_contract(contract, index, valuation_date, None)[1]))
    return read


def factors_read(contracts: Sequence[Contract], index: FactorIndex, valuation_date: dt.date) -> set[str]:
    """The risk factors these contracts read on that date; a contract that cannot tell reads none, and `value_batch` says why."""
    read: set[str] = set()
    for _, kind, terms in contracts:
        with contextlib.suppress(*ANYTHING):
            read.update(factors_of(terms_from_json(kind, terms), index, valuation_date))
    return read


def without_rate(
    contracts: Sequence[Contract], currencies: Sequence[str], index: FactorIndex, reporting: str
) -> tuple[Bools, tuple[ValuationFailure, ...]]:
    """Which of the contracts, (n_contracts,), have no exchange rate from their currency into `reporting`, as failures.

    currencies : of each contract, empty where it has failed already.
    """
    gone = index.without_rate({c for c in currencies if c}, reporting)
    failures = (
        ValuationFailure(c.contract_id, c.instrument_type, NO_RATE, gone[held], "conversion")
        for c, held in zip(contracts, currencies, strict=True)
        if held in gone
    )
    return np.array([c in gone for c in currencies], np.bool_), tuple(failures)


def reported(block: PnLBlock, contracts: Iterable[Contract], index: FactorIndex, reporting: str) -> PnLBlock:
    """The block without the contracts whose currency has no exchange rate into `reporting`: they are failures."""
    of = {c.contract_id: c for c in contracts}
    gone, failures = without_rate([of[c] for c in block.contract_ids], block.currencies, index, reporting)
    kept = np.flatnonzero(~gone).tolist()
    return PnLBlock(
        tuple(block.contract_ids[i] for i in kept),
        tuple(block.currencies[i] for i in kept),
        block.base[kept],
        block.pnl[kept],
        block.cost_us[kept],
        block.states[kept],
        (*block.failures, *failures),
    )


def failure_reason(error: BaseException, otherwise: str = "value") -> tuple[str, str, str]:
    """The short code, the words and the stage, `otherwise` where it does not say, of a contract that failed with this error."""
    stage = getattr(error, "stage", otherwise)
    return (*_reason(error, STAGES[stage]), stage)


def _reason(error: BaseException, where: str) -> tuple[str, str]:
    if isinstance(error, NotValuable):
        return error.reason, error.message
    if isinstance(error, MissingRiskFactor):
        return "missing_risk_factor", error.message
    if isinstance(error, VarlakeError):
        return "invalid_terms", error.message
    try:
        said = f"{type(error).__name__}: {error}"[:_LONGEST]
    except Exception:  # of the error itself, as it is put into words
        said = type(error).__name__
    if memory_refused(error):
        return "too_large", f"The memory that it needs was refused {where}. {said}"
    return "pricer_error", f"{said} ({where})"


def ready_contract(
    contract: Contract, index: FactorIndex, valuation_date: dt.date, rolled_from: dt.date | None
) -> tuple[InstrumentTerms, tuple[str, ...]]:
    """The terms of a contract that has a value on that date, and the factors it reads; raises what `failure_reason` puts into words."""
    stage = "terms"
    try:
        terms = terms_from_json(contract.instrument_type, contract.terms)
        stage = "check"
        terms.check(valuation_date, rolled_from)
        stage = "factors"
        return terms, factors_of(terms, index, valuation_date)
    except ANYTHING as error:
        error.stage = stage  # type: ignore[union-attr]
        raise


def _value(
    module: Instrument,
    terms: list[InstrumentTerms],
    market: Market,
    shared: SharedStates | None,
    places: list[int],
    errors: dict[int, BaseException],
) -> Floats:
    """Values (n_contracts, n_states); adds to `errors`, by place, the contracts that are not priced, with values of NaN."""
    values = _try(module, terms, market if shared is None else shared.market)
    if not isinstance(values, BaseException):
        values = values if shared is None else shared.spread(values)
    else:  # one at a time, so that only the culprit fails
        alone = [_alone(module, t, market, shared, row) for row, t in enumerate(terms)]
        errors.update((i, v) for i, v in zip(places, alone, strict=True) if isinstance(v, BaseException))
        nothing = np.full((1, market.n_states), np.nan)
        values = np.concatenate([nothing if isinstance(v, BaseException) else v for v in alone])
    return values


def _alone(
    module: Instrument, terms: InstrumentTerms, market: Market, shared: SharedStates | None, row: int
) -> Floats | BaseException:
    """Values (1, n_states) of the contract in a row of the batch, or its own error, which is that of the whole market."""
    if shared is not None:
        values = _try(module, [terms], shared.market)
        if not isinstance(values, BaseException):
            return shared.spread(values, slice(row, row + 1))
    return _try(module, [terms], market)


def _try(module: Instrument, terms: Sequence[InstrumentTerms], market: Market) -> Floats | BaseException:
    expected = (len(terms), market.n_states)
    try:
        values = module.value(terms, market)
        if values.shape != expected or values.dtype != np.float64:
            raise ValueError(
                f"Expected values of shape {expected} in float64, but the pricer gave {values.shape} in {values.dtype}"
            )
    except ANYTHING as error:
        return error
    return values


def _non_finite(values: Floats, first_scenario: int) -> str:
    bad = np.flatnonzero(~(np.abs(values) <= MOST_VALUE))
    large = f", or beyond {MOST_VALUE:g}," if np.isfinite(values[bad]).any() else ""
    scenarios = bad[bad > 0]
    parts = ["the base"] if bad[0] == 0 else []
    if len(scenarios):
        named = ", ".join(str(first_scenario + s) for s in scenarios[:_SHOWN].tolist())
        parts.append(
            f"{len(scenarios)} of {len(values) - 1} scenarios (numbers {named}{', ...' * (len(scenarios) > _SHOWN)})"
        )
    return f"Its value is not finite{large} at {' and in '.join(parts)}; see the levels of its risk factors there."
