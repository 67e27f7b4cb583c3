"""The change of VaR on the real data into 16 March 2020, against SQL over the lake's own files."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from small_lake import no_spark

from aggregation.change.cause_drill import drill
from aggregation.change.explain import explained
from aggregation.change.sides import compared
from aggregation.opened.opened_lake import VectorCache
from aggregation.types import Filter, RiskQuery
from lake.committer import Committer
from lake.tables import Lake
from valuation.books.positions import ingest_positions
from valuation.samples.book import write_sample_book
from valuation.sets.requests import ValuationRequest, run_valuation

pytestmark = [pytest.mark.marketdata, pytest.mark.slow]

FRIDAY, MONDAY = dt.date(2020, 3, 13), dt.date(2020, 3, 16)
N = 250


@pytest.fixture(scope="module")
def lake(real_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("march")
    lake = Lake.open(shutil.copytree(real_market, folder / "lake"))
    with Committer(lake, "test") as committer:
        files = write_sample_book(lake.snapshot(), folder / "book", positions=150, dates=f"{FRIDAY},{MONDAY}", seed=3)
        for file in files:
            ingest_positions(committer, file)
        for day in (FRIDAY, MONDAY):
            asked = {"as_of": day, "scenarios": {"parameters": {"scenarios": N}}, "runner": "in-process"}
            run_valuation(committer, ValuationRequest.model_validate(asked), spark=no_spark)
    return lake


def totals(lake: Lake, day: dt.date) -> dict[str, float]:
    """Scenario to P&L of the dollar contracts: positions, members and vectors joined in SQL."""
    tables = {t: [str(f) for f in lake.data_files(t)] for t in ("positions", "valuation_members", "pnl_vectors")}
    seal = next(s for s in lake.read("valuation_sets").to_pylist() if s["valuation_date"] == day)
    labels = {r["scenario_set_id"]: r["labels"] for r in lake.read("scenario_sets").to_pylist()}[
        seal["scenario_set_id"]
    ]
    with duckdb.connect() as sql:
        rows = sql.execute(
            f"""with p as (select contract_id, sum(quantity) q
                from read_parquet({tables["positions"]}, hive_partitioning = true)
                where positions_date = '{day}' and currency = 'USD' group by all),
            m as (select contract_id, inputs_digest, unmoved from read_parquet({tables["valuation_members"]}, hive_partitioning = true)
                where valuation_set_id = '{seal["valuation_set_id"]}'),
            v as (select distinct on (contract_id, inputs_digest) contract_id, inputs_digest, pnl
                from read_parquet({tables["pnl_vectors"]}, hive_partitioning = true) where valuation_date = '{day}')
            select s, sum(q * pnl[s]) from p join m using (contract_id) join v using (contract_id, inputs_digest),
                range(1, {N + 1}) t(s) where not unmoved and len(pnl) = {N} group by s order by s"""
        ).fetchall()
    return dict(zip(labels, (pnl for _, pnl in rows), strict=True))


def var(pnl: dict[str, float]) -> float:
    """The third worst of 250 at 0.99, of 249 too."""
    return -sorted(pnl.values())[2]


def test_why_var_moved(lake: Lake) -> None:
    one, two = (
        RiskQuery(as_of=d, by=("desk",), measures=("var",), where=(Filter.parse("currency=USD"),), interval="0.95")
        for d in (FRIDAY, MONDAY)
    )
    comparison = compared(lake, one, two, cache=VectorCache(lake))
    found = explained(comparison)
    before, after = totals(lake, FRIDAY), totals(lake, MONDAY)
    assert found.before == pytest.approx(var(before), rel=1e-9)
    assert found.after == pytest.approx(var(after), rel=1e-9)
    assert abs(found.residual) <= 1e-9 * max(found.before, found.after)
    common = before.keys() & after.keys()
    assert (len(common), after.keys() - before.keys()) == (N - 1, {str(MONDAY)})
    assert found.common_scenarios == N - 1
    # the window, from the totals alone
    assert found.causes["left"] == pytest.approx(var({s: before[s] for s in common}) - var(before), abs=1e-6)
    assert found.causes["entered"] == pytest.approx(var(after) - var({s: after[s] for s in common}), abs=1e-6)
    rest = sum(v for c, v in found.causes.items() if c not in ("left", "entered"))
    assert rest == pytest.approx(var({s: after[s] for s in common}) - var({s: before[s] for s in common}), rel=1e-9)
    assert found.causes["currency"] == 0.0
    for cause, value in found.causes.items():
        parts = drill(comparison, found, {"cause": cause}, limit=10**6).rows
        assert float(np.sum(parts["value"].to_numpy())) == pytest.approx(value, rel=1e-9, abs=1e-6)
    assert found.intervals is not None
    assert found.intervals["change"][0] <= found.change <= found.intervals["change"][1]
    assert any(w.startswith("market date: 2020-03-13 to 2020-03-16") for w in found.revaluation)
