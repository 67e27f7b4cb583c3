"""Plan, run, seal: what is known is never valued again, counts add up, and every runner gives the same bits."""

import datetime as dt
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession
from support import contract_rows, factor, new_lake, put_contracts, put_market, random_walks

from lake.committer import Committer
from lake.errors import BadInput, Damaged
from lake.progress import Cancelled
from lake.tables import Lake
from scenarios import generators
from scenarios.store import save_scenario_set
from scenarios.types import ScenarioSet
from valuation.sets.batches import cut_batches
from valuation.sets.on_spark import _collect
from valuation.sets.plan import ValuationPlan, make_plan
from valuation.sets.run import run_plan
from valuation.sets.store import find_sealed
from valuation.types import ValuationSet

AS_OF = dt.date(2020, 3, 16)
N = 40
FACTORS = [
    factor("EQ:A", "equity_price"),
    factor("EQ:B", "equity_price"),
    factor("IV:A", "implied_vol"),
    *(factor(f"YC:USD:{p}", "par_yield", curve="USD", pillar=p) for p in ("6M", "2Y", "10Y")),
]
BOND = {
    "currency": "USD",
    "issue_date": "2018-02-15",
    "maturity": "2028-02-15",
    "coupon": 0.0275,
    "frequency": 2,
    "discount_curve": "USD",
}
CONTRACTS = [
    ("cash_equity", {"underlying": "EQ:A", "currency": "USD"}),
    ("cash_equity", {"underlying": "EQ:B", "currency": "USD"}),
    ("government_bond", BOND),
    *(
        (
            "equity_option",
            {
                "underlying": "EQ:A",
                "volatility": "IV:A",
                "strike": float(k),
                "expiry": "2020-12-18",
                "option_type": "put",
                "discount_curve": "USD",
                "currency": "USD",
            },
        )
        for k in range(80, 130, 5)
    ),
]


@pytest.fixture
def market() -> dict[str, dict[dt.date, float | None]]:
    return random_walks(FACTORS, dt.date(2019, 12, 2), AS_OF)


@pytest.fixture
def lake(tmp_path: Path, market: dict[str, dict[dt.date, float | None]]) -> Lake:
    made = new_lake(tmp_path)
    put_market(made, FACTORS, market)
    return made


def scenario_set(lake: Lake) -> ScenarioSet:
    with Committer(lake, "test") as committer:
        made = generators.generate(lake.snapshot(), "historical", {"market_date": AS_OF, "scenarios": N}, "test")
        return save_scenario_set(committer, made)


def plan_for(lake: Lake, contracts: pa.Table, scenarios: ScenarioSet, **more: object) -> ValuationPlan:
    return make_plan(lake.snapshot(), contracts, scenarios, AS_OF, **more)  # type: ignore[arg-type]


def run(lake: Lake, plan: ValuationPlan, **more: object) -> dict[str, object]:
    with Committer(lake, "test") as committer:
        return run_plan(committer, plan, **{"runner": "in-process", **more}).to_dict()  # type: ignore[arg-type]


def vectors(lake: Lake, set_id: str) -> dict[str, bytes]:
    """Contract id to the bytes of its base value and P&L in a sealed set."""
    members = {
        (m["contract_id"], m["inputs_digest"])
        for m in lake.read("valuation_members").to_pylist()
        if m["valuation_set_id"] == set_id
    }
    return {
        r["contract_id"]: np.array([r["base_value"], *r["pnl"]]).tobytes()
        for r in lake.read("pnl_vectors").to_pylist()
        if (r["contract_id"], r["inputs_digest"]) in members
    }


