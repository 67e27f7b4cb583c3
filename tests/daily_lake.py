"""A small lake with a book on every business day of three weeks, one of them left out, and a market of a year before."""

from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path

from small_lake import FACTORS, OPTION, SHARE_A, SHARE_B
from support import put_market, random_walks

from lake.committer import Committer
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from scenarios.market.calendars import sessions
from valuation.books.positions import ingest_positions

SCENARIOS = 60
FIRST, LAST = dt.date(2020, 2, 3), dt.date(2020, 2, 28)
NO_BOOK = dt.date(2020, 2, 20)
DAYS = [d.item() for d in sessions("XNYS", FIRST, LAST)]
# desk, quantity, terms; BBB is in EUR
HELD = [("Equities", 1000.0, SHARE_A), ("Equities", -400.0, SHARE_B), ("Options", 300.0, OPTION)]
MARKET = random_walks(FACTORS, dt.date(2019, 6, 3), dt.date(2020, 3, 6))
# moves that no window has seen: the share held long falls twice, the one held short rises
for name, since, factor in (("EQ:AAA", 24, 0.95), ("EQ:AAA", 27, 0.94), ("EQ:BBB", 12, 1.12)):
    MARKET[name] |= {d: v * factor for d, v in MARKET[name].items() if v is not None and d >= dt.date(2020, 2, since)}


def book_csv() -> str:
    terms = sorted({name for _, _, t in HELD for name in t})
    out = io.StringIO()
    rows = csv.DictWriter(out, ["positions_date", "quantity", *DIMENSION_COLUMNS, *terms])
    rows.writeheader()
    for day in DAYS:
        for i, (desk, quantity, contract) in enumerate(HELD):
            if day != NO_BOOK:
                named = {d: f"{d}-1" for d in DIMENSION_COLUMNS}
                own = {"trade": f"T{i}", "desk": desk, "quantity": quantity, "positions_date": day}
                rows.writerow({**named, **own, **contract})
    return out.getvalue()


def build_daily_lake(folder: Path) -> Lake:
    """Nothing valued yet."""
    lake = Lake.create(folder)
    put_market(lake, FACTORS, MARKET)
    book = folder.parent / f"{folder.name}-book.csv"
    book.write_text(book_csv())
    with Committer(lake, "test") as committer:
        assert ingest_positions(committer, book).rejected == 0
    return lake
