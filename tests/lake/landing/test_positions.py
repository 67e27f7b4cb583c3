"""Positions in: what loads, what is rejected and why, and what a second file changes."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import factor, put_market

from lake.cleaning import removable, remove_files
from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.landing.positions import PositionsReport
from lake.landing.positions_changes import trade_changes
from lake.schemas import DIMENSION_COLUMNS
from lake.tables import Lake
from valuation.books.contracts import positions_dates
from valuation.books.positions import ingest_positions
from valuation.books.trade_history import _lost, trade_history
from valuation.catalogue import all_term_fields

DAY = "2020-03-16"
DIMENSIONS = {d: f"{d} 1" for d in DIMENSION_COLUMNS if d != "trade"}
SHARE = {"instrument_type": "cash_equity", "currency": "USD", "underlying": "EQ:AAPL"}
SWAP = {
    "instrument_type": "interest_rate_swap", "currency": "USD", "pay_fixed": "true", "fixed_rate": "0.015",
    "start": "2020-01-15", "maturity": "2025-01-15", "fixed_frequency": "2", "float_frequency": "4",
    "fixed_day_count": "Thirty360", "float_day_count": "Actual360", "discount_curve": "USD",
    "fixings": '{"2020-01-15": 0.0155}',
}  # fmt: skip
OPTION = {
    "instrument_type": "equity_option", "currency": "USD", "underlying": "EQ:AAPL", "volatility": "IV:AAPL",
    "strike": "62.5", "expiry": "2020-06-19", "option_type": "put", "discount_curve": "USD",
}  # fmt: skip
Row = dict[str, Any]


def position(
    trade: str, quantity: object = "100", day: str = DAY, terms: Mapping[str, Any] = SHARE, **more: Any
) -> Row:
    return {"positions_date": day, "trade": trade, "quantity": quantity, **DIMENSIONS, **terms, **more}


def write_csv(path: Path, rows: Sequence[Row]) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def ingest(lake: Lake, path: Path, **options: Any) -> PositionsReport:
    with Committer(lake, "test") as committer:
        return ingest_positions(committer, path, **options)


def load(lake: Lake, rows: Sequence[Row], name: str = "book.csv", **options: Any) -> PositionsReport:
    return ingest(lake, write_csv(lake.path.parent / name, rows), **options)


def held(lake: Lake, day: str = DAY) -> dict[str, Row]:
    rows = lake.read("positions").to_pylist(maps_as_pydicts="strict")
    return {r["trade"]: r for r in rows if str(r["positions_date"]) == day}


def faults(report: PositionsReport) -> list[tuple[int, str, str | None, str]]:
    return [tuple(r.values()) for r in report.rejections.to_pylist()]  # type: ignore[misc]


def test_every_column_reaches_the_lake(lake: Lake) -> None:
    more = {"attribute.counterparty_rating": "AA", "attribute.sector": ""}
    report = load(lake, [position("T2", "-2.5", terms=SWAP, **more), position("T1", " 1e3 ")])
    assert (report.read, report.loaded, report.rejected, report.new_contracts) == (2, 2, 0, 2)
    assert list(held(lake)) == ["T1", "T2"]
    swap = held(lake)["T2"]
    contract = {c["contract_id"]: c for c in lake.read("contracts").to_pylist()}[swap["contract_id"]]
    assert swap == {
        "positions_date": dt.date(2020, 3, 16), "contract_id": contract["contract_id"], "quantity": -2.5, "trade": "T2",
        **DIMENSIONS, "instrument_type": "interest_rate_swap", "currency": "USD",
        "attributes": {"counterparty_rating": "AA"},
    }  # fmt: skip
    assert '"fixings":{"2020-01-15":0.0155}' in contract["terms"]
    assert contract["instrument_type"] == "interest_rate_swap"
    assert held(lake)["T1"]["quantity"] == 1000.0
    assert held(lake)["T1"]["attributes"] == {}


NUMBER = "expected a finite number"
DATE = "expected a date such as 2020-03-16"


@pytest.mark.parametrize(
    ("changes", "column", "value", "reason"),
    [
        ({"positions_date": ""}, "positions_date", None, "is empty"),
        ({"positions_date": "16/03/2020"}, "positions_date", "16/03/2020", DATE),
        ({"positions_date": "2020-3-16"}, "positions_date", "2020-3-16", DATE),
        ({"positions_date": "2020-02-30"}, "positions_date", "2020-02-30", DATE),
        ({"positions_date": "0202-03-16"}, "positions_date", "0202-03-16", DATE),
        ({"trade": "  "}, "trade", None, "is empty"),
        ({"quantity": ""}, "quantity", None, "is empty"),
        ({"quantity": "many"}, "quantity", "many", NUMBER),
        ({"quantity": "1,000"}, "quantity", "1,000", NUMBER),
        ({"quantity": "nan"}, "quantity", "nan", NUMBER),
        ({"quantity": "-inf"}, "quantity", "-inf", NUMBER),
        ({"quantity": "1e999"}, "quantity", "1e999", NUMBER),
        ({"quantity": "0x10"}, "quantity", "0x10", NUMBER),
        ({"quantity": "1e308"}, "quantity", "1e308", NUMBER),
        ({"quantity": "-10000000000000002"}, "quantity", "-10000000000000002", NUMBER),
        *(({d: ""}, d, None, "is empty") for d in DIMENSIONS),
        ({"instrument_type": ""}, "instrument_type", None, "is empty"),
        ({"instrument_type": "cash_equty"}, "instrument_type", "cash_equty", "Nearest valid: cash_equity"),
        ({"underlying": ""}, "underlying", None, "is missing"),
        ({"currency": "US"}, "currency", "US", "ISO 4217"),
        ({"strike": "12"}, "strike", "12", "cash_equity has no such term"),
        ({**OPTION, "strike": "-5"}, "strike", "-5", "greater than 0"),
        ({**OPTION, "strike": "inf"}, "strike", "inf", "finite"),
        ({**OPTION, "option_type": "cal"}, "option_type", "cal", "'call' or 'put'"),
        ({**OPTION, "expiry": "20200619"}, "expiry", "20200619", "a date is written as"),
        ({**SWAP, "fixings": "{oops"}, "fixings", "{oops", "as JSON"),
        ({**SWAP, "maturity": "2019-01-15"}, "instrument_type", "interest_rate_swap", "must lie before maturity"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_row_column_value_and_reason(
    lake: Lake, changes: Row, column: str, value: str | None, reason: str
) -> None:
    good = {"strike": "", **dict.fromkeys({**OPTION, **SWAP}, ""), **SHARE}
    bad = position("BAD", terms={**good, **({"underlying": ""} if "start" in changes else {}), **changes})
    report = load(lake, [position("T1", terms=good), bad, position("T2", terms=good)])
    assert (report.read, report.loaded, report.rejected) == (3, 2, 1)
    assert set(held(lake)) == {"T1", "T2"}
    ((row, *where, said),) = faults(report)
    assert (row, *where) == (3, column, value)
    assert reason in said


def test_signs_of_a_quantity(lake: Lake) -> None:
    load(lake, [position("T1", "-0"), position("T2", "+100"), position("T3", "-0.0e5")])
    assert {t: str(r["quantity"]) for t, r in held(lake).items()} == {"T1": "0.0", "T2": "100.0", "T3": "0.0"}


def test_a_nan_in_parquet_is_no_empty_cell(lake: Lake, tmp_path: Path) -> None:
    rows = [
        position("T1", 100.0),
        position("T2", float("nan")),
        dict.fromkeys(position("T3")) | {"quantity": float("nan")},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "book.parquet")  # pandas itself would write null for NaN
    report = ingest(lake, tmp_path / "book.parquet")
    assert [f[:3] for f in faults(report)] == [(3, "quantity", "NaN")]  # a row without anything is a blank line
    assert (report.read, list(held(lake))) == (2, ["T1"])


def test_digits_that_a_double_does_not_hold_are_told(lake: Lake, tmp_path: Path) -> None:
    # 2**53 + 1, between two doubles; a third as a database gives it; and a tenth as C and R print it, which loses nothing
    quantities = ["9007199254740993", "33.3333333333333333333333", "0.10000000000000001", "1500.0000000000000000000"]
    rows = [position(f"T{i}", Decimal(q)) for i, q in enumerate(quantities)]
    note = (
        "More digits than a double holds in 2 of the quantities, stored as the nearest one; first row 2: "
        "9007199254740993 as 9007199254740992.0."
    )
    assert load(lake, rows).notes[0] == note
    assert held(lake)["T0"]["quantity"] == 2.0**53
    pq.write_table(pa.Table.from_pylist(rows[1:2]), tmp_path / "book.parquet")  # a column of decimals
    note, _ = ingest(lake, tmp_path / "book.parquet").notes
    assert note.endswith(
        "1 of the quantities, stored as the nearest one; first row 2: 33.3333333333333333333333 as 33.333333333333336."
    )


def test_all_faults_of_a_row_are_listed(lake: Lake) -> None:
    report = load(
        lake, [position("T1"), position("T2", "x", book="", terms={**OPTION, "strike": "0", "expiry": "soon"})]
    )
    assert all(row == 3 for row, _, _, _ in faults(report))
    assert sorted(column for _, column, _, _ in faults(report)) == ["book", "expiry", "quantity", "strike"]
    assert (report.loaded, report.rejected) == (1, 1)


def test_of_identical_rows_the_first_counts(lake: Lake) -> None:
    report = load(lake, [position("T1"), position("T2"), position("T1", "100.0"), position("T1", day="2020-03-17")])
    assert (report.read, report.loaded, report.rejected) == (4, 3, 1)
    assert faults(report) == [(4, "trade", "T1", "repeats row 2, which counts")]
    assert held(lake)["T1"]["quantity"] == 100.0


def test_the_same_terms_written_otherwise_are_the_same_content(lake: Lake) -> None:
    report = load(lake, [position("T1", terms=OPTION), position("T1", "1e2", terms=OPTION | {"strike": "62.50"})])
    assert (report.loaded, report.contracts) == (1, 1)
    assert faults(report) == [(3, "trade", "T1", "repeats row 2, which counts")]


@pytest.mark.parametrize(
    "other",
    [{"quantity": "101"}, {"book": "another"}, {"attribute.x": "1"}, {"underlying": "EQ:MSFT"}, {"quantity": "wrong"}],
)
def test_of_differing_rows_of_a_trade_none_loads(lake: Lake, other: Row) -> None:
    rows = [position("T1", **{"attribute.x": ""}), position("T2"), position("T1") | other, position("T1")]
    report = load(lake, rows)
    assert (report.read, report.loaded, report.rejected) == (4, 1, 3)
    listed = [f for f in faults(report) if f[1] == "trade"]
    assert [row for row, _, _, _ in listed] == [2, 4, 5]
    assert all("first in row 2" in reason and "none is loaded" in reason for *_, reason in listed)
    assert set(held(lake)) == {"T2"}


def test_lines_with_the_wrong_number_of_cells_and_blank_lines_keep_the_count_of_rows(lake: Lake) -> None:
    path = write_csv(lake.path.parent / "book.csv", [position(f"T{n}") for n in range(2, 7)])
    lines = path.read_text().splitlines()
    lines[2] += ",one too many"
    lines[4] = "T5,too,few"
    lines.insert(3, "")
    lines.append(",".join([""] * len(lines[0].split(","))))
    lines.append(lines[1].replace("T2", "T9").replace("100", "x"))
    path.write_text("\n".join(lines) + "\n\n")
    report = ingest(lake, path)
    assert (report.read, report.loaded, report.rejected) == (6, 3, 3)
    assert set(held(lake)) == {"T2", "T4", "T6"}
    assert [row for row, _, _, _ in faults(report)] == [3, 6, 9]
    assert faults(report)[1][2:] == ("T5,too,few", "3 cells where the header has 14; quote cells with commas")
    assert faults(report)[2][1:3] == ("quantity", "x")


def test_a_quoted_line_break_is_part_of_its_row(lake: Lake) -> None:
    report = load(lake, [position("T1", portfolio="one\ntwo"), position("T2", quantity="x")])
    assert held(lake)["T1"]["portfolio"] == "one\ntwo"
    assert [row for row, _, _, _ in faults(report)] == [3]


def test_unknown_and_missing_columns_stop_the_file_with_the_nearest_names(lake: Lake) -> None:
    row = position("T1", counter_party="x", strke="5")
    del row["desk"]
    with pytest.raises(BadInput) as error:
        load(lake, [row])
    issues = {i.pointer: i for i in error.value.issues}
    assert set(issues) == {"counter_party", "strke", "desk"}
    assert issues["counter_party"].allowed[0] in ("counterparty", "attribute.counter_party")
    assert "strike" in issues["strke"].allowed
    assert "missing" in issues["desk"].message
    assert lake.version("positions") == -1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("book.xlsx", b"x", "is not a workbook"),
        ("book.csv", b"", "has no header"),
        ("book.csv", ",".join(position("T1")).encode() + b"\n", "has a header and no rows"),
        ("book.csv", ",".join([*position("T1"), "desk"]).encode() + b"\nx\n", "'desk' stands twice"),
        ("book.csv", ";".join(position("T1")).encode() + b"\nx\n", "has semicolons between its columns"),
        (
            "book.csv",
            ",".join(n for n in position("T1") if n != "trade").encode() + b"\nx\n",
            "Column 'trade' is missing",
        ),
        ("book.csv", ",".join(position("T1")).encode() + b"\n" + b"\xff," * 13 + b"x\n", "UTF-8"),
        ("book.csv.gz", b"not gzip", "cannot be unpacked"),
        ("book.parquet", b"not parquet", "not a Parquet file"),
    ],
)
def test_a_file_unusable_as_a_whole_says_why(lake: Lake, name: str, content: bytes, message: str) -> None:
    path = lake.path.parent / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        ingest(lake, path)
    with pytest.raises(BadInput, match="There is no positions file"):
        ingest(lake, path.with_name("absent.csv"))


def test_the_same_file_twice_changes_nothing(lake: Lake) -> None:
    rows = [position(f"T{n}", terms=t, **{"attribute.a": a}) for n, t, a in [(1, SHARE, ""), (2, SWAP, "x")]]
    first = load(lake, rows)
    again = load(lake, rows)
    assert again.versions == first.versions
    assert (again.dates[0].new, again.dates[0].changed, again.dates[0].unchanged) == (0, 0, 2)
    assert (first.dates[0].new, again.new_contracts, again.contracts) == (2, 0, 2)
    renamed = load(lake, [rows[0], rows[1] | {"attribute.a": "y"}])
    assert (renamed.dates[0].changed, renamed.dates[0].unchanged) == (1, 1)
    assert renamed.versions["positions"] == first.versions["positions"] + 1
    assert renamed.versions["contracts"] == first.versions["contracts"]


def test_merge_and_replace(lake: Lake) -> None:
    load(lake, [position("T1"), position("T2"), position("T3"), position("T1", day="2020-03-17")])
    patch = [position("T2", "7"), position("T4", terms=OPTION), position("T3"), position("T5", "x")]
    merged = load(lake, patch)
    assert vars(merged.dates[0]) == {
        "positions_date": dt.date(2020, 3, 16), "loaded": 3, "new": 1, "changed": 1, "unchanged": 1, "removed": 0, "held": 4,
    }  # fmt: skip
    assert {t: r["quantity"] for t, r in held(lake).items()} == {"T1": 100, "T2": 7, "T3": 100, "T4": 100}
    replaced = load(lake, patch, replace_dates=True, force=True)
    assert (replaced.dates[0].new, replaced.dates[0].unchanged, replaced.dates[0].removed) == (0, 3, 1)
    assert set(held(lake)) == {"T2", "T3", "T4"}
    assert set(held(lake, "2020-03-17")) == {"T1"}
    unchanged = load(lake, patch, replace_dates=True)
    assert unchanged.versions == replaced.versions


def test_dates_are_not_replaced_by_the_usable_part_of_a_file_unless_forced(lake: Lake, tmp_path: Path) -> None:
    load(lake, [position(f"T{i}") for i in range(12)])
    before = held(lake)
    wrong = [position(f"T{i}", "1,000") for i in range(10)] + [position("T10", "7"), position("T11")]
    rejects = tmp_path / "rejects.csv"
    with pytest.raises(BadInput) as refused:
        load(lake, wrong, replace_dates=True, rejects=rejects)
    assert (
        "10 of its 12 rows cannot be used, and replacing the dates would take 10 of 12 trades off 2020-03-16"
        in refused.value.message
    )
    assert "or force it" in refused.value.message
    assert refused.value.issues[0].pointer == "row 2, column quantity"
    assert held(lake) == before
    assert len(rejects.read_text().splitlines()) == 11  # to correct
    assert load(lake, wrong).loaded == 2  # merged, nothing is lost
    assert len(held(lake)) == 12
    assert load(lake, wrong, replace_dates=True, force=True).dates[0].removed == 10
    assert set(held(lake)) == {"T10", "T11"}


def test_a_row_given_twice_stops_no_replacement(lake: Lake) -> None:
    load(lake, [position("T1"), position("T2")])
    report = load(lake, [position("T1"), position("T1")], replace_dates=True)
    assert (report.rejected, report.dates[0].removed, set(held(lake))) == (1, 1, {"T1"})


def test_a_date_without_a_usable_row_stays_even_when_dates_are_replaced(lake: Lake) -> None:
    before = load(lake, [position("T1")])
    report = load(lake, [position("T1", "x"), position("T2", "y")], replace_dates=True)
    assert (report.read, report.loaded, report.rejected, report.dates) == (2, 0, 2, ())
    assert report.versions == before.versions
    assert set(held(lake)) == {"T1"}


def test_the_order_of_rows_leaves_no_trace(lake: Lake, tmp_path: Path) -> None:
    rows = [position(f"T{n}", str(n), terms=t) for n, t in enumerate([SHARE, SWAP, OPTION] * 5)]
    load(lake, rows)
    other = Lake.create(tmp_path / "other")
    load(other, rows[::-1])
    for name in ("positions", "contracts"):
        assert [p.name for p in lake.data_files(name)] == [p.name for p in other.data_files(name)]


def test_csv_gzip_and_typed_parquet_are_the_same_book(lake: Lake, tmp_path: Path) -> None:
    rows = [position(f"T{n}", str(n / 3), terms=t, **{"attribute.r": r}) for n, (t, r) in enumerate(
        [(SHARE, "A"), (SWAP, ""), (OPTION, "B"), (SHARE, "")]
    )]  # fmt: skip
    first = load(lake, rows)
    assert load(lake, rows, "book.csv.gz").versions == first.versions
    frame = pd.DataFrame(rows).replace("", None)
    types = {
        "quantity": float,
        "strike": float,
        "fixed_rate": float,
        "fixed_frequency": float,
        "float_frequency": float,
    }
    frame = frame.astype(types).astype({"desk": "category"})
    frame["positions_date"] = pd.to_datetime(frame["positions_date"])
    frame["start"] = pd.to_datetime(frame["start"]).dt.date
    frame["pay_fixed"] = frame["pay_fixed"].map({"true": True})
    table = pa.Table.from_pandas(frame)
    fixings = [None if f is None or f != f else {"2020-01-15": 0.0155} for f in frame["fixings"]]
    table = table.set_column(
        table.column_names.index("fixings"), "fixings", pa.array(fixings, pa.map_(pa.string(), pa.float64()))
    )
    pq.write_table(table, tmp_path / "book.parquet")
    report = ingest(lake, tmp_path / "book.parquet")
    assert (report.rejected, report.versions) == (0, first.versions)


def test_a_parquet_column_of_another_kind_is_refused(lake: Lake, tmp_path: Path) -> None:
    table = pa.Table.from_pylist([position("T1")])
    table = table.set_column(1, "trade", pa.array([b"\xff\xfe"], pa.binary()))
    pq.write_table(table, tmp_path / "book.parquet")
    with pytest.raises(BadInput, match="'trade'"):
        ingest(lake, tmp_path / "book.parquet")


def test_a_timestamp_within_a_day_is_no_date(lake: Lake, tmp_path: Path) -> None:
    table = pa.Table.from_pylist([position("T1", 1.0) | {"positions_date": dt.datetime(2020, 3, 16, 9, 30)}])
    pq.write_table(table, tmp_path / "book.parquet")
    report = ingest(lake, tmp_path / "book.parquet")
    assert report.loaded == 0
    assert faults(report)[0][:3] == (2, "positions_date", "2020-03-16 09:30:00")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Chicago"])
def test_a_timestamp_at_midnight_of_its_zone_is_that_day(lake: Lake, tmp_path: Path, zone: str) -> None:
    midnight = dt.datetime(2020, 3, 16, tzinfo=ZoneInfo(zone))
    table = pa.Table.from_pylist([position("T1") | {"positions_date": midnight}])
    dates = pa.array([midnight], pa.timestamp("us", zone))
    pq.write_table(table.set_column(0, "positions_date", dates), tmp_path / "book.parquet")
    assert ingest(lake, tmp_path / "book.parquet").loaded == 1
    assert list(held(lake)) == ["T1"]


def test_contracts_beyond_the_holidays_that_their_calendar_knows_are_told(lake: Lake) -> None:
    swaps = [
        SWAP | {"calendar": c, "maturity": m}
        for c, m in (("HKHK", "2028-01-15"), ("HKHK", "2030-01-15"), ("GBLO", "2050-01-14"))
    ]
    note, _ = load(lake, [position(f"T{i}", terms=terms) for i, terms in enumerate([*swaps, SWAP])]).notes
    assert note.startswith("Calendar HKHK lists its moving holidays of 2004-2026 alone")
    assert note.endswith("Contracts with dates there: 2.")
    (of_market,) = load(lake, [position("T9", terms=SWAP | {"calendar": "HKHK"})]).notes  # it matures in 2025
    assert of_market.startswith("The lake holds no market data yet")


def test_rejected_rows_are_written_to_correct_and_load_again(lake: Lake, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    load(lake, [position("T1"), position("T2", "x", desk=""), position("T3")], rejects=rejects)
    with rejects.open(newline="") as f:
        (row,) = csv.DictReader(f)
    assert row["reject.row"] == "3"
    assert (
        row["reject.reason"]
        == f"desk: is empty; every position has it; quantity: {NUMBER} such as 1500 or -2.5, of at most 1e16, without thousands separators"
    )
    assert (row["trade"], row["quantity"], row["underlying"]) == ("T2", "x", "EQ:AAPL")
    report = ingest(
        lake, write_csv(tmp_path / "corrected.csv", [row | {"quantity": "5", "desk": "d"}]), rejects=rejects
    )
    assert (report.loaded, report.dates[0].held) == (1, 3)
    assert len(rejects.read_text().splitlines()) == 1


def test_contracts_are_shared_and_only_added(lake: Lake) -> None:
    rows = [position(f"T{n}", terms=t) for n, t in enumerate([SHARE, SHARE, OPTION, OPTION | {"strike": "62.50"}])]
    assert load(lake, rows).new_contracts == 2
    more = load(lake, [position("T9", terms=SWAP), position("T8")])
    assert (more.contracts, more.new_contracts) == (2, 1)
    ids = lake.read("contracts")["contract_id"].to_pylist()
    assert len(ids) == len(set(ids)) == 3


def test_the_report_as_plain_values(lake: Lake) -> None:
    report = load(lake, [position("T1"), position("T2", "x"), position("T3", "y")])
    plain = report.to_dict(rejections=1)
    assert (plain["read"], plain["loaded"], plain["rejected"], len(plain["rejections"])) == (3, 1, 2, 1)
    assert plain["dates"][0]["held"] == 1
    assert len(report.to_dict()["rejections"]) == 2


def test_sums_agree_with_an_independent_reader(lake: Lake) -> None:
    load(lake, [position(f"T{n}", str(n * 0.25), book=f"B{n % 3}", terms=[SHARE, OPTION][n % 2]) for n in range(200)])
    read = duckdb.sql(
        f"SELECT book, count(*), sum(quantity) FROM '{lake.path.parent}/book.csv' GROUP BY book ORDER BY book"
    )
    loaded = lake.read("positions").select(["book", "quantity"])  # noqa: F841 - DuckDB finds it by name
    here = duckdb.sql("SELECT book, count(*), sum(quantity) FROM loaded GROUP BY book ORDER BY book")
    assert here.fetchall() == read.fetchall()


def test_every_term_is_a_column(lake: Lake) -> None:
    report = load(lake, [position("T1", terms=SHARE | {t: "" for t in all_term_fields() if t not in SHARE})])
    assert report.loaded == 1


GOOD = [SHARE, SWAP, OPTION]
BAD: list[Row] = [
    {"quantity": "x"}, {"positions_date": "?"}, {"client": ""}, {"instrument_type": "cash"}, {"currency": "dollars"},
]  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from(GOOD), st.sampled_from([None, None, *BAD]), st.sampled_from("12")),
        min_size=1,
        max_size=30,
    )
)
def test_read_is_loaded_plus_rejected_whatever_the_mix(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, Row, Row | None, str]]
) -> None:
    lake = Lake.create(tmp_path_factory.mktemp("mix") / "lake")
    made = [position(f"T{n}", quantity, terms=terms) | (bad or {}) for n, terms, bad, quantity in rows]
    report = load(lake, made)
    rejected_rows = {row for row, _, _, _ in faults(report)}
    assert report.read == len(made) == report.loaded + report.rejected
    assert len(rejected_rows) == report.rejected
    assert lake.read("positions").num_rows == report.loaded == sum(d.held for d in report.dates)
    # slow and obvious: a trade loads when all its rows of a date are equal and good
    contents: dict[tuple[str, str], list[str]] = {}
    for row in made:
        contents.setdefault((row["positions_date"], row["trade"]), []).append(str(sorted(row.items())))
    good = {key for key, seen in contents.items() if len(set(seen)) == 1}
    bad_rows = {(r["positions_date"], r["trade"]) for r, (_, _, bad, _) in zip(made, rows, strict=True) if bad}
    loaded = {(str(r["positions_date"]), r["trade"]) for r in lake.read("positions").to_pylist()}
    assert loaded == good - bad_rows


MARKET = [
    factor("EQ:AAPL", "equity_price"),
    factor("EQ:SAP", "equity_price", "EUR"),
    factor("EQ:ODD", "equity_price", "XXX"),
    factor("FX:EURUSD", "fx_rate"),
]


@pytest.fixture
def priced(lake: Lake) -> Lake:
    put_market(lake, MARKET, {})
    return lake


@pytest.mark.parametrize(
    ("cells", "column", "reason"),
    [
        ({"underlying": "EQ:AAPLX"}, "underlying", "Unknown risk factor 'EQ:AAPLX'. Nearest valid: EQ:AAPL"),
        ({"currency": "EUR"}, "underlying", "EQ:AAPL is of type equity_price in USD. Unknown "),
        (
            {"underlying": "EQ:ODD", "currency": "XXX"},
            "currency",
            "Unknown currency of an exchange rate 'XXX'. Nearest valid: EUR, USD",
        ),
    ],
)
def test_what_no_market_data_knows_is_refused_as_it_comes_in(
    priced: Lake, cells: dict[str, str], column: str, reason: str
) -> None:
    row = {**position("T1"), "underlying": "EQ:AAPL", **cells}
    report = load(priced, [row, {**position("T2"), "underlying": "EQ:AAPL"}])
    assert (report.read, report.loaded, report.rejected) == (2, 1, 1)
    ((number, at, value, said),) = faults(report)
    assert (number, at, value) == (2, column, row[column])
    assert said.startswith(reason)
    accepted = load(priced, [row], accept_unknown_factors=True)
    assert (accepted.loaded, accepted.rejected) == (1, 0)


def test_what_only_a_shipped_catalogue_knows_is_loaded_and_told(priced: Lake) -> None:
    """`marketdata` knows MSFT and the ECB's rate of the zloty; this lake has neither."""
    rows = [{**position("T1"), "underlying": "EQ:MSFT"}, {**position("T2"), "underlying": "EQ:AAPL"}]
    report = load(priced, rows)
    assert report.rejected == 0
    (note,) = report.notes
    assert note.startswith("Contracts whose risk factors a shipped catalogue knows and the lake does not hold: 1.")