def test_asking_twice_values_nothing(lake: Lake) -> None:
    contracts = put_contracts(lake, CONTRACTS)
    scenarios = scenario_set(lake)
    first = plan_for(lake, contracts, scenarios)
    assert (first.wanted, first.work.num_rows, first.members.num_rows) == (len(CONTRACTS), len(CONTRACTS), 0)
    assert first.cost.seconds > 0
    sealed = run(lake, first)
    assert sealed["submitted"] == sealed["valued"] == len(CONTRACTS)
    assert sealed["reused"] == sealed["failed"] == 0
    assert len(vectors(lake, first.valuation_set_id)) == len(CONTRACTS)
    version = lake.version("pnl_vectors")
    second = plan_for(lake, contracts, scenarios)
    assert second.sealed is not None
    assert second.work.num_rows == 0
    again = run(lake, second)
    nothing = dict.fromkeys(("valued", "failed", "elapsed_seconds", "kernels_seconds", "spark_seconds"), 0)
    assert again["this_run"] == {**nothing, "reused": len(CONTRACTS)}
    assert lake.version("pnl_vectors") == version


def test_a_second_run_is_planned_by_what_the_first_measured(lake: Lake) -> None:
    """Contracts, states and the loading of kernels each have a measurement of their own, and a plan reads them."""
    contracts, scenarios = put_contracts(lake, CONTRACTS), scenario_set(lake)
    first = plan_for(lake, contracts, scenarios)
    assert not first.cost.measured
    sealed = run(lake, first)
    measured = [json.loads(line) for line in (lake.state / "costs.jsonl").read_text().splitlines()]
    pricing = {m["name"]: m for m in measured if m["name"] != "kernels"}
    assert {name: (m["contracts"], m["states"]) for name, m in pricing.items()} == {
        "cash_equity": ({"cash_equity": 2}, N + 1),
        "government_bond": ({"government_bond": 1}, N + 1),
        "equity_option": ({"equity_option": 10}, N + 1),
    }
    assert sum(m["us"] for m in pricing.values()) == pytest.approx(sealed["pricing_seconds"] * 1e6)
    for name in ("valuation_sets", "pnl_vectors"):
        shutil.rmtree(lake.path / name)
        (lake.state / "logs" / f"{name}.json").unlink()
    again = plan_for(Lake(lake.path), contracts, scenarios)
    assert again.cost.measured
    assert again.cost.seconds == pytest.approx(sealed["pricing_seconds"])


def test_only_unknown_contracts_are_valued(lake: Lake) -> None:
    scenarios = scenario_set(lake)
    run(lake, plan_for(lake, put_contracts(lake, CONTRACTS[:-1]), scenarios))
    plan = plan_for(lake, put_contracts(lake, CONTRACTS), scenarios)
    assert plan.work.num_rows == 1
    sealed = run(lake, plan)
    assert (sealed["valued"], sealed["reused"], sealed["submitted"]) == (1, len(CONTRACTS) - 1, len(CONTRACTS))


def test_a_corrected_curve_revalues_only_its_dependants(
    lake: Lake, market: dict[str, dict[dt.date, float | None]]
) -> None:
    contracts = put_contracts(lake, CONTRACTS)
    run(lake, plan_for(lake, contracts, scenario_set(lake)))
    level = market["YC:USD:10Y"][dt.date(2020, 3, 10)]
    assert level is not None
    market["YC:USD:10Y"][dt.date(2020, 3, 10)] = level + 0.0001
    put_market(lake, FACTORS, market)
    plan = plan_for(lake, contracts, scenario_set(lake))
    # shares keep their vectors, and so do options that expire long before; the bond pays after five years
    assert plan.work["instrument_type"].to_pylist() == ["government_bond"]
    sealed = run(lake, plan)
    assert (sealed["valued"], sealed["reused"]) == (1, 12)


