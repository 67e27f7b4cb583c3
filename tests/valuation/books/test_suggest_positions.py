"""Mappings suggested for exports of invented banks, each of another shape: what loads by them is what a person reads in the file."""

from __future__ import annotations

import datetime as dt
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from lake.committer import Committer
from lake.errors import BadInput
from lake.landing.actual_pnl import ingest_pnl, suggest_pnl
from lake.landing.mapping import load_mapping
from lake.landing.suggest import Suggestion
from lake.tables import Lake
from valuation.books.positions import ingest_positions
from valuation.books.suggest import suggest_positions

# semicolons, decimal comma, German, another encoding, a side, a title with the day of week
GERMAN = """Bestandsliste Handel;;;;;;;;;;;;;;;;
Stichtag;Geschäftsnr;Art;Basiswert;Stück;K/V;Währung;Basispreis;Verfall;Put/Call;Handelstisch;Handelsbuch;Gesellschaft;Kontrahent;Portfolio;Kunde;Konto
16.03.2020;1001;Aktie;AAPL;1.500;K;USD;;;;Aktien;EQ-1;Bank AG;Müller;Wachstum;Haus;H-1
16.03.2020;1002;Option;AAPL;2.500,5;V;USD;62,50;19.06.2020;Put;Aktien;EQ-1;Bank AG;Müller;Wachstum;Haus;H-1
""".encode("cp1252")  # fmt: skip
# US, dates 16-Mar-20, one column of maturity, a column that is nothing
AMERICAN = b"""As Of Date,Trade ID,Product Type,CUSIP,Ticker,Notional,B/S,Ccy,Strike,Maturity,Put/Call,Desk,Book,Legal Entity,\
Counterparty,Portfolio,Client,Account,Trader
16-Mar-20,1001,Stock,037833100,AAPL,"1,500",B,USD,,,,EQ,EQ-1,Bank NY,Dealer A,Growth,House,H1,joe
16-Mar-20,1002,Option,037833100,AAPL,"2,500.5",S,USD,62.5,19-Jun-20,P,EQ,OP-2,Bank NY,Dealer A,Growth,House,H1,ann
"""  # fmt: skip
# tabs, trailing minus, dates 20200316, lower case
TABS = (
    b"cob\tdeal\ttype\tsymbol\tqty\tccy\tstrike\texpiration\tcp\tportfolio\tclient\taccount\tdesk\tbook\tentity\tcpty\n"
    b"20200316\t1001\tequity\tAAPL\t1500\tUSD\t\t\t\tP\tC\tA\tD\tB\tLE\tCP\n"
    b"20200316\t1002\toption\tAAPL\t2500.5-\tUSD\t62.5\t20200619\tp\tP\tC\tA\tD\tB\tLE\tCP\n"
)
# bars, parentheses, few columns, the day in the title
BARS = b"""Position report as of 16-Mar-2020
printed by ops

Deal No|Product|Security|Position|Currency|Strike Price|Expiry Date|Call/Put|Desk|Book|Counterparty
1001|Equity|AAPL|1,500|USD||||D|B|CP
1002|Option|AAPL|(2,500.50)|USD|62.50|06/19/2020|PUT|D|B|CP
"""
# apostrophes between thousands, long and short, two dates whose day and month can be told
SWISS = b"""Date;Reference;Instrument Type;Ticker;Units;Direction;Currency;Strike;Expiry;Option Type;Portfolio;Client;\
Account;Desk;Book;Legal Entity;Counterparty
16/03/2020;1001;Shares;AAPL;1'500;Long;USD;;;;P;C;A;D;B;LE;CP
16/03/2020;1002;Equity Option;AAPL;2'500.5;Short;USD;62.5;19/06/2020;Put;P;C;A;D;B;LE;CP
"""  # fmt: skip
TITLES = [
    "Trade Ref",
    "Type",
    "As Of",
    "Ticker",
    "Quantity",
    "Ccy",
    "Strike",
    "Expiry",
    "Put/Call",
    "Desk",
    "Book",
    "Entity",
    "Cpty",
]


def workbook() -> bytes:
    """Excel with titles, an empty column before the table, real numbers and dates."""
    sink = io.BytesIO()
    book = xlsxwriter.Workbook(sink)
    page, day = book.add_worksheet("Positions"), book.add_format({"num_format": "dd/mm/yyyy"})
    page.write(0, 1, "Positions of the bank")
    page.write(1, 1, "confidential")
    page.write_row(3, 1, TITLES)
    page.write_row(4, 1, ["1001", "Equity", None, "AAPL", 1500, "USD", None, None, None, "D", "B", "LE", "CP"])
    page.write_row(5, 1, ["1002", "Option", None, "AAPL", -2500.5, "USD", 62.5, None, "P", "D", "B", "LE", "CP"])
    for row in (4, 5):
        page.write_datetime(row, 3, dt.datetime(2020, 3, 16), day)
    page.write_datetime(5, 8, dt.datetime(2020, 6, 19), day)
    book.close()
    return sink.getvalue()


