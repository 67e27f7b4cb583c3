"""Values along market paths: how fast they come through Spark into the lake, beside the kernels alone on the same cores.

The book is that of the map's benchmark: options, bonds, swaps and forwards, all different. The peer is `value_along` in as many threads
as there are cores, on the same batches and the same paths, with nothing stored.
"""

from __future__ import annotations

import datetime as dt
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from lake.committer import Committer
from lake.runtime import spark as lake_spark
from lake.runtime.machine import usable_cores
from lake.tables import Lake
from scenarios.types import ShiftType
from service.bench.harness import VALUATION_DATE, Row, mixed_contracts, noisy_market, row, temporary_lake
from valuation.horizons.path_runs import PathPlan, cut, plan_along, run_along
from valuation.horizons.path_values import value_along
from valuation.market.path_market import PathMarkets
from valuation.market.path_model import History, PathModel, Settings, fit_market
from valuation.market.rolled_market import Carry
from valuation.types import Contract

_WARM = (
    200  # contracts of the run that loads kernels and starts workers: tasks enough for each worker to meet every type
)
_ROUNDS = 3  # of ours and the kernels in turn, as load of the machine comes and goes; the median ratio counts


def path_model(n_paths: int, n_dates: int, seed: int) -> PathModel:
    """Paths of the benchmark's market to dates spread evenly over ten years."""
    market = noisy_market(1)
    rng = np.random.default_rng(6)
    index = market.index
    kinds = tuple(str(f.shift_type) for f in index.factors)
    loadings = rng.standard_normal((len(kinds), 12))
    size = np.array([0.0005 if kind == ShiftType.ABSOLUTE else 0.012 for kind in kinds])
    loadings *= (size / np.sqrt((loadings * loadings).sum(axis=1)))[:, None]
    days = np.unique(np.linspace(30, 3650, n_dates).round().astype(int)).tolist()
    dates = [VALUATION_DATE + dt.timedelta(days=d) for d in days]
    settings = Settings("risk_neutral", "USD", n_paths, seed, "random")
    carry = Carry(rates={"EUR": 0.0})
    return fit_market(VALUATION_DATE, dates, settings, carry, index, market.base, History(index, kinds, loadings))


def bench_paths(trades: int, n_paths: int, n_dates: int) -> list[Row]:
    """Values a second through Spark into the lake beside the kernels alone, and the most memory that a process took."""
    contracts = mixed_contracts(trades)
    with temporary_lake() as lake, Committer(lake, "varlake bench") as committer:
        session = lake_spark.spark_session()

        def stored(table: pa.Table, seed: int) -> tuple[float, PathPlan]:
            model = path_model(n_paths, n_dates, seed)
            started = time.perf_counter()
            plan = plan_along(lake.snapshot(), table, model)
            run_along(committer, plan, runner="spark", spark=lambda: session)
            return time.perf_counter() - started, plan

        stored(contracts.take(pa.array(np.linspace(0, trades - 1, min(_WARM, trades)).astype(int))), 1)
        rounds = []
        for seed in range(2, 2 + _ROUNDS):
            before = _stored_bytes(lake)
            ours, plan = stored(contracts, seed)
            rounds.append((ours, _kernels(plan)))
        session.stop()
        ours, alone = sorted(rounds, key=lambda both: both[1] / both[0])[len(rounds) // 2]
        written = _stored_bytes(lake) - before
    values = trades * n_paths * len(plan.model.dates)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    what = f"{trades:,} mixed trades x {n_paths:,} paths x {len(plan.model.dates)} dates"
    return [
        row(
            f"{what}, through Spark into the lake, session running",
            values / ours,
            "values/s",
            "the kernels on the same cores, nothing stored",
            values / alone,
            ">= 0.7",
        ),
        row(
            f"{what}: most memory of this process",
            peak,
            "GiB",
            "values and cash stored",
            written / (1 << 30),
            "<= 100",
            better="lower",
        ),
    ]


def _stored_bytes(lake: Lake) -> int:
    return sum(p.stat().st_size for p in (Path(lake.path) / "path_values").rglob("*.parquet"))


def _kernels(plan: PathPlan) -> float:
    """Seconds of valuing the work of a plan in threads, in its batches, with nothing written."""
    drawn = PathMarkets(plan.model)
    contracts = Contract.of(plan.work)
    batches = cut(plan, usable_cores())

    def one(batch: tuple[int, int]) -> None:
        value_along(contracts[batch[0] : sum(batch)], plan.model, lambda first, stop: drawn.anew())

    drawn.anew()  # draws the paths
    one((0, 1))
    started = time.perf_counter()
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(one, batches))
    return time.perf_counter() - started