def test_before_there_is_market_data_nothing_is_known_and_the_report_says_so(lake: Lake) -> None:
    report = load(lake, [{**position("T1"), "underlying": "EQ:NOBODY"}])
    assert report.rejected == 0
    assert [n for n in report.notes if n.startswith("The lake holds no market data yet: ")]


def test_a_market_of_one_currency_needs_no_exchange_rate(lake: Lake) -> None:
    put_market(lake, [factor("EQ:ODD", "equity_price", "XXX")], {})
    assert load(lake, [{**position("T1"), "underlying": "EQ:ODD", "currency": "XXX"}]).rejected == 0


def acted(report: PositionsReport) -> list[tuple[int, int, int, int, int, int]]:
    return [(c.loaded, c.new, c.changed, c.unchanged, c.removed, c.held) for c in report.dates]


class TestActions:
    """A trade is removed, amended or comes late, as a version; what does not fit the book is a fault."""

    def start(self, lake: Lake) -> None:
        load(lake, [position("T1"), position("T2"), position("T3", day="2020-03-13")])

    def test_a_file_of_changes_and_the_same_file_again(self, lake: Lake) -> None:
        self.start(lake)
        removal = {"positions_date": DAY, "trade": "T1", "action": "remove"}  # nothing else is needed of it
        rows = [
            removal,
            position("T2", "7", action="amend"),
            position("T4", action="new"),
            position("T3L", day="2020-03-13", action="new"),
            position("T5", action=""),
        ]
        report = load(lake, rows, "changes.csv")
        assert (report.read, report.loaded, report.rejected) == (5, 5, 0)
        assert acted(report) == [(1, 1, 0, 0, 0, 2), (4, 2, 1, 0, 1, 3)]
        assert {t: r["quantity"] for t, r in held(lake).items()} == {"T2": 7.0, "T4": 100.0, "T5": 100.0}
        assert set(held(lake, "2020-03-13")) == {"T3", "T3L"}
        version = lake.version("positions")
        again = load(lake, rows, "changes.csv")
        assert acted(again) == [(1, 0, 0, 1, 0, 2), (4, 0, 0, 4, 0, 3)]
        assert again.rejected == 0
        assert lake.version("positions") == version

    def test_what_does_not_fit_the_book_is_a_fault(self, lake: Lake) -> None:
        self.start(lake)
        rows = [
            position("T1", "8", action="new"),
            position("T22", action="amend"),
            {"positions_date": DAY, "trade": "T11", "action": "remove"},
            position("T2", action="delete"),
            {"positions_date": DAY, "trade": "", "action": "remove"},
            position("T3", action="amend"),
        ]
        report = load(lake, rows, "changes.csv")
        assert (report.loaded, report.rejected, lake.version("positions")) == (0, 6, 1)
        told = {(row, column): reason for row, column, _, reason in faults(report)}
        assert "has this trade with other content; the action amend" in told[2, "action"]
        assert "has no trade 'T22' to amend; nearest: T2" in told[3, "trade"]
        assert "comes late has the action new" in told[3, "trade"]
        assert "has no trade 'T11' to remove; nearest: T1" in told[4, "trade"]
        assert "expected new, amend, remove" in told[5, "action"]
        assert "is empty" in told[6, "trade"]
        assert "2020-03-16 has no trade 'T3'" in told[7, "trade"]
        assert len(told) == 6

    def test_one_trade_removed_and_loaded_in_one_file_is_neither(self, lake: Lake) -> None:
        self.start(lake)
        report = load(lake, [position("T1", action="remove"), position("T1", action="new")], "changes.csv")
        assert (report.rejected, set(held(lake))) == (2, {"T1", "T2"})

    def test_the_last_trade_of_a_date_can_go_and_come_back(self, lake: Lake) -> None:
        self.start(lake)
        gone = [{"positions_date": "2020-03-13", "trade": "T3", "action": "remove"}]
        assert acted(load(lake, gone, "gone.csv")) == [(1, 0, 0, 0, 1, 0)]
        assert positions_dates(lake) == [dt.date(2020, 3, 16)]
        assert acted(load(lake, gone, "gone.csv")) == [(1, 0, 0, 1, 0, 0)]
        assert acted(load(lake, [position("T3", day="2020-03-13", action="new")])) == [(1, 1, 0, 0, 0, 1)]
        changes = trade_changes(lake, ["T3"]).changes
        assert [(c.version, c.action, c.file) for c in changes] == [
            (1, "new", "book.csv"), (2, "remove", "gone.csv"), (3, "new", "book.csv"),
        ]  # fmt: skip

    def test_changes_do_not_go_with_replaced_dates(self, lake: Lake) -> None:
        with pytest.raises(BadInput, match="Do one or the other"):
            load(lake, [position("T1", action="new")], replace_dates=True)

    def test_the_changes_of_a_trade(self, lake: Lake) -> None:
        self.start(lake)
        load(lake, [position("T9")], "other.csv")
        load(lake, [position("T2", "7", desk="Rates", action="amend")], "changes.csv")
        (first, second) = trade_changes(lake, ["T2"]).changes
        assert (first.action, second.action, second.version, second.file) == ("new", "amend", 3, "changes.csv")
        assert second.before is not None
        assert second.after is not None
        assert {k for k in second.after if second.after[k] != second.before[k]} == {"quantity", "desk"}
        assert first.loaded_at <= second.loaded_at
        assert trade_changes(lake, ["T2"], [dt.date(2020, 3, 13)]).changes == []
        assert trade_changes(Lake.create(lake.path.parent / "empty"), ["T2"]).changes == []

    def test_the_changes_of_a_trade_whose_earlier_versions_a_cleaning_removed(self, lake: Lake) -> None:
        self.start(lake)
        load(lake, [position("T1", action="remove")], "gone.csv")
        load(lake, [position("T2", "7", action="amend")], "changes.csv")
        now = dt.datetime.now(dt.UTC)
        remove_files(lake, removable(lake, 1, now, {}), now)
        load(lake, [position("T2", "8", action="amend")], "later.csv")
        told = trade_history(lake, "T2")
        assert [(v.version, v.action, v.file) for v in told.versions] == [
            (3, "earliest", "changes.csv"), (4, "amend", "later.csv"),
        ]  # fmt: skip
        assert told.versions[1].changed == {"quantity": (7.0, 8.0)}
        (lost,) = trade_changes(lake, ["T2"]).lost
        assert (str(lost.positions_date), lost.versions, lost.until) == (DAY, 2, told.versions[0].loaded_at)
        (note,) = told.notes
        assert f"2 versions of the book of {DAY}, up to {lost.until:%Y-%m-%d %H:%M} UTC." in note
        told_less = _lost(type("PartOfLake", (Lake,), {"reader": "somebody"})(lake.path), [lost])[0]
        assert "removed by varlake lake clean" in told_less
        assert not set("0123456789") & set(told_less)
        # another book has all its versions; of a trade that nobody knows any more nothing is said but that
        kept = trade_history(lake, "T3")
        assert ([v.action for v in kept.versions], trade_changes(lake, ["T3"], [dt.date(2020, 3, 13)]).lost) == (
            ["new"],
            [],
        )
        with pytest.raises(NotFound, match=r"Unknown trade 'T1'\..* 2 versions of the book"):
            trade_history(lake, "T1")
        # its removal, which was a change once, cannot be told from a mistake
        report = load(lake, [position("T1", action="remove")], "gone.csv")
        assert (report.rejected, faults(report)[0][3].partition(";")[0]) == (
            1, f"the book of {DAY} has no trade 'T1' to remove"
        )  # fmt: skip


def test_faults_are_counted_by_reason(lake: Lake) -> None:
    rows = [
        position(f"T{i}", "many" if i < 3 else "x,y" if i < 5 else "1", desk="" if i == 6 else "D") for i in range(8)
    ]
    report = load(lake, rows)
    assert [(r["column"], r["rows"], r["row"], r["value"]) for r in report.reasons] == [
        ("quantity", 5, 2, "many"),
        ("desk", 1, 8, None),
    ]
    assert report.to_dict()["reasons"][0]["reason"].startswith("expected a finite number")
