"""Benchmark of contributions: component ES by trade, where every position is a group of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path

from aggregation.contributions.contributions import ContributionQuery, run_contributions
from aggregation.opened.opened_lake import VectorCache
from lake.committer import Committer
from lake.tables import Lake
from scenarios.store import save_scenario_set
from service.bench.harness import VALUATION_DATE, Row, mixed_contracts, noisy_market, random_positions, row, seconds
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan


def bench_contributions(n_contracts: int, n_scenarios: int, n_positions: int) -> list[Row]:
    """Seconds of a warm component ES by trade, by desk and of the greatest contributors, in a lake made for it."""
    with tempfile.TemporaryDirectory(prefix="varlake-bench-") as folder:
        lake = Lake.create(Path(folder) / "lake")
        _fill(lake, n_contracts, n_scenarios, n_positions)
        return contributions_rows(
            lake, VectorCache(lake), f"{n_contracts:,} x {n_scenarios}, {n_positions:,} positions"
        )


def _fill(lake: Lake, n_contracts: int, n_scenarios: int, n_positions: int) -> None:
    contracts, made = mixed_contracts(n_contracts), noisy_market(n_scenarios)
    with Committer(lake, "varlake bench") as committer:
        stored = save_scenario_set(committer, made)
        committer.put("contracts", contracts)
        committer.put("positions", random_positions(contracts, n_positions))
        run_plan(committer, make_plan(lake.snapshot(), contracts, stored, VALUATION_DATE), runner="in-process")


def contributions_rows(lake: Lake, cache: VectorCache, size: str) -> list[Row]:
    """The rows for a lake that is there, whose book is valued on the date of the benchmarks."""
    rows = []
    for work, limit, asked in (
        ("component ES by trade", 0.5, {"by": ("trade",), "figures": ("component",)}),
        ("component ES by desk", 0.5, {"by": ("desk",), "figures": ("component",)}),
        ("20 top contributors and offsets by trade, every figure", 1.0, {"by": ("trade",), "top": 20}),
    ):
        query = ContributionQuery.model_validate({"as_of": VALUATION_DATE, "measures": ("es",), **asked})
        answer = run_contributions(lake, query, cache=cache)
        assert answer.coverage.status == "complete"
        ours = seconds(lambda query=query: run_contributions(lake, query, cache=cache))  # type: ignore[misc]
        rows.append(row(f"{work}, warm: {size}", ours, "s", "the stated limit", limit, "<= 1"))
    return rows