def parquet() -> bytes:
    """Parquet with types, and headers with units in brackets."""
    sink = io.BytesIO()
    columns = {
        "TradeId": ["1001", "1002"], "product_type": ["stock", "option"], "AsOf": [dt.date(2020, 3, 16)] * 2, "ticker": ["AAPL"] * 2,
        "Quantity (units)": [1500.0, -2500.5], "ccy": ["USD"] * 2, "strike": [None, 62.5], "expiry": [None, dt.date(2020, 6, 19)],
        "put_call": [None, "Put"], "desk": ["D"] * 2, "book": ["B"] * 2, "counterparty": ["CP"] * 2,
    }  # fmt: skip
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


SAME = {
    "german.csv": GERMAN,
    "american.csv": AMERICAN,
    "tabs.txt": TABS,
    "bars.csv": BARS,
    "swiss.csv": SWISS,
    "titles.xlsx": workbook(),
    "typed.parquet": parquet(),
    "utf16.csv": AMERICAN.decode().encode("utf-16"),
}
RATES = b"""Trade Ref,Type,As Of,Notional,Pay/Receive,Fixed Rate,Start Date,Maturity Date,Curve,Currency,Fixed Frequency,\
Float Frequency,Fixed Day Count,Float Day Count,Coupon,Issue Date,Frequency,Desk
R1,IRS,03/04/2020,"10,000,000",Pay,1.25%,01/15/2020,01/15/2025,USD,USD,Semi-Annual,Quarterly,30/360,ACT/360,,,,Rates
R2,Govt Bond,03/04/2020,"(5,000,000)",,,,02/15/2030,USD,USD,,,,,1.500,02/15/2020,Semi-Annual,Rates
"""  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def written(tmp_path: Path, name: str, content: bytes) -> Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


def book(lake: Lake, path: Path, guess: Suggestion) -> dict[str, dict[str, Any]]:
    """The trades of the file in the lake, loaded by the suggestion as it is written, each with its terms."""
    toml = path.with_suffix(".toml")
    toml.write_text(guess.toml(), encoding="utf-8")
    with Committer(lake, "test") as committer:
        report = ingest_positions(committer, path, mapping=load_mapping(toml))
    assert report.rejected == 0, report.rejections.to_pylist()
    terms = {c["contract_id"]: json.loads(c["terms"]) for c in lake.read("contracts").to_pylist()}
    return {r["trade"]: {**r, **terms[r["contract_id"]]} for r in lake.read("positions").to_pylist()}


@pytest.mark.parametrize("name", SAME)
def test_eight_exports_of_one_book(lake: Lake, tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, SAME[name])
    guess = suggest_positions(path)
    assert guess.faults == []
    assert [row["trade"] for row in guess.rows] == ["1001", "1002"]
    found = book(lake, path, guess)
    share, option = found["1001"], found["1002"]
    assert {r["positions_date"] for r in found.values()} == {dt.date(2020, 3, 16)}
    assert (share["instrument_type"], share["quantity"]) == ("cash_equity", 1500.0)
    assert (option["instrument_type"], option["quantity"]) == ("equity_option", -2500.5)
    assert {"underlying": "EQ:AAPL", "volatility": "IV:AAPL", "strike": 62.5, "expiry": "2020-06-19", "option_type": "put",
            "discount_curve": "USD", "currency": "USD"}.items() <= option.items()  # fmt: skip
    assert share["underlying"] == "EQ:AAPL"


def test_rates_in_percent_swaps_and_bonds(lake: Lake, tmp_path: Path) -> None:
    path = written(tmp_path, "rates.csv", RATES)
    guess = suggest_positions(path)
    assert "'Coupon' is read in percent, since it reaches 1.5." in guess.doubts
    found = book(lake, path, guess)
    assert found["R1"].items() >= {
        "quantity": 1e7, "fixed_rate": 0.0125, "pay_fixed": True, "start": "2020-01-15", "maturity": "2025-01-15",
        "fixed_frequency": 2, "float_frequency": 4, "fixed_day_count": "Thirty360", "float_day_count": "Actual360",
    }.items()  # fmt: skip
    assert (
        found["R2"].items()
        >= {"quantity": -50_000.0, "coupon": 0.015, "frequency": 2, "issue_date": "2020-02-15"}.items()
    )
    assert {r["desk"] for r in found.values()} == {"Rates"}
    assert any("counted in 100 of face: divided by a hundred" in d for d in guess.doubts)
    counted = suggest_positions(written(tmp_path, "qty.csv", RATES.replace(b"Notional", b"Quantity")))
    assert any("If 'Quantity' is their face amount" in d for d in counted.doubts)
    assert any("recognised as portfolio: every row gets 'unassigned'" in d for d in guess.doubts)


