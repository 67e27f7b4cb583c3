"""Benchmarks of scenarios: historical within a second, Monte Carlo against NumPy's own draw, a million paths in bounded memory."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import multiprocessing.connection
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lake.arrays import Floats
from lake.committer import Committer
from lake.schemas import MARKET_DATA, RISK_FACTORS
from lake.tables import Lake
from scenarios import generators
from scenarios.market.calendars import sessions
from scenarios.simulated.simulated_levels import SimulatedLevels
from service.bench.harness import VALUATION_DATE, Row, row, seconds

BLOCK = 16_384  # scenarios made at a time: what a valuation holds of 500 factors
MEMORY_BAR = 2 << 30
_SOURCE = "bench"
_WINDOW = 500


def bench_scenarios(n_factors: int, n_historical: int, n_paths: int, n_many: int) -> list[Row]:
    """Rows for historical scenarios, Monte Carlo of `n_paths`, and of `n_many` in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="varlake-bench-") as folder:
        lake = Lake.create(Path(folder) / "lake")
        _put_market(lake, n_factors, max(round(n_historical * 1.6), _WINDOW + 10))
        return [
            _historical_row(lake, n_historical),
            *_monte_carlo_rows(lake, n_paths),
            _memory_row(lake, n_many),
        ]


def _put_market(lake: Lake, n_factors: int, n_days: int) -> None:
    """Seeded prices that move together; half of the factors, rates, move absolutely."""
    days = sessions("XNYS", VALUATION_DATE - dt.timedelta(days=round(n_days * 1.5)), VALUATION_DATE)[-n_days:]
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((len(days), n_factors)) + 0.5 * rng.standard_normal((len(days), 1))
    is_rate = np.arange(n_factors) % 2 == 1
    levels = np.where(is_rate, 0.02 + 0.0005 * noise, 100 * np.exp(0.01 * noise.cumsum(axis=0)))
    ids = [f"YC:C{j:04}:1Y" if r else f"EQ:S{j:04}" for j, r in enumerate(is_rate.tolist())]
    factors: list[dict[str, Any]] = [
        {
            "risk_factor_id": i,
            "type": "zero_rate" if r else "equity_price",
            "name": i,
            "currency": "USD",
            "curve": i[3:8] if r else None,
            "pillar": "1Y" if r else None,
            "risk_class": "rates" if r else "equity",
            "shift_type": "absolute" if r else "relative",
            "unit": "",
            "attributes": [],
            "source": _SOURCE,
            "synthetic": True,
        }
        for i, r in zip(ids, is_rate.tolist(), strict=True)
    ]
    values = pa.array(levels.ravel())
    n = len(values)
    market = pa.table(
        {
            "as_of_date": pa.array(np.repeat(days, n_factors)).cast(pa.date32()),
            "risk_factor_id": pa.array(np.tile(np.array(ids), len(days))),
            "value_received": values,
            "value_used": values,
            "status": pa.array(["observed"] * n),
            "rule": pa.array([""] * n),
            "source": pa.array([_SOURCE] * n),
        }
    )
    with Committer(lake, "varlake bench") as committer:
        committer.put("risk_factors", pa.Table.from_pylist(factors, schema=RISK_FACTORS.schema))
        committer.put("market_data", market.select(MARKET_DATA.schema.names))


def _monte_carlo(lake: Lake, n_paths: int, **more: str) -> SimulatedLevels:
    # no more days than factors: shrinkage keeps the matrix definite, so that NumPy's Cholesky takes it too
    parameters = {"market_date": VALUATION_DATE, "scenarios": n_paths, "window": _WINDOW, **more}
    if more.get("distribution") != "bootstrap":
        parameters["covariance"] = "ledoit_wolf"
    levels = generators.generate(lake.snapshot(), "monte_carlo", parameters, "bench").levels
    assert isinstance(levels, SimulatedLevels)
    return levels


def _historical_row(lake: Lake, n_scenarios: int) -> Row:
    snapshot = lake.snapshot()
    parameters = {"market_date": VALUATION_DATE, "scenarios": n_scenarios}
    made = generators.generate(snapshot, "historical", parameters, "bench")
    took = seconds(lambda: generators.generate(snapshot, "historical", parameters, "bench"))
    return row(
        f"historical: {made.n_scenarios} scenarios x {len(made.base)} factors, reading the history included",
        took,
        "s",
        "one second",
        1.0,
        "<= 1",
    )


def _monte_carlo_rows(lake: Lake, n_paths: int) -> list[Row]:
    levels = _monte_carlo(lake, n_paths)
    covariance: Floats = levels.loadings @ levels.loadings.T
    rng = np.random.default_rng(2)
    mean = np.zeros(len(covariance))
    ours = seconds(lambda: np.asarray(levels))
    peer = seconds(lambda: rng.multivariate_normal(mean, covariance, n_paths, method="cholesky"))
    rows = [
        row(
            f"Monte Carlo, normal: {n_paths:,} scenarios x {len(mean)} factors, one thread, levels applied",
            n_paths / ours,
            "scenarios/s",
            "NumPy multivariate_normal, Cholesky of the same matrix, moves only",
            n_paths / peer,
            ">= 0.5",
        )
    ]
    for label, parameters in (
        ("Student-t", {"distribution": "student_t"}),
        ("t copula with empirical margins", {"distribution": "t_copula"}),
        ("bootstrap", {"distribution": "bootstrap"}),
        ("normal, Sobol", {"sampling": "sobol"}),
    ):
        other = _monte_carlo(lake, n_paths, **parameters)
        took = seconds(lambda other=other: np.asarray(other))  # type: ignore[misc]
        rows.append(
            row(
                f"Monte Carlo, {label}: {n_paths:,} scenarios x {len(mean)} factors",
                n_paths / took,
                "scenarios/s",
                "NumPy multivariate_normal, Cholesky, moves only",
                n_paths / peer,
                ">= 0.1",
            )
        )
    return rows


def _memory_row(lake: Lake, n_paths: int) -> Row:
    """Peak memory of a fresh process that makes all scenarios block by block; a process alone has a peak of its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_make_all, args=(str(lake.path), n_paths, sender))
    child.start()
    sender.close()
    shape, took, peak = receiver.recv()
    child.join()
    return row(
        f"Monte Carlo: {shape[1]:,} scenarios x {shape[0]} factors block by block in {took:.1f} s, peak memory",
        peak / 2**30,
        "GiB",
        "two GiB",
        MEMORY_BAR / 2**30,
        "<= 1",
    )


def _make_all(lake_path: str, n_paths: int, result: multiprocessing.connection.Connection) -> None:
    levels = _monte_carlo(Lake(lake_path), n_paths)
    started = time.perf_counter()
    for first in range(0, n_paths, BLOCK):
        if not np.isfinite(levels[:, first : first + BLOCK]).all():
            raise AssertionError(f"Levels that are not finite from scenario {first} on")
    took = time.perf_counter() - started
    result.send((levels.shape, took, _peak_bytes()))


def _peak_bytes() -> int:
    """Most memory this process has held. Linux's ru_maxrss would include what the parent held when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(
            int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM:")
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
