"""P&L explain over 16 March 2020 on the real market with the sample book, against the stored valuations of both dates."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from small_lake import no_spark

from aggregation.change.pnl_explain import LINES, PNL, PnlExplain, PnlExplainRequest, pnl_explain
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery
from lake.committer import Committer
from lake.tables import Lake
from valuation.books.contracts import contracts_held
from valuation.books.positions import ingest_positions
from valuation.samples.book import write_sample_book
from valuation.sets.requests import ValuationRequest, run_valuation

FRIDAY, MONDAY = dt.date(2020, 3, 13), dt.date(2020, 3, 16)

pytestmark = [pytest.mark.marketdata, pytest.mark.slow]


@pytest.fixture(scope="module")
def lake(real_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("real")
    lake = Lake.open(shutil.copytree(real_market, folder / "lake"))
    files = write_sample_book(lake.snapshot(), folder / "book", positions=1500, dates=f"{FRIDAY},{MONDAY}", seed=1)
    with Committer(lake, "test") as committer:
        for file in files:
            ingest_positions(committer, file)
        for day in (FRIDAY, MONDAY):
            asked = {"as_of": day, "scenarios": {"parameters": {"scenarios": 20}}, "runner": "in-process"}
            run_valuation(committer, ValuationRequest.model_validate(asked), spark=no_spark)  # type: ignore[arg-type]
    return lake


def ask(lake: Lake, **more: object) -> PnlExplain:
    return pnl_explain(lake, PnlExplainRequest.model_validate({"from": FRIDAY, "to": MONDAY, **more}))


@pytest.mark.parametrize("currency", ["USD", "JPY"])
def test_the_ends_are_the_stored_base_values_and_nothing_is_left(lake: Lake, currency: str) -> None:
    result = ask(lake, by=("desk",), currency=currency)
    for side, day in (("value_from", FRIDAY), ("value_to", MONDAY)):
        stored = run_query(lake, RiskQuery(as_of=day, by=("desk",), currency=currency))
        values = dict(zip(stored.rows["desk"].to_pylist(), stored.rows["base_value"].to_pylist(), strict=True))
        gross = sum(abs(v) for v in values.values())
        for row in result.rows.to_pylist():
            assert row[side] == pytest.approx(values[row["desk"]], rel=1e-11, abs=1e-13 * gross)
        assert result.total[side] == pytest.approx(stored.total["base_value"], rel=1e-11, abs=1e-13 * gross)
    for row in (*result.rows.to_pylist(), result.total):
        assert abs(row["unexplained"]) <= 1e-12 * sum(abs(row[name]) for name in LINES)
    assert result.total["failed"] == 0.0


def test_shares_move_by_their_prices(lake: Lake) -> None:
    """Quantity times the change of price of the market data table, share by share; nothing else moves a share in dollars."""
    dollars = tuple(
        Filter(dimension=d, values=(v,)) for d, v in (("instrument_type", "cash_equity"), ("currency", "USD"))
    )
    rows = {r["trade"]: r for r in ask(lake, by=("trade",), where=dollars).rows.to_pylist() if r["positions_from"]}
    table = lake.read("market_data", where=ds.field("as_of_date").isin([FRIDAY, MONDAY]))
    level = {(r["as_of_date"], r["risk_factor_id"]): r["value_used"] for r in table.to_pylist()}
    contracts = [c for c in contracts_held(lake, [FRIDAY]).to_pylist() if c["instrument_type"] == "cash_equity"]
    underlying = {c["contract_id"]: json.loads(c["terms"])["underlying"] for c in contracts}
    held = [p for p in lake.read("positions").to_pylist() if p["positions_date"] == FRIDAY and p["trade"] in rows]
    assert len(held) == len(rows) > 5
    for position in held:
        name, row = underlying[position["contract_id"]], rows[position["trade"]]
        change = position["quantity"] * (level[MONDAY, name] - level[FRIDAY, name])
        assert row["market_equity"] == pytest.approx(change, rel=1e-9, abs=1e-9 * abs(row["value_from"]))
        assert all(row[n] == pytest.approx(0.0, abs=1e-9 * abs(row["value_from"])) for n in PNL if n != "market_equity")
