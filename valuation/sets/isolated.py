"""Contracts that go wrong: a batch is watched as it is priced, and priced again in a child process with limits where it does not end.

In the child contracts are priced one after the other, each with limits of its own. What one of them does to the process is then
its failure alone, and the others are priced on in a new one: their bits depend on no neighbour.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from lake.child_process import WAIT, Child, ChildEnded, ChildFailed, ChildWaited, IdleChildren, limit_memory, limit_time
from lake.errors import Damaged
from lake.runtime.machine import usable_cores
from valuation.sets.batches import (
    BatchHeader,
    BatchResult,
    load_market,
    value_contracts,
    value_loaded,
    write_batch,
)
from valuation.types import Contract, PnLBlock, ValuationFailure

SECONDS_SETTING = "VARLAKE_CONTRACT_SECONDS"
DEFAULT_SECONDS = 120  # as in service.config; kernels may have to be compiled, too
MIB_SETTING = "VARLAKE_CONTRACT_MIB"
DEFAULT_MIB = 2048  # as in service.config
ISOLATE_SETTING = "VARLAKE_ISOLATE"
_STARTING = 600  # seconds, of processor time and at all, until the child has the market
_LOOK = 0.05  # seconds between two looks at a batch
_STATM = Path("/proc/self/statm")  # what this process has reserved, on Linux
_ENOUGH = 1 << 40  # bytes: no limit yet
_ROW = pa.schema(
    [
        ("currency", pa.string()),
        ("base", pa.float64()),
        ("pnl", pa.list_(pa.float64())),
        ("cost_us", pa.float64()),
        ("states", pa.int64()),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("stage", pa.string()),
    ]
)
_children = IdleChildren(lambda: Child(__name__, "while a contract is priced"), usable_cores())
Result = TypeVar("Result")


@dataclass(frozen=True)
class Guard:
    """How batches are priced. isolated : in a child from the start; expected : core seconds a contract takes at the most, by type;
    loading : core seconds that kernels take to load."""

    isolated: bool
    expected: Mapping[str, float]
    loading: float

    def seconds(self, rows: pa.Table) -> float:
        """Of a core that a batch may take in this process before it is given up."""
        kinds = Counter(rows["instrument_type"].to_pylist())
        return _seconds() + self.loading + sum(n * self.expected.get(kind, 0.0) for kind, n in kinds.items())


def always_isolated() -> bool:
    """Whether the settings ask for a child from the start."""
    return os.environ.get(ISOLATE_SETTING, "").lower() in ("1", "true", "yes", "on")


def _seconds() -> int:
    return int(os.environ.get(SECONDS_SETTING) or DEFAULT_SECONDS)


def run_guarded(lake_path: str, header: BatchHeader, rows: pa.Table, guard: Guard) -> BatchResult:
    """Values one batch, rows of `ValuationPlan.work`, and writes its vectors: in this process, or in a child where it must be."""
    contracts, base_only = Contract.of(rows), bool(rows["unmoved"][0].as_py())
    valued = None
    if not guard.isolated:
        valued = _within(guard.seconds(rows), lambda: value_loaded(lake_path, header, contracts, base_only=base_only))
    block, cost = valued or (value_isolated(lake_path, header, contracts, base_only=base_only), [])
    return write_batch(lake_path, header, rows, block, cost)


class _GivenUp(BaseException):
    """Raised in a thread that has been given up: no `except Exception` of a pricer holds it."""


def _within(seconds: float, work: Callable[[], Result]) -> Result | None:
    """What the work gives; None where it takes more processor time than that, or ten times as long.

    The thread is then told to end. One that never comes back from compiled code goes on until the process ends.
    """
    outcome: list[Result | BaseException] = []
    clock: list[int] = []  # of the thread, which alone may ask for it: of one that has ended nobody may

    def run() -> None:
        if hasattr(time, "pthread_getcpuclockid"):
            clock.append(time.pthread_getcpuclockid(threading.get_ident()))
        try:
            outcome.append(work())
        except BaseException as error:  # raised where the work is waited for
            outcome.append(error)

    thread = threading.Thread(target=run, name="pricing", daemon=True)
    thread.start()
    assert thread.ident is not None
    until = time.monotonic() + WAIT * seconds
    while True:
        thread.join(_LOOK)
        if outcome:
            break
        if time.monotonic() > until or _spent(clock) > seconds:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_GivenUp))
            return None
    (made,) = outcome
    if isinstance(made, BaseException):
        raise made
    return made


def _spent(clock: Sequence[int]) -> float:
    """Seconds of processor time on the clock of a thread; 0 where the system has none, or the thread has just ended."""
    try:
        return time.clock_gettime(clock[0]) if clock else 0.0
    except OSError:
        return 0.0


def value_isolated(
    lake_path: str, header: BatchHeader, contracts: Sequence[Contract], *, base_only: bool = False
) -> PnLBlock:
    """As `value_contracts`, each contract by itself in a child process that is limited for it.

    A contract that meets a limit or ends the process fails, as too_slow, too_large or crashed, and those after it get a new child.
    Raises `Damaged` where a child ends before it has the market.
    """
    seconds, mib = _seconds(), int(os.environ.get(MIB_SETTING) or DEFAULT_MIB)
    rows: list[pa.Table] = []
    while len(rows) < len(contracts):
        rest = list(contracts[len(rows) :])  # it gives a row for each, in order: the next is the one at work
        child, ready, whole = _children.take(), False, False
        told = child.tables(
            _price_each,
            (lake_path, header, rest, base_only, seconds, mib),
            _STARTING,
            _ENOUGH,
            WAIT * seconds,
            {},
            _STARTING,
        )
        try:
            for table in told:
                if ready:
                    rows.append(table)
                ready = True
            whole = True
        except (ChildEnded, ChildWaited, ChildFailed) as error:
            if not ready:
                raise Damaged(f"The process that prices contracts could not open the market: {error}.") from None
            rows.append(_told(_failed(contracts[len(rows)], error, seconds, mib)))
        finally:
            if whole:
                _children.give_back(child)
            else:
                child.end()
    return _together(contracts, pa.concat_tables(rows))


def _failed(contract: Contract, error: Exception, seconds: int, mib: int) -> ValuationFailure:
    if isinstance(error, ChildWaited):
        reason, message = "too_slow", f"It was not valued in {WAIT * seconds:,} s"
    elif isinstance(error, ChildEnded) and error.code == -signal.SIGXCPU:
        reason, message = "too_slow", f"It took more than {seconds:,} s of processor time while it was valued"
    elif isinstance(error, ChildFailed) and error.memory:
        reason, message = "too_large", f"It needed more than {mib:,} MiB of memory while it was valued"
    elif isinstance(error, ChildEnded):
        reason, message = "crashed", f"It ended the process while it was valued ({error.how})"
    else:
        reason, message = "crashed", f"The process failed while it was valued: {error}"
    setting = {"too_slow": f" ({SECONDS_SETTING})", "too_large": f" ({MIB_SETTING})"}.get(reason, "")
    return ValuationFailure(contract.contract_id, contract.instrument_type, reason, f"{message}{setting}.", "value")


def _price_each(
    lake_path: str, header: BatchHeader, contracts: list[Contract], base_only: bool, seconds: int, mib: int
) -> Iterator[pa.Table]:
    """In the child: an empty table once the market is there, then one a contract."""
    load_market(lake_path, header)
    yield pa.table({})
    if _STATM.exists():
        pages = int(_STATM.read_text().split()[0])
        limit_memory(pages * os.sysconf("SC_PAGE_SIZE") + (mib << 20))
    for contract in contracts:
        limit_time(seconds)
        yield _told(value_contracts(lake_path, header, [contract], base_only=base_only))


def _told(outcome: PnLBlock | ValuationFailure) -> pa.Table:
    """What came of one contract, as a row."""
    failure = outcome if isinstance(outcome, ValuationFailure) else next(iter(outcome.failures), None)
    if failure is not None:
        row: dict[str, object] = {"reason": failure.reason, "message": failure.message, "stage": failure.stage}
    else:
        assert isinstance(outcome, PnLBlock)
        row = {
            "currency": outcome.currencies[0],
            "base": outcome.base[0],
            "pnl": outcome.pnl[0],
            "cost_us": outcome.cost_us[0],
            "states": outcome.states[0],
        }
    return pa.Table.from_pylist([row], schema=_ROW)


def _together(contracts: Sequence[Contract], table: pa.Table) -> PnLBlock:
    """The rows of the contracts, in their order, as the block that `value_contracts` would give."""
    reasons, messages, stages = (table[c].to_pylist() for c in ("reason", "message", "stage"))
    good = table.filter(pc.is_null(table["reason"]))
    pnl = good["pnl"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return PnLBlock(
        tuple(c.contract_id for c, reason in zip(contracts, reasons, strict=True) if reason is None),
        tuple(good["currency"].to_pylist()),
        good["base"].to_numpy(),
        pnl.reshape(good.num_rows, -1 if len(pnl) else 0),
        good["cost_us"].to_numpy(),
        good["states"].to_numpy(),
        tuple(
            ValuationFailure(c.contract_id, c.instrument_type, reason, message, stage)
            for c, reason, message, stage in zip(contracts, reasons, messages, stages, strict=True)
            if reason is not None
        ),
    )
