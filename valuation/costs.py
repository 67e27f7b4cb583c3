"""What pricing takes of one core: by shipped figures at first, then by what earlier runs on this lake measured.

A measurement is a line of a file in the lake's state folder. Losing the file loses nothing but the estimates.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lake.progress import allowance
from lake.tables import Lake

Item = TypeVar("Item")
Result = TypeVar("Result")

KERNELS, SPARK = "kernels", "spark"  # names of what a process does once: load its kernels; start Spark (wall time)

# Microseconds on a core of 2024, from the sample book in a fresh process: (a contract, a contract and state).
_SHIPPED: Mapping[str, tuple[float, float]] = {
    "amortising_bond": (130.0, 0.1),
    "basis_swap": (120.0, 0.5),
    "bermudan_swaption": (1500.0, 8.0),
    "bond_forward": (200.0, 0.1),
    "bond_future": (450.0, 0.15),
    "cap_floor": (60.0, 0.4),
    "cash_equity": (3.0, 0.001),
    "commodity_american_option": (12.0, 15.0),
    "commodity_forward": (8.0, 0.004),
    "commodity_future": (3.5, 0.005),
    "commodity_option": (8.0, 0.025),
    "commodity_spread_option": (11.0, 0.05),
    "commodity_swap": (75.0, 0.035),
    "credit_default_swap": (80.0, 0.1),
    "credit_index": (150.0, 0.15),
    "cross_currency_swap": (190.0, 0.7),
    "deposit": (30.0, 0.006),
    "equity_american_option": (12.0, 17.0),
    "equity_asian_option": (60.0, 0.4),
    "equity_barrier_option": (18.0, 0.13),
    "equity_digital_option": (11.0, 0.05),
    "equity_forward": (8.0, 0.005),
    "equity_future": (8.0, 0.006),
    "equity_option": (8.0, 0.03),
    "fixed_bond": (110.0, 0.1),
    "floating_bond": (180.0, 0.25),
    "forward_rate_agreement": (15.0, 0.02),
    "fx_american_option": (15.0, 20.0),
    "fx_barrier_option": (22.0, 0.13),
    "fx_digital_option": (15.0, 0.05),
    "fx_forward": (10.0, 0.006),
    "fx_option": (11.0, 0.035),
    "fx_spot": (3.0, 0.005),
    "fx_swap": (18.0, 0.015),
    "government_bond": (85.0, 0.01),
    "inflation_bond": (300.0, 0.2),
    "inflation_swap": (140.0, 0.06),
    "interest_rate_swap": (75.0, 0.03),
    "non_deliverable_forward": (15.0, 0.02),
    "overnight_swap": (180.0, 0.04),
    "risky_bond": (200.0, 1.0),
    "step_bond": (130.0, 0.1),
    "swaption": (40.0, 0.25),
    "variance_swap": (12.0, 2.0),
    "zero_bond": (25.0, 0.05),
}
_OTHER = (50.0, 0.03)
_A_TYPE, _A_STATE = 200.0, 0.7  # of a type, and of its curves in each state
# Of what is not a valuation set: an explain values a contract at both ends and in the mixtures between, a roll on each day, and both follow
# its cash, contract by contract. So many times the figures above.
_TIMES = {"pnl-explain": 10.0, "roll-forward": 7.0}
_ONCE = {KERNELS: 300_000.0, SPARK: 8_000_000.0}
_UNMEASURED = {KERNELS: (0.5, 100.0), SPARK: (0.3, 4.0)}  # kernels: loaded at the least, compiled at the most
_FACTOR = (1 / 4, 4.0)  # about shipped figures, on a machine that nothing is known of
_MEASURED = 1.3  # about what was measured
_NEAREST = 3
_SAME_SIZE = 4.0  # measurements count within 2 to this power, contracts and states together
_AS_NEAR = 0.5  # beyond the nearest
_TAIL = 1 << 16  # bytes of the file that are read
_MOST = 1 << 20  # bytes at which it is cut to its tail


@dataclass(frozen=True)
class Work:
    """What is priced, and measured under one name: contracts by instrument type, each in so many states."""

    name: str
    contracts: Mapping[str, int]
    states: int = 1

    @classmethod
    def of_type(cls, kind: str, contracts: int, states: int, on_spark: bool = False) -> Work:
        """What a valuation set needs of one type. Threads of one process hinder each other, processes of Spark less."""
        return cls(f"{kind} on Spark" if on_spark else kind, {kind: contracts}, states)

    @property
    def shipped_us(self) -> float:
        """Microseconds of one core by the shipped figures."""
        if self.name in _ONCE:
            return _ONCE[self.name]
        parts = ((n, *_SHIPPED.get(kind, _OTHER)) for kind, n in self.contracts.items())
        once = sum(_A_TYPE + self.states * _A_STATE + n * (one + self.states * state) for n, one, state in parts)
        return once * _TIMES.get(self.name, 1.0)

    def distance(self, other: Work) -> float:
        """How unlike two works are in size: powers of 2 in contracts and in states."""
        one, two = (max(sum(w.contracts.values()), 1) for w in (self, other))
        return abs(math.log2(one / two)) + abs(math.log2(self.states / other.states))


@dataclass(frozen=True)
class Estimate:
    """Seconds: what is expected, and what it lies between. measured : whether earlier runs of that size say so."""

    low: float = 0.0
    seconds: float = 0.0
    high: float = 0.0
    measured: bool = True

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.low + other.low, self.seconds + other.seconds, self.high + other.high, self.measured and other.measured
        )

    def __str__(self) -> str:
        return _figure(self.seconds, 3) if self.measured else self.range

    @property
    def range(self) -> str:
        """What it lies between, as people read it."""
        return f"{_figure(self.low, 2)} to {_figure(self.high, 2)}"

    def to_dict(self) -> dict[str, Any]:
        """The figures of a plan."""
        return {
            "expected_core_seconds": round(self.seconds, 3),
            "core_seconds_range": [round(self.low, 3), round(self.high, 3)],
            "measured": self.measured,
        }


def _figure(seconds: float, digits: int) -> str:
    """So many digits, and no power of ten for what is large: 130, not 1.3e+02."""
    rounded = float(f"{seconds:.{digits}g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


NOTHING = Estimate()


class Meter:
    """Adds up what work takes of a core, in whichever threads it runs. us : microseconds."""

    def __init__(self) -> None:
        self.us = 0.0
        self._lock = threading.Lock()

    def of(self, work: Callable[[Item], Result]) -> Callable[[Item], Result]:
        """The same work, measured."""

        def measured(item: Item) -> Result:
            started = time.thread_time()
            try:
                return work(item)
            finally:
                with self._lock:
                    self.us += (time.thread_time() - started) * 1e6

        return measured


class Costs:
    """What earlier runs on a lake measured."""

    def __init__(self, lake: Lake) -> None:
        self._ratios: dict[str, list[tuple[Work, float]]] = {}  # latest first
        if lake.reader:
            return  # what others had priced is measured too: shipped figures tell nothing of it
        with contextlib.suppress(OSError), (lake.state / FILE).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            for line in reversed(file.read().splitlines()):
                # the first line may be cut, and the file is nobody's but ours: what cannot be read only says less
                with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
                    row = json.loads(line)
                    work = Work(row["name"], row["contracts"], row["states"])
                    if min(work.states, row["us"]) > 0:
                        self._ratios.setdefault(work.name, []).append((work, row["us"] / work.shipped_us))

    def of(self, work: Work) -> Estimate:
        """Seconds of one core that a work is expected to take."""
        near = [(d, r) for w, r in self._ratios.get(work.name, ()) if (d := work.distance(w)) <= _SAME_SIZE]
        near = sorted(near, key=lambda m: m[0])[:_NEAREST]  # of the equally near the latest
        ratios = [r for d, r in near if d <= near[0][0] + _AS_NEAR]
        if ratios:
            import statistics  # noqa: PLC0415 - slow to import, for questions that value nothing

            likely, low, high = statistics.median_low(ratios), min(ratios) / _MEASURED, max(ratios) * _MEASURED
        else:
            likely, (low, high) = 1.0, _UNMEASURED.get(work.name, _FACTOR)
        us = work.shipped_us / 1e6
        return Estimate(us * low, us * likely, us * high, bool(ratios))

    def together(self, works: Iterable[Work]) -> Estimate:
        return sum(map(self.of, works), NOTHING)


def afford(costs: Costs, work: Work) -> None:
    """To be called before pricing while somebody waits; raises `Stopped` where that takes more than they are allowed."""
    allowance().spend(costs.of(work).seconds)


FILE = "costs.jsonl"


def record(lake: Lake, measured: Sequence[tuple[Work, float]]) -> None:
    """Keeps what works took, in microseconds of one core; a lake that cannot be written keeps nothing."""
    rows = ({**vars(work), "contracts": dict(work.contracts), "us": us} for work, us in measured)
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    path = lake.state / FILE
    with contextlib.suppress(OSError):
        if path.is_file() and path.stat().st_size > _MOST:
            path.write_bytes(path.read_bytes()[-_TAIL:])
        with path.open("ab") as file:
            file.write(lines)