@pytest.mark.parametrize(
    ("old", "new", "doubt"),
    [
        (b"16/03/2020", b"03/04/2020", None),  # the other dates tell
        (b"19/06/2020", b"", "all of them could be %m/%d/%Y: which of day and month comes first?"),
        (b"Shares", b"Certificate", "'Certificate' in 'Instrument Type' is no instrument_type that is known here"),
        (b"2'500.5", b"about 5", "1 of 3 different numbers are none by these marks, first 'about 5' in 'Units'"),
        (b";Book;", b";Colour;", "The column 'Colour' was not recognised and is left out."),
        (b";Book;", b";Colour;", "No column was recognised as book: every row gets 'unassigned'"),
        (b"Currency", b"Money", "Rows of cash_equity need currency ("),
        (b"Reference", b"Nothing", "No column was recognised as trade, which every row needs"),
        (b"Expiry", b"Whenever", "Rows of equity_option need expiry (date of exercise)"),
        (b"1'500", b"-1'500", "'Units' has signs of its own, so that 'Direction' is left out"),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_said(tmp_path: Path, old: bytes, new: bytes, doubt: str | None) -> None:
    content = SWISS.replace(old, new)
    if doubt and "%m" in doubt:
        content = content.replace(b"16/03/2020", b"05/03/2020")
    guess = suggest_positions(written(tmp_path, "swiss.csv", content))
    said = "\n".join(guess.doubts)
    assert (doubt or "") in said
    assert doubt is not None or "which of day and month" not in said
    assert all(line in guess.toml() for line in guess.doubts)


def test_marks_that_cannot_be_told_are_a_doubt(tmp_path: Path) -> None:
    text = b"Trade ID;Type;Ticker;Quantity;Ccy\n1;Equity;AAPL;1,500;USD\n"
    (doubt, *_) = suggest_positions(written(tmp_path, "x.csv", text)).doubts
    assert doubt.startswith("'1,500' is read as 1500; it could be 1.500.")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no file"):
        suggest_positions(tmp_path / "absent.csv")
    with pytest.raises(BadInput, match="no line with several cells"):
        suggest_positions(written(tmp_path, "x.csv", b"only\none\ncolumn\n"))


def test_a_giant_cell_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="field larger than"):
        suggest_positions(written(tmp_path, "x.csv", b"a," + b"b" * 200_000 + b"\n1,2\n"))


PNL = {
    "german.csv": "Ergebnis;;\n;;\n"
    "Datum;Handelstisch;P&L (TEUR);Kommentar\n16.03.2020;Aktien;-1.250,5;ä\n17.03.2020;Aktien;30,0;\n".encode("cp1252"),
    "plain.csv": b"COB,Desk,Daily P&L,Ccy\n03/16/2020,Aktien,\"(1,250,500.00)\",EUR\n03/17/2020,Aktien,\"30,000.00\",EUR\n",
    "tabs.txt": b"day\tdesk\tpnl\tcurrency\ttype\n16-Mar-20\tAktien\t1250500-\tEUR\tActual\n17-Mar-20\tAktien\t30000\tEUR\tActual\n",
}  # fmt: skip


@pytest.mark.parametrize("name", PNL)
def test_pnl_files(lake: Lake, tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, PNL[name])
    guess = suggest_pnl(path)
    assert guess.faults == []
    toml = path.with_suffix(".toml")
    toml.write_text(guess.toml(), encoding="utf-8")
    with Committer(lake, "test") as committer:
        report = ingest_pnl(committer, path, mapping=load_mapping(toml))
    assert report.mapping == guess.mapping.digest()
    rows = lake.read("actual_pnl").sort_by("pnl_date").to_pylist()
    assert [(str(r["pnl_date"]), r["desk"], r["pnl"], r["currency"], r["kind"]) for r in rows] == [
        ("2020-03-16", "Aktien", -1250500.0, "EUR", "actual"),
        ("2020-03-17", "Aktien", 30000.0, "EUR", "actual"),
    ]


def test_days_as_they_are_always_understood_are_no_doubt(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("positions_date,trade,type,ticker,quantity,currency\n2022-06-15,1,Equity,AAPL,5,USD\n")
    assert not [d for d in suggest_positions(path).doubts if "Dates are read" in d]
    path.write_text("positions_date,trade,type,ticker,quantity,currency\n05.06.2022,1,Equity,AAPL,5,USD\n")
    assert suggest_positions(path).mapping.date_format == "%d.%m.%Y"


def test_german_headers_of_product_and_department(tmp_path: Path) -> None:
    path = tmp_path / "bestand.csv"
    path.write_text("Stichtag;Nr;Produkt;Symbol;Menge;Währung;Abteilung\n15.06.2022;1;Aktie;AAPL;5;EUR;Aktien\n")
    columns = suggest_positions(path).mapping.columns
    assert (columns["instrument_type"].from_, columns["desk"].from_) == ("Produkt", "Abteilung")


def test_of_an_archive_the_largest_file_is_read_and_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("read me.txt", "of the bank")
        archive.writestr("book.csv", SWISS)
    guess = suggest_positions(tmp_path / "export.zip")
    assert guess.mapping.dialect.member == "book.csv"
    assert guess.doubts[0] == "Of the files read me.txt, book.csv the largest is read, 'book.csv'."
    assert [row["quantity"] for row in guess.rows] == ["1500", "-2500.5"]
