"""One reader of files: the same table in every format becomes the same text, and every fault is told by place."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import lzma
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rdata
import xlsxwriter
from pydantic import ValidationError

from lake.errors import BadInput, NotFound
from lake.landing import decoded, sheet
from lake.landing.sheet import Dialect, Sheet, read_sheet

HEADER = ["Date", "Name", "Price", "Number"]
ROWS = [
    (dt.date(2020, 1, 2), "Zürich", 0.1, 5.0),
    (dt.date(2020, 1, 3), None, -1234.567890123457, None),
    (dt.date(2020, 1, 6), "a; b, c", 1e22, 7.0),
]
TEXT = {
    "0": ["2020-01-02", "2020-01-03", "2020-01-06"],
    "1": ["Zürich", None, "a; b, c"],
    "2": ["0.1", "-1234.567890123457", "1e+22"],
    "3": ["5", None, "7"],
}


def frame() -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=HEADER)


def csv_text(delimiter: str = ",", decimal: str = ".") -> str:
    lines = [delimiter.join(HEADER)]
    for row in zip(*TEXT.values(), strict=True):
        cells = ["" if c is None else c for c in row]
        cells[2] = cells[2].replace(".", decimal)
        lines.append(delimiter.join(f'"{c}"' if "," in c or ";" in c else c for c in cells))
    return "\n".join(lines) + "\n"


def zipped(**members: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._file.csv", b"of the machine, not of the file")
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return sink.getvalue()


def workbook() -> bytes:
    sink = io.BytesIO()
    book = xlsxwriter.Workbook(sink)
    day = book.add_format({"num_format": "dd/mm/yyyy"})
    book.add_worksheet("Notes").write(0, 0, "nothing here")
    page = book.add_worksheet("Prices")
    page.write(0, 1, "a title")
    page.write_row(1, 1, HEADER)  # the first column of the sheet is empty
    for i, (date, name, price, number) in enumerate(ROWS, 3):  # and so is a row
        page.write_datetime(i, 1, dt.datetime(date.year, date.month, date.day), day)
        page.write_row(i, 2, [name, price, number])
    book.close()
    return sink.getvalue()


def ods() -> bytes:
    """By hand, after OpenDocument 1.3 part 3, 9.1 and 19.385."""
    cell = '<table:table-cell office:value-type="{}" {}><text:p>{}</text:p></table:table-cell>'
    rows = ["".join(cell.format("string", "", h) for h in HEADER)]
    for date, name, price, number in ROWS:
        rows.append(
            cell.format("date", f'office:date-value="{date}"', date)
            + (cell.format("string", "", name) if name else "<table:table-cell/>")
            + cell.format("float", f'office:value="{price!r}"', "rounded")
            + (cell.format("float", f'office:value="{number!r}"', "rounded") if number else "<table:table-cell/>")
        )
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    names = "".join(f' xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text"))
    content = f'<table:table table:name="Prices">{body}</table:table>'
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        document = f"<office:document-content{names}><office:body><office:spreadsheet>{content}"
        end = "</office:spreadsheet></office:body></office:document-content>"
        archive.writestr("content.xml", f'<?xml version="1.0" encoding="UTF-8"?>{document}{end}')
    return sink.getvalue()


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame(), preserve_index=False), sink)
    return sink.getvalue()


def r_data(tmp_path: Path, kind: str) -> bytes:
    path = tmp_path / f"made.{kind}"
    data = frame().assign(Date=[str(d) for d, *_ in ROWS], Name=["Zürich", "", "a; b, c"])
    rdata.write_rda(path, {"prices": data}) if kind == "rda" else rdata.write_rds(path, data)
    return path.read_bytes()


def landed(tmp_path: Path, name: str, data: bytes, **dialect: object) -> Sheet:
    path = tmp_path / name
    path.write_bytes(data)
    return read_sheet(path, Dialect(**dialect))  # type: ignore[arg-type]


FORMATS: list[tuple[str, Callable[[Path], bytes], dict[str, object], int]] = [
    ("f.csv", lambda _: csv_text().encode(), {}, 2),
    ("f.txt", lambda _: b"\xef\xbb\xbf" + csv_text("\t").replace("\n", "\r\n").encode(), {"delimiter": "\t"}, 2),
    ("f.csv.gz", lambda _: gzip.compress(("one\ntwo, lines\n" + csv_text()).encode()), {"skip_rows": 2}, 4),
    ("f.csv", lambda _: csv_text(";").encode("cp1252"), {"delimiter": ";", "encoding": "cp1252"}, 2),
    ("f.csv", lambda _: csv_text("|").encode("utf-16"), {"delimiter": "|", "encoding": "UTF16"}, 2),
    ("f.zip", lambda _: zipped(folder__one_csv=csv_text().encode()), {}, 2),
    ("f.zip", lambda _: zipped(one_csv=b"x", two_csv=csv_text().encode()), {"member": "two.csv"}, 2),
    ("f.zip.gz", lambda _: gzip.compress(zipped(one_csv=csv_text().encode())), {}, 2),
    ("f.parquet", lambda _: parquet(), {}, 2),
    ("f.parquet.gz", lambda _: gzip.compress(parquet()), {}, 2),
    ("f.zip", lambda _: zipped(one_parquet=parquet()), {}, 2),
    ("f.xlsx", lambda _: workbook(), {"sheet": "Prices", "skip_rows": 1}, 4),
    ("f.zip", lambda _: zipped(one_xlsx=workbook()), {"sheet": "Prices", "skip_rows": 1}, 4),
    ("f.ods", lambda _: ods(), {}, 2),
    ("f.rda", lambda p: r_data(p, "rda"), {}, 2),
    ("f.RData", lambda p: r_data(p, "rda"), {"object": "prices"}, 2),
    ("f.rds", lambda p: r_data(p, "rds"), {}, 2),
    ("f.rds", lambda p: lzma.compress(gzip.decompress(r_data(p, "rds"))), {}, 2),
    ("f.rda", lambda p: bz2.compress(gzip.decompress(r_data(p, "rda"))), {}, 2),
    ("f.rda", lambda p: gzip.decompress(r_data(p, "rda")), {}, 2),
]


@pytest.mark.parametrize(("name", "make", "dialect", "first"), FORMATS)
def test_the_same_table_in_every_format(
    tmp_path: Path, name: str, make: Callable[[Path], bytes], dialect: dict[str, object], first: int
) -> None:
    got = landed(tmp_path, name, make(tmp_path), **dialect)
    assert got.header == HEADER
    assert got.cells.to_pydict() == TEXT
    assert got.lines.tolist() == [first, first + 1, first + 2]
    assert got.uneven == ()


def test_numbers_of_typed_formats_have_the_decimal_mark_of_the_dialect(tmp_path: Path) -> None:
    marks = {"decimal": ",", "thousands": "."}
    for name, data in (("f.parquet", parquet()), ("f.ods", ods()), ("f.csv", csv_text(";", ",").encode())):
        got = landed(tmp_path, name, data, delimiter=";", **marks)
        assert got.cells["2"].to_pylist() == ["0,1", "-1234,567890123457", "1e+22"]
        plain = Dialect(delimiter=";", decimal=",", thousands=".").plain(got.column(2))
        assert plain.to_pylist() == ["0.1", "-1234.567890123457", "1e+22"]


@pytest.mark.parametrize(
    ("decimal", "thousands", "text", "plain"),
    [
        (".", ",", "1,234,567.5", "1234567.5"),
        (".", ",", "12,34,567", "1234567"),  # as India groups
        (".", ",", "-1,234", "-1234"),
        (".", ",", "1,5", None),  # never fifteen
        (".", ",", "1,2345", None),
        (".", ",", "1234,567", None),
        (".", ",", ",123", None),
        (".", ",", "1234.5", "1234.5"),
        (",", ".", "1.234,5", "1234.5"),
        (",", ".", "1.5", None),
        (",", "", "1.5", None),
        (",", "", "1,5e-3", "1.5e-3"),
        (",", " ", "1 234,5", "1234.5"),
        (",", " ", "1\u00a0234\u202f567", "1234567"),
        (".", "'", "1\u2019234'567.25", "1234567.25"),
        (".", "", "1,234", None),
    ],
)
def test_numbers_as_people_write_them(decimal: str, thousands: str, text: str, plain: str | None) -> None:
    from lake.landing.numbers import doubles

    dialect = Dialect(decimal=decimal, thousands=thousands)  # type: ignore[arg-type]
    got = doubles(dialect.plain(pa.array([text])))[0].as_py()
    assert got == (None if plain is None else float(plain))


@pytest.mark.parametrize(
    "text",
    [
        "1.5",
        ".5",
        "5.",
        "1e5",
        "-0",
        "+1",
        "nan",
        "-inf",
        "Infinity",
        "0x10",
        "1e",
        "1_0",
        " 1",
        "1e16",
        "1e17",
        "1e999",
        "",
    ],
)
def test_a_text_is_the_same_number_alone_and_among_others(text: str) -> None:
    """Where all are plain numbers they are read without a look at each."""
    from lake.landing.numbers import doubles

    alone, among = (doubles(pa.array([text, *others]))[0].as_py() for others in (["7"], ["none"]))
    expected = float(text) if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[0-9]+)?", text) else None
    assert alone == among == (expected if expected is not None and expected <= 1e16 else None)


def test_rows_of_text_are_told_by_line(tmp_path: Path) -> None:
    text = 'title\n"Da\nte", A ,\n1,"x\ny",\n\n , ,\t\n3\n4,5,6,7\n8,9,\n'
    got = landed(tmp_path, "f.csv", text.encode(), skip_rows=1)
    assert got.header == ["Da\nte", "A", ""]
    assert got.cells.to_pydict() == {"0": ["1", "8"], "1": ["x\ny", "9"], "2": [None, None]}
    assert got.lines.tolist() == [3, 8]
    reason = "cells where the header has 3; quote cells with commas"
    assert got.uneven == ((6, "3", f"1 {reason}"), (7, "4,5,6,7", f"4 {reason}"))
    unquoted = landed(tmp_path, "f.csv", b'Inch,A\n5",1\n7",2\n', quote="")
    assert unquoted.cells.to_pydict() == {"0": ['5"', '7"'], "1": ["1", "2"]}


def test_a_file_that_ends_below_its_header_has_no_rows(tmp_path: Path) -> None:
    for data in (b"Date,A", b"Date,A\n", b"Date,A\n\n"):
        got = landed(tmp_path, "f.csv", data)
        assert (got.header, got.cells.num_rows, len(got.lines)) == (["Date", "A"], 0, 0)


def test_what_is_not_a_number_is_empty_unless_a_number_is_required(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"a": [1.5, float("nan"), float("nan")], "b": [float("nan"), float("nan"), 2.0]}), path)
    assert read_sheet(path).cells.to_pydict() == {"0": ["1.5", None], "1": [None, "2"]}
    got = read_sheet(path, numbers=["a"])
    assert got.cells.to_pydict() == {"0": ["1.5", "NaN"], "1": [None, "2"]}
    assert got.lines.tolist() == [2, 4]  # a row in which nothing is a number is blank


def test_times_keep_their_hour_and_r_gives_its_own_types(tmp_path: Path) -> None:
    path = tmp_path / "f.rda"
    when = pd.to_datetime(["2020-01-02 00:00", "2020-01-03 10:30"])
    data = pd.DataFrame({"when": when, "kind": pd.Categorical(["x", "y"]), "flag": [True, False]})
    pq.write_table(pa.Table.from_pandas(data), path.with_suffix(".parquet"))
    rdata.write_rda(path, {"a": data[["kind", "flag"]], "b": data[["flag"]]})
    got = read_sheet(path.with_suffix(".parquet")).cells.to_pydict()
    assert got["0"] == ["2020-01-02", "2020-01-03 10:30:00"]
    assert read_sheet(path, Dialect(object="a")).cells.to_pydict() == {"0": ["x", "y"], "1": ["true", "false"]}
    with pytest.raises(BadInput, match=r"holds the objects a, b; say which with `object`"):
        read_sheet(path)
    with pytest.raises(BadInput, match=r"Unknown object of f\.rda 'c'. Nearest valid: a, b"):
        read_sheet(path, Dialect(object="c"))


def test_what_cannot_be_a_sheet(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        read_sheet(tmp_path / "none.csv")
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        read_sheet(tmp_path)
    for name, data, dialect, match in [
        ("f.csv", b"", {}, "no header in UTF-8 on line 1"),
        ("f.csv", "Größe,A\n1,2\n".encode("cp1252"), {}, "not text in UTF-8; .* `encoding` names another"),
        ("f.csv", b"A,B\n1,\xff\n", {}, "not text in UTF-8"),
        ("f.csv", b"A;B\n1;2\n", {}, "has semicolons between its columns, and commas are expected.*declare its delimiter"),
        ("f.csv", b"A,B,C\n1,2,3\n", {"delimiter": ";"}, "has commas between its columns, and semicolons are expected"),
        ("f.csv", b"a," * 20_000 + b"a\n1\n", {}, "more than 16,384 columns"),
        ("f.zip", zipped(one_csv=b"A\n1\n", two_csv=b"A\n1\n"), {}, "found 2: one.csv, two.csv; say which with `member`"),
        ("f.zip", zipped(one_csv=b"A\n1\n"), {"member": "one"}, "Unknown file of the archive 'one'. Nearest valid: one.csv"),
        ("f.zip", b"no archive", {}, "cannot be unpacked"),
        ("f.xlsx", b"no workbook", {}, "not a workbook"),
        ("f.xlsx", workbook()[:2_000], {}, "not a workbook"),
        ("f.xlsx", workbook(), {"sheet": "prices"}, r"Unknown sheet of f\.xlsx 'prices'. Nearest valid: Prices"),
        ("f.xlsx", workbook(), {"sheet": "Prices", "skip_rows": 9}, "no header on row 10 of the sheet 'Prices'"),
        ("f.rda", b"no data of R", {}, "not R data"),
        ("f.rda", r_data(tmp_path, "rda")[:-20], {}, "f.rda (is not R data|cannot be unpacked)"),
        ("f.parquet", b"no parquet", {}, "not a Parquet file"),
    ]:  # fmt: skip
        with pytest.raises(BadInput, match=match):
            landed(tmp_path, name, data, **dialect)


def test_a_dialect_refuses_what_it_does_not_know() -> None:
    for wrong, match in [
        ({"encoding": "utf-9"}, "Unknown encoding 'utf-9'. Nearest valid: utf-8"),
        ({"encoding": "zip"}, "Unknown encoding"),
        ({"decimal": ",", "thousands": ","}, "decimal and thousands are both ','"),
        ({"delimiter": '"'}, "delimiter and quote are both"),
        ({"delimiter": ", "}, "at most 1 character"),
        ({"delimeter": ","}, "Extra inputs"),
    ]:
        with pytest.raises(ValidationError, match=match):
            Dialect(**wrong)  # type: ignore[arg-type]


def test_what_a_workbook_or_r_data_holds_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(decoded.SETTING, "1")
    far = io.BytesIO()
    book = xlsxwriter.Workbook(far)
    page = book.add_worksheet()
    page.write(0, 0, "Date")
    page.write(1_048_575, 16_383, 1)  # two cells, and all between them are made
    book.close()
    full = io.BytesIO()
    with zipfile.ZipFile(full, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (2 << 20))
    # ALTREP of R: a sequence of a billion numbers in 150 bytes, as R 4 writes 1:1e9 (R internals, 1.8)
    ints = lambda *n: struct.pack(f">{len(n)}i", *n)  # noqa: E731
    symbol = lambda name: ints(1, 0x40009, len(name)) + name  # noqa: E731
    kind = ints(2) + symbol(b"compact_intseq") + ints(2) + symbol(b"base") + ints(2, 13, 1, 13, 254)
    state = ints(14, 3) + struct.pack(">3d", 1e9, 1.0, 1.0)
    sequence = b"X\n" + ints(3, 0x40000, 0x30500, 5) + b"UTF-8" + ints(238) + kind + state + ints(254)
    for name, data in [
        ("f.xlsx", far.getvalue()),
        ("g.xlsx", full.getvalue()),
        ("f.rda", gzip.compress(b"RDX3\n" + b"0" * (2 << 20))),
        ("f.rds", gzip.compress(sequence)),
    ]:
        with pytest.raises(BadInput, match=rf"^{name} holds more than 1 MiB once decoded"):
            landed(tmp_path, name, data)


def test_every_ending_has_its_reader() -> None:
    assert set(sheet._TYPED) == {".parquet", ".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".rda", ".rdata", ".rds"}