def test_an_equity_stress_leaves_bonds_unmoved_without_pricing(lake: Lake) -> None:
    contracts = put_contracts(lake, CONTRACTS)
    scenarios = scenario_set(lake)
    run(lake, plan_for(lake, contracts, scenarios))
    plan = plan_for(lake, contracts, scenarios, risk_classes=["equity"])
    kinds = dict(zip(plan.members["contract_id"].to_pylist(), plan.members["unmoved"].to_pylist(), strict=True))
    bond = contracts.filter(pc.equal(contracts["instrument_type"], "government_bond"))["contract_id"][0].as_py()
    assert kinds[bond] is True  # its base value stands in the vector of the full set
    assert "government_bond" not in plan.work["instrument_type"].to_pylist()
    # the equities read equity factors alone, so their vectors answer as they are
    assert plan.members.num_rows == 3
    sealed = run(lake, plan)
    assert sealed["unmoved"] == 1
    assert sealed["submitted"] == len(CONTRACTS)


def test_unmoved_without_a_known_base_prices_the_base_alone(lake: Lake) -> None:
    contracts = put_contracts(lake, CONTRACTS)
    plan = plan_for(lake, contracts, scenario_set(lake), risk_classes=["equity"])
    run(lake, plan)
    bond = contracts.filter(pc.equal(contracts["instrument_type"], "government_bond"))["contract_id"][0].as_py()
    row = next(r for r in lake.read("pnl_vectors").to_pylist() if r["contract_id"] == bond)
    assert row["pnl"] == []
    assert row["inputs_digest"] == row["base_digest"]
    assert 80 < row["base_value"] < 130


def test_failed_contracts_are_results(lake: Lake) -> None:
    bad = [
        ("cash_equity", {"underlying": "EQ:NOT_THERE", "currency": "USD"}),
        ("government_bond", {**BOND, "issue_date": "2010-02-15", "maturity": "2020-02-15"}),
    ]
    contracts = put_contracts(lake, [*CONTRACTS, *bad])
    plan = plan_for(lake, contracts, scenario_set(lake))
    assert len(plan.failures) == 2
    sealed = run(lake, plan)
    assert sealed["submitted"] == sealed["valued"] + sealed["reused"] + sealed["failed"] == len(CONTRACTS) + 2
    failures = {r["reason"]: r["message"] for r in lake.read("valuation_failures").to_pylist()}
    assert set(failures) == {"missing_risk_factor", "matured"}
    assert "EQ:NOT_THERE" in failures["missing_risk_factor"]


