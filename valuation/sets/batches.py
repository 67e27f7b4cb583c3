"""Batches of a plan: where they are cut, and what values one. Runs anywhere that sees the lake, and commits nothing."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lake.storage import DataFile
from lake.tables import Lake
from scenarios.store import load_scenario_set
from scenarios.types import GeneratedLevels, ScenarioSet
from valuation.batch import factors_read, load_kernels, value_batch, value_blocks
from valuation.costs import KERNELS, Work
from valuation.market.scenario_market import ScenarioMarket
from valuation.sets import store
from valuation.sets.plan import ValuationPlan
from valuation.types import Contract, PnLBlock, ValuationFailure

BLOCK_BYTES = 32 << 20  # of vectors in a batch: what one task holds, and about the size of a data file
GENERATED_BATCH_BYTES = 128 << 20  # where every batch makes the levels anew: fewer, larger batches
LEVELS_BYTES = 64 << 20  # of generated levels held at once


@dataclass(frozen=True)
class BatchHeader:
    """What all batches of a run share, sent to each as it is: the day, the stored scenarios, the risk classes they shock."""

    valuation_date: dt.date
    scenario_set_id: str
    risk_classes: tuple[str, ...]


@dataclass(frozen=True)
class BatchResult:
    """What came of a batch. file : its vectors, not committed; None where no contract has any.

    cost_us : what was priced, each with the microseconds of a core.
    """

    file: DataFile | None
    failures: tuple[ValuationFailure, ...]
    cost_us: tuple[tuple[Work, float], ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BatchResult:
        """The same again, floats to the bit."""
        made = json.loads(text)
        file = made["file"]
        return cls(
            None if file is None else DataFile(**{**file, "partition": tuple((k, v) for k, v in file["partition"])}),
            tuple(ValuationFailure(**f) for f in made["failures"]),
            tuple((Work(**work), us) for work, us in made["cost_us"]),
        )


def cut_batches(plan: ValuationPlan, parallelism: int) -> list[tuple[int, int]]:
    """(first row, length) of each batch of `plan.work`: bounded in bytes, and enough of them to keep every core busy."""
    width = max(plan.scenario_set.n_scenarios, 1) * 8
    several = len(cut_scenarios(plan.scenario_set)) > 1
    allowed, tasks_a_core = (GENERATED_BATCH_BYTES, 1) if several else (BLOCK_BYTES, 4)
    largest = max(1, min(allowed // width, -(-plan.work.num_rows // max(1, tasks_a_core * parallelism))))
    moved = int(pc.sum(pc.invert(plan.work["unmoved"])).as_py() or 0)
    bounds = [*range(0, moved, largest), *range(moved, plan.work.num_rows, largest), plan.work.num_rows]
    return [(a, b - a) for a, b in itertools.pairwise(bounds) if b > a]


def cut_scenarios(scenario_set: ScenarioSet) -> list[tuple[int, int]]:
    """(first, stop) of each block of scenarios valued together: one for stored levels and for generated ones that are few."""
    n, levels = scenario_set.n_scenarios, scenario_set.levels
    width = n
    if isinstance(levels, GeneratedLevels):
        width = max(1, LEVELS_BYTES // (levels.shape[0] * 8 * levels.atom)) * levels.atom
    return [(first, min(first + width, n)) for first in range(0, n, width)]


@functools.lru_cache(maxsize=4)
def _market(lake_path: str, header: BatchHeader, first: int, stop: int) -> ScenarioMarket:
    """A worker keeps its markets: levels are made and curves are built once a process, not once a batch."""
    scenario_set = load_scenario_set(Lake(lake_path), header.scenario_set_id)
    return ScenarioMarket.of(scenario_set, header.valuation_date, header.risk_classes, first, stop)


def value_contracts(
    lake_path: str, header: BatchHeader, contracts: Sequence[Contract], *, base_only: bool = False
) -> PnLBlock:
    """Values contracts, as `value_batch` takes them, under a stored scenario set, in this process; stores nothing."""
    scenario_set = load_scenario_set(Lake(lake_path), header.scenario_set_id)
    scenarios = [(0, 0)] if base_only else cut_scenarios(scenario_set)
    if len(scenarios) == 1:
        return value_batch(contracts, _market(lake_path, header, *scenarios[0]))
    reads = factors_read(contracts, scenario_set.index, header.valuation_date)
    day, classes = header.valuation_date, header.risk_classes
    markets = (ScenarioMarket.of(scenario_set, day, classes, a, b, reads) for a, b in scenarios)
    return value_blocks(contracts, markets, scenario_set.n_scenarios)


def load_market(lake_path: str, header: BatchHeader) -> None:
    """Makes what a process makes once before it values contracts."""
    scenarios = cut_scenarios(load_scenario_set(Lake(lake_path), header.scenario_set_id))
    if len(scenarios) == 1:
        _market(lake_path, header, *scenarios[0])


def value_loaded(
    lake_path: str, header: BatchHeader, contracts: Sequence[Contract], *, base_only: bool = False
) -> tuple[PnLBlock, list[tuple[Work, float]]]:
    """As `value_contracts`, kernels loaded before, and what that took."""
    loaded, us = load_kernels(contracts, _market(lake_path, header, 0, 0))
    cost = [(Work(KERNELS, dict.fromkeys(loaded, 1)), us)] if loaded else []
    return value_contracts(lake_path, header, contracts, base_only=base_only), cost


def write_batch(
    lake_path: str, header: BatchHeader, rows: pa.Table, block: PnLBlock, cost: Sequence[tuple[Work, float]]
) -> BatchResult:
    """Writes the vectors of a batch, rows of `ValuationPlan.work`. cost : what was spent beside its contracts."""
    fingerprints = dict(
        zip(
            rows["contract_id"].to_pylist(),
            zip(rows["inputs_digest"].to_pylist(), rows["base_digest"].to_pylist(), strict=True),
            strict=True,
        )
    )
    file = store.write_block(Path(lake_path), header.valuation_date, block, fingerprints)
    kind_of = dict(zip(rows["contract_id"].to_pylist(), rows["instrument_type"].to_pylist(), strict=True))
    spent: dict[tuple[str, int], list[float]] = {}
    for contract_id, us, states in zip(block.contract_ids, block.cost_us.tolist(), block.states.tolist(), strict=True):
        spent.setdefault((kind_of[contract_id], states), []).append(us)
    priced = [(Work.of_type(kind, len(each), states), sum(each)) for (kind, states), each in spent.items()]
    return BatchResult(file, block.failures, (*cost, *priced))
