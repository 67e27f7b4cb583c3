"""Mappings: a bank's own columns, marks, dates, units and sides become positions, and faults are told of its own cells."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.committer import Committer, DryRun
from lake.errors import BadInput
from lake.landing.mapping import FileMapping, iso_date, load_mapping, plain_number
from lake.landing.positions import PositionsReport
from lake.landing.positions_changes import trade_changes
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from valuation.books.positions import ingest_positions

BOOK = """Export of 16.03.2020
user: mb

Geschäft;B/S;Stück;Papier;Art;Währung;Basis;Zins;Fällig;Kommentar
A1;K;1.500,5;AAPL;put;USD;62,5;;19.06.20;alt
A2;V;2.000;AAPL;put;USD;65,0;;19.06.20;
"""
MAPPING = """
date_format = "%d.%m.%y"
ignored = ["Kommentar", "Zins"]

[dialect]
delimiter = ";"
decimal = ","
thousands = "."
encoding = "latin-1"
skip_rows = 3

[columns]
trade = "Geschäft"
quantity = { from = "Stück", side = { from = "B/S", buy = ["K"], sell = ["V"] } }
instrument = "Papier"
underlying = { from = "Papier", prefix = "EQ:" }
volatility = { from = "Papier", prefix = "IV:" }
instrument_type = { from = "Art", values = { put = "equity_option", call = "equity_option" } }
option_type = "Art"
currency = "Währung"
discount_curve = { from = "Währung" }
strike = "Basis"
expiry = "Fällig"
positions_date = { constant = "2020-03-16" }
""" + "".join(
    f'{d} = {{ constant = "{d} 1" }}\n' for d in DIMENSION_COLUMNS if d not in ("trade", "instrument")
)  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def mapping(tmp_path: Path, text: str = MAPPING, *pairs: str) -> FileMapping:
    path = tmp_path / "bank.toml"
    path.write_text(text, encoding="utf-8")
    found = load_mapping(path, pairs)
    assert found is not None
    return found


def load(lake: Lake, text: str, by: FileMapping, name: str = "book.csv", **options: Any) -> PositionsReport:
    path = lake.path.parent / name
    path.write_text(text, encoding=by.dialect.encoding or "utf-8", newline="")
    with Committer(lake, "test") as committer:
        return ingest_positions(committer, path, mapping=by, **options)


def held(lake: Lake) -> dict[str, dict[str, Any]]:
    return {r["trade"]: r for r in lake.read("positions").to_pylist(maps_as_pydicts="strict")}


def faults(report: PositionsReport) -> list[tuple[int, str, str | None]]:
    return [(r["row"], r["column"], r["value"]) for r in report.rejections.to_pylist()]


def test_a_banks_own_file_becomes_positions(lake: Lake, tmp_path: Path) -> None:
    by = mapping(tmp_path)
    report = load(lake, BOOK, by)
    assert (report.read, report.loaded, report.rejections.num_rows) == (2, 2, 0)
    assert {t: r["quantity"] for t, r in held(lake).items()} == {"A1": 1500.5, "A2": -2000.0}
    assert held(lake)["A1"]["desk"] == "desk 1"
    terms = sorted((json.loads(c["terms"]) for c in lake.read("contracts").to_pylist()), key=lambda t: t["strike"])
    assert [t["strike"] for t in terms] == [62.5, 65.0]
    assert {(t["underlying"], t["volatility"], t["expiry"], t["option_type"]) for t in terms} == {
        ("EQ:AAPL", "IV:AAPL", "2020-06-19", "put")
    }
    assert report.mapping == by.digest()
    (change,) = trade_changes(lake, ["A1"]).changes
    assert (change.file, change.mapping, change.action) == ("book.csv", by.digest(), "new")
    assert load(lake, BOOK, by).dates[0].unchanged == 2


def test_faults_name_the_files_own_column_cell_and_line(lake: Lake, tmp_path: Path) -> None:
    rows = [
        "A3;X;1;AAPL;put;USD;62,5;;19.06.20;",
        "A4;K;-1;AAPL;put;USD;62,5;;19.06.20;",
        "A5;K;1.00;AAPL;put;USD;62,5;;19.06.20;",
        "A6;K;1;AAPL;Put;USD;62.5;;31.06.20;",
        "A7;K;1;AAPL;put;USD",
        "A8;;;AAPL;put;USD;-1;;19.06.20;",
    ]
    report = load(lake, BOOK + "\n".join(rows), mapping(tmp_path))
    assert (report.read, report.loaded, report.rejected) == (8, 2, 6)
    assert faults(report) == [
        (7, "B/S", "X"),
        (8, "Stück", "-1"),
        (9, "Stück", "1.00"),
        (10, "Basis", "62.5"),
        (10, "Fällig", "31.06.20"),
        (10, "Art", "Put"),
        (11, "", "A7;K;1;AAPL;put;USD"),
        (12, "B/S", None),
        (12, "Stück", None),
        (12, "Basis", "-1"),
    ]


def test_the_rejects_mended_load_by_the_same_mapping(lake: Lake, tmp_path: Path) -> None:
    by = mapping(tmp_path)
    report = load(lake, BOOK + "Ä3;K;eins;AAPL;put;USD;62,5;;19.06.20;naïf\n", by)
    assert report.rejects is not None
    rejects = Path(report.rejects)
    assert rejects.parent == lake.state / "rejects"
    text = rejects.read_text(encoding="latin-1")
    rows = list(csv.DictReader(text.splitlines()[3:], delimiter=";"))
    assert [(r["reject.row"], r["Geschäft"], r["Stück"], r["Kommentar"]) for r in rows] == [("7", "Ä3", "eins", "naïf")]
    again = load(lake, text.replace('"eins"', '"1.000,25"'), by, "mended.csv")
    assert (again.read, again.loaded) == (1, 1)
    assert held(lake)["Ä3"]["quantity"] == 1000.25


@pytest.mark.parametrize("quote", ["'", ""])
def test_rejects_have_the_quotes_of_their_file(lake: Lake, tmp_path: Path, quote: str) -> None:
    by = mapping(tmp_path, MAPPING.replace("[dialect]", f'[dialect]\nquote = "{quote}"'))
    odd = f'{quote}12" tape; old{quote}' if quote else '12" tape'
    report = load(lake, BOOK + f"A3;K;eins;AAPL;put;USD;62,5;;19.06.20;{odd}\n", by)
    text = Path(str(report.rejects)).read_text(encoding="latin-1")
    assert '12" tape' in text
    assert load(lake, text.replace("eins", "1"), by, "mended.csv").loaded == 1


def test_a_removal_needs_no_side_and_no_amount(lake: Lake, tmp_path: Path) -> None:
    load(lake, BOOK, mapping(tmp_path))
    changes = BOOK[: BOOK.index("A1;")].replace("Kommentar", "action") + "A1;;;;;;;;;remove\nA2;;;;;;;;;amend\n"
    report = load(lake, changes, mapping(tmp_path, MAPPING.replace('"Kommentar", ', "")))
    assert (set(held(lake)), report.loaded, report.rejected) == ({"A2"}, 1, 1)
    assert (8, "Stück", None) not in faults(report)
    assert (6, "Stück", None) in faults(report)


def test_two_columns_are_never_taken_for_one(lake: Lake, tmp_path: Path) -> None:
    text = BOOK.replace("Zins;Fällig;Kommentar", "Zins;Zins;Zins (2)")
    with pytest.raises(BadInput, match=r"Two columns of the file are called 'Zins \(2\)'"):
        load(lake, text, mapping(tmp_path))


def test_a_dry_run_keeps_no_rejects(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(BOOK.replace("1.500,5", "viel"), encoding="latin-1")
    report = ingest_positions(DryRun(lake), path, mapping=mapping(tmp_path))
    assert report.rejected == 1
    assert report.rejects is None
    assert not (lake.state / "rejects").exists()


def test_all_faults_of_the_columns_at_once(lake: Lake, tmp_path: Path) -> None:
    by = mapping(tmp_path, MAPPING.replace('"Papier", prefix', '"Papir", prefix').replace('"Zins"', '"Zinns"'))
    with pytest.raises(BadInput, match=r"Papir.*Zinns.*Nearest valid: Zins.*'Zins'") as told:
        load(lake, BOOK, by)
    assert {i.pointer for i in told.value.issues} == {"Papir", "Zinns", "Zins"}
    assert "Papier" in told.value.issues[0].allowed
    with pytest.raises(BadInput, match="Column 'trade' of the file is not used"):
        load(lake, BOOK.replace("Kommentar", "trade"), mapping(tmp_path, MAPPING.replace('"Kommentar", ', "")))


def test_units_and_columns_of_some_types_only(lake: Lake, tmp_path: Path) -> None:
    row = "{trade};{kind};AAPL;1,5;USD;70,5;19.06.20"
    text = "T;Kind;Papier;Q;W;Strike;Verfall\n" + "\n".join(
        row.format(trade=t, kind=k) for t, k in (("S", "cash_equity"), ("F", "equity_forward"))
    )
    head = (
        MAPPING[: MAPPING.index("[columns]")]
        .replace("skip_rows = 3", "")
        .replace('ignored = ["Kommentar", "Zins"]', "")
    )
    dimensions = MAPPING[MAPPING.index("positions_date = {") :]
    columns = """[columns]
