"""A small lake built through the real path: a market, two books from CSV, scenario sets of 30 scenarios."""

from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path

from support import factor, put_market, random_walks

from lake.committer import Committer
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from valuation.books.positions import ingest_positions
from valuation.sets.requests import ValuationRequest

FRIDAY, MONDAY = dt.date(2020, 3, 13), dt.date(2020, 3, 16)
SCENARIOS = 30
FACTORS = [
    factor("EQ:AAA", "equity_price"),
    factor("EQ:BBB", "equity_price", "EUR"),
    factor("IV:AAA", "implied_vol"),
    factor("FX:EURUSD", "fx_rate"),
    factor("YC:USD:1M", "zero_rate", curve="USD", pillar="1M"),
    factor("YC:USD:5Y", "zero_rate", curve="USD", pillar="5Y"),
]
SHARE_A = {"instrument_type": "cash_equity", "currency": "USD", "underlying": "EQ:AAA"}
SHARE_B = {"instrument_type": "cash_equity", "currency": "EUR", "underlying": "EQ:BBB"}
OPTION = {
    "instrument_type": "equity_option",
    "currency": "USD",
    "underlying": "EQ:AAA",
    "volatility": "IV:AAA",
    "strike": "100",
    "expiry": "2020-12-18",
    "option_type": "call",
    "discount_curve": "USD",
}
MATURED = {**OPTION, "expiry": "2019-12-20"}
# desk, quantity, terms; a client's name that a spreadsheet would run is among them
BOOK = [
    ("Equities", 1000.0, SHARE_A),
    ("Equities", -200.0, SHARE_B),
    ("Options", 50.0, OPTION),
    ("Options", 5.0, MATURED),
]
FORMULA = '=HYPERLINK("http://example.com")'


def book_csv(copies: int = 1) -> str:
    """Both days' books; on Monday the Options desk holds twice as much."""
    terms = sorted({name for _, _, t in BOOK for name in t})
    out = io.StringIO()
    rows = csv.DictWriter(out, ["positions_date", "quantity", *DIMENSION_COLUMNS, "attribute.rating", *terms])
    rows.writeheader()
    for day in (FRIDAY, MONDAY):
        for copy in range(copies):
            for i, (desk, quantity, contract) in enumerate(BOOK):
                if day == MONDAY and desk == "Options":
                    quantity *= 2
                dimensions = {
                    d: f"{d}-{i % 2}" for d in DIMENSION_COLUMNS if d not in ("trade", "desk", "client", "instrument")
                }
                rows.writerow(
                    {
                        "positions_date": day,
                        "trade": f"T{copy:05}-{i}",
                        "desk": desk,
                        "client": FORMULA if i == 0 else "Acme",
                        "instrument": contract["underlying"],
                        "quantity": quantity,
                        "attribute.rating": "AA" if i % 2 else "BBB",
                        **dimensions,
                        **contract,
                    }
                )
    return out.getvalue()


def build_lake(folder: Path, copies: int = 1) -> Lake:
    """A lake with a market and both books, nothing valued yet."""
    lake = Lake.create(folder)
    put_market(lake, FACTORS, random_walks(FACTORS, dt.date(2019, 12, 2), dt.date(2020, 3, 17)))
    book = folder.parent / f"{folder.name}-book.csv"
    book.write_text(book_csv(copies))
    with Committer(lake, "test") as committer:
        report = ingest_positions(committer, book)
    assert report.rejected == 0
    return lake


def request(day: dt.date = MONDAY, **more: object) -> ValuationRequest:
    scenarios = {"parameters": {"scenarios": SCENARIOS}}
    return ValuationRequest.model_validate({"as_of": day, "scenarios": scenarios, "runner": "in-process", **more})


def no_spark() -> object:
    raise AssertionError("this job needs no Spark")