def test_bits_do_not_depend_on_batches(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contracts = put_contracts(lake, CONTRACTS)
    plan = plan_for(lake, contracts, scenario_set(lake))
    run(lake, plan)
    one = vectors(lake, plan.valuation_set_id)
    monkeypatch.setattr("valuation.sets.batches.BLOCK_BYTES", N * 8 * 3)
    monkeypatch.setattr("valuation.sets.run.WAVE", 2)
    other = new_lake(tmp_path / "other")
    put_market(other, FACTORS, random_walks(FACTORS, dt.date(2019, 12, 2), AS_OF))
    put_contracts(other, CONTRACTS)
    again = plan_for(other, contracts, scenario_set(other))
    assert len(cut_batches(again, 1)) >= 5
    run(other, again)
    assert again.valuation_set_id == plan.valuation_set_id
    assert vectors(other, again.valuation_set_id) == one


def test_every_run_writes_the_same_files_of_vectors(lake: Lake, tmp_path: Path) -> None:
    """What a run measures is not in them: their names are the digests of their bytes, and a task that runs again adds none."""
    other = new_lake(tmp_path / "other")
    put_market(other, FACTORS, random_walks(FACTORS, dt.date(2019, 12, 2), AS_OF))
    names = []
    for made in (lake, other):
        run(made, plan_for(made, put_contracts(made, CONTRACTS), scenario_set(made)))
        names.append([f.name for f in made.data_files("pnl_vectors")])
    assert names[0] == names[1] != []


@pytest.mark.spark
def test_damage_that_a_task_on_spark_meets_is_told_in_words(lake: Lake, spark: object) -> None:
    plan = plan_for(lake, put_contracts(lake, CONTRACTS), scenario_set(lake))
    file = lake.data_files("scenario_levels")[0]
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(
        Damaged, match=rf"^The lake is damaged: the data file [^ ]*{file.name} has other bytes[^\n]*\.$"
    ):
        run(lake, plan, runner="spark", spark=lambda: spark)


@pytest.mark.spark
def test_spark_gives_the_bits_of_this_process(lake: Lake, tmp_path: Path, spark: object) -> None:
    contracts = put_contracts(lake, CONTRACTS)
    plan = plan_for(lake, contracts, scenario_set(lake))
    run(lake, plan)
    other = new_lake(tmp_path / "other")
    put_market(other, FACTORS, random_walks(FACTORS, dt.date(2019, 12, 2), AS_OF))
    put_contracts(other, CONTRACTS)
    ticks: list[tuple[str, int, int]] = []
    sealed = run(
        other,
        plan_for(other, contracts, scenario_set(other)),
        runner="spark",
        spark=lambda: spark,
        progress=lambda *t: ticks.append(t),
    )
    assert sealed["valued"] == len(CONTRACTS)
    assert str(sealed["runner"]).startswith("local")
    assert ticks[-1][1] == ticks[-1][2] > 0
    assert vectors(other, plan.valuation_set_id) == vectors(lake, plan.valuation_set_id)
    assert not list((other.state / "runs").glob("*"))


def test_cancel_keeps_what_was_committed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    contracts = put_contracts(lake, CONTRACTS)
    monkeypatch.setattr("valuation.sets.batches.BLOCK_BYTES", N * 8 * 2)
    monkeypatch.setattr("valuation.sets.run.WAVE", 1)
    scenarios = scenario_set(lake)
    plan = plan_for(lake, contracts, scenarios)
    cancelled = threading.Event()

    def stop_after_two(stage: str, done: int, total: int) -> None:
        if done >= 2:
            cancelled.set()

    with pytest.raises(Cancelled):
        run(lake, plan, progress=stop_after_two, cancelled=cancelled)
    assert find_sealed(lake, plan.valuation_set_id) is None
    rest = plan_for(lake, contracts, scenarios)
    assert 0 < rest.members.num_rows < len(CONTRACTS)
    sealed = run(lake, rest)
    assert sealed["reused"] == rest.members.num_rows
    assert len(vectors(lake, plan.valuation_set_id)) == len(CONTRACTS)


def test_a_plan_is_cancelled_between_two_contracts(lake: Lake) -> None:
    contracts, scenarios, cancelled = put_contracts(lake, CONTRACTS), scenario_set(lake), threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        plan_for(lake, contracts, scenarios, cancelled=cancelled)


@pytest.mark.spark
def test_a_wave_that_spark_does_not_have_yet_is_cancelled_as_soon_as_it_has(
    spark: SparkSession, tmp_path: Path
) -> None:
    cancelled, over = threading.Event(), tmp_path / "over"
    cancelled.set()

    def slow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            time.sleep(20)
            over.touch()
            yield batch

    class Late:
        def collect(self) -> list[Any]:
            time.sleep(0.3)  # longer than until the first look at `cancelled`
            return spark.range(1).mapInArrow(slow, "id long").collect()

    with pytest.raises(Cancelled):
        _collect(spark, Late(), "late", lambda _: None, cancelled)
    assert not over.exists()


def test_a_valuation_set_is_its_row(lake: Lake) -> None:
    plan = plan_for(lake, put_contracts(lake, CONTRACTS), scenario_set(lake))
    told = run(lake, plan)
    (row,) = lake.read("valuation_sets").to_pylist(maps_as_pydicts="strict")
    assert list(row) == list(ValuationSet.__dataclass_fields__)
    assert ValuationSet.from_row(row).to_dict() == row == {k: told[k] for k in row}


def test_unknown_risk_class(lake: Lake) -> None:
    with pytest.raises(BadInput, match="equity"):
        plan_for(lake, contract_rows(CONTRACTS), scenario_set(lake), risk_classes=["equities"])
