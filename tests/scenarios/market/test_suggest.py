"""A guessed catalogue is held to files of known meaning: those made here, and those that the shipped catalogues map."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter

from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.tables import Lake
from scenarios.market.landing_catalogue import Catalogue, Source, ingest_market, load_catalogue
from scenarios.market.suggest import MarketSuggestion, loaded, suggest_market

DAYS = [dt.date(2020, 1, 1) + dt.timedelta(i) for i in range(100)]
DAYS = [d for d in DAYS if d.weekday() < 5]


def walk(level: float, n: int = len(DAYS)) -> list[float]:
    return [round(level * (1 + 0.01 * ((7 * i) % 5 - 2)), 4) for i in range(n)]


def guess(path: Path, text: str) -> tuple[MarketSuggestion, Source]:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    made = suggest_market(path)
    (source,) = Catalogue.model_validate(tomllib.loads(made.toml())).source.values()
    return made, source


def table(header: str, *columns: list[Any], sep: str = ",") -> str:
    return "\n".join([header, *(sep.join(map(str, row)) for row in zip(*columns, strict=True))]) + "\n"


def test_what_is_guessed_loads_as_it_is_shown(tmp_path: Path) -> None:
    made, source = guess(tmp_path / "stocks.csv", table("Date,AZN.L,BP.L", DAYS, walk(6000), walk(300)))
    assert (source.layout, source.factor.type, source.factor.currency, source.unit) == (
        "wide",
        "equity_price",
        "GBP",
        "pence",
    )
    assert [d for d in made.doubts if "pence" in d]
    (tmp_path / "own.toml").write_text(made.toml())
    lake = Lake.create(tmp_path / "lake")
    with Committer(lake, "test") as committer:
        ingest_market(committer, tmp_path, load_catalogue(tmp_path / "own.toml"))
    stored = {(r["risk_factor_id"], str(r["as_of_date"])): r for r in lake.read("market_data").to_pylist()}
    assert len(made.rows) == 10
    for shown in made.rows:
        row = stored[str(shown["risk_factor_id"]), str(shown["as_of_date"])]
        assert shown["value_received"] == f"{row['value_received']:g}"
        assert float(str(shown["value_used"])) == pytest.approx(row["value_used"], rel=1e-12)


def test_a_title_with_the_delimiter_in_it_is_no_header(tmp_path: Path) -> None:
    days = [d.strftime("%d.%m.%Y") for d in DAYS]
    prices = [f"{p:,.2f}".translate(str.maketrans(",.", ".,")) for p in walk(1500)]
    made, source = guess(tmp_path / "acme.csv", "Kurse ACME; Bank\n" + table("Datum;Letzter", days, prices, sep=";"))
    assert (source.layout, source.skip_rows, source.decimal, source.missing) == ("series", 1, ",", ())
    assert made.rows[0]["value_used"] == "1470"


def test_row_numbers_without_a_header_and_ids_with_spaces(tmp_path: Path) -> None:
    made, source = guess(tmp_path / "shares.csv", table(",Date,Close", range(len(DAYS)), DAYS, walk(60)))
    assert (source.columns, made.faults) == ({"Close": {}}, [])
    assert (made.rows[0]["risk_factor_id"], made.rows[0]["value_used"]) == ("EQ:SHARES", "58.8")
    days = [d for d in DAYS for _ in range(2)]
    made, _ = guess(
        tmp_path / "long.csv",
        table("Ticker,Date,PX_LAST", ["AAPL US", "VOD LN"] * len(DAYS), days, walk(60, len(days))),
    )
    assert (made.faults, [r["risk_factor_id"] for r in made.rows[:2]]) == ([], ["EQ:AAPL_US", "EQ:VOD_LN"])


def test_numbers_that_are_not_read_are_shown(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'US 10Y' has '1\.5 pc'"):
        guess(tmp_path / "yields.csv", table("Date,US 10Y", DAYS, ["1.5 pc"] * len(DAYS)))


@pytest.mark.parametrize("header", ["Date,US 10Y", "Date,US 10Y %"])
def test_percent_signs_are_read_once(tmp_path: Path, header: str) -> None:
    made, _ = guess(tmp_path / "yields.csv", table(header, DAYS, [f"{v / 50:.2f}%" for v in walk(60)]))
    assert float(made.rows[0]["value_used"]) == pytest.approx(walk(60)[0] / 5000, abs=5e-5)


def test_every_source_of_a_folder_is_shown(tmp_path: Path) -> None:
    for name in ("oil", "gold", "silver"):
        (tmp_path / f"{name}.csv").write_text(table(f"Date,{name}", DAYS, walk(60)))
    shown = [row["risk_factor_id"] for row in suggest_market(tmp_path).rows]
    assert shown == [f"CMD:{name}" for name in ("GOLD", "OIL", "SILVER") for _ in range(3)]


def test_a_workbook_with_a_cover_sheet_and_titles(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(tmp_path / "closes.xlsx")
    book.add_worksheet("Cover").write(0, 0, "Bank")
    page = book.add_worksheet("Prices")
    page.write(1, 0, "Closing prices")
    for at, row in enumerate([("Date", "AAPL", "MSFT"), *zip(map(str, DAYS), walk(60), walk(150), strict=True)]):
        page.write_row(3 + at, 0, row)
    book.close()
    made = suggest_market(tmp_path / "closes.xlsx")
    (source,) = Catalogue.model_validate(tomllib.loads(made.toml())).source.values()
    assert (source.layout, source.sheet, source.skip_rows) == ("wide", "Prices", 3)
    assert [r["value_used"] for r in made.rows[:2]] == ["58.8", "147"]
    assert any("Of the sheets Cover, Prices the largest is read, 'Prices'." in doubt for doubt in made.doubts)


def test_a_fault_of_a_suggested_file_is_told_itself(tmp_path: Path) -> None:
    made, _ = guess(tmp_path / "stocks.csv", table("Date,AAPL", [*DAYS, DAYS[-1]], [*walk(60), 77.5]))
    (fault,) = made.faults
    assert (fault["value"], str(DAYS[-1]) in fault["reason"]) == ("77.5", True)


def test_days_and_months_are_told_apart_by_their_order_and_said_where_nothing_tells(tmp_path: Path) -> None:
    for form in ("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y"):
        made, source = guess(tmp_path / "a.csv", table("Day,X", [f"{d:{form}}" for d in DAYS], walk(50)))
        assert source.date_format == form
        assert not [d for d in made.doubts if "could be" in d]
    days = ["03/04/20", "04/04/20", "05/04/20"]  # April by their order, the first weeks of a month each
    made, source = guess(tmp_path / "a.csv", table("Day,X", days, walk(50, 3)))
    assert source.date_format == "%d/%m/%y"
    assert "a: 03/04/20 is read as 3 April 2020, and could be 4 March 2020." in made.doubts


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "kurse.csv",
            table("Datum;DAX", [f"{d:%d.%m.%Y}" for d in DAYS], [f"{v:.2f}".replace(".", ",") for v in walk(13000)], sep=";"),
            {"layout": "series", "delimiter": ";", "decimal": ",", "date_format": "%d.%m.%Y"},
        ),
        (
            "curve.csv",
            "Interest rates,,(Unit : %)\n" + table("Date,3M,10Y,30Y", DAYS, walk(1.5), ["-", *walk(2.5)[1:]], walk(3)),
            {"layout": "curve", "skip_rows": 1, "unit": "percent", "missing": ("-",)},
        ),
        (
            "stocks_long.csv",
            table("date,ticker,close", DAYS + DAYS, ["A"] * len(DAYS) + ["B"] * len(DAYS), walk(10) + walk(20)),
            {"layout": "long", "by": {"id": "ticker"}},
        ),
        (
            "A.csv",
            table("Date,Open,High,Low,Close,Adj Close,Volume", DAYS, walk(9), walk(12), walk(8), walk(10), walk(7), walk(1e6)),
            {"layout": "ohlc", "take": "Adj Close"},
        ),
        ("eurofx.csv", table("Date,USD,JPY,GBP", DAYS, walk(1.1), walk(120), walk(0.85)), {"layout": "wide", "date_format": "%Y-%m-%d"}),
        ("implied_vol.csv", table("Date,AAPL,KO,PG,XOM", DAYS, *[walk(0.3)] * 4), {"layout": "wide", "unit": None}),
        ("vix.csv", table("DATE,VIX", DAYS, walk(20)), {"layout": "series", "unit": "volatility points"}),
        ("oas_spread.csv", table("DATE\tX", DAYS, walk(350), sep="\t"), {"unit": "basis points", "delimiter": "\t"}),
    ],
)  # fmt: skip
def test_layouts_marks_and_units(tmp_path: Path, name: str, text: str, expected: dict[str, Any]) -> None:
    made, source = guess(tmp_path / name, text)
    assert {k: getattr(source, k) for k in expected} == expected
    assert len(made.rows) == 10
    assert made.faults == []


def test_a_text_among_numbers_is_taken_for_no_value_and_doubted(tmp_path: Path) -> None:
    made, source = guess(tmp_path / "dax.csv", table("Date,DAX", DAYS, ["n/v", *walk(10)[1:]]))
    assert source.missing == ("n/v",)
    assert "dax: n/v in the column DAX is taken to mean: no value." in made.doubts


def test_a_fraction_or_percent_is_a_doubt(tmp_path: Path) -> None:
    made, source = guess(tmp_path / "yields.csv", table("Date,3M,1Y,10Y", DAYS, walk(0.1), walk(0.12), walk(0.15)))
    assert source.unit is None
    assert [d for d in made.doubts if "taken as a fraction, and could be percent" in d]
    made, source = guess(tmp_path / "yields.csv", table("Date,3M,1Y,10Y", DAYS, walk(1), walk(1.2), walk(1.5)))
    assert source.unit == "percent"
    assert [d for d in made.doubts if "A typical value is 1.2: taken as percent (0.012)." in d]


def test_files_of_a_folder_become_sources_and_those_alike_become_one(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, level in (("AAA", 10), ("BBB", 20)):
        text = table("Date,Open,High,Low,Close", DAYS, walk(level), walk(level * 2), walk(level / 2), walk(level))
        (folder / f"{name}.csv").write_text(text)
    (folder / "vix.txt").write_text(table("DATE,VIX", [*DAYS, dt.date(2020, 5, 30)], [*walk(20), 21]))
    (folder / "notes.txt").write_text("nothing\n")
    (folder / "empty.xlsx").write_bytes(b"")
    made = suggest_market(folder)
    sources = Catalogue.model_validate(tomllib.loads(made.toml())).source
    assert {s.file: s.factor.id for s in sources.values()} == {"*.csv": "EQ:{file}", "vix.txt": "IV:VIX"}
    assert [d for d in made.doubts if d.startswith("vix: Dropped as dated Saturday or Sunday: 1 row;")]
    assert {f["column"] for f in made.faults} == {"notes.txt", "empty.xlsx"}


def test_what_nothing_can_be_guessed_of(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no file or folder"):
        suggest_market(tmp_path / "none.csv")
    with pytest.raises(BadInput, match="holds no file"):
        suggest_market(tmp_path)
    for text, match in [
        ("hello\nworld\n", "no line with several cells"),
        ("a,b\n1,2\n3,4\n", "no column of dates"),
        ("Date,b\n2020-01-02,x\n2020-01-03,y\n", "no column of numbers beside 'Date'"),
        ("Date,b\n", "no rows below its header"),
    ]:
        (tmp_path / "f.csv").write_text(text)
        with pytest.raises(BadInput, match=match):
            suggest_market(tmp_path / "f.csv")
    for name in ("f.zip", "f.csv.gz", "f.xlsx", "f.parquet", "f.rda"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(BadInput, match=f"Nothing of .*{name} can be read as market data"):
            suggest_market(tmp_path / name)


# a file of each folder and kind; all of them take minutes
SAMPLED = [
    ("marketdata", "us_stocks"), ("marketdata", "sp500"), ("marketdata", "uk_stocks"), ("marketdata", "us_stock_vols"),
    ("marketdata", "vix"),
    ("marketdata", "usd_curve"), ("marketdata", "jpy_curve"), ("marketdata", "ecb_fx"), ("marketdata", "wti"),
    ("marketdata", "natural_gas"), ("marketdata", "metals"), ("marketdata", "us_high_yield"), ("fred", "fred_treasuries"),
    ("fred", "us_bbb_yield"), ("fred", "moodys_aaa"), ("fred", "fred_vols"), ("fred", "fred_us_indices"), ("fred", "fred_gold"),
    ("marketdata_more", "yahoo_indices"), ("marketdata_more", "arch_indices"), ("marketdata_more", "sp500_from_1975"),
    ("marketdata_more", "eur_curve"), ("us_stocks_148", "us_stocks_148"), ("qrmdata", "qrm_fx"), ("qrmdata", "qrm_indices"),
]  # fmt: skip
# a Saturday of Japan that was a business day; a currency before its new unit; the day that was no close: files do not tell
NOT_TOLD = {"jpy_curve", "ecb_fx", "us_stocks_148"}


@pytest.mark.marketdata
@pytest.mark.slow
def test_guesses_agree_with_the_catalogues_that_are_shipped(market_data_dir: Path) -> None:
    other_type, other_values = set(), set()
    for catalogue, name in SAMPLED:
        source = load_catalogue(catalogue).source[name]
        file, path = next(iter(source.files(market_data_dir).items()))
        (guessed,) = Catalogue.model_validate(suggest_market(path).catalogue).source.values()
        if guessed.factor.type != source.factor.type:
            other_type.add(name)
        want, got = (loaded(n, s, path, f) for n, s, f in ((name, source, file), ("guess", guessed, "")))
        series = [
            {
                tuple(zip(rows["as_of_date"].to_pylist(), rows["value_used"].to_pylist(), strict=True))
                for rows in by_factor(table)
            }
            for table in (want, got)
        ]
        if not series[0] <= series[1]:
            other_values.add(name)
    assert other_type == set()
    assert other_values == NOT_TOLD


def by_factor(table: Any) -> list[Any]:
    ids = table["risk_factor_id"].to_numpy()
    return [table.filter(ids == i) for i in np.unique(ids)]