trade = "T"
instrument_type = "Kind"
instrument = "Papier"
currency = "W"
underlying = { from = "Papier", prefix = "EQ:" }
quantity = { from = "Q", unit = "thousands", unit_for = { equity_forward = "0.01" } }
strike = { from = "Strike", only_for = ["equity_forward"] }
maturity = { from = "Verfall", only_for = ["equity_forward"] }
discount_curve = { constant = "USD", only_for = ["equity_forward"] }
"""
    report = load(lake, text, mapping(tmp_path, head + columns + dimensions))
    assert report.rejections.to_pylist() == []
    assert {t: r["quantity"] for t, r in held(lake).items()} == {"S": 1500.0, "F": 0.015}
    with pytest.raises(BadInput, match="strike differs by instrument_type, a column that there is not"):
        load(lake, text, mapping(tmp_path, (head + columns + dimensions).replace('instrument_type = "Kind"', "")))


def test_pairs_of_the_command_line_alone(lake: Lake) -> None:
    by = load_mapping(None, ["Trade ID=trade", "a=b=client"])
    assert by is not None
    constant = {d: f"{d} 1" for d in DIMENSION_COLUMNS if d not in ("trade", "client")}
    row = {
        "positions_date": "2020-03-16", "Trade ID": "T1", "a=b": "C", "quantity": "3", **constant,
        "instrument_type": "cash_equity", "currency": "USD", "underlying": "EQ:AAPL",
    }  # fmt: skip
    load(lake, ",".join(row) + "\n" + ",".join(row.values()) + "\n", by)
    assert (held(lake)["T1"]["client"], held(lake)["T1"]["quantity"]) == ("C", 3.0)
    with pytest.raises(BadInput, match="'Trade ID' is no pair"):
        load_mapping(None, ["Trade ID"])
    assert load_mapping(None) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("columns = 3", "columns"),
        ("[columns]\ntrade = {}", "give either from"),
        ('[columns]\ntrade = { from = "A", constant = "B" }', "give either from"),
        ('[columns]\ntrade = { constant = "B", prefix = "x" }', "a constant stands as it is"),
        ('[columns]\nquantity = { from = "A", unit = "percents" }', "Unknown unit 'percents'. Nearest valid: percent"),
        ('[columns]\nquantity = { from = "A", unit = "0" }', "Unknown unit '0'"),
        ('[columns]\nquantity = { from = "A", side = { from = "B", buy = ["B"], sell = ["B"] } }', "both bought and sold"),
        ('date_format = "%d.%m"', "does not say year, month and day"),
        ('date_fromat = "%d.%m"', "nearest date_format"),
        ("trade = ", "cannot be read"),
    ],
)  # fmt: skip
def test_a_mapping_that_is_none_is_refused_in_words(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        mapping(tmp_path, text)
    assert told in refused.value.message
    assert "bank.toml" in refused.value.message


def test_a_mapping_is_named_by_what_it_says(tmp_path: Path) -> None:
    one = mapping(tmp_path, '[columns]\ntrade = "A"\nquantity = "B"')
    assert one.digest() == mapping(tmp_path, '[columns]\nquantity = { from = "B" }\ntrade = { from = "A" }').digest()
    assert one.digest() != mapping(tmp_path, '[columns]\ntrade = "A"\nquantity = "C"').digest()
    assert mapping(tmp_path, '[columns]\ntrade = "A"', "B=quantity").digest() == one.digest()


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "unit", "value"),
    [
        ("1.5%", ".", "", "1", "0.015"),
        ("1.5", ".", "", "0.01", "0.015"),
        ("1,234.50", ".", ",", "1", "1234.50"),
        ("1.234,50", ",", ".", "1", "1234.50"),
        ("1 234,5", ",", " ", "1", "1234.5"),
        ("1\u00a0234\u202f567", ",", " ", "1", "1234567"),
        ("1\u2019234.5", ".", "'", "1", "1234.5"),
        ("(1,000)", ".", ",", "1", "-1000"),
        ("(5%)", ".", ",", "1", "-0.05"),
        ("250-", ".", "", "1", "-250"),
        ("\u22125", ".", "", "1", "-5"),
        ("+5", ".", "", "1", "5"),
        (",5", ",", "", "1", "0.5"),
        ("12.5", ".", "", "1000", "12500"),
        ("1e3", ".", "", "0.0001", "0.1"),
        ("123456789012345678901234567890.1", ".", "", "0.01", "1234567890123456789012345678.901"),
        ("1,23", ".", ",", "1", None),
        ("12,34,567", ".", ",", "1", None),
        ("1,000", ".", "", "1", None),
        ("1.5", ",", "", "1", None),
        ("1.234,5", ",", "", "1", None),
        ("(5", ".", "", "1", None),
        ("-(5)", ".", "", "1", None),
        ("--5", ".", "", "1", None),
        ("5%", ".", "", "0.01", None),
        ("٣", ".", "", "1", None),
        ("nan", ".", "", "1", None),
        ("", ".", "", "1", None),
        (".", ".", "", "1", None),
    ],
)
def test_numbers_as_people_write_them(text: str, decimal: str, thousands: str, unit: str, value: str | None) -> None:
    got = plain_number(text, decimal=decimal, thousands=thousands, factor=Decimal(unit))
    assert (got if value is None else Decimal(got or "nan")) == (value if value is None else Decimal(value))


@given(
    st.decimals(min_value=-(10**15), max_value=10**15, allow_nan=False, allow_infinity=False, places=6),
    st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (".", "")]),
)
def test_what_python_writes_is_read_back(value: Decimal, marks: tuple[str, str]) -> None:
    decimal, thousands = marks
    text = f"{value:,.6f}".translate({ord(","): thousands, ord("."): decimal})
    assert Decimal(plain_number(text, decimal=decimal, thousands=thousands) or "nan") == value


@pytest.mark.parametrize(
    ("text", "form", "day"),
    [
        ("16-Mar-20", "%d-%b-%y", "2020-03-16"),
        ("03/16/2020", "%m/%d/%Y", "2020-03-16"),
        ("16/03/2020", "%m/%d/%Y", None),
        ("20200316", "%Y%m%d", "2020-03-16"),
        ("43906", "excel", "2020-03-16"),  # as Excel shows the day of the number 43906
        ("2020-03-16", "%d.%m.%Y", "2020-03-16"),
        ("30.02.2020", "%d.%m.%Y", None),
        ("soon", "excel", None),
    ],
)
def test_dates_as_people_write_them(text: str, form: str, day: str | None) -> None:
    assert iso_date(text, form) == day
