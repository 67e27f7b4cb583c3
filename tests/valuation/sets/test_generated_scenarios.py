"""Valuations under generated levels: block by block with the bits of the whole, and reuse by what each contract reads."""

import dataclasses
import datetime as dt
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from support import factor, new_lake, put_contracts, put_market, random_walks

from lake.committer import Committer
from lake.tables import Lake
from scenarios import generators
from scenarios.kernels.random_blocks import PATHS
from scenarios.store import save_scenario_set
from scenarios.types import ScenarioSet
from valuation.batch import value_batch
from valuation.market.scenario_market import ScenarioMarket
from valuation.sets import batches, run
from valuation.sets.plan import make_plan
from valuation.types import Contract

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AS_OF = dt.date(2020, 3, 16)
FACTORS = [
    factor("EQ:A", "equity_price"),
    factor("EQ:B", "equity_price"),
    factor("IV:A", "implied_vol"),
    *(factor(f"YC:USD:{p}", "par_yield", curve="USD", pillar=p) for p in ("6M", "2Y", "10Y")),
]
OPTION = {
    "underlying": "EQ:A",
    "volatility": "IV:A",
    "expiry": "2020-12-18",
    "option_type": "put",
    "discount_curve": "USD",
    "currency": "USD",
}
CONTRACTS = [
    ("cash_equity", {"underlying": "EQ:A", "currency": "USD"}),
    ("cash_equity", {"underlying": "EQ:B", "currency": "USD"}),
    *(("equity_option", {**OPTION, "strike": float(k)}) for k in range(80, 120, 5)),
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = new_lake(tmp_path)
    put_market(made, FACTORS, random_walks(FACTORS, dt.date(2019, 6, 3), AS_OF))
    return made


def stored_set(lake: Lake, scenarios: int = 5000, **parameters: object) -> ScenarioSet:
    given = {"market_date": AS_OF, "window": 120, "scenarios": scenarios, **parameters}
    with Committer(lake, "test") as committer:
        return save_scenario_set(committer, generators.generate(lake.snapshot(), "monte_carlo", given, "mc"))


def value(lake: Lake, contracts: pa.Table, scenarios: ScenarioSet, **more: object) -> dict[str, object]:
    plan = make_plan(lake.snapshot(), contracts, scenarios, AS_OF)
    with Committer(lake, "test") as committer:
        return run.run_plan(committer, plan, **{"runner": "in-process", **more}).to_dict()  # type: ignore[arg-type]


def vectors(lake: Lake) -> dict[str, bytes]:
    return {r["contract_id"]: np.array(r["pnl"]).tobytes() for r in lake.read("pnl_vectors").to_pylist()}


def whole(contracts: pa.Table, scenarios: ScenarioSet) -> dict[str, bytes]:
    """The vectors of one batch under all levels in memory."""
    in_memory = dataclasses.replace(scenarios, levels=np.asarray(scenarios.levels))
    block = value_batch(Contract.of(contracts), ScenarioMarket.of(in_memory, AS_OF))
    return {c: row.tobytes() for c, row in zip(block.contract_ids, block.pnl, strict=True)}


@pytest.mark.parametrize("horizons", [[1], [1, 5]])
def test_blocks_of_scenarios_have_the_bits_of_the_whole(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, horizons: list[int]
) -> None:
    scenarios = stored_set(lake, horizons=horizons)
    contracts = put_contracts(lake, CONTRACTS)
    monkeypatch.setattr(batches, "LEVELS_BYTES", len(FACTORS) * 8 * PATHS * len(horizons))
    assert len(batches.cut_scenarios(scenarios)) == 5
    sealed = value(lake, contracts, scenarios)
    assert (sealed["valued"], sealed["failed"]) == (len(CONTRACTS), 0)
    assert sealed["scenario_count"] == 5000 * len(horizons)
    assert vectors(lake) == whole(contracts, scenarios)


def test_small_batches_of_contracts_too(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    scenarios = stored_set(lake)
    contracts = put_contracts(lake, CONTRACTS)
    monkeypatch.setattr(batches, "LEVELS_BYTES", 1)  # one atomic block at a time
    monkeypatch.setattr(batches, "GENERATED_BATCH_BYTES", 2 * 8 * scenarios.n_scenarios)
    plan = make_plan(lake.snapshot(), contracts, scenarios, AS_OF)
    assert max(n for _, n in batches.cut_batches(plan, 1)) == 2
    value(lake, contracts, scenarios)
    assert vectors(lake) == whole(contracts, scenarios)


def test_a_contract_that_fails_in_a_late_block_fails_as_a_whole(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    # yields so wild that some scenario, but not the first thousand, allows no discount factor
    wild = random_walks(FACTORS, dt.date(2019, 6, 3), AS_OF)
    days = list(wild["YC:USD:10Y"])
    for i, day in enumerate(days):
        wild["YC:USD:10Y"][day] = 0.03 + (0.02 if i % 2 else 0.0)
    put_market(lake, FACTORS, wild)
    bond = {"issue_date": "2018-02-15", "maturity": "2029-02-15", "coupon": 0.03, "frequency": 2}
    contracts = put_contracts(
        lake, [*CONTRACTS[:2], ("government_bond", {**bond, "currency": "USD", "discount_curve": "USD"})]
    )
    scenarios = stored_set(lake, scenarios=20_000, distribution="student_t", degrees_of_freedom=2.5)
    monkeypatch.setattr(batches, "LEVELS_BYTES", 1)
    sealed = value(lake, contracts, scenarios)
    assert (sealed["valued"], sealed["failed"]) == (2, 1)
    (failure,) = lake.read("valuation_failures").to_pylist()
    assert failure["reason"] == "non_finite"
    assert int(re.search(r"numbers (\d+)", failure["message"])[1]) > PATHS  # type: ignore[index]
    assert len(whole(contracts, scenarios)) == 2
    assert vectors(lake) == whole(contracts, scenarios)


def test_asking_twice_values_nothing_and_a_factor_revalues_its_readers_only(lake: Lake) -> None:
    contracts = put_contracts(lake, CONTRACTS)
    scenarios = stored_set(lake)
    value(lake, contracts, scenarios)
    assert value(lake, contracts, scenarios)["this_run"]["valued"] == 0  # type: ignore[index]
    market = random_walks(FACTORS, dt.date(2019, 6, 3), AS_OF)
    market["EQ:B"][dt.date(2020, 3, 10)] = 123.0
    put_market(lake, FACTORS, market)
    # a factor's row of the triangular loadings reads the factors before it, in order of id: EQ:A stands before EQ:B
    plan = make_plan(lake.snapshot(), contracts, stored_set(lake), AS_OF)
    readers = {
        json.loads(t).get("underlying") for t in plan.members.join(contracts, "contract_id")["terms"].to_pylist()
    }
    assert plan.members.num_rows == 1
    assert readers == {"EQ:A"}
    more = make_plan(lake.snapshot(), contracts, stored_set(lake, scenarios=6000), AS_OF)
    assert more.members.num_rows == 0


@pytest.mark.spark
def test_spark_gives_the_same_bits(lake: Lake, spark: "SparkSession") -> None:
    scenarios = stored_set(lake, distribution="t_copula", horizons=[1, 3])
    contracts = put_contracts(lake, CONTRACTS)
    sealed = value(lake, contracts, scenarios, runner="spark", spark=lambda: spark)
    assert sealed["valued"] == len(CONTRACTS)
    assert vectors(lake) == whole(contracts, scenarios)


def test_monte_carlo_var_of_shares_is_the_parametric_one(lake: Lake) -> None:
    scenarios = stored_set(lake, scenarios=50_000, returns="as_typed", horizons=[10])
    shares = put_contracts(lake, CONTRACTS[:2])
    value(lake, shares, scenarios)
    got = vectors(lake)
    quantity = {
        json.loads(t)["underlying"]: q for t, q in zip(shares["terms"].to_pylist(), (300.0, -500.0), strict=True)
    }
    pnl = sum(
        quantity[json.loads(t)["underlying"]] * np.frombuffer(got[c])
        for c, t in zip(shares["contract_id"].to_pylist(), shares["terms"].to_pylist(), strict=True)
    )
    market = random_walks(FACTORS, dt.date(2019, 6, 3), AS_OF)
    prices = np.array([list(market[name].values())[-121:] for name in quantity], dtype=float)
    delta = np.array(list(quantity.values())) * prices[:, -1]
    deviation = np.sqrt(10 * delta @ np.cov(prices[:, 1:] / prices[:, :-1]) @ delta)
    for level in (0.95, 0.99):
        worse = int((pnl < -stats.norm.ppf(level) * deviation).sum())
        # within 4.5 standard errors of the binomial count of losses beyond the parametric VaR
        assert abs(worse - 50_000 * (1 - level)) < 4.5 * np.sqrt(50_000 * level * (1 - level))
