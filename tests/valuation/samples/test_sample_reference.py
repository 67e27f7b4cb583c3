"""The reference data of the sample bank: of every counterparty of its book, with what the tables ask, the same for a seed."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import pytest

from lake.committer import Committer
from lake.landing.reference import ingest_reference
from lake.tables import Lake
from scenarios.market.landing_catalogue import ingest_market, load_catalogue
from scenarios.market.sample_market import write_sample_market
from valuation.books.positions import ingest_positions
from valuation.catalogue import INSTRUMENTS
from valuation.samples.book import write_sample_book
from valuation.samples.reference import write_sample_reference

FRIDAY, MONDAY = dt.date(2020, 2, 28), dt.date(2020, 3, 16)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("reference")
    made = Lake.create(folder / "lake")
    catalogue = write_sample_market(folder / "market", seed=1, first=dt.date(2019, 6, 3), last=dt.date(2020, 3, 20))
    with Committer(made, "test") as committer:
        ingest_market(committer, folder / "market", load_catalogue(str(catalogue)))
        for file in write_sample_book(made.snapshot(), folder / "book", positions=400, dates=[MONDAY], seed=1):
            ingest_positions(committer, file)
        ingest_reference(
            committer,
            write_sample_reference(made.snapshot(), folder / "files", dates=[FRIDAY, MONDAY], seed=1),
            INSTRUMENTS,
        )
    return made


def written(lake: Lake, folder: Path, dates: list[dt.date], seed: int = 1) -> dict[str, bytes]:
    files = write_sample_reference(lake.snapshot(), folder, dates=dates, seed=seed)
    return {what: path.read_bytes() for what, path in files.items()}


def test_every_counterparty_of_the_book_has_a_row_with_the_rating_that_the_book_says(lake: Lake) -> None:
    known = {r["counterparty"]: r for r in lake.read("counterparties").to_pylist()}
    rows = lake.read("positions", ["counterparty", "attributes"]).to_pylist(maps_as_pydicts="strict")
    assert len(rows) == 400
    assert all(known[r["counterparty"]]["rating"] == r["attributes"]["counterparty_rating"] for r in rows)
    assert {r["credit_class"] for r in known.values()} == {"bank", "corporate", "corporate_sme", "sovereign"}


def test_most_trade_under_margin_some_without_and_some_without_an_agreement(lake: Lake) -> None:
    known = {r["counterparty"] for r in lake.read("counterparties").to_pylist()}
    agreements = lake.read("agreements").to_pylist()
    margined = {r["counterparty"] for r in agreements if r["margined"]}
    netted = {r["counterparty"] for r in agreements}
    assert len(margined) > len(known) / 2
    assert netted > margined
    assert known > netted
    changed = [r for r in agreements if r["effective_to"] is not None]
    assert changed
    assert all(r["effective_to"] == dt.date(2020, 3, 1) for r in changed)


def test_every_margined_agreement_has_a_balance_of_variation_margin_on_each_day(lake: Lake) -> None:
    agreements, balances = lake.read("agreements").to_pylist(), lake.read("collateral").to_pylist()
    for day in (FRIDAY, MONDAY):
        held = {r["agreement"] for r in balances if r["as_of_date"] == day and r["kind"] == "variation"}
        assert held == {r["agreement"] for r in agreements if r["margined"]}
    own = {r["agreement"]: r for r in agreements}
    assert all(r["amount"] >= 0 for r in balances if not own[r["agreement"]]["two_way"])


def test_everything_that_the_market_has_is_classified(lake: Lake) -> None:
    names = {r["name"]: r for r in lake.read("classifications").to_pylist()}
    factors = lake.read("risk_factors").to_pylist()
    ids = {f["risk_factor_id"] for f in factors if f["type"] in ("equity_price", "index_level", "commodity_price")}
    curves = {f["curve"] for f in factors if f["type"] == "cds_spread"}
    assert ids
    assert curves
    assert names.keys() >= ids | curves | {f["currency"] for f in factors}
    assert (
        names["CMD:WTI"]["commodity_type"]
        == names["CMD:BRENT"]["commodity_type"]
        == names["CMD:WTI:M6"]["commodity_type"]
    )
    assert names["EQ:JPM"]["sector"] == "financial_technology"
    assert names["JPM"]["sector"] == "financial"


def test_the_same_seed_gives_the_same_bytes_and_a_day_depends_on_no_other(lake: Lake, tmp_path: Path) -> None:
    one = written(lake, tmp_path / "one", [MONDAY])
    assert written(lake, tmp_path / "two", [MONDAY]) == one
    both = written(lake, tmp_path / "both", [FRIDAY, MONDAY])
    rows = list(csv.reader(both["collateral"].decode().splitlines()))
    assert [r for r in rows if r[0] != str(FRIDAY)] == list(csv.reader(one["collateral"].decode().splitlines()))
    other = written(lake, tmp_path / "other", [MONDAY], seed=2)
    assert other["counterparties"] != one["counterparties"]
    assert other["classifications"] == one["classifications"]
