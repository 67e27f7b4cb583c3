"""What must also work at full size: memory stays bounded, nothing is lost, the parts still add up. No times are judged here."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregation.risk.query import run_query
from aggregation.types import RiskQuery
from lake.committer import Committer
from lake.tables import Lake
from scenarios.store import save_scenario_set
from service.bench import harness
from service.bench.scenarios import bench_scenarios
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan


@pytest.mark.slow
def test_a_million_scenarios_of_500_factors_stay_below_two_gib() -> None:
    memory = bench_scenarios(500, 500, 2048, 1_000_000)[-1]
    assert "1,000,000 scenarios x 500 factors" in memory["work"]
    assert memory["unit"] == "GiB"
    assert 0.1 < memory["figure"] < 2.0


@pytest.mark.heavy
def test_a_million_positions_in_100_000_contracts(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    contracts, made = harness.mixed_contracts(100_000), harness.noisy_market(1000)
    with Committer(lake, "test") as committer:
        stored = save_scenario_set(committer, made)
        committer.put("contracts", contracts)
        committer.put("positions", harness.random_positions(contracts, 1_000_000))
        run = run_plan(
            committer, make_plan(lake.snapshot(), contracts, stored, harness.VALUATION_DATE), runner="in-process"
        )
    assert run.valuation_set.valued == run.valuation_set.submitted == contracts.num_rows
    answers = [
        run_query(lake, RiskQuery(as_of=harness.VALUATION_DATE, by=by, measures=("var", "mean")), threads=n)
        for by in (("desk",), ("book",))
        for n in (1, 2)
    ]
    for answer in answers:
        assert answer.coverage.covered == answer.coverage.positions == 1_000_000
        # the mean is additive, the VaR is not: the total is the same to the bit whatever it is split by
        assert sum(answer.rows["mean"].to_pylist()) == pytest.approx(answer.total["mean"], rel=1e-9)
        assert answer.total["var_0.99"] == answers[0].total["var_0.99"]
