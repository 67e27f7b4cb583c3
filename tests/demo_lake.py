"""A small lake like the demo's: the same market, bank and dates, with fewer positions, so that documented examples run on it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from small_lake import bring_limits

from lake.committer import Committer
from lake.landing.reference import ingest_reference
from lake.tables import Lake
from scenarios.market.landing_catalogue import ingest_market, load_catalogue
from scenarios.market.sample_market import write_sample_market
from service.demo import BOOK_DATES
from valuation.books.positions import ingest_positions
from valuation.catalogue import INSTRUMENTS
from valuation.samples.book import book_dates, write_sample_book
from valuation.samples.reference import write_sample_reference
from valuation.sets.requests import ValuationRequest, run_valuation

DATES = (dt.date(2020, 2, 14), dt.date(2020, 3, 16))


def build_demo_lake(folder: Path, positions: int = 300) -> Lake:
    """Market, the demo's books and the valuation of both days under 500 historical scenarios, in this process."""
    lake = Lake.create(folder / "lake")
    catalogue = write_sample_market(folder / "market", seed=1, first=dt.date(2005, 1, 3), last=dt.date(2020, 3, 31))
    with Committer(lake, "test") as committer:
        ingest_market(committer, folder / "market", load_catalogue(str(catalogue)))
        for file in write_sample_book(lake.snapshot(), folder / "book", positions=positions, dates=BOOK_DATES, seed=1):
            assert ingest_positions(committer, file).rejected == 0
        written = write_sample_reference(lake.snapshot(), folder / "reference", dates=book_dates(BOOK_DATES), seed=1)
        ingest_reference(committer, written, INSTRUMENTS)
        known = sorted(set(lake.read("counterparties", ["counterparty"])["counterparty"].to_pylist()))
        bring_limits(committer, folder, known[:2], desk="Treasury")
        for day in DATES:
            run_valuation(committer, ValuationRequest(as_of=day, runner="in-process"), spark=_no_spark)
    return lake


def _no_spark() -> object:
    raise AssertionError("this needs no Spark")
